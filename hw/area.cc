// Area: multiply-accumulate array, ALU lanes, scratchpads, queues and the memory engine.
//
// Scratchpads are built as the generator builds them: one element is spread over memories of a
// 64-bit word each, so a wide element means many shallow memories, and CACTI is asked for one of
// those (core/TensorLoadNarrowVME.scala: one memory per bus word of the tensor).
//
// Limitation: every one of these memories brings a periphery of its own, also the shallow ones
// (CostTable::SramAreaUm2); a generator that shares decoders between the words of a wide element
// comes out smaller.
#include "hw/area.h"

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

}  // namespace

std::array<AreaPart, kAreaParts> AreaParts(const Config& config, const CostTable& table) {
  const double lanes = static_cast<double>(config.batch()) * config.block_out();
  const double density_mw = table["logic_leakage_mw_per_um2"];
  const auto logic = [&](const char* name, const char* unit, const char* row, double count) {
    const double each_um2 = table[row];
    return AreaPart{name, unit, row, count, 0, each_um2, count * each_um2 * density_mw};
  };
  const auto memory = [&](const char* name, const Bank& bank) {
    return AreaPart{name,
                    "memory",
                    "um2_per_kb",
                    bank.count,
                    bank.bytes,
                    table.SramAreaUm2(bank.bytes),
                    bank.count * table.SramLeakageMw(bank.bytes)};
  };
  return {logic("MAC array", "MAC", "mac_um2", config.macs_per_cycle()),
          logic("ALU", "lane", "alu_lane_um2", lanes),
          memory("input scratchpad", InputBank(config)),
          memory("weight scratchpad", WeightBank(config)),
          memory("accumulator scratchpad", AccumulatorBank(config)),
          memory("output scratchpad", OutputBank(config)),
          memory("micro-op scratchpad", MicroOpBank(config)),
          memory("instruction queues", {kQueues, kQueueBytes}),
          logic("bus buffers", "bit", "register_um2_per_bit", kBusWordsBuffered * config.bus_bits),
          logic("control", "set", "control_um2", 1)};
}

double TotalUm2(const std::array<AreaPart, kAreaParts>& parts) {
  double sum = 0;
  for (const AreaPart& part : parts) sum += part.um2();
  return sum;
}

double LeakageMw(const std::array<AreaPart, kAreaParts>& parts) {
  double sum = 0;
  for (const AreaPart& part : parts) sum += part.leakage_mw;
  return sum;
}

// A milliwatt is a picojoule a nanosecond.
double LeakagePjPerCycle(double leakage_mw, const CostTable& table) {
  return leakage_mw * 1000 / table["clock_mhz"];
}

double AreaUm2(const Config& config, const CostTable& table) {
  return TotalUm2(AreaParts(config, table));
}

}  // namespace rhnas::hw
