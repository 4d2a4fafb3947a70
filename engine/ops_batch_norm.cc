// Batch normalisation (Ioffe and Szegedy 2015) with the activation in the same pass. See ops.h.
//
// Forward reads x twice and writes y once: a pass for the moments, a pass that normalises and
// activates. Backward reads x and dout twice and writes dx once: a pass for the two sums, a pass
// for dx; the activation's slope is recomputed from x, so nothing of x's size is stored.
//
// Moments are summed by chunks of rows, each shifted by the mean of its first rows (so a large mean
// costs the variance no digits), and the chunks are joined in order in double (Chan, Golub and
// LeVeque 1983).
#include <cmath>

#include "engine/ops.h"
#include "engine/ops_internal.h"

namespace rhnas::engine {

using internal::ChunkRows;
using internal::Chunks;
using internal::RowGrain;

namespace {

constexpr int64_t kChannelGrain = 64;  // channels a block where chunks are joined

// What backward needs, C floats each, in the arena.
struct Saved {
  float *mean, *scale, *bias;  // as simd::BatchNormChannels
  float* inverse_deviation;
  float* mean_error;  // mean as a float minus mean as computed
  bool training;
  Activation activation;

  simd::BatchNormChannels channels() const { return {mean, scale, bias}; }
};

struct Moments {
  double mean, sum_squares;  // of the deviations from the mean
};

// Per chunk C floats each, in scratch memory.
struct Partials {
  const float *shift, *sum, *sum_squares;
};

// Joins the chunks of one channel.
Moments JoinChunks(const Partials& partials, int64_t rows, int c, int channel) {
  const int64_t chunk_rows = ChunkRows(c), chunks = Chunks(rows, c);
  const auto count = [&](int64_t i) {
    return static_cast<double>(std::min(chunk_rows, rows - i * chunk_rows));
  };
  const auto chunk_mean = [&](int64_t i) {
    const int64_t at = i * c + channel;
    return double{partials.shift[at]} + double{partials.sum[at]} / count(i);
  };
  Moments m{0, 0};
  for (int64_t i = 0; i < chunks; ++i) m.mean += chunk_mean(i) * count(i);
  m.mean /= static_cast<double>(rows);
  for (int64_t i = 0; i < chunks; ++i) {
    const int64_t at = i * c + channel;
    const double sum = double{partials.sum[at]};
    const double within = double{partials.sum_squares[at]} - sum * sum / count(i);
    const double between = chunk_mean(i) - m.mean;
    m.sum_squares += std::max(within, 0.0) + between * between * count(i);
  }
  return m;
}

void SetChannel(const Saved& saved, int j, double mean, double variance, float epsilon, float gamma,
                float beta) {
  const double inverse = 1 / std::sqrt(variance + double{epsilon});
  saved.mean[j] = static_cast<float>(mean);
  const double error = double{saved.mean[j]} - mean;
  const double scale = double{gamma} * inverse;
  saved.mean_error[j] = static_cast<float>(error);
  saved.inverse_deviation[j] = static_cast<float>(inverse);
  saved.scale[j] = static_cast<float>(scale);
  saved.bias[j] = static_cast<float>(double{beta} + error * scale);
}

// Only finite moments enter: a batch with a NaN would spoil the running ones for good. At momentum
// 1 the old values do not count, whatever they are.
void UpdateRunning(float momentum, float mean, float variance, float* running_mean,
                   float* running_var) {
  if (!std::isfinite(mean) || !std::isfinite(variance)) return;
  const float keep = 1 - momentum;
  *running_mean = keep == 0 ? mean : keep * *running_mean + momentum * mean;
  *running_var = keep == 0 ? variance : keep * *running_var + momentum * variance;
}

void BatchStatistics(Tape& tape, const float* x, int64_t rows, int c, const float* gamma,
                     const float* beta, float* running_mean, float* running_var,
                     const BatchNormOptions& options, const Saved& saved) {
  ThreadPool& pool = tape.pool();
  const int64_t chunk_rows = ChunkRows(c), partial_size = Chunks(rows, c) * c;
  // Worker 0 is this thread, and the kernels ask for no scratch.
  float* shift =
      static_cast<float*>(pool.Scratch(0, 3 * static_cast<size_t>(partial_size) * sizeof(float)));
  float *sum = shift + partial_size, *sum_squares = sum + partial_size;
  const Partials partials{shift, sum, sum_squares};
  const auto& kernels = simd::Elementwise();
  pool.ParallelFor(rows, chunk_rows, [&](int64_t begin, int64_t end, int) {
    const int64_t at = begin / chunk_rows * c;
    kernels.moments(x + begin * c, end - begin, c, shift + at, sum + at, sum_squares + at);
  });
  const double n = static_cast<double>(rows);
  pool.ParallelFor(c, kChannelGrain, [&](int64_t begin, int64_t end, int) {
    for (int j = static_cast<int>(begin); j < end; ++j) {
      const Moments m = JoinChunks(partials, rows, c, j);
      SetChannel(saved, j, m.mean, m.sum_squares / n, options.epsilon, gamma[j], beta[j]);
      if (options.update_running) {
        const double unbiased = m.sum_squares / std::max(n - 1, 1.0);
        UpdateRunning(options.momentum, static_cast<float>(m.mean), static_cast<float>(unbiased),
                      &running_mean[j], &running_var[j]);
      }
    }
  });
}

void BatchNormBackward(Tape& tape, Var vx, Var vgamma, Var vbeta, Var out, const Saved& saved) {
  const Shape shape = tape.shape(vx);
  const int c = shape.last();
  const int64_t rows = shape.rows(), chunk_rows = ChunkRows(c), chunks = Chunks(rows, c);
  const float *x = tape.value(vx), *dout = tape.grad(out);
  ThreadPool& pool = tape.pool();
  const auto& kernels = simd::Elementwise();
  const int activation = static_cast<int>(saved.activation);
  const simd::BatchNormChannels channels = saved.channels();

  // Partial sums of g and g (x - mean), then slope and offset of dx.
  float* sums = static_cast<float*>(
      pool.Scratch(0, static_cast<size_t>(2 * chunks * c + 2 * c) * sizeof(float)));
  float *centred = sums + chunks * c, *slope = centred + chunks * c, *offset = slope + c;
  pool.ParallelFor(rows, chunk_rows, [&](int64_t begin, int64_t end, int) {
    const int64_t at = begin / chunk_rows * c;
    kernels.normalize_sums[activation](x + begin * c, dout + begin * c, channels, end - begin, c,
                                       sums + at, centred + at);
  });
  float *dgamma = tape.AccumulateGrad(vgamma), *dbeta = tape.AccumulateGrad(vbeta);
  pool.ParallelFor(c, kChannelGrain, [&](int64_t begin, int64_t end, int) {
    for (int64_t j = begin; j < end; ++j) {
      double sum = 0, sum_centred = 0;
      for (int64_t i = 0; i < chunks; ++i) {
        sum += double{sums[i * c + j]};
        sum_centred += double{centred[i * c + j]};
      }
      const double inverse = double{saved.inverse_deviation[j]};
      const double error = double{saved.mean_error[j]};
      const double normalized = (sum_centred + error * sum) * inverse;  // sum of g xhat
      if (dgamma != nullptr) dgamma[j] += static_cast<float>(normalized);
      if (dbeta != nullptr) dbeta[j] += static_cast<float>(sum);
      // dx = scale (g - sum / n - xhat normalized / n), xhat = (x - mean + error) / deviation.
      const double share = saved.training ? double{saved.scale[j]} / static_cast<double>(rows) : 0;
      const double k = share * normalized * inverse;
      slope[j] = static_cast<float>(k);
      offset[j] = static_cast<float>(share * sum + k * error);
    }
  });
  bool fresh = false;
  float* dx = tape.AccumulateGrad(vx, &fresh);
  if (dx == nullptr) return;
  pool.ParallelFor(rows, RowGrain(c), [&](int64_t begin, int64_t end, int) {
    kernels.normalize_backward[activation](x + begin * c, dout + begin * c, channels, slope, offset,
                                           dx + begin * c, end - begin, c, !fresh);
  });
}

}  // namespace

Var BatchNorm(Tape& tape, Var x, Var gamma, Var beta, float* running_mean, float* running_var,
              const BatchNormOptions& options) {
  const Shape shape = tape.shape(x);
  const int c = shape.last();
  const int64_t rows = shape.rows();
  RHNAS_CHECK(tape.shape(gamma) == Shape(c) && tape.shape(beta) == Shape(c),
              "BatchNorm of %s with gamma %s and beta %s", shape.ToString().c_str(),
              tape.shape(gamma).ToString().c_str(), tape.shape(beta).ToString().c_str());
  const bool reads_running = !options.training || options.update_running;
  RHNAS_CHECK(!reads_running || (running_mean != nullptr && running_var != nullptr),
              "BatchNorm of %s without running statistics", shape.ToString().c_str());
  RHNAS_CHECK(options.epsilon > 0, "BatchNorm with epsilon %g", double{options.epsilon});

  const Var out =
      tape.NewValue(shape, tape.needs_grad(x) || tape.needs_grad(gamma) || tape.needs_grad(beta));
  float* constants = tape.arena().Floats(int64_t{5} * c);
  const Saved saved{constants,         constants + c,    constants + 2 * c, constants + 3 * c,
                    constants + 4 * c, options.training, options.activation};
  const float *vx = tape.value(x), *vgamma = tape.value(gamma), *vbeta = tape.value(beta);
  if (options.training) {
    BatchStatistics(tape, vx, rows, c, vgamma, vbeta, running_mean, running_var, options, saved);
  } else {
    for (int j = 0; j < c; ++j) {
      SetChannel(saved, j, double{running_mean[j]}, double{running_var[j]}, options.epsilon,
                 vgamma[j], vbeta[j]);
    }
  }
  float* y = tape.mutable_value(out);
  const auto normalize = simd::Elementwise().normalize[static_cast<int>(options.activation)];
  tape.pool().ParallelFor(rows, RowGrain(c), [&](int64_t begin, int64_t end, int) {
    normalize(vx + begin * c, saved.channels(), y + begin * c, end - begin, c);
  });
  if (tape.needs_grad(out)) {
    tape.OnBackward(out, [t = &tape, x, gamma, beta, out, saved] {
      BatchNormBackward(*t, x, gamma, beta, out, saved);
    });
  }
  return out;
}

}  // namespace rhnas::engine
