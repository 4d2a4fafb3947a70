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

// Every row is an episode: proposals, of which the best counts and not the mean.
bool OneStep(const Rollout& rollout) {
  return std::all_of(rollout.ends.begin(), rollout.ends.end(),
                     [](StepEnd end) { return end == StepEnd::kTerminal; });
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

const char* ActorCritic::name() const { return "a2c"; }

RoundStats ActorCritic::Round(Environment& environment, int64_t max_steps, engine::Rng& rng) {
  RoundStats stats;
  Player player(environment, rng);
  while (stats.episodes < options_.batch && stats.steps < max_steps) {
    int64_t chunk = max_steps - stats.steps;
    int episodes = options_.batch;
    if (options_.rollout > 0) {
      chunk = std::min<int64_t>(chunk, options_.rollout);
      // Rollouts are whole: the last of a round would else be a few steps of noise.
      episodes = options_.rollout;
    }
    rollout_.Clear();
    Actor actor(policy_, tape_);
    player.Gather(actor, chunk, episodes, &rollout_);
    CountReturns(rollout_, &stats);
    Update(rng, &stats);
    steps_ += rollout_.rows;
  }
  FinishStats(&stats);
  return stats;
}

float ActorCritic::EntropyBonus() const { return EntropyWeight(options_, steps_); }

ActionTerms ActorCritic::Terms(const Rollout& rollout) {
  return policy_.Evaluate(tape_, rollout.observations.data(), rollout.rows,
                          rollout.masked ? rollout.masks.data() : nullptr, rollout.actions.data());
}

Var ActorCritic::Values(const Rollout& rollout) {
  return critic_.Forward(tape_, rollout.observations.data(), rollout.rows);
}

Var ActorCritic::Judge(RoundStats* stats) {
  tape_.Reset();
  std::vector<double> reached;
  if (rollout_.reached_rows > 0) {
    const Var beyond = critic_.Forward(tape_, rollout_.reached.data(), rollout_.reached_rows);
    reached = Doubles(tape_.value(beyond), rollout_.reached_rows);
  }
  const Var value = Values(rollout_);
  values_ = Doubles(tape_.value(value), rollout_.rows);
  advantages_ =
      GeneralizedAdvantages(rollout_, values_, reached, static_cast<double>(options_.gamma),
                            static_cast<double>(options_.lambda));
  returns_ = advantages_;
  for (size_t i = 0; i < returns_.size(); ++i) returns_[i] += values_[i];
  stats->baseline = MomentsOf(values_).mean;
  const double spread = MomentsOf(returns_).variance;
  stats->explained_variance = spread > 0 ? 1 - MomentsOf(advantages_).variance / spread : 0;
  if (options_.advantage == AdvantageScale::kRanked && OneStep(rollout_)) {
    RankScores(&advantages_);
  } else if (options_.advantage != AdvantageScale::kRaw) {
    Standardize(&advantages_);
  }
  return value;
}

void ActorCritic::Update(engine::Rng& /*rng*/, RoundStats* stats) {
  const Var value = Judge(stats);
  const ActionTerms terms = Terms(rollout_);
  stats->entropy = static_cast<double>(tape_.value(terms.entropy)[0]);
  const std::vector<float> targets(returns_.begin(), returns_.end());
  Descend(terms, advantages_, value, targets, nullptr, EntropyBonus(), stats);
}

void ActorCritic::Descend(const ActionTerms& terms, const std::vector<double>& weights, Var value,
                          const std::vector<float>& targets, const float* keep,
                          float entropy_weight, RoundStats* stats) {
  const engine::Shape column(static_cast<int>(targets.size()), 1);
  Var error = engine::Sub(tape_, value, tape_.Constant(column, targets.data()));
  if (keep != nullptr) error = engine::Mul(tape_, error, tape_.Constant(column, keep));
  const Var value_loss = engine::Mean(tape_, engine::Mul(tape_, error, error));
  const Var loss = engine::Add(tape_, PolicyLoss(tape_, terms, weights, entropy_weight),
                               engine::Scale(tape_, value_loss, options_.value_weight));
  policy_adam_.ZeroGrad();
  critic_adam_.ZeroGrad();
  tape_.Backward(loss);
  stats->gradient_norm =
      static_cast<double>(engine::ClipGradNorm(policy_adam_.parameters(), options_.clip_norm));
  engine::ClipGradNorm(critic_adam_.parameters(), options_.clip_norm);
  const float rate = LearningRate(options_, steps_);
  policy_adam_.Step(rate, pool_);
  critic_adam_.Step(rate, pool_);
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
