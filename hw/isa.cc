// Layouts: apache/tvm-vta and pasqoc/incubator-tvm-vta (see isa.h), hardware/chisel/src/main/scala/
// core/Decode.scala and ISA.scala; the second agrees with its include/vta/hw_spec.h.
#include "hw/isa.h"

#include "hw/program.h"

namespace rhnas::hw {
namespace {

constexpr int kOpcodeBits = 3, kSramBits = 16, kDramBits = 32, kSizeBits = 16, kPadBits = 4;
constexpr int kAluOpBits = 3, kImmediateBits = 16;
constexpr int kLoopBits = 14;

uint64_t Mask(int bits) { return bits >= 64 ? ~uint64_t{0} : (uint64_t{1} << bits) - 1; }

// Fields of one 64-bit half, from the low end.
class Packer {
 public:
  explicit Packer(std::string* why) : why_(why) {}
  void Put(const char* field, uint64_t value, int bits) {
    if (bits < 0 || at_ + bits > 64) return Fail(field, "has no room in its word", bits, 64 - at_);
    if (value > Mask(bits)) {
      if (ok_ && why_ != nullptr) {
        *why_ = std::string(field) + ": need " + std::to_string(value) + ", have at most " +
                std::to_string(Mask(bits)) + " (" + std::to_string(bits) + " bits)";
      }
      ok_ = false;
      return;
    }
    if (bits > 0) word_ |= value << at_;
    at_ += bits;
  }
  void Fail(const char* field, const char* what, int need, int have) {
    if (ok_ && why_ != nullptr) {
      *why_ = std::string(field) + " " + what + ": need " + std::to_string(need) + ", have " +
              std::to_string(have) + " bits";
    }
    ok_ = false;
  }
  bool ok() const { return ok_; }
  // The word so far; the next one begins.
  uint64_t Take() {
    const uint64_t word = word_;
    word_ = 0;
    at_ = 0;
    return word;
  }

 private:
  std::string* why_;
  uint64_t word_ = 0;
  int at_ = 0;
  bool ok_ = true;
};

class Unpacker {
 public:
  explicit Unpacker(uint64_t word) : word_(word) {}
  uint64_t Get(int bits) {
    const uint64_t value = at_ >= 64 ? 0 : (word_ >> at_) & Mask(bits);
    at_ += bits;
    return value;
  }
  uint32_t Get32(int bits) { return static_cast<uint32_t>(Get(bits)); }
  uint16_t Get16(int bits) { return static_cast<uint16_t>(Get(bits)); }
  uint8_t Get8(int bits) { return static_cast<uint8_t>(Get(bits)); }
  bool Bit() { return Get(1) != 0; }
  // Bits of the word that no field has taken.
  uint64_t rest() const { return at_ >= 64 ? 0 : word_ >> at_; }

 private:
  uint64_t word_;
  int at_ = 0;
};

bool Refuse(std::string* why, const std::string& what) {
  if (why != nullptr) *why = what;
  return false;
}

const char* FlavourName(Isa isa) { return isa == Isa::kStock ? "stock" : "extended"; }

// Does an instruction of these kinds exist?
bool CheckKinds(const Encoding& encoding, const Instruction& in, std::string* why) {
  const bool extended = encoding.isa == Isa::kExtended;
  switch (in.op) {
    case Opcode::kLoad:
      if (in.memory > MemoryId::kAcc) {
        return Refuse(why, "LOAD: memory id " + std::to_string(static_cast<int>(in.memory)) +
                               ", expected 0 (uop), 1 (wgt), 2 (inp) or 3 (acc)");
      }
      break;
    case Opcode::kStore:
      if (in.memory != MemoryId::kOut) {
        return Refuse(why, "STORE: memory id " + std::to_string(static_cast<int>(in.memory)) +
                               ", expected 4 (out)");
      }
      break;
    case Opcode::kGemm:
    case Opcode::kFinish:
      break;
    case Opcode::kAlu:
      if (in.alu > (extended ? AluOp::kMul : AluOp::kShr)) {
        return Refuse(why, "ALU: operation " + std::to_string(static_cast<int>(in.alu)) + ", the " +
                               FlavourName(encoding.isa) + " ISA has 0 to " +
                               (extended ? "6" : "3"));
      }
      break;
    default:
      return Refuse(why, "opcode " + std::to_string(static_cast<int>(in.op)) +
                             ", expected 0 (LOAD), 1 (STORE), 2 (GEMM), 3 (FINISH) or 4 (ALU)");
  }
  if (in.min_pad && (!extended || in.op != Opcode::kLoad)) {
    return Refuse(why, "padding with the least value: only a LOAD of the extended ISA has it");
  }
  return true;
}

}  // namespace

Encoding::Encoding(const Config& config, Isa flavour) : isa(flavour), loop(kLoopBits) {
  if (isa == Isa::kStock) {
    uop_bits = 32;
    uop_begin = 13;
    uop_end = 14;
    acc_factor = inp_factor = acc_index = inp_index = 11;
    wgt_factor = wgt_index = 10;
    wgt_index_low = 22;
    memory_id = 3;
    return;
  }
  uop_bits = config.uop_bits();
  uop_begin = config.log_uop_depth();
  uop_end = uop_begin + 1;
  acc_index = config.log_acc_depth();
  inp_index = config.log_inp_depth();
  wgt_index = config.log_wgt_depth();
  acc_factor = acc_index - config.log_acc_factor_restrict;
  inp_factor = inp_index - config.log_inp_factor_restrict;
  wgt_factor = wgt_index - config.log_wgt_factor_restrict;
  // The weight index moves to the upper word where the three do not fit one.
  wgt_index_low = acc_index + inp_index + wgt_index > 32 ? 32 : acc_index + inp_index;
  memory_id = 2;
}

bool Encode(const Encoding& encoding, const Instruction& in, Word128* word, std::string* why) {
  if (!CheckKinds(encoding, in, why)) return false;
  Packer packer(why);
  packer.Put("opcode", static_cast<uint64_t>(in.op), kOpcodeBits);
  packer.Put("pop_prev", in.pop_prev ? 1 : 0, 1);
  packer.Put("pop_next", in.pop_next ? 1 : 0, 1);
  packer.Put("push_prev", in.push_prev ? 1 : 0, 1);
  packer.Put("push_next", in.push_next ? 1 : 0, 1);
  *word = Word128();
  switch (in.op) {
    case Opcode::kLoad:
    case Opcode::kStore:
      // Two bits leave no id for the outputs; the store unit looks at the opcode only.
      packer.Put("memory id", static_cast<uint64_t>(in.memory) & Mask(encoding.memory_id),
                 encoding.memory_id);
      packer.Put("scratchpad address", in.sram, kSramBits);
      packer.Put("DRAM address", in.dram, kDramBits);
      if (encoding.isa == Isa::kExtended) packer.Put("min_pad", in.min_pad ? 1 : 0, 1);
      word->low = packer.Take();
      packer.Put("y_size", in.y_size, kSizeBits);
      packer.Put("x_size", in.x_size, kSizeBits);
      packer.Put("x_stride", in.x_stride, kSizeBits);
      packer.Put("y_pad_0", in.y_pad_0, kPadBits);
      packer.Put("y_pad_1", in.y_pad_1, kPadBits);
      packer.Put("x_pad_0", in.x_pad_0, kPadBits);
      packer.Put("x_pad_1", in.x_pad_1, kPadBits);
      word->high = packer.Take();
      break;
    case Opcode::kGemm:
    case Opcode::kAlu:
      packer.Put("reset", in.reset ? 1 : 0, 1);
      packer.Put("uop_begin", in.uop_begin, encoding.uop_begin);
      packer.Put("uop_end", in.uop_end, encoding.uop_end);
      packer.Put("lp0", in.lp0, encoding.loop);
      packer.Put("lp1", in.lp1, encoding.loop);
      word->low = packer.Take();
      packer.Put(in.op == Opcode::kAlu ? "dst_0" : "acc_0", in.acc_0, encoding.acc_factor);
      packer.Put(in.op == Opcode::kAlu ? "dst_1" : "acc_1", in.acc_1, encoding.acc_factor);
      packer.Put(in.op == Opcode::kAlu ? "src_0" : "inp_0", in.inp_0, encoding.inp_factor);
      packer.Put(in.op == Opcode::kAlu ? "src_1" : "inp_1", in.inp_1, encoding.inp_factor);
      if (in.op == Opcode::kGemm) {
        packer.Put("wgt_0", in.wgt_0, encoding.wgt_factor);
        packer.Put("wgt_1", in.wgt_1, encoding.wgt_factor);
      } else {
        packer.Put("ALU operation", static_cast<uint64_t>(in.alu), kAluOpBits);
        packer.Put("use_imm", in.use_imm ? 1 : 0, 1);
        packer.Put("immediate", static_cast<uint16_t>(in.imm), kImmediateBits);
      }
      word->high = packer.Take();
      break;
    case Opcode::kFinish:
      word->low = packer.Take();
      break;
  }
  return packer.ok();
}

bool Decode(const Encoding& encoding, const Word128& word, Instruction* out, std::string* why) {
  Instruction in;
  Unpacker low(word.low), high(word.high);
  in.op = static_cast<Opcode>(low.Get8(kOpcodeBits));
  in.pop_prev = low.Bit();
  in.pop_next = low.Bit();
  in.push_prev = low.Bit();
  in.push_next = low.Bit();
  switch (in.op) {
    case Opcode::kLoad:
    case Opcode::kStore:
      in.memory = static_cast<MemoryId>(low.Get8(encoding.memory_id));
      if (in.op == Opcode::kStore && encoding.isa == Isa::kExtended) {
        if (in.memory != MemoryId::kUop) return Refuse(why, "STORE: its memory id is not 0");
        in.memory = MemoryId::kOut;
      }
      in.sram = low.Get32(kSramBits);
      in.dram = low.Get32(kDramBits);
      if (encoding.isa == Isa::kExtended) in.min_pad = low.Bit();
      in.y_size = high.Get16(kSizeBits);
      in.x_size = high.Get16(kSizeBits);
      in.x_stride = high.Get16(kSizeBits);
      in.y_pad_0 = high.Get8(kPadBits);
      in.y_pad_1 = high.Get8(kPadBits);
      in.x_pad_0 = high.Get8(kPadBits);
      in.x_pad_1 = high.Get8(kPadBits);
      break;
    case Opcode::kGemm:
    case Opcode::kAlu:
      in.reset = low.Bit();
      in.uop_begin = low.Get32(encoding.uop_begin);
      in.uop_end = low.Get32(encoding.uop_end);
      in.lp0 = low.Get16(encoding.loop);
      in.lp1 = low.Get16(encoding.loop);
      in.acc_0 = high.Get32(encoding.acc_factor);
      in.acc_1 = high.Get32(encoding.acc_factor);
      in.inp_0 = high.Get32(encoding.inp_factor);
      in.inp_1 = high.Get32(encoding.inp_factor);
      if (in.op == Opcode::kGemm) {
        in.wgt_0 = high.Get32(encoding.wgt_factor);
        in.wgt_1 = high.Get32(encoding.wgt_factor);
      } else {
        in.alu = static_cast<AluOp>(high.Get8(kAluOpBits));
        in.use_imm = high.Bit();
        in.imm = static_cast<int16_t>(high.Get16(kImmediateBits));
      }
      break;
    default:
      break;
  }
  if (!CheckKinds(encoding, in, why)) return false;
  if (low.rest() != 0 || high.rest() != 0) {
    return Refuse(why, std::string("bits are set where the ") + FlavourName(encoding.isa) +
                           " ISA has no field");
  }
  *out = in;
  return true;
}

bool EncodeMicroOp(const Encoding& encoding, const MicroOp& uop, uint64_t* word, std::string* why) {
  Packer packer(why);
  packer.Put("micro-op acc", uop.acc, encoding.acc_index);
  packer.Put("micro-op inp", uop.inp, encoding.inp_index);
  const int gap = encoding.wgt_index_low - encoding.acc_index - encoding.inp_index;
  packer.Put("micro-op", 0, gap);
  packer.Put("micro-op wgt", uop.wgt, encoding.wgt_index);
  const int total = encoding.wgt_index_low + encoding.wgt_index;
  if (total > encoding.uop_bits) packer.Fail("micro-op", "is too short", total, encoding.uop_bits);
  *word = packer.Take();
  return packer.ok();
}

MicroOp DecodeMicroOp(const Encoding& encoding, uint64_t word) {
  MicroOp uop;
  uop.acc = static_cast<uint32_t>(word & Mask(encoding.acc_index));
  uop.inp = static_cast<uint32_t>((word >> encoding.acc_index) & Mask(encoding.inp_index));
  uop.wgt = static_cast<uint32_t>((word >> encoding.wgt_index_low) & Mask(encoding.wgt_index));
  return uop;
}

int64_t ElementBytes(const Config& config, MemoryId memory) {
  switch (memory) {
    case MemoryId::kUop:
      return config.uop_bits() / 8;
    case MemoryId::kWgt:
      return config.wgt_elem_bits() / 8;
    case MemoryId::kInp:
      return config.inp_elem_bits() / 8;
    case MemoryId::kAcc:
      return config.acc_elem_bits() / 8;
    case MemoryId::kOut:
      return config.out_elem_bits() / 8;
  }
  return 0;
}

const char* UnitName(Unit unit) {
  static const char* const kNames[] = {"load", "compute", "store"};
  return kNames[static_cast<int>(unit)];
}

}  // namespace rhnas::hw
