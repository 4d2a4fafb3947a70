#include "rl/actor_critic.h"

#include <algorithm>

#include "engine/ops.h"
#include "rl/policy_gradient.h"

namespace rhnas::rl {

using engine::Var;

namespace {

MlpOptions CriticOf(const AgentOptions& options, const Environment& environment) {
  MlpOptions critic;
  critic.inputs = environment.observation_size();
  critic.hidden = options.hidden;
  critic.layers = options.layers;
  return critic;
}

std::vector<double> Doubles(const float* values, int count) {
  return std::vector<double>(values, values + count);
}

}  // namespace

ActorCritic::ActorCritic(const AgentOptions& options, const Environment& environment,
                         engine::ThreadPool& pool)
    : options_(options),
      pool_(pool),
      tape_(pool),
      init_(options.seed),
      policy_(environment, PolicyOptionsOf(options), init_),
      critic_("critic", CriticOf(options, environment), init_),
      policy_adam_(policy_.parameters(), engine::AdamOptions()),
      critic_adam_(critic_.parameters(), engine::AdamOptions()) {}

RoundStats ActorCritic::Round(Environment& environment, int64_t max_steps, engine::Rng& rng) {
  RoundStats stats;
  Player player(environment, rng);
  while (stats.episodes < options_.batch && stats.steps < max_steps) {
    int64_t chunk = max_steps - stats.steps;
    if (options_.rollout > 0) chunk = std::min<int64_t>(chunk, options_.rollout);
    rollout_.Clear();
    Actor actor(policy_, tape_);
    player.Gather(actor, chunk, options_.batch - static_cast<int>(stats.episodes), &rollout_);
    CountReturns(rollout_, &stats);
    Update(&stats);
    steps_ += rollout_.rows;
  }
  FinishStats(&stats);
  return stats;
}

void ActorCritic::Update(RoundStats* stats) {
  const int rows = rollout_.rows;
  tape_.Reset();
  std::vector<double> reached;
  if (rollout_.reached_rows > 0) {
    const Var beyond = critic_.Forward(tape_, rollout_.reached.data(), rollout_.reached_rows);
    reached = Doubles(tape_.value(beyond), rollout_.reached_rows);
  }
  const Var value = critic_.Forward(tape_, rollout_.observations.data(), rows);
  const std::vector<double> values = Doubles(tape_.value(value), rows);
  std::vector<double> advantages =
      GeneralizedAdvantages(rollout_, values, reached, static_cast<double>(options_.gamma),
                            static_cast<double>(options_.lambda));
  std::vector<double> returns = advantages;
  std::vector<float> targets;
  for (size_t i = 0; i < returns.size(); ++i) {
    returns[i] += values[i];
    targets.push_back(static_cast<float>(returns[i]));
  }
  stats->baseline = MomentsOf(values).mean;
  const double spread = MomentsOf(returns).variance;
  stats->explained_variance = spread > 0 ? 1 - MomentsOf(advantages).variance / spread : 0;
  if (options_.advantage != AdvantageScale::kRaw) Standardize(&advantages);

  const ActionTerms terms =
      policy_.Evaluate(tape_, rollout_.observations.data(), rows,
                       rollout_.masked ? rollout_.masks.data() : nullptr, rollout_.actions.data());
  stats->entropy = static_cast<double>(tape_.value(terms.entropy)[0]);
  const Var error =
      engine::Sub(tape_, value, tape_.Constant(engine::Shape(rows, 1), targets.data()));
  const Var value_loss = engine::Mean(tape_, engine::Mul(tape_, error, error));
  const Var loss =
      engine::Add(tape_, PolicyLoss(tape_, terms, advantages, EntropyWeight(options_, steps_)),
                  engine::Scale(tape_, value_loss, options_.value_weight));
  policy_adam_.ZeroGrad();
  critic_adam_.ZeroGrad();
  tape_.Backward(loss);
  stats->gradient_norm =
      static_cast<double>(engine::ClipGradNorm(policy_adam_.parameters(), options_.clip_norm));
  engine::ClipGradNorm(critic_adam_.parameters(), options_.clip_norm);
  policy_adam_.Step(options_.learning_rate, pool_);
  critic_adam_.Step(options_.learning_rate, pool_);
}

double ActorCritic::Value(const float* observation) {
  tape_.Reset();
  return static_cast<double>(tape_.value(critic_.Forward(tape_, observation, 1))[0]);
}

std::vector<int> ActorCritic::Greedy(const Environment& environment) {
  return GreedyFor(environment, policy_, tape_);
}

void ActorCritic::Save(engine::ArchiveWriter& archive, const std::string& prefix) const {
  policy_.Save(archive, prefix);
  critic_.Save(archive, prefix);
  policy_adam_.Save(archive, prefix + "policy_adam/");
  critic_adam_.Save(archive, prefix + "critic_adam/");
  archive.Put(prefix + "steps", steps_);
}

void ActorCritic::Load(engine::ArchiveReader& archive, const std::string& prefix) {
  policy_.Load(archive, prefix);
  critic_.Load(archive, prefix);
  policy_adam_.Load(archive, prefix + "policy_adam/");
  critic_adam_.Load(archive, prefix + "critic_adam/");
  archive.Get(prefix + "steps", &steps_);
}

}  // namespace rhnas::rl
