// The thread pool: every block exactly once, bounds from (n, grain) alone, workers in range, reuse,
// sleep and wake, scratch that grows and stays, and the two misuses that stop the program.
#include "engine/threads.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <limits>
#include <thread>
#include <vector>

namespace rhnas::engine {
namespace {

TEST(ThreadPoolTest, EveryBlockOnceWithBoundsFromSizeAlone) {
  for (int threads : {1, 2, 3, 7}) {
    ThreadPool pool(threads);
    ASSERT_EQ(pool.size(), threads);
    for (int64_t n : {0, 1, 5, 64, 1000, 1003}) {
      for (int64_t grain : {1, 3, 64, 5000}) {
        std::vector<std::atomic<int>> hits(static_cast<size_t>(n));
        std::atomic<int> wrong{0};
        pool.ParallelFor(n, grain, [&](int64_t begin, int64_t end, int worker) {
          const int64_t want = begin + grain < n ? begin + grain : n;
          if (begin % grain != 0 || end != want || worker < 0 || worker >= threads) wrong++;
          for (int64_t i = begin; i < end; i++) hits[static_cast<size_t>(i)]++;
        });
        EXPECT_EQ(wrong.load(), 0) << threads << " threads, n " << n << ", grain " << grain;
        for (int64_t i = 0; i < n; i++) {
          ASSERT_EQ(hits[static_cast<size_t>(i)].load(), 1) << "item " << i << " of " << n;
        }
      }
    }
  }
}

// Plain memory: the end of one ParallelFor happens before the next, in every thread.
TEST(ThreadPoolTest, ManyShortJobsSeeEachOther) {
  ThreadPool pool(4);
  std::vector<int64_t> values(97, 0);
  constexpr int kRounds = 3000;
  for (int round = 0; round < kRounds; round++) {
    pool.ParallelFor(static_cast<int64_t>(values.size()), 5, [&](int64_t begin, int64_t end, int) {
      for (int64_t i = begin; i < end; i++) values[static_cast<size_t>(i)]++;
    });
  }
  for (int64_t value : values) EXPECT_EQ(value, kRounds);
}

TEST(ThreadPoolTest, WakesAfterSleep) {
  ThreadPool pool(3);
  for (int round = 0; round < 5; round++) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));  // past the spinning
    std::atomic<int64_t> sum{0};
    pool.ParallelFor(100, 1, [&](int64_t begin, int64_t, int) { sum += begin; });
    EXPECT_EQ(sum.load(), 4950);
  }
}

TEST(ThreadPoolTest, OtherThreadsTakePart) {
  ThreadPool pool(2);
  // The first block waits for another: only a second thread can run that one.
  std::atomic<int> started{0};
  std::atomic<bool> both{false};
  pool.ParallelFor(2, 1, [&](int64_t, int64_t, int) {
    started++;
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    while (started.load() < 2 && std::chrono::steady_clock::now() < limit) {
      std::this_thread::yield();
    }
    if (started.load() == 2) both = true;
  });
  EXPECT_TRUE(both.load());
}

TEST(ThreadPoolTest, ScratchIsAlignedKeptAndApart) {
  ThreadPool pool(3);
  void* first[3];
  for (int worker = 0; worker < 3; worker++) {
    first[worker] = pool.Scratch(worker, 10000);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(first[worker]) % 64, 0u);
  }
  EXPECT_NE(first[0], first[1]);
  EXPECT_NE(first[1], first[2]);
  EXPECT_EQ(pool.Scratch(1, 500), first[1]) << "a smaller demand moved the memory";
  pool.Scratch(1, 10000000);
  EXPECT_EQ(pool.Scratch(0, 10000), first[0]) << "another worker's demand moved the memory";
}

TEST(ThreadPoolTest, FlushesDenormalsInEveryThread) {
#if !defined(__x86_64__) && !defined(__aarch64__)
  GTEST_SKIP() << "no way to flush denormals on this machine";
#endif
  ThreadPool pool(2);
  std::atomic<int> started{0}, kept{0};
  pool.ParallelFor(2, 1, [&](int64_t, int64_t, int) {
    started++;
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    while (started.load() < 2 && std::chrono::steady_clock::now() < limit) {
      std::this_thread::yield();
    }
    volatile float tiny = std::numeric_limits<float>::min();
    volatile float half = tiny * 0.5f;
    if (half != 0.0f) kept++;
  });
  EXPECT_EQ(started.load(), 2);
  EXPECT_EQ(kept.load(), 0);
}

TEST(ThreadPoolTest, MisuseStops) {
  ::testing::GTEST_FLAG(death_test_style) = "threadsafe";
  EXPECT_DEATH(
      {
        ThreadPool pool(2);
        pool.ParallelFor(8, 1, [&](int64_t, int64_t, int) {
          pool.ParallelFor(1, 1, [](int64_t, int64_t, int) {});
        });
      },
      "inside a ParallelFor of the same pool");
  EXPECT_DEATH(
      {
        ThreadPool pool(1);
        pool.ParallelFor(8, 0, [](int64_t, int64_t, int) {});
      },
      "grain 0");
}

}  // namespace
}  // namespace rhnas::engine
