// Optimisers over parameters, learning-rate schedules, gradient clipping.
//
// An optimiser keeps its moments beside the parameters it was given, in that order. Parameters that
// no gradient reached (Parameter::touched is false) are left alone, moments and decay included, so
// that the paths of a supernet that were not sampled stay as they are.
#pragma once

#include <string>
#include <vector>

#include "engine/archive.h"
#include "engine/tensor.h"
#include "engine/threads.h"

namespace rhnas::engine {

class Optimizer {
 public:
  virtual ~Optimizer() = default;
  // One update with the gradients that stand in the parameters; does not zero them.
  virtual void Step(float learning_rate, ThreadPool& pool) = 0;
  void ZeroGrad();
  const std::vector<Parameter*>& parameters() const { return parameters_; }
  // Moments and step counts under names that start with `prefix`.
  virtual void Save(ArchiveWriter& archive, const std::string& prefix) const = 0;
  virtual void Load(ArchiveReader& archive, const std::string& prefix) = 0;

 protected:
  explicit Optimizer(std::vector<Parameter*> parameters) : parameters_(std::move(parameters)) {}
  std::vector<Parameter*> parameters_;
};

struct SgdOptions {
  float momentum = 0.9f;
  bool nesterov = false;
  float weight_decay = 0;  // added to the gradient of parameters with decay
};
// v = momentum v + g; w -= lr (nesterov ? g + momentum v : v).
class Sgd : public Optimizer {
 public:
  Sgd(std::vector<Parameter*> parameters, const SgdOptions& options);
  void Step(float learning_rate, ThreadPool& pool) override;
  void Save(ArchiveWriter& archive, const std::string& prefix) const override;
  void Load(ArchiveReader& archive, const std::string& prefix) override;

 private:
  SgdOptions options_;
  std::vector<Buffer> velocity_;
};

struct AdamOptions {
  float beta1 = 0.9f, beta2 = 0.999f, epsilon = 1e-8f;
  float weight_decay = 0;
  bool decoupled = false;  // AdamW (Loshchilov and Hutter 2019) instead of an L2 term
};
// Kingma and Ba 2015, with bias correction per parameter (its own count of steps).
class Adam : public Optimizer {
 public:
  Adam(std::vector<Parameter*> parameters, const AdamOptions& options);
  void Step(float learning_rate, ThreadPool& pool) override;
  void Save(ArchiveWriter& archive, const std::string& prefix) const override;
  void Load(ArchiveReader& archive, const std::string& prefix) override;

 private:
  AdamOptions options_;
  std::vector<Buffer> first_, second_;
  std::vector<int64_t> steps_;
};

// Scales all gradients so that their joint L2 norm is at most max_norm; returns the norm before.
// Only touched parameters count.
float ClipGradNorm(const std::vector<Parameter*>& parameters, float max_norm);

// Learning rate at `step` of `total`: linear warm-up over the first `warmup` steps, then cosine
// from base to final (kCosine), or base times factor at each milestone passed (kStep), or base
// (kConstant).
struct Schedule {
  enum class Kind { kConstant, kCosine, kStep };
  Kind kind = Kind::kCosine;
  float base = 0.1f, final = 0;
  int64_t total = 1, warmup = 0;
  std::vector<int64_t> milestones;
  float factor = 0.1f;
  float At(int64_t step) const;
};

}  // namespace rhnas::engine
