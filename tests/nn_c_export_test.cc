// Networks as C: compiled by the C compilers that are installed, run here and on emulated boards,
// and compared with the integer evaluation (nn/int_program.h): the files check themselves against
// it.
#include "nn/c_export.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "nn/int_program.h"
#include "tests/int_graphs.h"

namespace rhnas::nn {
namespace {

namespace fs = std::filesystem;

constexpr char kWarnings[] =
    " -std=c99 -Wall -Wextra -pedantic -Wconversion -Wshadow -Wstrict-prototypes -Werror ";

bool Have(const std::string& tool) {
  return std::system(("command -v " + tool + " >/dev/null 2>&1").c_str()) == 0;
}

struct Outcome {
  int code = -1;
  std::string text;  // both streams
};

class CExport : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = ::testing::TempDir() + "rhnas_c_" +
              ::testing::UnitTest::GetInstance()->current_test_info()->name() + "_" +
              std::to_string(getpid());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  CReport Write(const IntGraph& graph, const std::string& name) {
    CReport report;
    const auto files = ExportC(graph, {name, "a test"}, &report);
    EXPECT_TRUE(files.ok()) << files.status().message();
    if (!files.ok()) return report;
    for (const ExportFile& file : *files) {
      std::ofstream(folder_ + "/" + file.name, std::ios::binary) << file.bytes;
    }
    return report;
  }

  Outcome Shell(const std::string& command) const {
    // A make around the tests would speak to the one inside.
    const std::string line =
        "cd '" + folder_ + "' && unset MAKEFLAGS MAKELEVEL && (" + command + ") >.log 2>&1";
    const int status = std::system(line.c_str());
    std::ifstream file(folder_ + "/.log");
    std::stringstream text;
    text << file.rdbuf();
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, text.str()};
  }

  // The example finds the logits that the evaluation computed.
  void ExpectRuns(const std::string& name, const std::string& compiler,
                  const std::string& runner = "") const {
    const Outcome built = Shell(compiler + kWarnings + " -o check main.c " + name + ".c");
    ASSERT_EQ(built.code, 0) << compiler << ":\n" << built.text;
    const Outcome run = Shell(runner + " ./check");
    EXPECT_EQ(run.code, 0) << compiler << ":\n" << run.text;
    EXPECT_NE(run.text.find("ok: "), std::string::npos) << run.text;
  }

  // `count` networks of chance in one program.
  void ExpectChanceRuns(uint64_t first, int count, const std::string& compiler) {
    std::string includes, calls, files;
    for (int i = 0; i < count; ++i) {
      const std::string name = "net" + std::to_string(i);
      const uint64_t seed = first + static_cast<uint64_t>(i);
      Write(IntGraphMaker(seed).Chance(), name);
      includes += "#include \"" + name + "_check.h\"\n";
      calls += "  for (i = 0; i < NET" + std::to_string(i) + "_CHECKS; ++i) {\n    " + name +
               "_check_image(i, image);\n    " + name +
               "_run(image, logits);\n    if (memcmp(logits, " + name +
               "_check_logits[i], sizeof " + name + "_check_logits[i])) printf(\"seed " +
               std::to_string(seed) + ", image %d\\n\", i);\n  }\n";
      files += " " + name + ".c";
    }
    std::ofstream(folder_ + "/all.c")
        << "#include <stdio.h>\n#include <string.h>\n"
        << includes
        << "static uint8_t image[4096];\nstatic int8_t logits[64];\nint main(void) {\n  int i;\n"
        << calls << "  return 0;\n}\n";
    const Outcome built = Shell(compiler + kWarnings + " -o all all.c" + files);
    ASSERT_EQ(built.code, 0) << compiler << ", seeds from " << first << ":\n" << built.text;
    const Outcome run = Shell("./all");
    EXPECT_EQ(run.code, 0) << run.text;
    EXPECT_EQ(run.text, "") << "other logits than the evaluation's";
  }

  std::string folder_;
};
using SlowCExport = CExport;

// Every kernel, residual blocks with and without a shortcut of their own.
IntGraph Small(uint64_t seed = 7) {
  IntGraphMaker maker(seed);
  int x = maker.Image(12, 10, 3);
  x = maker.Conv(x, 8, {3, 3, 1, 1, 1}, true);
  int y = maker.Conv(x, 24, {1, 1, 1, 0, 2}, true);
  y = maker.Shuffle(y, 2);
  y = maker.Conv(y, 24, {3, 3, 1, 1, 24}, true);
  y = maker.Conv(y, 8, {1, 1, 1, 0, 1}, false);
  x = maker.Add(y, x, true);
  y = maker.Conv(x, 13, {3, 3, 2, 1, 1}, true);
  y = maker.Conv(y, 13, {3, 3, 1, 1, 1}, false);
  x = maker.Add(y, maker.Subsample(x, 2, 13), true);
  y = maker.Pool(NodeKind::kMaxPool, x, {3, 3, 1, 1, 1});
  x = maker.Concat({x, y, maker.Pool(NodeKind::kAvgPool, x, {3, 3, 1, 1, 1})});
  maker.Dense(maker.Pool(NodeKind::kGlobalAvgPool, x, {}), 10);
  return maker.Done();
}

TEST_F(CExport, ComputesWhatTheEvaluationDoes) {
  if (!Have("cc")) GTEST_SKIP() << "no C compiler: install gcc or clang";
  Write(Small(), "small");
  ExpectRuns("small", "cc -O1");
  // Who computes something else is told.
  const Outcome other = Shell(
      "sed -i 's/multiplier \\* sum/multiplier * (sum + 3)/' small.c && cc -o check main.c "
      "small.c && ./check");
  EXPECT_EQ(other.code, 1);
  EXPECT_NE(other.text.find("FAILED: other logits"), std::string::npos) << other.text;
}

TEST_F(CExport, NetworksOfChanceComputeTheSame) {
  if (!Have("cc")) GTEST_SKIP() << "no C compiler: install gcc or clang";
  ExpectChanceRuns(100, 6, "cc -O1");
}

TEST_F(SlowCExport, NetworksOfChanceWithSanitizers) {
  uint64_t first = 200;
  for (const char* compiler : {"gcc", "clang"}) {
    if (!Have(compiler)) continue;
    const std::string cc = compiler;
    ExpectChanceRuns(first, 12, cc + " -O1 -fsanitize=address,undefined -fno-sanitize-recover=all");
    ExpectChanceRuns(first + 100, 12, cc + " -O3");
    first += 200;
  }
}

TEST_F(SlowCExport, RunsOnAArch64) {
  if (!Have("aarch64-linux-gnu-gcc") || !Have("qemu-aarch64")) {
    GTEST_SKIP() << "install gcc-aarch64-linux-gnu, libc6-dev-arm64-cross and qemu-user";
  }
  Write(Small(), "small");
  ExpectRuns("small", "aarch64-linux-gnu-gcc -O3 -static", "qemu-aarch64");
}

// Built and run by the Makefile that is written beside the code.
TEST_F(SlowCExport, RunsOnCortexM) {
  if (!Have("arm-none-eabi-gcc") || !Have("qemu-system-arm") || !Have("make")) {
    GTEST_SKIP() << "install gcc-arm-none-eabi, libnewlib-arm-none-eabi and qemu-system-arm";
  }
  Write(Small(), "small");
  for (const char* core : {"m3", "m4", "m7"}) {
    const Outcome run =
        Shell(std::string("timeout 60 make ARM_CFLAGS='-O2 -mthumb -Werror' qemu-") + core);
    EXPECT_EQ(run.code, 0) << core << ":\n" << run.text;
    EXPECT_NE(run.text.find("ok: the logits"), std::string::npos) << core << ":\n" << run.text;
    EXPECT_EQ(run.text.find("warning"), std::string::npos) << run.text;
  }
  const Outcome other = Shell(
      "sed -i 's/, sum_high);/, sum_high - 1);/; s/value = clip(shift_right(sum/value = clip(1 + "
      "shift_right(sum/' small.c && timeout 60 make qemu-m4");
  EXPECT_NE(other.code, 0) << other.text;
  EXPECT_NE(other.text.find("FAILED: other logits"), std::string::npos) << other.text;
}

TEST_F(CExport, ClassifiesFiles) {
  if (!Have("cc")) GTEST_SKIP() << "no C compiler: install gcc or clang";
  const IntGraph graph = Small();
  const CReport report = Write(graph, "small");
  ASSERT_EQ(report.image_bytes, 12 * 10 * 3);
  ASSERT_EQ(Shell("cc -O1 -o small main.c small.c").code, 0);
  std::vector<uint8_t> image(360);
  for (size_t i = 0; i < image.size(); ++i) image[i] = static_cast<uint8_t>(i * i / 7);
  std::vector<int8_t> logits(10);
  engine::ThreadPool pool(1);
  IntProgram(graph).Run(image.data(), 1, logits.data(), pool);
  std::string want = "a.raw: class " + std::to_string(ArgMax(logits.data(), 10)) + ", logits";
  for (int8_t y : logits) want += " " + std::to_string(y);
  std::ofstream(folder_ + "/a.raw", std::ios::binary) << std::string(image.begin(), image.end());
  EXPECT_EQ(Shell("./small a.raw").text, want + "\n");
  std::ofstream(folder_ + "/b.raw", std::ios::binary) << std::string(361, 'x');
  const Outcome longer = Shell("./small b.raw");
  EXPECT_EQ(longer.code, 1);
  EXPECT_EQ(longer.text, "b.raw: found more, expected 360 bytes\n");
}

TEST_F(CExport, ReportsFlashAndRam) {
  const IntGraph graph = Small();
  const CReport report = Write(graph, "small");
  int64_t filters = 0, biases = 0, macs = 0, maps = 0;
  for (const IntNode& node : graph.nodes) {
    filters += static_cast<int64_t>(node.filter.size());
    biases += static_cast<int64_t>(node.bias.size());
    macs += static_cast<int64_t>(node.filter.size()) * node.node.oh * node.node.ow;
    if (&node != &graph.nodes.back()) maps += int64_t{node.node.oh} * node.node.ow * node.node.k;
  }
  EXPECT_EQ(report.constants.filter_bytes, filters);
  EXPECT_EQ(report.constants.bias_bytes, 4 * biases);
  EXPECT_EQ(report.constants.table_bytes, 3 * 256);
  EXPECT_EQ(report.constants.macs, macs);
  EXPECT_EQ(report.logits_bytes, 10);
  EXPECT_GT(report.arena_bytes, 12 * 10 * 24);
  EXPECT_LT(report.arena_bytes, report.peak_bytes);  // by rows that give room
  EXPECT_LT(report.unshared_bytes, maps);            // additions that happen in convolutions
  EXPECT_FALSE(report.peak_maps.empty());
  if (!Have("cc") || !Have("size")) GTEST_SKIP() << "no C compiler or size";
  // bss of the object is the arena.
  const Outcome size =
      Shell("cc -O1 -c small.c && size -A small.o | sed -n 's/^\\.bss  *\\([0-9]*\\).*/\\1/p'");
  EXPECT_EQ(std::atoll(size.text.c_str()), report.arena_bytes) << size.text;
}

TEST_F(CExport, NamesAreMadeOrRefused) {
  IntGraph graph = Small();
  CReport report;
  for (const auto& [text, name] : std::vector<std::pair<std::string, std::string>>{
           {"resnet20", "resnet20"},
           {"fbnet-cifar@w0.5:k3_e1,skip", "fbnet_cifar"},
           {"nasbench201@cifar100:|skip_connect~0|", "nasbench201"},
           {"ResNet 18", "resnet_18"},
           {"3d", "net3d"},
           {"", "net"}}) {
    graph.name = text;
    ASSERT_TRUE(ExportC(graph, {}, &report).ok()) << text;
    EXPECT_EQ(report.name, name);
  }
  for (const char* name :
       {"main", "cortex_m", "a-b", "_x", "7x", "a b", "a/b", "a23456789012345678901234567890123"}) {
    const auto files = ExportC(graph, {name, ""}, &report);
    ASSERT_FALSE(files.ok()) << name;
    EXPECT_NE(files.status().message().find("expected"), std::string::npos);
  }
}

TEST_F(CExport, NamesOfAnyKindStayInComments) {
  if (!Have("cc")) GTEST_SKIP() << "no C compiler: install gcc or clang";
  IntGraph graph = Small();
  graph.name = "a */ #error x";
  graph.nodes[1].node.name = "*/ int x[-1]; /* \\";
  graph.nodes[2].node.name =
      "trigraph ?"
      "?/ \n #error";
  graph.nodes[3].node.name = "@NAME@ @calls@ @name@ /";
  Write(graph, "small");
  ExpectRuns("small", "cc -O1");
}

TEST_F(CExport, SumsThatCouldOverflowAreRefused) {
  IntGraph graph = Small();
  IntNode& node = graph.nodes[1];
  int64_t most = 0;
  for (size_t i = 0; i < node.filter.size(); i += 8) most += 128 * std::abs(node.filter[i]);
  node.bias[0] = static_cast<int32_t>(INT32_MAX - most);
  CReport report;
  EXPECT_TRUE(ExportC(graph, {}, &report).ok());
  ++node.bias[0];
  const auto files = ExportC(graph, {}, &report);
  ASSERT_FALSE(files.ok());
  EXPECT_NE(files.status().message().find(node.node.name), std::string::npos)
      << files.status().message();
}

}  // namespace
}  // namespace rhnas::nn
