// Reverse-mode automatic differentiation on a tape.
//
// Creation order is a topological order, so backward is a reverse loop over a vector of plain
// records. The tape owns all values and gradients of a step in an arena; Reset keeps the blocks, so
// a warm step allocates nothing. A Var is an index into the tape it came from. Tape& is passed,
// never hidden. One thread builds and runs a tape; operations use its pool inside. Denormals are
// flushed in that thread as in the pool's.
//
// Not here: higher-order gradients, views, in-place operations.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <type_traits>
#include <vector>

#include "engine/check.h"
#include "engine/tensor.h"
#include "engine/threads.h"

namespace rhnas::engine {

struct Var {
  int32_t id = -1;
  uint32_t epoch = 0;  // stamp of the tape and its last Reset: a stale Var is an RHNAS_CHECK
  bool valid() const { return id >= 0; }
};

// Bump allocator in 64-byte aligned blocks. Reset keeps the memory; when a step needed several
// blocks, Reset merges them into one of their joint size, so that later steps of any order of sizes
// up to that total fit without asking the system again.
class Arena {
 public:
  Arena();
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  void* Allocate(size_t bytes) {  // 64-byte aligned, contents undefined
    const size_t rounded = bytes == 0 ? kAlignment : (bytes + kAlignment - 1) & ~(kAlignment - 1);
    if (rounded < bytes || end_ - offset_ < rounded) return AllocateInNewBlock(bytes);
    void* memory = data_ + offset_;
    offset_ += rounded;
    return memory;
  }
  float* Floats(int64_t count) {
    RHNAS_CHECK(static_cast<uint64_t>(count) <= SIZE_MAX / sizeof(float),
                "%lld floats: more than memory has addresses for", static_cast<long long>(count));
    return static_cast<float*>(Allocate(static_cast<size_t>(count) * sizeof(float)));
  }
  void Reset();
  // Where the next allocation would go; ReleaseTo gives back everything allocated since.
  struct Mark {
    size_t block = 0, offset = 0;
  };
  Mark mark() const { return {current_, offset_}; }
  // REQUIRES: a mark of this arena from after its last Reset, not itself given back.
  void ReleaseTo(const Mark& mark) {
    if (mark.block != current_) Enter(mark.block);
    offset_ = mark.offset;
  }
  size_t bytes_in_use() const;
  size_t bytes_reserved() const;
  int64_t block_allocations() const;  // how often memory was asked of the system, ever

 private:
  static constexpr size_t kAlignment = 64;  // one cache line, one AVX-512 register
  struct Block {
    unsigned char* data = nullptr;
    size_t size = 0;
    size_t used = 0;  // when the arena went on to the next
  };
  void AddBlock(size_t bytes);
  void Enter(size_t block);
  void* AllocateInNewBlock(size_t bytes);
  std::vector<Block> blocks_;
  // Where the next allocation goes, in blocks_[current_] of `end_` bytes; later blocks are empty.
  unsigned char* data_ = nullptr;
  size_t current_ = 0, offset_ = 0, end_ = 0;
  int64_t block_allocations_ = 0;
};

class Tape {
 public:
  explicit Tape(ThreadPool& pool);
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  // Forgets all records, keeps the memory.
  void Reset();

  // A value without gradient: copied into the arena.
  Var Constant(const Shape& shape, const float* data);
  Var Scalar(float value);
  // A value without gradient that the caller keeps alive and unchanged until Reset (images).
  Var Alias(const Shape& shape, const float* data);
  // A trained tensor: reads parameter.value; Backward adds into parameter.grad.
  Var Leaf(Parameter& parameter);

  Shape shape(Var v) const { return At(v).shape; }
  const float* value(Var v) const { return At(v).value; }
  bool needs_grad(Var v) const { return At(v).needs_grad; }
  // d loss / d v of a leaf after Backward; null where nothing flows. Of an intermediate value it is
  // for backward passes: its memory is used again once they are through (small ones stay).
  const float* grad(Var v) const { return At(v).grad; }

  // Gradients of a scalar with respect to everything it depends on. Leaves accumulate. An operation
  // whose output no gradient reached is not run. Memory is used again on the way back: after
  // Backward values and gradients of intermediate records are undefined, so read the loss before.
  // REQUIRES: shape(loss).size() == 1, called at most once between Resets.
  void Backward(Var loss);

  ThreadPool& pool() { return pool_; }
  Arena& arena() { return arena_; }
  int32_t size() const { return static_cast<int32_t>(records_.size()); }

  // --- For operations (engine/ops*.cc) ---

  // Adds a record whose value is uninitialised; the operation fills mutable_value.
  Var NewValue(const Shape& shape, bool needs_grad);
  // Adds a record that shares the (immutable) value memory of `x` but has a gradient of its own.
  // REQUIRES: same size.
  Var NewShared(Var x, const Shape& shape);
  float* mutable_value(Var v) { return At(v).value; }
  // Gradient memory of an input, allocated and zeroed at first use: operations add into it.
  // Null when the input needs no gradient.
  float* AccumulateGrad(Var v);
  // The same without the zeroing: *fresh tells that this is the first contribution since Reset or,
  // to a parameter, since ZeroGrad, so the operation must overwrite all of it.
  float* AccumulateGrad(Var v, bool* fresh);
  // Runs `backward()` in the reverse pass if gradient reached `out`. The callable is copied into
  // the arena; it must be trivially destructible and capture Tape* and Vars by value.
  template <typename F>
  void OnBackward(Var out, F backward) {
    static_assert(std::is_trivially_destructible_v<F>, "captures must be plain data");
    void* memory = arena_.Allocate(sizeof(F));
    F* stored = new (memory) F(backward);
    SetBackward(
        out, [](void* f) { (*static_cast<F*>(f))(); }, stored);
  }

 private:
  struct Record {
    Shape shape;
    float* value = nullptr;
    float* grad = nullptr;
    Parameter* parameter = nullptr;
    void (*backward)(void*) = nullptr;
    void* context = nullptr;
    Arena::Mark mark;  // of the arena when the operation was complete
    bool needs_grad = false;
  };
  struct FreeGrad {
    float* data;
    int64_t floats;
  };
  float* NewGrad(int64_t floats);
  // A new record at the end, all defaults.
  Record& Push() {
    RHNAS_CHECK(size() < INT32_MAX, "a tape of %d records", size());
    records_.emplace_back();
    return records_.back();
  }
  Var Last() const { return Var{size() - 1, epoch_}; }
  const Record& At(Var v) const {
    if (v.epoch != epoch_ || static_cast<uint32_t>(v.id) >= records_.size()) FailAt(v);
    return records_[static_cast<size_t>(v.id)];
  }
  Record& At(Var v) { return const_cast<Record&>(static_cast<const Tape*>(this)->At(v)); }
  [[noreturn]] void FailAt(Var v) const;
  void SetBackward(Var out, void (*fn)(void*), void* context) {
    Record& record = At(out);
    RHNAS_CHECK(record.backward == nullptr, "Var %d has a backward already", out.id);
    record.backward = fn;
    record.context = context;
    record.mark = arena_.mark();
  }
  ThreadPool& pool_;
  Arena arena_, grads_;
  std::vector<Record> records_;
  std::vector<FreeGrad> free_grads_;
  uint32_t epoch_;
  bool backward_done_ = false;
};

}  // namespace rhnas::engine
