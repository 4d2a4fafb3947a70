// Agents that learn from an Environment, behind one interface and one counter of evaluations.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/archive.h"
#include "engine/status.h"
#include "engine/threads.h"
#include "rl/environment.h"

namespace rhnas::rl {

// What one round of learning did; logged, and enough to see a collapse.
struct RoundStats {
  int64_t steps = 0;  // environment steps of this round: the budget's unit
  int64_t episodes = 0;
  double mean_return = 0,
         best_return = 0;  // undiscounted, of the episodes that ended in this round
  double entropy = 0;      // of the policy, summed over heads, nats (0 for agents without one)
  double baseline = 0;
  double gradient_norm = 0;
  double explained_variance = 0;  // of the critic; 0 without one
  // ppo: how far the update moved the policy from the one that acted (nats), and the share of rows
  // whose probability moved beyond the clip.
  double kl = 0, clip_fraction = 0;
};

class Agent {
 public:
  virtual ~Agent() = default;
  virtual const char* name() const = 0;
  // One round: some episodes and one update. Uses at most `max_steps` environment steps (>= 1).
  virtual RoundStats Round(Environment& environment, int64_t max_steps, engine::Rng& rng) = 0;
  // The action the agent now thinks best for the environment's current observation.
  virtual std::vector<int> Greedy(const Environment& environment) = 0;
  // What the agent's model alone would build, whether or not it can be built and whatever was found
  // on the way: the greedy action of a policy, the argmax of relaxed choices; of a black box, which
  // has no model, its best point. Empty: it has none yet.
  virtual std::vector<int> Proposal(const Environment& environment) { return Greedy(environment); }
  // Nothing is left to propose (exhaustive, behind the last point); rounds then only repeat.
  virtual bool Done() const { return false; }
  virtual void Save(engine::ArchiveWriter& archive, const std::string& prefix) const = 0;
  virtual void Load(engine::ArchiveReader& archive, const std::string& prefix) = 0;
};

// How rewards become the weights of log-probabilities.
enum class AdvantageScale {
  kRaw,     // return less baseline
  kScaled,  // the same, to unit scale, so that rewards need no unit
  // Savage scores of the ranks within the batch (a2c and ppo on one-step problems only, else as
  // kScaled). Cares for the best of a batch more than for the mean, and a few very bad proposals do
  // not drown the differences between good ones. Not for problems whose mean return matters.
  kRanked,
};

// What the policy's heads see of each other (rl/policy.h).
enum class HeadKind {
  kFactorised,      // nothing: independent given the observation
  kAutoregressive,  // each the choices of those before it
};

// What returns are compared with (reinforce, unless ranked).
enum class Baseline {
  kMoving,  // an exponential average over the batches before
  kBatch,   // the mean of the batch itself
};

// The defaults suit proposing whole designs (one step, 6 to 8 heads, most points invalid, a few
// hundred evaluations); bench/bench_agents.cc and tests/rl_proposals_test.cc hold them to it.
struct AgentOptions {
  std::string name = "reinforce";  // one of AgentNames()
  int hidden = 64, layers = 2;     // policy MLP; with no observation its input is a constant 1
  int batch = 16;                  // episodes (one-step problems: proposals) per update
  float learning_rate = 4e-3f;
  float entropy_weight = 0.3f;  // anneals linearly to entropy_final over anneal_steps
  float entropy_final = 0.01f;
  int64_t anneal_steps = 0;  // 0: constant entropy_weight
  AdvantageScale advantage = AdvantageScale::kRanked;
  HeadKind heads = HeadKind::kFactorised;
  Baseline baseline = Baseline::kMoving;
  float baseline_decay = 0.9f;  // of the moving average
  // reinforce, one-step episodes: so many of the best of the last elite_window proposals are
  // learned from again with every batch, elite_weight times as much in all as the batch.
  int elites = 8;
  int64_t elite_window = 400;
  float elite_weight = 0.5f;
  float gamma = 0.99f, lambda = 0.95f;  // discount; GAE (a2c, ppo, softmax)
  int rollout = 0;                      // a2c, ppo: steps per update; 0: one update a round
  float rate_final = 1;                 // a2c, ppo: share of learning_rate left at anneal_steps
  float value_weight = 0.5f, clip_norm = 0.5f;
  float q_step = 0.1f;   // tables of values: step towards the target
  float epsilon = 0.1f;  // qlearning, sarsa: anneals to epsilon_final over anneal_steps
  float epsilon_final = 0.1f;
  int64_t budget = 0;  // evaluations that the whole search may take, for schedules; 0: not known
  uint64_t seed = 1;
};
// For command lines: "factorised", "autoregressive"; "ranks" (advantage by rank), "moving", "batch"
// (advantage to scale, with that baseline). False: unknown, nothing changed.
bool SetHeads(const std::string& name, AgentOptions* options);
bool SetBaseline(const std::string& name, AgentOptions* options);
std::vector<std::string> HeadNames();
std::vector<std::string> BaselineNames();
// Errors: unknown name (lists the agents, suggests the nearest), an option out of its range, a
// problem too large for a table. The environment gives the sizes.
engine::Result<std::unique_ptr<Agent>> MakeAgent(const AgentOptions& options,
                                                 const Environment& environment,
                                                 engine::ThreadPool& pool);

enum class AgentKind {
  kTabular,   // a table of states or of choices: small problems
  kLearning,  // a policy that is trained by its gradient
  kBlackBox,  // a rival that searches points of a one-step problem
  kRelaxed,   // a rival that follows a gradient through relaxed choices of a one-step problem
};
// Whether an agent of this kind has a model whose own proposal may be one that cannot be built.
inline bool Proposes(AgentKind kind) {
  return kind == AgentKind::kLearning || kind == AgentKind::kRelaxed;
}
struct AgentInfo {
  const char* name;
  const char* summary;  // one line
  AgentKind kind;
  // The fewest evaluations with which it does what its name says (a first population, a first model
  // and a step by it); rhnas compare refuses less.
  int64_t minimum = 1;
};
std::vector<AgentInfo> Agents();
std::vector<std::string> AgentNames();

}  // namespace rhnas::rl
