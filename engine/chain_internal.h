// The passes of a fused chain (engine/ops_chain.cc): one convolution each. A pointwise or depthwise
// one normalises what it reads block by block in the second-level cache, and sums over what it
// writes while it is there; any other does this in passes of their own. Not part of the API page
// (engine/ops.h).
//
// A convolution's output before batch normalisation is y, after it (and the activation) z. dz is
// the gradient of z; dy follows from dz and y once its channel sums are known.
#pragma once

#include <cstdint>

#include "engine/batch_norm_internal.h"
#include "engine/conv.h"
#include "engine/threads.h"

namespace rhnas::engine::chain {

// z: what a pass reads. Either given as it is or normalised from y.
struct Source {
  const float* data = nullptr;                    // z, or y where norm is set
  const internal::Normalization* norm = nullptr;  // null: z
};

// dy, from dz and y.
struct GradSource {
  const float* dz = nullptr;
  const float* y = nullptr;
  const internal::Normalization* norm = nullptr;
  internal::GradientChannels channels{};
};

// Where a backward pass leaves the gradient of its source.
struct GradTarget {
  float* dz = nullptr;                    // null: not wanted
  bool accumulate = false;                // only where the source is z itself
  internal::GradientPartials partials{};  // of the source's norm; unused without one
};

// kPlain: any convolution, normalised and summed in passes of their own.
enum class Kind { kPlain, kPointwise, kDepthwise };

// A convolution of n images.
struct LinkShape : ConvShape {
  Kind kind = Kind::kPlain;

  int64_t pixels_in() const { return int64_t{n} * h * w; }
  int64_t pixels_out() const { return int64_t{n} * oh() * ow(); }
};

// Chunks that a forward pass takes the moments of its output by, and how many a backward pass has
// for the sums of its source's gradient.
internal::Chunking MomentChunks(const LinkShape& shape);
int64_t GradientChunks(const LinkShape& shape);

// y = conv(z, filter), and the moments of y (their memory null: not wanted).
void Forward(const LinkShape& shape, const Source& x, const float* filter, float* y,
             const internal::MomentPartials& moments, Tape& tape);

// dfilter += z^T dy (null: not wanted), dz of the source = dy filter^T, and the sums for the
// source's normalisation.
void Backward(const LinkShape& shape, const Source& x, const GradSource& dy, const float* filter,
              const GradTarget& dx, float* dfilter, Tape& tape);

// The operation itself, with the passes asked for where they fit. REQUIRES: CanChain.
enum class Passes { kAsTheyPay, kFused, kPlain };
bool CanChain(const Tape& tape, Var x, const ConvLink* links, int count, Var residual);
Var Run(Tape& tape, Var x, const ConvLink* links, int count, Var residual, Passes passes);

// --- The kinds (chain_plain.cc, chain_pointwise.cc, chain_depthwise.cc) ---
// What these leave in the arena of the tape is the caller's to release.
void PlainForward(const LinkShape& shape, const Source& x, const float* filter, float* y,
                  const internal::MomentPartials& moments, Tape& tape);
void PlainBackward(const LinkShape& shape, const Source& x, const GradSource& dy,
                   const float* filter, const GradTarget& dx, float* dfilter, Tape& tape);
int64_t PointwiseBlock(const LinkShape& shape, bool backward);
void PointwiseForward(const LinkShape& shape, const Source& x, const float* filter, float* y,
                      const internal::MomentPartials& moments, ThreadPool& pool);
void PointwiseBackward(const LinkShape& shape, const Source& x, const GradSource& dy,
                       const float* filter, const GradTarget& dx, float* dfilter, ThreadPool& pool);
// Output rows of an image taken at a time.
int DepthwiseBand(const LinkShape& shape, bool backward);
void DepthwiseForward(const LinkShape& shape, const Source& x, const float* filter, float* y,
                      const internal::MomentPartials& moments, ThreadPool& pool);
void DepthwiseBackward(const LinkShape& shape, const Source& x, const GradSource& dy,
                       const float* filter, const GradTarget& dx, float* dfilter, ThreadPool& pool);

// Contiguous shares of `units` tasks, each with a partial filter gradient of its own: by problem
// size alone, so that any number of threads adds the same numbers in the same order.
struct Parts {
  int64_t units, count;
  int64_t begin(int64_t part) const { return units * part / count; }
};
Parts PartsOf(int64_t units, int64_t filter_floats);
// dfilter += the sum of the partial gradients, in order.
void AddPartials(const float* partial, int64_t parts, int64_t filter_floats, float* dfilter,
                 ThreadPool& pool);

}  // namespace rhnas::engine::chain
