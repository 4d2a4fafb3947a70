// What can be built: the requirements of GemminiConfigs.scala @022a306, each as need and have.
#include <algorithm>
#include <cmath>

#include "hw/systolic.h"

namespace rhnas::hw {
namespace {

bool IsPowerOfTwo(int64_t value) { return value > 0 && (value & (value - 1)) == 0; }

double NearestPowerOfTwo(int64_t value) {
  double low = 1;
  while (2 * low <= static_cast<double>(value)) low *= 2;
  return static_cast<double>(value) - low <= 2 * low - static_cast<double>(value) ? low : 2 * low;
}

double NearestMultiple(int64_t value, int64_t of) {
  return static_cast<double>(std::max<int64_t>(1, (value + of / 2) / of) * of);
}

class Ledger {
 public:
  // Holds when need <= have.
  void Need(SystolicRule rule, double need, double have, const char* what) {
    if (!(need <= have)) Add(rule, need, have, what);
  }
  // The value itself is wrong, `nearest` would do.
  void Value(SystolicRule rule, bool holds, double value, double nearest, const char* what) {
    if (!holds) Add(rule, value, nearest, what);
  }
  std::vector<BrokenRule> Take() { return std::move(broken_); }

 private:
  void Add(SystolicRule rule, double need, double have, const char* what) {
    constexpr double kMost = 8;
    const int index = static_cast<int>(rule);
    BrokenRule broken{index, SystolicRules()[static_cast<size_t>(index)].name, what, need, have,
                      kMost};
    if (need > 0 && have > 0) broken.severity = std::min(kMost, std::abs(std::log2(need / have)));
    // Rules come in order; the worst miss of one counts.
    if (broken_.empty() || broken_.back().rule != index) {
      broken_.push_back(broken);
    } else if (broken.severity > broken_.back().severity) {
      broken_.back() = broken;
    }
  }
  std::vector<BrokenRule> broken_;
};

}  // namespace

int64_t SystolicConfig::sp_bank_entries() const {
  return int64_t{sp_capacity_kb} * 1024 * 8 / (int64_t{sp_banks} * cols() * input_bits);
}
int64_t SystolicConfig::acc_bank_entries() const {
  return int64_t{acc_capacity_kb} * 1024 * 8 / (int64_t{acc_banks} * cols() * acc_bits);
}

const std::vector<RuleInfo>& SystolicRules() {
  static const std::vector<RuleInfo> rules = {
      {"square", "tileRows x meshRows = tileColumns x meshColumns (GemminiConfigs.scala)"},
      {"dim", "an array of at least 2 x 2 (GemminiConfigs.scala)"},
      {"dim-pow2", "the array's side is a power of two (GemminiConfigs.scala)"},
      {"tile-bytes",
       "a tile row of inputs, or sums, is a power of two of bytes "
       "(GemminiConfigs.scala I_TILE_BYTE_WIDTH, O_TILE_BYTE_WIDTH)"},
      {"sp-pow2", "rows of a scratchpad bank are a power of two (GemminiConfigs.scala)"},
      {"sp-rows",
       "rows of a scratchpad bank are a multiple of the array's side "
       "(GemminiConfigs.scala)"},
      {"acc-rows",
       "rows of an accumulator bank are a multiple of the array's side "
       "(GemminiConfigs.scala)"},
      {"acc-ports", "a single-ported accumulator has 1, 2 or 4 sub-banks (GemminiConfigs.scala)"},
      {"tiles",
       "the scratchpad less two tiles holds as many as the accumulators "
       "(GemminiConfigs.scala USABLE_SP_TILES)"},
      {"scale-shared",
       "a shared scale needs inputs as wide as sums, a scale for inputs and none "
       "of the accumulators' own (GemminiConfigs.scala)"},
      {"scale-types", "both scales are of one width (GemminiConfigs.scala)"},
      {"types", "the cost table prices 8-bit inputs and 32-bit sums"},
      {"area", "area within the cap"},
  };
  return rules;
}

std::vector<BrokenRule> CheckSystolic(const SystolicConfig& c, const Limits& limits) {
  Ledger ledger;
  const int64_t rows = c.rows(), cols = c.cols();
  const double wide = static_cast<double>(cols), high = static_cast<double>(rows);
  ledger.Value(SystolicRule::kSquare, rows == cols, high, wide,
               "rows of the array, for its columns");
  ledger.Need(SystolicRule::kDim, 2, std::min(high, wide), "side of the array");
  ledger.Value(SystolicRule::kDimPower, IsPowerOfTwo(cols), wide, NearestPowerOfTwo(cols),
               "columns of the array");
  if (rows >= 2) {  // the widths divide by half of the side
    const int64_t half = rows / 2;
    const int64_t input_bytes = rows * ((c.input_bits + half - 1) / half);
    const int64_t acc_bytes = rows * ((c.acc_bits + half - 1) / half);
    ledger.Value(SystolicRule::kTileBytes, IsPowerOfTwo(input_bytes),
                 static_cast<double>(input_bytes), NearestPowerOfTwo(input_bytes),
                 "bytes of a tile row of inputs");
    ledger.Value(SystolicRule::kTileBytes, IsPowerOfTwo(acc_bytes), static_cast<double>(acc_bytes),
                 NearestPowerOfTwo(acc_bytes), "bytes of a tile row of sums");
  }
  const int64_t sp = c.sp_bank_entries(), acc = c.acc_bank_entries();
  ledger.Value(SystolicRule::kSpPower, IsPowerOfTwo(sp), static_cast<double>(sp),
               NearestPowerOfTwo(sp), "rows of a scratchpad bank");
  ledger.Value(SystolicRule::kSpRows, sp > 0 && sp % rows == 0, static_cast<double>(sp),
               NearestMultiple(sp, rows), "rows of a scratchpad bank");
  ledger.Value(SystolicRule::kAccRows, acc > 0 && acc % rows == 0, static_cast<double>(acc),
               NearestMultiple(acc, rows), "rows of an accumulator bank");
  if (c.acc_singleported) {
    ledger.Need(SystolicRule::kAccPorts, c.acc_sub_banks, 4, "accumulator sub-banks");
    ledger.Value(SystolicRule::kAccPorts, IsPowerOfTwo(c.acc_sub_banks), c.acc_sub_banks,
                 std::min(4.0, NearestPowerOfTwo(c.acc_sub_banks)), "accumulator sub-banks");
  }
  ledger.Need(SystolicRule::kTiles, static_cast<double>(c.acc_rows() / rows),
              static_cast<double>(c.sp_banks * sp / rows - 2), "tiles in the accumulators");
  if (c.mvin_scale_shared) {
    ledger.Value(SystolicRule::kScaleShared, c.input_bits == c.acc_bits, c.input_bits, c.acc_bits,
                 "input bits, for the sums'");
    ledger.Need(SystolicRule::kScaleShared, 1, c.mvin_scale_bits, "bits of the inputs' scale");
    ledger.Need(SystolicRule::kScaleShared, c.mvin_scale_acc_bits, 0,
                "bits of the accumulators' own scale");
  }
  if (c.mvin_scale_bits > 0 && c.mvin_scale_acc_bits > 0) {
    ledger.Value(SystolicRule::kScaleTypes, c.mvin_scale_bits == c.mvin_scale_acc_bits,
                 c.mvin_scale_bits, c.mvin_scale_acc_bits, "bits of the scales");
  }
  constexpr int kInputBits = 8, kAccBits = 32;
  ledger.Value(SystolicRule::kTypes, c.input_bits == kInputBits, c.input_bits, kInputBits,
               "input bits");
  ledger.Value(SystolicRule::kTypes, c.acc_bits == kAccBits, c.acc_bits, kAccBits, "sum bits");
  if (limits.area_max_um2) {
    ledger.Need(SystolicRule::kArea, AreaUm2(c, limits.table()), *limits.area_max_um2,
                "area, um^2");
  }
  return ledger.Take();
}

}  // namespace rhnas::hw
