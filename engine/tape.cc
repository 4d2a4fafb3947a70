// The tape and its arena. See tape.h.
#include "engine/tape.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "engine/check.h"

namespace rhnas::engine {

namespace {

constexpr size_t kSmallestBlock = 256 << 10;  // a policy network's step fits in one

// Every tape, and every Reset of one, has its own stamp. Atomic because tapes may be made in
// several threads; stamps never enter a result, so their order does not matter.
std::atomic<uint32_t> g_next_epoch{1};

}  // namespace

Arena::Arena() = default;

Arena::~Arena() {
  for (const Block& block : blocks_) ::operator delete (block.data, std::align_val_t{kAlignment});
}

void Arena::AddBlock(size_t bytes) {
  Block block;
  block.size = bytes;
  block.data = static_cast<unsigned char*>(
      ::operator new (bytes, std::align_val_t{kAlignment}, std::nothrow));
  RHNAS_CHECK(block.data != nullptr, "out of memory: the arena asked for %zu bytes above %zu",
              bytes, bytes_reserved());
  blocks_.push_back(block);
  offset_ = 0;
  end_ = bytes;
  ++block_allocations_;
}

void* Arena::AllocateInNewBlock(size_t bytes) {
  RHNAS_CHECK(bytes <= SIZE_MAX - kAlignment, "an allocation of %zu bytes", bytes);
  const size_t rounded = std::max((bytes + kAlignment - 1) & ~(kAlignment - 1), kAlignment);
  full_bytes_ += offset_;
  // Half of what there is already: few blocks, and little asked for in vain.
  AddBlock(std::max({rounded, kSmallestBlock, (bytes_reserved() / 2) & ~(kAlignment - 1)}));
  offset_ = rounded;
  return blocks_.back().data;
}

void Arena::Reset() {
  if (blocks_.size() > 1) {
    const size_t total = bytes_reserved();
    for (const Block& block : blocks_) ::operator delete (block.data, std::align_val_t{kAlignment});
    blocks_.clear();
    AddBlock(total);
  }
  offset_ = full_bytes_ = 0;
}

size_t Arena::bytes_in_use() const { return full_bytes_ + offset_; }

size_t Arena::bytes_reserved() const {
  size_t bytes = 0;
  for (const Block& block : blocks_) bytes += block.size;
  return bytes;
}

int64_t Arena::block_allocations() const { return block_allocations_; }

Tape::Tape(ThreadPool& pool) : pool_(pool), epoch_(g_next_epoch.fetch_add(1)) {}

void Tape::Reset() {
  records_.clear();
  arena_.Reset();
  epoch_ = g_next_epoch.fetch_add(1);
  backward_done_ = false;
}

void Tape::FailAt(Var v) const {
  RHNAS_CHECK(v.valid(), "a Var that no operation returned (id %d)", v.id);
  RHNAS_CHECK(v.epoch == epoch_,
              "Var %d is of another tape or from before Reset (stamp %u, not %u)", v.id, v.epoch,
              epoch_);
  RHNAS_CHECK(false, "Var %d on a tape of %d records", v.id, size());
}

Var Tape::NewValue(const Shape& shape, bool needs_grad) {
  for (int i = 0; i < shape.rank; ++i) {
    RHNAS_CHECK(shape.dim[i] > 0, "dimension %d of %s", i, shape.ToString().c_str());
  }
  Record record;
  record.shape = shape;
  record.value = arena_.Floats(shape.size());
  record.needs_grad = needs_grad;
  return Push(record);
}

Var Tape::NewShared(Var x, const Shape& shape) {
  const Record& source = At(x);
  RHNAS_CHECK(shape.size() == source.shape.size(), "%s viewed as %s",
              source.shape.ToString().c_str(), shape.ToString().c_str());
  Record record;
  record.shape = shape;
  record.value = source.value;
  record.needs_grad = source.needs_grad;
  return Push(record);
}

Var Tape::Constant(const Shape& shape, const float* data) {
  const Var v = NewValue(shape, false);
  std::memcpy(mutable_value(v), data, static_cast<size_t>(shape.size()) * sizeof(float));
  return v;
}

Var Tape::Scalar(float value) { return Constant(Shape(), &value); }

Var Tape::Alias(const Shape& shape, const float* data) {
  RHNAS_CHECK(data != nullptr, "no data behind %s", shape.ToString().c_str());
  Record record;
  record.shape = shape;
  record.value = const_cast<float*>(data);  // never written: only NewValue records are
  return Push(record);
}

Var Tape::Leaf(Parameter& parameter) {
  Record record;
  record.shape = parameter.shape;
  record.value = parameter.value.data();
  record.parameter = &parameter;
  record.needs_grad = true;
  return Push(record);
}

float* Tape::AccumulateGrad(Var v, bool* fresh) {
  Record& record = At(v);
  *fresh = false;
  if (!record.needs_grad) return nullptr;
  if (record.parameter != nullptr) {
    // Holds what earlier passes left (zero after ZeroGrad), so it is never fresh.
    record.parameter->touched = true;
    record.grad = record.parameter->grad.data();
  } else if (record.grad == nullptr) {
    record.grad = arena_.Floats(record.shape.size());
    *fresh = true;
  }
  return record.grad;
}

float* Tape::AccumulateGrad(Var v) {
  bool fresh = false;
  float* grad = AccumulateGrad(v, &fresh);
  if (fresh) std::memset(grad, 0, static_cast<size_t>(At(v).shape.size()) * sizeof(float));
  return grad;
}

void Tape::Backward(Var loss) {
  const Record& last = At(loss);
  RHNAS_CHECK(last.shape.size() == 1, "the loss is %s, not a scalar",
              last.shape.ToString().c_str());
  RHNAS_CHECK(!backward_done_, "a second Backward at record %d: Reset comes first", loss.id);
  backward_done_ = true;
  if (!last.needs_grad) return;
  *AccumulateGrad(loss) += 1;
  for (int32_t id = loss.id; id >= 0; --id) {
    const Record& record = records_[static_cast<size_t>(id)];
    if (record.backward != nullptr && record.grad != nullptr) record.backward(record.context);
  }
}

}  // namespace rhnas::engine
