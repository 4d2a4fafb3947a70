// Chains of layers: which there are, what they cost, and the grouping that a network takes.
#include "hw/chain.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "hw/cost.h"
#include "hw/space.h"

namespace rhnas::hw {
namespace {

constexpr int64_t kNoLimit = std::numeric_limits<int64_t>::max();

Layer Conv(int hw, int c, int k, int r, int stride, int groups = 1, bool chained = false) {
  Layer layer;
  layer.name = "conv";
  layer.h = layer.w = hw;
  layer.c = c;
  layer.k = k;
  layer.r = layer.s = r;
  layer.stride = stride;
  layer.pad = r / 2;
  layer.groups = groups;
  layer.chained = chained;
  return layer;
}

Layer Follows(LayerKind kind, int hw, int c, int r = 1, int stride = 1) {
  Layer layer = Conv(hw, c, c, r, stride, 1, true);
  layer.kind = kind;
  layer.bias = false;
  layer.relu = false;
  if (kind == LayerKind::kGlobalAvgPool) {
    layer.r = layer.s = hw;
    layer.pad = 0;
  }
  return layer;
}

// Of each form one, with shapes that divide nothing.
std::vector<std::vector<Layer>> Chains() {
  Layer grouped = Conv(8, 32, 64, 1, 1, 2);
  Layer shuffle = Follows(LayerKind::kShuffle, 8, 64);
  shuffle.groups = 2;
  Layer dense = Conv(1, 40, 72, 1, 1);
  dense.kind = LayerKind::kDense;
  return {
      {Conv(13, 40, 24, 1, 1), Follows(LayerKind::kAdd, 13, 24)},
      {Conv(14, 64, 64, 3, 1), Follows(LayerKind::kAdd, 14, 64)},
      {Conv(15, 33, 33, 3, 1, 33), Follows(LayerKind::kAdd, 15, 33)},
      {Conv(12, 24, 72, 1, 1), Conv(12, 72, 72, 3, 1, 72, true)},
      {Conv(17, 16, 40, 3, 1), Conv(17, 40, 40, 5, 2, 40, true)},
      {Conv(28, 3, 20, 7, 2), Follows(LayerKind::kMaxPool, 14, 20, 3, 2)},
      {Conv(9, 20, 36, 1, 1), Follows(LayerKind::kAvgPool, 9, 36, 3, 1)},
      {Conv(7, 48, 136, 1, 1), Follows(LayerKind::kGlobalAvgPool, 7, 136)},
      {grouped, shuffle},
      {grouped, shuffle, Conv(8, 64, 64, 3, 2, 64, true)},
      {Conv(10, 32, 32, 1, 1), Conv(10, 32, 32, 3, 1, 32, true), Follows(LayerKind::kAdd, 10, 32)},
      {dense, Follows(LayerKind::kAdd, 1, 72)},
  };
}

std::string Text(const std::vector<Layer>& chain) {
  std::string text;
  for (const Layer& layer : chain) {
    text += " kind " + std::to_string(static_cast<int>(layer.kind)) + " " +
            std::to_string(layer.h) + "^2 x " + std::to_string(layer.c) + " -> " +
            std::to_string(layer.k) + " r" + std::to_string(layer.r);
  }
  return text;
}

std::optional<LayerCost> CostOf(const CostModel& model, const std::vector<Layer>& chain,
                                std::string* why = nullptr) {
  return model.EvaluateChain(chain.data(), static_cast<int>(chain.size()), kNoLimit, why);
}

TEST(Chain, OnlyTheMapsAtTheEndsPassThroughDram) {
  for (const char* name : {"default", "vta_config_be_large", "1x8x32_15_15_18_17", "batch2"}) {
    const CostModel model(*FindConfig(name), DefaultCostTable());
    const Config& config = model.config();
    for (const std::vector<Layer>& chain : Chains()) {
      const std::string where = name + Text(chain);
      std::string why;
      const std::optional<LayerCost> cost = CostOf(model, chain, &why);
      ASSERT_TRUE(cost.has_value()) << where << ": " << why;
      int64_t macs = 0, dram = 0;
      for (const Layer& layer : chain) {
        macs += layer.macs();
        const std::optional<LayerCost> alone = model.Evaluate(layer, &why);
        ASSERT_TRUE(alone.has_value()) << where << ": " << why;
        dram += alone->activity.dram_write_bytes();
      }
      EXPECT_EQ(cost->macs, macs) << where;
      EXPECT_EQ(cost->activity.dram_write_bytes(),
                model.Evaluate(chain.back())->activity.dram_write_bytes())
          << where;
      EXPECT_LT(cost->activity.dram_write_bytes(), dram) << where;
      EXPECT_GE(cost->latency_cycles * config.macs_per_cycle(), cost->activity.macs) << where;
      for (const int64_t busy : {cost->compute_cycles, cost->load_cycles, cost->store_cycles}) {
        EXPECT_GE(cost->latency_cycles, busy) << where;
      }
      EXPECT_EQ(cost->energy_pj, cost->energy.total_pj()) << where;
      const std::optional<LayerCost> again =
          model.EvaluateChainAgain(chain.data(), static_cast<int>(chain.size()), cost->tiling);
      ASSERT_TRUE(again.has_value()) << where;
      EXPECT_EQ(again->latency_cycles, cost->latency_cycles) << where;
      EXPECT_EQ(again->energy_pj, cost->energy_pj) << where;
      // Nothing is found below itself.
      EXPECT_FALSE(
          model.EvaluateChain(chain.data(), static_cast<int>(chain.size()), cost->latency_cycles)
              .has_value())
          << where;
    }
  }
}

// As for single layers: the search's answer is the least over its grid, found without its bounds.
TEST(Chain, BestTilingBeatsEveryOther) {
  const auto on_grid = [](int size, int whole) {
    for (int parts = 1; parts <= whole; parts *= 2) {
      if (size == (whole + parts - 1) / parts) return true;
    }
    return size == 1;
  };
  for (const char* name : {"default", "vta_config_be_small", "1x8x32_15_15_18_17"}) {
    const CostModel model(*FindConfig(name), DefaultCostTable());
    for (const std::vector<Layer>& chain : Chains()) {
      const int count = static_cast<int>(chain.size());
      const std::optional<LayerCost> best = CostOf(model, chain);
      Work work;
      ASSERT_TRUE(MakeChainWork(chain.data(), count, model.config(), &work, nullptr));
      for (int th = 1; th <= work.rows; ++th) {
        if (!on_grid(th, work.rows)) continue;
        for (int tw = 1; tw <= work.cols; ++tw) {
          if (!on_grid(tw, work.cols)) continue;
          for (int tco = 1; tco <= work.out_units; ++tco) {
            if (!on_grid(tco, work.out_units)) continue;
            for (int tci = 1; tci <= work.in_units; ++tci) {
              if (!on_grid(tci, work.in_units)) continue;
              for (int order = 0; order < 6; ++order) {
                Tiling tiling;
                tiling.th = th;
                tiling.tw = tw;
                tiling.tco = tco;
                tiling.tci = tci;
                tiling.vthreads = 1 + order % 2;
                tiling.stationary = static_cast<Stationary>(order / 2);
                // Weights of a single tile of pixels are used once, wherever they stay.
                if (tiling.stationary == Stationary::kWeights && th == work.rows &&
                    tw == work.cols) {
                  continue;
                }
                const std::optional<LayerCost> other =
                    model.EvaluateChainAgain(chain.data(), count, tiling);
                if (!other.has_value()) continue;
                ASSERT_TRUE(best.has_value()) << name << Text(chain) << " " << tiling.ToString();
                EXPECT_LE(best->latency_cycles, other->latency_cycles)
                    << name << Text(chain) << ": " << best->tiling.ToString() << " against "
                    << other->tiling.ToString();
              }
            }
          }
        }
      }
    }
  }
}

TEST(Chain, WhatTheIsaCannotComputeIsNotOffered) {
  Config stock;
  stock.clp = false;
  Work work;
  std::string why;
  const auto refused = [&](std::vector<Layer> chain, const Config& config, const char* reason) {
    EXPECT_FALSE(MakeChainWork(chain.data(), static_cast<int>(chain.size()), config, &work, &why));
    EXPECT_NE(why.find(reason), std::string::npos) << why;
  };
  const std::vector<Layer> depthwise = {Conv(12, 24, 72, 1, 1), Conv(12, 72, 72, 3, 1, 72, true)};
  refused(depthwise, stock, "MUL");
  EXPECT_TRUE(MakeChainWork(depthwise.data(), 2, Config(), &work, &why)) << why;
  refused({Conv(7, 48, 136, 1, 1), Follows(LayerKind::kGlobalAvgPool, 7, 136)}, stock, "49 taps");
  // A power of two is a shift.
  const std::vector<Layer> four = {Conv(4, 48, 136, 1, 1),
                                   Follows(LayerKind::kGlobalAvgPool, 4, 136)};
  EXPECT_TRUE(MakeChainWork(four.data(), 2, stock, &work, &why)) << why;
  EXPECT_EQ(work.pool_scale, 0);
  refused({Conv(8, 16, 16, 1, 1), Conv(8, 16, 32, 3, 1, 1, true)}, Config(), "no part of a chain");
  refused({Conv(8, 16, 16, 1, 1), Conv(8, 16, 16, 3, 1, 16, false)}, Config(), "input is not only");
  refused({Conv(8, 16, 16, 1, 1), Follows(LayerKind::kAdd, 8, 32)}, Config(), "shape");
  refused({Follows(LayerKind::kMaxPool, 8, 16, 3, 2), Follows(LayerKind::kAdd, 4, 16)}, Config(),
          "begins with a convolution");
  refused({Conv(8, 16, 16, 1, 1), Follows(LayerKind::kAdd, 8, 16), Follows(LayerKind::kAdd, 8, 16)},
          Config(), "no part of a chain");
}

TEST(Chain, PoolScaleIsTheNearestOfEightBits) {
  EXPECT_EQ(PoolScaleOf(49).multiplier, 84);  // 2^12 / 49 = 83.6; at 2^13 it is beyond 127
  EXPECT_EQ(PoolScaleOf(49).shift, 12);
  EXPECT_EQ(PoolScaleOf(9).multiplier, 114);
  EXPECT_EQ(PoolScaleOf(9).shift, 10);
  EXPECT_EQ(PoolScaleOf(1).multiplier, 64);
  EXPECT_EQ(PoolScaleOf(1).shift, 6);
  for (int64_t taps = 1; taps <= 4096; ++taps) {
    const PoolScale scale = PoolScaleOf(taps);
    EXPECT_GE(scale.multiplier, 1) << taps;
    EXPECT_LE(scale.multiplier, 127) << taps;
    const double exact = static_cast<double>(int64_t{1} << scale.shift) / static_cast<double>(taps);
    EXPECT_LE(std::abs(scale.multiplier - exact), 0.5) << taps;
    if (scale.shift < 14) {
      EXPECT_GE(2 * exact, 127.5) << taps;
    }
  }
}

// A network's list of blocks: bottlenecks with and without an addition, a grouped one, the ends.
std::vector<Layer> Network() {
  std::vector<Layer> layers = {Conv(32, 3, 16, 3, 1)};
  const auto add = [&layers](const std::vector<Layer>& block) {
    layers.insert(layers.end(), block.begin(), block.end());
  };
  const std::vector<Layer> residual = {Conv(16, 24, 96, 1, 1), Conv(16, 96, 96, 3, 1, 96, true),
                                       Conv(16, 96, 24, 1, 1, 1, true),
                                       Follows(LayerKind::kAdd, 16, 24)};
  add({Conv(32, 16, 64, 1, 1), Conv(32, 64, 64, 3, 2, 64, true), Conv(16, 64, 24, 1, 1, 1, true)});
  add(residual);
  add(residual);
  add({Conv(16, 24, 48, 1, 1, 2), Follows(LayerKind::kShuffle, 16, 48),
       Conv(16, 48, 48, 3, 2, 48, true), Conv(8, 48, 64, 1, 1, 2, true)});
  layers[layers.size() - 3].groups = 2;
  add({Conv(8, 64, 320, 1, 1), Follows(LayerKind::kGlobalAvgPool, 8, 320)});
  return layers;
}

TEST(Chain, NetworkIsNeverSlowerAndItsPartsSum) {
  const std::vector<Layer> layers = Network();
  const Result<HwSpace> space = FindHwSpace("vta-wide");
  uint64_t state = 1983;  // Lehmer's generator
  int evaluated = 0, faster = 0;
  for (int tried = 0; tried < 400; ++tried) {
    state = state * 48271 % 2147483647;
    const Config config = space->At(static_cast<int64_t>(state) % space->points());
    if (!Check(config).ok) continue;
    const CostModel model(config, DefaultCostTable());
    const std::optional<NetworkCost> alone = SumOfLayers(model, layers, nullptr);
    const std::optional<NetworkCost> cost = model.Evaluate(layers);
    EXPECT_EQ(model.RunsNetworks(nullptr),
              config.log_batch == 0 || config.log_block_in == config.log_block_out);
    if (!cost.has_value()) {
      EXPECT_FALSE(alone.has_value()) << ShortName(config);
      continue;
    }
    ++evaluated;
    ASSERT_EQ(cost->layers.size(), layers.size());
    int64_t latency = 0, macs = 0, dram = 0;
    double energy = 0;
    for (size_t i = 0; i < layers.size();) {
      const LayerCost& first = cost->layers[i];
      ASSERT_GE(first.chain, 1) << ShortName(config) << " layer " << i;
      for (int k = 1; k < first.chain; ++k) {
        const LayerCost& inside = cost->layers[i + static_cast<size_t>(k)];
        EXPECT_EQ(inside.chain, 0);
        EXPECT_EQ(inside.latency_cycles + inside.macs + inside.dram_bytes, 0);
        EXPECT_EQ(inside.energy_pj, 0);
      }
      latency += first.latency_cycles;
      macs += first.macs;
      dram += first.dram_bytes;
      energy += first.energy_pj;
      i += static_cast<size_t>(first.chain);
    }
    EXPECT_EQ(cost->latency_cycles, latency) << ShortName(config);
    EXPECT_EQ(cost->macs, macs) << ShortName(config);
    EXPECT_EQ(cost->dram_bytes, dram) << ShortName(config);
    EXPECT_NEAR(cost->energy_pj, energy, 1e-9 * energy) << ShortName(config);
    if (!alone.has_value()) continue;
    EXPECT_LE(cost->latency_cycles, alone->latency_cycles) << ShortName(config);
    EXPECT_EQ(cost->macs, alone->macs) << ShortName(config);
    faster += cost->latency_cycles < alone->latency_cycles ? 1 : 0;
  }
  EXPECT_GT(evaluated, 20);
  EXPECT_GT(faster, evaluated / 2) << "of " << evaluated;
}

// Random prices of items: the grouping is the least of all ways to cut the list.
TEST(Chain, GroupingEqualsBruteForce) {
  const std::vector<Layer> layers = Network();
  const ChainSet set(layers);
  EXPECT_LT(set.singles(), static_cast<int>(layers.size())) << "a block comes twice";
  EXPECT_GT(set.items().size(), static_cast<size_t>(set.singles()));
  const int n = static_cast<int>(layers.size());
  uint64_t state = 77;
  const auto next = [&state](int below) {
    state = state * 48271 % 2147483647;
    return static_cast<int64_t>(state % static_cast<uint64_t>(below));
  };
  for (int trial = 0; trial < 300; ++trial) {
    std::vector<int64_t> cycles;
    for (const ChainSet::Item& item : set.items()) {
      cycles.push_back(next(20) == 0 ? -1 : item.length * 50 + next(60));
    }
    const int begin = static_cast<int>(next(n)),
              end = begin + static_cast<int>(next(n - begin + 1));
    // Every way to cut at each point or not.
    int64_t least = -1;
    const int points = std::max(0, end - begin - 1);
    for (uint32_t cuts = 0; cuts < (1u << points); ++cuts) {
      int64_t sum = 0;
      int at = begin;
      for (int i = begin + 1; i <= end && sum >= 0; ++i) {
        if (i < end && (cuts >> (i - begin - 1) & 1) == 0) continue;
        const int item = i - at > kMostChained ? -1 : set.ItemAt(at, i - at);
        const int64_t own = item < 0 ? -1 : cycles[static_cast<size_t>(item)];
        sum = own < 0 ? -1 : sum + own;
        at = i;
      }
      if (sum >= 0 && (least < 0 || sum < least)) least = sum;
    }
    std::vector<int> lengths;
    int missing = -1;
    const bool found = set.Group(begin, end, cycles, &lengths, &missing);
    const std::string where = "trial " + std::to_string(trial);
    ASSERT_EQ(found, least >= 0) << where;
    if (!found) {
      EXPECT_GE(missing, begin) << where;
      EXPECT_LT(missing, end) << where;
      EXPECT_LT(cycles[static_cast<size_t>(set.ItemAt(missing, 1))], 0) << where;
      continue;
    }
    int64_t sum = 0;
    int covered = begin;
    for (int at = begin; at < end; ++at) {
      const int length = lengths[static_cast<size_t>(at - begin)];
      if (length == 0) continue;
      ASSERT_EQ(at, covered) << where;
      sum += cycles[static_cast<size_t>(set.ItemAt(at, length))];
      covered += length;
    }
    EXPECT_EQ(covered, end) << where;
    EXPECT_EQ(sum, least) << where;
  }
}

// What a chain must beat is what its parts take otherwise.
TEST(Chain, LimitIsThePartsLeastSum) {
  const std::vector<Layer> layers = {Conv(8, 32, 64, 1, 1, 2), Follows(LayerKind::kShuffle, 8, 64),
                                     Conv(8, 64, 64, 3, 2, 64, true)};
  std::vector<Layer> list = layers;
  list[1].groups = 2;
  const ChainSet set(list);
  ASSERT_EQ(set.items().size(), 5u);  // three layers, conv + shuffle, all three
  const int pair = set.ItemAt(0, 2), all = set.ItemAt(0, 3);
  ASSERT_GE(pair, 0);
  ASSERT_GE(all, 0);
  EXPECT_EQ(set.ItemAt(1, 2), -1) << "a shuffle begins no chain";
  std::vector<int64_t> cycles(5, 10);
  EXPECT_EQ(set.Limit(0, cycles), kNoLimit);
  EXPECT_EQ(set.Limit(pair, cycles), 20);
  EXPECT_EQ(set.Limit(all, cycles), 20);
  cycles[static_cast<size_t>(pair)] = -1;
  EXPECT_EQ(set.Limit(all, cycles), 30);
  cycles[static_cast<size_t>(set.ItemAt(1, 1))] = -1;
  EXPECT_EQ(set.Limit(all, cycles), kNoLimit);
  EXPECT_EQ(ChainSet(list, false).items().size(), 3u);
}

}  // namespace
}  // namespace rhnas::hw
