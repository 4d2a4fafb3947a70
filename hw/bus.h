// The shared read bus: who may ask for a burst in which cycle, and when its beats come.
//
// Requests (shell/VME.scala): one a cycle, fixed priority fetch, micro-ops, inputs, weights,
// accumulators; one entry of queue a client, 16 requests outstanding; none in a cycle in which a
// burst's last beat comes. Beats (dpi/VTAMemDPI.scala): requests are served in order, one beat a
// cycle, so the time of a burst's every beat is known once it is asked for: nothing here is done
// per beat or per cycle.
#pragma once

#include <algorithm>
#include <cstdint>

#include "hw/unit_timing.h"

namespace rhnas::hw {

class ReadBus {
 public:
  explicit ReadBus(const UnitTiming& timing)
      : pipelined_(timing.memory == MemoryModel::kPipelined),
        latency_(timing.latency),
        gap_(timing.one_request ? 2 : 1),
        outstanding_(timing.outstanding) {}

  // The first cycle from `ready` on in which a request can be made.
  int64_t Earliest(int64_t ready) {
    int64_t cycle = std::max(ready, last_request_ + 1);
    if (count_ >= outstanding_) cycle = std::max(cycle, End(count_ - outstanding_) + gap_);
    while (oldest_ < count_ && End(oldest_) <= cycle) {
      if (End(oldest_) == cycle) ++cycle;
      ++oldest_;
    }
    return cycle;
  }

  // Makes it, for `beats` beats. Returns the cycle of its first beat; the others follow at once.
  // REQUIRES: cycle is Earliest(cycle).
  int64_t Request(int64_t cycle, int64_t beats) {
    int64_t first;
    if (pipelined_) {
      first = std::max(cycle + latency_ + 1, end_ + 1);
    } else {
      // The counter runs while the queue holds a request. It is reset by the cycle between the
      // request before leaving the queue and this one entering.
      const int64_t counted = cycle <= left_queue_ ? cycle + 1 : cycle + 1 + latency_;
      left_queue_ = std::max(counted, end_);
      first = left_queue_ + 1;
    }
    end_ = first + beats - 1;
    ends_[count_ & kMask] = end_;
    ++count_;
    last_request_ = cycle;
    return first;
  }

 private:
  static constexpr int64_t kMask = 31;  // above `outstanding`
  int64_t End(int64_t request) const { return ends_[request & kMask]; }

  const bool pipelined_;
  const int64_t latency_, gap_, outstanding_;
  int64_t ends_[kMask + 1] = {};
  int64_t count_ = 0, oldest_ = 0;
  int64_t last_request_ = -1, end_ = -1, left_queue_ = -1;
};

}  // namespace rhnas::hw
