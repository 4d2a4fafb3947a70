// A network compiled for evaluation: the trained weights of one path with batch norm folded in
// (engine/infer.h), for speed where nothing is trained. It equals Supernet::Forward in evaluation
// mode up to rounding (one filter is scaled instead of each output); weights that change later do
// not reach it.
//
// Not here: batch statistics (sampled paths of a supernet), gradients.
#pragma once

#include <cstdint>
#include <memory>

#include "engine/infer.h"
#include "engine/threads.h"
#include "nn/supernet.h"

namespace rhnas::nn {

class InferencePlan {
 public:
  // Reads the weights and running statistics of `path`. REQUIRES: a path of net.space() with a
  // classifier as its last block, or without any. For the active target (engine/cpu.h), which must
  // be the same when it runs.
  InferencePlan(Supernet& net, const Genotype& path);

  // images [n,H,W,C] -> logits [n,classes], for any n. A warm run allocates nothing; the same bits
  // for any number of threads and whichever images go together.
  void Run(const float* images, int n, float* logits, engine::ThreadPool& pool) const {
    program_.Run(images, n, logits, pool);
  }
  // Filters and biases, and work memory on so many threads; the latter is the pool's scratch and
  // does not depend on the number of images.
  int64_t memory_bytes(int threads) const {
    return program_.weight_bytes() + program_.work_bytes(threads);
  }

 private:
  engine::InferProgram program_;
};

}  // namespace rhnas::nn
