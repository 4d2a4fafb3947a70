// Factorised and autoregressive heads under masks by prefix: probabilities by enumeration,
// gradients against differences of a double-precision twin, exact entropy, and agents on
// environments of 0 to 99.9 % invalid points under all four ways with them.
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "rl/agent.h"
#include "rl/policy.h"
#include "rl/resample.h"
#include "rl/rollout.h"
#include "tests/rl_problems.h"

namespace rhnas::rl {
namespace {

// What an environment lets the agent know, as search::InvalidHandling.
enum class Told { kPenalty, kResample, kStaticMask, kMask };
constexpr Told kAllTold[] = {Told::kPenalty, Told::kResample, Told::kStaticMask, Told::kMask};

// InvalidShare that tells what it knows.
class Telling : public InvalidShare {
 public:
  Telling(std::vector<int> sizes, double invalid, uint64_t seed, Told told)
      : InvalidShare(std::move(sizes), invalid, seed), told_(told) {
    const HeadLayout layout(sizes_);
    bounds_.assign(static_cast<size_t>(layout.total), 0);
    for (size_t p = 0; p < points(); ++p) {
      if (!valid_[p]) continue;
      const std::vector<int> action = ActionOf(p);
      for (size_t h = 0; h < action.size(); ++h) {
        bounds_[static_cast<size_t>(layout.offsets[h] + action[h])] = 1;
      }
    }
  }

  bool Valid(const int* action) const { return valid_[PointOf(action)]; }
  bool Mask(uint8_t* mask) const override {
    if (told_ != Told::kStaticMask && told_ != Told::kMask) return false;
    std::copy(bounds_.begin(), bounds_.end(), mask);
    return true;
  }
  bool MaskHead(int head, const int* action, uint8_t* mask) const override {
    if (told_ != Told::kMask) return false;
    const size_t h = static_cast<size_t>(head);
    // Points that begin with the choices lie together.
    size_t prefix = 0, after = 1;
    for (size_t i = 0; i < h; ++i) {
      prefix = prefix * static_cast<size_t>(sizes_[i]) + static_cast<size_t>(action[i]);
    }
    for (size_t i = h + 1; i < sizes_.size(); ++i) after *= static_cast<size_t>(sizes_[i]);
    for (int choice = 0; choice < sizes_[h]; ++choice) {
      const size_t begin =
          (prefix * static_cast<size_t>(sizes_[h]) + static_cast<size_t>(choice)) * after;
      mask[choice] = std::find(valid_.begin() + static_cast<ptrdiff_t>(begin),
                               valid_.begin() + static_cast<ptrdiff_t>(begin + after),
                               true) != valid_.begin() + static_cast<ptrdiff_t>(begin + after);
    }
    return true;
  }
  bool Admissible(const int* action) const override {
    return (told_ != Told::kResample && told_ != Told::kMask) || Valid(action);
  }

 private:
  Told told_;
  std::vector<uint8_t> bounds_;
};

struct Drawn {
  std::vector<int> action;
  std::vector<uint8_t> mask;
};

// Every action with the masks its heads stand under; those that a mask forbids are left out.
std::vector<Drawn> AllActions(const Environment& environment) {
  const HeadLayout layout(environment.action_sizes());
  std::vector<Drawn> all;
  Drawn drawn{std::vector<int>(layout.sizes.size()), {}};
  for (bool more = true; more;) {
    drawn.mask.assign(static_cast<size_t>(layout.total), 1);
    environment.Mask(drawn.mask.data());
    bool allowed = true;
    for (size_t h = 0; h < layout.sizes.size() && allowed; ++h) {
      uint8_t* mask = drawn.mask.data() + layout.offsets[h];
      environment.MaskHead(static_cast<int>(h), drawn.action.data(), mask);
      allowed = mask[drawn.action[h]] != 0;
    }
    if (allowed) all.push_back(drawn);
    more = false;
    for (size_t h = layout.sizes.size(); h-- > 0 && !more;) {
      more = ++drawn.action[h] < layout.sizes[h];
      if (!more) drawn.action[h] = 0;
    }
  }
  return all;
}

// A policy whose parameters are far from their start.
std::unique_ptr<Policy> Shaken(const Environment& environment, HeadKind heads, uint64_t seed) {
  PolicyOptions options;
  options.hidden = 8;
  options.layers = 1;
  options.heads = heads;
  engine::Rng rng(seed);
  auto policy = std::make_unique<Policy>(environment, options, rng);
  for (engine::Parameter* parameter : policy->parameters()) {
    for (int64_t i = 0; i < parameter->value.size(); ++i) {
      parameter->value.data()[i] += 0.6f * rng.Normal();
    }
  }
  return policy;
}

struct Terms {
  double log_prob, entropy;
};
Terms TermsOf(Policy& policy, const Environment& environment, const Drawn& drawn,
              engine::Tape& tape) {
  std::vector<float> observation(static_cast<size_t>(environment.observation_size()));
  environment.Observe(observation.data());
  tape.Reset();
  const ActionTerms terms =
      policy.Evaluate(tape, observation.data(), 1, drawn.mask.data(), drawn.action.data());
  return {static_cast<double>(tape.value(terms.log_prob)[0]),
          static_cast<double>(tape.value(terms.entropy)[0])};
}

TEST(Heads, ProbabilitiesOfAllActionsSumToOneUnderMasks) {
  engine::ThreadPool pool(1);
  engine::Tape tape(pool);
  for (const HeadKind heads : {HeadKind::kFactorised, HeadKind::kAutoregressive}) {
    for (const Told told : {Told::kPenalty, Told::kStaticMask, Told::kMask}) {
      for (const double invalid : {0.0, 0.5, 0.9, 0.98}) {
        const Telling environment({3, 2, 4, 3}, invalid, 5, told);
        const std::unique_ptr<Policy> policy = Shaken(environment, heads, 11);
        double sum = 0, entropy = 0, mean_of_rows = 0;
        const std::vector<Drawn> all = AllActions(environment);
        for (const Drawn& drawn : all) {
          const Terms terms = TermsOf(*policy, environment, drawn, tape);
          const double p = std::exp(terms.log_prob);
          sum += p;
          entropy -= p * terms.log_prob;
          mean_of_rows += p * terms.entropy;
        }
        EXPECT_NEAR(sum, 1, 1e-5) << "invalid " << invalid;
        // The rows' entropies, averaged over draws, are the entropy of the whole.
        EXPECT_NEAR(entropy, mean_of_rows, 1e-4) << "invalid " << invalid;
        if (told == Told::kMask) {
          EXPECT_EQ(all.size(), environment.valid_points());
        }
      }
    }
  }
}

TEST(Heads, DrawsFollowTheProbabilities) {
  engine::ThreadPool pool(1);
  engine::Tape tape(pool);
  for (const HeadKind heads : {HeadKind::kFactorised, HeadKind::kAutoregressive}) {
    const Telling environment({3, 2, 3}, 0.5, 6, Told::kMask);
    const std::unique_ptr<Policy> policy = Shaken(environment, heads, 12);
    constexpr int kDraws = 40000;
    std::map<std::vector<int>, int> counts;
    Actor actor(*policy, tape);
    engine::Rng rng(13);
    std::vector<int> action(3);
    std::vector<uint8_t> mask(8);
    for (int i = 0; i < kDraws; ++i) {
      ASSERT_TRUE(actor.Draw(environment, nullptr, &rng, action.data(), mask.data()));
      ASSERT_TRUE(environment.Valid(action.data())) << "a forbidden choice has probability 0";
      ++counts[action];
    }
    for (const Drawn& drawn : AllActions(environment)) {
      const double p = std::exp(TermsOf(*policy, environment, drawn, tape).log_prob);
      const double share = static_cast<double>(counts[drawn.action]) / kDraws;
      EXPECT_NEAR(share, p, 4.5 * std::sqrt(p * (1 - p) / kDraws) + 1e-6);
    }
  }
}

// Heads that are drawn see the same logits as heads that are learned from.
TEST(Heads, DrawnMasksAreThoseOfTheChoicesBefore) {
  engine::ThreadPool pool(1);
  engine::Tape tape(pool);
  const Telling environment({4, 3, 4}, 0.8, 7, Told::kMask);
  const std::unique_ptr<Policy> policy = Shaken(environment, HeadKind::kAutoregressive, 14);
  Actor actor(*policy, tape);
  engine::Rng rng(15);
  std::map<std::vector<int>, std::vector<uint8_t>> expected;
  for (const Drawn& drawn : AllActions(environment)) expected[drawn.action] = drawn.mask;
  for (int i = 0; i < 200; ++i) {
    std::vector<int> action(3);
    std::vector<uint8_t> mask(11, 9);
    actor.Draw(environment, nullptr, &rng, action.data(), mask.data());
    ASSERT_EQ(mask, expected[action]);
  }
  // Greedy: each head's most probable choice after those before.
  std::vector<int> greedy(3);
  std::vector<uint8_t> mask(11);
  actor.Draw(environment, nullptr, nullptr, greedy.data(), mask.data());
  EXPECT_EQ(greedy, GreedyFor(environment, *policy, tape));
  EXPECT_TRUE(environment.Valid(greedy.data()));
}

// The policy written out in double precision: sum over rows of advantage x log-probability plus
// 0.3 x mean entropy, from the parameters in the order of Policy::parameters().
class Twin {
 public:
  Twin(const HeadLayout& layout, bool causal, int hidden)
      : layout_(layout), causal_(causal), hidden_(hidden) {}

  double Loss(const std::vector<std::vector<double>>& p, const std::vector<Drawn>& rows,
              const std::vector<double>& advantages) const {
    double loss = 0;
    for (size_t r = 0; r < rows.size(); ++r) {
      double log_prob = 0, entropy = 0;
      Row(p, rows[r], &log_prob, &entropy);
      loss += advantages[r] * log_prob + 0.3 * entropy / static_cast<double>(rows.size());
    }
    return loss;
  }

 private:
  void Row(const std::vector<std::vector<double>>& p, const Drawn& row, double* log_prob,
           double* entropy) const {
    const int total = layout_.total, heads = layout_.heads(), units = CausalHeads::kUnits;
    const int width = causal_ ? total + heads * units : total;
    std::vector<double> trunk(p[3]);
    for (int k = 0; k < hidden_; ++k) {
      const double x = std::tanh(p[0][static_cast<size_t>(k)] + p[1][static_cast<size_t>(k)]);
      for (int o = 0; o < width; ++o) {
        trunk[static_cast<size_t>(o)] += x * p[2][static_cast<size_t>(k * width + o)];
      }
    }
    for (int h = 0; h < heads; ++h) {
      const int begin = layout_.offsets[static_cast<size_t>(h)];
      const int size = layout_.sizes[static_cast<size_t>(h)];
      std::vector<double> logits(trunk.begin() + begin, trunk.begin() + begin + size);
      for (int u = 0; causal_ && u < units; ++u) {
        const int unit = h * units + u;
        double x = trunk[static_cast<size_t>(total + unit)];
        for (int b = 0; b < h; ++b) {
          const int from =
              layout_.offsets[static_cast<size_t>(b)] + row.action[static_cast<size_t>(b)];
          x += p[4][static_cast<size_t>(from * heads * units + unit)];
        }
        for (int i = 0; i < size && x > 0; ++i) {
          logits[static_cast<size_t>(i)] += x * p[6][static_cast<size_t>(unit * total + begin + i)];
        }
      }
      for (int b = 0; causal_ && b < h; ++b) {
        const int from =
            layout_.offsets[static_cast<size_t>(b)] + row.action[static_cast<size_t>(b)];
        for (int i = 0; i < size; ++i) {
          logits[static_cast<size_t>(i)] += p[5][static_cast<size_t>(from * total + begin + i)];
        }
      }
      double sum = 0, weighted = 0;
      for (int i = 0; i < size; ++i) {
        if (row.mask[static_cast<size_t>(begin + i)] == 0) continue;
        const double e = std::exp(logits[static_cast<size_t>(i)]);
        sum += e;
        weighted += e * logits[static_cast<size_t>(i)];
      }
      *log_prob += logits[static_cast<size_t>(row.action[static_cast<size_t>(h)])] - std::log(sum);
      *entropy += std::log(sum) - weighted / sum;
    }
  }
  HeadLayout layout_;
  bool causal_;
  int hidden_;
};

TEST(Heads, GradientMatchesDifferencesInDouble) {
  for (const HeadKind heads : {HeadKind::kFactorised, HeadKind::kAutoregressive}) {
    const Telling environment({3, 2, 3}, 0.4, 8, Told::kMask);
    const std::unique_ptr<Policy> policy = Shaken(environment, heads, 16);
    const std::vector<Drawn> all = AllActions(environment);
    std::vector<Drawn> rows;
    std::vector<double> advantages;
    std::vector<int32_t> actions;
    std::vector<uint8_t> masks;
    for (size_t i = 0; i < all.size(); i += 2) {
      rows.push_back(all[i]);
      advantages.push_back(i % 4 == 0 ? 0.7 : -0.4);
      actions.insert(actions.end(), all[i].action.begin(), all[i].action.end());
      masks.insert(masks.end(), all[i].mask.begin(), all[i].mask.end());
    }
    const int count = static_cast<int>(rows.size());
    engine::ThreadPool pool(1);
    engine::Tape tape(pool);
    std::vector<std::vector<double>> values;
    for (engine::Parameter* p : policy->parameters()) {
      values.emplace_back(p->value.data(), p->value.data() + p->value.size());
      p->ZeroGrad();
    }
    const ActionTerms terms = policy->Evaluate(tape, nullptr, count, masks.data(), actions.data());
    std::vector<float> weights(advantages.begin(), advantages.end());
    const engine::Var loss = engine::Add(
        tape,
        engine::Sum(tape, engine::Mul(tape, terms.log_prob,
                                      tape.Constant(engine::Shape(count), weights.data()))),
        engine::Scale(tape, terms.entropy, 0.3f));
    const Twin twin(policy->layout(), heads == HeadKind::kAutoregressive, 8);
    EXPECT_NEAR(static_cast<double>(tape.value(loss)[0]), twin.Loss(values, rows, advantages),
                1e-4);
    tape.Backward(loss);
    const std::vector<engine::Parameter*> parameters = policy->parameters();
    int moved = 0;
    for (size_t k = 0; k < values.size(); ++k) {
      for (size_t i = 0; i < values[k].size(); ++i) {
        const double kept = values[k][i], step = 1e-5;
        values[k][i] = kept + step;
        const double up = twin.Loss(values, rows, advantages);
        values[k][i] = kept - step;
        const double down = twin.Loss(values, rows, advantages);
        values[k][i] = kept;
        const double numeric = (up - down) / (2 * step);
        moved += std::fabs(numeric) > 1e-3;
        ASSERT_NEAR(static_cast<double>(parameters[k]->grad.data()[i]), numeric, 2e-4)
            << parameters[k]->name << "[" << i << "]";
      }
    }
    EXPECT_GT(moved, 30);
  }
}

// Which first choice suits depends on nothing, which second one on the first: what independent
// heads cannot say, autoregressive heads learn.
class Agreement : public OneStep {
 public:
  Agreement() : OneStep({4, 4}) {
    for (size_t p = 0; p < 16; ++p) {
      reward_.push_back(p / 4 == (p + 1) % 4 ? 1 : 0);
      valid_.push_back(true);
    }
  }
};

TEST(Heads, AutoregressiveHeadsLearnAgreement) {
  double mean[2];
  for (const HeadKind heads : {HeadKind::kFactorised, HeadKind::kAutoregressive}) {
    Agreement problem;
    AgentOptions options;
    options.heads = heads;
    options.advantage = AdvantageScale::kScaled;
    options.baseline = Baseline::kBatch;
    options.elites = 0;
    options.entropy_weight = 1.0f;  // keeps all four solutions alive
    options.learning_rate = 1e-2f;
    engine::ThreadPool pool(1);
    auto agent = MakeAgent(options, problem, pool);
    ASSERT_TRUE(agent.ok());
    engine::Rng rng(17);
    double sum = 0;
    for (int round = 0; round < 300; ++round) {
      const RoundStats stats = (*agent)->Round(problem, 64, rng);
      if (round >= 250) sum += stats.mean_return / 50;
    }
    mean[heads == HeadKind::kAutoregressive] = sum;
  }
  EXPECT_GT(mean[1], 0.75);
  EXPECT_GT(mean[1], mean[0] + 0.2);
}

// Share of valid proposals, under every handling, kind of head and agent. Never a NaN (the player
// checks rewards; here what is learned).
TEST(Heads, AllHandlingsReachTheirShareValid) {
  for (const double invalid : {0.0, 0.1, 0.5, 0.9, 0.99, 0.999}) {
    for (const Told told : kAllTold) {
      for (const HeadKind heads : {HeadKind::kFactorised, HeadKind::kAutoregressive}) {
        for (const char* name : {"reinforce", "a2c"}) {
          Telling problem({4, 7, 7, 4, 4}, invalid, 21, told);
          AgentOptions options;
          options.name = name;
          options.heads = heads;
          options.hidden = 16;
          options.layers = 1;
          engine::ThreadPool pool(1);
          auto agent = MakeAgent(options, problem, pool);
          ASSERT_TRUE(agent.ok());
          engine::Rng rng(22);
          int64_t last = 0, valid = 0;
          const int rounds = told == Told::kPenalty || told == Told::kStaticMask ? 50 : 4;
          for (int round = 0; round < rounds; ++round) {
            if (round == rounds - 4) problem.ForgetCounts();
            const RoundStats stats = (*agent)->Round(problem, 16, rng);
            ASSERT_TRUE(std::isfinite(stats.mean_return) && std::isfinite(stats.entropy) &&
                        std::isfinite(stats.gradient_norm));
          }
          last = problem.steps();
          valid = static_cast<int64_t>(problem.share_valid() * static_cast<double>(last) + 0.5);
          const std::string where =
              std::string(name) + " told " + std::to_string(static_cast<int>(told)) + " heads " +
              std::to_string(static_cast<int>(heads)) + " invalid " + std::to_string(invalid);
          if (told == Told::kMask || invalid == 0) {
            EXPECT_EQ(valid, last) << where;
          } else if (told == Told::kResample) {
            // 1,024 draws find one of a thousandth with 64 %; the policy learns besides.
            EXPECT_GE(problem.share_valid(), invalid < 0.995 ? 1.0 : 0.4) << where;
          } else if (invalid <= 0.5) {
            EXPECT_GE(problem.share_valid(), 0.6) << where;
          }
        }
      }
    }
  }
}

// With a budget reinforce keeps what it proposed: a resumed agent must go on to the same bits.
// A policy that has moved to where nothing is allowed is led back by uniform draws.
TEST(Heads, ResamplingLeavesACollapsedPolicy) {
  class Sevens : public Environment {
   public:
    const std::vector<int>& action_sizes() const override { return sizes_; }
    void Reset(engine::Rng& /*rng*/) override {}
    bool Admissible(const int* action) const override { return action[0] == 7; }
    StepResult Act(const int* action, engine::Rng& /*rng*/) override {
      StepResult step;
      step.terminal = true;
      step.valid = action[0] == 7;
      return step;
    }

   private:
    std::vector<int> sizes_ = {8, 8};
  };
  Sevens environment;
  engine::ThreadPool pool(1);
  engine::Tape tape(pool);
  engine::Rng rng(3);
  Policy policy(environment, PolicyOptions(), rng);
  for (engine::Parameter* parameter : policy.parameters()) {
    std::fill_n(parameter->value.data(), parameter->value.size(), 0.0f);
  }
  engine::Parameter* bias = policy.parameters().back();
  ASSERT_EQ(bias->value.size(), 16);
  bias->value.data()[0] = bias->value.data()[8] = 60;  // (0, 0), always
  Actor actor(policy, tape);
  Rollout rollout;
  Player(environment, rng).Gather(actor, 20, 20, &rollout);
  ASSERT_EQ(rollout.rows, 20);
  std::set<int> seconds;
  for (int row = 0; row < rollout.rows; ++row) {
    EXPECT_EQ(rollout.actions[static_cast<size_t>(2 * row)], 7) << "row " << row;
    seconds.insert(rollout.actions[static_cast<size_t>(2 * row + 1)]);
  }
  EXPECT_GT(seconds.size(), 3u);
}

TEST(Heads, ResumesWithABudgetToTheSameBits) {
  engine::ThreadPool pool(1);
  AgentOptions options;
  options.heads = HeadKind::kAutoregressive;
  options.budget = 60;
  Telling problem({4, 7, 7}, 0.5, 31, Told::kMask);
  auto whole = MakeAgent(options, problem, pool), part = MakeAgent(options, problem, pool);
  ASSERT_TRUE(whole.ok() && part.ok());
  engine::Rng rng(32), again(32);
  for (int round = 0; round < 40; ++round) {
    const RoundStats stats = (*whole)->Round(problem, 16, rng);
    EXPECT_EQ(stats.steps, 8) << "with a budget batches are of 8";
  }
  for (int round = 0; round < 15; ++round) (*part)->Round(problem, 16, again);
  engine::ArchiveWriter writer;
  (*part)->Save(writer, "agent/");
  const std::string path = testing::TempDir() + "budget.ckpt";
  ASSERT_TRUE(writer.Save(path).ok());
  auto reader = engine::ArchiveReader::Open(path);
  ASSERT_TRUE(reader.ok());
  auto resumed = MakeAgent(options, problem, pool);
  (*resumed)->Load(*reader, "agent/");
  ASSERT_TRUE(reader->status().ok()) << reader->status().message();
  for (int round = 15; round < 40; ++round) (*resumed)->Round(problem, 16, again);
  EXPECT_EQ(Fingerprint(**whole, testing::TempDir() + "a.ckpt"),
            Fingerprint(**resumed, testing::TempDir() + "b.ckpt"));
}

TEST(Heads, NamesSelectOptions) {
  AgentOptions options;
  for (const std::string& name : HeadNames()) EXPECT_TRUE(SetHeads(name, &options));
  EXPECT_EQ(options.heads, HeadKind::kAutoregressive);
  EXPECT_FALSE(SetHeads("both", &options));
  for (const std::string& name : BaselineNames()) EXPECT_TRUE(SetBaseline(name, &options));
  EXPECT_EQ(options.baseline, Baseline::kBatch);
  EXPECT_EQ(options.advantage, AdvantageScale::kScaled);
  EXPECT_TRUE(SetBaseline("ranks", &options));
  EXPECT_EQ(options.advantage, AdvantageScale::kRanked);
  EXPECT_FALSE(SetBaseline("", &options));
}

}  // namespace
}  // namespace rhnas::rl
