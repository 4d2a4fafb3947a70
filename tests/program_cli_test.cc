// The program as its users meet it: known answers, misuse, faults, stopping and resuming. Runs the
// built program, found through RHNAS_PROGRAM (default build/rhnas).
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <thread>

#include "hw/json.h"

namespace rhnas {
namespace {

namespace fs = std::filesystem;

std::string ProgramPath() {
  const char* path = std::getenv("RHNAS_PROGRAM");
  return fs::absolute(path != nullptr ? path : "build/rhnas").string();
}

std::string ReadAll(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

struct Outcome {
  int code = -1;  // exit code, or 1000 + signal
  std::string out, err;
};

class Cli : public ::testing::Test {
 protected:
  void SetUp() override {
    program_ = ProgramPath();
    if (!fs::exists(program_)) {
      GTEST_SKIP() << program_ << " is not built: run make, or set RHNAS_PROGRAM";
    }
    const std::string name = ::testing::UnitTest::GetInstance()->current_test_info()->name();
    dir_ = ::testing::TempDir() + "rhnas_cli_" + name + "_" + std::to_string(getpid());
    fs::remove_all(dir_);
    fs::create_directories(dir_);
  }
  void TearDown() override {
    if (!dir_.empty()) fs::remove_all(dir_);
  }

  // Starts the program in dir_ with standard output and error in files.
  pid_t Start(const std::vector<std::string>& words, const std::string& stdout_path = "",
              const std::vector<std::string>& environment = {}, bool no_disk = false) {
    const std::string out = stdout_path.empty() ? dir_ + "/.stdout" : stdout_path;
    const std::string err = dir_ + "/.stderr";
    const pid_t pid = fork();
    if (pid != 0) return pid;
    if (chdir(dir_.c_str()) != 0) _exit(120);
    const int out_fd = open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    const int err_fd = open(err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    dup2(out_fd, STDOUT_FILENO);
    dup2(err_fd, STDERR_FILENO);
    for (const std::string& variable : environment) putenv(const_cast<char*>(variable.c_str()));
    if (no_disk) {
      // Files cannot grow beyond what messages need: writes fail as on a full disk.
      struct rlimit limit = {2048, 2048};
      setrlimit(RLIMIT_FSIZE, &limit);
    }
    std::vector<char*> argv = {const_cast<char*>(program_.c_str())};
    for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    execv(program_.c_str(), argv.data());
    _exit(121);
  }

  Outcome Wait(pid_t pid) {
    int status = 0;
    waitpid(pid, &status, 0);
    Outcome outcome;
    outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
    outcome.out = ReadAll(dir_ + "/.stdout");
    outcome.err = ReadAll(dir_ + "/.stderr");
    return outcome;
  }

  Outcome Run(const std::vector<std::string>& words,
              const std::vector<std::string>& environment = {}, bool no_disk = false) {
    return Wait(Start(words, "", environment, no_disk));
  }

  // Waits until a file has at least so many lines; false when the child ends before.
  bool WaitForLines(pid_t pid, const std::string& path, int lines) {
    for (;;) {
      const std::string text = ReadAll(path);
      if (std::count(text.begin(), text.end(), '\n') >= lines) return true;
      siginfo_t info = {};
      if (waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
          info.si_pid == pid) {
        return false;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  }

  // A joint search of a few seconds.
  static std::vector<std::string> TinySearch(const std::string& out) {
    return {"search", "--train-size",
            "640",    "--test-size",
            "64",     "--batch",
            "32",     "--warmup-epochs",
            "1",      "--epochs",
            "2",      "--final-epochs",
            "1",      "--hw-evaluations",
            "32",     "--hw-final-evaluations",
            "64",     "--threads",
            "2",      "--seed",
            "5",      "--out",
            out};
  }
  static std::vector<std::string> With(std::vector<std::string> words,
                                       const std::vector<std::string>& more) {
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }

  std::string program_, dir_;
};

class SlowCli : public Cli {};

hw::Json ParseOrFail(const std::string& text) {
  const hw::Result<hw::Json> json = hw::ParseJson(text, "stdout");
  EXPECT_TRUE(json.ok()) << json.error() << "\n" << text;
  return json.ok() ? *json : hw::Json();
}

double NumberAt(const hw::Json& json, const std::string& key) {
  const hw::Json* value = json.Find(key);
  EXPECT_NE(value, nullptr) << "no key " << key;
  if (value == nullptr) return -1;
  EXPECT_EQ(value->type, hw::Json::Type::kNumber) << key;
  return value->number;
}

std::vector<std::string> Keys(const hw::Json& json) {
  std::vector<std::string> keys;
  for (const auto& member : json.members) keys.push_back(member.first);
  return keys;
}

// Drops what differs between two runs of the same bits: the seconds.
std::string WithoutSeconds(const std::string& text, bool csv) {
  std::istringstream lines(text);
  std::string line, kept;
  while (std::getline(lines, line)) {
    if (csv) line = line.substr(0, line.rfind(','));
    if (line.find("\"seconds\"") == std::string::npos) kept += line + "\n";
  }
  return kept;
}

// --- help and version ---

TEST_F(Cli, HelpOfEveryCommand) {
  const Outcome all = Run({"help"});
  EXPECT_EQ(all.code, 0);
  EXPECT_NE(all.out.find("Exit codes"), std::string::npos);
  EXPECT_EQ(Run({"--help"}).out, all.out);
  for (const char* command : {"search", "cost", "space", "train", "version", "help"}) {
    EXPECT_NE(all.out.find(command), std::string::npos);
    const Outcome page = Run({"help", command});
    EXPECT_EQ(page.code, 0);
    EXPECT_NE(page.out.find("Usage: rhnas " + std::string(command)), std::string::npos);
    const size_t examples = page.out.find("Examples:");
    ASSERT_NE(examples, std::string::npos) << page.out;
    int count = 0;
    for (size_t at = examples;
         (at = page.out.find("rhnas " + std::string(command), at + 1)) != std::string::npos;) {
      ++count;
    }
    EXPECT_GE(count, 2) << command;
    EXPECT_EQ(Run({command, "--help"}).out, page.out);
    EXPECT_EQ(Run({command, "--nonsense", "-h"}).out, page.out);
    EXPECT_TRUE(ParseOrFail(Run({"help", command, "--json"}).out).Find("flags") != nullptr);
    EXPECT_TRUE(ParseOrFail(Run({command, "--help", "--json"}).out).Find("flags") != nullptr);
  }
  EXPECT_TRUE(ParseOrFail(Run({"help", "--json"}).out).Find("commands") != nullptr);
}

TEST_F(Cli, VersionTellsTarget) {
  const hw::Json version = ParseOrFail(Run({"version", "--json"}).out);
  ASSERT_NE(version.Find("version"), nullptr);
  EXPECT_EQ(version.Find("version")->string, "0.1.0");
  EXPECT_GE(NumberAt(version, "threads"), 1);
  EXPECT_EQ(Run({"--version"}).out, Run({"version"}).out);
  const hw::Json baseline = ParseOrFail(Run({"version", "--json"}, {"RHNAS_TARGET=baseline"}).out);
  ASSERT_NE(baseline.Find("target"), nullptr);
  EXPECT_EQ(baseline.Find("target")->string, "baseline");
  const Outcome unknown = Run({"version"}, {"RHNAS_TARGET=avx3"});
  EXPECT_EQ(unknown.code, 2);
  EXPECT_NE(unknown.err.find("avx3"), std::string::npos) << unknown.err;
}

// --- misuse: one line, a suggestion, exit code 2 ---

TEST_F(Cli, MisuseIsOneLineWithASuggestion) {
  struct Case {
    std::vector<std::string> words;
    const char* says;
  };
  const std::vector<Case> cases = {
      {{"serach"}, "did you mean \"search\"?"},
      {{"--seed", "1"}, "expected a command"},
      {{"help", "csot"}, "did you mean \"cost\"?"},
      {{"search", "--epoch", "3"}, "did you mean --epochs?"},
      {{"search", "--epochs"}, "needs a value"},
      {{"search", "--epochs", "three"}, "whole number"},
      {{"search", "--epochs", "-1"}, "outside"},
      {{"search", "--lambda", "nan"}, "number"},
      {{"search", "--objective", "edb"}, "did you mean \"edp\"?"},
      {{"search", "--space", "tyni"}, "tiny"},
      {{"search", "--hw-space", "vta-wid"}, "vta-wide"},
      {{"search", "--bus", "100"}, "free"},
      {{"search", "--board", "xc7z02"}, "xc7z020"},
      {{"search", "--agent", "reinforc"}, "reinforce"},
      {{"search", "--dataset", "cifar"}, "cifar10"},
      {{"search", "--hw", "defualt"}, "default"},
      {{"search", "stray"}, "unexpected argument"},
      {{"search", "--out", "a", "--resume", "b"}, "--resume"},
      {{"cost"}, "--network is needed"},
      {{"cost", "--network", "fbnet-d"}, "fbnet-"},
      {{"cost", "--network", "fbnet-cifar:k3_e1"}, "slot"},
      {{"cost", "--network", "fbnet-a", "--hw", "defualt"}, "default"},
      {{"space", "--hw-space", "vta-larg", "--count"}, "vta"},
      {{"space", "--count"}, "--hw-space is needed"},
      {{"space", "--space", "tiny", "--count"}, "--space"},
      {{"train"}, "--network is needed"},
      {{"train", "--network", "resnet21"}, "resnet20"},
      {{"version", "--verbose"}, "unknown flag --verbose"},
  };
  for (const Case& c : cases) {
    std::string line;
    for (const std::string& word : c.words) line += word + " ";
    const Outcome outcome = Run(c.words);
    EXPECT_EQ(outcome.code, 2) << line << outcome.err;
    EXPECT_EQ(outcome.out, "") << line;
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << line << outcome.err;
    EXPECT_NE(outcome.err.find(c.says), std::string::npos) << line << outcome.err;
    EXPECT_EQ(outcome.err.compare(0, 5, "rhnas"), 0) << outcome.err;
    const Outcome json = Run(With(c.words, {"--json"}));
    EXPECT_EQ(json.code, 2) << line;
    EXPECT_EQ(NumberAt(ParseOrFail(json.out), "exit_code"), 2) << line;
  }
  EXPECT_FALSE(fs::exists(dir_ + "/runs")) << "a misuse must leave nothing behind";
  EXPECT_EQ(Run({}).code, 2);
}

// --- cost ---

TEST_F(Cli, CostKnownAnswers) {
  struct Case {
    std::vector<std::string> words;
    double macs;
  };
  // Multiply-accumulates of FBNet-A, -B, -C without and with the leading pointwise convolution.
  const std::vector<Case> cases = {
      {{"--network", "fbnet-a", "--no-always-pw"}, 244452664},
      {{"--network", "fbnet-b", "--no-always-pw"}, 291004424},
      {{"--network", "fbnet-c", "--no-always-pw"}, 378136224},
      {{"--network", "fbnet-a"}, 249921848},
      {{"--network", "fbnet-b@imagenet"}, 306210888},
      {{"--network", "fbnet-c"}, 384960160},
  };
  for (const Case& c : cases) {
    const Outcome outcome = Run(With({"cost", "--hw", "default", "--json"}, c.words));
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    const hw::Json json = ParseOrFail(outcome.out);
    EXPECT_EQ(NumberAt(json, "macs"), c.macs) << c.words[1];
    const double latency = NumberAt(json, "latency_cycles"), energy = NumberAt(json, "energy_pj");
    EXPECT_NEAR(NumberAt(json, "edp_pj_cycles"), latency * energy, 1e-9 * latency * energy);
    EXPECT_GE(latency, c.macs / 256) << "faster than all MACs of the default at once";
    EXPECT_GT(NumberAt(json, "params"), 1e6);
    EXPECT_GT(NumberAt(json, "area_um2"), 0);
    const hw::Json* layers = json.Find("layers");
    ASSERT_NE(layers, nullptr);
    double layer_latency = 0, layer_energy = 0, layer_macs = 0, layer_dram = 0;
    for (const hw::Json& layer : layers->items) {
      layer_latency += NumberAt(layer, "latency_cycles");
      layer_energy += NumberAt(layer, "energy_pj");
      layer_macs += NumberAt(layer, "macs");
      layer_dram += NumberAt(layer, "dram_bytes");
      for (const char* key : {"name", "kind", "bound", "tiling", "energy_parts"}) {
        EXPECT_NE(layer.Find(key), nullptr) << key;
      }
    }
    EXPECT_EQ(layer_latency, latency);
    EXPECT_EQ(layer_macs, c.macs);
    EXPECT_EQ(layer_dram, NumberAt(json, "dram_bytes"));
    EXPECT_NEAR(layer_energy, energy, 1e-9 * energy);
  }
}

TEST_F(Cli, CostOfEveryNamedNetworkAndPreset) {
  const hw::Json lists = ParseOrFail(Run({"space", "--json"}).out);
  ASSERT_NE(lists.Find("networks"), nullptr);
  ASSERT_NE(lists.Find("presets"), nullptr);
  EXPECT_EQ(lists.Find("presets")->items.size(), 17u);
  for (const char* network : {"resnet18", "mobilenet_v1", "mobilenet_v2", "resnet20",
                              "fbnet-a@cifar", "fbnet-b@cifar", "fbnet-c@cifar"}) {
    const Outcome outcome = Run({"cost", "--network", network});
    EXPECT_EQ(outcome.code, 0) << network << outcome.err;
    EXPECT_NE(outcome.out.find("latency"), std::string::npos);
  }
  for (const hw::Json& preset : lists.Find("presets")->items) {
    const Outcome outcome = Run({"cost", "--network", "resnet20", "--hw", preset.string});
    EXPECT_EQ(outcome.code, 0) << preset.string << outcome.err;
  }
}

TEST_F(Cli, CostOfFiles) {
  std::ofstream(dir_ + "/network.txt") << "# a comment\n\n  fbnet-a@cifar  \n";
  const Outcome by_file = Run({"cost", "--network", "network.txt", "--json"});
  EXPECT_EQ(by_file.code, 0) << by_file.err;
  EXPECT_EQ(
      NumberAt(ParseOrFail(by_file.out), "macs"),
      NumberAt(ParseOrFail(Run({"cost", "--network", "fbnet-a@cifar", "--json"}).out), "macs"));
  std::ofstream(dir_ + "/empty.txt") << "\n# nothing\n";
  std::ofstream(dir_ + "/bad.txt") << "fbnet-cifar:k3_e9,skip\n";
  std::ofstream(dir_ + "/bad.json") << "{\"TARGET\": 3,\n \"LOG_BATCHES\": 0}\n";
  std::ofstream(dir_ + "/table.csv") << "name,value\n";
  const std::vector<std::vector<std::string>> cases = {
      {"cost", "--network", "missing.txt"},
      {"cost", "--network", "./missing"},
      {"cost", "--network", "empty.txt"},
      {"cost", "--network", "bad.txt"},
      {"cost", "--network", "fbnet-a", "--hw", "missing.json"},
      {"cost", "--network", "fbnet-a", "--hw", "bad.json"},
      {"cost", "--network", "fbnet-a", "--energy-table", "missing.csv"},
      {"cost", "--network", "fbnet-a", "--energy-table", "table.csv"},
  };
  for (const std::vector<std::string>& words : cases) {
    const Outcome outcome = Run(words);
    EXPECT_EQ(outcome.code, 1) << words.back() << outcome.err;
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
    const std::string file = words.back().substr(words.back().find_last_of('/') + 1);
    EXPECT_NE(outcome.err.find(file), std::string::npos) << outcome.err;
  }
}

// A configuration of the default with one key changed, in VTA's own file form.
std::string ConfigWith(const std::string& default_json, const std::string& key,
                       const std::string& value) {
  const size_t at = default_json.find("\"" + key + "\"");
  EXPECT_NE(at, std::string::npos) << key << " in " << default_json;
  if (at == std::string::npos) return default_json;
  const size_t begin = default_json.find(':', at) + 1;
  const size_t end = default_json.find_first_of(",\n}", begin);
  return default_json.substr(0, begin) + " " + value + default_json.substr(end);
}

// The text of the object behind a key, as it stands in a document.
std::string ObjectText(const std::string& text, const std::string& key) {
  const size_t begin = text.find('{', text.find("\"" + key + "\": {"));
  int depth = 0;
  for (size_t i = begin; i < text.size(); ++i) {
    depth += text[i] == '{' ? 1 : text[i] == '}' ? -1 : 0;
    if (depth == 0) return text.substr(begin, i + 1 - begin);
  }
  return "";
}

TEST_F(Cli, InvalidHardwareGivesVerdicts) {
  const std::string config = ObjectText(Run({"cost", "--network", "resnet20", "--json"}).out, "hw");
  std::ofstream(dir_ + "/good.json") << config;
  std::ofstream(dir_ + "/bad.json") << ConfigWith(config, "LOG_BATCH", "4");
  EXPECT_EQ(Run({"cost", "--network", "resnet20", "--hw", "good.json"}).code, 0);
  const Outcome text = Run({"cost", "--network", "resnet20", "--hw", "bad.json"});
  EXPECT_EQ(text.code, 1);
  EXPECT_NE(text.err.find("need"), std::string::npos) << text.err;
  EXPECT_NE(text.err.find("have"), std::string::npos) << text.err;
  const Outcome outcome = Run({"cost", "--network", "resnet20", "--hw", "bad.json", "--json"});
  EXPECT_EQ(outcome.code, 1);
  const hw::Json json = ParseOrFail(outcome.out);
  ASSERT_NE(json.Find("valid"), nullptr);
  EXPECT_FALSE(json.Find("valid")->boolean);
  ASSERT_NE(json.Find("verdicts"), nullptr);
  EXPECT_GE(json.Find("verdicts")->items.size(), 1u);
  EXPECT_EQ(json.Find("latency_cycles"), nullptr) << "an invalid design has no cost";
}

// --- space ---

TEST_F(Cli, SpaceCountsAreThePublishedOnes) {
  const hw::Json vta = ParseOrFail(Run({"space", "--hw-space", "vta", "--count", "--json"}).out);
  EXPECT_EQ(NumberAt(vta, "points"), 15680);
  EXPECT_EQ(NumberAt(vta, "valid"), 6472);
  const hw::Json* rules = vta.Find("by_rule");
  ASSERT_NE(rules, nullptr);
  EXPECT_EQ(NumberAt(*rules, "R1"), 6944);
  EXPECT_EQ(NumberAt(*rules, "R3"), 5804);
  EXPECT_EQ(NumberAt(*rules, "R4"), 20);
  EXPECT_EQ(NumberAt(*rules, "R5"), 6944);
  EXPECT_EQ(NumberAt(*rules, "R7"), 1376);
  EXPECT_EQ(NumberAt(*rules, "R9"), 2240);
  EXPECT_EQ(NumberAt(*rules, "R11"), 2688);
  double points = 0, valid = 0;
  ASSERT_NE(vta.Find("by_macs"), nullptr);
  for (const hw::Json& bucket : vta.Find("by_macs")->items) {
    points += NumberAt(bucket, "points");
    valid += NumberAt(bucket, "valid");
  }
  EXPECT_EQ(points, 15680);
  EXPECT_EQ(valid, 6472);
  for (const auto& [bus, count] :
       std::vector<std::pair<std::string, int>>{{"128", 6101}, {"256", 5770}, {"512", 0}}) {
    EXPECT_EQ(
        NumberAt(
            ParseOrFail(Run({"space", "--hw-space", "vta", "--count", "--json", "--bus", bus}).out),
            "valid"),
        count);
  }
  const Outcome text = Run({"space", "--hw-space", "vta", "--count"});
  EXPECT_NE(text.out.find("6,472"), std::string::npos) << text.out;
  const Outcome capped =
      Run({"space", "--hw-space", "vta", "--count", "--json", "--area-max", "1.0"});
  EXPECT_LT(NumberAt(ParseOrFail(capped.out), "valid"), 6472);
}

TEST_F(Cli, SpaceChecksFiles) {
  const std::string config = ObjectText(Run({"cost", "--network", "resnet20", "--json"}).out, "hw");
  std::ofstream(dir_ + "/good.json") << config;
  // The default sits on three limits at once: a larger batch breaks several rules.
  std::ofstream(dir_ + "/bad.json") << ConfigWith(config, "LOG_BATCH", "4");
  std::ofstream(dir_ + "/broken.json") << "{";
  const Outcome good = Run({"space", "--hw-space", "vta", "--check", "good.json", "default"});
  EXPECT_EQ(good.code, 0) << good.out << good.err;
  EXPECT_EQ(std::count(good.out.begin(), good.out.end(), '\n'), 2) << good.out;
  EXPECT_NE(good.out.find("good.json: valid"), std::string::npos) << good.out;
  const Outcome mixed = Run(
      {"space", "--hw-space", "vta", "--check", "good.json", "bad.json", "broken.json", "no.json"});
  EXPECT_EQ(mixed.code, 1);
  EXPECT_EQ(std::count(mixed.out.begin(), mixed.out.end(), '\n'), 4) << mixed.out;
  EXPECT_NE(mixed.out.find("bad.json: invalid"), std::string::npos) << mixed.out;
  EXPECT_NE(mixed.out.find("R1"), std::string::npos) << mixed.out;
  EXPECT_NE(mixed.out.find("R3"), std::string::npos) << mixed.out;
  EXPECT_NE(mixed.out.find("broken.json:1"), std::string::npos) << mixed.out;
  const hw::Json json = ParseOrFail(
      Run({"space", "--hw-space", "vta", "--json", "--check", "good.json", "bad.json"}).out);
  EXPECT_EQ(NumberAt(json, "valid"), 1);
  ASSERT_NE(json.Find("files"), nullptr);
  ASSERT_EQ(json.Find("files")->items.size(), 2u);
  EXPECT_GE(json.Find("files")->items[1].Find("verdicts")->items.size(), 2u);
  // A cap that the default itself breaks.
  EXPECT_EQ(Run({"space", "--hw-space", "vta", "--area-max", "0.5", "--check", "good.json"}).code,
            1);
  const char* shared = std::getenv("RHNAS_SHARED");
  if (shared == nullptr) return;
  std::vector<std::string> words = {"space", "--hw-space", "vta", "--check"};
  for (const auto& entry : fs::directory_iterator(std::string(shared) + "/vta-presets")) {
    if (entry.path().extension() == ".json") words.push_back(entry.path().string());
  }
  EXPECT_EQ(words.size(), 4u + 17u);
  const Outcome presets = Run(words);
  EXPECT_EQ(presets.code, 0) << presets.out;
}

TEST_F(Cli, SpaceDescribes) {
  const hw::Json fbnet = ParseOrFail(Run({"space", "--space", "fbnet-cifar", "--json"}).out);
  EXPECT_NEAR(NumberAt(fbnet, "networks"), 9.84770902183611e20, 1e6);  // 9^22
  const Outcome text = Run({"space", "--space", "fbnet-cifar"});
  EXPECT_NE(text.out.find("22"), std::string::npos);
  EXPECT_EQ(Run({"space", "--hw-space", "vta"}).code, 0);
  EXPECT_EQ(Run({"space"}).code, 0);
}

TEST_F(Cli, AFullStandardOutputIsAFailure) {
  if (!fs::exists("/dev/full")) GTEST_SKIP() << "no /dev/full here";
  const Outcome outcome = Wait(Start({"help"}, "/dev/full"));
  EXPECT_EQ(outcome.code, 1);
  EXPECT_NE(outcome.err.find("standard output"), std::string::npos) << outcome.err;
}

// --- search: what is wrong before the work starts ---

TEST_F(Cli, SearchFaultsBeforeTheWork) {
  std::ofstream(dir_ + "/file") << "x";
  fs::create_directory(dir_ + "/full");
  std::ofstream(dir_ + "/full/x") << "x";
  fs::create_directory(dir_ + "/no_data");
  struct Case {
    std::vector<std::string> words;
    const char* says;
  };
  const std::vector<Case> cases = {
      {{"--out", "file"}, "file"},
      {{"--out", "file/run"}, "file"},
      {{"--out", "full"}, "not empty"},
      {{"--resume", "missing"}, "missing"},
      {{"--resume", "full"}, "config.json"},
      {{"--dataset", "cifar10", "--data", "no_data", "--out", "r"}, "no_data"},
      {{"--dataset", "cifar10", "--out", "r"}, "data"},
      {{"--area-max", "0.0001", "--out", "r"}, "area"},
      {{"--latency-max", "1", "--out", "r"}, "latency"},
      {{"--energy-table", "missing.csv", "--out", "r"}, "missing.csv"},
      {{"--hw", "missing.json", "--out", "r"}, "missing.json"},
      {{"--batch", "60000", "--out", "r"}, "batch"},
  };
  for (const Case& c : cases) {
    const Outcome outcome =
        Run(With({"search", "--train-size", "200", "--test-size", "20"}, c.words));
    EXPECT_EQ(outcome.code, 1) << c.words[0] << c.words[1] << outcome.err;
    EXPECT_NE(outcome.err.find(c.says), std::string::npos) << outcome.err;
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
    EXPECT_FALSE(fs::exists(dir_ + "/r")) << "a search that did not start must leave no folder";
  }
}

TEST_F(Cli, SearchTellsAFullDiskBeforeTheWork) {
  const Outcome outcome = Run(TinySearch("run"), {}, /*no_disk=*/true);
  EXPECT_EQ(outcome.code, 1);
  EXPECT_NE(outcome.err.find("run"), std::string::npos) << outcome.err;
  EXPECT_FALSE(fs::exists(dir_ + "/run/checkpoint"));
}

// --- search: a whole run, stopped and resumed ---

TEST_F(SlowCli, SearchLeavesAFolderAndResumesToTheSameBits) {
  const Outcome whole = Run(With(TinySearch("whole"), {"--json"}));
  ASSERT_EQ(whole.code, 0) << whole.err;
  const hw::Json result = ParseOrFail(whole.out);
  EXPECT_EQ(whole.out, ReadAll(dir_ + "/whole/result.json"));
  EXPECT_EQ(Keys(result),
            (std::vector<std::string>{"network", "hw", "hw_name", "valid", "macs", "params",
                                      "latency_cycles", "energy_pj", "edp_pj_cycles", "area_um2",
                                      "dram_bytes", "accuracy", "default", "ratio", "proposals",
                                      "evaluations", "seconds", "seed"}));
  EXPECT_EQ(Keys(*result.Find("default")),
            (std::vector<std::string>{"latency_cycles", "energy_pj", "edp_pj_cycles", "area_um2",
                                      "dram_bytes"}));
  EXPECT_EQ(Keys(*result.Find("ratio")),
            (std::vector<std::string>{"latency", "energy", "edp", "area"}));
  EXPECT_EQ(Keys(*result.Find("proposals")),
            (std::vector<std::string>{"total", "valid", "by_rule"}));
  EXPECT_TRUE(result.Find("valid")->boolean);
  EXPECT_EQ(NumberAt(result, "seed"), 5);
  EXPECT_LE(NumberAt(*result.Find("ratio"), "area"), 1.0 + 1e-9);
  EXPECT_NEAR(
      NumberAt(*result.Find("ratio"), "edp"),
      NumberAt(*result.Find("default"), "edp_pj_cycles") / NumberAt(result, "edp_pj_cycles"),
      1e-9 * NumberAt(*result.Find("ratio"), "edp"));
  for (const char* file :
       {"config.json", "log.csv", "result.json", "vta_config.json", "network.txt", "checkpoint"}) {
    EXPECT_TRUE(fs::exists(dir_ + "/whole/" + file)) << file;
  }
  // What the folder says costs what the result says.
  const hw::Json again = ParseOrFail(
      Run({"cost", "--network", "whole", "--hw", "whole/vta_config.json", "--json"}).out);
  for (const char* key : {"macs", "params", "latency_cycles", "energy_pj", "edp_pj_cycles",
                          "area_um2", "dram_bytes"}) {
    EXPECT_EQ(NumberAt(again, key), NumberAt(result, key)) << key;
  }
  const Outcome checked =
      Run({"space", "--hw-space", "vta", "--area-max", "1.0", "--check", "whole/vta_config.json"});
  EXPECT_EQ(checked.code, 0) << checked.out;

  // Stopped by a signal after the first epoch, then resumed: once politely, once killed, once with
  // a damaged checkpoint on top.
  struct Stop {
    int signal, code;
    bool damage;
    const char* folder;
  };
  for (const Stop& stop :
       {Stop{SIGINT, 130, false, "interrupted"}, Stop{SIGTERM, 143, true, "terminated"},
        Stop{SIGKILL, 1000 + SIGKILL, false, "killed"}}) {
    const std::string folder = dir_ + "/" + stop.folder;
    const pid_t pid = Start(TinySearch(stop.folder));
    ASSERT_TRUE(WaitForLines(pid, folder + "/log.csv", 2)) << ReadAll(dir_ + "/.stderr");
    kill(pid, stop.signal);
    const Outcome stopped = Wait(pid);
    ASSERT_EQ(stopped.code, stop.code) << stopped.err;
    if (stop.signal != SIGKILL) {
      EXPECT_NE(stopped.err.find("rhnas search --resume"), std::string::npos) << stopped.err;
    }
    EXPECT_FALSE(fs::exists(folder + "/result.json"));
    if (stop.damage) {
      ASSERT_TRUE(fs::exists(folder + "/checkpoint.prev"));
      fs::resize_file(folder + "/checkpoint", fs::file_size(folder + "/checkpoint") / 2);
    }
    // Other settings are refused, in one line, and nothing is touched.
    const Outcome refused = Run({"search", "--resume", stop.folder, "--epochs", "9"});
    EXPECT_EQ(refused.code, 2);
    EXPECT_NE(refused.err.find("--epochs is 2"), std::string::npos) << refused.err;
    const Outcome resumed = Run({"search", "--resume", stop.folder, "--threads", "1", "--json"});
    ASSERT_EQ(resumed.code, 0) << resumed.err;
    if (stop.damage) {
      EXPECT_NE(resumed.err.find("damaged"), std::string::npos) << resumed.err;
    }
    EXPECT_EQ(WithoutSeconds(resumed.out, false), WithoutSeconds(whole.out, false));
    for (const char* file : {"vta_config.json", "network.txt"}) {
      EXPECT_EQ(ReadAll(folder + "/" + file), ReadAll(dir_ + "/whole/" + file)) << file;
    }
    EXPECT_EQ(WithoutSeconds(ReadAll(folder + "/log.csv"), true),
              WithoutSeconds(ReadAll(dir_ + "/whole/log.csv"), true))
        << stop.folder;
  }

  // A finished run resumed tells its result again.
  const Outcome finished = Run({"search", "--resume", "whole", "--json"});
  EXPECT_EQ(finished.code, 0) << finished.err;
  EXPECT_EQ(WithoutSeconds(finished.out, false), WithoutSeconds(whole.out, false));
}

TEST_F(SlowCli, SearchWithNoUsableCheckpoint) {
  const pid_t pid = Start(TinySearch("run"));
  ASSERT_TRUE(WaitForLines(pid, dir_ + "/run/log.csv", 2)) << ReadAll(dir_ + "/.stderr");
  kill(pid, SIGINT);
  ASSERT_EQ(Wait(pid).code, 130);
  for (const char* file : {"/run/checkpoint", "/run/checkpoint.prev"}) {
    std::fstream damage(dir_ + file, std::ios::in | std::ios::out | std::ios::binary);
    damage.seekp(100);
    damage.put('\x5a');
    damage.put('\x5b');
  }
  const Outcome outcome = Run({"search", "--resume", "run"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_NE(outcome.err.find("checkpoint"), std::string::npos) << outcome.err;
}

TEST_F(SlowCli, SearchOnAFixedAcceleratorAndPlainText) {
  const Outcome outcome = Run(With(TinySearch("fixed"), {"--hw", "default", "--epochs", "1"}));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  for (const char* word : {"network", "accelerator", "latency", "energy", "EDP", "area", "accuracy",
                           "evaluations", "time", "run folder"}) {
    EXPECT_NE(outcome.out.find(word), std::string::npos) << word << "\n" << outcome.out;
  }
  EXPECT_EQ(outcome.err.find('\r'), std::string::npos) << "no refreshed line in a file";
  const hw::Json result = ParseOrFail(ReadAll(dir_ + "/fixed/result.json"));
  EXPECT_EQ(NumberAt(*result.Find("ratio"), "edp"), 1);
}

// --- train ---

TEST_F(SlowCli, TrainResumesToTheSameBits) {
  const std::vector<std::string> train = {"train", "--network",   "tiny:first", "--epochs",
                                          "3",     "--batch",     "16",         "--train-size",
                                          "640",   "--test-size", "64"};
  // The first candidate of every slot of the embedded space.
  const hw::Json space = ParseOrFail(Run({"space", "--space", "tiny", "--json"}).out);
  std::string genotype = "tiny:";
  for (const hw::Json& slot : space.Find("slots")->items) {
    if (slot.Find("candidates")->items.size() < 2) continue;
    genotype += (genotype.back() == ':' ? "" : ",") + slot.Find("candidates")->items[0].string;
  }
  std::vector<std::string> words = train;
  words[2] = genotype;
  const Outcome whole = Run(With(words, {"--out", "whole", "--json"}));
  ASSERT_EQ(whole.code, 0) << whole.err;
  EXPECT_EQ(Keys(ParseOrFail(whole.out)),
            (std::vector<std::string>{"network", "dataset", "macs", "params", "accuracy", "loss",
                                      "epochs", "seconds", "seed"}));
  const pid_t pid = Start(With(words, {"--out", "stopped"}));
  ASSERT_TRUE(WaitForLines(pid, dir_ + "/stopped/log.csv", 2)) << ReadAll(dir_ + "/.stderr");
  kill(pid, SIGINT);
  const Outcome stopped = Wait(pid);
  ASSERT_EQ(stopped.code, 130) << stopped.err;
  const Outcome resumed = Run({"train", "--resume", "stopped", "--json"});
  ASSERT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_EQ(WithoutSeconds(resumed.out, false), WithoutSeconds(whole.out, false));
  EXPECT_EQ(WithoutSeconds(ReadAll(dir_ + "/stopped/log.csv"), true),
            WithoutSeconds(ReadAll(dir_ + "/whole/log.csv"), true));
  EXPECT_EQ(Run({"search", "--resume", "stopped"}).code, 1) << "a run of another command";
}

}  // namespace
}  // namespace rhnas
