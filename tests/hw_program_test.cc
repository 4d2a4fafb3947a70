// The property behind every cost: a layer's program computes the layer. Random (layer,
// configuration, tiling, instruction set, shift) cases are lowered, encoded, decoded, executed in
// an adversarial order and compared with the integer reference bit for bit.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>

#include "hw/execute.h"
#include "hw/layer_file.h"
#include "hw/layer_text.h"
#include "hw/lower.h"
#include "hw/reference.h"
#include "hw/validity.h"

namespace rhnas::hw {
namespace {

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15u + 0x1234567) {}
  uint64_t Next() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_ >> 11;
  }
  // In [low, high].
  int In(int low, int high) {
    return low + static_cast<int>(Next() % static_cast<uint64_t>(high - low + 1));
  }
  bool OneIn(int n) { return Next() % static_cast<uint64_t>(n) == 0; }

 private:
  uint64_t state_;
};

// A case in full: what a failure prints.
struct Case {
  uint64_t seed = 0;
  std::vector<Layer> chain;
  Config config;
  Tiling tiling;
  LowerOptions options;
  ExecuteOptions execute;
  std::string Text() const {
    return "seed " + std::to_string(seed) + ": " + ChainText(chain) + " on " + ShortName(config) +
           (config.clp ? " clp" : "") + " restrict " +
           std::to_string(config.log_inp_factor_restrict) +
           std::to_string(config.log_wgt_factor_restrict) +
           std::to_string(config.log_acc_factor_restrict) +
           (options.isa == Isa::kStock ? " stock" : " extended") + " tiling " + tiling.ToString() +
           " shift " + std::to_string(options.shift) + " order " +
           std::to_string(static_cast<int>(execute.order));
  }
};

Config RandomConfig(Random* random) {
  for (;;) {
    Config config;
    config.log_batch = random->OneIn(2) ? 0 : random->In(0, 2);
    config.log_block_in = random->In(1, 5);
    config.log_block_out = random->OneIn(2) ? config.log_block_in : random->In(1, 5);
    config.log_uop_buff = random->In(7, 13);
    config.log_inp_buff = random->In(8, 14);
    config.log_wgt_buff = random->In(8, 16);
    config.log_acc_buff = random->In(9, 16);
    config.log_inp_factor_restrict = random->OneIn(8) ? 1 : 0;
    config.log_wgt_factor_restrict = random->OneIn(8) ? 1 : 0;
    config.log_acc_factor_restrict = random->OneIn(8) ? 1 : 0;
    config.bus_bits = 64 << random->In(0, 2);
    config.dpi_data_bits = config.bus_bits;
    config.vme_tag_bits = TagBitsNeeded(config);
    config.clp = !random->OneIn(3);
    if (Check(config).ok) return config;
  }
}

Layer RandomLayer(Random* random) {
  Layer layer;
  layer.kind = static_cast<LayerKind>(random->OneIn(2) ? 0 : random->In(0, 7));
  layer.n = random->OneIn(3) ? random->In(1, 5) : 1;
  layer.h = random->In(1, 12);
  layer.w = random->OneIn(2) ? layer.h : random->In(1, 12);
  layer.c = layer.k = random->In(1, random->OneIn(4) ? 70 : 40);
  layer.relu = !random->OneIn(3);
  layer.bias = !random->OneIn(4);
  const bool conv = layer.kind == LayerKind::kConv;
  if (conv || layer.kind == LayerKind::kMaxPool || layer.kind == LayerKind::kAvgPool) {
    layer.r = random->In(1, 5);
    layer.s = random->OneIn(4) ? random->In(1, 5) : layer.r;
    layer.stride = random->In(1, 3);
    layer.pad = random->OneIn(2) ? layer.r / 2 : random->In(0, 4);
    layer.h = std::max(layer.h, layer.r - 2 * layer.pad);
    layer.w = std::max(layer.w, layer.s - 2 * layer.pad);
  }
  if (conv) {
    layer.k = random->In(1, random->OneIn(4) ? 70 : 40);
    const int shape = random->In(0, 5);
    if (shape == 0) {
      layer.k = layer.groups = layer.c = std::max(layer.c, 2);
    } else if (shape == 1) {
      layer.groups = random->In(2, 4);
      layer.c = layer.groups * random->In(1, 16);
      layer.k = layer.groups * random->In(1, 16);
    } else if (shape == 2) {
      layer.groups = 2;
      layer.c = 2 * 16 * random->In(1, 2);
      layer.k = 2 * 16 * random->In(1, 2);
    }
  }
  if (layer.kind == LayerKind::kDense) {
    layer.k = random->In(1, 70);
    if (random->OneIn(2)) layer.h = layer.w = 1;
  }
  if (layer.kind == LayerKind::kShuffle) {
    layer.groups = random->In(1, 5);
    layer.c = layer.k = layer.groups * random->In(1, 14);
  }
  return layer;
}

// One or two layers more that may run on the accumulators of the first (hw/chain.h).
void ExtendChain(Random* random, std::vector<Layer>* chain) {
  const auto next = [&](LayerKind kind) {
    const Layer& last = chain->back();
    Layer layer;
    layer.kind = kind;
    layer.chained = true;
    layer.n = last.n;
    layer.h = last.oh();
    layer.w = last.ow();
    layer.c = layer.k =
        last.kind == LayerKind::kConv || last.kind == LayerKind::kDense ? last.k : last.c;
    layer.relu = !random->OneIn(3);
    return layer;
  };
  if (chain->back().kind == LayerKind::kConv && !chain->back().depthwise() && random->OneIn(4)) {
    Layer layer = next(LayerKind::kShuffle);
    layer.groups = random->In(1, 4);
    while (layer.c % layer.groups != 0) --layer.groups;
    chain->push_back(layer);
  }
  if (chain->front().kind == LayerKind::kConv && !random->OneIn(4)) {
    static constexpr LayerKind kWindows[] = {LayerKind::kConv, LayerKind::kConv,
                                             LayerKind::kMaxPool, LayerKind::kAvgPool,
                                             LayerKind::kGlobalAvgPool};
    Layer layer = next(kWindows[random->In(0, 4)]);
    if (layer.kind == LayerKind::kConv) layer.groups = layer.c;
    if (layer.kind != LayerKind::kGlobalAvgPool) {
      layer.pad = random->In(0, 2);
      layer.r = std::min(random->In(1, 4), layer.h + 2 * layer.pad);
      layer.s = random->OneIn(4) ? 1 : std::min(layer.r, layer.w + 2 * layer.pad);
      layer.stride = random->In(1, 2);
    }
    if (layer.kind != LayerKind::kConv || layer.groups > 1) chain->push_back(layer);
  }
  if (chain->back().kind != LayerKind::kGlobalAvgPool && chain->size() < 3 && random->OneIn(2)) {
    chain->push_back(next(LayerKind::kAdd));
  }
}

Case RandomCase(uint64_t seed) {
  Random random(seed);
  Case c;
  c.seed = seed;
  c.config = RandomConfig(&random);
  const Layer layer = RandomLayer(&random);
  c.chain = {layer};
  const bool chained =
      (layer.kind == LayerKind::kConv || layer.kind == LayerKind::kDense) && random.OneIn(3);
  if (chained) ExtendChain(&random, &c.chain);
  c.options.isa = c.config.log_batch == 0 && random.OneIn(2) ? Isa::kStock : Isa::kExtended;
  c.options.shift = random.OneIn(4) ? random.In(0, 12) : 4;
  const bool global = layer.kind == LayerKind::kGlobalAvgPool;
  c.tiling.th = random.In(1, global ? 1 : layer.oh());
  c.tiling.tw = random.In(1, global ? 1 : layer.ow());
  c.tiling.tco = random.In(1, 5);
  c.tiling.tci = random.In(1, 5);
  c.tiling.vthreads = random.In(1, 2);
  c.tiling.stationary = static_cast<Stationary>(random.In(0, 2));
  c.tiling.on_alu = layer.depthwise() && c.options.isa == Isa::kExtended && random.OneIn(2);
  c.tiling.split_rows = layer.kind == LayerKind::kConv && layer.r > 1 && random.OneIn(6);
  c.execute.order = static_cast<ExecuteOptions::Order>(random.In(0, 3));
  c.execute.seed = seed;
  return c;
}

// What became of a case: "" when it holds, "does not fit" when no program exists, else a failure.
constexpr char kUnfit[] = "does not fit";

std::string Differences(const std::vector<int8_t>& have, const std::vector<int8_t>& need,
                        const Layer& last) {
  if (have.size() != need.size()) {
    return "output has " + std::to_string(have.size()) + " values, need " +
           std::to_string(need.size());
  }
  size_t count = 0, first = 0;
  for (size_t i = have.size(); i-- > 0;) {
    if (have[i] == need[i]) continue;
    ++count;
    first = i;
  }
  if (count == 0) return "";
  const bool global = last.kind == LayerKind::kGlobalAvgPool;
  const auto w = static_cast<size_t>(global ? 1 : last.ow());
  const auto pixels = w * static_cast<size_t>(global ? 1 : last.oh());
  return std::to_string(count) + " of " + std::to_string(need.size()) +
         " outputs differ, the first at image*channel " + std::to_string(first / pixels) + " row " +
         std::to_string(first % pixels / w) + " column " + std::to_string(first % w) + ": " +
         std::to_string(have[first]) + ", need " + std::to_string(need[first]);
}

// A tile that does not fit becomes smaller, a few times.
bool Fit(Case* c, LoweredProgram* lowered) {
  for (int tries = 0;; ++tries) {
    if (LowerChain(c->chain, c->config, c->tiling, c->options, lowered, nullptr)) return true;
    if (tries == 5) return false;
    Tiling& t = c->tiling;
    int* const largest = std::max({&t.th, &t.tw, &t.tco, &t.tci},
                                  [](const int* a, const int* b) { return *a < *b; });
    *largest = (*largest + 1) / 2;
    if (tries == 3) t = {1, 1, 1, 1, t.vthreads, Stationary::kNone, t.on_alu, t.split_rows};
    if (tries == 4) t.vthreads = 1;
  }
}

std::string Try(Case* fitted, ExecuteReport* report) {
  const Case& c = *fitted;
  LoweredProgram lowered;
  std::string why;
  if (!Fit(fitted, &lowered)) return kUnfit;
  Program& program = lowered.program;
  const Encoding encoding(program.config, program.isa);
  for (size_t i = 0; i < program.instructions.size(); ++i) {
    Word128 word;
    if (!Encode(encoding, program.instructions[i], &word, &why) ||
        !Decode(encoding, word, &program.instructions[i], &why)) {
      return "instruction " + std::to_string(i) + ": " + why;
    }
  }
  for (size_t i = 0; i < program.uops.size(); ++i) {
    uint64_t word = 0;
    if (!EncodeMicroOp(encoding, program.uops[i], &word, &why)) {
      return "micro-op " + std::to_string(i) + ": " + why;
    }
    program.uops[i] = DecodeMicroOp(encoding, word);
  }
  const Operands operands = RandomOperands(c.chain, c.options.shift, c.seed);
  DramImage image = EmptyImage(program);
  if (!PackOperands(lowered, operands, &image, &why)) return "packing: " + why;
  // What no store writes stays visible.
  for (uint8_t& byte : image.region[4]) byte = 0x5a;
  const Result<ExecuteReport> ran = Execute(program, &image, c.execute);
  if (!ran.ok()) return ran.error();
  *report = *ran;
  std::vector<int8_t> need;
  if (!Reference(c.chain, operands, c.options.shift, &need, &why)) return "reference: " + why;
  return Differences(UnpackOutput(lowered, image), need, c.chain.back());
}

// "conv+max-pool".
std::string Kinds(const std::vector<Layer>& chain) {
  std::string text;
  for (const Layer& layer : chain) {
    if (!text.empty()) text += "+";
    text += LayerKindText(layer);
  }
  return text;
}

// Seeds [first, last): each failure with its case; no more than ten are printed.
void RunSeeds(uint64_t first, uint64_t last, double least_fitting) {
  int failures = 0, fitting = 0;
  std::map<std::string, int> kinds;
  for (uint64_t seed = first; seed < last && failures < 10; ++seed) {
    Case c = RandomCase(seed);
    ExecuteReport report;
    const std::string error = Try(&c, &report);
    if (error == kUnfit) continue;
    ++fitting;
    ++kinds[Kinds(c.chain) + (c.chain.size() > 1      ? ""
                              : c.tiling.on_alu       ? " on the ALU"
                              : c.chain[0].groups > 1 ? " in groups"
                                                      : "")];
    if (error.empty()) continue;
    ++failures;
    ADD_FAILURE() << c.Text() << "\n  " << error;
  }
  if (failures > 0) return;
  EXPECT_GE(fitting, least_fitting * static_cast<double>(last - first));
  for (const auto& [kind, count] : kinds) {
    EXPECT_GE(count, kind.find('+') == std::string::npos ? 8 : 1) << kind;
    if (std::getenv("RHNAS_VERBOSE") != nullptr) std::printf("%s: %d\n", kind.c_str(), count);
  }
  EXPECT_GE(kinds.size(), 18u);
}

// docs/PROGRAMS.md: only windows on the ALU have immediate operations whose source is not their
// destination, which the unpipelined ALU would take for something else. Said of micro-ops as
// loaded: lowered programs load all of them once, at 0.
TEST(Programs, OnlyWindowsOnTheAluReadASourceApart) {
  int windows = 0, plain = 0;
  for (uint64_t seed = 0; seed < 600; ++seed) {
    Case c = RandomCase(seed);
    LoweredProgram lowered;
    if (!Fit(&c, &lowered)) continue;
    const Program& program = lowered.program;
    const Encoding encoding(program.config, program.isa);
    bool apart = false;
    for (const Instruction& in : program.instructions) {
      if (in.op != Opcode::kAlu || !in.use_imm) continue;
      apart |= (in.lp0 > 1 && in.acc_0 != in.inp_0) || (in.lp1 > 1 && in.acc_1 != in.inp_1);
      for (uint32_t u = in.uop_begin; u < in.uop_end; ++u) {
        const MicroOp& uop = program.uops[u];
        apart |= uop.acc != uop.inp + (uop.wgt << encoding.inp_index);
      }
    }
    const bool window = lowered.work.engine != Work::Engine::kArray;
    ++(window ? windows : plain);
    if (apart) {
      EXPECT_TRUE(window) << c.Text();
    }
  }
  EXPECT_GT(windows, 20);
  EXPECT_GT(plain, 200);
}

// RHNAS_SEED=N repeats one case.
TEST(Programs, ComputeTheirLayers) {
  if (const char* seed = std::getenv("RHNAS_SEED")) {
    const auto n = static_cast<uint64_t>(std::strtoull(seed, nullptr, 10));
    ExecuteReport report;
    Case c = RandomCase(n);
    EXPECT_EQ(Try(&c, &report), "") << c.Text();
    return;
  }
  RunSeeds(0, 2000, 0.7);
}

TEST(SlowPrograms, ComputeTheirLayers) { RunSeeds(100000, 130000, 0.7); }

}  // namespace
}  // namespace rhnas::hw
