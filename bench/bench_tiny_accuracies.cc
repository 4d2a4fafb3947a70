// Measures accuracies of the space `tiny` on the embedded data and fits the model that the joint
// problem `tiny` holds (search/tiny_problem.cc): build/bench_tiny_accuracies [EPOCHS [NETWORKS]].
//
// Shared weights: a supernet trained on paths drawn uniformly; networks drawn uniformly, each with
// the shared weights and the batches' own statistics on the same test images. Model: a sum over the
// slots' candidates and over the pairs of neighbouring slots, by least squares with a small ridge;
// a fifth of the networks is kept aside to say how well it fits.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <vector>

#include "engine/optimizer.h"
#include "nn/train.h"

using namespace rhnas;

namespace {

constexpr int kSlots = 6, kCandidates = 6;
constexpr int kSingles = kSlots * kCandidates;
constexpr int kFeatures = 1 + kSingles + (kSlots - 1) * kCandidates * kCandidates;

std::vector<int> FeaturesOf(const nn::Genotype& network) {
  std::vector<int> features = {0};
  for (int i = 0; i < kSlots; ++i) {
    const int choice = network.choice[static_cast<size_t>(i)];
    features.push_back(1 + i * kCandidates + choice);
    if (i == 0) continue;
    const int before = network.choice[static_cast<size_t>(i) - 1];
    features.push_back(1 + kSingles + ((i - 1) * kCandidates + before) * kCandidates + choice);
  }
  return features;
}

// Ridge regression by Cholesky; the constant is not shrunk.
std::vector<double> Fit(const std::vector<std::vector<int>>& rows, const std::vector<double>& y,
                        double ridge) {
  constexpr size_t n = kFeatures;
  std::vector<double> a(n * n, 0), w(n, 0);
  for (size_t r = 0; r < rows.size(); ++r) {
    for (const int i : rows[r]) {
      w[static_cast<size_t>(i)] += y[r];
      for (const int j : rows[r]) a[static_cast<size_t>(i) * n + static_cast<size_t>(j)] += 1;
    }
  }
  for (size_t i = 1; i < n; ++i) a[i * n + i] += ridge;
  for (size_t j = 0; j < n; ++j) {
    for (size_t k = 0; k < j; ++k) a[j * n + j] -= a[j * n + k] * a[j * n + k];
    a[j * n + j] = std::sqrt(a[j * n + j]);
    for (size_t i = j + 1; i < n; ++i) {
      for (size_t k = 0; k < j; ++k) a[i * n + j] -= a[i * n + k] * a[j * n + k];
      a[i * n + j] /= a[j * n + j];
    }
  }
  for (size_t i = 0; i < n; ++i) {
    for (size_t k = 0; k < i; ++k) w[i] -= a[i * n + k] * w[k];
    w[i] /= a[i * n + i];
  }
  for (size_t i = n; i-- > 0;) {
    for (size_t k = i + 1; k < n; ++k) w[i] -= a[k * n + i] * w[k];
    w[i] /= a[i * n + i];
  }
  return w;
}

double Predict(const std::vector<double>& w, const std::vector<int>& features) {
  double sum = 0;
  for (const int i : features) sum += w[static_cast<size_t>(i)];
  return sum;
}

std::vector<double> Ranks(const std::vector<double>& values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return values[a] < values[b]; });
  std::vector<double> ranks(values.size());
  for (size_t i = 0; i < order.size(); ++i) ranks[order[i]] = static_cast<double>(i);
  return ranks;
}

double Correlation(const std::vector<double>& a, const std::vector<double>& b) {
  const double n = static_cast<double>(a.size());
  const double ma = std::accumulate(a.begin(), a.end(), 0.0) / n;
  const double mb = std::accumulate(b.begin(), b.end(), 0.0) / n;
  double ab = 0, aa = 0, bb = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    ab += (a[i] - ma) * (b[i] - mb);
    aa += (a[i] - ma) * (a[i] - ma);
    bb += (b[i] - mb) * (b[i] - mb);
  }
  return ab / std::sqrt(aa * bb);
}

}  // namespace

int main(int argc, char** argv) {
  const int epochs = argc > 1 ? std::atoi(argv[1]) : 48;
  const int networks = argc > 2 ? std::atoi(argv[2]) : 500;
  engine::ThreadPool pool(0);
  engine::Tape tape(pool);
  const nn::Space space = *nn::FindSpace("tiny");
  auto data = nn::OpenData({});
  if (!data.ok()) return 1;
  nn::Loader::Options train, test;
  for (int i = 0; i < data->train->size(); ++i) train.indices.push_back(i);
  train.augmentation = nn::StandardAugmentation("synth", 32);
  nn::Loader batches(*data->train, data->mean, data->stddev, train);
  constexpr int kTestImages = 1024;
  for (int i = 0; i < std::min(kTestImages, data->test->size()); ++i) test.indices.push_back(i);
  test.batch = 256;
  test.shuffle = false;
  nn::Loader images(*data->test, data->mean, data->stddev, test);

  nn::Supernet net(space, engine::Rng(1, 0));
  engine::SgdOptions sgd;
  sgd.nesterov = true;
  sgd.weight_decay = 5e-4f;
  engine::Sgd optimizer(net.weights(), sgd);
  engine::Rng rng(1, 1);
  const auto draw = [&] {
    nn::Genotype path;
    for (int i = 0; i < kSlots; ++i)
      path.choice.push_back(static_cast<int>(rng.Below(kCandidates)));
    return path;
  };
  engine::Schedule schedule;
  schedule.base = 0.1f;
  schedule.total = int64_t{epochs} * batches.batches_per_epoch();
  for (int64_t step = 0; step < schedule.total; ++step) {
    nn::WeightStepOptions options;
    options.learning_rate = schedule.At(step);
    const nn::StepStats stats =
        nn::WeightStep(net, draw(), batches.Next(), optimizer, options, tape);
    if (step % 100 == 0)
      std::fprintf(stderr, "step %d loss %.3f\n", static_cast<int>(step), stats.loss);
  }

  std::vector<std::vector<int>> rows, kept;
  std::vector<double> y, kept_y;
  for (int i = 0; i < networks; ++i) {
    const nn::Genotype path = draw();
    const double accuracy = nn::Evaluate(net, path, images, true, 0, tape).accuracy;
    const bool aside = i % 5 == 4;
    (aside ? kept : rows).push_back(FeaturesOf(path));
    (aside ? kept_y : y).push_back(accuracy);
    if (i % 100 == 0) std::fprintf(stderr, "network %d accuracy %.4f\n", i, accuracy);
  }
  std::vector<double> best_w;
  double best_error = 1e9;
  for (const double ridge : {0.3, 1.0, 3.0, 10.0}) {
    const std::vector<double> w = Fit(rows, y, ridge);
    double error = 0;
    std::vector<double> predicted;
    for (size_t i = 0; i < kept.size(); ++i) {
      predicted.push_back(Predict(w, kept[i]));
      error += (predicted[i] - kept_y[i]) * (predicted[i] - kept_y[i]);
    }
    error = std::sqrt(error / static_cast<double>(kept.size()));
    std::printf("// ridge %g: kept aside %d of %d: error %.4f, correlation %.3f, of ranks %.3f\n",
                ridge, static_cast<int>(kept.size()), networks, error,
                Correlation(predicted, kept_y), Correlation(Ranks(predicted), Ranks(kept_y)));
    if (error < best_error) {
      best_error = error;
      best_w = w;
    }
  }
  std::printf("// accuracies from %.4f to %.4f\n", *std::min_element(y.begin(), y.end()),
              *std::max_element(y.begin(), y.end()));
  for (int i = 0; i < kFeatures; ++i) {
    std::printf("%ld,%s", std::lround(best_w[static_cast<size_t>(i)] * 1e4),
                i == 0 || (i - 1) % 18 == 17 ? "\n" : " ");
  }
  std::printf("\n");
  return 0;
}
