// `rhnas export` as its users meet it.
#include "tests/outside_tools.h"
#include "tests/program_cli.h"

namespace rhnas {
namespace {

constexpr char kTiny[] = "tiny:k5_e1,k5_e3,skip,k3_e3,skip,skip";

TEST_F(Cli, ExportMisuse) {
  const std::vector<std::vector<std::string>> misuses = {
      {},
      {"onx", "--network", kTiny},
      {"onnx"},
      {"onnx", "run", "--network", kTiny},
      {"onnx", "run", "--run", "run"},
      {"onnx", "run", "more"},
      {"onnx", "--network", kTiny, "--hw", "default"},
      {"onnx", "--network", kTiny, "--unfolded"},
      {"safetensors", "run", "--unfolded", "--int8"},
      {"onnx", "--network", kTiny, "--int8"},
      {"c", "run"},
      {"c", "--network", kTiny},
      {"onnx", "run", "--c-name", "net"},
      {"onnx", "--network", "nasbench201:|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"},
      {"onnx", "--network", "no-such-network"}};
  for (const std::vector<std::string>& words : misuses) {
    const Outcome outcome = Run(With({"export"}, words));
    SCOPED_TRACE(outcome.err);
    EXPECT_EQ(outcome.code, 2);
    EXPECT_EQ(outcome.out, "");
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1);
  }
  EXPECT_NE(Run({"export", "onx"}).err.find("onnx"), std::string::npos);
}

TEST_F(Cli, ExportBadWorld) {
  const std::string none = dir_ + "/none", file = dir_ + "/file";
  std::ofstream(file) << "no weights";
  fs::create_directories(dir_ + "/folder");
  const std::vector<std::vector<std::string>> bad = {
      {"onnx", none},
      {"onnx", file},
      {"onnx", dir_ + "/folder"},
      {"onnx", "--network", kTiny, "--out", dir_ + "/folder"},
      {"onnx", "--network", kTiny, "--out", none + "/model.onnx"},
      {"npy", "--network", kTiny, "--out", file},
      {"vta", "--network", kTiny, "--hw", file, "--out", dir_ + "/vta"}};
  for (const std::vector<std::string>& words : bad) {
    const Outcome outcome = Run(With({"export"}, words));
    SCOPED_TRACE(outcome.err);
    EXPECT_EQ(outcome.code, 1) << words.back();
    EXPECT_EQ(outcome.out, "");
    EXPECT_FALSE(fs::exists(dir_ + "/vta"));
  }
  // A full disk leaves nothing.
  const Outcome full = Run({"export", "onnx", "--network", kTiny, "--out", "m.onnx"}, {}, true);
  EXPECT_EQ(full.code, 1) << full.err;
  EXPECT_FALSE(fs::exists(dir_ + "/m.onnx"));
}

TEST_F(Cli, ExportRandomWeights) {
  const auto model = [&](const std::string& seed, const std::string& name) {
    const Outcome outcome =
        Run({"export", "onnx", "--network", kTiny, "--seed", seed, "--out", name});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_NE(outcome.err.find("random"), std::string::npos);
    return ReadAll(dir_ + "/" + name);
  };
  const std::string one = model("1", "a.onnx");
  EXPECT_GT(one.size(), 100000u);
  EXPECT_EQ(one, model("1", "b.onnx"));
  EXPECT_NE(one, model("2", "c.onnx"));
}

TEST_F(Cli, ExportVtaPrograms) {
  const Outcome outcome =
      Run({"export", "vta", "--network", kTiny, "--hw", "block32_128", "--out", "vta", "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const hw::Json json = ParseOrFail(outcome.out);
  const hw::Json* files = json.Find("files");
  ASSERT_NE(files, nullptr);
  double bytes = 0;
  for (const hw::Json& file : files->items) {
    EXPECT_EQ(NumberAt(file, "bytes"),
              static_cast<double>(fs::file_size(dir_ + "/" + file.Find("name")->string)));
    bytes += NumberAt(file, "bytes");
  }
  EXPECT_EQ(NumberAt(json, "bytes"), bytes);
  EXPECT_EQ(Run({"space", "--hw-space", "vta-wide", "--check", "vta/vta_config.json"}).code, 0);
  const hw::Json list = ParseOrFail(ReadAll(dir_ + "/vta/programs.json"));
  const hw::Json* programs = list.Find("programs");
  ASSERT_NE(programs, nullptr);
  // The layers of `rhnas cost`, each a program that computes what it should.
  const hw::Json cost = ParseOrFail(Run({"cost", "--network", kTiny, "--json"}).out);
  ASSERT_EQ(programs->items.size(), cost.Find("layers")->items.size());
  const std::string first = "vta/" + programs->items[0].Find("program")->string;
  const Outcome checked = Run({"program", "--run", first, "--check"});
  EXPECT_EQ(checked.code, 0) << checked.err;
  EXPECT_NE(checked.out.find("equal to the integer reference"), std::string::npos);
  // What apache/tvm-vta's PkgConfig asks for.
  const hw::Json stock = ParseOrFail(ReadAll(dir_ + "/vta/stock/vta_config.json"));
  EXPECT_EQ(Keys(stock), (std::vector<std::string>{
                             "TARGET", "HW_VER", "LOG_INP_WIDTH", "LOG_WGT_WIDTH", "LOG_ACC_WIDTH",
                             "LOG_BATCH", "LOG_BLOCK", "LOG_UOP_BUFF_SIZE", "LOG_INP_BUFF_SIZE",
                             "LOG_WGT_BUFF_SIZE", "LOG_ACC_BUFF_SIZE"}));
  EXPECT_EQ(NumberAt(stock, "LOG_BLOCK"), 5);
  // A design that cannot be built, and one that has no stock form.
  const hw::Json config = ParseOrFail(ReadAll(dir_ + "/vta/vta_config.json"));
  std::string text = ReadAll(dir_ + "/vta/vta_config.json");
  const size_t at = text.find("\"LOG_BLOCK_OUT\": 5");
  ASSERT_NE(at, std::string::npos);
  std::ofstream(dir_ + "/narrow.json") << text.replace(at, 18, "\"LOG_BLOCK_OUT\": 4");
  ASSERT_EQ(Run({"export", "vta", "--network", kTiny, "--hw", "narrow.json", "--out", "n"}).code,
            0);
  EXPECT_FALSE(fs::exists(dir_ + "/n/stock"));
}

// A short training, then every format from its run folder, each where it goes by default.
TEST_F(Cli, ExportTrained) {
  const Outcome trained =
      Run({"train", "--network", kTiny, "--epochs", "1", "--train-size", "64", "--test-size", "32",
           "--batch", "32", "--threads", "1", "--out", "run"});
  ASSERT_EQ(trained.code, 0) << trained.err;
  for (const char* format : {"onnx", "safetensors", "npy", "vta"}) {
    const Outcome outcome = Run({"export", format, "run"});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
  }
  EXPECT_TRUE(fs::is_regular_file(dir_ + "/run/model.onnx"));
  EXPECT_TRUE(fs::is_regular_file(dir_ + "/run/model.safetensors"));
  EXPECT_TRUE(fs::is_regular_file(dir_ + "/run/npy/tensors.json"));
  EXPECT_TRUE(fs::is_regular_file(dir_ + "/run/vta/vta_config.json"));
  const Outcome weights =
      Run({"export", "safetensors", "--run", "run/best.weights", "--unfolded", "--out", "w.st"});
  ASSERT_EQ(weights.code, 0) << weights.err;
  EXPECT_NE(ReadAll(dir_ + "/w.st").find("running_mean"), std::string::npos);
  EXPECT_EQ(ReadAll(dir_ + "/run/model.safetensors").find("running_mean"), std::string::npos);
  // Integers: made from the run's training images the first time, then found.
  for (const char* format : {"onnx", "safetensors", "npy", "vta"}) {
    const Outcome outcome = Run({"export", format, "run", "--int8", "--json"});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_EQ(outcome.err.find("quantised on") != std::string::npos, format == std::string("onnx"));
    EXPECT_TRUE(ParseOrFail(outcome.out).Find("int8")->boolean);
  }
  // The weights of a program in DRAM are what `rhnas program` makes of the same filters.
  const auto values = [&](const std::string& npy) {
    const std::string bytes = ReadAll(dir_ + "/run/npy-int8/" + npy);
    const size_t header = static_cast<size_t>(static_cast<unsigned char>(bytes.at(8))) +
                          256 * static_cast<size_t>(static_cast<unsigned char>(bytes.at(9)));
    return bytes.substr(10 + header);
  };
  std::ofstream(dir_ + "/filter.raw", std::ios::binary) << values("stem.filter.npy");
  std::ofstream(dir_ + "/bias.raw", std::ios::binary) << values("stem.bias.npy");
  const std::string stem = "run/vta-int8/programs/001_stem";
  const Outcome packed = Run({"program", "--run", stem + ".vta", "--weights", "filter.raw",
                              "--bias", "bias.raw", "--dump", "packed", "--check"});
  ASSERT_EQ(packed.code, 0) << packed.err;
  EXPECT_EQ(ReadAll(dir_ + "/packed.wgt"), ReadAll(dir_ + "/" + stem + ".wgt"));
  EXPECT_EQ(ReadAll(dir_ + "/packed.acc"), ReadAll(dir_ + "/" + stem + ".acc"));
  EXPECT_GT(ReadAll(dir_ + "/packed.wgt").size(), 100u);
  // C code, which finds the logits that the evaluation found.
  const Outcome c = Run({"export", "c", "run", "--int8", "--c-name", "net", "--json"});
  ASSERT_EQ(c.code, 0) << c.err;
  const hw::Json c_json = ParseOrFail(c.out);
  const hw::Json* memory = c_json.Find("memory");
  ASSERT_NE(memory, nullptr);
  EXPECT_GT(NumberAt(*memory, "flash_bytes"), 20000);
  EXPECT_EQ(NumberAt(*memory, "ram_bytes"), NumberAt(*memory, "arena_bytes") +
                                                NumberAt(*memory, "image_bytes") +
                                                NumberAt(*memory, "logits_bytes"));
  EXPECT_FALSE(memory->Find("peak_maps")->items.empty());
  const Outcome bad_name = Run({"export", "c", "run", "--int8", "--c-name", "a-b"});
  EXPECT_EQ(bad_name.code, 1);
  EXPECT_NE(bad_name.err.find("\"a-b\" cannot name C code"), std::string::npos) << bad_name.err;
  const Outcome text = Run({"export", "c", "run", "--int8", "--out", "c2"});
  EXPECT_NE(text.out.find("\nflash "), std::string::npos) << text.out;
  EXPECT_NE(text.out.find("\nRAM "), std::string::npos) << text.out;
  EXPECT_TRUE(fs::is_regular_file(dir_ + "/c2/tiny.c"));
  if (RunTool({"sh", "-c", "command -v cc"}).code == 0) {
    const ToolRun check = RunTool({"sh", "-c",
                                   "cd " + dir_ +
                                       "/run/c && cc -std=c99 -O1 -Wall -Wextra "
                                       "-pedantic -Werror -o net main.c net.c && ./net"});
    EXPECT_EQ(check.code, 0) << check.text;
    EXPECT_NE(check.text.find("ok: "), std::string::npos) << check.text;
  }
  // The weights file is not overwritten.
  EXPECT_EQ(Run({"export", "onnx", "run/best.weights", "--out", "run/best.weights"}).code, 1);
  if (HavePython("onnx")) {
    const ToolRun run = RunTool({Python(), "tests/tools/onnx_check.py", dir_ + "/run/model.onnx"});
    EXPECT_EQ(run.code, 0) << run.text;
  }
}

}  // namespace
}  // namespace rhnas
