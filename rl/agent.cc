#include "rl/agent.h"

#include <algorithm>
#include <cmath>

#include "rl/actor_critic.h"
#include "rl/annealing.h"
#include "rl/ant_colony.h"
#include "rl/bayesian.h"
#include "rl/cma_es.h"
#include "rl/coordinate.h"
#include "rl/dyna.h"
#include "rl/evaluator.h"
#include "rl/evolution.h"
#include "rl/exhaustive.h"
#include "rl/genetic.h"
#include "rl/ppo.h"
#include "rl/q_learning.h"
#include "rl/random_search.h"
#include "rl/reinforce.h"
#include "rl/relaxation.h"
#include "rl/sarsa.h"
#include "rl/softmax_table.h"

namespace rhnas::rl {

namespace {

using engine::Status;

// Levenshtein distance, for suggestions.
size_t EditDistance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

Status UnknownAgent(const std::string& name) {
  std::string list, nearest;
  for (const std::string& known : AgentNames()) {
    list += (list.empty() ? "" : ", ") + known;
    if (nearest.empty() || EditDistance(name, known) < EditDistance(name, nearest)) nearest = known;
  }
  return Status::Error("unknown agent \"%s\"; did you mean \"%s\"? Agents: %s", name.c_str(),
                       nearest.c_str(), list.c_str());
}

Status NotIn(const char* option, double value, const char* range) {
  return Status::Error("agent option %s is %g, expected %s", option, value, range);
}

Status CheckOptions(const AgentOptions& o) {
  if (o.hidden < 1 || o.hidden > 4096) return NotIn("hidden", o.hidden, "1 to 4096");
  if (o.layers < 0 || o.layers > 16) return NotIn("layers", o.layers, "0 to 16");
  if (o.batch < 1) return NotIn("batch", o.batch, "1 or more");
  if (o.anneal_steps < 0) {
    return NotIn("anneal_steps", static_cast<double>(o.anneal_steps), "0 or more");
  }
  if (o.elites < 0 || o.elites > 4096) return NotIn("elites", o.elites, "0 to 4096");
  if (o.elite_window < 0) {
    return NotIn("elite_window", static_cast<double>(o.elite_window), "0 or more");
  }
  if (o.rollout < 0) return NotIn("rollout", o.rollout, "0 or more");
  struct Range {
    const char* name;
    float value, low, high;
    const char* text;
  };
  const float huge = 1e6f;
  for (const Range& range : {
           Range{"learning_rate", o.learning_rate, 0, 1, "0 to 1"},
           Range{"entropy_weight", o.entropy_weight, 0, huge, "0 to 1e6"},
           Range{"entropy_final", o.entropy_final, 0, huge, "0 to 1e6"},
           Range{"baseline_decay", o.baseline_decay, 0, 0.99999f, "0 to 0.99999"},
           Range{"gamma", o.gamma, 0, 1, "0 to 1"},
           Range{"lambda", o.lambda, 0, 1, "0 to 1"},
           Range{"elite_weight", o.elite_weight, 0, huge, "0 to 1e6"},
           Range{"rate_final", o.rate_final, 0, 1, "0 to 1"},
           Range{"value_weight", o.value_weight, 0, huge, "0 to 1e6"},
           Range{"clip_norm", o.clip_norm, 1e-6f, huge, "1e-6 to 1e6"},
           Range{"q_step", o.q_step, 0, 1, "0 to 1"},
           Range{"epsilon", o.epsilon, 0, 1, "0 to 1"},
           Range{"epsilon_final", o.epsilon_final, 0, 1, "0 to 1"},
       }) {
    // Written so that not-a-number fails, too.
    if (!(range.value >= range.low && range.value <= range.high)) {
      return NotIn(range.name, static_cast<double>(range.value), range.text);
    }
  }
  return Status::Ok();
}

template <class T>
engine::Result<std::unique_ptr<Agent>> Make(const AgentOptions& options,
                                            const Environment& environment,
                                            engine::ThreadPool& pool) {
  return std::unique_ptr<Agent>(std::make_unique<T>(options, environment, pool));
}

engine::Result<std::unique_ptr<Agent>> MakeRandom(const AgentOptions& options,
                                                  const Environment& /*environment*/,
                                                  engine::ThreadPool& /*pool*/) {
  return std::unique_ptr<Agent>(std::make_unique<RandomSearch>(options));
}

engine::Result<std::unique_ptr<Agent>> MakePpo(const AgentOptions& options,
                                               const Environment& environment,
                                               engine::ThreadPool& pool) {
  return std::unique_ptr<Agent>(std::make_unique<Ppo>(options, PpoOptions(), environment, pool));
}

std::unique_ptr<Agent> NewTable(const AgentOptions& options, const Environment& environment) {
  if (options.name == "sarsa") return std::make_unique<Sarsa>(options, environment);
  if (options.name == "expected-sarsa") {
    return std::make_unique<ExpectedSarsa>(options, environment);
  }
  if (options.name == "softmax") {
    return std::make_unique<SoftmaxTable>(options, SoftmaxTableOptions(), environment);
  }
  return std::make_unique<QLearning>(options, environment);
}

engine::Result<std::unique_ptr<Agent>> MakeTable(const AgentOptions& options,
                                                 const Environment& environment,
                                                 engine::ThreadPool& /*pool*/) {
  if (DecisionTree::Entries(environment) > DecisionTree::kMaxEntries) {
    return Status::Error(
        "agent %s keeps a table of at most %lld entries and this problem has more; use reinforce, "
        "a2c or ppo",
        options.name.c_str(), static_cast<long long>(DecisionTree::kMaxEntries));
  }
  return NewTable(options, environment);
}

template <class T>
engine::Result<std::unique_ptr<Agent>> MakeRival(const AgentOptions& options,
                                                 const Environment& environment,
                                                 engine::ThreadPool& /*pool*/) {
  return std::unique_ptr<Agent>(std::make_unique<T>(options, environment));
}

engine::Result<std::unique_ptr<Agent>> MakeDynaWithoutPolicy(const AgentOptions& options,
                                                             const Environment& environment,
                                                             engine::ThreadPool& /*pool*/) {
  return std::unique_ptr<Agent>(
      std::make_unique<Dyna>(options, environment, DynaOptions::WithoutPolicy()));
}

engine::Result<std::unique_ptr<Agent>> MakeExhaustive(const AgentOptions& options,
                                                      const Environment& environment,
                                                      engine::ThreadPool& /*pool*/) {
  if (!Exhaustive::Enumerable(environment)) {
    return Status::Error(
        "agent exhaustive walks at most %lld points and this problem has more; use evolution or gp",
        static_cast<long long>(Exhaustive::kMost));
  }
  return std::unique_ptr<Agent>(std::make_unique<Exhaustive>(options, environment));
}

engine::Result<std::unique_ptr<Agent>> MakeRelaxation(const AgentOptions& options,
                                                      const Environment& environment,
                                                      engine::ThreadPool& pool) {
  RelaxationOptions relaxation;
  for (const RelaxationOptions& other :
       {RelaxationOptions::Published(), RelaxationOptions::Uncentred()}) {
    if (options.name == other.name) relaxation = other;
  }
  return std::unique_ptr<Agent>(
      std::make_unique<Relaxation>(options, relaxation, environment, pool));
}

engine::Result<std::unique_ptr<Agent>> MakeEvaluator(const AgentOptions& options,
                                                     const Environment& environment,
                                                     engine::ThreadPool& pool) {
  EvaluatorOptions evaluator;
  for (const EvaluatorOptions& other : {EvaluatorOptions::Edd(), EvaluatorOptions::Hdx()}) {
    if (options.name == other.name) evaluator = other;
  }
  return std::unique_ptr<Agent>(std::make_unique<Evaluator>(options, evaluator, environment, pool));
}

// Every agent, in the order of the help. A new one is a row.
struct AgentRow {
  AgentInfo info;
  engine::Result<std::unique_ptr<Agent>> (*make)(const AgentOptions&, const Environment&,
                                                 engine::ThreadPool&);
};
const AgentRow kAgents[] = {
    {{"reinforce", "batches of REINFORCE, rank scores, memory of the best", AgentKind::kLearning,
      9},
     Make<Reinforce>},
    {{"a2c", "advantage actor-critic with GAE", AgentKind::kLearning, 17}, Make<ActorCritic>},
    {{"dyna", "model-based policy optimisation (DyNA-PPO)", AgentKind::kLearning, 9},
     MakeRival<Dyna>},
    {{"dyna-nopolicy", "the same without its policy, an ablation", AgentKind::kBlackBox, 9},
     MakeDynaWithoutPolicy},
    {{"ppo", "proximal policy optimisation", AgentKind::kLearning, 17}, MakePpo},
    {{"qlearning", "tabular Q-learning", AgentKind::kTabular}, MakeTable},
    {{"sarsa", "tabular SARSA", AgentKind::kTabular}, MakeTable},
    {{"expected-sarsa", "tabular expected SARSA", AgentKind::kTabular}, MakeTable},
    {{"softmax", "policy gradient on a table of preferences", AgentKind::kTabular}, MakeTable},
    {{"random", "uniform among what is allowed", AgentKind::kBlackBox}, MakeRandom},
    {{"exhaustive", "all points in order", AgentKind::kBlackBox}, MakeExhaustive},
    {{"evolution", "regularized evolution", AgentKind::kBlackBox, 9},
     MakeRival<RegularizedEvolution>},
    {{"genetic", "genetic algorithm", AgentKind::kBlackBox, 7}, MakeRival<Genetic>},
    {{"annealing", "simulated annealing", AgentKind::kBlackBox, 3}, MakeRival<Annealing>},
    {{"coordinate", "cyclic coordinate descent", AgentKind::kBlackBox},
     MakeRival<CoordinateDescent>},
    {{"cmaes", "CMA-ES on the unit cube", AgentKind::kBlackBox, 12}, MakeRival<CmaEs>},
    {{"antcolony", "ant colony optimisation", AgentKind::kBlackBox, 9}, MakeRival<AntColony>},
    {{"gp", "Gaussian process, expected improvement", AgentKind::kBlackBox, 2},
     MakeRival<BayesianSearch>},
    {{"relaxation", "Gumbel-softmax, straight-through (Auto-NBA), tuned, centred costs",
      AgentKind::kRelaxed, 2},
     MakeRelaxation},
    {{"relaxation-uncentred", "the same with the published loss: drifts off what can be built",
      AgentKind::kRelaxed, 2},
     MakeRelaxation},
    {{"relaxation-published", "the same as published: logits hardly move", AgentKind::kRelaxed, 2},
     MakeRelaxation},
    {{"evaluator", "gradients through a learned evaluator (DANCE)", AgentKind::kRelaxed, 9},
     MakeEvaluator},
    {{"evaluator-edd", "the same with EDD's barrier at the area cap", AgentKind::kRelaxed, 9},
     MakeEvaluator},
    {{"evaluator-hdx", "the same with HDX's gradient projection", AgentKind::kRelaxed, 9},
     MakeEvaluator},
};

}  // namespace

std::vector<AgentInfo> Agents() {
  std::vector<AgentInfo> infos;
  for (const AgentRow& row : kAgents) infos.push_back(row.info);
  return infos;
}

std::vector<std::string> AgentNames() {
  std::vector<std::string> names;
  for (const AgentRow& row : kAgents) names.push_back(row.info.name);
  return names;
}

std::vector<std::string> HeadNames() { return {"factorised", "autoregressive"}; }
std::vector<std::string> BaselineNames() { return {"ranks", "moving", "batch"}; }

bool SetHeads(const std::string& name, AgentOptions* options) {
  if (name != "factorised" && name != "autoregressive") return false;
  options->heads = name == "autoregressive" ? HeadKind::kAutoregressive : HeadKind::kFactorised;
  return true;
}

bool SetBaseline(const std::string& name, AgentOptions* options) {
  if (name != "ranks" && name != "moving" && name != "batch") return false;
  options->advantage = name == "ranks" ? AdvantageScale::kRanked : AdvantageScale::kScaled;
  options->baseline = name == "batch" ? Baseline::kBatch : Baseline::kMoving;
  return true;
}

engine::Result<std::unique_ptr<Agent>> MakeAgent(const AgentOptions& options,
                                                 const Environment& environment,
                                                 engine::ThreadPool& pool) {
  for (const AgentRow& row : kAgents) {
    if (options.name != row.info.name) continue;
    const Status checked = CheckOptions(options);
    if (!checked.ok()) return checked;
    return row.make(options, environment, pool);
  }
  return UnknownAgent(options.name);
}

}  // namespace rhnas::rl
