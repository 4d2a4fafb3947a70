// Channel-wise arithmetic of batch normalisation. See batch_norm_internal.h.
//
// Moments are summed by chunks of rows, each shifted by the mean of its first rows (so a large mean
// costs the variance no digits), and the chunks are joined in order in double (Chan, Golub and
// LeVeque 1983).
#include "engine/batch_norm_internal.h"

#include <cmath>

namespace rhnas::engine::internal {

namespace {

// Channels a block where chunks are joined: their sums stay in registers and the first cache.
constexpr int kChannels = 32;

// Only finite moments enter: a batch with a NaN would spoil the running ones for good. At momentum
// 1 the old values do not count, whatever they are.
void UpdateRunning(float momentum, float mean, float variance, float* running_mean,
                   float* running_var) {
  if (!std::isfinite(mean) || !std::isfinite(variance)) return;
  const float keep = 1 - momentum;
  *running_mean = keep == 0 ? mean : keep * *running_mean + momentum * mean;
  *running_var = keep == 0 ? variance : keep * *running_var + momentum * variance;
}

void SetChannel(const Normalization& norm, int64_t j, double mean, double variance, float epsilon,
                const NormParameters& parameters) {
  const double inverse = 1 / std::sqrt(variance + double{epsilon});
  norm.mean[j] = static_cast<float>(mean);
  const double error = double{norm.mean[j]} - mean;
  const double scale = double{parameters.gamma[j]} * inverse;
  norm.mean_error[j] = static_cast<float>(error);
  norm.inverse_deviation[j] = static_cast<float>(inverse);
  norm.scale[j] = static_cast<float>(scale);
  norm.bias[j] = static_cast<float>(double{parameters.beta[j]} + error * scale);
}

}  // namespace

Normalization NewNormalization(Arena& arena, int c, const BatchNormOptions& options) {
  float* constants = arena.Floats(int64_t{5} * c);
  return {constants,         constants + c,    constants + 2 * c, constants + 3 * c,
          constants + 4 * c, options.training, options.activation};
}

MomentPartials NewMomentPartials(float* memory, const Chunking& chunking, int c) {
  const int64_t size = chunking.count() * c;
  return {memory, memory + size, memory + 2 * size};
}

void FinishMoments(const MomentPartials& partials, const Chunking& chunking, int c,
                   const NormParameters& parameters, const BatchNormOptions& options,
                   const Normalization& norm, ThreadPool& pool) {
  const int64_t chunks = chunking.count();
  const double n = static_cast<double>(chunking.rows);
  pool.ParallelFor(c, kChannels, [&](int64_t begin, int64_t end, int) {
    double mean[kChannels] = {}, squares[kChannels] = {};
    const int64_t width = end - begin;
    for (int64_t i = 0; i < chunks; ++i) {
      const double count = static_cast<double>(chunking.rows_of(i));
      const float *shift = partials.shift + i * c + begin, *sum = partials.sum + i * c + begin;
      for (int64_t j = 0; j < width; ++j) mean[j] += double{shift[j]} * count + double{sum[j]};
    }
    for (int64_t j = 0; j < width; ++j) mean[j] /= n;
    for (int64_t i = 0; i < chunks; ++i) {
      const double count = static_cast<double>(chunking.rows_of(i)), share = 1 / count;
      const float *shift = partials.shift + i * c + begin, *sum = partials.sum + i * c + begin;
      const float* sum_squares = partials.sum_squares + i * c + begin;
      for (int64_t j = 0; j < width; ++j) {
        const double s = double{sum[j]};
        const double within = double{sum_squares[j]} - s * s * share;
        const double between = double{shift[j]} + s * share - mean[j];
        squares[j] += (within < 0 ? 0 : within) + between * between * count;
      }
    }
    for (int64_t k = 0; k < width; ++k) {
      const int64_t j = begin + k;
      SetChannel(norm, j, mean[k], squares[k] / n, options.epsilon, parameters);
      if (options.update_running) {
        UpdateRunning(options.momentum, static_cast<float>(mean[k]),
                      static_cast<float>(squares[k] / std::max(n - 1, 1.0)),
                      &parameters.running_mean[j], &parameters.running_var[j]);
      }
    }
  });
}

void UseRunning(int c, const NormParameters& parameters, const BatchNormOptions& options,
                const Normalization& norm) {
  for (int j = 0; j < c; ++j) {
    SetChannel(norm, j, double{parameters.running_mean[j]}, double{parameters.running_var[j]},
               options.epsilon, parameters);
  }
}

void FinishGradient(const GradientPartials& partials, int64_t chunks, int64_t rows, int c,
                    const Normalization& norm, float* dgamma, float* dbeta,
                    const GradientChannels& out, ThreadPool& pool) {
  pool.ParallelFor(c, kChannels, [&](int64_t begin, int64_t end, int) {
    double sums[kChannels] = {}, centred[kChannels] = {};
    const int64_t width = end - begin;
    for (int64_t i = 0; i < chunks; ++i) {
      const float *s = partials.sum + i * c + begin, *q = partials.centred + i * c + begin;
      for (int64_t j = 0; j < width; ++j) sums[j] += double{s[j]};
      for (int64_t j = 0; j < width; ++j) centred[j] += double{q[j]};
    }
    for (int64_t k = 0; k < width; ++k) {
      const int64_t j = begin + k;
      const double inverse = double{norm.inverse_deviation[j]};
      const double error = double{norm.mean_error[j]};
      const double normalized = (centred[k] + error * sums[k]) * inverse;  // sum of g xhat
      if (dgamma != nullptr) dgamma[j] += static_cast<float>(normalized);
      if (dbeta != nullptr) dbeta[j] += static_cast<float>(sums[k]);
      // dx = scale (g - sum / n - xhat normalized / n), xhat = (x - mean + error) / deviation.
      const double share = norm.training ? double{norm.scale[j]} / static_cast<double>(rows) : 0;
      const double slope = share * normalized * inverse;
      out.slope[j] = static_cast<float>(slope);
      out.offset[j] = static_cast<float>(share * sums[k] + slope * error);
    }
  });
}

}  // namespace rhnas::engine::internal
