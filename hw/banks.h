// Scratchpads as physical memories of a 64-bit word.
#pragma once

#include <algorithm>

#include "hw/config.h"

namespace rhnas::hw {

// `count` memories of `bytes` each, read side by side.
struct Bank {
  double count = 1, bytes = 0;
};

// The CACTI table's word; a narrower element still takes one memory.
inline constexpr int64_t kSramWordBits = 64;

inline Bank BankOf(int64_t elem_bits, int log_bytes) {
  const double count = static_cast<double>(std::max<int64_t>(1, elem_bits / kSramWordBits));
  return {count, static_cast<double>(int64_t{1} << log_bytes) / count};
}
inline Bank InputBank(const Config& config) {
  return BankOf(config.inp_elem_bits(), config.log_inp_buff);
}
inline Bank WeightBank(const Config& config) {
  return BankOf(config.wgt_elem_bits(), config.log_wgt_buff);
}
inline Bank AccumulatorBank(const Config& config) {
  return BankOf(config.acc_elem_bits(), config.log_acc_buff);
}
inline Bank OutputBank(const Config& config) {
  return BankOf(config.out_elem_bits(), std::max(0, config.log_out_buff()));
}
inline Bank MicroOpBank(const Config& config) {
  return BankOf(config.uop_bits(), config.log_uop_buff);
}

}  // namespace rhnas::hw
