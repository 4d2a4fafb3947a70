#include "rl/causal_heads.h"

namespace rhnas::rl {

using engine::Shape;
using engine::Var;

namespace {

// Of the first layer's start: units differ from the outset, so that V has something to choose from.
constexpr float kSpread = 0.5f;

// Columns [begin, begin + count) of a matrix of `width` columns.
Var Columns(engine::Tape& tape, Var x, int rows, int width, int begin, int count) {
  std::vector<int32_t> index;
  index.reserve(static_cast<size_t>(rows) * static_cast<size_t>(count));
  for (int row = 0; row < rows; ++row) {
    for (int i = 0; i < count; ++i) index.push_back(row * width + begin + i);
  }
  return engine::Reshape(tape, engine::Gather(tape, x, index.data(), rows * count),
                         Shape(rows, count));
}

}  // namespace

CausalHeads::CausalHeads(const HeadLayout& layout, engine::Rng& rng)
    : layout_(layout),
      units_("policy/units", Shape(layout.total, layout.heads() * kUnits)),
      direct_("policy/direct", Shape(layout.total, layout.total)),
      out_("policy/out", Shape(layout.heads() * kUnits, layout.total)) {
  for (int head = 0; head < layout_.heads(); ++head) {
    for (int i = 0; i < layout_.sizes[static_cast<size_t>(head)]; ++i) head_of_.push_back(head);
  }
  for (const int from : head_of_) {
    for (int unit = 0; unit < layout_.heads() * kUnits; ++unit) {
      const bool later = unit / kUnits > from;
      units_.value.data()[units_mask_.size()] = later ? kSpread * rng.Normal() : 0.0f;
      units_mask_.push_back(later ? 1.0f : 0.0f);
    }
    for (const int to : head_of_) direct_mask_.push_back(to > from ? 1.0f : 0.0f);
  }
  for (int unit = 0; unit < layout_.heads() * kUnits; ++unit) {
    for (const int to : head_of_) out_mask_.push_back(to == unit / kUnits ? 1.0f : 0.0f);
  }
}

Var CausalHeads::Logits(engine::Tape& tape, Var trunk, int rows, const int32_t* actions) {
  const int total = layout_.total, heads = layout_.heads(), width = trunk_size();
  std::vector<float> one_hot(static_cast<size_t>(rows) * static_cast<size_t>(total), 0.0f);
  for (int row = 0; row < rows; ++row) {
    for (int head = 0; head < heads; ++head) {
      const int at = layout_.offsets[static_cast<size_t>(head)] + actions[row * heads + head];
      one_hot[static_cast<size_t>(row * total + at)] = 1.0f;
    }
  }
  const Var choices = tape.Constant(Shape(rows, total), one_hot.data());
  const auto masked = [&](engine::Parameter& parameter, const std::vector<float>& mask) {
    const Var weight = tape.Leaf(parameter);
    return engine::Mul(tape, weight, tape.Constant(tape.shape(weight), mask.data()));
  };
  const Var inputs = Columns(tape, trunk, rows, width, total, heads * kUnits);
  const Var units = engine::Relu(
      tape, engine::Add(tape, inputs, engine::Matmul(tape, choices, masked(units_, units_mask_))));
  const Var direct = engine::Add(tape, Columns(tape, trunk, rows, width, 0, total),
                                 engine::Matmul(tape, choices, masked(direct_, direct_mask_)));
  return engine::Add(tape, direct, engine::Matmul(tape, units, masked(out_, out_mask_)));
}

void CausalHeads::HeadLogits(const float* trunk, int head, const int* action, float* logits) const {
  const int total = layout_.total, all_units = layout_.heads() * kUnits;
  const int begin = layout_.offsets[static_cast<size_t>(head)];
  const int size = layout_.sizes[static_cast<size_t>(head)];
  float units[kUnits];
  for (int unit = 0; unit < kUnits; ++unit) units[unit] = trunk[total + head * kUnits + unit];
  for (int i = 0; i < size; ++i) logits[i] = trunk[begin + i];
  for (int before = 0; before < head; ++before) {
    const int from = layout_.offsets[static_cast<size_t>(before)] + action[before];
    const float* unit_row = units_.value.data() + from * all_units + head * kUnits;
    const float* logit_row = direct_.value.data() + from * total + begin;
    for (int unit = 0; unit < kUnits; ++unit) units[unit] += unit_row[unit];
    for (int i = 0; i < size; ++i) logits[i] += logit_row[i];
  }
  for (int unit = 0; unit < kUnits; ++unit) {
    if (!(units[unit] > 0)) continue;
    const float* row = out_.value.data() + (head * kUnits + unit) * total + begin;
    for (int i = 0; i < size; ++i) logits[i] += units[unit] * row[i];
  }
}

void CausalHeads::Save(engine::ArchiveWriter& archive, const std::string& prefix) const {
  for (const engine::Parameter* p : {&units_, &direct_, &out_}) {
    archive.PutBuffer(prefix + p->name, p->value);
  }
}

void CausalHeads::Load(engine::ArchiveReader& archive, const std::string& prefix) {
  for (engine::Parameter* p : parameters()) archive.GetBuffer(prefix + p->name, &p->value);
}

}  // namespace rhnas::rl
