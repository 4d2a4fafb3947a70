// The latency of a schedule: a max-plus recurrence over its groups.
//
// Loads, compute and stores are three clocks; a context's buffers tie them together. Alike groups
// soon repeat with one period, so a run of them costs a few iterations whatever its length; runs of
// runs likewise. On the shared read bus the loads of inputs and weights go before those of biases
// (shell/VME.scala: fixed priority), which wait for the load in progress.
#include <algorithm>

#include "hw/schedule.h"

namespace rhnas::hw {
namespace {

// Iterations of a run after which its mean period is taken although it has not settled.
constexpr int kPatience = 6;
// A token posted in one cycle lets its waiter start in the next.
constexpr Ticks kToken = kCycle;
// Tokens drained by no-ops, then FINISH and the host's view of it.
constexpr int64_t kFinishCycles = 5;

class Recurrence {
 public:
  Recurrence(const Machine& machine, const Schedule& schedule, Ticks enough)
      : timing_(machine.timing),
        s_(schedule),
        first_fetched_(std::min(schedule.totals.instructions, timing_.fetch_group)),
        fetch_start_(timing_.FetchStart(schedule.totals.instructions)) {
    stall_most_ = enough - schedule.totals.compute;
    MergeLevels();
  }

  int64_t Run(int contexts) {
    const Ticks start = Arrive(1) + kCycle;
    c_ = start + s_.uop_load;
    done_ = s_.uop_load;
    l_ = start;
    if (s_.constant_load > 0) {
      l_ += s_.constant_load;
      Arrive(1);
    }
    const Group& first = s_.group[0];
    if (s_.resident_level >= 0) LoadResident(first);
    for (int c = 0; c < first.contexts; ++c) Load(c, FirstPhase(first, c));
    Loop(0);
    if (enough_) return (c_ - done_ + s_.totals.compute) / kCycle + 1;
    const Ticks end = std::max(c_, s_clock_) + Cycles(kFinishCycles + 2 * (contexts - 1));
    return (end + kCycle - 1) / kCycle;
  }

 private:
  // A level of the nest as it is walked; neighbours that need not be told apart become one.
  struct Nest {
    int64_t count[2];
    int runs;
    int stride;     // of its runs, in Schedule::group
    bool resident;  // the resident operand is loaded when it moves
  };

  void MergeLevels() {
    for (int l = 0; l < 3; ++l) {
      const auto u = static_cast<size_t>(l);
      const Level& level = s_.level[u];
      Nest now{
          {level.run[0].count, level.run[1].count}, level.runs, 4 >> l, l <= s_.resident_level};
      const bool once = now.runs == 1 && now.count[0] == 1;
      if (levels_ > 0) {
        Nest& outer = nest_[levels_ - 1];
        if (now.runs == 1 && (once || now.resident == outer.resident)) {
          for (int r = 0; r < outer.runs; ++r) outer.count[r] *= now.count[0];
          continue;
        }
        if (outer.runs == 1 && outer.count[0] == 1) {
          outer = now;
          continue;
        }
      }
      nest_[levels_++] = now;
    }
  }

  struct State {
    Ticks c;
    Ticks ahead[6];
    bool operator==(const State& other) const {
      Ticks differ = 0;
      for (int i = 0; i < 6; ++i) differ |= ahead[i] ^ other.ahead[i];
      return differ == 0;
    }
  };

  // What the future sees: clocks relative to compute. A clock behind compute is as good as equal:
  // whatever waits for it waits for compute as well.
  State Snapshot() const {
    const auto ahead = [this](Ticks t) { return std::max<Ticks>(0, t - c_); };
    return {c_,
            {ahead(l_), ahead(s_clock_), ahead(loaded_[0]), ahead(loaded_[1]), ahead(stored_[0]),
             ahead(stored_[1])}};
  }

  void Shift(Ticks by, int64_t instructions, Ticks done) {
    for (Ticks* t : {&c_, &l_, &s_clock_, &loaded_[0], &loaded_[1], &stored_[0], &stored_[1],
                     &used_[0], &used_[1], &begun_[0], &begun_[1]}) {
      *t += by;
    }
    fetched_ += instructions;
    done_ += done;
  }

  // As Timing::Arrival.
  Ticks Arrive(int64_t count) {
    fetched_ += count;
    if (fetched_ <= first_fetched_) return fetch_start_ + Cycles(fetched_ + 1);
    return fetch_start_ + Cycles(first_fetched_ + 1) +
           ((fetched_ - first_fetched_) * timing_.fetch_period >> timing_.fetch_shift);
  }

  const Phase& FirstPhase(const Group& group, int c) const {
    return s_.steps > 0 ? group.tile[c].step : group.tile[c].last;
  }

  void Load(int c, const Phase& phase) {
    const int64_t loads = phase.instructions;
    if (loads == 0) return;
    begun_[c] = std::max({l_, used_[c] + kToken, Arrive(1)});
    phase_[c] = &phase;
    l_ = begun_[c] + phase.load + phase.fetches;
    if (loads > 1) l_ = std::max(l_, Arrive(loads - 1));
    loaded_[c] = l_;
  }

  void LoadResident(const Group& group) {
    if (s_.resident_waits) l_ = std::max({l_, used_[0] + kToken, used_[1] + kToken});
    l_ += group.resident_load;
    l_ = std::max(l_, Arrive(group.resident_instructions));
    // Both contexts wait for it even where their own phases load nothing.
    loaded_[0] = std::max(loaded_[0], l_);
    loaded_[1] = std::max(loaded_[1], l_);
  }

  // How long a bias load that starts now waits for the loads in progress, and pushes them back.
  Ticks BusWait(Ticks now, Ticks beats) {
    // What a long bias load has not requested when a load begins waits for all of that load.
    const Ticks unrequested = beats - timing_.in_flight;
    if (unrequested > 0) return std::max<Ticks>(0, l_ + unrequested - now - beats);
    for (int c = 0; c < 2; ++c) {
      if (phase_[c] == nullptr || now < begun_[c] || now >= begun_[c] + phase_[c]->load) continue;
      const Phase& phase = *phase_[c];
      Ticks at = now - begun_[c];
      Ticks whole = phase.weight_load;
      const Ticks inputs = phase.load - phase.weight_load;
      if (at < inputs) {
        at %= phase.input_load;
        whole = phase.input_load;
      } else {
        at -= inputs;
      }
      const Ticks backlog = whole - kCycle - (at + timing_.load_wait);
      if (backlog <= 0) return 0;
      l_ += beats;
      loaded_[c] += beats;
      if (begun_[1 - c] >= begun_[c] && phase_[1 - c] != nullptr) {
        begun_[1 - c] += beats;
        loaded_[1 - c] += beats;
      }
      return backlog;
    }
    return 0;
  }

  void Multiply(int c, const Phase& phase) {
    c_ = std::max({c_, loaded_[c] + kToken, Arrive(1)}) + phase.multiply;
    used_[c] = c_;
  }

  // All steps but the last: multiplies of all contexts, each followed by that context's next load.
  void Steps(const Group& group) {
    const int64_t all = s_.steps + (s_.has_last ? 1 : 0) - 1;
    Ticks before = c_, load_ahead = 0, load_ahead_0 = 0;
    for (int64_t step = 0; step < all; ++step) {
      const int64_t fetched = fetched_;
      for (int c = 0; c < group.contexts; ++c) {
        const TileCost& tile = group.tile[c];
        Multiply(c, tile.step);
        Load(c, step + 1 < s_.steps ? tile.step : tile.last);
      }
      // The step that loads the odd one is never skipped.
      const int64_t alike = s_.steps - step - 3;
      const Ticks ahead = std::max<Ticks>(0, l_ - c_);
      const Ticks ahead_0 = std::max<Ticks>(0, loaded_[0] - c_);
      if (alike > 0 && step > 0 &&
          ((ahead == load_ahead && ahead_0 == load_ahead_0) || step >= kPatience)) {
        const Ticks by = alike * (c_ - before);
        for (Ticks* t :
             {&c_, &l_, &loaded_[0], &loaded_[1], &used_[0], &used_[1], &begun_[0], &begun_[1]}) {
          *t += by;
        }
        fetched_ += alike * (fetched_ - fetched);
        step += alike;
      }
      before = c_;
      load_ahead = ahead;
      load_ahead_0 = ahead_0;
    }
  }

  void RunGroup(const Group& group, const Group* next, bool resident) {
    for (int c = 0; c < group.contexts; ++c) {
      c_ = std::max({c_, stored_[c] + kToken, Arrive(1)}) + group.tile[c].reset;
    }
    Steps(group);
    for (int c = 0; c < group.contexts; ++c) {
      Multiply(c, s_.has_last ? group.tile[c].last : group.tile[c].step);
    }
    if (next != nullptr) {
      if (resident) LoadResident(*next);
      for (int c = 0; c < next->contexts; ++c) Load(c, FirstPhase(*next, c));
    }
    for (int c = 0; c < group.contexts; ++c) {
      const TileCost& tile = group.tile[c];
      c_ = std::max(c_, Arrive(tile.instructions - 1));
      if (tile.acc_load > 0) c_ += BusWait(c_, tile.acc_beats) + tile.acc_load;
      c_ += tile.alu;
      s_clock_ = std::max(s_clock_, c_ + kToken) + tile.store;
      stored_[c] = s_clock_;
    }
    done_ += group.sum.compute;
    enough_ = c_ - done_ > stall_most_;
  }

  void Loop(int l) {
    const Nest& level = nest_[l];
    for (int r = 0; r < level.runs && !enough_; ++r) {
      run_[l] = r;
      const int64_t count = level.count[r];
      State before = Snapshot();
      State earlier = before;
      for (int64_t i = 0; i < count; ++i) {
        left_[l] = count - i;
        const int64_t fetched = fetched_;
        const Ticks done = done_;
        if (l == levels_ - 1) {
          Leaf();
        } else {
          Loop(l + 1);
        }
        if (enough_) return;
        const int64_t alike = count - i - 2;  // the last one prefetches something else
        const State after = Snapshot();
        if (alike > 0 && (after == before || i >= kPatience)) {
          const Ticks period = after == before ? after.c - before.c : (after.c - earlier.c) / 2;
          Shift(alike * period, alike * (fetched_ - fetched), alike * (done_ - done));
          i += alike;
          enough_ = c_ - done_ > stall_most_;
          if (enough_) return;
        }
        earlier = before;
        before = Snapshot();
      }
    }
  }

  void Leaf() {
    int index = 0, following = 0;
    // The next group in the nest: the innermost level that can advance.
    int moved = -1;
    for (int l = levels_ - 1; l >= 0; --l) {
      const int here = run_[l] * nest_[l].stride;
      index += here;
      if (moved >= 0) {
        following += here;
      } else if (left_[l] > 1) {
        moved = l;
        following += here;
      } else if (run_[l] + 1 < nest_[l].runs) {
        moved = l;
        following += here + nest_[l].stride;
      }
    }
    const Group& group = s_.group[static_cast<size_t>(index)];
    if (moved < 0) {
      RunGroup(group, nullptr, false);
    } else {
      RunGroup(group, &s_.group[static_cast<size_t>(following)], nest_[moved].resident);
    }
  }

  const Timing& timing_;
  const Schedule& s_;
  const int64_t first_fetched_;
  const Ticks fetch_start_;
  Nest nest_[3];
  int levels_ = 0;
  int64_t fetched_ = 0;
  int run_[3] = {0, 0, 0};
  int64_t left_[3] = {0, 0, 0};
  Ticks c_ = 0, l_ = 0, s_clock_ = 0;  // when each unit is free
  Ticks done_ = 0;                     // compute time without stalls
  Ticks stall_most_ = 0;               // more makes the answer uninteresting
  bool enough_ = false;
  // Per context: loads done, last multiply done, last store done, its last load phase.
  Ticks loaded_[2] = {0, 0}, used_[2] = {0, 0}, stored_[2] = {0, 0}, begun_[2] = {0, 0};
  const Phase* phase_[2] = {nullptr, nullptr};
};

}  // namespace

int64_t LatencyCycles(const Machine& machine, const Tiling& tiling, const Schedule& schedule,
                      int64_t enough_cycles) {
  // The recurrence lets bias loads of compute and the loads beside them share the bus only where
  // they meet; the bus as a whole carries no more than a beat a cycle.
  const Ticks bound = LowerBound(machine, tiling, schedule);
  const int64_t floor = (bound + kCycle - 1) / kCycle;
  if (floor > enough_cycles) return floor;
  constexpr int64_t kNever = std::numeric_limits<Ticks>::max() / 2;
  const Ticks enough =
      enough_cycles < kNever / kCycle ? Cycles(enough_cycles / schedule.programs + 1) : kNever;
  const int64_t cycles = Recurrence(machine, schedule, enough).Run(tiling.vthreads);
  return std::max(schedule.programs * cycles, floor);
}

}  // namespace rhnas::hw
