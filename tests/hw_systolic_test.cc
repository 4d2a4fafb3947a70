// The systolic array: published cycles, Gemmini's requirements, traffic counted by hand,
// properties.
#include "hw/systolic.h"

#include <gtest/gtest.h>

#include <cmath>
#include <iterator>
#include <random>

#include "hw/systolic_topology.h"

namespace rhnas::hw {
namespace {

SystolicConfig Square(int side) {
  SystolicConfig config;
  config.mesh_rows = config.mesh_columns = side;
  return config;
}

Layer Conv(int h, int w, int c, int k, int r, int stride = 1, int pad = 0, int groups = 1) {
  Layer layer;
  layer.name = "conv";
  layer.h = h;
  layer.w = w;
  layer.c = c;
  layer.k = k;
  layer.r = layer.s = r;
  layer.stride = stride;
  layer.pad = pad;
  layer.groups = groups;
  layer.bias = false;
  return layer;
}

std::unique_ptr<DesignModel> Model(const SystolicConfig& config) {
  return MakeSystolicModel(config, DefaultCostTable());
}

SystolicConfig ScaleSim32() { return SystolicConfigOf(**Systolic().Find("scalesim-32x32")); }

LayerCost CostOf(const SystolicConfig& config, const Layer& layer) {
  std::string why;
  const std::optional<LayerCost> cost = Model(config)->Evaluate(layer, &why);
  EXPECT_TRUE(cost.has_value()) << why;
  return cost.value_or(LayerCost{});
}

// SCALE-Sim's ResNet-18 (topologies/conv_nets/Resnet18.csv, no padding) and the cycles that its
// simulation gives at 32 x 32, weight-stationary (facts: cost-model-peers.md 4.2).
struct Published {
  const char* name;
  int size, filter, channels, filters, stride;
  int times;
  int64_t cycles;
};
constexpr Published kResnet18[] = {
    {"Conv1", 224, 7, 3, 64, 2, 1, 121939},
    {"Conv2_x", 56, 3, 64, 64, 1, 4, 108359},
    {"Conv3_1a", 56, 3, 64, 128, 2, 1, 63215},
    {"Conv3_1b/2a/2b", 28, 3, 128, 128, 1, 3, 110879},
    {"Conv3_s", 56, 1, 64, 128, 2, 1, 7479},
    {"Conv4_1a", 28, 3, 128, 256, 2, 1, 83519},
    {"Conv4_1b/2a/2b", 14, 3, 256, 256, 1, 3, 137087},
    {"Conv4_s", 28, 1, 128, 256, 2, 1, 10207},
    {"Conv5_1a", 14, 3, 256, 512, 2, 1, 164735},
    {"Conv5_1b/2a/2b", 7, 3, 512, 512, 1, 3, 274175},
    {"Conv5_s", 14, 1, 256, 512, 2, 1, 20223},
    {"FC", 1, 1, 512, 1000, 1, 1, 48639},
};

TEST(Systolic, PublishedCyclesOfResnet18At32x32) {
  const std::unique_ptr<DesignModel> model =
      (*Systolic().Find("scalesim-32x32"))->Model(DefaultCostTable());
  int layers = 0;
  int64_t formula_sum = 0, macs = 0;
  for (const Published& p : kResnet18) {
    const int64_t outputs = ScaleSimOutputs(p.size, p.filter, p.stride);
    const int64_t reduction = int64_t{p.filter} * p.filter * p.channels;
    EXPECT_EQ(WeightStationaryCycles(32, 32, reduction, p.filters, outputs * outputs), p.cycles)
        << p.name;
    // As a layer: the map with the rows that SCALE-Sim's rounding up reads beyond its end.
    const int size = static_cast<int>((outputs - 1) * p.stride) + p.filter;
    std::string why;
    const std::optional<LayerCost> cost =
        model->Evaluate(Conv(size, size, p.channels, p.filters, p.filter, p.stride), &why);
    ASSERT_TRUE(cost.has_value()) << p.name << ": " << why;
    EXPECT_EQ(cost->latency_cycles, p.cycles) << p.name;
    layers += p.times;
    formula_sum += p.times * (p.cycles + 1);
    macs += p.times * cost->macs;
  }
  EXPECT_EQ(layers, 21);
  EXPECT_EQ(formula_sum, 2519836);
  EXPECT_EQ(macs, 1471181568);
}

TEST(Systolic, PublishedCyclesAt16x16) {
  EXPECT_EQ(CostOf(Square(16), Conv(58, 58, 64, 64, 3)).latency_cycles, 458207);
  EXPECT_EQ(CostOf(Square(16), Conv(56, 56, 64, 64, 3, 1, 1)).latency_cycles, 458207)
      << "the same outputs with padding";
  EXPECT_EQ(CostOf(Square(16), Conv(14, 14, 256, 64, 1)).latency_cycles, 15487);
}

TEST(Systolic, RectangularArraysFollowTheForm) {
  // By hand: 27 = 3 folds of 8 rows with 3 left, 2 folds of 16 columns, 36 pixels + 8 + 8 + 14.
  EXPECT_EQ(WeightStationaryCycles(8, 16, 27, 20, 36), 4 * 2 * (36 + 16 + 16 - 2) - 1);
}

TEST(Systolic, GroupsRunOneAfterTheOther) {
  const int64_t one = CostOf(Square(16), Conv(14, 14, 1, 1, 3, 1, 1)).latency_cycles;
  const LayerCost depthwise = CostOf(Square(16), Conv(14, 14, 32, 32, 3, 1, 1, 32));
  EXPECT_EQ(depthwise.latency_cycles, 32 * (one + 1) - 1);
  EXPECT_EQ(depthwise.macs, 14 * 14 * 9 * 32);
  EXPECT_EQ(depthwise.activity.macs, int64_t{14} * 14 * 32 * 256);
  const int64_t half = CostOf(Square(16), Conv(14, 14, 16, 24, 3, 1, 1)).latency_cycles;
  EXPECT_EQ(CostOf(Square(16), Conv(14, 14, 32, 48, 3, 1, 1, 2)).latency_cycles,
            2 * (half + 1) - 1);
}

Layer Other(LayerKind kind, int h, int w, int c) {
  Layer layer = Conv(h, w, c, c, 1);
  layer.kind = kind;
  return layer;
}

TEST(Systolic, LayersWithoutProducts) {
  const SystolicConfig config = Square(16);
  Layer pool = Other(LayerKind::kMaxPool, 8, 8, 20);
  pool.r = pool.s = 2;
  pool.stride = 2;
  EXPECT_EQ(CostOf(config, pool).latency_cycles, 4 * 4 * 2 * 4);  // pixels, units, taps
  EXPECT_EQ(CostOf(config, pool).dram_bytes, 8 * 8 * 20 + 4 * 4 * 20);
  EXPECT_EQ(CostOf(config, Other(LayerKind::kGlobalAvgPool, 7, 7, 32)).latency_cycles, 49 * 2);
  const LayerCost add = CostOf(config, Other(LayerKind::kAdd, 8, 8, 16));
  EXPECT_EQ(add.latency_cycles, 2 * 8 * 8);
  EXPECT_EQ(add.dram_bytes, 3 * 8 * 8 * 16);
  EXPECT_EQ(CostOf(config, Other(LayerKind::kConcat, 8, 8, 16)).latency_cycles, 8 * 8);
  Layer shuffle = Other(LayerKind::kShuffle, 8, 8, 32);
  shuffle.groups = 2;
  const LayerCost shuffled = CostOf(config, shuffle);
  EXPECT_EQ(shuffled.latency_cycles, WeightStationaryCycles(16, 16, 32, 32, 64));
  EXPECT_EQ(shuffled.macs, 0) << "moving channels is no useful work";
  Layer dense = Other(LayerKind::kDense, 1, 1, 64);
  dense.k = 10;
  EXPECT_EQ(CostOf(config, dense).latency_cycles, WeightStationaryCycles(16, 16, 64, 10, 1));
  dense.n = 5;
  EXPECT_EQ(CostOf(config, dense).latency_cycles, WeightStationaryCycles(16, 16, 64, 10, 5));
}

TEST(Systolic, TrafficByHand) {
  SystolicConfig config =
      Square(16);  // 256 KB of scratchpad, 1,024 rows of sums: 512 pixels a tile
  // Everything fits: inputs and weights once, outputs once.
  const LayerCost small = CostOf(config, Conv(16, 16, 32, 32, 3, 1, 1));
  EXPECT_EQ(small.activity.dram_inp_bytes, 16 * 16 * 32);
  EXPECT_EQ(small.activity.dram_wgt_bytes, 9 * 32 * 32);
  EXPECT_EQ(small.activity.dram_out_bytes, 16 * 16 * 32);
  // 56 x 56 x 64 to 64: 3,136 pixels in tiles of 9 rows of 56 (504): 7 tiles. All weights (36,864)
  // stay; 2 tiles of 11 x 56 x 64 inputs fit beside them. The map is 200,704 bytes: with the
  // weights' 36,864 it fits whole (237,568 of 262,144), so it is read once.
  const LayerCost whole = CostOf(config, Conv(56, 56, 64, 64, 3, 1, 1));
  EXPECT_EQ(whole.activity.dram_inp_bytes, 56 * 56 * 64);
  EXPECT_EQ(whole.activity.dram_wgt_bytes, 9 * 64 * 64);
  // Half of the scratchpad: the map no longer fits, tiles with their borders do: 2 x 39,424 +
  // 36,864. 7 tiles: rows 0-9, 8-18, .. each border row twice: 56 + 6 x 2 rows.
  config.sp_capacity_kb = 128;
  const LayerCost tiled = CostOf(config, Conv(56, 56, 64, 64, 3, 1, 1));
  EXPECT_EQ(tiled.activity.dram_inp_bytes, (56 + 12) * 56 * 64);
  EXPECT_EQ(tiled.activity.dram_wgt_bytes, 9 * 64 * 64);
  EXPECT_EQ(tiled.latency_cycles, whole.latency_cycles) << "CALC never waits for memory";
  // Scratchpad accesses: 36 x 4 folds of 3,136 pixels.
  EXPECT_EQ(tiled.activity.macs, int64_t{36} * 4 * 3136 * 256);
  EXPECT_EQ(tiled.activity.inp_read_bytes, int64_t{36} * 4 * 3136 * 16);
  EXPECT_EQ(tiled.activity.wgt_read_bytes, int64_t{36} * 4 * 7 * 256) << "once more for each tile";
  EXPECT_EQ(tiled.activity.acc_write_bytes, int64_t{36} * 4 * 3136 * 16 * 4);
  EXPECT_EQ(tiled.activity.acc_read_bytes, tiled.activity.acc_write_bytes);
}

TEST(Systolic, EnergyIsActivityTimesPrices) {
  const LayerCost cost = CostOf(Square(16), Conv(16, 16, 32, 32, 3, 1, 1));
  const CostTable& table = DefaultCostTable();
  const double mac = table["mac_pj"] + 40 * table["register_pj_per_bit"];
  EXPECT_DOUBLE_EQ(cost.energy.mac_pj, static_cast<double>(cost.activity.macs) * mac);
  EXPECT_DOUBLE_EQ(
      cost.energy.dram_pj,
      static_cast<double>(cost.activity.dram_read_bytes()) * table["dram_read_pj_per_byte"] +
          static_cast<double>(cost.activity.dram_write_bytes()) * table["dram_write_pj_per_byte"]);
  EXPECT_GT(cost.energy.leakage_pj, 0);
  EXPECT_DOUBLE_EQ(cost.energy_pj, cost.energy.total_pj());
}

TEST(Systolic, BusBoundNeverBeatsTheClosedFormNorTheBus) {
  std::mt19937 random(11);
  const auto draw = [&random](int low, int high) {
    return std::uniform_int_distribution<int>(low, high)(random);
  };
  int memory_bound = 0;
  for (int trial = 0; trial < 2000; ++trial) {
    const int r = 2 * draw(0, 3) + 1, groups = draw(0, 3) == 0 ? 4 : 1;
    Layer layer = Conv(draw(r, 40), draw(r, 40), groups * draw(1, 40), groups * draw(1, 40), r,
                       draw(1, 3), draw(0, r / 2), groups);
    layer.n = draw(1, 3);
    layer.bias = draw(0, 1) == 1;
    SystolicConfig config = Square(8 << draw(0, 2));
    config.sp_capacity_kb = 64 << draw(0, 3);
    config.acc_capacity_kb = 16 << draw(0, 2);
    if (!CheckSystolic(config).empty()) continue;
    const LayerCost closed = CostOf(config, layer);
    config.bound_by_bus = true;
    const LayerCost bound = CostOf(config, layer);
    EXPECT_GE(bound.latency_cycles, closed.latency_cycles) << "trial " << trial;
    EXPECT_GE(bound.latency_cycles * config.dma_buswidth / 8, bound.dram_bytes) << trial;
    const double macs = static_cast<double>(closed.macs);
    EXPECT_GE(static_cast<double>(closed.latency_cycles) * config.rows() * config.cols(), macs);
    EXPECT_GE(closed.activity.macs, closed.macs);
    memory_bound += bound.bound == Bound::kMemory ? 1 : 0;
    // Each operand at least once.
    EXPECT_GE(closed.activity.dram_wgt_bytes,
              int64_t{layer.r} * layer.s * (layer.c / layer.groups) * layer.k);
    // More memory never costs traffic or, on the bus, cycles.
    SystolicConfig larger = config;
    larger.sp_capacity_kb *= 2;
    const LayerCost more = CostOf(larger, layer);
    EXPECT_LE(more.latency_cycles, bound.latency_cycles) << "trial " << trial;
    larger.bound_by_bus = false;
    EXPECT_LE(CostOf(larger, layer).dram_bytes, closed.dram_bytes) << "trial " << trial;
    SystolicConfig sums = config;
    sums.acc_capacity_kb *= 2;
    if (CheckSystolic(sums).empty()) {
      EXPECT_LE(CostOf(sums, layer).latency_cycles, bound.latency_cycles) << "trial " << trial;
    }
    SystolicConfig wider = config;
    wider.dma_buswidth *= 2;
    EXPECT_LE(CostOf(wider, layer).latency_cycles, bound.latency_cycles) << "trial " << trial;
  }
  EXPECT_GT(memory_bound, 50) << "no longer shows the case";
}

TEST(Systolic, RefusesWithAReason) {
  std::string why;
  const std::unique_ptr<DesignModel> model = Model(Square(16));
  EXPECT_FALSE(model->Evaluate(Conv(4, 4, 8, 8, 7), &why));
  EXPECT_NE(why.find("window is larger"), std::string::npos) << why;
  EXPECT_FALSE(model->Evaluate(Conv(4, 4, 9, 8, 1, 1, 0, 2), &why));
  EXPECT_NE(why.find("2 groups do not divide 9 to 8"), std::string::npos) << why;
  EXPECT_FALSE(model->Evaluate(Conv(4, 4, 8, 0, 1), &why));
  EXPECT_NE(why.find("no output channels"), std::string::npos) << why;
  EXPECT_FALSE(model->Evaluate(Conv(60000, 60000, 60000, 60000, 1), &why));
  EXPECT_NE(why.find("too large"), std::string::npos) << why;
  Layer sparse = Conv(65535, 65535, 65535, 1, 1, 65535);
  EXPECT_TRUE(model->Evaluate(sparse, &why)) << why;
  sparse.n = 65535;
  EXPECT_FALSE(model->Evaluate(sparse, &why));
  EXPECT_NE(why.find("too large"), std::string::npos) << why;
  Layer shuffle = Other(LayerKind::kShuffle, 2, 2, 16);
  shuffle.groups = 3;
  EXPECT_FALSE(model->Evaluate(shuffle, &why));
  EXPECT_NE(why.find("3 groups do not divide 16 channels"), std::string::npos) << why;
  Layer pool = Other(LayerKind::kGlobalAvgPool, 1000, 1000, 8);
  EXPECT_FALSE(model->Evaluate(pool, &why));
  EXPECT_NE(why.find("need 32000000 bytes of scratchpad, have 262144"), std::string::npos) << why;
  const std::unique_ptr<DesignModel> invalid = Model(Square(12));
  EXPECT_FALSE(invalid->Evaluate(Conv(4, 4, 8, 8, 1), &why));
  EXPECT_NE(why.find("dim-pow2"), std::string::npos) << why;
}

std::vector<std::string> Texts(const SystolicConfig& config, const Limits& limits = {}) {
  std::vector<std::string> texts;
  for (const BrokenRule& broken : CheckSystolic(config, limits)) texts.push_back(broken.ToString());
  return texts;
}

using Lines = std::vector<std::string>;

TEST(Systolic, EveryRequirementWithNeedAndHave) {
  EXPECT_EQ(Texts(SystolicConfig()), Lines());
  SystolicConfig c;
  c.mesh_rows = 32;
  EXPECT_EQ(Texts(c), (Lines{"square: rows of the array, for its columns: need 32, have 16"}));
  c.tile_columns = 2;  // 32 x 32 again
  EXPECT_EQ(Texts(c), Lines());
  EXPECT_EQ(Texts(Square(1)), (Lines{"dim: side of the array: need 2, have 1"}));
  // 24: 256 KB are no whole rows of 24 bytes, so neither banks fit.
  EXPECT_EQ(Texts(Square(24)),
            (Lines{"dim-pow2: columns of the array: need 24, have 16",
                   "tile-bytes: bytes of a tile row of inputs: need 24, have 16",
                   "sp-pow2: rows of a scratchpad bank: need 2730, have 2048",
                   "sp-rows: rows of a scratchpad bank: need 2730, have 2736",
                   "acc-rows: rows of an accumulator bank: need 341, have 336"}));
  c = {};
  c.sp_capacity_kb = 192;
  EXPECT_EQ(Texts(c), (Lines{"sp-pow2: rows of a scratchpad bank: need 3072, have 2048"}));
  c = {};
  c.sp_banks = 64;
  c.sp_capacity_kb = 8;
  EXPECT_EQ(Texts(c), (Lines{"sp-rows: rows of a scratchpad bank: need 8, have 16",
                             "tiles: tiles in the accumulators: need 64, have 30"}));
  c = {};
  c.acc_banks = 4;
  c.acc_capacity_kb = 2;
  EXPECT_EQ(Texts(c), (Lines{"acc-rows: rows of an accumulator bank: need 8, have 16"}));
  c = {};
  c.acc_singleported = true;
  EXPECT_EQ(Texts(c), (Lines{"acc-ports: accumulator sub-banks: need -1, have 1"}));
  for (const auto& [sub_banks, ok] :
       {std::pair(1, true), {2, true}, {3, false}, {4, true}, {8, false}}) {
    c.acc_sub_banks = sub_banks;
    EXPECT_EQ(Texts(c).empty(), ok) << sub_banks;
  }
  c = {};
  c.sp_capacity_kb = 16;
  EXPECT_EQ(Texts(c), (Lines{"tiles: tiles in the accumulators: need 64, have 62"}));
  c.acc_capacity_kb = 60;  // 480 rows a bank, 60 tiles
  EXPECT_EQ(Texts(c), Lines());
  c = {};
  c.mvin_scale_shared = true;
  c.mvin_scale_bits = 32;
  EXPECT_EQ(Texts(c), (Lines{"scale-shared: input bits, for the sums': need 8, have 32"}));
  c = {};
  c.mvin_scale_bits = 32;
  c.mvin_scale_acc_bits = 16;
  EXPECT_EQ(Texts(c), (Lines{"scale-types: bits of the scales: need 32, have 16"}));
  c = {};
  c.input_bits = 16;
  EXPECT_EQ(Texts(c), (Lines{"types: input bits: need 16, have 8"}));
  Limits limits;
  limits.area_max_um2 = 1000;
  const Lines area = Texts(SystolicConfig(), limits);
  ASSERT_EQ(area.size(), 1u);
  EXPECT_EQ(area[0].compare(0, 23, "area: area, um^2: need "), 0) << area[0];
}

TEST(Systolic, RulesAreIndexedAndGraded) {
  const std::vector<RuleInfo>& rules = SystolicRules();
  ASSERT_EQ(rules.size(), static_cast<size_t>(kSystolicRuleCount));
  std::mt19937 random(3);
  const auto draw = [&random](int low, int high) {
    return std::uniform_int_distribution<int>(low, high)(random);
  };
  for (int trial = 0; trial < 3000; ++trial) {
    SystolicConfig c;
    c.mesh_rows = draw(1, 40);
    c.mesh_columns = draw(0, 1) == 0 ? c.mesh_rows : draw(1, 40);
    c.input_bits = draw(0, 1) == 0 ? 8 : draw(1, 64);
    c.sp_banks = draw(1, 8);
    c.sp_capacity_kb = draw(1, 300);
    c.acc_banks = draw(1, 8);
    c.acc_capacity_kb = draw(1, 100);
    c.acc_singleported = draw(0, 1) == 1;
    c.acc_sub_banks = draw(-1, 6);
    int last = -1;
    for (const BrokenRule& broken : CheckSystolic(c)) {
      EXPECT_GT(broken.rule, last) << "in order, one entry a rule; trial " << trial;
      last = broken.rule;
      EXPECT_STREQ(broken.name, rules[static_cast<size_t>(broken.rule)].name);
      EXPECT_GE(broken.severity, 0);
      EXPECT_LE(broken.severity, 8);
      EXPECT_TRUE(std::isfinite(broken.severity));
    }
  }
}

// The requirements once more, as plain conditions over the whole space.
TEST(Systolic, SpaceCountsEqualTheRulesWrittenOut) {
  const std::unique_ptr<DesignSpace> space = std::move(*Systolic().FindSpace("systolic", {}));
  const auto power = [](int64_t v) { return v > 0 && (v & (v - 1)) == 0; };
  int64_t valid = 0, square = 0, tiles = 0;
  for (int64_t point = 0; point < space->points(); ++point) {
    const DesignPtr design = space->AtPoint(point);
    const SystolicConfig& c = SystolicConfigOf(*design);
    const int64_t rows = c.mesh_rows * c.tile_rows, cols = c.mesh_columns * c.tile_columns;
    const int64_t sp = int64_t{c.sp_capacity_kb} * 1024 / (c.sp_banks * cols);
    const int64_t acc = int64_t{c.acc_capacity_kb} * 1024 / (c.acc_banks * cols * 4);
    const bool tiles_hold = c.sp_banks * sp / rows - 2 >= c.acc_banks * acc / rows;
    const bool holds = rows == cols && cols >= 2 && power(cols) && power(sp) && sp % rows == 0 &&
                       acc > 0 && acc % rows == 0 && tiles_hold;
    EXPECT_EQ(design->Valid({}), holds) << design->ShortName();
    valid += holds ? 1 : 0;
    square += rows == cols ? 0 : 1;
    tiles += tiles_hold ? 0 : 1;
  }
  const DesignCount count = CountDesigns(*space, Systolic(), {});
  EXPECT_EQ(count.points, 11520);
  EXPECT_EQ(count.valid, valid);
  EXPECT_EQ(static_cast<int64_t>(space->ValidPoints({}).size()), valid);
  EXPECT_EQ(count.by_rule[static_cast<size_t>(SystolicRule::kSquare)], square);
  EXPECT_EQ(count.by_rule[static_cast<size_t>(SystolicRule::kTiles)], tiles);
  EXPECT_GT(valid, 1000);
  int64_t points = 0, bucket_valid = 0;
  for (const auto& [macs, bucket] : count.by_macs) {
    points += bucket.points;
    bucket_valid += bucket.valid;
    if (macs == 8 * 16) {
      EXPECT_EQ(bucket.valid, 0) << "8 x 16 is not square";
    }
  }
  EXPECT_EQ(points, count.points);
  EXPECT_EQ(bucket_valid, count.valid);
}

TEST(Systolic, SpacesPutTheDefaultOnTheirPlatform) {
  SpaceOptions options;
  options.bus_bits = 256;
  const std::unique_ptr<DesignSpace> space = std::move(*Systolic().FindSpace("systolic", options));
  EXPECT_EQ(space->Reference()->bus_bits(), 256);
  EXPECT_EQ(space->AtPoint(0)->bus_bits(), 256);
  EXPECT_FALSE(SystolicConfigOf(*space->Reference()).bound_by_bus);
  options.bus_bits = 0;
  const std::unique_ptr<DesignSpace> bound =
      std::move(*Systolic().FindSpace("systolic-bus", options));
  EXPECT_EQ(bound->points(), 4 * space->points());
  EXPECT_TRUE(SystolicConfigOf(*bound->Reference()).bound_by_bus);
  EXPECT_TRUE(SystolicConfigOf(*Systolic().DefaultBeside(*bound->AtPoint(0))).bound_by_bus);
  const Result<std::unique_ptr<DesignSpace>> none = Systolic().FindSpace("vta", {});
  ASSERT_FALSE(none.ok());
  EXPECT_NE(none.error().find("systolic systolic-bus"), std::string::npos) << none.error();
}

TEST(Systolic, FileForm) {
  SystolicConfig config = Square(32);
  config.bound_by_bus = true;
  config.acc_singleported = true;
  config.acc_sub_banks = 2;
  const Result<SystolicConfig> again = ParseSystolic(ToJson(config), "x.json");
  ASSERT_TRUE(again.ok()) << again.error();
  EXPECT_EQ(ToJson(*again), ToJson(config));
  const auto error = [](const std::string& text) {
    const Result<SystolicConfig> parsed = ParseSystolic(text, "x.json");
    return parsed.ok() ? std::string("accepted") : parsed.error();
  };
  EXPECT_EQ(error("{\"meshRows\": 16,\n\"meshColums\": 16}"),
            "x.json:2: unknown key \"meshColums\", did you mean \"meshColumns\"?");
  EXPECT_EQ(error("{\"meshRows\": 16}"),
            "x.json:1: missing key: meshColumns sp_capacity acc_capacity");
  EXPECT_EQ(error("{\"meshRows\": 0}"),
            "x.json:1: meshRows: found 0, expected an integer from 1 to 1024");
  EXPECT_EQ(error("{\"meshRows\": 1.5}"),
            "x.json:1: meshRows: found 1.5, expected an integer from 1 to 1024");
  EXPECT_EQ(error("{\"acc_singleported\": 1}"),
            "x.json:1: acc_singleported: found 1, expected true or false");
  EXPECT_EQ(error("{\"dataflow\": \"OS\"}"),
            "x.json:1: dataflow: found \"OS\", expected \"WS\" (weight-stationary)");
  EXPECT_EQ(error("{\"InterfaceBandwidth\": \"AUTO\"}"),
            "x.json:1: InterfaceBandwidth: found \"AUTO\", expected \"CALC\" or \"USER\"");
  EXPECT_EQ(error("[1]"),
            "x.json:1: found an array, expected an object of a systolic array's keys");
  EXPECT_NE(error("{"), "accepted");
}

TEST(Systolic, PresetsAreValidAndUnknownNamesSuggest) {
  for (const std::string& name : Systolic().PresetNames()) {
    const Result<DesignPtr> design = Systolic().Find(name);
    ASSERT_TRUE(design.ok()) << name;
    EXPECT_TRUE((*design)->Valid({})) << name;
    const Result<DesignPtr> again = Systolic().Parse((*design)->ToJson(), name);
    ASSERT_TRUE(again.ok()) << again.error();
    EXPECT_TRUE(SameDesign(**design, **again));
  }
  const Result<DesignPtr> unknown = Systolic().Find("scalesim-32");
  ASSERT_FALSE(unknown.ok());
  EXPECT_NE(unknown.error().find("did you mean \"scalesim-32x32\""), std::string::npos)
      << unknown.error();
}

TEST(Systolic, TopologyFiles) {
  std::string text =
      "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, "
      "Num Filter, Strides,\r\n";
  for (const Published& p : kResnet18) {
    text += std::string(p.name) + ", " + std::to_string(p.size) + "," + std::to_string(p.size);
    text += "," + std::to_string(p.filter) + "," + std::to_string(p.filter) + "," +
            std::to_string(p.channels) + "," + std::to_string(p.filters) + "," +
            std::to_string(p.stride) + ",\r\n";
  }
  EXPECT_TRUE(IsTopology(text));
  EXPECT_FALSE(IsTopology("id,c_in,c_out\n"));
  const Result<LayerFile> file = ParseTopology(text, "t.csv");
  ASSERT_TRUE(file.ok()) << file.error();
  ASSERT_EQ(file->rows.size(), std::size(kResnet18));
  for (size_t i = 0; i < file->rows.size(); ++i) {
    EXPECT_EQ(CostOf(ScaleSim32(), file->rows[i].layer).latency_cycles, kResnet18[i].cycles)
        << kResnet18[i].name;
  }
  const auto error = [](const std::string& line) {
    const Result<LayerFile> parsed = ParseTopology("Layer name\n" + line, "t.csv");
    return parsed.ok() ? std::string("accepted") : parsed.error();
  };
  EXPECT_EQ(error("a,8,8,3,3,4,4,1"), "accepted");
  EXPECT_EQ(error("a,8,8,3,3,4,4").compare(0, 23, "t.csv:2: found 7 fields"), 0);
  EXPECT_EQ(error("a,8,8,3,-3,4,4,1"),
            "t.csv:2: Filter Width: found \"-3\", expected an integer from 1 to 65535");
  EXPECT_EQ(error("a,8,8,3,3,4,4,0"),
            "t.csv:2: Strides: found \"0\", expected an integer from 1 to 65535");
  EXPECT_EQ(error("a,8,8,9,3,4,4,1"),
            "t.csv:2: the filter is larger than the map, expected at most 8x8");
  EXPECT_EQ(error(""), "t.csv: holds no layer");
}

TEST(Accelerators, FamiliesAndTheirSpacesHaveNamesOfTheirOwn) {
  std::vector<std::string> seen;
  for (const Accelerator* family : Accelerators()) {
    EXPECT_EQ(FindAccelerator(family->name()), family);
    for (const std::string& space : family->SpaceNames()) {
      EXPECT_EQ(FindAcceleratorOfSpace(space), family);
      EXPECT_EQ(std::find(seen.begin(), seen.end(), space), seen.end()) << space;
      seen.push_back(space);
      const Result<std::unique_ptr<DesignSpace>> found = family->FindSpace(space, {});
      ASSERT_TRUE(found.ok()) << found.error();
      EXPECT_TRUE((*found)->Reference()->Valid({})) << space;
    }
    EXPECT_TRUE(family->Find("default").ok());
  }
  EXPECT_EQ(FindAccelerator("tpu"), nullptr);
  EXPECT_EQ(FindAcceleratorOfSpace("tpu"), nullptr);
}

}  // namespace
}  // namespace rhnas::hw
