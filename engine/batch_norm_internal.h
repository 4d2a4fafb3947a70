// What batch normalisation (engine/ops_batch_norm.cc) and the chains that carry it inside
// (engine/ops_chain.cc) share: moments joined from chunks of rows, the constants of each channel,
// and the sums of the backward pass. Not part of the API page (engine/ops.h).
#pragma once

#include <algorithm>
#include <cstdint>

#include "engine/ops.h"
#include "engine/simd/elementwise.h"
#include "engine/tape.h"

namespace rhnas::engine::internal {

// How rows are cut into chunks: every `period` rows (an image, or all of them) into chunks of
// `chunk` rows, the last of a period shorter. The cut depends on the problem alone.
struct Chunking {
  int64_t rows, period, chunk;
  int64_t per_period() const { return (period + chunk - 1) / chunk; }
  int64_t count() const { return rows / period * per_period(); }
  int64_t rows_of(int64_t i) const { return std::min(chunk, period - i % per_period() * chunk); }
};

// Constants of a normalised value, C floats each, in the arena until the backward pass.
struct Normalization {
  float *mean, *scale, *bias;  // as simd::BatchNormChannels
  float* inverse_deviation;
  float* mean_error;  // mean as a float minus mean as computed
  bool training;
  Activation activation;

  simd::BatchNormChannels channels() const { return {mean, scale, bias}; }
  int function() const { return static_cast<int>(activation); }
};

// The affine part and the running statistics, C floats each.
struct NormParameters {
  const float *gamma, *beta;
  float *running_mean, *running_var;
};

Normalization NewNormalization(Arena& arena, int c, const BatchNormOptions& options);

// Per chunk C floats: sums of d and d * d, d = x - shift (simd moments).
struct MomentPartials {
  float *shift = nullptr, *sum = nullptr, *sum_squares = nullptr;
};
// The moments of one chunk; nothing where `partials` has no memory.
inline void TakeMoments(const float* y, int64_t rows, int c, int64_t chunk,
                        const MomentPartials& partials) {
  if (partials.shift == nullptr) return;
  simd::Elementwise().moments(y, rows, c, partials.shift + chunk * c, partials.sum + chunk * c,
                              partials.sum_squares + chunk * c);
}
MomentPartials NewMomentPartials(float* memory, const Chunking& chunking, int c);
inline int64_t MomentFloats(const Chunking& chunking, int c) { return 3 * chunking.count() * c; }

// Joins the chunks of every channel, sets the constants and updates the running statistics.
void FinishMoments(const MomentPartials& partials, const Chunking& chunking, int c,
                   const NormParameters& parameters, const BatchNormOptions& options,
                   const Normalization& norm, ThreadPool& pool);
// The constants from the running statistics.
void UseRunning(int c, const NormParameters& parameters, const BatchNormOptions& options,
                const Normalization& norm);

// Per chunk C floats: sums of g and g (x - mean), g the gradient before the activation.
struct GradientPartials {
  float *sum, *centred;
};
// Of the whole batch, C floats each: dx = g scale - (x - mean) slope - offset.
struct GradientChannels {
  float *slope, *offset;
};
// Joins the chunks; adds to dgamma and dbeta (null: not wanted).
void FinishGradient(const GradientPartials& partials, int64_t chunks, int64_t rows, int c,
                    const Normalization& norm, float* dgamma, float* dbeta,
                    const GradientChannels& out, ThreadPool& pool);

}  // namespace rhnas::engine::internal
