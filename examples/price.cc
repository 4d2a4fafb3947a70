// Prices a layer: a configuration of VTA, its rules, what the layer costs there.
//   make && c++ -std=c++17 -O2 -I. examples/price.cc build/librhnas.a -pthread && ./a.out
#include <cstdio>

#include "hw/cost.h"
#include "hw/parse_layer.h"

int main() {
  using namespace rhnas;
  hw::Config config = *hw::FindConfig("default");
  config.log_block_in = config.log_block_out = 4;  // 16 x 16 multipliers
  config.log_wgt_buff = 19;                        // bytes: 512 KiB, too many for the instructions
  for (const hw::Verdict& broken : hw::CheckAll(config)) std::puts(broken.ToString().c_str());
  config.log_wgt_buff = 16;
  hw::Layer layer;
  std::string why;
  if (!hw::ParseLayer("conv 64x14x14 -> 64 k3 p1", &layer, &why)) return std::puts(why.c_str()), 1;
  const auto cost = hw::CostModel(config, hw::DefaultCostTable()).Evaluate(layer, &why);
  if (!cost) return std::puts(why.c_str()), 1;
  std::printf("%s on %s: %lld cycles, %.2f uJ, %lld bytes of DRAM, tiling %s\n", layer.name.c_str(),
              hw::ShortName(config).c_str(), static_cast<long long>(cost->latency_cycles),
              cost->energy_pj / 1e6, static_cast<long long>(cost->dram_bytes),
              cost->tiling.ToString().c_str());
  return 0;
}
