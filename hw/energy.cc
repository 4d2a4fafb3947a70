// Counts times prices, one list for sums and bills.
#include "hw/energy.h"

#include "hw/area.h"

namespace rhnas::hw {
namespace {

constexpr int64_t Activity::*kCounts[] = {
    &Activity::macs,
    &Activity::alu_ops,
    &Activity::alu_multiplies,
    &Activity::inp_read_bytes,
    &Activity::inp_write_bytes,
    &Activity::wgt_read_bytes,
    &Activity::wgt_write_bytes,
    &Activity::acc_read_bytes,
    &Activity::acc_write_bytes,
    &Activity::out_read_bytes,
    &Activity::out_write_bytes,
    &Activity::uop_read_bytes,
    &Activity::uop_write_bytes,
    &Activity::dram_inp_bytes,
    &Activity::dram_wgt_bytes,
    &Activity::dram_acc_bytes,
    &Activity::dram_uop_bytes,
    &Activity::dram_instruction_bytes,
    &Activity::dram_out_bytes,
    &Activity::instructions,
};
static_assert(sizeof(Activity) == std::size(kCounts) * sizeof(int64_t), "every count is listed");

constexpr EnergyTerm kTerms[] = {
    {&EnergyParts::mac_pj, "multiply-accumulates, padding lanes included", "MAC", &Activity::macs,
     nullptr, &EnergyPrices::mac, "mac_pj", nullptr},
    {&EnergyParts::alu_pj, "ALU lane operations", "op", &Activity::alu_ops,
     &Activity::alu_multiplies, &EnergyPrices::alu, "alu_op_pj", nullptr},
    {&EnergyParts::alu_pj, "ALU lane multiplies", "op", &Activity::alu_multiplies, nullptr,
     &EnergyPrices::alu_multiply, "alu_mul_pj", nullptr},
    {&EnergyParts::sram_pj, "inputs read", "byte", &Activity::inp_read_bytes, nullptr,
     &EnergyPrices::inp_read, "read_pj_per_byte", InputBank},
    {&EnergyParts::sram_pj, "inputs written", "byte", &Activity::inp_write_bytes, nullptr,
     &EnergyPrices::inp_write, "write_pj_per_byte", InputBank},
    {&EnergyParts::sram_pj, "weights read", "byte", &Activity::wgt_read_bytes, nullptr,
     &EnergyPrices::wgt_read, "read_pj_per_byte", WeightBank},
    {&EnergyParts::sram_pj, "weights written", "byte", &Activity::wgt_write_bytes, nullptr,
     &EnergyPrices::wgt_write, "write_pj_per_byte", WeightBank},
    {&EnergyParts::sram_pj, "accumulators read", "byte", &Activity::acc_read_bytes, nullptr,
     &EnergyPrices::acc_read, "read_pj_per_byte", AccumulatorBank},
    {&EnergyParts::sram_pj, "accumulators written", "byte", &Activity::acc_write_bytes, nullptr,
     &EnergyPrices::acc_write, "write_pj_per_byte", AccumulatorBank},
    {&EnergyParts::sram_pj, "outputs read", "byte", &Activity::out_read_bytes, nullptr,
     &EnergyPrices::out_read, "read_pj_per_byte", OutputBank},
    {&EnergyParts::sram_pj, "outputs written", "byte", &Activity::out_write_bytes, nullptr,
     &EnergyPrices::out_write, "write_pj_per_byte", OutputBank},
    {&EnergyParts::sram_pj, "micro-ops read", "byte", &Activity::uop_read_bytes, nullptr,
     &EnergyPrices::uop_read, "read_pj_per_byte", MicroOpBank},
    {&EnergyParts::sram_pj, "micro-ops written", "byte", &Activity::uop_write_bytes, nullptr,
     &EnergyPrices::uop_write, "write_pj_per_byte", MicroOpBank},
    {&EnergyParts::dram_pj, "DRAM inputs read", "byte", &Activity::dram_inp_bytes, nullptr,
     &EnergyPrices::dram_read, "dram_read_pj_per_byte", nullptr},
    {&EnergyParts::dram_pj, "DRAM weights read", "byte", &Activity::dram_wgt_bytes, nullptr,
     &EnergyPrices::dram_read, "dram_read_pj_per_byte", nullptr},
    {&EnergyParts::dram_pj, "DRAM biases read", "byte", &Activity::dram_acc_bytes, nullptr,
     &EnergyPrices::dram_read, "dram_read_pj_per_byte", nullptr},
    {&EnergyParts::dram_pj, "DRAM micro-ops read", "byte", &Activity::dram_uop_bytes, nullptr,
     &EnergyPrices::dram_read, "dram_read_pj_per_byte", nullptr},
    {&EnergyParts::dram_pj, "DRAM instructions read", "byte", &Activity::dram_instruction_bytes,
     nullptr, &EnergyPrices::dram_read, "dram_read_pj_per_byte", nullptr},
    {&EnergyParts::dram_pj, "DRAM outputs written", "byte", &Activity::dram_out_bytes, nullptr,
     &EnergyPrices::dram_write, "dram_write_pj_per_byte", nullptr},
    {&EnergyParts::control_pj, "instructions fetched and decoded", "instruction",
     &Activity::instructions, nullptr, &EnergyPrices::instruction, "instruction_pj", nullptr},
};

}  // namespace

Activity& Activity::operator+=(const Activity& other) {
  for (const auto count : kCounts) this->*count += other.*count;
  return *this;
}

Activity Activity::Times(int64_t count) const {
  Activity result = *this;
  for (const auto member : kCounts) result.*member *= count;
  return result;
}

EnergyParts& EnergyParts::operator+=(const EnergyParts& other) {
  mac_pj += other.mac_pj;
  alu_pj += other.alu_pj;
  sram_pj += other.sram_pj;
  dram_pj += other.dram_pj;
  control_pj += other.control_pj;
  leakage_pj += other.leakage_pj;
  return *this;
}

EnergyPrices::EnergyPrices(const Config& config, const CostTable& table) {
  for (const EnergyTerm& term : kTerms) {
    double& price_pj = this->*term.price;
    if (term.bank == nullptr) {
      price_pj = table[term.row];
    } else {
      const double bytes = term.bank(config).bytes;
      price_pj =
          term.row[0] == 'r' ? table.SramReadPjPerByte(bytes) : table.SramWritePjPerByte(bytes);
    }
  }
  leakage_pj_per_cycle = LeakagePjPerCycle(LeakageMw(AreaParts(config, table)), table);
}

const std::vector<EnergyTerm>& EnergyTerms() {
  static const std::vector<EnergyTerm> terms(std::begin(kTerms), std::end(kTerms));
  return terms;
}

EnergyParts EnergyOf(const Activity& activity, int64_t cycles, const EnergyPrices& prices) {
  EnergyParts parts;
  for (const EnergyTerm& term : kTerms) {
    parts.*term.part += static_cast<double>(term.CountOf(activity)) * prices.*term.price;
  }
  parts.leakage_pj = static_cast<double>(cycles) * prices.leakage_pj_per_cycle;
  return parts;
}

}  // namespace rhnas::hw
