#include "search/program_data.h"

#include <cstring>

#include "engine/archive.h"
#include "engine/random.h"

namespace rhnas::search {

using engine::Result;
using engine::Status;

namespace {

// The file's bytes, of exactly `need`.
Result<std::string> ReadExactly(const std::string& path, int64_t need, const char* what) {
  Result<std::string> bytes = engine::ReadFile(path);
  if (!bytes.ok() || static_cast<int64_t>(bytes->size()) == need) return bytes;
  return Status::Error("%s: found %zu bytes, expected %lld of %s", path.c_str(), bytes->size(),
                       static_cast<long long>(need), what);
}

Status ReadValues(const std::string& path, const char* what, std::vector<int8_t>* values) {
  if (path.empty()) return Status::Ok();
  const Result<std::string> bytes = ReadExactly(path, static_cast<int64_t>(values->size()), what);
  if (!bytes.ok()) return bytes.status();
  values->assign(bytes->begin(), bytes->end());
  return Status::Ok();
}

}  // namespace

const char* RegionName(size_t memory) {
  static constexpr const char* kNames[] = {"uop", "wgt", "inp", "acc", "out"};
  return kNames[memory];
}

void ProgramData::Declare(FlagSet* flags) {
  flags->Text("input", "FILE", &input_, "the layer's input instead of random numbers");
  flags->Text("residual", "FILE", &residual_, "the second operand of an add");
  flags->Text("weights", "FILE", &weights_, "the filter");
  flags->Text("bias", "FILE", &bias_, "the bias");
}

bool ProgramData::any() const {
  return !input_.empty() || !residual_.empty() || !weights_.empty() || !bias_.empty();
}

Result<hw::Operands> ProgramData::Load(const std::vector<hw::Layer>& layers, int shift,
                                       uint64_t seed) const {
  hw::Operands operands = hw::RandomOperands(layers, shift, seed);
  Status status = ReadValues(input_, "the input", &operands.input);
  if (status.ok()) status = ReadValues(residual_, "the second operand", &operands.residual);
  if (!status.ok()) return status;
  std::vector<int8_t> weights, bias;
  for (const hw::Operands::Weights& layer : operands.layer) {
    weights.insert(weights.end(), layer.filter.begin(), layer.filter.end());
    bias.resize(bias.size() + 4 * layer.bias.size());
  }
  if (!weights_.empty()) {
    status = ReadValues(weights_, "the weights", &weights);
    if (!status.ok()) return status;
  }
  if (!bias_.empty()) {
    status = ReadValues(bias_, "the bias", &bias);
    if (!status.ok()) return status;
  }
  auto weight = weights.begin();
  size_t at = 0;
  for (hw::Operands::Weights& layer : operands.layer) {
    for (int8_t& value : layer.filter) value = *weight++;
    for (int32_t& value : layer.bias) {
      if (bias_.empty()) break;
      uint32_t word = 0;
      for (int i = 0; i < 4; ++i) word |= uint32_t{static_cast<uint8_t>(bias[at++])} << (8 * i);
      value = static_cast<int32_t>(word);
    }
  }
  return operands;
}

void RandomImage(uint64_t seed, hw::DramImage* image) {
  engine::Rng rng(seed);
  for (const size_t region : {size_t{1}, size_t{2}}) {
    for (uint8_t& byte : image->region[region]) byte = static_cast<uint8_t>(rng.Below(256));
  }
  std::vector<uint8_t>& words = image->region[3];
  for (size_t at = 0; at + 4 <= words.size(); at += 4) {
    const auto value = static_cast<uint32_t>(static_cast<int32_t>(rng.Below(2048)) - 1024);
    for (size_t i = 0; i < 4; ++i) words[at + i] = static_cast<uint8_t>(value >> (8 * i));
  }
}

}  // namespace rhnas::search
