#include "nn/weight_average.h"

#include <algorithm>
#include <utility>

#include "engine/check.h"

namespace rhnas::nn {

WeightAverage::WeightAverage(Supernet& net, const Genotype& path, float decay) : decay_(decay) {
  RHNAS_CHECK(decay >= 0 && decay < 1, "an average of decay %g", double{decay});
  for (engine::Parameter* weight : net.weights(path)) weights_.push_back(&weight->value);
  for (const NamedBuffer& entry : net.statistics(path)) weights_.push_back(entry.buffer);
  for (const engine::Buffer* weight : weights_) {
    average_.emplace_back(weight->size());
    std::copy(weight->data(), weight->data() + weight->size(), average_.back().data());
    size_ += weight->size();
  }
}

void WeightAverage::Update() {
  const double n = static_cast<double>(updates_++);
  const float share = 1 - std::min(decay_, static_cast<float>((1 + n) / (10 + n)));
  for (size_t i = 0; i < weights_.size(); ++i) {
    const float* weight = weights_[i]->data();
    float* average = average_[i].data();
    const int64_t size = average_[i].size();
    if (decay_ == 0) {
      std::copy(weight, weight + size, average);
      continue;
    }
    for (int64_t j = 0; j < size; ++j) average[j] += share * (weight[j] - average[j]);
  }
}

void WeightAverage::Swap() {
  for (size_t i = 0; i < weights_.size(); ++i) std::swap(*weights_[i], average_[i]);
}

void WeightAverage::CopyTo(std::vector<float>* values) const {
  values->resize(static_cast<size_t>(size_));
  float* out = values->data();
  for (const engine::Buffer& buffer : average_) {
    out = std::copy(buffer.data(), buffer.data() + buffer.size(), out);
  }
}

void WeightAverage::CopyFrom(const std::vector<float>& values) {
  RHNAS_CHECK(values.size() == static_cast<size_t>(size_), "%zu values for an average of %lld",
              values.size(), static_cast<long long>(size_));
  const float* in = values.data();
  for (engine::Buffer& buffer : average_) {
    std::copy(in, in + buffer.size(), buffer.data());
    in += buffer.size();
  }
}

void WeightAverage::Save(engine::ArchiveWriter& archive, const std::string& prefix) const {
  std::vector<float> values;
  CopyTo(&values);
  archive.Put(prefix + "updates", updates_);
  archive.PutVector(prefix + "values", values);
}

void WeightAverage::Load(engine::ArchiveReader& archive, const std::string& prefix) {
  std::vector<float> values(static_cast<size_t>(size_));
  archive.Get(prefix + "updates", &updates_);
  archive.GetBytes(prefix + "values", values.data(), values.size() * sizeof(float));
  if (archive.status().ok()) CopyFrom(values);
}

}  // namespace rhnas::nn
