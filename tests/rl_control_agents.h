// Settings with which the agents solve the control problems, for the slow suite and the bench.
#pragma once

#include <cmath>
#include <memory>
#include <string>

#include "engine/threads.h"
#include "rl/actor_critic.h"
#include "rl/ppo.h"
#include "tests/rl_control.h"

namespace rhnas::rl {

struct ControlAgent {
  AgentOptions options;
  PpoOptions ppo;
  int64_t steps = 0;  // of training
};

// name: ppo or a2c; problem: cartpole or acrobot.
inline ControlAgent ControlAgentFor(const std::string& name, const std::string& problem) {
  ControlAgent agent;
  AgentOptions& options = agent.options;
  options.name = name;
  options.advantage = AdvantageScale::kScaled;
  options.rate_final = 0;
  options.entropy_weight = options.entropy_final = 0;
  options.learning_rate = 1e-3f;
  if (name == "ppo") {
    options.rollout = 1024;
    agent.ppo.epochs = 8;
    agent.steps = problem == "cartpole" ? 200000 : 300000;
  } else {
    options.rollout = 256;
    options.lambda = 0.98f;
    options.clip_norm = 5;
    agent.steps = 500000;
  }
  options.anneal_steps = agent.steps;
  return agent;
}

struct Score {
  double mean = 0, deviation = 0;  // of 100 episodes of the greedy policy
};

inline Score TrainAndScore(ControlAgent settings, Environment& environment, uint64_t seed) {
  engine::ThreadPool pool(1);
  settings.options.seed = seed;
  std::unique_ptr<Agent> agent;
  if (settings.options.name == "ppo") {
    agent = std::make_unique<Ppo>(settings.options, settings.ppo, environment, pool);
  } else {
    agent = std::make_unique<ActorCritic>(settings.options, environment, pool);
  }
  engine::Rng rng(seed);
  for (int64_t steps = 0; steps < settings.steps;) {
    steps += agent->Round(environment, settings.steps - steps, rng).steps;
  }
  constexpr int kEpisodes = 100;
  Score score;
  double squares = 0;
  for (uint64_t episode = 0; episode < kEpisodes; ++episode) {
    engine::Rng test(1000 + episode);
    environment.Reset(test);
    double sum = 0;
    for (bool done = false; !done;) {
      const StepResult result = environment.Act(agent->Greedy(environment).data(), test);
      sum += result.reward;
      done = result.terminal || result.truncated;
    }
    score.mean += sum / kEpisodes;
    squares += sum * sum / kEpisodes;
  }
  score.deviation = std::sqrt(std::max(0.0, squares - score.mean * score.mean));
  return score;
}

}  // namespace rhnas::rl
