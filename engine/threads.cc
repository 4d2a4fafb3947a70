// The job protocol. One 64-bit word `state` holds a generation, an open bit and the number of
// workers inside the job. The caller fills the job's fields while nobody is inside, then opens it;
// a worker joins by raising the count while the bit is set; the caller closes the bit when no block
// is left and waits for the count to reach zero. A worker that sleeps through a job is never waited
// for.
//
// Each worker begins with a share of the blocks that follow each other, the same in every job of as
// many blocks, and takes from the ends of the others' shares when its own is done: so the next
// operation mostly finds in its own cache what this one left there.
#include "engine/threads.h"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <new>
#include <thread>
#include <vector>

#include "engine/check.h"
#include "engine/cpu.h"

namespace rhnas::engine {

namespace {

constexpr uint64_t kInsideMask = 0xffff, kOpen = 0x10000, kGeneration = 0x20000;
// About 20 to 80 microseconds of pause instructions: the gap between two kernels of one step.
constexpr int kSpins = 2000;
constexpr size_t kAlignment = 64;

void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

struct alignas(kAlignment) ScratchBuffer {
  void* data = nullptr;
  size_t bytes = 0;
};

// Blocks [first, end) that nobody has taken yet.
struct alignas(kAlignment) Share {
  std::atomic<uint64_t> blocks{0};  // first << 32 | end

  void Set(uint64_t first, uint64_t end) {
    blocks.store(first << 32 | end, std::memory_order_relaxed);
  }
  // The first block, or the last; -1 when none is left.
  int64_t Take(bool last) {
    uint64_t seen = blocks.load(std::memory_order_relaxed);
    for (;;) {
      const uint64_t first = seen >> 32, end = seen & 0xffffffff;
      if (first >= end) return -1;
      const uint64_t left = last ? seen - 1 : seen + (uint64_t{1} << 32);
      if (blocks.compare_exchange_weak(seen, left, std::memory_order_relaxed)) {
        return static_cast<int64_t>(last ? end - 1 : first);
      }
    }
  }
};

}  // namespace

struct ThreadPool::Impl {
  std::vector<std::thread> workers;
  std::unique_ptr<ScratchBuffer[]> scratch;
  std::unique_ptr<Share[]> shares;
  int size = 1;

  alignas(kAlignment) std::atomic<uint64_t> state{0};
  alignas(kAlignment) int64_t n = 0;
  int64_t grain = 1;
  Body body = nullptr;
  void* context = nullptr;

  std::atomic<int> sleepers{0};
  std::atomic<bool> stop{false};
  std::mutex mutex;
  std::condition_variable wake;

  void Work(int worker) {
    for (int i = 0; i < size; i++) {
      const int owner = worker + i < size ? worker + i : worker + i - size;
      for (;;) {
        const int64_t block = shares[static_cast<size_t>(owner)].Take(i > 0);
        if (block < 0) break;
        const int64_t begin = block * grain;
        body(context, begin, grain < n - begin ? begin + grain : n, worker);
      }
    }
  }

  // Joins the job that is open now, if there is one this worker has not been in.
  bool TryJoin(uint64_t* last, int worker) {
    uint64_t seen = state.load(std::memory_order_acquire);
    while ((seen & kOpen) != 0 && (seen & ~(kInsideMask | kOpen)) != *last) {
      if (!state.compare_exchange_weak(seen, seen + 1, std::memory_order_acq_rel)) continue;
      *last = seen & ~(kInsideMask | kOpen);
      Work(worker);
      state.fetch_sub(1, std::memory_order_acq_rel);
      return true;
    }
    return false;
  }

  void WorkerLoop(int worker) {
    FlushDenormals();
    uint64_t last = 0;
    while (!stop.load(std::memory_order_relaxed)) {
      bool joined = false;
      for (int spin = 0; spin < kSpins && !joined; spin++) {
        joined = TryJoin(&last, worker);
        if (!joined) Pause();
      }
      if (joined) continue;
      std::unique_lock<std::mutex> lock(mutex);
      sleepers.fetch_add(1);
      wake.wait(lock, [&] {
        const uint64_t seen = state.load();
        return stop.load() || ((seen & kOpen) != 0 && (seen & ~(kInsideMask | kOpen)) != last);
      });
      sleepers.fetch_sub(1);
    }
  }
};

ThreadPool::ThreadPool(int threads) : impl_(new Impl) {
  FlushDenormals();
  if (threads <= 0) threads = static_cast<int>(std::thread::hardware_concurrency());
  if (threads <= 0) threads = 1;
  RHNAS_CHECK(static_cast<uint64_t>(threads) < kInsideMask, "%d threads, at most %d", threads,
              static_cast<int>(kInsideMask) - 1);
  impl_->size = threads;
  impl_->scratch.reset(new ScratchBuffer[static_cast<size_t>(threads)]);
  impl_->shares.reset(new Share[static_cast<size_t>(threads)]);
  impl_->workers.reserve(static_cast<size_t>(threads) - 1);
  for (int worker = 1; worker < threads; worker++) {
    impl_->workers.emplace_back([this, worker] { impl_->WorkerLoop(worker); });
  }
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard<std::mutex> lock(impl_->mutex);
    impl_->stop.store(true);
  }
  impl_->wake.notify_all();
  for (std::thread& worker : impl_->workers) worker.join();
  for (int worker = 0; worker < impl_->size; worker++) {
    ::operator delete (impl_->scratch[static_cast<size_t>(worker)].data,
                       std::align_val_t{kAlignment});
  }
}

int ThreadPool::size() const { return impl_->size; }

void ThreadPool::FailNested(int64_t n) {
  RHNAS_CHECK(false, "ParallelFor over %lld items inside a ParallelFor of the same pool",
              static_cast<long long>(n));
}

void ThreadPool::Run(int64_t n, int64_t grain, Body body, void* context) {
  RHNAS_CHECK(grain >= 1, "grain %lld, must be at least 1", static_cast<long long>(grain));
  if (n <= 0) return;
  Impl& pool = *impl_;
  if (running_.exchange(true, std::memory_order_acquire)) FailNested(n);
  if (pool.size == 1) {
    for (int64_t begin = 0; begin < n; begin += grain) {
      body(context, begin, grain < n - begin ? begin + grain : n, 0);
    }
    running_.store(false, std::memory_order_release);
    return;
  }
  pool.n = n;
  pool.grain = grain;
  pool.body = body;
  pool.context = context;
  const uint64_t blocks = static_cast<uint64_t>((n - 1) / grain) + 1;
  RHNAS_CHECK(blocks <= 0xffffffff, "%lld items in blocks of %lld are too many",
              static_cast<long long>(n), static_cast<long long>(grain));
  const uint64_t size = static_cast<uint64_t>(pool.size);
  for (uint64_t i = 0; i < size; i++) {
    pool.shares[i].Set(blocks / size * i + blocks % size * i / size,
                       blocks / size * (i + 1) + blocks % size * (i + 1) / size);
  }
  const uint64_t before = pool.state.load(std::memory_order_relaxed);
  // Sequentially consistent with the sleeper count: either the worker sees the job before it
  // sleeps or the caller sees the sleeper.
  pool.state.store((before & ~(kInsideMask | kOpen)) + kGeneration + kOpen);
  if (pool.sleepers.load() > 0) {
    const std::lock_guard<std::mutex> lock(pool.mutex);
    pool.wake.notify_all();
  }
  pool.Work(0);
  pool.state.fetch_and(~kOpen, std::memory_order_acq_rel);
  for (int spin = 0; (pool.state.load(std::memory_order_acquire) & kInsideMask) != 0; spin++) {
    if (spin < kSpins) {
      Pause();
    } else {
      std::this_thread::yield();
    }
  }
  running_.store(false, std::memory_order_release);
}

void* ThreadPool::Scratch(int worker, size_t bytes) {
  RHNAS_CHECK(worker >= 0 && worker < impl_->size, "worker %d of %d", worker, impl_->size);
  ScratchBuffer& buffer = impl_->scratch[static_cast<size_t>(worker)];
  if (buffer.bytes < bytes) {
    // A little more than asked, so that slowly growing demands settle.
    const size_t rounded = (bytes + bytes / 4 + 4095) / 4096 * 4096;
    void* larger = ::operator new (rounded, std::align_val_t{kAlignment}, std::nothrow);
    RHNAS_CHECK(larger != nullptr, "out of memory: asked for %zu bytes", rounded);
    ::operator delete (buffer.data, std::align_val_t{kAlignment});
    buffer.data = larger;
    buffer.bytes = rounded;
  }
  return buffer.data;
}

}  // namespace rhnas::engine
