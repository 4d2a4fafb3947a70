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
  Recurrence(const Machine& machine, const Schedule& schedule, int64_t instructions)
      : timing_(machine.timing), s_(schedule), instructions_(instructions) {}

  int64_t Run(int contexts) {
    const Ticks start = Arrive(1) + kCycle;
    c_ = start + s_.uop_load;
    l_ = start;
    if (s_.constant_load > 0) {
      l_ += s_.constant_load;
      Arrive(1);
    }
    const Group& first = s_.At(0, 0, 0);
    if (s_.resident_level >= 0) LoadResident(first);
    for (int c = 0; c < first.contexts; ++c) Load(first, c, FirstPhase(first, c));
    Loop(0);
    const Ticks end = std::max(c_, s_clock_) + Cycles(kFinishCycles + 2 * (contexts - 1));
    return (end + kCycle - 1) / kCycle;
  }

 private:
  struct State {
    Ticks c;
    Ticks ahead[6];
    bool operator==(const State& other) const {
      return std::equal(std::begin(ahead), std::end(ahead), std::begin(other.ahead));
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

  void Shift(Ticks by, int64_t instructions) {
    for (Ticks* t : {&c_, &l_, &s_clock_, &loaded_[0], &loaded_[1], &stored_[0], &stored_[1],
                     &used_[0], &used_[1], &begun_[0], &begun_[1]}) {
      *t += by;
    }
    fetched_ += instructions;
  }

  Ticks Arrive(int64_t count) {
    fetched_ += count;
    return timing_.Arrival(fetched_ - 1, instructions_);
  }

  const Phase& FirstPhase(const Group& group, int c) const {
    return s_.steps > 0 ? group.tile[c].step : group.tile[c].last;
  }

  void Load(const Group& group, int c, const Phase& phase) {
    (void)group;
    const int64_t loads = phase.instructions() - 1;
    if (loads == 0) return;
    const Ticks fetched = Arrive(1);
    begun_[c] = std::max({l_, used_[c] + kToken, fetched});
    phase_[c] = &phase;
    // Instruction fetch goes before everything else on the bus: its beats delay a load as often as
    // they meet data.
    const Ticks data = phase.input_loads * phase.input_beats + phase.weight_beats;
    const Ticks use = data * kCycle / phase.load();  // share of its time, in 1/256
    l_ = begun_[c] + phase.load() +
         phase.instructions() * timing_.fetch_beats * use / kCycle * use / kCycle;
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
      if (phase_[c] == nullptr || now < begun_[c] || now >= begun_[c] + phase_[c]->load()) continue;
      const Phase& phase = *phase_[c];
      Ticks at = now - begun_[c];
      Ticks whole = phase.weight_load;
      if (at < phase.input_loads * phase.input_load) {
        at %= phase.input_load;
        whole = phase.input_load;
      } else {
        at -= phase.input_loads * phase.input_load;
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

  // Multiplies of one step of all contexts; each context's next load follows.
  void Step(const Group& group, bool last, bool final, const Group* next, bool resident) {
    for (int c = 0; c < group.contexts; ++c) {
      const TileCost& tile = group.tile[c];
      const Phase& phase = last ? tile.last : tile.step;
      c_ = std::max({c_, loaded_[c] + kToken, Arrive(1)}) + phase.multiply;
      used_[c] = c_;
      if (!final) Load(group, c, NextPhase(tile));
    }
    if (!final || next == nullptr) return;
    if (resident) LoadResident(*next);
    for (int c = 0; c < next->contexts; ++c) Load(*next, c, FirstPhase(*next, c));
  }

  const Phase& NextPhase(const TileCost& tile) const {
    return step_ + 1 < s_.steps ? tile.step : tile.last;
  }

  void RunGroup(const Group& group, const Group* next, bool resident) {
    for (int c = 0; c < group.contexts; ++c) {
      c_ = std::max({c_, stored_[c] + kToken, Arrive(1)}) + group.tile[c].reset;
    }
    const int64_t all = s_.steps + (s_.has_last ? 1 : 0);
    State before = Snapshot();
    for (step_ = 0; step_ < all; ++step_) {
      const int64_t fetched = fetched_;
      Step(group, step_ >= s_.steps, step_ + 1 == all, next, resident);
      // The step before the last loads the odd step or the next group; those are never skipped.
      const int64_t alike = s_.steps - step_ - 3;
      const State after = Snapshot();
      if (alike > 0 && (after == before || step_ >= kPatience)) {
        Shift(alike * (after.c - before.c), alike * (fetched_ - fetched));
        step_ += alike;
      }
      before = Snapshot();
    }
    for (int c = 0; c < group.contexts; ++c) {
      const TileCost& tile = group.tile[c];
      c_ = std::max(c_, Arrive(tile.instructions - 1));
      if (tile.acc_load > 0) c_ += BusWait(c_, tile.acc_beats) + tile.acc_load;
      c_ += tile.alu;
      s_clock_ = std::max(s_clock_, c_ + kToken) + tile.store;
      stored_[c] = s_clock_;
    }
  }

  void Loop(size_t l) {
    const Level& level = s_.level[l];
    for (int r = 0; r < level.runs; ++r) {
      run_[l] = r;
      const int64_t count = level.run[static_cast<size_t>(r)].count;
      State before = Snapshot();
      State earlier = before;
      for (int64_t i = 0; i < count; ++i) {
        left_[l] = count - i;
        const int64_t fetched = fetched_;
        if (l == 2) {
          Leaf();
        } else {
          Loop(l + 1);
        }
        const int64_t alike = count - i - 2;  // the last one prefetches something else
        const State after = Snapshot();
        if (alike > 0 && after == before) {
          Shift(alike * (after.c - before.c), alike * (fetched_ - fetched));
          i += alike;
        } else if (alike > 0 && i >= kPatience) {
          Shift(alike * ((after.c - earlier.c) / 2), alike * (fetched_ - fetched));
          i += alike;
        }
        earlier = before;
        before = Snapshot();
      }
    }
  }

  void Leaf() {
    const Group& group = s_.At(run_[0], run_[1], run_[2]);
    // The next group in the nest: the innermost level that can advance.
    int next[3] = {run_[0], run_[1], run_[2]};
    int moved = -1;
    for (int l = 2; l >= 0 && moved < 0; --l) {
      const auto u = static_cast<size_t>(l);
      if (left_[u] > 1) {
        moved = l;
      } else if (run_[u] + 1 < s_.level[u].runs) {
        ++next[l];
        moved = l;
      } else {
        next[l] = 0;
      }
    }
    if (moved < 0) {
      RunGroup(group, nullptr, false);
      return;
    }
    const Group& following = s_.At(next[0], next[1], next[2]);
    RunGroup(group, &following, moved <= s_.resident_level);
  }

  const Timing& timing_;
  const Schedule& s_;
  const int64_t instructions_;
  int64_t fetched_ = 0, step_ = 0;
  int run_[3] = {0, 0, 0};
  int64_t left_[3] = {0, 0, 0};
  Ticks c_ = 0, l_ = 0, s_clock_ = 0;  // when each unit is free
  // Per context: loads done, last multiply done, last store done, its last load phase.
  Ticks loaded_[2] = {0, 0}, used_[2] = {0, 0}, stored_[2] = {0, 0}, begun_[2] = {0, 0};
  const Phase* phase_[2] = {nullptr, nullptr};
};

}  // namespace

int64_t LatencyCycles(const Machine& machine, const Tiling& tiling, const Schedule& schedule,
                      const Totals& totals) {
  const int64_t cycles = Recurrence(machine, schedule, totals.instructions).Run(tiling.vthreads);
  // The recurrence lets bias loads of compute and the loads beside them share the bus only where
  // they meet; the bus as a whole carries no more than a beat a cycle.
  const Ticks bound = LowerBound(machine, tiling, schedule, totals);
  return std::max(schedule.programs * cycles, (bound + kCycle - 1) / kCycle);
}

}  // namespace rhnas::hw
