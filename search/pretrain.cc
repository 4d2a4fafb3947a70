#include "search/pretrain.h"

#include <algorithm>

#include "engine/hash.h"
#include "engine/ops.h"
#include "rl/double_math.h"
#include "search/layers.h"

namespace rhnas::search {

namespace {

// Streams of the seed.
constexpr uint64_t kTraining = 0x7472, kTesting = 0x7465;
// Caps that are trained for: a third of the networks has none, the others from a half of the
// reference's area to four times it.
constexpr float kCapped = 2.0f / 3, kLeastLog2 = -1, kMostLog2 = 2;

// Of a space so small that one half is empty, a network of the other is taken.
constexpr int kMostDraws = 256;

bool OfTestHalf(const nn::Genotype& genotype) {
  engine::Fnv1a hash;
  for (int choice : genotype.choice) {
    const unsigned char byte = static_cast<unsigned char>(choice);
    hash.Add(&byte, 1);
  }
  return (hash.value() * 0x9e3779b97f4a7c15ull >> 63) != 0;
}

nn::Genotype AnyNetwork(const nn::Space& space, engine::Rng& rng) {
  nn::Genotype genotype;
  for (int slot : space.searchable()) {
    const size_t candidates = space.slots[static_cast<size_t>(slot)].candidates.size();
    genotype.choice.push_back(static_cast<int>(rng.Below(static_cast<uint32_t>(candidates))));
  }
  return genotype;
}

nn::Genotype RandomNetwork(const nn::Space& space, bool test, engine::Rng& rng) {
  nn::Genotype genotype = AnyNetwork(space, rng);
  for (int i = 1; i < kMostDraws && OfTestHalf(genotype) != test; ++i) {
    genotype = AnyNetwork(space, rng);
  }
  return genotype;
}

// One network under one cap, with what there is to know of it.
struct Task {
  std::vector<float> inputs = std::vector<float>(static_cast<size_t>(Proposer::kInputs));
  std::vector<int> rows;        // of the points allowed
  std::vector<double> rewards;  // of these: -log(objective / best)
};

void MakeTask(const nn::Space& networks, const SpaceCosts& costs, Objective objective, bool test,
              double area_max, engine::Rng& rng, Task* task) {
  const nn::Genotype genotype = RandomNetwork(networks, test, rng);
  Proposer::Observe(ToHardwareLayers(nn::LayersOf(networks, genotype)), area_max,
                    task->inputs.data());
  std::vector<double> logs;
  std::vector<uint8_t> runs;
  costs.Landscape(genotype.choice, objective, &logs, &runs);
  task->rows.clear();
  task->rewards.clear();
  double best = 0;
  for (size_t row = 0; row < logs.size(); ++row) {
    if (runs[row] == 0 || (area_max > 0 && costs.areas()[row] > area_max)) continue;
    best = task->rows.empty() ? logs[row] : std::min(best, logs[row]);
    task->rows.push_back(static_cast<int>(row));
    task->rewards.push_back(logs[row]);
  }
  for (double& reward : task->rewards) reward = best - reward;
}

std::vector<uint16_t> TermsOf(const Proposer& proposer, const std::vector<int64_t>& points) {
  std::vector<uint16_t> terms;
  for (int64_t point : points) proposer.Terms(point, &terms);
  return terms;
}

// Logits of a task's points from one row of the policy's outputs.
void Logits(const Task& task, const std::vector<uint16_t>& terms, size_t width, const float* out,
            std::vector<double>* logits) {
  logits->resize(task.rows.size());
  for (size_t i = 0; i < task.rows.size(); ++i) {
    const uint16_t* columns = &terms[static_cast<size_t>(task.rows[i]) * width];
    float sum = 0;
    for (size_t t = 0; t < width; ++t) sum += out[columns[t]];
    (*logits)[i] = static_cast<double>(sum);
  }
}

// Gradient of the objective in the logits, into `logits`.
void LogitGradient(const Task& task, const PretrainOptions& options, PretrainGradient gradient,
                   double temperature, engine::Rng& rng, std::vector<double>* logits) {
  const size_t n = logits->size();
  const double most = *std::max_element(logits->begin(), logits->end());
  std::vector<double> p(n), advantage(n);
  double sum = 0;
  for (size_t i = 0; i < n; ++i) sum += p[i] = rl::Exp((*logits)[i] - most);
  const double log_sum = rl::Log(sum);
  for (size_t i = 0; i < n; ++i) {
    p[i] /= sum;
    advantage[i] = task.rewards[i] / temperature - ((*logits)[i] - most - log_sum);
  }
  if (gradient == PretrainGradient::kExact) {
    double mean = 0;
    for (size_t i = 0; i < n; ++i) mean += p[i] * advantage[i];
    for (size_t i = 0; i < n; ++i) (*logits)[i] = p[i] * (advantage[i] - mean);
    return;
  }
  const size_t samples = static_cast<size_t>(options.samples);
  std::vector<size_t> drawn(samples);
  double mean = 0;
  for (size_t& draw : drawn) {
    double left = static_cast<double>(rng.Uniform());
    for (draw = 0; draw + 1 < n && left >= p[draw]; ++draw) left -= p[draw];
    mean += advantage[draw] / static_cast<double>(samples);
  }
  // The mean holds each sample itself: n / (n - 1) makes the gradient unbiased. The probabilities'
  // share drops out, as weights less their mean sum to zero.
  std::fill(logits->begin(), logits->end(), 0.0);
  for (size_t draw : drawn) {
    (*logits)[draw] += (advantage[draw] - mean) / static_cast<double>(samples - 1);
  }
}

}  // namespace

void Pretrain(Proposer& proposer, const nn::Space& networks, const SpaceCosts& costs,
              const PretrainOptions& options, ProgressSink* sink, const std::atomic<bool>& stop) {
  const std::vector<uint16_t> terms = TermsOf(proposer, costs.points());
  const size_t width = static_cast<size_t>(proposer.terms());
  const size_t outputs = static_cast<size_t>(proposer.outputs());
  const size_t batch = static_cast<size_t>(options.batch);
  std::vector<Task> tasks(batch);
  std::vector<float> inputs, weights;
  std::vector<std::vector<double>> logits(batch);
  Progress progress;
  progress.phase = "training";
  progress.total = proposer.head.all_steps;
  const int64_t end_step =
      options.most_steps > 0
          ? std::min(proposer.head.all_steps, proposer.head.steps + options.most_steps)
          : proposer.head.all_steps;
  while (proposer.head.steps < end_step && !stop) {
    const int64_t step = proposer.head.steps;
    const double done = static_cast<double>(step) /
                        static_cast<double>(std::max<int64_t>(proposer.head.all_steps, 1));
    const double temperature =
        options.temperature *
        rl::Exp(done * rl::Log(options.temperature_final / options.temperature));
    const engine::Rng of_step(proposer.head.seed, kTraining);
    std::vector<engine::Rng> streams;
    for (size_t i = 0; i < batch; ++i) {
      streams.push_back(of_step.Split(static_cast<uint64_t>(step) * batch + i));
    }
    proposer.pool().ParallelFor(options.batch, 1, [&](int64_t begin, int64_t end, int) {
      for (int64_t at = begin; at < end; ++at) {
        const size_t i = static_cast<size_t>(at);
        double cap = 0;
        if (streams[i].Uniform() < kCapped) {
          const float log2 = kLeastLog2 + (kMostLog2 - kLeastLog2) * streams[i].Uniform();
          cap = rl::Exp(0.6931471805599453 * static_cast<double>(log2));
        }
        MakeTask(networks, costs, proposer.head.objective, false, cap, streams[i], &tasks[i]);
      }
    });
    inputs.clear();
    for (const Task& task : tasks) {
      inputs.insert(inputs.end(), task.inputs.begin(), task.inputs.end());
    }
    engine::Tape& tape = proposer.tape();
    tape.Reset();
    proposer.adam().ZeroGrad();
    const engine::Var out = proposer.Forward(inputs.data(), options.batch);
    const float* values = tape.value(out);
    weights.assign(batch * outputs, 0);
    proposer.pool().ParallelFor(options.batch, 1, [&](int64_t begin, int64_t end, int) {
      for (int64_t at = begin; at < end; ++at) {
        const size_t i = static_cast<size_t>(at);
        if (tasks[i].rows.empty()) continue;  // nothing can be built under the cap
        Logits(tasks[i], terms, width, values + i * outputs, &logits[i]);
        LogitGradient(tasks[i], options, proposer.head.gradient, temperature, streams[i],
                      &logits[i]);
        for (size_t x = 0; x < logits[i].size(); ++x) {
          const uint16_t* columns = &terms[static_cast<size_t>(tasks[i].rows[x]) * width];
          const float slope = static_cast<float>(-logits[i][x] / static_cast<double>(batch));
          for (size_t t = 0; t < width; ++t) weights[i * outputs + columns[t]] += slope;
        }
      }
    });
    // Linear in the outputs with this gradient.
    const engine::Var weight = tape.Constant(tape.shape(out), weights.data());
    const engine::Var loss = engine::Sum(tape, engine::Mul(tape, out, weight));
    progress.loss = static_cast<double>(tape.value(loss)[0]);
    tape.Backward(loss);
    engine::ClipGradNorm(proposer.adam().parameters(), 1.0f);
    const double rate = static_cast<double>(options.learning_rate) * (1 - 0.95 * done);
    proposer.adam().Step(static_cast<float>(rate), proposer.pool());
    ++proposer.head.steps;
    progress.done = proposer.head.steps;
    progress.temperature = temperature;
    if (sink != nullptr && (progress.done % 16 == 0 || progress.done == progress.total)) {
      sink->Report(progress);
    }
  }
}

double ProposalGaps::share_within(double gap) const {
  const auto within = std::upper_bound(gaps.begin(), gaps.end(), gap) - gaps.begin();
  return static_cast<double>(within) / static_cast<double>(std::max<size_t>(gaps.size(), 1));
}

double ProposalGaps::quantile(double share) const {
  const double at = share * static_cast<double>(gaps.size() - 1);
  return gaps[static_cast<size_t>(at + 0.5)];
}

ProposalGaps TestProposer(Proposer& proposer, const nn::Space& networks, const SpaceCosts& costs,
                          double area_max, int count, uint64_t seed) {
  const std::vector<uint16_t> terms = TermsOf(proposer, costs.points());
  ProposalGaps result;
  const engine::Rng base(seed, kTesting);
  Task task;
  std::vector<double> logits;
  for (int i = 0; i < count; ++i) {
    engine::Rng rng = base.Split(static_cast<uint64_t>(i));
    MakeTask(networks, costs, proposer.head.objective, true, area_max, rng, &task);
    if (task.rows.empty()) continue;
    proposer.tape().Reset();
    const float* out = proposer.tape().value(proposer.Forward(task.inputs.data(), 1));
    Logits(task, terms, static_cast<size_t>(proposer.terms()), out, &logits);
    const auto best = std::max_element(logits.begin(), logits.end()) - logits.begin();
    result.gaps.push_back(rl::Exp(-task.rewards[static_cast<size_t>(best)]) - 1);
  }
  std::sort(result.gaps.begin(), result.gaps.end());
  return result;
}

}  // namespace rhnas::search
