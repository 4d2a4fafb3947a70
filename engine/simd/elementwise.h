// Kernels that stream over memory: element by element, by channels, batch normalisation, pooling,
// optimiser updates. One thread, plain memory; engine/ops_*.cc splits the work among threads.
//
// No fused multiply-add, per-channel sums run over rows in order, flat sums over 64 logical lanes:
// every target, the baseline too, gives the same bits. Where a parameter `accumulate` stands, y +=
// instead of y =. Pointers may be equal where the shapes are, and must not overlap otherwise.
#pragma once

#include <cstdint>

#include "engine/cpu.h"

namespace rhnas::engine::simd {

// Functions of one variable. The first four are in the order of engine::Activation.
enum Unary { kIdentity, kRelu, kRelu6, kHSwish, kExp, kLog, kSigmoid, kTanh, kUnaryCount };
constexpr int kActivationCount = 4;

// Per-channel constants of batch normalisation: y = activation((x - mean) * scale + bias).
struct BatchNormChannels {
  const float* mean;
  const float* scale;
  const float* bias;
};

struct SgdUpdate {
  float learning_rate, momentum, weight_decay;
  bool nesterov;
};

struct AdamUpdate {
  float learning_rate, beta1, beta2, epsilon;
  float l2_decay;       // added to the gradient
  float weight_factor;  // multiplies the weight first (decoupled decay), 1 for none
  float first_correction, second_correction;  // 1 / (1 - beta^t)
};

struct ElementwiseKernels {
  // --- Flat, n elements ---
  void (*add)(const float* a, const float* b, float* y, int64_t n);
  void (*sub)(const float* a, const float* b, float* y, int64_t n);
  void (*mul)(const float* a, const float* b, float* y, int64_t n, bool accumulate);
  void (*scale)(const float* x, float factor, float* y, int64_t n, bool accumulate);
  void (*add_scalar)(const float* x, float term, float* y, int64_t n);
  void (*unary[kUnaryCount])(const float* x, float* y, int64_t n);
  // dx (+)= dout * slope, from the input x and the output y.
  void (*unary_backward[kUnaryCount])(const float* x, const float* y, const float* dout, float* dx,
                                      int64_t n, bool accumulate);
  float (*sum)(const float* x, int64_t n);
  float (*dot)(const float* a, const float* b, int64_t n);
  // Past the caches. REQUIRES: `to` at a multiple of 64 bytes, n a multiple of 16.
  void (*copy_stream)(const float* from, float* to, int64_t n);
  void (*max)(const float* a, const float* b, float* y, int64_t n);
  // Where x equals best: dx += remaining, and remaining becomes 0. (Max pooling: the first cell of
  // the window that holds the maximum gets the gradient.)
  void (*route_max)(const float* x, const float* best, float* remaining, float* dx, int64_t n);

  // --- x, y [rows, c]; row [c] ---
  void (*add_row)(const float* x, const float* row, float* y, int64_t rows, int c);
  void (*mul_row)(const float* x, const float* row, float* y, int64_t rows, int c, bool accumulate);
  void (*broadcast_row)(const float* row, float factor, float* y, int64_t rows, int c,
                        bool accumulate);
  // Over the rows: sum [c] of x; sum [c] of a * b.
  void (*column_sum)(const float* x, int64_t rows, int c, float* sum);
  void (*column_dot)(const float* a, const float* b, int64_t rows, int c, float* sum);

  // --- Batch normalisation; x, y, dout, dx [rows, c] ---
  // Sums [c] of d and d * d, d = x - shift; shift [c] is set to the mean of the first rows, so that
  // a large mean costs the variance no digits.
  void (*moments)(const float* x, int64_t rows, int c, float* shift, float* sum,
                  float* sum_squares);
  void (*normalize[kActivationCount])(const float* x, const BatchNormChannels& channels, float* y,
                                      int64_t rows, int c);
  // y = activation((x - mean) * scale + bias + residual).
  void (*normalize_add[kActivationCount])(const float* x, const float* residual,
                                          const BatchNormChannels& channels, float* y, int64_t rows,
                                          int c);
  // g = dout * activation'; sums [c] of g and of g * (x - mean).
  void (*normalize_sums[kActivationCount])(const float* x, const float* dout,
                                           const BatchNormChannels& channels, int64_t rows, int c,
                                           float* sum, float* sum_centred);
  // dx (+)= g * scale - (x - mean) * slope - offset, slope and offset [c].
  void (*normalize_backward[kActivationCount])(const float* x, const float* dout,
                                               const BatchNormChannels& channels,
                                               const float* slope, const float* offset, float* dx,
                                               int64_t rows, int c, bool accumulate);

  // --- Optimisers, n weights w with gradient g and moments ---
  void (*sgd)(const SgdUpdate& update, const float* g, float* velocity, float* w, int64_t n);
  void (*adam)(const AdamUpdate& update, const float* g, float* first, float* second, float* w,
               int64_t n);
};

const ElementwiseKernels& ElementwiseKernelsFor(Target target);
inline const ElementwiseKernels& Elementwise() { return ElementwiseKernelsFor(ActiveTarget()); }

}  // namespace rhnas::engine::simd
