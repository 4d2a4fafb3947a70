// One small thread pool. Work is split by problem size, never by thread count, so results do not
// depend on how many threads there are: a block's bounds come from (n, grain) alone.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>

namespace rhnas::engine {

class ThreadPool {
 public:
  // `threads` counts the caller: 1 starts none. 0 means as many as the machine has.
  // Denormals are flushed in every worker and in the constructing thread.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const;

  // Calls fn(begin, end, worker) for the blocks [0, grain), [grain, 2 grain), ... of [0, n), each
  // once, on any thread; returns when all are done. `worker` is in [0, size()) and is for choosing
  // scratch memory only. The caller works too. Not reentrant: fn must not call ParallelFor on the
  // same pool (RHNAS_CHECK). Allocates nothing.
  template <typename F>
  void ParallelFor(int64_t n, int64_t grain, F&& fn) {
    if (n <= grain && n > 0) {  // one block: nobody to tell
      if (running_.load(std::memory_order_relaxed)) FailNested(n);
      running_.store(true, std::memory_order_relaxed);
      fn(int64_t{0}, n, 0);
      running_.store(false, std::memory_order_relaxed);
      return;
    }
    Run(
        n, grain,
        [](void* f, int64_t begin, int64_t end, int worker) {
          (*static_cast<std::remove_reference_t<F>*>(f))(begin, end, worker);
        },
        const_cast<void*>(static_cast<const void*>(&fn)));
  }

  // Scratch memory of a worker, 64-byte aligned, contents undefined, kept and grown on demand; a
  // warm step allocates nothing. Valid until the same worker asks for a larger one.
  void* Scratch(int worker, size_t bytes);

 private:
  using Body = void (*)(void* context, int64_t begin, int64_t end, int worker);
  void Run(int64_t n, int64_t grain, Body body, void* context);
  [[noreturn]] static void FailNested(int64_t n);
  struct Impl;
  std::unique_ptr<Impl> impl_;
  std::atomic<bool> running_{false};  // inside a ParallelFor
};

}  // namespace rhnas::engine
