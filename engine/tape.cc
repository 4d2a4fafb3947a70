// The tape and its arena. See tape.h.
#include "engine/tape.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "engine/check.h"
#include "engine/cpu.h"

namespace rhnas::engine {

namespace {

// Gradients of fewer floats are not worth looking for a place.
constexpr int64_t kReusedFloats = 4096;
// From which size a block asks for huge pages.
constexpr size_t kHugePages = 4 << 20;
constexpr size_t kSmallestBlock = 256 << 10;  // a policy network's step fits in one

#if defined(__linux__)
// RHNAS_HUGE_PAGES=0 turns them off.
bool WantsHugePages() {
  static const char* const wish = std::getenv("RHNAS_HUGE_PAGES");
  return wish == nullptr || std::strcmp(wish, "0") != 0;
}
#endif

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
#if defined(__linux__)
  // Fewer page faults and address translations, where the system has huge pages; else no effect.
  const uintptr_t page = 4096,
                  at = (reinterpret_cast<uintptr_t>(block.data) + page - 1) & ~(page - 1);
  if (bytes >= kHugePages && WantsHugePages())
    (void)madvise(reinterpret_cast<void*>(at), bytes - page, MADV_HUGEPAGE);
#endif
  blocks_.push_back(block);
  ++block_allocations_;
}

void* Arena::AllocateInNewBlock(size_t bytes) {
  RHNAS_CHECK(bytes <= SIZE_MAX - kAlignment, "an allocation of %zu bytes", bytes);
  const size_t rounded = std::max((bytes + kAlignment - 1) & ~(kAlignment - 1), kAlignment);
  if (!blocks_.empty()) blocks_[current_].used = offset_;
  const size_t next = blocks_.empty() ? 0 : current_ + 1;
  if (next == blocks_.size() || blocks_[next].size < rounded) {
    // Half of what there is already: few blocks, and little asked for in vain.
    AddBlock(std::max({rounded, kSmallestBlock, (bytes_reserved() / 2) & ~(kAlignment - 1)}));
    std::swap(blocks_[next], blocks_.back());
  }
  Enter(next);
  offset_ = rounded;
  return data_;
}

void Arena::Enter(size_t block) {
  current_ = block;
  data_ = blocks_[block].data;
  end_ = blocks_[block].size;
}

void Arena::Reset() {
  if (blocks_.size() > 1) {
    const size_t total = bytes_reserved();
    for (const Block& block : blocks_) ::operator delete (block.data, std::align_val_t{kAlignment});
    blocks_.clear();
    AddBlock(total);
  }
  if (!blocks_.empty()) Enter(0);
  offset_ = 0;
}

size_t Arena::bytes_in_use() const {
  size_t bytes = offset_;
  for (size_t i = 0; i < current_; ++i) bytes += blocks_[i].used;
  return bytes;
}

size_t Arena::bytes_reserved() const {
  size_t bytes = 0;
  for (const Block& block : blocks_) bytes += block.size;
  return bytes;
}

int64_t Arena::block_allocations() const { return block_allocations_; }

Tape::Tape(ThreadPool& pool) : pool_(pool), epoch_(g_next_epoch.fetch_add(1)) { FlushDenormals(); }

void Tape::Reset() {
  FlushDenormals();  // a step may run in another thread than the one that made the tape
  records_.clear();
  arena_.Reset();
  grads_.Reset();
  free_grads_.clear();
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
  float* const value = arena_.Floats(shape.size());
  Record& record = Push();
  record.shape = shape;
  record.value = value;
  record.needs_grad = needs_grad;
  return Last();
}

Var Tape::NewShared(Var x, const Shape& shape) {
  const Record source = At(x);
  RHNAS_CHECK(shape.size() == source.shape.size(), "%s viewed as %s",
              source.shape.ToString().c_str(), shape.ToString().c_str());
  Record& record = Push();
  record.shape = shape;
  record.value = source.value;
  record.needs_grad = source.needs_grad;
  return Last();
}

Var Tape::Constant(const Shape& shape, const float* data) {
  const Var v = NewValue(shape, false);
  std::memcpy(mutable_value(v), data, static_cast<size_t>(shape.size()) * sizeof(float));
  return v;
}

Var Tape::Scalar(float value) { return Constant(Shape(), &value); }

Var Tape::Alias(const Shape& shape, const float* data) {
  RHNAS_CHECK(data != nullptr, "no data behind %s", shape.ToString().c_str());
  Record& record = Push();
  record.shape = shape;
  record.value = const_cast<float*>(data);  // never written: only NewValue records are
  return Last();
}

Var Tape::Leaf(Parameter& parameter) {
  Record& record = Push();
  record.shape = parameter.shape;
  record.value = parameter.value.data();
  record.parameter = &parameter;
  record.needs_grad = true;
  return Last();
}

float* Tape::AccumulateGrad(Var v, bool* fresh) {
  Record& record = At(v);
  *fresh = false;
  if (!record.needs_grad) return nullptr;
  if (Parameter* const parameter = record.parameter) {
    *fresh = !parameter->touched;
    parameter->touched = true;
    record.grad = parameter->grad.data();
  } else if (record.grad == nullptr) {
    record.grad = NewGrad(record.shape.size());
    *fresh = true;
  }
  return record.grad;
}

// The smallest free gradient that fits, or new memory.
float* Tape::NewGrad(int64_t floats) {
  if (floats < kReusedFloats) return grads_.Floats(floats);
  size_t best = free_grads_.size();
  for (size_t i = 0; i < free_grads_.size(); ++i) {
    if (free_grads_[i].floats < floats) continue;
    if (best == free_grads_.size() || free_grads_[i].floats < free_grads_[best].floats) best = i;
  }
  if (best == free_grads_.size()) return grads_.Floats(floats);
  // What is left over of a larger one stays free.
  FreeGrad& from = free_grads_[best];
  const int64_t taken = (floats + 15) / 16 * 16;
  float* grad = from.data;
  from.data += taken;
  from.floats -= taken;
  if (from.floats < kReusedFloats) {
    from = free_grads_.back();
    free_grads_.pop_back();
  }
  return grad;
}

float* Tape::AccumulateGrad(Var v) {
  bool fresh = false;
  float* grad = AccumulateGrad(v, &fresh);
  // An untouched parameter's gradient is zero already.
  if (fresh && At(v).parameter == nullptr) {
    std::memset(grad, 0, static_cast<size_t>(At(v).shape.size()) * sizeof(float));
  }
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
    Record& record = records_[static_cast<size_t>(id)];
    if (record.backward == nullptr || record.grad == nullptr) continue;
    // What later records had in the arena is dead: room for what this one needs on its way back.
    arena_.ReleaseTo(record.mark);
    record.backward(record.context);
    const int64_t floats = record.shape.size();
    if (record.parameter == nullptr && floats >= kReusedFloats) {
      free_grads_.push_back({record.grad, floats});
      record.grad = nullptr;
    }
  }
}

}  // namespace rhnas::engine
