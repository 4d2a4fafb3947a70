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
// 16 requests outstanding, in ticks: a load that has made them keeps others out.
constexpr Ticks kManyRequests = Cycles(16);
// A no-op takes a token: one cycle and the idle one.
constexpr Ticks kNop = 2 * kCycle;

class Recurrence {
 public:
  Recurrence(const Machine& machine, const Schedule& schedule, Ticks enough)
      : timing_(machine.timing), s_(schedule), instructions_(schedule.totals.instructions) {
    stall_most_ = enough - schedule.totals.compute;
    if (instructions_ > timing_.fetch_group) {
      later_fetches_ = kCycle - timing_.fetch_group * kCycle / instructions_;
    }
    MergeLevels();
  }

  int64_t Run() {
    const Ticks start = Arrive(1);
    c_ = start + s_.uop_load;
    done_ = s_.uop_load;
    if (s_.clear > 0) {
      const Ticks clear = s_.contexts() * s_.clear;
      c_ += clear;
      done_ += clear;
      fetched_ += 2 * s_.contexts();
    }
    // Micro-ops are asked for first: the first data of the load unit come after theirs.
    l_ = start + std::max(kCycle, s_.uop_load - timing_.load_uop);
    if (s_.constant_load > 0) {
      l_ = std::max(l_, Arrive(1)) + s_.constant_load;
    }
    const int64_t fetched = fetched_;
    fetched_ += s_.contexts();
    LoadGroup(s_.group[0], s_.resident_level >= 0);
    ahead_ = fetched_ - fetched - s_.contexts();
    fetched_ = fetched;
    Loop(0);
    if (enough_) return (c_ - done_ + s_.totals.compute) / kCycle + 1;
    // No-ops take the last stores' tokens, then FINISH.
    const int contexts = s_.contexts();
    for (int c = 0; c < contexts; ++c) c_ = std::max({c_, stored_[c], Arrive(1)}) + kNop;
    c_ = std::max(c_, Arrive(contexts + 1)) + kCycle;
    return (c_ + kCycle - 1) / kCycle;
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
    AddLevel({{s_.copies, 0}, 1, 0, s_.resident_level >= 0});
    for (int l = 0; l < 3; ++l) {
      const Level& level = s_.level[static_cast<size_t>(l)];
      AddLevel(
          {{level.run[0].count, level.run[1].count}, level.runs, 4 >> l, l <= s_.resident_level});
    }
  }

  void AddLevel(const Nest& now) {
    if (levels_ > 0) {
      Nest& outer = nest_[levels_ - 1];
      if (now.runs == 1 && (now.count[0] == 1 || now.resident == outer.resident)) {
        for (int r = 0; r < outer.runs; ++r) outer.count[r] *= now.count[0];
        return;
      }
      if (outer.runs == 1 && outer.count[0] == 1) {
        outer = now;
        return;
      }
    }
    nest_[levels_++] = now;
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
    for (Ticks* t :
         {&c_, &l_, &s_clock_, &loaded_[0], &loaded_[1], &stored_[0], &stored_[1], &used_[0],
          &used_[1], &begun_[0], &begun_[1], &begun_[kResident], &loaded_[kResident]}) {
      *t += by;
    }
    fetched_ += instructions;
    done_ += done;
  }

  // When the last of `count` more instructions can start. In the middle of a long program fetch
  // runs ahead, or else its rate alone matters, which shows at the end.
  Ticks Arrive(int64_t count) {
    fetched_ += count;
    return quiet_ ? 0 : timing_.Arrival(fetched_ - 1, instructions_);
  }

  const Phase& FirstPhase(const Group& group, int c) const {
    return s_.steps > 0 ? group.tile[c].step : group.tile[c].last;
  }

  void Load(int c, const Phase& phase) {
    if (phase.instructions == 0) return;
    begun_[c] = std::max({l_, used_[c], Arrive(1)});
    phase_[c] = &phase;
    l_ = begun_[c] + phase.load + (phase.fetches * later_fetches_ >> kCycleShift);
    if (phase.instructions > 1) {
      l_ = std::max(l_, Arrive(phase.instructions - 1) + phase.last_load);
    }
    loaded_[c] = l_;
  }

  void LoadResident(const Group& group) {
    if (s_.resident_waits) l_ = std::max({l_, used_[0], used_[1]});
    begun_[kResident] = l_;
    // Bias loads meet resident inputs. Not resident weights: with them a larger micro-op
    // scratchpad, which may load more micro-ops for the same tiling, could cost cycles.
    if (s_.resident_level != 0) phase_[kResident] = &group.resident;
    l_ += group.resident.load;
    l_ = std::max(l_, Arrive(group.resident.instructions));
    loaded_[kResident] = l_;
    // Both contexts wait for it even where their own phases load nothing.
    loaded_[0] = std::max(loaded_[0], l_);
    loaded_[1] = std::max(loaded_[1], l_);
  }

  // The first loads of a group: resident inputs before, resident weights after the first context's.
  void LoadGroup(const Group& group, bool resident) {
    const bool weights = s_.resident_level == 0;
    if (resident && !weights) LoadResident(group);
    Load(0, FirstPhase(group, 0));
    if (resident && weights) LoadResident(group);
    if (group.contexts == 2) Load(1, FirstPhase(group, 1));
  }

  // How long a bias load that starts now waits for bursts asked for before it, and what it makes of
  // the loads beside and after it. The load unit's client has priority, but asks every other cycle.
  Ticks BusWait(Ticks now, Ticks beats) {
    // What a long bias load has not requested when a load begins waits for all of that load.
    const Ticks unrequested = beats - timing_.in_flight;
    if (unrequested > 0) return std::max<Ticks>(0, l_ + unrequested - now - beats);
    Ticks wait = 0;
    int order[kLoads] = {0, 1, kResident};
    if (begun_[1] < begun_[0]) std::swap(order[0], order[1]);
    if (phase_[kResident] != nullptr) {
      for (int i = kResident; i > 0 && begun_[order[i]] < begun_[order[i - 1]]; --i) {
        std::swap(order[i], order[i - 1]);
      }
    }
    for (int i = 0; i < kLoads; ++i) {
      const int c = order[i];
      if (phase_[c] == nullptr) continue;
      const Phase& phase = *phase_[c];
      const Ticks end = begun_[c] + phase.load;
      if (now >= end) continue;
      Ticks next = begun_[c];  // what has asked for nothing yet
      Ticks late = 0;
      if (now >= next) {
        const Ticks at = now - next;
        const Ticks inputs = phase.load - phase.weight_load;
        Ticks began = next + inputs, burst = phase.weight_burst;
        next = end;
        if (at < inputs && phase.input_load > 0) {
          began = begun_[c] + at / phase.input_load * phase.input_load;
          next = began + phase.input_load;
          burst = phase.input_burst;
        }
        const Ticks all = std::max<Ticks>(0, next - kCycle - (now + timing_.load_wait));
        const Ticks asked = (now - began) / 2 + kCycle;  // requests, in ticks
        const Ticks ahead = began + (asked * burst >> kCycleShift) - now;
        // It gets in between, burst by burst, until 16 requests are out, and pushes the rest of
        // that load back. What it has not asked for by then comes after the load.
        const Ticks most = std::max<Ticks>(0, (kManyRequests - asked + kCycle) / 2) >> kCycleShift;
        const Ticks between = std::min(beats, most * timing_.burst);
        const bool crowded = all > (kManyRequests * burst >> kCycleShift);
        if (most > 0 && ahead < all && (between == beats || !crowded)) {
          wait = std::max<Ticks>(0, ahead);
          const Ticks others = beats > timing_.burst ? (beats - 1) / timing_.burst * burst : 0;
          wait = std::min(all, wait + others);
          late = beats;
        } else {
          wait = all;
          if (next >= end) continue;
        }
      }
      if (late == 0) late = now + wait + beats - next;
      if (late <= 0) break;
      begun_[c] += late;
      loaded_[c] += late;
      // Those that come after it start when it has ended.
      Ticks end_before = end + late;
      l_ = std::max(l_, loaded_[c]);
      for (int j = i + 1; j < kLoads; ++j) {
        const int other = order[j];
        if (phase_[other] == nullptr || begun_[other] < begun_[c]) continue;
        const Ticks push = std::max<Ticks>(0, end_before - begun_[other]);
        begun_[other] += push;
        loaded_[other] += push;
        end_before = begun_[other] + phase_[other]->load;
        l_ = std::max(l_, loaded_[other]);
      }
      if (phase_[kResident] != nullptr) {
        for (int j = 0; j < 2; ++j) loaded_[j] = std::max(loaded_[j], loaded_[kResident]);
      }
      break;
    }
    return wait;
  }

  void Multiply(int c, const Phase& phase) {
    c_ = std::max({c_, loaded_[c], Arrive(1)}) + phase.multiply;
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
    if (nop_) {
      c_ += kNop;
      ++fetched_;
      nop_ = false;
    }
    for (int c = 0; c < group.contexts; ++c) {
      c_ = std::max({c_, stored_[c], Arrive(1)}) + group.tile[c].reset;
    }
    fetched_ += ahead_;
    Steps(group);
    for (int c = 0; c < group.contexts; ++c) {
      Multiply(c, s_.has_last ? group.tile[c].last : group.tile[c].step);
    }
    const int64_t fetched = fetched_;
    ahead_ = 0;
    if (next != nullptr) {
      // In the program they come after this group's end and the next one's resets.
      for (int c = 0; c < group.contexts; ++c) fetched_ += group.tile[c].instructions - 1;
      fetched_ += next->contexts;
      const int64_t before = fetched_;
      // The second context's token, which a single tile has not taken, goes in a no-op.
      if (pending_ && group.contexts == 1) {
        l_ += kNop;
        fetched_ += 2;
        nop_ = true;
      }
      pending_ = group.contexts == 2;
      LoadGroup(*next, resident);
      ahead_ = fetched_ - before - (nop_ ? 1 : 0);
      fetched_ = fetched;
    }
    for (int c = 0; c < group.contexts; ++c) {
      const TileCost& tile = group.tile[c];
      Ticks ready = used_[c];  // where nothing follows the multiply
      if (tile.instructions > tile.stores + 1) {
        c_ = std::max(c_, Arrive(1));
        if (tile.acc_load > 0) c_ += BusWait(c_, tile.acc_beats) + tile.acc_load;
        c_ += tile.alu;
        const int64_t rest = tile.instructions - tile.stores - 2;
        if (rest > 0) c_ = std::max(c_, Arrive(rest) + tile.last_alu);
        ready = c_;
      }
      s_clock_ = std::max({s_clock_, ready, Arrive(1)}) + tile.store;
      if (tile.stores > 1) s_clock_ = std::max(s_clock_, Arrive(tile.stores - 1) + tile.last_store);
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
        const bool quiet = quiet_;
        quiet_ = quiet || (i > 0 && i + 1 < count && count > 3);
        const int64_t fetched = fetched_;
        const Ticks done = done_;
        if (l == levels_ - 1) {
          Leaf();
        } else {
          Loop(l + 1);
        }
        quiet_ = quiet;
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
  const int64_t instructions_;
  Ticks later_fetches_ = 0;  // share of instructions that come after the first refill
  Nest nest_[4];
  int levels_ = 0;
  int64_t fetched_ = 0;
  int run_[4] = {0, 0, 0, 0};
  int64_t left_[4] = {0, 0, 0, 0};
  Ticks c_ = 0, l_ = 0, s_clock_ = 0;  // when each unit is free
  Ticks done_ = 0;                     // compute time without stalls
  Ticks stall_most_ = 0;               // more makes the answer uninteresting
  bool enough_ = false;
  bool quiet_ = false;    // fetch is not looked at
  bool pending_ = false;  // a token of the second context waits
  bool nop_ = false;      // before the next resets
  int64_t ahead_ = 0;     // instructions of loads that have begun before their group
  // Per context: loads done, last multiply done, last store done, its last load phase.
  Ticks used_[2] = {0, 0}, stored_[2] = {0, 0};
  // The resident operand's load beside them.
  static constexpr int kResident = 2, kLoads = 3;
  Ticks loaded_[kLoads] = {0, 0, 0}, begun_[kLoads] = {0, 0, 0};
  const Phase* phase_[kLoads] = {nullptr, nullptr, nullptr};
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
  const Ticks enough = enough_cycles < kNever / kCycle ? Cycles(enough_cycles + 1) : kNever;
  const int64_t cycles = Recurrence(machine, schedule, enough).Run();
  return std::max(cycles, floor);
}

}  // namespace rhnas::hw
