#include "hw/simulate.h"

#include <algorithm>
#include <limits>

#include "hw/bus.h"
#include "hw/unit_timing.h"

namespace rhnas::hw {
namespace {

constexpr int64_t kNever = std::numeric_limits<int64_t>::max();
constexpr size_t kMaxTokens = 255;  // 8-bit semaphores
constexpr int kUnits = 3;

// Times of things that are consumed in the order they are produced.
class TimeQueue {
 public:
  TimeQueue() : ring_(512), mask_(511) {}
  void Push(int64_t time) {
    if (tail_ - head_ > mask_) Grow();
    ring_[tail_++ & mask_] = time;
  }
  bool empty() const { return head_ == tail_; }
  size_t size() const { return tail_ - head_; }
  int64_t At(size_t i) const { return ring_[(head_ + i) & mask_]; }
  int64_t front() const { return At(0); }
  void Pop() { ++head_; }

 private:
  void Grow() {
    std::vector<int64_t> larger(2 * ring_.size());
    for (size_t i = head_; i != tail_; ++i) larger[i & (2 * mask_ + 1)] = ring_[i & mask_];
    ring_ = std::move(larger);
    mask_ = 2 * mask_ + 1;
  }
  std::vector<int64_t> ring_;
  size_t mask_, head_ = 0, tail_ = 0;
};

// A load on its way: the bursts it still asks for, the elements it still pads.
struct LoadState {
  bool active = false;
  int priority = 0;
  const UnitTiming::Load* timing = nullptr;
  int64_t ready = kNever;  // for the next request
  int64_t address = 0, stride = 0, row_bytes = 0;
  int64_t row_left = 0;  // words
  int64_t burst = 0;     // longest next
  int rows_left = 0;
  // Padding takes cycles without data: above the rows (or all there is), a cycle a row where only
  // the rows below follow, below.
  int64_t pad = 0, skip = 0, pad_below = 0, pad_cycle = 0;
  int64_t row_pad = 0, last_pad = 0;  // one_at_a_time: between rows, at the end

  bool pads() const { return (pad | skip | pad_below) != 0; }
  int64_t pads_left() const { return pad + skip + pad_below; }
  // Data is written in `beats` cycles from `begin` on: padding goes on before, then waits.
  void Pad(int64_t begin, int64_t beats) {
    if (begin > pad_cycle) {
      int64_t idle = begin - pad_cycle;
      for (int64_t* left : {&pad, &skip, &pad_below}) {
        const int64_t now = std::min(*left, idle);
        *left -= now;
        idle -= now;
      }
    }
    if (pad == 0) skip -= std::min(skip, beats);
    pad_cycle = begin + beats;
  }
};

class Simulator {
 public:
  Simulator(const Config& config, MemoryModel memory, const std::vector<Instruction>& program,
            const SimulateOptions& options)
      : t_(config, memory, options.unpipelined_gemm, options.unpipelined_alu),
        bus_(t_),
        program_(program),
        timeline_(options.timeline) {
    if (timeline_ != nullptr) timeline_->assign(program.size(), InstructionTime());
  }

  SimulatedTime Run() {
    if (program_.empty()) {
      result_.why = "the program is empty";
      return result_;
    }
    RequestFetch(kFirstRequest);
    do {
      Settle();
    } while (ServeBus());
    Judge();
    return result_;
  }

 private:
  static constexpr int64_t kFirstRequest = 2;  // launch is seen in cycle 0

  struct Waiting {
    const Instruction* instruction;
    int64_t arrival;
  };
  struct UnitState {
    std::vector<Waiting> queue;
    int64_t pushed = 0, popped = 0;
    std::vector<int64_t> slot_free;  // when entry i of the ring was popped
    int64_t free = 0;                // idle from this cycle on
    int64_t busy = 0;
  };

  // --- Fetch ---

  void RequestFetch(int64_t ready) {
    const auto left = static_cast<int64_t>(program_.size()) - fetched_;
    group_ = std::min(left, t_.fetch_group);
    fetch_ready_ = left > 0 ? ready : kNever;
    fetch_left_ = t_.Words(0, 16 * group_);
  }

  // Dispatches what has arrived, until a unit's queue is full.
  bool Dispatch() {
    bool moved = false;
    while (group_left_ > 0) {
      const Instruction& instruction = program_[static_cast<size_t>(fetched_)];
      UnitState& unit = unit_[static_cast<int>(UnitOf(instruction))];
      int64_t cycle = dispatch_;
      if (unit.pushed >= t_.queue_entries) {
        if (unit.pushed - unit.popped >= t_.queue_entries) return moved;
        const int64_t slot = unit.pushed % t_.queue_entries;
        cycle = std::max(cycle, unit.slot_free[static_cast<size_t>(slot)] + 1);
      }
      if (unit.pushed < t_.queue_entries) {
        unit.queue.push_back({&instruction, cycle});
        unit.slot_free.push_back(0);
      } else {
        unit.queue[static_cast<size_t>(unit.pushed % t_.queue_entries)] = {&instruction, cycle};
      }
      ++unit.pushed;
      if (timeline_ != nullptr) (*timeline_)[static_cast<size_t>(fetched_)].arrival = cycle;
      ++fetched_;
      dispatch_ = cycle + 1;
      moved = true;
      if (--group_left_ == 0) RequestFetch(cycle + t_.fetch_again);
    }
    return moved;
  }

  // --- Units ---

  TimeQueue* PrevTokens(int u) { return u == 0 ? nullptr : &tokens_[u == 1 ? 0 : 2]; }
  TimeQueue* NextTokens(int u) { return u == 2 ? nullptr : &tokens_[u == 0 ? 1 : 3]; }

  // Takes a token posted before `start`, or says when there is one.
  bool Token(TimeQueue* tokens, int64_t* start) {
    if (tokens == nullptr || tokens->empty()) return false;
    *start = std::max(*start, tokens->front() + 1);
    return true;
  }
  void TakeToken(TimeQueue* tokens, int64_t start) {
    if (tokens->size() > kMaxTokens && tokens->At(kMaxTokens) < start) overflow_ = true;
    tokens->Pop();
  }

  // Runs a unit until its instruction waits for the bus, a token or its arrival.
  bool RunUnit(int u) {
    UnitState& unit = unit_[u];
    LoadState& load = load_[u];  // the store has none: never active
    bool moved = false;
    while (!load.active && unit.popped < unit.pushed) {
      const size_t slot = static_cast<size_t>(unit.popped % t_.queue_entries);
      const Instruction& i = *unit.queue[slot].instruction;
      int64_t start = std::max(unit.free, unit.queue[slot].arrival + 1);
      if (i.pop_prev && !Token(PrevTokens(u), &start)) break;
      if (i.pop_next && !Token(NextTokens(u), &start)) break;
      if (i.pop_prev) TakeToken(PrevTokens(u), start);
      if (i.pop_next) TakeToken(NextTokens(u), start);
      moved = true;
      unit.free = start;
      if (timeline_ != nullptr) At(i).start = start + 1;
      switch (i.op) {
        case Opcode::kLoad:
          if (i.x_size == 0) {
            Finish(u, start + 1);
          } else {
            Begin(i, start, &load);
          }
          break;
        case Opcode::kStore:
          Finish(u, start + (i.x_size == 0 ? 1 : t_.Store(t_.RowsOf(i), &result_.write_beats)));
          break;
        case Opcode::kGemm:
          Finish(u, start + t_.Gemm(i.iterations()));
          break;
        case Opcode::kAlu:
          Finish(u, start + t_.Alu(i.iterations(), i.use_imm));
          break;
        case Opcode::kFinish:
          Finish(u, start + 1);
          if (!result_.finished) result_.cycles = start + 1;
          result_.finished = true;
          break;
      }
    }
    return moved;
  }

  InstructionTime& At(const Instruction& i) {
    return (*timeline_)[static_cast<size_t>(&i - program_.data())];
  }

  // The instruction at the head of the unit's queue executes for the last time in cycle `end`.
  void Finish(int u, int64_t end) {
    UnitState& unit = unit_[u];
    const size_t slot = static_cast<size_t>(unit.popped % t_.queue_entries);
    const Instruction& i = *unit.queue[slot].instruction;
    unit.busy += end - unit.free;
    unit.free = end + 1;
    unit.slot_free[slot] = end;
    ++unit.popped;
    if (timeline_ != nullptr) At(i).end = end;
    if (i.push_prev && u != 0) tokens_[u == 1 ? 1 : 3].Push(end);
    if (i.push_next && u != 2) tokens_[u == 0 ? 0 : 2].Push(end);
  }

  // --- Loads ---

  void Begin(const Instruction& i, int64_t start, LoadState* load) {
    static constexpr int kPriority[4] = {1, 3, 2, 4};  // micro-ops, weights, inputs, accumulators
    const int memory = static_cast<int>(i.memory) & 3;
    LoadState& l = *load;
    l.timing = &t_.load[memory];
    l.priority = kPriority[memory];
    const Rows rows = t_.RowsOf(i);
    l.address = rows.address;
    l.stride = rows.stride;
    l.row_bytes = rows.bytes;
    l.rows_left = rows.count;
    l.active = true;
    const int64_t width = int64_t{i.x_size} + i.x_pad_0 + i.x_pad_1;
    const int64_t sides = int64_t{i.x_pad_0} + i.x_pad_1;
    l.skip = l.row_pad = l.last_pad = 0;
    if (l.timing->one_at_a_time) {
      const int64_t each = l.timing->pad_cycles;
      l.pad = l.pad_below = 0;
      l.ready = start + 2 + each * (i.y_pad_0 * width + i.x_pad_0);
      l.row_pad = each * sides;
      l.last_pad = each * (i.x_pad_1 + i.y_pad_1 * width);
    } else {
      // A row of padding above costs the command generator a cycle as well.
      l.ready = start + 2 + i.y_pad_0;
      l.pad = i.y_pad_0 * width + i.y_size * sides;
      l.pad_below = i.y_pad_1 * width;
      if (sides == 0 && i.y_pad_1 > 0) l.skip = i.y_size;
      l.pad_cycle = start + l.timing->pad_start;
    }
    if (l.rows_left == 0) {  // the hardware would run through all of DRAM
      l.rows_left = 1;
    }
    BeginRow(&l);
  }

  void BeginRow(LoadState* l) {
    l->row_left = t_.Words(l->address, l->row_bytes);
    l->burst = t_.read_burst - t_.InBurst(l->address >> t_.bus_shift);
    l->address += l->stride;
    --l->rows_left;
  }

  // Asks for the load's next burst in `cycle`. True: it was the last, and the load's end is known.
  bool ServeLoad(int u, int64_t cycle) {
    LoadState& l = load_[u];
    const int64_t beats = std::min(l.burst, l.row_left);
    const int64_t first = bus_.Request(cycle, beats);
    const int64_t end = first + beats - 1;
    result_.read_beats += beats;
    ++result_.read_bursts;
    l.row_left -= beats;
    l.burst = t_.read_burst;
    const bool more = l.row_left > 0 || l.rows_left > 0;
    const int64_t written = end + l.timing->data_delay;
    if (l.timing->one_at_a_time) {
      l.ready = written + 2 + (l.row_left == 0 ? l.row_pad : 0);
    } else {
      l.ready = cycle + t_.request_period;
      if (l.pads()) l.Pad(first + l.timing->data_delay, beats);
    }
    if (more) {
      if (l.row_left == 0) BeginRow(&l);
      return false;
    }
    l.active = false;
    l.ready = kNever;
    Finish(u, written + l.timing->finish + l.pads_left() + l.last_pad);
    return true;
  }

  // Goes on with the load, but for its last burst, while nobody else asks.
  void ServeRun(LoadState* load, int64_t others) {
    LoadState& l = *load;
    if (l.timing->one_at_a_time) return;
    const int64_t longest = t_.read_burst, period = t_.request_period;
    const int64_t delay = l.timing->data_delay;
    int64_t total = 0, count = 0;
    ReadBus::Cursor bus(&bus_);
    while (l.row_left > l.burst || l.rows_left > 0) {
      const int64_t cycle = bus.Earliest(l.ready);
      if (cycle >= others) break;
      const int64_t beats = std::min(l.burst, l.row_left);
      const int64_t first = bus.Request(cycle, beats);
      l.ready = cycle + period;
      if (l.pads()) l.Pad(first + delay, beats);
      l.row_left -= beats;
      l.burst = longest;
      total += beats;
      ++count;
      if (l.row_left == 0) BeginRow(&l);
    }
    result_.read_beats += total;
    result_.read_bursts += count;
  }

  // --- The bus ---

  // Grants requests in the order of their cycles until one of them lets a unit or the fetch go on.
  // False: there is none.
  bool ServeBus() {
    LoadState& load = load_[0];
    LoadState& acc = load_[1];
    for (;;) {
      const int64_t ready = std::min(fetch_ready_, std::min(load.ready, acc.ready));
      if (ready == kNever) return false;
      const int64_t cycle = bus_.Earliest(ready);
      if (fetch_ready_ <= cycle) {
        if (ServeFetch(cycle)) return true;
        continue;
      }
      const bool first = load.ready <= cycle && (acc.ready > cycle || load.priority < acc.priority);
      const int u = first ? 0 : 1;
      if (ServeLoad(u, cycle)) return true;
      ServeRun(&load_[u], std::min(fetch_ready_, load_[1 - u].ready));
    }
  }

  bool ServeFetch(int64_t cycle) {
    const int64_t beats = std::min(fetch_left_, t_.fetch_burst);
    const int64_t first = bus_.Request(cycle, beats);
    result_.read_beats += beats;
    result_.fetch_beats += beats;
    ++result_.read_bursts;
    fetch_left_ -= beats;
    if (fetch_left_ > 0) {
      fetch_ready_ = cycle + t_.request_period;
      return false;
    }
    dispatch_ = first + beats - 1 + t_.fetch_dispatch;
    group_left_ = group_;
    fetch_ready_ = kNever;
    return true;
  }

  // Everything that needs no further word from the bus.
  void Settle() {
    bool moved = true;
    while (moved) {
      moved = Dispatch();
      for (int u = 0; u < kUnits; ++u) moved |= RunUnit(u);
    }
  }

  // --- The end ---

  void Judge() {
    result_.load_busy = unit_[0].busy;
    result_.compute_busy = unit_[1].busy;
    result_.store_busy = unit_[2].busy;
    if (overflow_) {
      result_.finished = false;
      result_.why = "more than 255 tokens wait between two units: their counters have 8 bits";
      return;
    }
    if (result_.finished) return;
    std::string waits;
    for (int u = 0; u < kUnits; ++u) {
      const UnitState& unit = unit_[u];
      if (unit.popped == unit.pushed) continue;
      const Instruction& i =
          *unit.queue[static_cast<size_t>(unit.popped % t_.queue_entries)].instruction;
      const TimeQueue* prev = PrevTokens(u);
      const bool on_prev = i.pop_prev && (prev == nullptr || prev->empty());
      const int from = on_prev ? u - 1 : u + 1;
      waits += (waits.empty() ? "" : "; ") + std::string(UnitName(static_cast<Unit>(u))) +
               " waits for a token of " +
               (from < 0 || from >= kUnits ? "no unit" : UnitName(static_cast<Unit>(from))) +
               " at instruction " + std::to_string(&i - program_.data());
    }
    result_.why = waits.empty() ? "the program has no FINISH" : "deadlock: " + waits;
  }

  const UnitTiming t_;
  ReadBus bus_;
  const std::vector<Instruction>& program_;
  std::vector<InstructionTime>* const timeline_;
  SimulatedTime result_;
  UnitState unit_[kUnits];
  LoadState load_[kUnits];
  TimeQueue tokens_[4];  // load to compute, compute to load, compute to store, store to compute
  bool overflow_ = false;
  int64_t fetched_ = 0;  // dispatched
  int64_t group_ = 0, group_left_ = 0, dispatch_ = 0;
  int64_t fetch_ready_ = kNever, fetch_left_ = 0;
};

}  // namespace

SimulatedTime Simulate(const Config& config, MemoryModel memory,
                       const std::vector<Instruction>& instructions,
                       const SimulateOptions& options) {
  return Simulator(config, memory, instructions, options).Run();
}

}  // namespace rhnas::hw
