// VTA's instructions: fields, 128-bit words, micro-ops.
//
// Two flavours. kStock: apache/tvm-vta @d4a15f6 (hardware/chisel, core/ISA.scala), field widths are
// constants; bit positions were verified by running on RTL. kExtended: the branch il_contrib_0421
// @66bcb00 of pasqoc/incubator-tvm-vta; widths follow the scratchpad depths, memory ids have two
// bits, a load can pad with the least value, and the ALU has CLP, MOV and MUL.
#pragma once

#include <cstdint>
#include <string>

#include "hw/config.h"

namespace rhnas::hw {

enum class Isa : uint8_t { kStock, kExtended };
enum class Opcode : uint8_t { kLoad = 0, kStore = 1, kGemm = 2, kFinish = 3, kAlu = 4 };
enum class MemoryId : uint8_t { kUop = 0, kWgt = 1, kInp = 2, kAcc = 3, kOut = 4 };
enum class AluOp : uint8_t {
  kMin = 0,
  kMax = 1,
  kAdd = 2,
  kShr = 3,  // arithmetic; a negative immediate shifts left
  kClp = 4,  // extended: to [-operand, operand]
  kMov = 5,  // extended
  kMul = 6,  // extended: 8-bit by 8-bit
};

// One instruction; which fields count depends on the opcode.
struct Instruction {
  Opcode op = Opcode::kFinish;
  // Tokens. Load: next is compute. Compute: previous is load, next is store. Store: previous is
  // compute.
  bool pop_prev = false, pop_next = false, push_prev = false, push_next = false;
  // LOAD, STORE: y rows of x elements, rows x_stride elements apart in DRAM; dram in elements of
  // the memory's type from its base. Pads in elements, only of loads. x = 0: a no-op.
  MemoryId memory = MemoryId::kInp;
  bool min_pad = false;  // extended: pads with the least value instead of 0
  uint8_t y_pad_0 = 0, y_pad_1 = 0, x_pad_0 = 0, x_pad_1 = 0;
  uint16_t y_size = 0, x_size = 0, x_stride = 0;
  uint32_t sram = 0, dram = 0;
  // GEMM, ALU: for lp0 { for lp1 { for uop in [uop_begin, uop_end) } }. Addresses of a micro-op
  // plus i0 * factor_0 + i1 * factor_1. GEMM: acc, inp, wgt. ALU: acc is the destination, inp the
  // source's factor.
  bool reset = false;    // GEMM: the accumulators become 0
  bool use_imm = false;  // ALU: the second operand
  AluOp alu = AluOp::kAdd;
  int16_t imm = 0;
  uint16_t lp0 = 0, lp1 = 0;
  uint32_t uop_begin = 0, uop_end = 0;
  uint32_t acc_0 = 0, acc_1 = 0, inp_0 = 0, inp_1 = 0, wgt_0 = 0, wgt_1 = 0;

  int64_t iterations() const { return int64_t{lp0} * lp1 * (int64_t{uop_end} - uop_begin); }
};

// The unit that runs an instruction: inputs and weights are load's, STORE store's, the rest
// compute's.
enum class Unit : uint8_t { kLoad = 0, kCompute = 1, kStore = 2 };
const char* UnitName(Unit unit);
inline Unit UnitOf(const Instruction& instruction) {
  if (instruction.op == Opcode::kStore) return Unit::kStore;
  const bool loads = instruction.op == Opcode::kLoad &&
                     (instruction.memory == MemoryId::kInp || instruction.memory == MemoryId::kWgt);
  return loads ? Unit::kLoad : Unit::kCompute;
}

// Scratchpad indices. ALU: acc destination; the source, an accumulator too, is inp plus wgt shifted
// left by the bits of inp (core/TensorAlu.scala), since inp alone may be too short. Of an operation
// with an immediate the hardware reads the first operand at the source as well: set both alike.
struct MicroOp {
  uint32_t acc = 0, inp = 0, wgt = 0;
  bool operator==(const MicroOp& o) const { return acc == o.acc && inp == o.inp && wgt == o.wgt; }
};

struct Word128 {
  uint64_t low = 0, high = 0;
};

// Bits of each field for one configuration.
struct Encoding {
  Encoding(const Config& config, Isa isa);
  Isa isa;
  int uop_bits;                                        // of a micro-op: 32 or 64
  int uop_begin, uop_end, loop;                        // GEMM, ALU
  int acc_factor, inp_factor, wgt_factor;              // GEMM, ALU
  int acc_index, inp_index, wgt_index, wgt_index_low;  // micro-op; where wgt begins
  int memory_id;                                       // LOAD, STORE
};

// False: a field's value does not fit, or the flavour has no such operation; `why` (optional) says
// which, with need and have.
bool Encode(const Encoding& encoding, const Instruction& instruction, Word128* word,
            std::string* why);
bool EncodeMicroOp(const Encoding& encoding, const MicroOp& uop, uint64_t* word, std::string* why);
// False: an illegal opcode, memory id or ALU operation, or bits set that belong to no field.
bool Decode(const Encoding& encoding, const Word128& word, Instruction* instruction,
            std::string* why);
MicroOp DecodeMicroOp(const Encoding& encoding, uint64_t word);

}  // namespace rhnas::hw
