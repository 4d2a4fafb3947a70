#include "search/joint_methods.h"

#include "rl/agent.h"
#include "search/alternation.h"
#include "search/nsga2.h"
#include "search/suggest.h"

namespace rhnas::search {

namespace {

using Made = engine::Result<std::unique_ptr<JointMethod>>;

// The agent that rhnas, hw-fixed and sequential take unless told otherwise.
constexpr const char* kBestAgent = "dyna";

// An agent on all heads at once.
class JointAgent : public JointMethod {
 public:
  JointAgent(std::unique_ptr<rl::Agent> agent, JointEnvironment& joint, uint64_t seed)
      : agent_(std::move(agent)), joint_(joint), rng_(seed, 1) {}
  void Step(int64_t max_evaluations) override { agent_->Round(joint_, max_evaluations, rng_); }
  bool Proposal(std::vector<int>* network, int64_t* point) override {
    const std::vector<int> action = agent_->Proposal(joint_);
    if (action.empty()) return false;
    const auto decisions = static_cast<int>(joint_.problem().network_sizes().size());
    network->assign(action.begin(), action.begin() + decisions);
    *point = joint_.PointOf(action.data() + decisions);
    return true;
  }
  void Save(engine::ArchiveWriter& archive, const std::string& prefix) const override {
    archive.Put(prefix + "rng", rng_.state());
    agent_->Save(archive, prefix + "agent/");
  }
  void Load(engine::ArchiveReader& archive, const std::string& prefix) override {
    engine::Rng::State state;
    archive.Get(prefix + "rng", &state);
    agent_->Load(archive, prefix + "agent/");
    if (archive.status().ok()) rng_.set_state(state);
  }

 private:
  std::unique_ptr<rl::Agent> agent_;
  JointEnvironment& joint_;
  engine::Rng rng_;
};

rl::AgentOptions AgentOf(const JointMethodOptions& options, const char* name) {
  rl::AgentOptions agent;
  agent.name = name != nullptr ? name : options.agent.empty() ? kBestAgent : options.agent;
  agent.budget = options.budget;
  agent.seed = options.seed;
  return agent;
}

enum class Form { kBoth, kGradients, kNetworks, kDesigns, kSequential, kHeads, kNsga2 };

struct Row {
  JointMethodInfo info;
  Form form;
  const char* agent;  // null: as the options say
};
const Row kRows[] = {
    {{"rhnas", "networks by gradient, accelerators by reinforcement learning, in turn", 32},
     Form::kBoth,
     nullptr},
    {{"nas-default", "networks by gradient, on the default accelerator", 16},
     Form::kNetworks,
     nullptr},
    {{"hw-fixed", "accelerators by reinforcement learning, for the most accurate network", 16},
     Form::kDesigns,
     nullptr},
    {{"sequential", "nas-default for half of the budget, then hw-fixed for its network", 32},
     Form::kSequential,
     nullptr},
    {{"diff-autonba", "both by gradient: accelerators by Gumbel-softmax, as Auto-NBA", 32},
     Form::kGradients,
     "relaxation"},
    {{"diff-dance", "both by gradient: accelerators through a learned evaluator, as DANCE", 32},
     Form::kGradients,
     "evaluator"},
    {{"nsga2", "NSGA-II on pairs, accuracy and objective (Deb et al. 2002)", 20},
     Form::kNsga2,
     nullptr},
    {{"evolution", "regularized evolution of pairs", 20}, Form::kHeads, "evolution"},
    {{"heads", "an agent of your choice on all choices of the pair at once", 16},
     Form::kHeads,
     nullptr},
    {{"random", "pairs drawn uniformly", 1}, Form::kHeads, "random"},
};

Made MakeForm(const Row& row, const JointMethodOptions& options, JointEnvironment& joint,
              engine::ThreadPool& pool) {
  const rl::AgentOptions agent = AgentOf(options, row.agent);
  if (row.form == Form::kNsga2) {
    return std::unique_ptr<JointMethod>(std::make_unique<Nsga2>(options, joint));
  }
  if (row.form == Form::kHeads) {
    auto made = rl::MakeAgent(agent, joint, pool);
    if (!made.ok()) return made.status();
    return std::unique_ptr<JointMethod>(
        std::make_unique<JointAgent>(std::move(*made), joint, options.seed));
  }
  AlternationOptions alternation;
  alternation.agent = agent;
  if (row.form == Form::kGradients) alternation.form = NetworkSearch::Form::kOneDistribution;
  alternation.networks = row.form != Form::kDesigns;
  alternation.designs = row.form != Form::kNetworks;
  alternation.one_after_the_other = row.form == Form::kSequential;
  return Alternation::Make(alternation, options, joint, pool);
}

}  // namespace

std::vector<JointMethodInfo> JointMethods(const std::string& agent) {
  JointMethodOptions options;
  options.agent = agent;
  std::vector<JointMethodInfo> infos;
  for (const Row& row : kRows) {
    infos.push_back(row.info);
    if (row.form == Form::kNetworks || row.form == Form::kNsga2) continue;
    const std::string name = AgentOf(options, row.agent).name;
    for (const rl::AgentInfo& known : rl::Agents()) {
      infos.back().proposes |= name == known.name && rl::Proposes(known.kind);
    }
  }
  return infos;
}

std::vector<std::string> JointMethodNames() {
  std::vector<std::string> names;
  for (const Row& row : kRows) names.push_back(row.info.name);
  return names;
}

Made MakeJointMethod(const JointMethodOptions& options, JointEnvironment& environment,
                     engine::ThreadPool& pool) {
  for (const Row& row : kRows) {
    if (options.name != row.info.name) continue;
    if (options.budget < row.info.minimum) {
      return engine::Status::Error(
          "method %s needs a budget of at least %lld evaluations, got %lld", row.info.name,
          static_cast<long long>(row.info.minimum), static_cast<long long>(options.budget));
    }
    const JointPair& reference = environment.problem().reference();
    if (environment.goal().accuracy_min > reference.accuracy) {
      return engine::Status::Error(
          "%s: no network reaches an accuracy of %.6g; the most accurate, %s, has %.6g: lower the "
          "floor",
          environment.problem().name().c_str(), environment.goal().accuracy_min,
          environment.problem().NetworkText(reference.network.data()).c_str(), reference.accuracy);
    }
    return MakeForm(row, options, environment, pool);
  }
  return engine::Status::Error("%s",
                               UnknownWord("method", options.name, JointMethodNames()).c_str());
}

void RunJointMethod(JointMethod& method, JointEnvironment& environment, int64_t evaluations) {
  int idle = 0;
  while (environment.evaluations() < evaluations && idle < 50) {
    const int64_t before = environment.evaluations();
    method.Step(evaluations - before);
    idle = environment.evaluations() == before ? idle + 1 : 0;
  }
}

}  // namespace rhnas::search
