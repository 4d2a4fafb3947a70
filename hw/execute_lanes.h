// The lanes of the functional machine: what one micro-op does to one element. Loops over lanes
// only, so that compilers vectorise them.
#pragma once

#include <cstdint>

#include "hw/isa.h"

namespace rhnas::hw {

// acc[o] += sum over i of inp[i] * wgt[o][i], wrapping; one row of the batch. inp and wgt hold
// 8-bit values.
using MultiplyFunction = void (*)(const int16_t* inp, const int16_t* wgt, int block_in,
                                  int block_out, int32_t* acc);
MultiplyFunction ChooseMultiply(int block_in);

// y[i] = a[i] op b[i], or op imm where b is null. y may be a or b.
using AluFunction = void (*)(const int32_t* a, const int32_t* b, int32_t imm, int lanes,
                             int32_t* y);
AluFunction ChooseAlu(const Instruction& alu);

void Widen(const uint8_t* bytes, int count, int16_t* values);      // signed 8 bits to 16
void ReadWords(const uint8_t* bytes, int count, int32_t* values);  // little-endian
void Narrow(const int32_t* values, int count, uint8_t* bytes);     // the low 8 bits

}  // namespace rhnas::hw
