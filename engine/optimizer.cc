// SGD, Adam and AdamW, gradient clipping, schedules. See optimizer.h.
#include "engine/optimizer.h"

#include <algorithm>
#include <cmath>

#include "engine/check.h"
#include "engine/math.h"
#include "engine/simd/elementwise.h"

namespace rhnas::engine {

namespace {

constexpr int64_t kGrain = 16384;  // weights a block: 64 KB, a few microseconds

std::vector<Buffer> BuffersLike(const std::vector<Parameter*>& parameters) {
  std::vector<Buffer> buffers;
  buffers.reserve(parameters.size());
  for (const Parameter* parameter : parameters) buffers.emplace_back(parameter->shape.size());
  return buffers;
}

// base^exponent by squaring: std::pow is not the same on every machine.
double IntegerPower(double base, int64_t exponent) {
  double result = 1;
  for (; exponent > 0; exponent >>= 1) {
    if ((exponent & 1) != 0) result *= base;
    base *= base;
  }
  return result;
}

std::string EntryName(const std::string& prefix, const char* what, const Parameter& parameter) {
  return prefix + what + "/" + parameter.name;
}

}  // namespace

void Optimizer::ZeroGrad() {
  for (Parameter* parameter : parameters_) parameter->ZeroGrad();
}

Sgd::Sgd(std::vector<Parameter*> parameters, const SgdOptions& options)
    : Optimizer(std::move(parameters)), options_(options), velocity_(BuffersLike(parameters_)) {}

void Sgd::Step(float learning_rate, ThreadPool& pool) {
  const auto& kernels = simd::Elementwise();
  for (size_t i = 0; i < parameters_.size(); ++i) {
    Parameter& parameter = *parameters_[i];
    if (!parameter.touched) continue;
    const simd::SgdUpdate update{learning_rate, options_.momentum,
                                 parameter.decay ? options_.weight_decay : 0, options_.nesterov};
    const float* g = parameter.grad.data();
    float* velocity = velocity_[i].data();
    float* w = parameter.value.data();
    pool.ParallelFor(parameter.value.size(), kGrain, [&](int64_t begin, int64_t end, int) {
      kernels.sgd(update, g + begin, velocity + begin, w + begin, end - begin);
    });
  }
}

void Sgd::Save(ArchiveWriter& archive, const std::string& prefix) const {
  for (size_t i = 0; i < parameters_.size(); ++i) {
    archive.PutBuffer(EntryName(prefix, "velocity", *parameters_[i]), velocity_[i]);
  }
}

void Sgd::Load(ArchiveReader& archive, const std::string& prefix) {
  for (size_t i = 0; i < parameters_.size(); ++i) {
    archive.GetBuffer(EntryName(prefix, "velocity", *parameters_[i]), &velocity_[i]);
  }
}

Adam::Adam(std::vector<Parameter*> parameters, const AdamOptions& options)
    : Optimizer(std::move(parameters)),
      options_(options),
      first_(BuffersLike(parameters_)),
      second_(BuffersLike(parameters_)),
      steps_(parameters_.size(), 0) {}

void Adam::Step(float learning_rate, ThreadPool& pool) {
  const auto& kernels = simd::Elementwise();
  int64_t corrected = 0;  // the step that the corrections are of: most parameters share one
  float first_correction = 1, second_correction = 1;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    Parameter& parameter = *parameters_[i];
    if (!parameter.touched) continue;
    const int64_t step = ++steps_[i];
    if (step != corrected) {
      corrected = step;
      first_correction = static_cast<float>(1 / (1 - IntegerPower(double{options_.beta1}, step)));
      second_correction = static_cast<float>(1 / (1 - IntegerPower(double{options_.beta2}, step)));
    }
    const float decay = parameter.decay ? options_.weight_decay : 0;
    simd::AdamUpdate update;
    update.learning_rate = learning_rate;
    update.beta1 = options_.beta1;
    update.beta2 = options_.beta2;
    update.epsilon = options_.epsilon;
    update.l2_decay = options_.decoupled ? 0 : decay;
    update.weight_factor = options_.decoupled ? 1 - learning_rate * decay : 1;
    update.first_correction = first_correction;
    update.second_correction = second_correction;
    const float* g = parameter.grad.data();
    float* first = first_[i].data();
    float* second = second_[i].data();
    float* w = parameter.value.data();
    pool.ParallelFor(parameter.value.size(), kGrain, [&](int64_t begin, int64_t end, int) {
      kernels.adam(update, g + begin, first + begin, second + begin, w + begin, end - begin);
    });
  }
}

void Adam::Save(ArchiveWriter& archive, const std::string& prefix) const {
  for (size_t i = 0; i < parameters_.size(); ++i) {
    archive.PutBuffer(EntryName(prefix, "first", *parameters_[i]), first_[i]);
    archive.PutBuffer(EntryName(prefix, "second", *parameters_[i]), second_[i]);
    archive.Put(EntryName(prefix, "steps", *parameters_[i]), steps_[i]);
  }
}

void Adam::Load(ArchiveReader& archive, const std::string& prefix) {
  for (size_t i = 0; i < parameters_.size(); ++i) {
    archive.GetBuffer(EntryName(prefix, "first", *parameters_[i]), &first_[i]);
    archive.GetBuffer(EntryName(prefix, "second", *parameters_[i]), &second_[i]);
    archive.Get(EntryName(prefix, "steps", *parameters_[i]), &steps_[i]);
  }
}

float ClipGradNorm(const std::vector<Parameter*>& parameters, float max_norm) {
  RHNAS_CHECK(max_norm > 0, "a gradient norm of at most %g", double{max_norm});
  const auto& kernels = simd::Elementwise();
  double sum_squares = 0;
  for (const Parameter* parameter : parameters) {
    if (!parameter->touched) continue;
    const float* g = parameter->grad.data();
    const int64_t size = parameter->grad.size();
    for (int64_t begin = 0; begin < size; begin += kGrain) {
      const int64_t count = std::min(kGrain, size - begin);
      sum_squares += double{kernels.dot(g + begin, g + begin, count)};
    }
  }
  const float norm = static_cast<float>(std::sqrt(sum_squares));
  if (norm > max_norm) {
    const float factor = max_norm / norm;
    for (Parameter* parameter : parameters) {
      float* g = parameter->grad.data();
      if (parameter->touched) kernels.scale(g, factor, g, parameter->grad.size(), false);
    }
  }
  return norm;
}

float Schedule::At(int64_t step) const {
  if (step < warmup) return base * static_cast<float>(step + 1) / static_cast<float>(warmup);
  switch (kind) {
    case Kind::kConstant:
      return base;
    case Kind::kCosine: {
      const int64_t length = std::max<int64_t>(total - warmup, 1);
      const float done =
          static_cast<float>(std::min(step - warmup, length)) / static_cast<float>(length);
      return final + 0.5f * (base - final) * (1 + CosTurns(0.5f * done));
    }
    case Kind::kStep: {
      float rate = base;
      for (int64_t milestone : milestones) {
        if (step >= milestone) rate *= factor;
      }
      return rate;
    }
  }
  return base;
}

}  // namespace rhnas::engine
