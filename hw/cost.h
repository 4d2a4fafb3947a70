// Latency, traffic, energy and area of layers and networks on one configuration.
//
// Latency: closed forms for pipelined GEMM and ALU, loads, stores and fetch, measured cycle by
// cycle on the RTL that apache/tvm-vta @d4a15f6 (hardware/chisel) generates for its default
// configuration, with the best tiling that fits, virtual threads and loop order included. Energy:
// activity counts of that schedule times the table. Parts sum to totals. All functions are pure and
// thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "hw/config.h"
#include "hw/energy.h"
#include "hw/layer.h"
#include "hw/tables.h"
#include "hw/timing.h"
#include "hw/validity.h"

namespace rhnas::hw {

// A tile of th x tw output pixels, tco output and tci input channel blocks, over `vthreads`
// contexts. stationary: which operand's loads are kept across the inner loop over tiles.
enum class Stationary { kNone, kWeights, kInputs };
struct Tiling {
  int th = 1, tw = 1, tco = 1, tci = 1, vthreads = 1;
  Stationary stationary = Stationary::kNone;
  bool on_alu = false;      // depthwise: element-wise multiplies instead of block-diagonal weights
  bool split_rows = false;  // a filter too large for its scratchpad: one kernel row a step
  std::string ToString() const;  // "7x14 co2 ci1 vt2 ws"
};

enum class Bound { kCompute, kMemory, kFetch };
const char* BoundName(Bound bound);

struct LayerCost {
  int64_t latency_cycles = 0;
  int64_t compute_cycles = 0, load_cycles = 0, store_cycles = 0,
          fetch_cycles = 0;  // busy, each unit
  int64_t macs = 0;          // useful
  Activity activity;
  EnergyParts energy;
  double energy_pj = 0;  // energy.total_pj()
  int64_t dram_bytes = 0;
  Bound bound = Bound::kCompute;
  Tiling tiling;
  int chain = 1;  // layers of this program, from this one on; 0: part of an earlier one's
};

struct NetworkCost {
  int64_t latency_cycles = 0;
  int64_t macs = 0, dram_bytes = 0;
  double energy_pj = 0, edp_pj_cycles = 0, area_um2 = 0;
  Activity activity;   // of all layers
  EnergyParts energy;  // of that
  std::vector<LayerCost> layers;
};

// What a search asks of one design, of whatever family (hw/accelerator.h). Thread-safe.
class DesignModel {
 public:
  virtual ~DesignModel() = default;
  virtual double area_um2() const = 0;
  virtual std::string design_name() const = 0;     // for messages
  virtual const EnergyPrices& prices() const = 0;  // of its activity
  // Empty: the design is invalid or cannot run the layer; `why` (optional) tells.
  virtual std::optional<LayerCost> Evaluate(const Layer& layer,
                                            std::string* why = nullptr) const = 0;
  // As Evaluate, with the tiling that it gave at another time or place on this design: without the
  // search, the same answer. (A family without tilings has nothing to save.)
  virtual std::optional<LayerCost> EvaluateAgain(const Layer& layer,
                                                 const Tiling& /*tiling*/) const {
    return Evaluate(layer);
  }
  // `count` consecutive layers as one program (hw/chain.h), where that takes fewer than
  // `below_cycles`. Empty: no such program on this design, or none that fast. A family without
  // chains has nothing to say.
  virtual std::optional<LayerCost> EvaluateChain(const Layer* layers, int count,
                                                 int64_t /*below_cycles*/,
                                                 std::string* why = nullptr) const {
    return count == 1 ? Evaluate(layers[0], why) : std::nullopt;
  }
  virtual std::optional<LayerCost> EvaluateChainAgain(const Layer* layers, int count,
                                                      const Tiling& tiling) const {
    return count == 1 ? EvaluateAgain(layers[0], tiling) : std::nullopt;
  }
  // What sums need of EvaluateChain, for searches that ask a million times: a table knows it
  // without counting activity anew. False: no such program, or none that fast.
  struct Numbers {
    int64_t latency_cycles = 0, dram_bytes = 0;
    double energy_pj = 0;
  };
  virtual bool ChainNumbers(const Layer* layers, int count, int64_t below_cycles,
                            Numbers* numbers) const {
    const std::optional<LayerCost> cost = EvaluateChain(layers, count, below_cycles);
    if (cost) *numbers = {cost->latency_cycles, cost->dram_bytes, cost->energy_pj};
    return cost.has_value();
  }
  // Whether what one layer puts out is what the next can read. (Each alone may run all the same.)
  virtual bool RunsNetworks(std::string* /*why*/) const { return true; }
  // Sum over the programs of a network: layers, or chains of them where that is faster.
  virtual std::optional<NetworkCost> Evaluate(const std::vector<Layer>& layers,
                                              std::string* why = nullptr) const = 0;
  // How the layer is run, for people: a tiling, folds.
  virtual std::string ScheduleText(const LayerCost& cost) const { return cost.tiling.ToString(); }
};

// Not with BATCH > 1 and BLOCK_IN != BLOCK_OUT: an output tensor holds BATCH rows of BLOCK_OUT, an
// input tensor rows of BLOCK_IN, and no load rearranges them.
inline bool RunsNetworks(const Config& config) {
  return config.log_batch == 0 || config.log_block_in == config.log_block_out;
}

class CostModel : public DesignModel {
 public:
  // The configuration must be valid (Check(config).ok), or every answer is empty. The table's
  // values are copied. pipelined_memory: every read request is served DPI_DELAY cycles after it was
  // accepted, instead of VTA's own simulated memory.
  CostModel(const Config& config, const CostTable& table, bool pipelined_memory = false);

  const Config& config() const { return config_; }
  double area_um2() const override { return area_um2_; }
  std::string design_name() const override { return ShortName(config_); }
  const EnergyPrices& prices() const override { return prices_; }
  // Best tiling by latency, ties by energy. Empty: the configuration is invalid or no tiling fits;
  // `why` (optional) then tells the operand that does not fit, what it needs and what there is.
  std::optional<LayerCost> Evaluate(const Layer& layer, std::string* why = nullptr) const override;
  // With a given tiling, clipped to the layer where it is larger.
  std::optional<LayerCost> Evaluate(const Layer& layer, const Tiling& tiling,
                                    std::string* why = nullptr) const;
  std::optional<LayerCost> EvaluateAgain(const Layer& layer, const Tiling& tiling) const override {
    return Evaluate(layer, tiling);
  }
  std::optional<LayerCost> EvaluateChain(const Layer* layers, int count, int64_t below_cycles,
                                         std::string* why = nullptr) const override;
  std::optional<LayerCost> EvaluateChainAgain(const Layer* layers, int count,
                                              const Tiling& tiling) const override {
    return WithTiling(layers, count, tiling, nullptr);
  }
  bool RunsNetworks(std::string* why) const override;
  // Remembers equal shapes within the call.
  std::optional<NetworkCost> Evaluate(const std::vector<Layer>& layers,
                                      std::string* why = nullptr) const override;

 private:
  std::optional<LayerCost> Best(const Layer* layers, int count, int64_t below_cycles,
                                std::string* why) const;
  std::optional<LayerCost> WithTiling(const Layer* layers, int count, const Tiling& tiling,
                                      std::string* why) const;
  LayerCost Finish(const struct Machine& machine, const Tiling& tiling,
                   const struct Schedule& schedule, int64_t latency_cycles) const;

  Config config_;
  EnergyPrices prices_;
  std::string invalid_;  // why, when the configuration is
  double area_um2_ = 0;
  std::optional<Timing> timing_;  // empty: the configuration is invalid
};

// Area of the accelerator in um^2 from the table: MAC array, ALU lanes, scratchpads, bus and
// queues; by part in hw/area.h.
double AreaUm2(const Config& config, const CostTable& table);

// Evaluates layer by layer (equal shapes once) and sums, without chains.
std::optional<NetworkCost> SumOfLayers(const DesignModel& model, const std::vector<Layer>& layers,
                                       std::string* why);
// With the grouping of least latency among the set's. A chain's cost is that of its first layer;
// the others' are 0 and say so (LayerCost::chain).
std::optional<NetworkCost> SumOfChains(const DesignModel& model, const class ChainSet& chains,
                                       std::string* why);

}  // namespace rhnas::hw
