// A VTA configuration: all keys of the (extended) VTA's vta_config.json, and the sizes they imply.
// Keys, defaults and meaning: extended VTA (arXiv 2111.15024), config/pkg_config.py,
// core/Configs.scala, shell/Configs.scala, dpi/Configs.scala.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "hw/json.h"
#include "hw/result.h"

namespace rhnas::hw {

// Sizes are log2 where the name says so; buffers are log2 of bytes.
struct Config {
  int log_inp_width = 3, log_wgt_width = 3, log_acc_width = 5;
  int log_batch = 0, log_block_in = 4, log_block_out = 4;
  int log_uop_width = 5;
  int log_uop_buff = 15, log_inp_buff = 15, log_wgt_buff = 18, log_acc_buff = 17;
  int log_inp_factor_restrict = 0, log_wgt_factor_restrict = 0, log_acc_factor_restrict = 0;
  int bus_bits = 64;      // SHL_MEM_AXI_DATA_BITS
  int vme_tag_bits = 19;  // SHL_VME_CLT_TAG_BITS: as published with the default; 17 to 21 are seen
  int dpi_delay = 16, dpi_len_bits = 8, dpi_addr_bits = 64, dpi_data_bits = 64, dpi_tag_bits = 8;
  int max_burst_length = 0;  // MAX_BURST_LENGTH; 0: absent, 1 << dpi_len_bits
  int block_out_split = 1, inp_sp_split = 1;
  // VTA_CORE_* pipeline registers, each adds its value once per instruction.
  int pipe_write_wgt = 0, pipe_write_acc = 0, pipe_write_inp = 0, pipe_write_out = 1;
  int pipe_vme_inp = 0, pipe_vme_wgt = 0, pipe_vme_acc = 0, pipe_vme_uop = 0;
  int pipe_gemm_rd_data = 0, pipe_gemm_inp_idx = 0, pipe_gemm_rd_uop = 0, pipe_alu_rd_data = 0;
  // Compiler and runtime features.
  bool clp = true, greedy_uop_loads = true, uop_consolidation = true, vthread = true;
  std::string vthread_name = "dthread";
  // Old unpipelined units (VTA_FEATURE_ORIGINAL_*), off by default.
  bool original_fetch = false, original_load_uop = false, original_queues = false;
  bool original_tensor_load = false, original_tensor_store = false, original_vme = false;

  int batch() const { return 1 << log_batch; }
  int block_in() const { return 1 << log_block_in; }
  int block_out() const { return 1 << log_block_out; }
  int macs_per_cycle() const { return 1 << (log_batch + log_block_in + log_block_out); }
  // Bits of one scratchpad element: a row of the array's operand.
  int64_t inp_elem_bits() const { return int64_t{1} << (log_batch + log_block_in + log_inp_width); }
  int64_t wgt_elem_bits() const {
    return int64_t{1} << (log_block_in + log_block_out + log_wgt_width);
  }
  int64_t acc_elem_bits() const {
    return int64_t{1} << (log_batch + log_block_out + log_acc_width);
  }
  int64_t out_elem_bits() const {
    return int64_t{1} << (log_batch + log_block_out + log_inp_width);
  }
  int uop_bits() const { return 1 << log_uop_width; }
  int bus_bytes() const { return bus_bits / 8; }
  // log2 of scratchpad depths in elements: i, w, a, u of the validity rules.
  int log_inp_depth() const { return log_inp_buff - log_batch - log_block_in - log_inp_width + 3; }
  int log_wgt_depth() const {
    return log_wgt_buff - log_block_in - log_block_out - log_wgt_width + 3;
  }
  int log_acc_depth() const { return log_acc_buff - log_batch - log_block_out - log_acc_width + 3; }
  int log_uop_depth() const { return log_uop_buff - log_uop_width + 3; }
  int log_out_buff() const { return log_acc_buff + log_inp_width - log_acc_width; }
  bool operator==(const Config& other) const;
};

// VTA's own file form. The keys that stand in all 17 published files are required, the others
// optional. Unknown key, wrong type, missing key, value that cannot be a size: path and line.
Result<Config> ParseConfig(const std::string& text, const std::string& path);
std::string ToJson(const Config& config);
// "1x16x16_15_15_18_17_64": batch x in x out, log2 micro-op, input, weight, accumulator bytes, bus
// bits.
std::string ShortName(const Config& config);
// A hash of all keys but the tag width, an internal wire that neither time nor area sees: what
// tables of costs find a configuration by.
uint64_t ConfigurationKey(const Config& config);

// "default" (the published vta_config.json, which that name finds too) and the 16 other published
// configurations by file name without .json (compiled in).
std::vector<std::string> PresetNames();
// A preset's name, "rtl" (what apache/tvm-vta @d4a15f6 generates, as measured: bursts of 16 beats,
// 2048 micro-ops, no CLP) or a path of a JSON file. Unknown: lists the presets and the nearest.
Result<Config> FindConfig(const std::string& name_or_path);

}  // namespace rhnas::hw
