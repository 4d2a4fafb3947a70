// The scheduler: the measured programs again, word for word; what fits lowers and what lowers fits;
// counts made without a program equal the program's. That programs compute their layers is tested
// in hw_program_test.cc.
#include "hw/lower.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "hw/chain.h"
#include "hw/layer_file.h"
#include "hw/layer_text.h"
#include "hw/micro_ops.h"
#include "hw/program_activity.h"
#include "hw/schedule.h"
#include "hw/tiling_activity.h"

namespace rhnas::hw {
namespace {

bool ReadWords(const std::string& path, std::vector<Word128>* words) {
  FILE* pipe = popen(("xz -dc '" + path + "' 2>/dev/null").c_str(), "r");
  if (pipe == nullptr) return false;
  unsigned long long high = 0, low = 0;
  words->clear();
  while (std::fscanf(pipe, "%llx %llx", &high, &low) == 2) words->push_back(Word128{low, high});
  return pclose(pipe) == 0 && !words->empty();
}

// The 70 streams that ran on RTL (facts: data/vta-rtl): tile, order, tokens, addresses, all bits.
TEST(Lower, EqualsMeasuredProgramsBitForBit) {
  const char* shared = std::getenv("RHNAS_SHARED");
  if (shared == nullptr) GTEST_SKIP() << "set RHNAS_SHARED to the folder that holds vta-rtl/";
  const std::string folder = std::string(shared) + "/vta-rtl/";
  std::ifstream file(folder + "vta_rtl_cycles.csv");
  if (!file) GTEST_SKIP() << folder << "vta_rtl_cycles.csv is absent";
  std::stringstream text;
  text << file.rdbuf();
  const Result<LayerFile> rows = ParseLayerFile(text.str(), "vta_rtl_cycles.csv");
  ASSERT_TRUE(rows.ok());
  ASSERT_EQ(rows.value().rows.size(), 70u);
  const Config config;
  const Encoding encoding(config, Isa::kStock);
  for (const LayerRow& row : rows.value().rows) {
    LoweredProgram lowered;
    std::string why;
    ASSERT_TRUE(Lower(row.layer, config, row.tiling, {Isa::kStock, 4}, &lowered, &why)) << why;
    std::vector<Word128> words;
    if (!ReadWords(folder + "programs/" + row.layer.name + ".hex.xz", &words)) {
      GTEST_SKIP() << "cannot unpack " << folder << "programs/" << row.layer.name << ".hex.xz";
    }
    ASSERT_EQ(lowered.program.instructions.size(), words.size()) << row.layer.name;
    for (size_t i = 0; i < words.size(); ++i) {
      Word128 word;
      ASSERT_TRUE(Encode(encoding, lowered.program.instructions[i], &word, &why)) << why;
      ASSERT_TRUE(word.low == words[i].low && word.high == words[i].high)
          << row.layer.name << " instruction " << i;
    }
  }
}

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15u + 0x2545f49) {}
  // In [low, high].
  int In(int low, int high) {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return low + static_cast<int>((state_ >> 33) % static_cast<uint64_t>(high - low + 1));
  }
  bool OneIn(int n) { return In(1, n) == 1; }

 private:
  uint64_t state_;
};

struct Case {
  std::vector<Layer> chain;
  Config config;
  Tiling tiling;
  Isa isa = Isa::kExtended;
};

// A first layer of any kind with shapes that divide nothing; a convolution or a dense layer may
// have others behind it.
std::vector<Layer> RandomChain(Random* random, int unit) {
  Layer first;
  first.name = "layer";
  first.kind = static_cast<LayerKind>(random->OneIn(2) ? 0 : random->In(0, 7));
  const LayerKind kind = first.kind;
  const bool conv = kind == LayerKind::kConv;
  const bool pool = kind == LayerKind::kMaxPool || kind == LayerKind::kAvgPool;
  first.n = random->OneIn(3) ? random->In(1, 4) : 1;
  first.h = random->In(1, 10);
  first.w = random->In(1, 10);
  first.c = first.k = random->In(1, 24);
  first.bias = random->OneIn(2);
  first.relu = random->OneIn(2);
  if (conv || kind == LayerKind::kDense) first.k = random->In(1, 24);
  if (conv || pool) {
    first.r = random->In(1, 4);
    first.s = random->OneIn(3) ? random->In(1, 4) : first.r;
    first.stride = random->In(1, 3);
    first.pad = random->In(0, std::min(first.r, first.s) - 1);
    first.h = std::max(first.h, first.r);
    first.w = std::max(first.w, first.s);
  }
  if (kind == LayerKind::kDense && random->OneIn(2)) first.h = first.w = 1;
  if (conv && random->OneIn(2)) {
    const int groups = random->In(2, 4);
    const int each = random->OneIn(2) ? unit : random->In(1, 6);
    first.groups = groups;
    first.c = groups * each;
    first.k = groups * (random->OneIn(2) ? each : random->In(1, 2) * unit);
    if (random->OneIn(3)) first.groups = first.k = first.c;
  }
  if (kind == LayerKind::kShuffle) {
    first.groups = random->In(1, 4);
    first.c = first.k = first.groups * random->In(1, 9);
  }
  std::vector<Layer> chain = {first};
  if (!conv && kind != LayerKind::kDense) return chain;
  Layer next;
  next.chained = true;
  next.n = first.n;
  next.h = conv ? first.oh() : first.h;
  next.w = conv ? first.ow() : first.w;
  next.c = next.k = first.k;
  if (conv && !first.depthwise() && random->OneIn(4)) {
    next.kind = LayerKind::kShuffle;
    next.groups = next.c % 3 == 0 ? 3 : 1;
    chain.push_back(next);
    next.groups = 1;
  }
  if (conv && random->OneIn(2)) {
    constexpr LayerKind kWindows[] = {LayerKind::kConv, LayerKind::kMaxPool, LayerKind::kAvgPool,
                                      LayerKind::kGlobalAvgPool};
    Layer window = next;
    window.kind = kWindows[random->In(0, next.c > 1 ? 3 : 2)];
    if (window.kind == LayerKind::kConv) window.groups = window.c;
    if (window.kind == LayerKind::kConv && next.c == 1) return chain;
    if (window.kind != LayerKind::kGlobalAvgPool) {
      window.r = random->In(1, std::min(4, next.h));
      window.s = random->In(1, std::min(4, next.w));
      window.stride = random->In(1, 2);
      window.pad = random->In(0, std::min(window.r, window.s) - 1);
    }
    window.relu = random->OneIn(2);
    chain.push_back(window);
    const bool global = window.kind == LayerKind::kGlobalAvgPool;
    next.h = global ? 1 : window.oh();
    next.w = global ? 1 : window.ow();
  }
  if (chain.size() < 3 && random->OneIn(2)) {
    next.kind = LayerKind::kAdd;
    chain.push_back(next);
  }
  return chain;
}

Case RandomCase(uint64_t seed) {
  Random random(seed);
  Case c;
  Config& config = c.config;
  c.isa = random.OneIn(4) ? Isa::kStock : Isa::kExtended;
  config.clp = !random.OneIn(3);
  config.log_batch = c.isa == Isa::kExtended && random.OneIn(3) ? random.In(1, 2) : 0;
  config.log_block_in = random.In(1, 3);
  config.log_block_out = random.OneIn(2) ? config.log_block_in : random.In(1, 3);
  config.log_inp_buff = random.In(5, 10) + config.log_batch + config.log_block_in;
  config.log_wgt_buff = random.In(4, 9) + config.log_block_in + config.log_block_out;
  config.log_acc_buff = random.In(5, 10) + config.log_batch + config.log_block_out + 2;
  config.log_uop_buff = random.In(6, 12) + 2;
  if (random.OneIn(4)) config.log_acc_factor_restrict = random.In(0, 2);
  if (random.OneIn(4)) config.log_inp_factor_restrict = random.In(0, 2);
  c.chain = RandomChain(&random, 1 << std::max(config.log_block_in, config.log_block_out));
  Tiling& t = c.tiling;
  t.th = random.In(1, 9);
  t.tw = random.In(1, 9);
  t.tco = random.In(1, 4);
  t.tci = random.In(1, 4);
  t.vthreads = random.In(1, 2);
  t.stationary = static_cast<Stationary>(random.OneIn(2) ? 0 : random.In(1, 2));
  t.on_alu = c.chain.size() == 1 && c.chain[0].depthwise() && random.OneIn(2);
  t.split_rows = random.OneIn(4);
  return c;
}

// The work that Lower takes, and whether the tiling, clipped to it, fits.
bool FitsAlone(const Case& c, Tiling* tiling, Machine* machine) {
  const Config config = ConfigFor(c.config, c.isa);
  Work work;
  if (!MakeChainWork(c.chain.data(), static_cast<int>(c.chain.size()), config, &work, nullptr)) {
    return false;
  }
  *tiling = c.tiling;
  if (tiling->on_alu && !config.clp) return false;
  if (tiling->split_rows && !Splits(work)) return false;
  if (tiling->on_alu) {
    if (tiling->split_rows) return false;
    work = OnAlu(work);
  }
  if (tiling->split_rows) work = SplitRows(work);
  tiling->th = std::min(tiling->th, work.rows);
  tiling->tw = std::min(tiling->tw, work.cols);
  tiling->tco = std::min(tiling->tco, work.out_units);
  tiling->tci = std::min(tiling->tci, work.in_units);
  *machine = Machine(work, config, MemoryModel::kQueued);
  const PixelCut rows = CutRows(work, tiling->th), cols = CutCols(work, tiling->tw);
  return Fits(*machine, *tiling, Measure(*machine, *tiling, rows, cols), nullptr);
}

struct Field {
  const char* name;
  int64_t Activity::*count;
};
constexpr Field kFields[] = {{"instructions", &Activity::instructions},
                             {"macs", &Activity::macs},
                             {"alu_ops", &Activity::alu_ops},
                             {"alu_multiplies", &Activity::alu_multiplies},
                             {"inp_read_bytes", &Activity::inp_read_bytes},
                             {"inp_write_bytes", &Activity::inp_write_bytes},
                             {"wgt_read_bytes", &Activity::wgt_read_bytes},
                             {"wgt_write_bytes", &Activity::wgt_write_bytes},
                             {"acc_read_bytes", &Activity::acc_read_bytes},
                             {"acc_write_bytes", &Activity::acc_write_bytes},
                             {"out_read_bytes", &Activity::out_read_bytes},
                             {"out_write_bytes", &Activity::out_write_bytes},
                             {"uop_read_bytes", &Activity::uop_read_bytes},
                             {"uop_write_bytes", &Activity::uop_write_bytes},
                             {"dram_inp_bytes", &Activity::dram_inp_bytes},
                             {"dram_wgt_bytes", &Activity::dram_wgt_bytes},
                             {"dram_acc_bytes", &Activity::dram_acc_bytes},
                             {"dram_uop_bytes", &Activity::dram_uop_bytes},
                             {"dram_out_bytes", &Activity::dram_out_bytes},
                             {"dram_instruction_bytes", &Activity::dram_instruction_bytes}};

TEST(Lower, FitsWhatLowersAndCountsWhatItDoes) {
  int lowered_count = 0, refused = 0, windows = 0, chains = 0;
  for (uint64_t seed = 1; seed <= 8000; ++seed) {
    const Case c = RandomCase(seed);
    const std::string text = "seed " + std::to_string(seed) + ": " + ChainText(c.chain) + " " +
                             c.tiling.ToString() + " on " + ShortName(c.config);
    Tiling tiling;
    Machine machine(Work(), c.config, MemoryModel::kQueued);
    const bool fits = FitsAlone(c, &tiling, &machine);
    LoweredProgram lowered;
    std::string why;
    const bool lowers = LowerChain(c.chain, c.config, c.tiling, {c.isa, 4}, &lowered, &why);
    ASSERT_EQ(fits, lowers) << text << ": " << why;
    if (!lowers) {
      EXPECT_FALSE(why.empty()) << text;
      ++refused;
      continue;
    }
    ++lowered_count;
    chains += c.chain.size() > 1 ? 1 : 0;
    windows += lowered.work.engine != Work::Engine::kArray ? 1 : 0;
    EXPECT_EQ(lowered.tiling.ToString(), tiling.ToString()) << text;
    const TileLayout layout(machine.work, tiling);
    const MicroOpPlan plan =
        PlanMicroOps(machine.work, machine.config, tiling, layout, machine.uop_depth);
    ASSERT_EQ(static_cast<int64_t>(lowered.program.uops.size()), plan.total) << text;
    const Activity have = CountActivity(machine, tiling);
    const Activity need = CountActivity(lowered.program);
    for (const Field& field : kFields) {
      ASSERT_EQ(have.*field.count, need.*field.count) << field.name << ", " << text;
    }
  }
  EXPECT_GT(lowered_count, 2000);
  EXPECT_GT(refused, 1000);
  EXPECT_GT(chains, 500);
  EXPECT_GT(windows, 300);
}

TEST(Lower, SaysWhatDoesNotFit) {
  Layer layer;
  layer.name = "conv1";
  layer.h = layer.w = 224;
  layer.c = layer.k = 64;
  layer.r = layer.s = 3;
  layer.pad = 1;
  const auto why = [&layer](const Config& config, const Tiling& tiling, Isa isa) {
    LoweredProgram lowered;
    std::string text;
    EXPECT_FALSE(Lower(layer, config, tiling, {isa, 4}, &lowered, &text));
    return text;
  };
  Tiling tiling;
  EXPECT_EQ(why(Config(), tiling, Isa::kStock),
            "layer conv1 with tiling 1x1 co1 ci1 vt1: instructions of a launch: need more than "
            "262144, have 262144 (4 MiB)");
  tiling.th = tiling.tw = 64;
  EXPECT_EQ(why(Config(), tiling, Isa::kStock),
            "layer conv1 with tiling 64x64 co1 ci1 vt1: accumulator scratchpad elements: need "
            "4097, have 2048");
  tiling.th = 0;
  EXPECT_EQ(why(Config(), tiling, Isa::kStock), "layer conv1: tile sizes start at 1");
  tiling.th = tiling.tw = 8;
  Config batched;
  batched.log_batch = 1;
  EXPECT_EQ(why(batched, tiling, Isa::kStock),
            "layer conv1 with tiling 8x8 co1 ci1 vt1: BATCH 2: the stock ALU works on one image "
            "at a time");
  layer.groups = 3;
  EXPECT_EQ(why(Config(), tiling, Isa::kExtended),
            "layer conv1: 3 groups do not divide 64 to 64 channels");
  // More tiles than can be listed: told at once.
  layer.groups = 1;
  layer.w = 1;
  layer.n = layer.h = 65535;
  layer.c = layer.k = 16;
  layer.r = layer.s = 1;
  layer.pad = 0;
  tiling.th = tiling.tw = 1;
  EXPECT_NE(why(Config(), tiling, Isa::kExtended).find("instructions of a launch: need more"),
            std::string::npos);
}

}  // namespace
}  // namespace rhnas::hw
