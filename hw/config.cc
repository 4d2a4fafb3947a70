// Key table, comparison and short name of a configuration.
#include "hw/config.h"

#include "hw/config_keys.h"
#include "hw/fnv.h"

namespace rhnas::hw {
namespace {

// Beyond 2^30 bytes a scratchpad's bit counts leave 32 bits; no VTA comes near.
constexpr int kMaxLogSize = 30;
constexpr int kMaxBus = 4096;  // the widest AXI data bus is 1024 bits
constexpr int kMaxPipe = 64;

ConfigKey Number(const char* name, int Config::*member, int lowest, int highest,
                 bool required = true) {
  return {name, member, nullptr, lowest, highest, required};
}

ConfigKey Flag(const char* name, bool Config::*member, bool required) {
  return {name, nullptr, member, 0, 1, required};
}

ConfigKey Pipe(const char* name, int Config::*member) {
  return Number(name, member, 0, kMaxPipe, false);
}

std::vector<ConfigKey> MakeKeys() {
  return {
      // Every published configuration is int8 x int8 -> int32, and so are the cost tables.
      Number("LOG_INP_WIDTH", &Config::log_inp_width, 3, 3),
      Number("LOG_WGT_WIDTH", &Config::log_wgt_width, 3, 3),
      Number("LOG_ACC_WIDTH", &Config::log_acc_width, 5, 5),
      Number("LOG_BATCH", &Config::log_batch, 0, 10),
      Number("LOG_BLOCK_IN", &Config::log_block_in, 0, 10),
      Number("LOG_BLOCK_OUT", &Config::log_block_out, 0, 10),
      Number("LOG_UOP_WIDTH", &Config::log_uop_width, 3, 6),
      Number("LOG_UOP_BUFF_SIZE", &Config::log_uop_buff, 0, kMaxLogSize),
      Number("LOG_INP_BUFF_SIZE", &Config::log_inp_buff, 0, kMaxLogSize),
      Number("LOG_WGT_BUFF_SIZE", &Config::log_wgt_buff, 0, kMaxLogSize),
      Number("LOG_ACC_BUFF_SIZE", &Config::log_acc_buff, 0, kMaxLogSize),
      Number("LOG_INP_FACTOR_RESTRICT", &Config::log_inp_factor_restrict, 0, kMaxLogSize),
      Number("LOG_WGT_FACTOR_RESTRICT", &Config::log_wgt_factor_restrict, 0, kMaxLogSize),
      Number("LOG_ACC_FACTOR_RESTRICT", &Config::log_acc_factor_restrict, 0, kMaxLogSize),
      Number("SHL_MEM_AXI_DATA_BITS", &Config::bus_bits, 8, kMaxBus),
      Number("SHL_VME_CLT_TAG_BITS", &Config::vme_tag_bits, 1, 64),
      Number("DPI_LEN_BITS", &Config::dpi_len_bits, 1, 16),
      Number("DPI_ADDR_BITS", &Config::dpi_addr_bits, 1, 64),
      Number("DPI_DATA_BITS", &Config::dpi_data_bits, 8, kMaxBus),
      Number("DPI_TAG_BITS", &Config::dpi_tag_bits, 1, 64),
      Number("DPI_DELAY", &Config::dpi_delay, 1, 1000000),
      Number("MAX_BURST_LENGTH", &Config::max_burst_length, 1, 1 << 16, false),
      Flag("ENABLE_INSTRUCTION_CLP", &Config::clp, true),
      Flag("ENABLE_RUNTIME_GREEDY_UOP_LOADS", &Config::greedy_uop_loads, true),
      Flag("ENABLE_RUNTIME_VALUE_BASED_UOP_CONSOLIDATION", &Config::uop_consolidation, true),
      Number("VTA_CORE_BLOCK_OUT_SPLIT_FACTOR", &Config::block_out_split, 1, 1024, false),
      Number("VTA_CORE_INP_SP_SPLIT_FACTOR", &Config::inp_sp_split, 1, 1024, false),
      Pipe("VTA_CORE_WRITE_PIPE_WGT", &Config::pipe_write_wgt),
      Pipe("VTA_CORE_WRITE_PIPE_ACC", &Config::pipe_write_acc),
      Pipe("VTA_CORE_WRITE_PIPE_INP", &Config::pipe_write_inp),
      Pipe("VTA_CORE_WRITE_PIPE_OUT", &Config::pipe_write_out),
      Pipe("VTA_CORE_VME_DATA_PIPE_INP", &Config::pipe_vme_inp),
      Pipe("VTA_CORE_VME_DATA_PIPE_WGT", &Config::pipe_vme_wgt),
      Pipe("VTA_CORE_VME_DATA_PIPE_ACC", &Config::pipe_vme_acc),
      Pipe("VTA_CORE_VME_DATA_PIPE_UOP", &Config::pipe_vme_uop),
      Pipe("VTA_CORE_GEMM_RD_DATA_PIPE", &Config::pipe_gemm_rd_data),
      Pipe("VTA_CORE_GEMM_INP_IDX_PIPE", &Config::pipe_gemm_inp_idx),
      Pipe("VTA_CORE_GEMM_RD_UOP_PIPE", &Config::pipe_gemm_rd_uop),
      Pipe("VTA_CORE_ALU_RD_DATA_PIPE", &Config::pipe_alu_rd_data),
      Flag("VTA_FEATURE_ORIGINAL_FETCH", &Config::original_fetch, false),
      Flag("VTA_FEATURE_ORIGINAL_LOAD_UOP", &Config::original_load_uop, false),
      Flag("VTA_FEATURE_ORIGINAL_QUEUES", &Config::original_queues, false),
      Flag("VTA_FEATURE_ORIGINAL_TENSOR_LOAD", &Config::original_tensor_load, false),
      Flag("VTA_FEATURE_ORIGINAL_TENSOR_STORE", &Config::original_tensor_store, false),
      Flag("VTA_FEATURE_ORIGINAL_VME", &Config::original_vme, false),
      Flag("ENABLE_VTHREAD", &Config::vthread, true),
  };
}

}  // namespace

const std::vector<ConfigKey>& ConfigKeys() {
  static const std::vector<ConfigKey> keys = MakeKeys();
  return keys;
}

const ConfigKey* FindConfigKey(const std::string& name) {
  for (const ConfigKey& key : ConfigKeys()) {
    if (name == key.name) return &key;
  }
  return nullptr;
}

bool Config::operator==(const Config& other) const {
  for (const ConfigKey& key : ConfigKeys()) {
    if (key.number != nullptr && this->*key.number != other.*key.number) return false;
    if (key.flag != nullptr && this->*key.flag != other.*key.flag) return false;
  }
  return vthread_name == other.vthread_name;
}

uint64_t ConfigurationKey(const Config& config) {
  Fnv fnv;
  for (const ConfigKey& key : ConfigKeys()) {
    if (key.number == &Config::vme_tag_bits) continue;
    fnv.Add(key.number != nullptr ? config.*key.number : (config.*key.flag ? 1 : 0));
  }
  return fnv.value();
}

std::string ShortName(const Config& config) {
  const int parts[] = {config.log_uop_buff, config.log_inp_buff, config.log_wgt_buff,
                       config.log_acc_buff, config.bus_bits};
  std::string name = std::to_string(config.batch()) + "x" + std::to_string(config.block_in()) +
                     "x" + std::to_string(config.block_out());
  for (const int part : parts) name += "_" + std::to_string(part);
  return name;
}

}  // namespace rhnas::hw
