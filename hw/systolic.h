// A weight-stationary systolic array: the second family of accelerators.
//
// Parameters and what can be built: Gemmini (ucb-bar/gemmini, src/main/scala/gemmini/
// GemminiConfigs.scala @022a306). Cycles: the closed form of SCALE-Sim (ARM-software/SCALE-Sim,
// scalesim-project/SCALE-Sim @1d62b68), which its simulation confirms to the cycle. Energy and area
// from the same table as VTA's. It is not a model of Gemmini's controller: no instructions, no
// address translation, no cost of a second memory port.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "hw/accelerator.h"

namespace rhnas::hw {

// Keys of the file form stand beside the members.
struct SystolicConfig {
  int mesh_rows = 16, mesh_columns = 16;    // meshRows, meshColumns: tiles
  int tile_rows = 1, tile_columns = 1;      // tileRows, tileColumns: processing elements of a tile
  int input_bits = 8, acc_bits = 32;        // inputType, accType: widths of signed integers
  int sp_banks = 4, sp_capacity_kb = 256;   // sp_banks, sp_capacity: inputs and weights
  int acc_banks = 2, acc_capacity_kb = 64;  // acc_banks, acc_capacity: partial sums
  bool acc_singleported = false;            // acc_singleported
  int acc_sub_banks = -1;                   // acc_sub_banks: of a single-ported accumulator
  bool mvin_scale_shared = false;           // mvin_scale_shared
  int mvin_scale_bits = 0,
      mvin_scale_acc_bits = 0;                // mvin_scale_args, mvin_scale_acc_args; 0: none
  int dma_maxbytes = 64, dma_buswidth = 128;  // of a request; bits a cycle
  int max_in_flight_mem_reqs = 16;
  // InterfaceBandwidth, as in SCALE-Sim: "CALC" (false) tells what memory traffic there is but
  // never waits for it, "USER" (true) moves dma_buswidth bits a cycle at most.
  bool bound_by_bus = false;

  // Processing elements: reduction (taps and input channels) down, filters across.
  int rows() const { return mesh_rows * tile_rows; }
  int cols() const { return mesh_columns * tile_columns; }
  // Rows of a bank: one value for each column (GemminiConfigs.scala, rounded down as there).
  int64_t sp_bank_entries() const;
  int64_t acc_bank_entries() const;
  int64_t sp_bytes() const { return int64_t{sp_capacity_kb} * 1024; }
  int64_t acc_rows() const { return acc_banks * acc_bank_entries(); }
};

// Strict: an unknown key, a wrong type, a missing key (meshRows, meshColumns, sp_capacity and
// acc_capacity are needed) or a value that is no size gives path and line.
Result<SystolicConfig> ParseSystolic(const std::string& text, const std::string& path);
std::string ToJson(const SystolicConfig& config);  // every key
bool IsSystolicKey(const std::string& key);
// "ws16x16_t1x1_sp4x256_acc2x64_b128": array, elements of a tile, banks x KB of both memories, bus.
std::string ShortName(const SystolicConfig& config);
// "default" and "gemmini" (its defaults), "scalesim-32x32" and "scalesim-16x16".
std::vector<std::string> SystolicPresetNames();

// Gemmini's requirements, then what the tables price and the user's cap.
enum class SystolicRule {
  kSquare,
  kDim,
  kDimPower,
  kTileBytes,
  kSpPower,
  kSpRows,
  kAccRows,
  kAccPorts,
  kTiles,
  kScaleShared,
  kScaleTypes,
  kTypes,
  kArea,
};
inline constexpr int kSystolicRuleCount = 13;
const std::vector<RuleInfo>& SystolicRules();
// Every broken rule, in order. A board in the limits is ignored: there is no estimate for one.
std::vector<BrokenRule> CheckSystolic(const SystolicConfig& config, const Limits& limits = {});

// SCALE-Sim's closed form: each of ceil(reduction / rows) x ceil(filters / cols) folds of weights
// costs rows cycles to load, pixels + rows + cols - 2 to stream; the count starts at cycle 0, hence
// - 1. reduction: R S C. REQUIRES: all at least 1.
int64_t WeightStationaryCycles(int64_t rows, int64_t cols, int64_t reduction, int64_t filters,
                               int64_t pixels);
// Output rows (or columns) as SCALE-Sim counts them: rounded up where the stride does not divide,
// ceil((size - filter + stride) / stride). Layer::oh() rounds down, as networks do.
int64_t ScaleSimOutputs(int64_t size, int64_t filter, int64_t stride);

double AreaUm2(const SystolicConfig& config, const CostTable& table);

// Costs of layers. Convolutions: the closed form over all pixels; groups one after the other, so a
// depthwise convolution is as many convolutions of one channel as it has channels. Dense: a
// convolution of one pixel an image. A channel shuffle multiplies by a permutation matrix. Pooling,
// residual add and concatenation take a row of `cols` values a cycle and operand through the lanes
// behind the accumulators. `bound_by_bus` adds the fill of every pixel tile that the accumulators
// force, and takes the longer of that and the memory's time.
// DRAM traffic, in both modes, is that of the best of 18 loop orders that the scratchpad allows.
std::unique_ptr<DesignModel> MakeSystolicModel(const SystolicConfig& config,
                                               const CostTable& table);

// The family; lives as long as the program. Spaces: "systolic" (CALC) and "systolic-bus" (USER).
const Accelerator& Systolic();
DesignPtr MakeSystolicDesign(const SystolicConfig& config);
// REQUIRES: the design is of this family.
const SystolicConfig& SystolicConfigOf(const Design& design);

}  // namespace rhnas::hw
