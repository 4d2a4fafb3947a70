#include "hw/execute_lanes.h"

#include <algorithm>

namespace rhnas::hw {
namespace {

int32_t Add(int32_t a, int32_t b) {
  return static_cast<int32_t>(static_cast<uint32_t>(a) + static_cast<uint32_t>(b));
}

// kIn 0: any number of lanes.
template <int kIn>
void Multiply(const int16_t* inp, const int16_t* wgt, int block_in, int block_out, int32_t* acc) {
  const int lanes = kIn > 0 ? kIn : block_in;
  for (int o = 0; o < block_out; ++o) {
    int32_t sum = 0;
    for (int i = 0; i < lanes; ++i) sum += inp[i] * wgt[o * lanes + i];
    acc[o] = Add(acc[o], sum);
  }
}

// Arithmetic: rounds towards minus infinity.
int32_t ShiftRight(int32_t a, int32_t by) { return a >> (by & 31); }
int32_t ShiftLeft(int32_t a, int32_t by) {
  return static_cast<int32_t>(static_cast<uint32_t>(a) << (-static_cast<int64_t>(by) & 31));
}
int32_t Minimum(int32_t a, int32_t b) { return a < b ? a : b; }
int32_t Maximum(int32_t a, int32_t b) { return a < b ? b : a; }
int32_t Clip(int32_t a, int32_t b) {
  const int32_t low = static_cast<int32_t>(0u - static_cast<uint32_t>(b));
  return a < low ? low : Minimum(a, b);
}
int32_t Second(int32_t /*a*/, int32_t b) { return b; }
int32_t Product(int32_t a, int32_t b) {
  return int32_t{static_cast<int8_t>(a)} * static_cast<int8_t>(b);
}

template <int32_t (*kOperation)(int32_t, int32_t)>
void Lanes(const int32_t* a, const int32_t* b, int32_t imm, int lanes, int32_t* y) {
  if (b == nullptr) {
    for (int i = 0; i < lanes; ++i) y[i] = kOperation(a[i], imm);
  } else {
    for (int i = 0; i < lanes; ++i) y[i] = kOperation(a[i], b[i]);
  }
}

}  // namespace

MultiplyFunction ChooseMultiply(int block_in) {
  switch (block_in) {
    case 8:
      return Multiply<8>;
    case 16:
      return Multiply<16>;
    case 32:
      return Multiply<32>;
    case 64:
      return Multiply<64>;
    default:
      return Multiply<0>;
  }
}

AluFunction ChooseAlu(const Instruction& alu) {
  switch (alu.alu) {
    case AluOp::kMin:
      return Lanes<Minimum>;
    case AluOp::kMax:
      return Lanes<Maximum>;
    case AluOp::kAdd:
      return Lanes<Add>;
    case AluOp::kShr:
      // The immediate's sign chooses, also where the operand is a tensor (core/TensorAlu.scala).
      return alu.imm < 0 ? Lanes<ShiftLeft> : Lanes<ShiftRight>;
    case AluOp::kClp:
      return Lanes<Clip>;
    case AluOp::kMov:
      return Lanes<Second>;
    case AluOp::kMul:
      return Lanes<Product>;
  }
  return Lanes<Second>;
}

void Widen(const uint8_t* bytes, int count, int16_t* values) {
  for (int i = 0; i < count; ++i) values[i] = static_cast<int8_t>(bytes[i]);
}

void ReadWords(const uint8_t* bytes, int count, int32_t* values) {
  for (int i = 0; i < count; ++i) {
    values[i] =
        static_cast<int32_t>(uint32_t{bytes[4 * i]} | uint32_t{bytes[4 * i + 1]} << 8 |
                             uint32_t{bytes[4 * i + 2]} << 16 | uint32_t{bytes[4 * i + 3]} << 24);
  }
}

void Narrow(const int32_t* values, int count, uint8_t* bytes) {
  for (int i = 0; i < count; ++i) bytes[i] = static_cast<uint8_t>(values[i] & 0xff);
}

}  // namespace rhnas::hw
