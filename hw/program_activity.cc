#include "hw/program_activity.h"

namespace rhnas::hw {
namespace {

constexpr int64_t kInstructionBytes = 16;

}  // namespace

Activity CountActivity(const Program& program) {
  const Config& config = program.config;
  const int64_t uop_bytes = ElementBytes(config, MemoryId::kUop);
  const int64_t wgt_bytes = ElementBytes(config, MemoryId::kWgt);
  const int64_t inp_bytes = ElementBytes(config, MemoryId::kInp);
  const int64_t acc_bytes = ElementBytes(config, MemoryId::kAcc);
  const int64_t out_bytes = ElementBytes(config, MemoryId::kOut);
  const int64_t lanes = int64_t{config.batch()} * config.block_out();
  int64_t multiplies = 0, resets = 0, one_source = 0, two_sources = 0, products = 0;
  int64_t loaded[4] = {0, 0, 0, 0}, padded[4] = {0, 0, 0, 0}, stored = 0;
  for (const Instruction& in : program.instructions) {
    switch (in.op) {
      case Opcode::kLoad: {
        if (in.x_size == 0) break;
        const auto memory = static_cast<size_t>(in.memory);
        const int64_t elements = int64_t{in.y_size} * in.x_size;
        const int64_t all = (int64_t{in.y_size} + in.y_pad_0 + in.y_pad_1) *
                            (int64_t{in.x_size} + in.x_pad_0 + in.x_pad_1);
        loaded[memory] += elements;
        padded[memory] += all - elements;
        break;
      }
      case Opcode::kStore:
        stored += int64_t{in.y_size} * in.x_size;
        break;
      case Opcode::kGemm:
        (in.reset ? resets : multiplies) += in.iterations();
        break;
      case Opcode::kAlu:
        (in.use_imm ? one_source : two_sources) += in.iterations();
        if (in.alu == AluOp::kMul) products += in.iterations();
        break;
      case Opcode::kFinish:
        break;
    }
  }
  const auto at = [](MemoryId memory) { return static_cast<size_t>(memory); };
  const int64_t writes = multiplies + one_source + two_sources;
  Activity a;
  a.instructions = static_cast<int64_t>(program.instructions.size());
  a.macs = multiplies * config.macs_per_cycle();
  a.alu_ops = (one_source + two_sources) * lanes;
  a.alu_multiplies = products * lanes;
  a.inp_read_bytes = multiplies * inp_bytes;
  a.wgt_read_bytes = multiplies * wgt_bytes;
  a.acc_read_bytes = (multiplies + one_source + 2 * two_sources) * acc_bytes;
  a.out_write_bytes = writes * out_bytes;
  a.uop_read_bytes = (writes + resets) * uop_bytes;
  a.out_read_bytes = a.dram_out_bytes = stored * out_bytes;
  a.dram_uop_bytes = loaded[at(MemoryId::kUop)] * uop_bytes;
  a.dram_wgt_bytes = loaded[at(MemoryId::kWgt)] * wgt_bytes;
  a.dram_inp_bytes = loaded[at(MemoryId::kInp)] * inp_bytes;
  a.dram_acc_bytes = loaded[at(MemoryId::kAcc)] * acc_bytes;
  a.dram_instruction_bytes = a.instructions * kInstructionBytes;
  a.uop_write_bytes = a.dram_uop_bytes;
  a.wgt_write_bytes = a.dram_wgt_bytes + padded[at(MemoryId::kWgt)] * wgt_bytes;
  a.inp_write_bytes = a.dram_inp_bytes + padded[at(MemoryId::kInp)] * inp_bytes;
  a.acc_write_bytes =
      (writes + resets + loaded[at(MemoryId::kAcc)] + padded[at(MemoryId::kAcc)]) * acc_bytes;
  return a;
}

}  // namespace rhnas::hw
