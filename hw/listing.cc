#include "hw/listing.h"

#include <algorithm>
#include <cstdio>
#include <set>
#include <utility>

#include "hw/fnv.h"

namespace rhnas::hw {
namespace {

const char* const kMemories[] = {"uop", "wgt", "inp", "acc", "out"};
const char* const kAluNames[] = {"MIN", "MAX", "ADD", "SHR", "CLP", "MOV", "MUL"};

std::string Text(int64_t value) { return std::to_string(value); }

// "inp[3]", "inp[3..18]".
std::string Range(MemoryId memory, int64_t first, int64_t count) {
  return std::string(kMemories[static_cast<size_t>(memory)]) + "[" + Text(first) +
         (count > 1 ? ".." + Text(first + count - 1) : "") + "]";
}

// "+4" a turn; nothing for no step.
std::string Step(const char* index, uint32_t step) {
  return step == 0 ? "" : std::string(" ") + index + "+" + Text(step);
}

class Lister {
 public:
  explicit Lister(const Program& program) : program_(program) {
    scratch_.resize(size_t{1} << program.config.log_uop_depth());
  }

  std::string Run() {
    Head();
    for (size_t i = 0; i < program_.instructions.size(); ++i) Line(i);
    return std::move(text_);
  }

 private:
  void Head() {
    const ProgramCounts counts = CountProgram(program_);
    text_ += "; " + program_.title + "\n; " + ShortName(program_.config) +
             (program_.isa == Isa::kStock ? ", stock" : ", extended") + " instruction set\n; " +
             Text(static_cast<int64_t>(program_.instructions.size())) + " instructions, " +
             Text(static_cast<int64_t>(program_.uops.size())) + " micro-ops, " + Text(counts.macs) +
             " multiply-accumulates, " + Text(counts.alu_vectors) + " ALU vectors\n";
    for (size_t i = 1; i < 5; ++i) {
      const MemoryId memory = static_cast<MemoryId>(i);
      text_ += std::string("; region ") + kMemories[i] + ": " + Text(program_.elements[i]) +
               " elements of " + Text(ElementBytes(program_.config, memory)) + " bytes\n";
      for (const DramTensor& tensor : program_.tensors) {
        if (tensor.memory != memory) continue;
        text_ += ";   " + Range(memory, tensor.offset, tensor.elements) + " " + tensor.name + " " +
                 tensor.layout + "\n";
      }
    }
  }

  // What an instruction waits for and posts.
  static std::string Tokens(Unit unit, bool previous, bool next) {
    std::string text;
    if (previous) text += unit == Unit::kCompute ? "load" : "compute";
    if (next)
      text += (previous ? "," : "") + std::string(unit == Unit::kCompute ? "store" : "compute");
    return text;
  }

  void Line(size_t index) {
    const Instruction& in = program_.instructions[index];
    const Unit unit = UnitOf(in);
    char head[64];
    const std::string wait = Tokens(unit, in.pop_prev, in.pop_next);
    std::snprintf(head, sizeof head, "%7zu  %-7s  %-18s  ", index, UnitName(unit),
                  wait.empty() ? "" : ("wait " + wait).c_str());
    std::string line = head;
    std::string comment;
    switch (in.op) {
      case Opcode::kLoad:
      case Opcode::kStore:
        line += Transfer(in, &comment);
        break;
      case Opcode::kGemm:
        line += std::string(in.reset ? "RESET " : "GEMM  ") + Loops(in);
        comment = Text(in.iterations()) + " cycles";
        break;
      case Opcode::kAlu: {
        const auto op = static_cast<size_t>(in.alu);
        line += std::string(op < std::size(kAluNames) ? kAluNames[op] : "?") + "   " + Loops(in) +
                (in.use_imm ? " imm " + Text(in.imm) : "");
        comment = Text(in.iterations() * (in.use_imm ? 1 : 2)) + " cycles";
        break;
      }
      case Opcode::kFinish:
        line += "FINISH";
        break;
    }
    const std::string post = Tokens(unit, in.push_prev, in.push_next);
    if (!post.empty()) line += "  post " + post;
    if (!comment.empty()) line += "  ; " + comment;
    text_ += line + "\n";
    if (in.op == Opcode::kLoad && in.memory == MemoryId::kUop) LoadMicroOps(in);
    if (in.op == Opcode::kGemm || in.op == Opcode::kAlu) Kernel(in);
  }

  std::string Transfer(const Instruction& in, std::string* comment) const {
    if (in.x_size == 0) return "NOP";
    const int64_t width = int64_t{in.x_pad_0} + in.x_size + in.x_pad_1;
    const int64_t height = int64_t{in.y_pad_0} + in.y_size + in.y_pad_1;
    std::string text = in.op == Opcode::kLoad ? "LOAD  " : "STORE ";
    text += Range(in.memory, in.sram, width * height);
    text += in.op == Opcode::kLoad ? " <- " : " -> ";
    text += Text(int64_t{in.y_size} * in.x_size) + " at " + Text(in.dram);
    if (in.y_size > 1) {
      text +=
          ", " + Text(in.y_size) + " rows of " + Text(in.x_size) + " every " + Text(in.x_stride);
    }
    if (width * height > int64_t{in.y_size} * in.x_size) {
      text += ", pad above " + Text(in.y_pad_0) + " below " + Text(in.y_pad_1) + " left " +
              Text(in.x_pad_0) + " right " + Text(in.x_pad_1);
      if (in.min_pad) text += " with the least value";
    }
    for (const DramTensor& tensor : program_.tensors) {
      if (tensor.memory == in.memory && in.dram >= tensor.offset &&
          in.dram < tensor.offset + tensor.elements) {
        *comment = tensor.name;
        if (in.dram > tensor.offset) *comment += " + " + Text(in.dram - tensor.offset);
      }
    }
    return text;
  }

  static std::string Loops(const Instruction& in) {
    const bool alu = in.op == Opcode::kAlu;
    const char* const acc = alu ? "dst" : "acc";
    const char* const inp = alu ? "src" : "inp";
    std::string text;
    if (in.lp0 != 1) {
      text += Text(in.lp0) + " x (" +
              (Step(acc, in.acc_0) + Step(inp, in.inp_0) + Step("wgt", in.wgt_0)).erase(0, 1) +
              ") ";
    }
    if (in.lp1 != 1) {
      text += Text(in.lp1) + " x (" +
              (Step(acc, in.acc_1) + Step(inp, in.inp_1) + Step("wgt", in.wgt_1)).erase(0, 1) +
              ") ";
    }
    return text + Range(MemoryId::kUop, in.uop_begin, int64_t{in.uop_end} - in.uop_begin);
  }

  void LoadMicroOps(const Instruction& in) {
    for (uint32_t i = 0; i < in.x_size; ++i) {
      const size_t from = size_t{in.dram} + i, to = size_t{in.sram} + i;
      if (from < program_.uops.size() && to < scratch_.size()) scratch_[to] = program_.uops[from];
    }
  }

  void Kernel(const Instruction& in) {
    const uint32_t end = std::min(in.uop_end, static_cast<uint32_t>(scratch_.size()));
    if (in.uop_begin >= end || program_.uops.empty()) return;
    const bool alu = in.op == Opcode::kAlu;
    Fnv key;
    key.Add(in.uop_begin);
    key.Add(alu ? 1 : in.reset ? 2 : 0);
    for (uint32_t u = in.uop_begin; u < end; ++u) {
      key.Add(scratch_[u].acc);
      key.Add(scratch_[u].inp);
      key.Add(scratch_[u].wgt);
    }
    if (!shown_.insert(key.value()).second) return;
    constexpr uint32_t kOnALine = 6;
    for (uint32_t u = in.uop_begin; u < end; ++u) {
      if ((u - in.uop_begin) % kOnALine == 0) {
        text_ += (u > in.uop_begin ? "\n" : "") + std::string(40, ' ') + "; uop " + Text(u) + ":";
      }
      const MicroOp& uop = scratch_[u];
      text_ += alu        ? " (dst " + Text(uop.acc) + " src " + Text(Source(uop)) + ")"
               : in.reset ? " (acc " + Text(uop.acc) + ")"
                          : " (acc " + Text(uop.acc) + " inp " + Text(uop.inp) + " wgt " +
                                Text(uop.wgt) + ")";
    }
    text_ += "\n";
  }

  int64_t Source(const MicroOp& uop) const {
    const int bits = Encoding(program_.config, program_.isa).inp_index;
    return int64_t{uop.inp} + (int64_t{uop.wgt} << bits);
  }

  const Program& program_;
  std::vector<MicroOp> scratch_;
  std::set<uint64_t> shown_;
  std::string text_;
};

}  // namespace

ProgramCounts CountProgram(const Program& program) {
  ProgramCounts counts;
  for (const Instruction& in : program.instructions) {
    switch (in.op) {
      case Opcode::kLoad:
      case Opcode::kStore: {
        const int64_t moved = int64_t{in.y_size} * in.x_size;
        if (in.x_size == 0) {
          ++counts.no_ops;
          break;
        }
        (in.op == Opcode::kStore ? counts.stores : counts.loads[static_cast<size_t>(in.memory)]) +=
            1;
        counts.elements[static_cast<size_t>(in.memory)] += moved;
        counts.padded += (int64_t{in.x_pad_0} + in.x_size + in.x_pad_1) *
                             (int64_t{in.y_pad_0} + in.y_size + in.y_pad_1) -
                         moved;
        break;
      }
      case Opcode::kGemm:
        if (in.reset) {
          ++counts.resets;
        } else {
          ++counts.gemms;
          counts.macs += in.iterations() * program.config.macs_per_cycle();
        }
        break;
      case Opcode::kAlu:
        ++counts.alus;
        counts.alu_vectors += in.iterations();
        break;
      case Opcode::kFinish:
        ++counts.finishes;
        break;
    }
  }
  return counts;
}

std::string Listing(const Program& program) { return Lister(program).Run(); }

}  // namespace rhnas::hw
