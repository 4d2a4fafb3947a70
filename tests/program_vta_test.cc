// rhnas program as its users meet it: make, list, run, check and time programs; bad input.
#include "tests/program_cli.h"

namespace rhnas {
namespace {

constexpr char kConv[] = "conv 32x8x8 -> 32 k3 p1";

TEST_F(Cli, ProgramsAreWrittenRunAndTimed) {
  const Outcome made = Run({"program", "--layer", kConv, "--hw", "rtl", "--out", "p.vta", "--check",
                            "--time", "--json"});
  ASSERT_EQ(made.code, 0) << made.err;
  const hw::Json made_json = ParseOrFail(made.out);
  EXPECT_EQ(Keys(made_json),
            (std::vector<std::string>{"title", "layers", "tiling", "shift", "isa", "hw_name",
                                      "instructions", "micro_ops", "counts", "regions", "tensors",
                                      "executed", "checked", "time", "written"}));
  EXPECT_EQ(made_json.Find("isa")->string, "stock");
  EXPECT_TRUE(made_json.Find("checked")->boolean);
  const int64_t cycles = made_json.Find("time")->Find("cycles")->integer_value;
  EXPECT_GT(cycles, 9 * 4 * 64);  // its multiplies alone
  EXPECT_GE(fs::file_size(dir_ + "/p.vta"),
            96 + 16 * static_cast<size_t>(NumberAt(made_json, "instructions")));

  // The file says all that is needed, whatever unit goes first.
  const std::string hash = made_json.Find("executed")->Find("output_fnv1a")->string;
  for (const char* order : {"load", "compute", "store", "random"}) {
    const Outcome run =
        Run({"program", "--run", "p.vta", "--check", "--time", "--order", order, "--json"});
    ASSERT_EQ(run.code, 0) << run.err;
    const hw::Json json = ParseOrFail(run.out);
    EXPECT_TRUE(json.Find("checked")->boolean);
    EXPECT_EQ(json.Find("executed")->Find("output_fnv1a")->string, hash) << order;
    EXPECT_EQ(json.Find("time")->Find("cycles")->integer_value, cycles);
  }
  EXPECT_NE(Run({"program", "--run", "p.vta", "--seed", "2"}).out,
            Run({"program", "--run", "p.vta", "--seed", "3"}).out);

  // As hex text: the same instructions, the same time.
  ASSERT_EQ(Run({"program", "--run", "p.vta", "--out", "p.hex", "--hex"}).code, 0);
  const std::string hex = ReadAll(dir_ + "/p.hex");
  EXPECT_EQ(std::count(hex.begin(), hex.end(), '\n'),
            static_cast<int64_t>(NumberAt(made_json, "instructions")));
  EXPECT_EQ(hex.find('\n'), 33u);
  const Outcome timed = Run({"program", "--run", "p.hex", "--hw", "rtl", "--time", "--json"});
  EXPECT_EQ(ParseOrFail(timed.out).Find("time")->Find("cycles")->integer_value, cycles);

  const Outcome listing = Run({"program", "--run", "p.vta", "--text"});
  EXPECT_NE(listing.out.find("FINISH\n"), std::string::npos);
  EXPECT_NE(listing.out.find("; weights"), std::string::npos);
}

TEST_F(Cli, ProgramsTakeAndGiveData) {
  // 1 x 1 filter of 2 on channel 0, 0 elsewhere; bias 16; shift 1.
  std::string input(16 * 4, '\0'), weights(16 * 16, '\0'), bias(16 * 4, '\0');
  for (size_t i = 0; i < 4; ++i) input[i] = static_cast<char>(10 * (i + 1));
  weights[0] = 2;
  bias[0] = 16;
  std::ofstream(dir_ + "/in", std::ios::binary) << input;
  std::ofstream(dir_ + "/w", std::ios::binary) << weights;
  std::ofstream(dir_ + "/b", std::ios::binary) << bias;
  const std::vector<std::string> words = {"program", "--layer",   "conv 16x2x2 -> 16",
                                          "--shift", "1",         "--input",
                                          "in",      "--weights", "w",
                                          "--bias",  "b",         "--output",
                                          "out",     "--dump",    "dram",
                                          "--check"};
  const Outcome run = Run(words);
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_EQ(ReadAll(dir_ + "/out").substr(0, 5), std::string("\x12\x1c\x26\x30\x00", 5));
  // DRAM holds pixels of 16 channels.
  EXPECT_EQ(ReadAll(dir_ + "/dram.inp")[16], 20);
  EXPECT_EQ(ReadAll(dir_ + "/dram.out")[16], 28);
  EXPECT_EQ(ReadAll(dir_ + "/dram.acc").size(), 64u);
  const Outcome wrong =
      Run({"program", "--layer", "conv 16x2x3 -> 16", "--input", "in", "--check"});
  EXPECT_EQ(wrong.code, 1);
  EXPECT_EQ(wrong.err, "rhnas program: in: found 64 bytes, expected 96 of the input\n");
}

TEST_F(Cli, ProgramsOfNetworksAndChains) {
  for (const char* layer :
       {"fbnet-a:stem", "conv 24x8x8 -> 48 k1 + depthwise 48x8x8 k3 p1 + add 48x8x8",
        "depthwise 40x9x9 k3 s2 p1", "max-pool 24x9x9 k3 s2 p1", "global-pool 40x7x7",
        "conv-1x8x8x16-k32-3x3-s1-p1-g1-b-relu"}) {
    const Outcome run = Run({"program", "--layer", layer, "--check", "--json"});
    ASSERT_EQ(run.code, 0) << layer << ": " << run.err;
    EXPECT_TRUE(ParseOrFail(run.out).Find("checked")->boolean) << layer;
  }
}

TEST_F(Cli, BadProgramsAreOneLineAndWriteNothing) {
  ASSERT_EQ(Run({"program", "--layer", kConv, "--out", "p.vta"}).code, 0);
  const std::string good = ReadAll(dir_ + "/p.vta");
  std::ofstream(dir_ + "/cut.vta", std::ios::binary) << good.substr(0, good.size() - 20);
  std::string flipped = good;
  flipped[good.size() - 100] = static_cast<char>(flipped[good.size() - 100] ^ 4);
  std::ofstream(dir_ + "/flipped.vta", std::ios::binary) << flipped;
  std::ofstream(dir_ + "/bad.hex") << "0000000000000000 0000000000000007\n";
  std::ofstream(dir_ + "/finish.hex") << "0000000000000000 0000000000000003\n";
  const Outcome cost = Run({"cost", "--layer", kConv, "--json"});
  std::string unbuildable = cost.out.substr(cost.out.find("\"hw\": ") + 6);
  unbuildable.resize(unbuildable.find('}') + 1);
  const size_t size = unbuildable.find("\"LOG_ACC_BUFF_SIZE\": 17");
  ASSERT_NE(size, std::string::npos) << cost.out;
  std::ofstream(dir_ + "/bad.json") << unbuildable.replace(size + 21, 2, "0");
  struct Case {
    std::vector<std::string> words;
    int code;
    const char* says;
  };
  const std::vector<Case> cases = {
      {{}, 2, "--layer (what to make) or --run (a file) is needed"},
      {{"--layer", kConv, "--run", "p.vta"}, 2, "give one"},
      {{"--layer", "cnv 3x8x8"}, 2, "did you mean \"conv\"?"},
      {{"--layer", "conv 3x8"}, 2, "expected CHANNELSxHEIGHTxWIDTH"},
      {{"--layer", "conv 3x2x2 k5"}, 1, "the window is larger than the padded input"},
      {{"--layer", "fbnet-a:stme"}, 2, "did you mean \"stem\"?"},
      {{"--layer", kConv, "--tiling", "8 by 8"}, 2, "--tiling: found \"8\""},
      {{"--layer", kConv, "--tiling", "8x8 co2 ci2 vt3"}, 2, "--tiling: found \"vt3\""},
      {{"--layer", "conv 64x99x99 -> 64 k3 p1", "--tiling", "99x99 co4 ci4 vt1"}, 1, "need"},
      {{"--layer", kConv, "--hw", "batch2", "--isa", "stock"}, 1, "stock"},
      {{"--layer", kConv, "--hex"}, 2, "--hex needs --out FILE"},
      {{"--run", "cut.vta"}, 1, "it was cut short"},
      {{"--run", "flipped.vta"}, 1, "the checksum does not match"},
      {{"--run", "bad.hex", "--time"}, 1, "bad.hex:1: illegal instruction: opcode 7"},
      {{"--run", "finish.hex", "--check"}, 1, "has no micro-ops"},
      {{"--run", "finish.hex", "--hw", "bad.json"}, 1, "cannot be built"},
      {{"--run", "none.vta"}, 1, "none.vta"},
  };
  for (const Case& c : cases) {
    const Outcome outcome =
        Run(With({"program"}, With(c.words, {"--dump", "made", "--output", "made.out"})));
    EXPECT_EQ(outcome.code, c.code) << outcome.err;
    EXPECT_NE(outcome.err.find(c.says), std::string::npos) << c.says << "\n" << outcome.err;
    EXPECT_EQ(outcome.out, "") << c.says;
    EXPECT_FALSE(fs::exists(dir_ + "/made.out") || fs::exists(dir_ + "/made.inp")) << c.says;
  }
  const Outcome full = Run({"program", "--layer", "conv 64x28x28 -> 64 k3 p1", "--tiling",
                            "4x4 co1 ci1 vt1", "--out", "full.vta"},
                           {}, /*no_disk=*/true);
  EXPECT_EQ(full.code, 1) << full.err;
  EXPECT_FALSE(fs::exists(dir_ + "/full.vta"));
}

}  // namespace
}  // namespace rhnas
