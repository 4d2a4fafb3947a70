// Energy of a schedule: what it does, counted, times what each doing costs.
//
// Activity counts are the only source of energy, prices are rows of the energy table
// (hw/tables.h) looked up once for a configuration. One list of terms is both the sum that searches
// take and the bill that `rhnas cost --explain` prints, so the bill adds up by construction. All
// functions are pure and thread-safe.
#pragma once

#include <cstdint>
#include <vector>

#include "hw/banks.h"
#include "hw/config.h"
#include "hw/tables.h"

namespace rhnas::hw {

// What a schedule does. Bytes of scratchpads as the units access them; bytes of DRAM by operand.
struct Activity {
  int64_t macs = 0;            // issued on the array, padding lanes included
  int64_t alu_ops = 0;         // lane operations
  int64_t alu_multiplies = 0;  // of these, MUL
  int64_t inp_read_bytes = 0, inp_write_bytes = 0;
  int64_t wgt_read_bytes = 0, wgt_write_bytes = 0;
  int64_t acc_read_bytes = 0, acc_write_bytes = 0;
  int64_t out_read_bytes = 0, out_write_bytes = 0;
  int64_t uop_read_bytes = 0, uop_write_bytes = 0;
  int64_t dram_inp_bytes = 0, dram_wgt_bytes = 0, dram_acc_bytes = 0, dram_uop_bytes = 0;
  int64_t dram_instruction_bytes = 0;  // up to here read,
  int64_t dram_out_bytes = 0;          // written
  int64_t instructions = 0;

  int64_t dram_read_bytes() const {
    return dram_inp_bytes + dram_wgt_bytes + dram_acc_bytes + dram_uop_bytes +
           dram_instruction_bytes;
  }
  int64_t dram_write_bytes() const { return dram_out_bytes; }
  int64_t dram_bytes() const { return dram_read_bytes() + dram_write_bytes(); }
  Activity& operator+=(const Activity& other);
  Activity Times(int64_t count) const;
};

struct EnergyParts {
  double mac_pj = 0, alu_pj = 0, sram_pj = 0, dram_pj = 0, control_pj = 0, leakage_pj = 0;
  double total_pj() const { return mac_pj + alu_pj + sram_pj + dram_pj + control_pj + leakage_pj; }
  EnergyParts& operator+=(const EnergyParts& other);
};

// pJ of one count of each activity; leakage of one cycle.
struct EnergyPrices {
  double mac = 0, alu = 0, alu_multiply = 0, instruction = 0, dram_read = 0, dram_write = 0;
  double inp_read = 0, inp_write = 0, wgt_read = 0, wgt_write = 0, acc_read = 0, acc_write = 0;
  double out_read = 0, out_write = 0, uop_read = 0, uop_write = 0;
  double leakage_pj_per_cycle = 0;

  EnergyPrices() = default;
  EnergyPrices(const Config& config, const CostTable& table);
};

// One kind of activity and where its price comes from. The list's order is that of the sum.
struct EnergyTerm {
  double EnergyParts::*part;
  const char* what;  // "weights read by GEMM"
  const char* unit;  // of the count: "MAC", "byte"
  int64_t Activity::*count;
  int64_t Activity::*minus;  // null, or a part of the count that another term has
  double EnergyPrices::*price;
  const char* row;              // of the table; with `bank`: which value of its SRAM rows
  Bank (*bank)(const Config&);  // null, or the scratchpad

  int64_t CountOf(const Activity& activity) const {
    return activity.*count - (minus != nullptr ? activity.*minus : 0);
  }
};
// All terms but leakage (cycles times leakage_pj_per_cycle).
const std::vector<EnergyTerm>& EnergyTerms();

EnergyParts EnergyOf(const Activity& activity, int64_t cycles, const EnergyPrices& prices);

}  // namespace rhnas::hw
