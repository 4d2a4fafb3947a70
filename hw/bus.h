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
  int64_t Earliest(int64_t ready) { return Earliest(ready, &at_); }
  // Makes it, for `beats` beats. Returns the cycle of its first beat; the others follow at once.
  // REQUIRES: cycle is what Earliest answered last.
  int64_t Request(int64_t cycle, int64_t beats) { return Request(cycle, beats, &at_); }

 private:
  struct State {
    int64_t count = 0, oldest = 0;  // requests made; the first whose end is not passed
    int64_t seen = 0;               // `oldest` if a request is made in the cycle asked for
    int64_t last_request = -1, end = -1, left_queue = -1;
  };

 public:
  // The same with the state in registers, for a run of requests; back in the bus at the end.
  class Cursor {
   public:
    explicit Cursor(ReadBus* bus) : bus_(bus), at_(bus->at_) {}
    ~Cursor() { bus_->at_ = at_; }
    int64_t Earliest(int64_t ready) { return bus_->Earliest(ready, &at_); }
    int64_t Request(int64_t cycle, int64_t beats) { return bus_->Request(cycle, beats, &at_); }

   private:
    ReadBus* const bus_;
    State at_;
  };

 private:
  static constexpr int64_t kMask = 31;  // above `outstanding`

  // Ends are kept modulo 2^32: all that are looked at are near.
  int64_t End(int64_t request, int64_t near) const {
    const uint32_t ahead = ends_[request & kMask] - static_cast<uint32_t>(near);
    return near + static_cast<int32_t>(ahead);
  }

  int64_t Earliest(int64_t ready, State* at) const {
    int64_t cycle = std::max(ready, at->last_request + 1), oldest = at->oldest;
    if (at->count >= outstanding_) {
      const int64_t room = at->count - outstanding_;
      const int64_t freed = End(room, cycle) + gap_;
      if (freed >= cycle) {
        cycle = freed;
        oldest = room + 1;
      }
    }
    for (; oldest < at->count; ++oldest) {
      const int64_t end = End(oldest, cycle);
      if (end > cycle) break;
      if (end == cycle) ++cycle;
    }
    at->seen = oldest;
    return cycle;
  }

  int64_t Request(int64_t cycle, int64_t beats, State* at) {
    int64_t first;
    if (pipelined_) {
      first = std::max(cycle + latency_ + 1, at->end + 1);
    } else {
      // The counter runs while the queue holds a request. It is reset by a cycle between the
      // request before leaving the queue and this one entering.
      const int64_t counted = cycle <= at->left_queue ? cycle + 1 : cycle + 1 + latency_;
      at->left_queue = std::max(counted, at->end);
      first = at->left_queue + 1;
    }
    at->end = first + beats - 1;
    ends_[at->count & kMask] = static_cast<uint32_t>(at->end);
    ++at->count;
    at->oldest = at->seen;
    at->last_request = cycle;
    return first;
  }

  const bool pipelined_;
  const int64_t latency_, gap_, outstanding_;
  uint32_t ends_[kMask + 1] = {};
  State at_;
};

}  // namespace rhnas::hw
