// A trained network compiled for evaluation only: batch norm folded into filters and biases,
// filters packed once, activations applied as outputs are stored, an inverted bottleneck (1x1,
// depthwise, 1x1) run as one step whose wide tensor stays in the second-level cache.
//
// Built layer by layer, then run any number of times. Two ways to use threads: with many images
// each worker takes a few images through all steps in memory of its own, so there is nothing to
// wait for and activations stay near; the images left over (and a single one) go one by one, each
// step shared among the workers by rows or by channels.
//
// Every output is one fixed chain of Fma steps: the same bits for any number of threads and images.
// Not here: networks and batch norm (nn/inference.h), gradients.
#pragma once

#include <cstdint>
#include <memory>

#include "engine/ops.h"
#include "engine/threads.h"

namespace rhnas::engine {

// A convolution with its batch norm folded in. Pointers are read while the layer is added, not
// after.
struct InferConv {
  int k = 1, r = 1, s = 1, stride = 1, pad = 0, groups = 1;
  Activation activation = Activation::kNone;
  const float* filter = nullptr;  // [r, s, c / groups, k]
  const float* bias = nullptr;    // [k]
};

class InferProgram {
 public:
  // An activation [h,w,c] of each image, by number; kImage is the input.
  using Value = int;
  static constexpr Value kImage = 0, kNone = -1;

  // Input images of h x w x c floats.
  InferProgram(int h, int w, int c);
  ~InferProgram();
  InferProgram(const InferProgram&) = delete;
  InferProgram& operator=(const InferProgram&) = delete;

  // --- Building. Each returns its output. Shapes that do not fit are an RHNAS_CHECK ---

  // activation(conv(x) + bias + residual); residual (or kNone) has the output's shape.
  Value Conv(Value x, const InferConv& conv, Value residual = kNone);
  // project(depthwise(expand(x))) + residual; expand and project may be null. expand is 1x1 at
  // stride 1; depthwise has a group for each channel; project is 1x1 at stride 1.
  Value Bottleneck(Value x, const InferConv* expand, const InferConv& depthwise,
                   const InferConv* project, Value residual = kNone);
  // Padding never wins.
  Value MaxPool(Value x, int size, int stride, int pad);
  // Every stride-th pixel, then channels of zeros up to `channels`.
  Value Subsample(Value x, int stride, int channels);
  // Mean over all pixels, then [c] x weight [c, classes] + bias. Last: its output is the program's.
  void Classifier(Value x, const float* weight, const float* bias, int classes);
  // Plans the memory; nothing is added afterwards. REQUIRES: the last layer is a Classifier, or is
  // then the output itself.
  void Finish();

  // --- Running ---

  // images [n,h,w,c] -> out [n, output_floats()]. Work memory is the pool's scratch: a warm run
  // allocates nothing. REQUIRES: Finish was called.
  void Run(const float* images, int n, float* out, ThreadPool& pool) const;
  int64_t output_floats() const;
  // Packed filters and biases.
  int64_t weight_bytes() const;
  // Scratch memory of a run on so many threads, for any number of images.
  int64_t work_bytes(int threads) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace rhnas::engine
