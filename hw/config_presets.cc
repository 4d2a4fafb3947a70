// The 17 published configurations as data, and finding a configuration by name or path.
// Source: extended VTA (arXiv 2111.15024), pasqoc/incubator-tvm-vta, branch il_contrib_0421
// @66bcb00, config/*.json. What a row does not set is as in Config.
#include <cstdio>
#include <string>
#include <vector>

#include "hw/config.h"
#include "hw/number.h"

namespace rhnas::hw {
namespace {

struct Preset {
  const char* name;
  int log_batch, log_block_in, log_block_out;
  int log_uop_buff, log_inp_buff, log_wgt_buff, log_acc_buff;
  int factor_restrict;  // all three alike
  int bus_bits, vme_tag_bits, max_burst_length;
  int block_out_split, inp_sp_split;
  int write_wgt, write_acc, write_inp, write_out;  // VTA_CORE_WRITE_PIPE_*
  int vme_inp, vme_wgt, vme_acc, vme_uop;          // VTA_CORE_VME_DATA_PIPE_*
  int gemm_rd_data, gemm_inp_idx, gemm_rd_uop, alu_rd_data;
};

// clang-format off
constexpr Preset kPresets[] = {
    // name                       array    scratchpads     fr  bus  tag br split  write     vme       rd
    {"vta_config",                0, 4, 4, 15, 15, 18, 17, 0,  64, 19, 0, 1, 1, 0,0,0,1, 0,0,0,0, 0,0,0,0},
    {"1x32x32_12_15_15_15_256",   0, 5, 5, 12, 15, 15, 15, 1, 256, 19, 0, 1, 1, 0,0,0,1, 0,0,0,0, 0,0,0,0},
    {"1x32x32_12_15_15_15_256_burst1",
                                  0, 5, 5, 12, 15, 15, 15, 1, 256, 19, 1, 1, 1, 0,0,0,1, 0,0,0,0, 0,0,0,0},
    {"1x32x32_12_15_15_15_256_burst2",
                                  0, 5, 5, 12, 15, 15, 15, 1, 256, 19, 2, 1, 1, 0,0,0,1, 0,0,0,0, 0,0,0,0},
    {"1x32x8_15_15_18_17",        0, 5, 3, 15, 15, 18, 17, 0,  64, 19, 0, 1, 1, 0,0,0,1, 0,0,0,0, 0,0,0,0},
    {"1x8x32_15_15_18_17",        0, 3, 5, 15, 15, 18, 17, 0,  64, 19, 0, 1, 1, 0,0,0,1, 0,0,0,0, 0,0,0,0},
    {"4x8x8_11_16_16_18",         2, 3, 3, 11, 16, 16, 18, 0,  64, 19, 0, 1, 1, 0,0,0,1, 0,0,0,0, 0,0,0,0},
    {"batch2",                    1, 4, 4, 15, 15, 18, 17, 0,  64, 19, 0, 1, 1, 0,0,0,1, 0,0,0,0, 0,0,0,0},
    {"block32",                   0, 5, 5, 15, 15, 18, 17, 0,  64, 19, 0, 1, 1, 0,0,0,1, 0,0,0,0, 0,0,0,0},
    {"block32_128",               0, 5, 5, 15, 15, 18, 17, 0, 128, 19, 0, 1, 1, 0,0,0,1, 0,0,0,0, 0,0,0,0},
    {"both_batch2_block32",       1, 5, 5, 15, 15, 18, 17, 0,  64, 19, 0, 1, 1, 0,0,0,1, 0,0,0,0, 0,0,0,0},
    {"minimal",                   0, 4, 4,  7, 15, 18, 17, 0,  64, 19, 0, 1, 1, 0,0,0,1, 0,0,0,0, 0,0,0,0},
    {"vta_config_be_huge",        0, 6, 6, 12, 17, 17, 17, 0, 512, 20, 0, 8, 4, 1,2,2,2, 1,1,1,1, 2,2,1,2},
    {"vta_config_be_large",       0, 5, 5, 12, 15, 15, 15, 0, 256, 19, 0, 8, 1, 1,0,0,1, 1,1,1,0, 0,0,0,0},
    {"vta_config_be_small",       0, 4, 4, 12, 13, 13, 13, 0, 128, 17, 0, 1, 1, 0,0,0,1, 0,0,0,0, 0,0,0,0},
    {"vta_config_burst1",         0, 4, 4, 15, 15, 18, 17, 0,  64, 19, 1, 1, 1, 0,0,0,1, 0,0,0,0, 0,0,0,0},
    {"vta_config_burst2",         0, 4, 4, 15, 15, 18, 17, 0,  64, 19, 2, 1, 1, 0,0,0,1, 0,0,0,0, 0,0,0,0},
};
// clang-format on

Config FromPreset(const Preset& preset) {
  Config config;
  config.log_batch = preset.log_batch;
  config.log_block_in = preset.log_block_in;
  config.log_block_out = preset.log_block_out;
  config.log_uop_buff = preset.log_uop_buff;
  config.log_inp_buff = preset.log_inp_buff;
  config.log_wgt_buff = preset.log_wgt_buff;
  config.log_acc_buff = preset.log_acc_buff;
  config.log_inp_factor_restrict = preset.factor_restrict;
  config.log_wgt_factor_restrict = preset.factor_restrict;
  config.log_acc_factor_restrict = preset.factor_restrict;
  config.bus_bits = config.dpi_data_bits = preset.bus_bits;
  config.vme_tag_bits = preset.vme_tag_bits;
  config.max_burst_length = preset.max_burst_length;
  config.block_out_split = preset.block_out_split;
  config.inp_sp_split = preset.inp_sp_split;
  config.pipe_write_wgt = preset.write_wgt;
  config.pipe_write_acc = preset.write_acc;
  config.pipe_write_inp = preset.write_inp;
  config.pipe_write_out = preset.write_out;
  config.pipe_vme_inp = preset.vme_inp;
  config.pipe_vme_wgt = preset.vme_wgt;
  config.pipe_vme_acc = preset.vme_acc;
  config.pipe_vme_uop = preset.vme_uop;
  config.pipe_gemm_rd_data = preset.gemm_rd_data;
  config.pipe_gemm_inp_idx = preset.gemm_inp_idx;
  config.pipe_gemm_rd_uop = preset.gemm_rd_uop;
  config.pipe_alu_rd_data = preset.alu_rd_data;
  return config;
}

// What apache/tvm-vta @d4a15f6 generates by default: the DE10 shell's bursts of 16 beats, 2048
// micro-ops, no CLP.
constexpr char kMeasuredRtl[] = "rtl";
Config MeasuredRtl() {
  Config config;
  config.dpi_len_bits = 4;
  config.log_uop_buff = 13;
  config.clp = false;
  return config;
}

// Far beyond any configuration file; stops a path such as a data set from filling the memory.
constexpr size_t kMaxFileBytes = 1 << 20;

enum class ReadOutcome { kRead, kNoFile, kUnreadable, kTooLong };

ReadOutcome ReadFile(const std::string& path, std::string* text) {
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) return ReadOutcome::kNoFile;
  char buffer[4096];
  size_t count = 0;
  while (text->size() <= kMaxFileBytes &&
         (count = std::fread(buffer, 1, sizeof buffer, file)) > 0) {
    text->append(buffer, count);
  }
  const bool bad = std::ferror(file) != 0;
  std::fclose(file);
  if (bad) return ReadOutcome::kUnreadable;
  return text->size() > kMaxFileBytes ? ReadOutcome::kTooLong : ReadOutcome::kRead;
}

// "1x16x64_15_16_15_17_64", what ShortName says: the rest as the default has it, tag bits as in the
// spaces.
bool FromShortName(const std::string& name, Config* config) {
  constexpr int kTagBits = 21;
  int n[8];
  int length = -1;
  if (std::sscanf(name.c_str(), "%6dx%6dx%6d_%6d_%6d_%6d_%6d_%6d%n", n, n + 1, n + 2, n + 3, n + 4,
                  n + 5, n + 6, n + 7, &length) != 8 ||
      length != static_cast<int>(name.size())) {
    return false;
  }
  int* const logs[] = {&config->log_batch, &config->log_block_in, &config->log_block_out};
  for (int i = 0; i < 3; ++i) {
    if (n[i] < 1 || n[i] > 4096) return false;
    *logs[i] = 0;
    while ((1 << *logs[i]) < n[i]) ++*logs[i];
  }
  config->log_uop_buff = n[3];
  config->log_inp_buff = n[4];
  config->log_wgt_buff = n[5];
  config->log_acc_buff = n[6];
  config->bus_bits = config->dpi_data_bits = n[7];
  config->vme_tag_bits = kTagBits;
  for (const int log : {n[3], n[4], n[5], n[6]}) {
    if (log < 0 || log > 30) return false;
  }
  // Written as ShortName writes it: powers of two, no signs, no leading zeros.
  return n[7] >= 8 && n[7] <= 4096 && ShortName(*config) == name;
}

}  // namespace

std::vector<std::string> PresetNames() {
  std::vector<std::string> names = {"default"};
  for (size_t i = 1; i < std::size(kPresets); ++i) names.emplace_back(kPresets[i].name);
  return names;
}

Result<Config> FindConfig(const std::string& name_or_path) {
  if (name_or_path == "default") return FromPreset(kPresets[0]);
  for (const Preset& preset : kPresets) {
    if (name_or_path == preset.name) return FromPreset(preset);
  }
  if (name_or_path == kMeasuredRtl) return MeasuredRtl();
  Config named;
  if (FromShortName(name_or_path, &named)) return named;
  std::string text;
  switch (ReadFile(name_or_path, &text)) {
    case ReadOutcome::kRead:
      return ParseConfig(text, name_or_path);
    case ReadOutcome::kUnreadable:
      return Error{name_or_path +
                   ": cannot be read (a folder?), expected a VTA configuration file"};
    case ReadOutcome::kTooLong:
      return Error{name_or_path + ": longer than 1 MiB, expected a VTA configuration file"};
    case ReadOutcome::kNoFile:
      break;
  }
  const std::vector<std::string> names = PresetNames();
  const std::string near = Nearest(name_or_path, names.data(), static_cast<int>(names.size()));
  std::string message = "no configuration or file named \"" + name_or_path + "\"";
  if (!near.empty()) message += ", did you mean \"" + near + "\"?";
  message += "; published configurations:";
  for (const std::string& name : names) message += " " + name;
  return Error{message + "; rtl: what the stock hardware's sources generate"};
}

}  // namespace rhnas::hw
