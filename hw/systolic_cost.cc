// Cycles, traffic, energy and area of a weight-stationary systolic array.
#include <algorithm>

#include "hw/area.h"
#include "hw/banks.h"
#include "hw/systolic.h"
#include "hw/systolic_traffic.h"

namespace rhnas::hw {
namespace {

int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Of a fold: its weights go down all rows, then the last sum leaves rows + cols - 2 later.
int64_t FillCycles(int64_t rows, int64_t cols) { return 2 * rows + cols - 2; }

// Memories of rows of `row_bits`, as hw/banks.h has VTA's.
Bank BankOfRows(int64_t row_bits, int64_t kb) {
  const double count = static_cast<double>(std::max<int64_t>(1, row_bits / kSramWordBits));
  return {count, static_cast<double>(kb * 1024) / count};
}
Bank ScratchpadBank(const SystolicConfig& c) {
  Bank bank = BankOfRows(int64_t{c.cols()} * c.input_bits, c.sp_capacity_kb);
  return {bank.count * c.sp_banks, bank.bytes / c.sp_banks};
}
Bank AccumulatorBank(const SystolicConfig& c) {
  Bank bank = BankOfRows(int64_t{c.cols()} * c.acc_bits, c.acc_capacity_kb);
  return {bank.count * c.acc_banks, bank.bytes / c.acc_banks};
}

constexpr double kMostCounted = 4e15;  // sums of a few such counts stay within 64 bits

bool Fail(std::string* why, const Layer& layer, const std::string& what) {
  if (why != nullptr) *why = "layer " + layer.name + ": " + what;
  return false;
}

bool CheckShape(const Layer& layer, std::string* why) {
  for (const int size :
       {layer.n, layer.h, layer.w, layer.c, layer.r, layer.s, layer.stride, layer.groups}) {
    if (size < 1)
      return Fail(why, layer, "a size is " + std::to_string(size) + ", need at least 1");
  }
  constexpr int kMost = 65535;  // beyond, counts leave 64 bits
  for (const int size :
       {layer.n, layer.h, layer.w, layer.c, layer.k, layer.r, layer.s, layer.pad}) {
    if (size > kMost) {
      return Fail(why, layer, "a size is " + std::to_string(size) + ", have at most 65535");
    }
  }
  const bool convolution = layer.kind == LayerKind::kConv;
  const bool window =
      convolution || layer.kind == LayerKind::kMaxPool || layer.kind == LayerKind::kAvgPool;
  if (layer.pad < 0) return Fail(why, layer, "padding is negative");
  if (1.0 * layer.n * layer.h * layer.w * layer.c > kMostCounted) {
    return Fail(why, layer, "is too large to count");
  }
  if (window && (layer.h + 2 * layer.pad < layer.r || layer.w + 2 * layer.pad < layer.s)) {
    return Fail(why, layer, "the window is larger than the padded input");
  }
  if ((convolution || layer.kind == LayerKind::kDense) && layer.k < 1) {
    return Fail(why, layer, "has no output channels");
  }
  if (layer.kind == LayerKind::kShuffle && layer.c % layer.groups != 0) {
    return Fail(why, layer,
                std::to_string(layer.groups) + " groups do not divide " + std::to_string(layer.c) +
                    " channels");
  }
  if (convolution && (layer.c % layer.groups != 0 || layer.k % layer.groups != 0)) {
    return Fail(why, layer,
                std::to_string(layer.groups) + " groups do not divide " + std::to_string(layer.c) +
                    " to " + std::to_string(layer.k) + " channels");
  }
  return true;
}

Product ProductOf(const Layer& layer) {
  Product p;
  p.images = layer.n;
  p.rows = p.in_rows = layer.h;
  p.cols = p.in_cols = layer.w;
  p.channels = p.reduction = layer.c;
  p.filters = layer.k;
  p.bias = layer.bias;
  if (layer.kind == LayerKind::kShuffle) {
    p.filters = layer.c;
    p.bias = false;
  } else if (layer.kind == LayerKind::kConv) {
    p.groups = layer.groups;
    p.channels = layer.c / layer.groups;
    p.filters = layer.k / layer.groups;
    p.reduction = p.channels * layer.r * layer.s;
    p.rows = layer.oh();
    p.cols = layer.ow();
    p.r = layer.r;
    p.s = layer.s;
    p.stride = layer.stride;
    p.pad = layer.pad;
  }
  return p;
}

class SystolicModel final : public DesignModel {
 public:
  SystolicModel(const SystolicConfig& config, const CostTable& table)
      : config_(config), broken_(CheckSystolic(config)) {
    if (!broken_.empty()) return;
    area_um2_ = AreaUm2(config, table);
    // An element hands its input and its sum on through registers.
    prices_.mac =
        table["mac_pj"] + (config.input_bits + config.acc_bits) * table["register_pj_per_bit"];
    prices_.alu = table["alu_op_pj"];
    prices_.dram_read = table["dram_read_pj_per_byte"];
    prices_.dram_write = table["dram_write_pj_per_byte"];
    const Bank sp = ScratchpadBank(config), acc = AccumulatorBank(config);
    prices_.inp_read = prices_.wgt_read = table.SramReadPjPerByte(sp.bytes);
    prices_.inp_write = prices_.wgt_write = table.SramWritePjPerByte(sp.bytes);
    prices_.acc_read = table.SramReadPjPerByte(acc.bytes);
    prices_.acc_write = table.SramWritePjPerByte(acc.bytes);
    double sram_mw = 0, sram_um2 = 0;
    for (const Bank& bank : {sp, acc}) {
      sram_mw += bank.count * table.SramLeakageMw(bank.bytes);
      sram_um2 += bank.count * table.SramAreaUm2(bank.bytes);
    }
    const double logic_mw = (area_um2_ - sram_um2) * table["logic_leakage_mw_per_um2"];
    prices_.leakage_pj_per_cycle = LeakagePjPerCycle(sram_mw + logic_mw, table);
  }

  double area_um2() const override { return area_um2_; }
  std::string design_name() const override { return ShortName(config_); }
  const EnergyPrices& prices() const override { return prices_; }

  std::optional<LayerCost> Evaluate(const Layer& layer, std::string* why) const override {
    if (!broken_.empty()) {
      if (why != nullptr) *why = "invalid configuration: " + broken_.front().ToString();
      return std::nullopt;
    }
    if (!CheckShape(layer, why)) return std::nullopt;
    LayerCost cost;
    const bool product = layer.kind == LayerKind::kConv || layer.kind == LayerKind::kDense ||
                         layer.kind == LayerKind::kShuffle;
    if (!(product ? OnArray(layer, &cost, why) : OnLanes(layer, &cost, why))) return std::nullopt;
    Finish(layer, &cost);
    return cost;
  }
  std::optional<NetworkCost> Evaluate(const std::vector<Layer>& layers,
                                      std::string* why) const override {
    return SumOfLayers(*this, layers, why);
  }
  std::string ScheduleText(const LayerCost& cost) const override {
    const Tiling& t = cost.tiling;
    return std::to_string(t.th) + "x" + std::to_string(t.tw) + " folds " + std::to_string(t.tci) +
           "x" + std::to_string(t.tco);
  }

 private:
  int64_t bus_bytes() const { return std::max(1, config_.dma_buswidth / 8); }

  bool OnArray(const Layer& layer, LayerCost* cost, std::string* why) const {
    const Product p = ProductOf(layer);
    const int64_t row_folds = CeilDiv(p.reduction, config_.rows());
    const int64_t folds = CeilDiv(p.filters, config_.cols());
    const int64_t fill = FillCycles(config_.rows(), config_.cols());
    if (static_cast<double>(p.groups) * static_cast<double>(row_folds * config_.rows()) *
            static_cast<double>(folds * config_.cols()) * static_cast<double>(p.pixels() + fill) >
        kMostCounted) {
      return Fail(why, layer, "is too large to count");
    }
    const int64_t bias_bytes = p.bias ? p.filters * kSumBytes : 0;
    Traffic best;
    int64_t best_cycles = 0;
    const auto compute_cycles = [&](int64_t tiles) {
      const int64_t pixels = p.pixels() + (tiles - 1) * fill;
      return p.groups * (WeightStationaryCycles(config_.rows(), config_.cols(), p.reduction,
                                                p.filters, pixels) +
                         1) -
             1;
    };
    const auto attempt = [&](int64_t tile_pixels) {
      const Traffic traffic = LeastTraffic(config_, p, tile_pixels);
      if (traffic.tiles == 0) return;
      const int64_t moved = p.groups * (traffic.read() + bias_bytes + p.pixels() * p.filters);
      const int64_t cycles = config_.bound_by_bus ? std::max(compute_cycles(traffic.tiles),
                                                             CeilDiv(moved, bus_bytes()))
                                                  : compute_cycles(1);
      const bool better = best.tiles == 0 || cycles < best_cycles ||
                          (cycles == best_cycles && traffic.read() < best.read());
      if (!better) return;
      best = traffic;
      best_cycles = cycles;
    };
    // Half of the accumulators; powers of two, so that the choices of less memory are among them.
    // The largest first: every tile loads the weights of a fold into the array once more.
    const int64_t most = config_.acc_rows() / 2;
    if (p.pixels() <= most) attempt(p.pixels());
    int64_t pixels = 1;
    while (2 * pixels <= std::min(most, p.pixels())) pixels *= 2;
    for (; pixels >= 1; pixels /= 2) attempt(pixels);
    if (best.tiles == 0) {
      return Fail(why, layer,
                  "the scratchpad holds " + std::to_string(config_.sp_bytes()) +
                      " bytes, too few for two blocks of weights and inputs");
    }
    const int64_t outputs = p.groups * p.pixels() * p.filters;
    const int64_t passes = p.groups * row_folds * folds;
    const int64_t block = int64_t{config_.rows()} * config_.cols();
    const int64_t sums = p.groups * folds * p.pixels() * config_.cols() * kSumBytes;  // of one pass
    Activity& a = cost->activity;
    a.macs = passes * block * p.pixels();
    a.alu_ops = 3 * outputs;  // scale, and both ends of the clip
    a.inp_read_bytes = passes * p.pixels() * config_.rows();
    a.wgt_read_bytes = passes * best.tiles * block;
    // A pass adds to what the one before left, the first to the bias; then they are read out.
    a.acc_read_bytes = (row_folds + (p.bias ? 1 : 0)) * sums;
    a.acc_write_bytes = (row_folds + (p.bias ? 1 : 0)) * sums;
    a.dram_inp_bytes = p.groups * best.input_bytes;
    a.dram_wgt_bytes = p.groups * best.weight_bytes;
    a.dram_acc_bytes = p.groups * bias_bytes;
    a.inp_write_bytes = a.dram_inp_bytes;
    a.wgt_write_bytes = a.dram_wgt_bytes;
    a.dram_out_bytes = outputs;
    cost->compute_cycles = config_.bound_by_bus ? compute_cycles(best.tiles) : compute_cycles(1);
    cost->tiling.th = static_cast<int>(best.tile_rows);
    cost->tiling.tw = static_cast<int>(best.tile_cols);
    cost->tiling.tci = static_cast<int>(std::min<int64_t>(row_folds, 1 << 30));
    cost->tiling.tco = static_cast<int>(std::min<int64_t>(folds, 1 << 30));
    return true;
  }

  // Rows of `cols` channels, one operand row a cycle.
  bool OnLanes(const Layer& layer, LayerCost* cost, std::string* why) const {
    int64_t out_rows = layer.h, out_cols = layer.w, operands = 1, window = 1;
    switch (layer.kind) {
      case LayerKind::kMaxPool:
      case LayerKind::kAvgPool:
        out_rows = layer.oh();
        out_cols = layer.ow();
        operands = int64_t{layer.r} * layer.s;
        window = int64_t{layer.r} * layer.w;
        break;
      case LayerKind::kGlobalAvgPool:
        out_rows = out_cols = 1;
        operands = window = int64_t{layer.h} * layer.w;
        break;
      case LayerKind::kAdd:
        operands = 2;
        break;
      default:
        break;
    }
    // The rows under a window, twice: the next ones are on their way.
    const int64_t room = 2 * window * config_.cols();
    if (room > config_.sp_bytes()) {
      return Fail(why, layer,
                  "two windows of rows need " + std::to_string(room) +
                      " bytes of scratchpad, have " + std::to_string(config_.sp_bytes()));
    }
    const int64_t units = CeilDiv(layer.c, config_.cols());
    const int64_t results = layer.n * out_rows * out_cols * units;
    if (static_cast<double>(results) * static_cast<double>(operands) * config_.cols() >
        kMostCounted) {
      return Fail(why, layer, "is too large to count");
    }
    Activity& a = cost->activity;
    a.alu_ops = results * operands * config_.cols();
    a.dram_inp_bytes =
        int64_t{layer.n} * layer.h * layer.w * layer.c * (layer.kind == LayerKind::kAdd ? 2 : 1);
    a.dram_out_bytes = int64_t{layer.n} * out_rows * out_cols * layer.c;
    a.inp_write_bytes = a.dram_inp_bytes;
    a.inp_read_bytes = a.alu_ops;
    a.acc_write_bytes = a.acc_read_bytes = results * config_.cols() * kSumBytes;
    cost->compute_cycles = results * operands;
    cost->tiling.th = cost->tiling.tw = 1;
    cost->tiling.tco = static_cast<int>(units);
    return true;
  }

  void Finish(const Layer& layer, LayerCost* cost) const {
    const Activity& a = cost->activity;
    cost->macs = layer.macs();
    cost->dram_bytes = a.dram_bytes();
    cost->load_cycles = CeilDiv(a.dram_read_bytes(), bus_bytes());
    cost->store_cycles = CeilDiv(a.dram_write_bytes(), bus_bytes());
    const int64_t memory = CeilDiv(cost->dram_bytes, bus_bytes());
    const bool waits = config_.bound_by_bus && memory > cost->compute_cycles;
    cost->bound = waits ? Bound::kMemory : Bound::kCompute;
    cost->latency_cycles = waits ? memory : cost->compute_cycles;
    cost->energy = EnergyOf(a, cost->latency_cycles, prices_);
    cost->energy_pj = cost->energy.total_pj();
  }

  static constexpr int64_t kSumBytes = 4;  // the only width that is priced
  SystolicConfig config_;
  std::vector<BrokenRule> broken_;
  EnergyPrices prices_;
  double area_um2_ = 0;
};

}  // namespace

int64_t WeightStationaryCycles(int64_t rows, int64_t cols, int64_t reduction, int64_t filters,
                               int64_t pixels) {
  return CeilDiv(reduction, rows) * CeilDiv(filters, cols) * (pixels + FillCycles(rows, cols)) - 1;
}

int64_t ScaleSimOutputs(int64_t size, int64_t filter, int64_t stride) {
  return CeilDiv(size - filter + stride, stride);
}

// Elements (a multiplier and adder, the input, two weights in turn and the sum in registers), lanes
// behind the accumulators, memories, requests in flight, control.
double AreaUm2(const SystolicConfig& config, const CostTable& table) {
  const double element_bits = 3.0 * config.input_bits + config.acc_bits;
  const double elements = static_cast<double>(config.rows()) * config.cols();
  double area = elements * (table["mac_um2"] + element_bits * table["register_um2_per_bit"]);
  area += config.cols() * table["alu_lane_um2"] + table["control_um2"];
  for (const Bank& bank : {ScratchpadBank(config), AccumulatorBank(config)}) {
    area += bank.count * table.SramAreaUm2(bank.bytes);
  }
  const double request_bits =
      8.0 * config.max_in_flight_mem_reqs * config.dma_maxbytes + config.dma_buswidth;
  return area + request_bits * table["register_um2_per_bit"];
}

std::unique_ptr<DesignModel> MakeSystolicModel(const SystolicConfig& config,
                                               const CostTable& table) {
  return std::make_unique<SystolicModel>(config, table);
}

}  // namespace rhnas::hw
