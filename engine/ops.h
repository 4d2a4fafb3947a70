// Every differentiable operation: the one API page. Shapes in brackets; images N H W C; `rows`
// means all dimensions but the last. Each has a row in the operation table (tests/op_table.h),
// which checks its value against a double-precision reference, its gradient against central
// differences of that reference, and gives its bench entry. Shapes that do not fit are an
// RHNAS_CHECK.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/random.h"
#include "engine/tape.h"

namespace rhnas::engine {

// --- Element by element: a and b of the same shape ---
Var Add(Tape& tape, Var a, Var b);
Var Sub(Tape& tape, Var a, Var b);
Var Mul(Tape& tape, Var a, Var b);
Var Scale(Tape& tape, Var x, float factor);
Var AddScalar(Tape& tape, Var x, float term);
Var Exp(Tape& tape, Var x);
// Natural logarithm. REQUIRES: x > 0.
Var Log(Tape& tape, Var x);

// --- Broadcast over channels: x [.., C], b [C] ---
Var AddChannels(Tape& tape, Var x, Var b);
Var MulChannels(Tape& tape, Var x, Var b);

// --- Activations ---
enum class Activation { kNone, kRelu, kRelu6, kHSwish };
Var Relu(Tape& tape, Var x);
Var Relu6(Tape& tape, Var x);
Var HSwish(Tape& tape, Var x);  // x relu6(x + 3) / 6
Var Sigmoid(Tape& tape, Var x);
Var Tanh(Tape& tape, Var x);
Var Activate(Tape& tape, Var x, Activation activation);

// --- Products ---
// op(a) [M,K] x op(b) [K,N] -> [M,N]; transpose_a: a is [K,M]; transpose_b: b is [N,K].
Var Matmul(Tape& tape, Var a, Var b, bool transpose_a = false, bool transpose_b = false);
// x [M,K] x weight [K,N] + bias [N] -> [M,N], and its tanh: a perceptron's layer in one record, bit
// for bit what Matmul, AddChannels and Tanh give.
Var Linear(Tape& tape, Var x, Var weight, Var bias);
Var LinearTanh(Tape& tape, Var x, Var weight, Var bias);

struct Conv2dOptions {
  int stride = 1, pad = 0, groups = 1;
};
// x [N,H,W,C], filter [R,S,C/groups,K] -> [N,OH,OW,K].
Var Conv2d(Tape& tape, Var x, Var filter, const Conv2dOptions& options);

// --- Batch normalisation (Ioffe and Szegedy 2015) over rows, with an optional activation in the
// same pass ---
struct BatchNormOptions {
  bool training = true;  // batch statistics, and running ones updated; otherwise the running ones
  bool update_running = true;
  float momentum =
      0.1f;  // running = (1 - momentum) running + momentum batch (batch variance unbiased)
  float epsilon = 1e-5f;
  Activation activation = Activation::kNone;
};
// x [.., C], gamma [C], beta [C]; running_mean and running_var: C floats each, kept by the module.
Var BatchNorm(Tape& tape, Var x, Var gamma, Var beta, float* running_mean, float* running_var,
              const BatchNormOptions& options);
// activation(BatchNorm(x) + residual): the end of a residual block. residual [.., C] as x.
Var BatchNormAdd(Tape& tape, Var x, Var residual, Var gamma, Var beta, float* running_mean,
                 float* running_var, const BatchNormOptions& options);

// --- Chains of convolution, batch normalisation and activation ---
// One link: Conv2d, then BatchNorm with its activation.
struct ConvLink {
  Var filter;  // [R,S,C/groups,K]
  Conv2dOptions conv;
  Var gamma, beta;  // [K]
  float *running_mean = nullptr, *running_var = nullptr;
  BatchNormOptions norm;
};
// The links one after the other; with a residual (of the result's shape) the last is BatchNormAdd:
// a block of MobileNetV2 (Sandler et al., CVPR 2018, figure 4) or of ResNet. The same as operations
// of their own, but in training normalised values are not stored, and pointwise and depthwise links
// over tensors larger than a cache normalise what they read, block by block, and take the moments
// of what they write.
Var ConvChain(Tape& tape, Var x, const ConvLink* links, int count, Var residual = {});

// --- Over the last dimension: x [.., C] ---
// mask (optional): rows x C bytes or C bytes broadcast, 0 forbids. Softmax gives a forbidden entry
// exactly 0, LogSoftmax gives it 0 too (so that p log p is 0), both with gradient exactly 0.
// REQUIRES: at least one allowed entry in each row. The mask is copied.
Var Softmax(Tape& tape, Var x, const uint8_t* mask = nullptr, int64_t mask_rows = 1);
Var LogSoftmax(Tape& tape, Var x, const uint8_t* mask = nullptr, int64_t mask_rows = 1);
// Mean over rows of -sum_c q_c log softmax(x)_c, q = (1 - smoothing) onehot + smoothing / C.
// Scalar.
Var CrossEntropy(Tape& tape, Var logits, const int32_t* labels, float smoothing = 0);
// softmax((x + noise) / temperature). noise: as many floats as x (Gumbel draws; Jang et al. 2017).
// hard: the value is the one-hot argmax, the gradient that of the soft sample (straight-through).
// Finite for any temperature > 0.
Var GumbelSoftmax(Tape& tape, Var x, const float* noise, float temperature, bool hard);
// out[i] = x[i, index[i]]: x [rows, C] -> [rows].
Var Pick(Tape& tape, Var x, const int32_t* index);
// out[j] = x[index[j]] of x flattened -> [count]; indices may repeat.
Var Gather(Tape& tape, Var x, const int32_t* index, int count);

// --- Pooling: x [N,H,W,C] ---
struct PoolOptions {
  int size = 2, stride = 2, pad = 0;
};
Var MaxPool(Tape& tape, Var x, const PoolOptions& options);  // padding never wins
Var AvgPool(Tape& tape, Var x,
            const PoolOptions& options);  // divides by the cells inside the image
Var GlobalAvgPool(Tape& tape, Var x);     // -> [N,C]

// --- Rearranging ---
// Channels viewed as [groups, C/groups], transposed (Zhang et al., ShuffleNet, 2018).
Var ChannelShuffle(Tape& tape, Var x, int groups);
// Along the last dimension; other dimensions equal.
Var Concat(Tape& tape, const Var* xs, int count);
Var Reshape(Tape& tape, Var x, const Shape& shape);

// --- Reductions and mixtures ---
Var Sum(Tape& tape, Var x);   // scalar
Var Mean(Tape& tape, Var x);  // scalar
// sum_i weight[i] x[i] of equal-shape xs; weights [count]. With `forward` (count floats) the value
// uses those weights instead, while the gradient to weights[i] stays <dout, x_i> and to x_i is
// forward[i] dout: the gate of ProxylessNAS and Auto-NBA (op1 * 1 + op2 * 0 forward, both paths
// backward).
Var WeightedSum(Tape& tape, const Var* xs, int count, Var weights, const float* forward = nullptr);

}  // namespace rhnas::engine
