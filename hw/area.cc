// Area: multiply-accumulate array, ALU lanes, scratchpads, queues and the memory engine.
//
// Scratchpads are built as the generator builds them: one element is spread over memories of a
// 64-bit word each, so a wide element means many shallow memories, and CACTI is asked for one of
// those (core/TensorLoadNarrowVME.scala: one memory per bus word of the tensor).
//
// Limitation: below the table's smallest capacity (2 KB) the area per KB is flat, so the periphery
// of shallow wide banks is under-priced.
#include "hw/banks.h"
#include "hw/cost.h"

namespace rhnas::hw {
namespace {

// Queues of 512 instructions in front of load, compute and store (core/Core.scala).
constexpr double kQueues = 3;
constexpr double kQueueBytes = 512 * 16;
// Read clients of the memory engine with a data queue of 16 words each, and one write path
// (shell/VME.scala: 5 read clients, clientDataQueueDepth 16).
constexpr double kBusWordsBuffered = 5 * 16 + 1;

double MemoryArea(const Bank& bank, const CostTable& table) {
  return bank.count * table.SramAreaUm2(bank.bytes);
}

}  // namespace

double AreaUm2(const Config& config, const CostTable& table) {
  const double lanes = static_cast<double>(config.batch()) * config.block_out();
  double area = config.macs_per_cycle() * table["mac_um2"] + lanes * table["alu_lane_um2"] +
                table["control_um2"];
  for (const Bank& bank : {InputBank(config), WeightBank(config), AccumulatorBank(config),
                           OutputBank(config), MicroOpBank(config)}) {
    area += MemoryArea(bank, table);
  }
  area += kQueues * table.SramAreaUm2(kQueueBytes);
  area += kBusWordsBuffered * config.bus_bits * table["register_um2_per_bit"];
  return area;
}

}  // namespace rhnas::hw
