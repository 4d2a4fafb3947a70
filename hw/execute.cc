#include "hw/execute.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "hw/execute_lanes.h"

namespace rhnas::hw {
namespace {

constexpr int kMostTokens = 255;     // Semaphore.scala: 8 bits
constexpr int64_t kQueueRoom = 512;  // instQueueEntries, core/Core.scala

const char* MemoryName(MemoryId memory) {
  static const char* const kNames[] = {"uop", "wgt", "inp", "acc", "out"};
  return kNames[static_cast<int>(memory)];
}

const char* OpName(const Instruction& in) {
  switch (in.op) {
    case Opcode::kLoad:
      return "LOAD";
    case Opcode::kStore:
      return "STORE";
    case Opcode::kGemm:
      return "GEMM";
    case Opcode::kAlu:
      return "ALU";
    case Opcode::kFinish:
      return "FINISH";
  }
  return "?";
}

// For every unit, how many of its instructions are known to have ended.
struct Clock {
  std::array<uint32_t, 3> done{};
  void Merge(const Clock& other) {
    for (size_t i = 0; i < 3; ++i) done[i] = std::max(done[i], other.done[i]);
  }
};

// Tokens of one direction. One unit posts and one takes, so the n-th taken is the n-th posted,
// whatever the order of execution.
struct TokenQueue {
  std::array<Clock, kMostTokens + 1> clock;
  int64_t posted = 0, taken = 0;
  int count() const { return static_cast<int>(posted - taken); }
};

// Who touched an element last, as that unit's instruction number from 1; 0: nobody.
struct Marks {
  std::vector<uint32_t> write, read;
  explicit Marks(int64_t depth)
      : write(static_cast<size_t>(depth)), read(static_cast<size_t>(depth)) {}
};

class Executor {
 public:
  Executor(const Program& program, DramImage* image, const ExecuteOptions& options)
      : program_(program),
        config_(program.config),
        image_(*image),
        options_(options),
        random_(options.seed * 0x9e3779b97f4a7c15u + 1),
        batch_(config_.batch()),
        block_in_(config_.block_in()),
        block_out_(config_.block_out()),
        depth_{int64_t{1} << config_.log_uop_depth(), int64_t{1} << config_.log_wgt_depth(),
               int64_t{1} << config_.log_inp_depth(), int64_t{1} << config_.log_acc_depth(),
               int64_t{1} << config_.log_acc_depth()},
        uops_(Size(depth_[0])),
        inp_(Size(depth_[2] * batch_ * block_in_)),
        wgt_(Size(depth_[1] * block_in_ * block_out_)),
        acc_(Size(depth_[3] * batch_ * block_out_)),
        out_(Size(depth_[3] * batch_ * block_out_)),
        marks_{Marks(depth_[0]), Marks(depth_[1]), Marks(depth_[2]), Marks(depth_[3]),
               Marks(depth_[4])} {
    inp_shift_ = Encoding(config_, program.isa).inp_index;
  }

  Result<ExecuteReport> Run() {
    if (!CheckRegions() || !Split()) return Error{error_};
    for (;;) {
      Fetch();
      const int unit = Pick();
      if (unit < 0) break;
      if (!Step(static_cast<Unit>(unit))) return Error{error_};
    }
    for (size_t unit = 0; unit < 3; ++unit) {
      if (next_[unit] < list_[unit].size()) return Error{Deadlock()};
    }
    for (size_t i = 0; i < 4; ++i) {
      if (queue_[i].count() != 0) {
        return Error{std::to_string(queue_[i].count()) + " tokens from " + UnitName(From(i)) +
                     " to " + UnitName(To(i)) + " are left when the program ends, expected none"};
      }
    }
    return report_;
  }

 private:
  static size_t Size(int64_t n) { return static_cast<size_t>(n); }
  // Directions of tokens: 0 load to compute, 1 compute to load, 2 compute to store, 3 back.
  static Unit From(size_t queue) {
    return queue == 0 ? Unit::kLoad : queue == 3 ? Unit::kStore : Unit::kCompute;
  }
  static Unit To(size_t queue) {
    return queue == 1 ? Unit::kLoad : queue == 2 ? Unit::kStore : Unit::kCompute;
  }

  bool Fail(const std::string& what) {
    const Instruction& in = program_.instructions[at_];
    error_ = "instruction " + std::to_string(at_) + " (" + OpName(in) + "): " + what;
    return false;
  }

  bool CheckRegions() {
    for (size_t i = 1; i < 5; ++i) {
      const MemoryId memory = static_cast<MemoryId>(i);
      const int64_t need = program_.region(memory) * ElementBytes(config_, memory);
      const int64_t have = static_cast<int64_t>(image_.region[i].size());
      if (need != have) {
        error_ = std::string("data of region ") + MemoryName(memory) + ": need " +
                 std::to_string(need) + " bytes, have " + std::to_string(have);
        return false;
      }
    }
    return true;
  }

  // Instructions by unit, and what no order changes.
  bool Split() {
    const std::vector<Instruction>& all = program_.instructions;
    for (at_ = 0; at_ < all.size(); ++at_) {
      const Instruction& in = all[at_];
      const Unit unit = UnitOf(in);
      if ((unit == Unit::kLoad && (in.pop_prev || in.push_prev)) ||
          (unit == Unit::kStore && (in.pop_next || in.push_next))) {
        return Fail(std::string("a token on the side where ") + UnitName(unit) +
                    " has no neighbour");
      }
      if (in.op == Opcode::kFinish && at_ + 1 != all.size()) {
        return Fail(std::to_string(all.size() - at_ - 1) + " instructions follow it");
      }
      list_[static_cast<size_t>(unit)].push_back(static_cast<uint32_t>(at_));
    }
    if (all.empty() || all.back().op != Opcode::kFinish) {
      error_ = "the program does not end with FINISH: have " + std::to_string(all.size()) +
               " instructions";
      return false;
    }
    return true;
  }

  // Instructions enter the queues of their units in program order while there is room.
  void Fetch() {
    const std::vector<Instruction>& all = program_.instructions;
    while (fetched_ < all.size()) {
      const size_t unit = static_cast<size_t>(UnitOf(all[fetched_]));
      if (arrived_[unit] - static_cast<int64_t>(next_[unit]) >= kQueueRoom) return;
      ++arrived_[unit];
      ++fetched_;
    }
  }

  bool Ready(size_t unit) const {
    if (static_cast<int64_t>(next_[unit]) >= arrived_[unit]) return false;
    return Missing(unit) < 0;
  }

  // The direction of the first token it waits for, or -1.
  int Missing(size_t unit) const {
    const Instruction& in = program_.instructions[list_[unit][next_[unit]]];
    const int before = unit == 1 ? 0 : unit == 2 ? 2 : -1;  // pop_prev
    const int after = unit == 0 ? 1 : unit == 1 ? 3 : -1;   // pop_next
    if (in.pop_prev && queue_[static_cast<size_t>(before)].count() == 0) return before;
    if (in.pop_next && queue_[static_cast<size_t>(after)].count() == 0) return after;
    return -1;
  }

  int Pick() {
    static constexpr int kOrders[3][3] = {{0, 2, 1}, {1, 0, 2}, {2, 1, 0}};
    if (options_.order == ExecuteOptions::Order::kRandom) {
      int ready[3], count = 0;
      for (int unit = 0; unit < 3; ++unit) {
        if (Ready(static_cast<size_t>(unit))) ready[count++] = unit;
      }
      if (count == 0) return -1;
      random_ ^= random_ << 13;  // xorshift64 (Marsaglia 2003)
      random_ ^= random_ >> 7;
      random_ ^= random_ << 17;
      return ready[static_cast<size_t>(random_ >> 33) % static_cast<size_t>(count)];
    }
    for (const int unit : kOrders[static_cast<size_t>(options_.order)]) {
      if (Ready(static_cast<size_t>(unit))) return unit;
    }
    return -1;
  }

  std::string Deadlock() const {
    std::string text = "deadlock: ";
    for (size_t unit = 0; unit < 3; ++unit) {
      if (unit > 0) text += "; ";
      text += UnitName(static_cast<Unit>(unit));
      if (next_[unit] >= list_[unit].size()) {
        text += " is done";
      } else if (static_cast<int64_t>(next_[unit]) >= arrived_[unit]) {
        text += " waits for fetch to bring instruction " + std::to_string(list_[unit][next_[unit]]);
      } else {
        text += " waits at instruction " + std::to_string(list_[unit][next_[unit]]) +
                " for a token from " + UnitName(From(Size(Missing(unit))));
      }
    }
    if (fetched_ < program_.instructions.size()) {
      text += "; fetch waits at instruction " + std::to_string(fetched_) +
              " for room in the queue of " + UnitName(UnitOf(program_.instructions[fetched_])) +
              " (" + std::to_string(kQueueRoom) + " instructions)";
    }
    return text;
  }

  bool Step(Unit which) {
    const size_t unit = static_cast<size_t>(which);
    at_ = list_[unit][next_[unit]];
    const Instruction& in = program_.instructions[at_];
    Clock& clock = clock_[unit];
    if (in.pop_prev) Take(which == Unit::kCompute ? 0 : 2, &clock);
    if (in.pop_next) Take(which == Unit::kLoad ? 1 : 3, &clock);
    number_ = static_cast<uint32_t>(next_[unit]) + 1;
    if (!Perform(in, clock)) return false;
    ++next_[unit];
    clock.done[unit] = number_;
    ++report_.instructions[unit];
    if (in.push_prev && !Post(which == Unit::kCompute ? 1 : 3, clock)) return false;
    return !in.push_next || Post(which == Unit::kLoad ? 0 : 2, clock);
  }

  void Take(size_t queue, Clock* clock) {
    TokenQueue& tokens = queue_[queue];
    clock->Merge(tokens.clock[Size(tokens.taken % (kMostTokens + 1))]);
    ++tokens.taken;
  }

  bool Post(size_t queue, const Clock& clock) {
    TokenQueue& tokens = queue_[queue];
    if (tokens.count() >= kMostTokens) {
      return Fail(std::string("token counter from ") + UnitName(From(queue)) + " to " +
                  UnitName(To(queue)) + ": need 256, have 255");
    }
    tokens.clock[Size(tokens.posted % (kMostTokens + 1))] = clock;
    ++tokens.posted;
    report_.most_tokens = std::max(report_.most_tokens, tokens.count());
    return true;
  }

  static bool IsNop(const Instruction& in) {
    return in.op == Opcode::kLoad && in.x_size == 0 && !in.push_next;
  }

  bool Perform(const Instruction& in, const Clock& clock) {
    switch (in.op) {
      case Opcode::kLoad:
        return Load(in, clock);
      case Opcode::kStore:
        return Store(in, clock);
      case Opcode::kGemm:
        return Gemm(in, clock);
      case Opcode::kAlu:
        return Alu(in, clock);
      case Opcode::kFinish:
        for (const size_t unit : {size_t{0}, size_t{2}}) {
          // No-ops that only take the last tokens may come later, as in the measured programs.
          size_t done = list_[unit].size();
          while (done > clock.done[unit] && IsNop(program_.instructions[list_[unit][done - 1]])) {
            --done;
          }
          if (clock.done[unit] >= done) continue;
          return Fail(std::string("does not wait for ") + UnitName(static_cast<Unit>(unit)) +
                      ", whose instruction " + std::to_string(list_[unit][clock.done[unit]]) +
                      " may still run");
        }
        return true;
    }
    return Fail("unknown opcode");
  }

  // A race: the other unit's access `mark` is not known to be over.
  bool Race(uint32_t mark, const Clock& clock, Unit other, MemoryId memory, uint64_t element,
            const char* what, const char* other_what) {
    if (!options_.races || mark <= clock.done[static_cast<size_t>(other)]) return true;
    return Fail(std::string(what) + " " + MemoryName(memory) + "[" + std::to_string(element) +
                "] while instruction " +
                std::to_string(list_[static_cast<size_t>(other)][mark - 1]) + " may still " +
                other_what + " it: no token orders them");
  }

  bool NeverWritten(MemoryId memory, uint64_t element) {
    return Fail(std::string("reads ") + MemoryName(memory) + "[" + std::to_string(element) +
                "], which nothing has written");
  }

  // Before a write; REQUIRES: in bounds.
  bool Written(MemoryId memory, uint64_t element, const Clock& clock) {
    Marks& marks = marks_[static_cast<size_t>(memory)];
    marks.write[element] = number_;
    if (memory == MemoryId::kUop || memory == MemoryId::kAcc) return true;
    const Unit reader = memory == MemoryId::kOut ? Unit::kStore : Unit::kCompute;
    if (marks.read[element] <= clock.done[static_cast<size_t>(reader)]) return true;
    return Race(marks.read[element], clock, reader, memory, element, "writes", "read");
  }

  bool Read(MemoryId memory, uint64_t element, const Clock& clock) {
    Marks& marks = marks_[static_cast<size_t>(memory)];
    const uint32_t write = marks.write[element];
    if (write == 0) return NeverWritten(memory, element);
    marks.read[element] = number_;
    if (memory == MemoryId::kUop || memory == MemoryId::kAcc) return true;
    const Unit writer = memory == MemoryId::kOut ? Unit::kCompute : Unit::kLoad;
    if (write <= clock.done[static_cast<size_t>(writer)]) return true;
    return Race(write, clock, writer, memory, element, "reads", "write");
  }

  bool Load(const Instruction& in, const Clock& clock) {
    if (in.x_size == 0) return true;  // a no-op that carries tokens
    const bool pads = in.y_pad_0 + in.y_pad_1 + in.x_pad_0 + in.x_pad_1 > 0;
    if (in.y_size == 0) return Fail("y_size: need at least 1, have 0");
    if (in.memory == MemoryId::kUop && (in.y_size != 1 || pads)) {
      return Fail("a load of micro-ops is one row without padding");
    }
    const int64_t width = int64_t{in.x_pad_0} + in.x_size + in.x_pad_1;
    const int64_t height = int64_t{in.y_pad_0} + in.y_size + in.y_pad_1;
    if (!Bounds(in, in.sram + width * height)) return false;
    uint64_t to = in.sram;
    for (int64_t row = 0; row < height; ++row) {
      const int64_t y = row - in.y_pad_0;
      const bool inside = y >= 0 && y < in.y_size;
      for (int64_t column = 0; column < width; ++column, ++to) {
        const int64_t x = column - in.x_pad_0;
        if (!Written(in.memory, to, clock)) return false;
        if (inside && x >= 0 && x < in.x_size) {
          Fetched(in.memory, to, Size(in.dram + y * in.x_stride + x));
        } else {
          Padded(in, to);
        }
      }
    }
    return true;
  }

  bool Bounds(const Instruction& in, int64_t sram_end) {
    const int64_t depth = depth_[static_cast<size_t>(in.memory)];
    if (sram_end > depth) {
      return Fail(std::string("scratchpad ") + MemoryName(in.memory) + ": need " +
                  std::to_string(sram_end) + " elements, have " + std::to_string(depth));
    }
    const int64_t dram_end = in.dram + int64_t{in.y_size - 1} * in.x_stride + in.x_size;
    const int64_t region = in.memory == MemoryId::kUop ? static_cast<int64_t>(program_.uops.size())
                                                       : program_.region(in.memory);
    if (dram_end > region) {
      return Fail(std::string("region ") + MemoryName(in.memory) + " of DRAM: need " +
                  std::to_string(dram_end) + " elements, have " + std::to_string(region));
    }
    return true;
  }

  void Fetched(MemoryId memory, uint64_t to, size_t from) {
    const std::vector<uint8_t>& region = image_.region[static_cast<size_t>(memory)];
    switch (memory) {
      case MemoryId::kUop:
        uops_[to] = program_.uops[from];
        return;
      case MemoryId::kInp:
        Widen(&region[from * Size(batch_ * block_in_)], batch_ * block_in_,
              &inp_[to * Size(batch_ * block_in_)]);
        return;
      case MemoryId::kWgt:
        Widen(&region[from * Size(block_out_ * block_in_)], block_out_ * block_in_,
              &wgt_[to * Size(block_out_ * block_in_)]);
        return;
      default:
        ReadWords(&region[from * Size(4 * batch_ * block_out_)], batch_ * block_out_,
                  &acc_[to * Size(batch_ * block_out_)]);
    }
  }

  void Padded(const Instruction& in, uint64_t to) {
    if (in.memory == MemoryId::kAcc) {
      const size_t lanes = Size(batch_ * block_out_);
      std::fill_n(&acc_[to * lanes], lanes, in.min_pad ? INT32_MIN : 0);
      return;
    }
    std::vector<int16_t>& memory = in.memory == MemoryId::kInp ? inp_ : wgt_;
    const size_t lanes =
        Size(in.memory == MemoryId::kInp ? batch_ * block_in_ : block_out_ * block_in_);
    std::fill_n(&memory[to * lanes], lanes, static_cast<int16_t>(in.min_pad ? INT8_MIN : 0));
  }

  bool Store(const Instruction& in, const Clock& clock) {
    if (in.x_size == 0) return true;
    if (in.y_size == 0) return Fail("y_size: need at least 1, have 0");
    if (in.y_pad_0 + in.y_pad_1 + in.x_pad_0 + in.x_pad_1 > 0)
      return Fail("a store has no padding");
    if (!Bounds(in, in.sram + int64_t{in.y_size} * in.x_size)) return false;
    const size_t bytes = Size(batch_ * block_out_);
    std::vector<uint8_t>& region = image_.region[static_cast<size_t>(MemoryId::kOut)];
    uint64_t from = in.sram;
    for (int64_t y = 0; y < in.y_size; ++y) {
      for (int64_t x = 0; x < in.x_size; ++x, ++from) {
        if (!Read(MemoryId::kOut, from, clock)) return false;
        std::memcpy(&region[Size(in.dram + y * in.x_stride + x) * bytes], &out_[from * bytes],
                    bytes);
      }
    }
    return true;
  }

  // Loops and micro-ops of a GEMM or ALU instruction, in hardware's order, with the three indices.
  template <typename Body>
  bool Nest(const Instruction& in, const Body& body) {
    if (in.iterations() <= 0) return Fail("loops: need at least 1 iteration, have none");
    if (in.uop_end > depth_[0]) {
      return Fail("micro-op scratchpad: need " + std::to_string(in.uop_end) + " words, have " +
                  std::to_string(depth_[0]));
    }
    for (uint32_t u = in.uop_begin; u < in.uop_end; ++u) {
      if (marks_[0].write[u] == 0) return NeverWritten(MemoryId::kUop, u);
    }
    for (uint32_t i0 = 0; i0 < in.lp0; ++i0) {
      for (uint32_t i1 = 0; i1 < in.lp1; ++i1) {
        const uint64_t acc = uint64_t{i0} * in.acc_0 + uint64_t{i1} * in.acc_1;
        const uint64_t inp = uint64_t{i0} * in.inp_0 + uint64_t{i1} * in.inp_1;
        const uint64_t wgt = uint64_t{i0} * in.wgt_0 + uint64_t{i1} * in.wgt_1;
        for (uint32_t u = in.uop_begin; u < in.uop_end; ++u) {
          if (!body(acc, inp, wgt, uops_[u])) return false;
        }
      }
    }
    return true;
  }

  bool Outside(MemoryId memory, uint64_t index) {
    return Fail(std::string("index ") + MemoryName(memory) + "[" + std::to_string(index) +
                "]: the scratchpad has " + std::to_string(depth_[static_cast<size_t>(memory)]) +
                " elements");
  }

  bool Inside(MemoryId memory, uint64_t index) const {
    return index < static_cast<uint64_t>(depth_[static_cast<size_t>(memory)]);
  }

  bool Gemm(const Instruction& in, const Clock& clock) {
    const size_t lanes = Size(batch_ * block_out_);
    if (in.reset) {
      return Nest(in, [&](uint64_t acc, uint64_t, uint64_t, const MicroOp& uop) {
        const uint64_t to = acc + uop.acc;
        if (!Inside(MemoryId::kAcc, to)) return Outside(MemoryId::kAcc, to);
        Written(MemoryId::kAcc, to, clock);
        std::fill_n(&acc_[to * lanes], lanes, 0);
        return true;
      });
    }
    report_.macs += in.iterations() * batch_ * block_in_ * block_out_;
    const MultiplyFunction multiply = ChooseMultiply(block_in_);
    return Nest(in, [&](uint64_t acc, uint64_t inp, uint64_t wgt, const MicroOp& uop) {
      acc += uop.acc;
      inp += uop.inp;
      wgt += uop.wgt;
      if (!Inside(MemoryId::kAcc, acc)) return Outside(MemoryId::kAcc, acc);
      if (!Inside(MemoryId::kInp, inp)) return Outside(MemoryId::kInp, inp);
      if (!Inside(MemoryId::kWgt, wgt)) return Outside(MemoryId::kWgt, wgt);
      if (!Read(MemoryId::kInp, inp, clock) || !Read(MemoryId::kWgt, wgt, clock)) return false;
      if (marks_[3].write[acc] == 0) return NeverWritten(MemoryId::kAcc, acc);
      for (int b = 0; b < batch_; ++b) {
        multiply(&inp_[(inp * Size(batch_) + Size(b)) * Size(block_in_)],
                 &wgt_[wgt * Size(block_in_ * block_out_)], block_in_, block_out_,
                 &acc_[acc * lanes + Size(b * block_out_)]);
      }
      return WriteOut(acc, clock);
    });
  }

  // The output scratchpad mirrors every result written to an accumulator.
  bool WriteOut(uint64_t index, const Clock& clock) {
    const size_t lanes = Size(batch_ * block_out_);
    Narrow(&acc_[index * lanes], static_cast<int>(lanes), &out_[index * lanes]);
    return Written(MemoryId::kOut, index, clock);
  }

  bool Alu(const Instruction& in, const Clock& clock) {
    const size_t lanes = Size(batch_ * block_out_);
    const AluFunction alu = ChooseAlu(in);
    uint64_t previous = UINT64_MAX;
    report_.alu_vectors += in.iterations();
    return Nest(in, [&](uint64_t dst, uint64_t src, uint64_t, const MicroOp& uop) {
      dst += uop.acc;
      src += uop.inp + (uint64_t{uop.wgt} << inp_shift_);
      if (!Inside(MemoryId::kAcc, dst)) return Outside(MemoryId::kAcc, dst);
      if (!Inside(MemoryId::kAcc, src)) return Outside(MemoryId::kAcc, src);
      const std::vector<uint32_t>& written = marks_[3].write;
      if (written[src] == 0) return NeverWritten(MemoryId::kAcc, src);
      const uint64_t first = in.use_imm && options_.immediate_reads_source ? src : dst;
      if (written[first] == 0) return NeverWritten(MemoryId::kAcc, first);
      if (options_.hazards && (dst == previous || src == previous)) {
        return Fail(std::string(dst == previous ? "writes" : "reads") + " acc[" +
                    std::to_string(previous) +
                    "] right after the micro-op that wrote it: the pipelined ALU has no bypass");
      }
      previous = dst;
      alu(&acc_[first * lanes], in.use_imm ? nullptr : &acc_[src * lanes], in.imm,
          static_cast<int>(lanes), &acc_[dst * lanes]);
      marks_[3].write[dst] = number_;
      return WriteOut(dst, clock);
    });
  }

  const Program& program_;
  const Config& config_;
  DramImage& image_;
  const ExecuteOptions& options_;
  uint64_t random_;
  const int batch_, block_in_, block_out_;
  int inp_shift_ = 0;
  const std::array<int64_t, 5> depth_;
  std::vector<MicroOp> uops_;
  std::vector<int16_t> inp_, wgt_;  // widened once, when loaded: products of 16-bit lanes are fast
  std::vector<int32_t> acc_;
  std::vector<uint8_t> out_;
  std::array<Marks, 5> marks_;
  std::array<std::vector<uint32_t>, 3> list_;
  std::array<size_t, 3> next_{};
  std::array<int64_t, 3> arrived_{};
  size_t fetched_ = 0;
  std::array<TokenQueue, 4> queue_;
  std::array<Clock, 3> clock_;
  size_t at_ = 0;        // the instruction at work
  uint32_t number_ = 0;  // its number in its unit, from 1
  std::string error_;
  ExecuteReport report_;
};

}  // namespace

DramImage EmptyImage(const Program& program) {
  DramImage image;
  for (size_t i = 1; i < 5; ++i) {
    const MemoryId memory = static_cast<MemoryId>(i);
    image.region[i].assign(
        static_cast<size_t>(program.region(memory) * ElementBytes(program.config, memory)), 0);
  }
  return image;
}

Result<ExecuteReport> Execute(const Program& program, DramImage* image,
                              const ExecuteOptions& options) {
  return Executor(program, image, options).Run();
}

}  // namespace rhnas::hw
