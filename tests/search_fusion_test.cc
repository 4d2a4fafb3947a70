// What chains of layers bring over every layer on its own: on the default accelerator, and on the
// best of the `vta` space with and without them. Prints the table of docs/REPRODUCE.md.
#include <gtest/gtest.h>

#include <cstdio>

#include "engine/threads.h"
#include "hw/chain.h"
#include "hw/cost.h"
#include "hw/space.h"
#include "nn/space.h"
#include "search/layers.h"

namespace rhnas::search {
namespace {

struct Best {
  double value = 0;
  std::string name;
  void Consider(double other, const hw::Config& config) {
    if (value > 0 && other >= value) return;
    value = other;
    name = hw::ShortName(config);
  }
};

hw::Config OnBus(hw::Config config, int bits) {
  config.bus_bits = config.dpi_data_bits = bits;
  config.vme_tag_bits = 32;
  return config;
}

TEST(SlowFusion, WhatChainsBring) {
  engine::ThreadPool pool(2);
  const hw::Result<hw::HwSpace> space = hw::FindHwSpace("vta");
  for (const char* name :
       {"fbnet-a@cifar", "fbnet-b@cifar", "fbnet-c@cifar", "mobilenet_v2", "resnet18"}) {
    const engine::Result<nn::Network> network = nn::ParseNetwork(name);
    ASSERT_TRUE(network.ok());
    const std::vector<hw::Layer> layers =
        ToHardwareLayers(nn::LayersOf(network->space, network->genotype));
    const hw::ChainSet alone(layers, false), chains(layers);
    for (const int bus : {64, 256}) {
      std::vector<hw::Config> configs = {OnBus(*hw::FindConfig("default"), bus)};
      for (int64_t point = 0; point < space->points(); ++point) {
        const hw::Config config = OnBus(space->At(point), bus);
        if (hw::Check(config).ok) configs.push_back(config);
      }
      std::vector<hw::NetworkCost> apart(configs.size()), fused(configs.size());
      pool.ParallelFor(
          static_cast<int64_t>(configs.size()), 4, [&](int64_t begin, int64_t end, int) {
            for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
              const hw::CostModel model(configs[i], hw::DefaultCostTable());
              const auto a = hw::SumOfChains(model, alone, nullptr);
              const auto f = hw::SumOfChains(model, chains, nullptr);
              ASSERT_EQ(a.has_value(), f.has_value());
              if (a) apart[i] = *a;
              if (f) fused[i] = *f;
            }
          });
      Best latency[2], edp[2];
      int runs = 0;
      for (size_t i = 0; i < configs.size(); ++i) {
        if (apart[i].latency_cycles == 0) continue;
        ++runs;
        EXPECT_LE(fused[i].latency_cycles, apart[i].latency_cycles) << hw::ShortName(configs[i]);
        latency[0].Consider(static_cast<double>(apart[i].latency_cycles), configs[i]);
        latency[1].Consider(static_cast<double>(fused[i].latency_cycles), configs[i]);
        edp[0].Consider(apart[i].edp_pj_cycles, configs[i]);
        edp[1].Consider(fused[i].edp_pj_cycles, configs[i]);
      }
      const auto base = static_cast<double>(apart[0].latency_cycles);
      std::printf(
          "%-14s %3d bits: default %.0f cycles, %.4g EDP, with chains %.3fx, %.3fx; best of %d: "
          "latency %.2fx (%s), with chains %.2fx (%s); EDP %.2fx (%s), with chains %.2fx (%s)\n",
          name, bus, base, apart[0].edp_pj_cycles,
          base / static_cast<double>(fused[0].latency_cycles),
          apart[0].edp_pj_cycles / fused[0].edp_pj_cycles, runs, base / latency[0].value,
          latency[0].name.c_str(), base / latency[1].value, latency[1].name.c_str(),
          apart[0].edp_pj_cycles / edp[0].value, edp[0].name.c_str(),
          apart[0].edp_pj_cycles / edp[1].value, edp[1].name.c_str());
    }
  }
}

}  // namespace
}  // namespace rhnas::search
