// Boards: the Vivado report comes out exactly, block RAMs as counted by hand, more never takes
// less.
#include <gtest/gtest.h>

#include "hw/space.h"
#include "hw/validity.h"

namespace rhnas::hw {
namespace {

BoardUse On(const char* board, const Config& config) {
  return EstimateBoardUse(config, *FindBoard(board));
}

// Vivado 2021.2, default VTA on xc7z020 at 100 MHz (OilyHand/vta-gemm-core).
TEST(Board, TheReportIsTheAnchor) {
  const BoardUse use = On("xc7z020", Config());
  EXPECT_EQ(use.lut, 19058);
  EXPECT_EQ(use.ff, 22258);
  EXPECT_EQ(use.bram36, 115.5);
  EXPECT_EQ(use.dsp, 220);
  EXPECT_EQ(use.uram, 0);
  EXPECT_EQ(use.multipliers_in_lut, 36);  // 256 multipliers, 220 slices
  EXPECT_TRUE(Check(Config(), {std::nullopt, FindBoard("xc7z020").value()}).ok);
}

TEST(Board, MultipliersGoToDspFirst) {
  // 360 slices: none is left for LUTs, and the LUTs of 36 multipliers are saved.
  const BoardUse zu3 = On("xczu3eg", Config());
  EXPECT_EQ(zu3.dsp, 256);
  EXPECT_EQ(zu3.multipliers_in_lut, 0);
  EXPECT_EQ(zu3.lut, 19058 - 36 * 64);
  EXPECT_EQ(zu3.ff, 22258);
  EXPECT_EQ(zu3.bram36, 115.5);
  // Three to a block of a Cyclone V.
  const BoardUse cyclone = On("5CSEBA6U23I7", Config());
  EXPECT_EQ(cyclone.dsp, 86);
  EXPECT_EQ(cyclone.multipliers_in_lut, 0);
  Config wide;
  wide.log_block_in = wide.log_block_out = 5;
  EXPECT_EQ(On("5CSEBA6U23I7", wide).dsp, 112);
  EXPECT_EQ(On("5CSEBA6U23I7", wide).multipliers_in_lut, 1024 - 336);
}

// Half blocks, by hand: width over the width of the shape that is deep enough.
TEST(Board, BlockRamsOfTheDefault) {
  Config config;
  const double all = On("xc7z020", config).bram36;
  // Weights 2048 x 1024: two banks of 1024 bits, 57 half blocks of 18 bits each.
  config.log_wgt_buff = 17;  // depth 512: 29 half blocks of 36 bits
  EXPECT_EQ(all - On("xc7z020", config).bram36, 2 * (57 - 29) / 2.0);
  config = Config();
  // Accumulators 512 x 2048: 57 half blocks of 9 bits; outputs 128 x 2048: 15.
  config.log_acc_buff = 16;  // depth 1024, 18 bits: 29 and 8
  EXPECT_EQ(all - On("xc7z020", config).bram36, (57 - 29) / 2.0 + (15 - 8) / 2.0);
  config = Config();
  config.log_inp_buff = 14;  // inputs 128 x 2048 -> 1024
  EXPECT_EQ(all - On("xc7z020", config).bram36, (15 - 8) / 2.0);
  config = Config();
  config.log_uop_buff = 14;  // micro-ops 32 x 8192: 16 of 2 bits -> 8 of 4
  EXPECT_EQ(all - On("xc7z020", config).bram36, (16 - 8) / 2.0);
  // M10K: 1024 words are 10 bits wide: two banks of 103 blocks; 512 words 20 bits: 52.
  config = Config();
  const double m10k = On("5CSEBA6U23I7", config).bram36;
  config.log_wgt_buff = 17;
  EXPECT_EQ(m10k - On("5CSEBA6U23I7", config).bram36, 2 * (103 - 52));
}

TEST(Board, LargeMemoriesMoveToUltraRam) {
  Config config;
  config.log_block_in = config.log_block_out = 5;
  config.log_wgt_buff = 20;  // eight banks would take 15 UltraRAMs each: more than there are
  config.log_acc_buff = 19;
  const BoardUse use = On("xczu7ev", config);
  EXPECT_EQ(use.uram, 15);  // the accumulators, 1024 bits x 4096
  EXPECT_LE(use.bram36, 312);
  EXPECT_GT(On("xczu3eg", config).bram36, 216);
  EXPECT_EQ(On("xczu3eg", config).uram, 0);
}

// One step more of a parameter never takes less of anything; block RAM and UltraRAM are counted
// together in bits, and not where a block grows at the same bytes: words get wider and fewer then.
TEST(Board, MoreNeverTakesLess) {
  const HwSpace space = *FindHwSpace("vta-wide");
  for (const std::string& name : BoardNames()) {
    const Board board = *FindBoard(name);
    for (int64_t point = 0; point < space.points(); point += 1009) {
      const Config config = space.At(point);
      const BoardUse use = EstimateBoardUse(config, board);
      for (int Config::*field : {&Config::log_batch, &Config::log_block_in, &Config::log_block_out,
                                 &Config::log_inp_buff, &Config::log_wgt_buff,
                                 &Config::log_acc_buff, &Config::log_uop_buff}) {
        Config larger = config;
        ++(larger.*field);
        const BoardUse more = EstimateBoardUse(larger, board);
        const std::string where = name + " " + ShortName(config) + " -> " + ShortName(larger);
        EXPECT_GE(more.lut, use.lut) << where;
        EXPECT_GE(more.ff, use.ff) << where;
        EXPECT_GE(more.dsp, use.dsp) << where;
        const bool block = field == &Config::log_batch || field == &Config::log_block_in ||
                           field == &Config::log_block_out;
        if (!block && board.uram == 0) {
          EXPECT_GE(more.bram36, use.bram36) << where;
        }
      }
      Config wider = config;
      wider.bus_bits = wider.dpi_data_bits = 2 * config.bus_bits;
      EXPECT_GT(EstimateBoardUse(wider, board).lut, use.lut) << ShortName(config);
    }
  }
}

// A wider element at the same depth: the buffer grows with the block.
TEST(Board, WiderMemoriesOfTheSameDepthTakeMore) {
  for (const char* name : {"xc7z020", "5CSEBA6U23I7"}) {
    Config config;
    double before = 0;
    for (int log = 3; log <= 6; ++log) {
      config.log_block_out = log;
      config.log_wgt_buff = 14 + log;
      config.log_acc_buff = 13 + log;
      const double blocks = On(name, config).bram36;
      EXPECT_GT(blocks, before) << name << " " << ShortName(config);
      before = blocks;
    }
  }
}

TEST(Board, VerdictsNameTheBoardsResources) {
  Config huge = *FindConfig("vta_config_be_huge");
  Limits limits;
  limits.board = *FindBoard("5CSEBA6U23I7");
  const Verdict verdict = Check(huge, limits);
  EXPECT_EQ(verdict.rule, Rule::kBoard);
  EXPECT_NE(verdict.ToString().find("ALMs"), std::string::npos) << verdict.ToString();
  EXPECT_EQ(FindBoard("5CSEBA6U23I").error().find("unknown board \"5CSEBA6U23I\", did you mean"),
            0u)
      << FindBoard("5CSEBA6U23I").error();
}

}  // namespace
}  // namespace rhnas::hw
