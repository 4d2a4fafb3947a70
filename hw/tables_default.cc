// The built-in energy and area table: 45 nm.
//
// SRAM in the low-operating-power process: CACTI's high-performance column leaks 100 times more at
// 360 K, which would make an edge accelerator's energy a measure of its memory size alone. DRAM is
// LPDDR4. A few rows are from 40 nm libraries; they are small and are not scaled.
#include "hw/tables.h"

namespace rhnas::hw {

const std::string& DefaultCostTableCsv() {
  // clang-format off
  static const std::string csv =
    "name,value,unit,node_nm,voltage_v,source\n"
    "mac_pj,0.30,pJ,45,0.9,Horowitz ISSCC 2014: 8-bit multiply 0.2 + 32-bit add 0.1; one multiply-accumulate of a lane\n"
    "alu_op_pj,0.10,pJ,45,0.9,Horowitz ISSCC 2014: 32-bit integer add; one ALU lane operation\n"
    "alu_mul_pj,0.20,pJ,45,0.9,Horowitz ISSCC 2014: 8-bit integer multiply; one ALU lane MUL\n"
    "register_pj_per_bit,0.009,pJ,40,0.9,ALADDIN common/power_func.h register per bit at 1 ns\n"
    "dram_read_pj_per_byte,64,pJ/B,-,-,Accelergy CACTI plug-in @9cf48b1: LPDDR4 8 pJ per bit (public data)\n"
    "dram_write_pj_per_byte,64,pJ/B,-,-,Accelergy CACTI plug-in @9cf48b1: LPDDR4 8 pJ per bit (public data)\n"
    "instruction_pj,3.5,pJ,40,0.9,derived: a 128-bit instruction written to three registers (fetch; queue; decode) at 0.009 pJ per bit (ALADDIN)\n"
    "logic_leakage_mw_per_um2,8.6e-6,mW/um2,40,0.9,Accelergy library plug-in aladdin: 32-bit adder 0.0024 pJ/ns over its 278 um2\n"
    "clock_mhz,100,MHz,-,-,VTA on xc7z020 (apache/tvm-vta config/pkg_config.py); turns cycles into leakage energy\n"
    "mac_um2,419,um2,45,0.9,Horowitz ISSCC 2014 slide (not re-read): 8-bit multiplier 282 + 32-bit adder 137\n"
    "alu_lane_um2,684,um2,45,0.9,derived: yosys 0.23 on the RTL counts 9572 transistors a lane against 5863 a MAC; times mac_um2\n"
    "control_um2,8712,um2,45,0.9,derived: yosys 0.23 on the RTL: 4 command generators 14.4 kT; 3 padding units 13.0 kT; arbiter 10.5 kT; 2 index generators 7.4 kT; in MACs of 5863 T\n"
    "register_um2_per_bit,5.98,um2,40,0.9,ALADDIN common/power_func.h register 5.981433 um2 per bit\n"
    "sram_2kb_read_pj_per_byte,0.164,pJ/B,45,lop,CACTI 7 sweep: ram; itrs-lop; 360 K; ED^2; 1 rw port; 64-bit word\n"
    "sram_2kb_write_pj_per_byte,0.219,pJ/B,45,lop,CACTI 7 sweep: ram; itrs-lop; 360 K; ED^2; 1 rw port; 64-bit word\n"
    "sram_2kb_leakage_mw,0.04,mW,45,lop,CACTI 7 sweep: ram; itrs-lop; 360 K; ED^2; 1 rw port; 64-bit word\n"
    "sram_2kb_um2_per_kb,3771,um2/KB,45,lop,CACTI 7 sweep: ram; itrs-lop; 360 K; ED^2; 1 rw port; 64-bit word\n"
    "sram_4kb_read_pj_per_byte,0.293,pJ/B,45,lop,CACTI 7 sweep: ram; itrs-lop; 360 K; ED^2; 1 rw port; 64-bit word\n"
    "sram_4kb_write_pj_per_byte,0.293,pJ/B,45,lop,CACTI 7 sweep: ram; itrs-lop; 360 K; ED^2; 1 rw port; 64-bit word\n"
    "sram_4kb_leakage_mw,0.07,mW,45,lop,CACTI 7 sweep: ram; itrs-lop; 360 K; ED^2; 1 rw port; 64-bit word\n"
    "sram_4kb_um2_per_kb,3685,um2/KB,45,lop,CACTI 7 sweep: ram; itrs-lop; 360 K; ED^2; 1 rw port; 64-bit word\n"
    "sram_8kb_read_pj_per_byte,0.395,pJ/B,45,lop,CACTI 7 sweep: ram; itrs-lop; 360 K; ED^2; 1 rw port; 64-bit word\n"
    "sram_8kb_write_pj_per_byte,0.406,pJ/B,45,lop,CACTI 7 sweep: ram; itrs-lop; 360 K; ED^2; 1 rw port; 64-bit word\n"
    "sram_8kb_leakage_mw,0.14,mW,45,lop,CACTI 7 sweep: ram; itrs-lop; 360 K; ED^2; 1 rw port; 64-bit word\n"
    "sram_8kb_um2_per_kb,3285,um2/KB,45,lop,CACTI 7 sweep: ram; itrs-lop; 360 K; ED^2; 1 rw port; 64-bit word\n"
    "sram_16kb_read_pj_per_byte,0.754,pJ/B,45,lop,CACTI 7 sweep: ram; itrs-lop; 360 K; ED^2; 1 rw port; 64-bit word\n"
    "sram_16kb_write_pj_per_byte,0.552,pJ/B,45,lop,CACTI 7 sweep: ram; itrs-lop; 360 K; ED^2; 1 rw port; 64-bit word\n"
    "sram_16kb_leakage_mw,0.26,mW,45,lop,CACTI 7 sweep: ram; itrs-lop; 360 K; ED^2; 1 rw port; 64-bit word\n"
    "sram_16kb_um2_per_kb,3172,um2/KB,45,lop,CACTI 7 sweep: ram; itrs-lop; 360 K; ED^2; 1 rw port; 64-bit word\n"
    "sram_32kb_read_pj_per_byte,0.904,pJ/B,45,lop,CACTI 7 sweep: ram; itrs-lop; 360 K; ED^2; 1 rw port; 64-bit word\n"
    "sram_32kb_write_pj_per_byte,0.702,pJ/B,45,lop,CACTI 7 sweep: ram; itrs-lop; 360 K; ED^2; 1 rw port; 64-bit word\n"
    "sram_32kb_leakage_mw,0.52,mW,45,lop,CACTI 7 sweep: ram; itrs-lop; 360 K; ED^2; 1 rw port; 64-bit word\n"
    "sram_32kb_um2_per_kb,3498,um2/KB,45,lop,CACTI 7 sweep: ram; itrs-lop; 360 K; ED^2; 1 rw port; 64-bit word\n"
    "sram_64kb_read_pj_per_byte,1.634,pJ/B,45,lop,CACTI 7 sweep: ram; itrs-lop; 360 K; ED^2; 1 rw port; 64-bit word\n"
    "sram_64kb_write_pj_per_byte,1.008,pJ/B,45,lop,CACTI 7 sweep: ram; itrs-lop; 360 K; ED^2; 1 rw port; 64-bit word\n"
    "sram_64kb_leakage_mw,0.94,mW,45,lop,CACTI 7 sweep: ram; itrs-lop; 360 K; ED^2; 1 rw port; 64-bit word\n"
    "sram_64kb_um2_per_kb,3267,um2/KB,45,lop,CACTI 7 sweep: ram; itrs-lop; 360 K; ED^2; 1 rw port; 64-bit word\n"
    "sram_128kb_read_pj_per_byte,1.943,pJ/B,45,lop,CACTI 7 sweep: ram; itrs-lop; 360 K; ED^2; 1 rw port; 64-bit word\n"
    "sram_128kb_write_pj_per_byte,1.317,pJ/B,45,lop,CACTI 7 sweep: ram; itrs-lop; 360 K; ED^2; 1 rw port; 64-bit word\n"
    "sram_128kb_leakage_mw,1.87,mW,45,lop,CACTI 7 sweep: ram; itrs-lop; 360 K; ED^2; 1 rw port; 64-bit word\n"
    "sram_128kb_um2_per_kb,3357,um2/KB,45,lop,CACTI 7 sweep: ram; itrs-lop; 360 K; ED^2; 1 rw port; 64-bit word\n"
    "sram_256kb_read_pj_per_byte,2.538,pJ/B,45,lop,CACTI 7 sweep: ram; itrs-lop; 360 K; ED^2; 1 rw port; 64-bit word\n"
    "sram_256kb_write_pj_per_byte,1.912,pJ/B,45,lop,CACTI 7 sweep: ram; itrs-lop; 360 K; ED^2; 1 rw port; 64-bit word\n"
    "sram_256kb_leakage_mw,3.74,mW,45,lop,CACTI 7 sweep: ram; itrs-lop; 360 K; ED^2; 1 rw port; 64-bit word\n"
    "sram_256kb_um2_per_kb,3407,um2/KB,45,lop,CACTI 7 sweep: ram; itrs-lop; 360 K; ED^2; 1 rw port; 64-bit word\n"
    "sram_512kb_read_pj_per_byte,3.463,pJ/B,45,lop,CACTI 7 sweep: ram; itrs-lop; 360 K; ED^2; 1 rw port; 64-bit word\n"
    "sram_512kb_write_pj_per_byte,2.677,pJ/B,45,lop,CACTI 7 sweep: ram; itrs-lop; 360 K; ED^2; 1 rw port; 64-bit word\n"
    "sram_512kb_leakage_mw,7.11,mW,45,lop,CACTI 7 sweep: ram; itrs-lop; 360 K; ED^2; 1 rw port; 64-bit word\n"
    "sram_512kb_um2_per_kb,3625,um2/KB,45,lop,CACTI 7 sweep: ram; itrs-lop; 360 K; ED^2; 1 rw port; 64-bit word\n"
    "sram_1024kb_read_pj_per_byte,5.220,pJ/B,45,lop,CACTI 7 sweep: ram; itrs-lop; 360 K; ED^2; 1 rw port; 64-bit word\n"
    "sram_1024kb_write_pj_per_byte,3.717,pJ/B,45,lop,CACTI 7 sweep: ram; itrs-lop; 360 K; ED^2; 1 rw port; 64-bit word\n"
    "sram_1024kb_leakage_mw,14.14,mW,45,lop,CACTI 7 sweep: ram; itrs-lop; 360 K; ED^2; 1 rw port; 64-bit word\n"
    "sram_1024kb_um2_per_kb,3187,um2/KB,45,lop,CACTI 7 sweep: ram; itrs-lop; 360 K; ED^2; 1 rw port; 64-bit word\n";
  // clang-format on
  return csv;
}

const CostTable& DefaultCostTable() {
  static const CostTable table = ParseCostTable(DefaultCostTableCsv(), "built-in table").value();
  return table;
}

}  // namespace rhnas::hw
