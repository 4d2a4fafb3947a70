// The program as its users meet it: help, misuse, known answers of `rhnas cost` and `rhnas space`.
#include "tests/program_cli.h"

namespace rhnas {
namespace {

// --- help and version ---

TEST_F(Cli, HelpOfEveryCommand) {
  const Outcome all = Run({"help"});
  EXPECT_EQ(all.code, 0);
  EXPECT_NE(all.out.find("Exit codes"), std::string::npos);
  EXPECT_EQ(Run({"--help"}).out, all.out);
  for (const char* command :
       {"search", "cost", "program", "space", "table", "train", "version", "help"}) {
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
      {{"search", "--dataset", "cifar10"}, "--data DIR"},
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

// Layers that run in another's program say whose; --no-fusion leaves none and is no faster.
TEST_F(Cli, CostWithAndWithoutFusion) {
  const Outcome apart =
      Run({"cost", "--network", "fbnet-a@cifar", "--no-fusion", "--json", "--per-layer"});
  ASSERT_EQ(apart.code, 0) << apart.err;
  EXPECT_EQ(apart.out.find("fused"), std::string::npos);
  const hw::Json chained = ParseOrFail(Run({"cost", "--network", "fbnet-a@cifar", "--json"}).out);
  EXPECT_LT(NumberAt(chained, "latency_cycles"),
            NumberAt(ParseOrFail(apart.out), "latency_cycles"));
  int fused = 0;
  std::string before;
  for (const hw::Json& layer : chained.Find("layers")->items) {
    const hw::Json* into = layer.Find("fused_into");
    if (into == nullptr) {
      before = layer.Find("name")->string;
      EXPECT_GT(NumberAt(layer, "latency_cycles"), 0) << before;
      continue;
    }
    ++fused;
    EXPECT_EQ(into->string, before);
    EXPECT_EQ(layer.Find("bound")->string, "fused");
    EXPECT_EQ(NumberAt(layer, "latency_cycles") + NumberAt(layer, "energy_pj") +
                  NumberAt(layer, "dram_bytes"),
              0);
  }
  EXPECT_GT(fused, 5);
  const Outcome table = Run({"cost", "--network", "fbnet-a@cifar", "--per-layer"});
  EXPECT_NE(table.out.find("fused"), std::string::npos) << table.out;
}

TEST_F(Cli, CostOfEveryNamedNetworkAndPreset) {
  const hw::Json lists = ParseOrFail(Run({"space", "--json"}).out);
  ASSERT_NE(lists.Find("networks"), nullptr);
  ASSERT_NE(lists.Find("presets"), nullptr);
  EXPECT_EQ(lists.Find("presets")->items.size(), 17u);
  for (const char* network : {"resnet18", "resnet50", "mobilenet_v1", "mobilenet_v2", "resnet20",
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
  // A known name is a name, whatever lies around.
  std::ofstream(dir_ + "/resnet20") << "fbnet-a\n";
  EXPECT_EQ(NumberAt(ParseOrFail(Run({"cost", "--network", "resnet20", "--json"}).out), "macs"),
            40551040);
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

TEST_F(Cli, WhatIsNoFileIsToldAsWhatItIs) {
  fs::create_directory(dir_ + "/folder");
  struct Case {
    const char *flag, *path, *says;
  };
  for (const Case& c : {Case{"--hw", "folder", "folder: is a folder without vta_config.json"},
                        Case{"--hw", "./folder", "./folder: is a folder without vta_config.json"},
                        Case{"--hw", "/dev/null", "/dev/null: is not a regular file"},
                        Case{"--hw", "./none", "./none: no such file"},
                        Case{"--network", "folder", "folder: is a folder without network.txt"},
                        Case{"--network", "./folder", "./folder: is a folder without network.txt"},
                        Case{"--network", "/dev/null", "/dev/null: is not a regular file"}}) {
    const Outcome outcome = Run({"cost", "--network", "resnet20", c.flag, c.path});
    EXPECT_EQ(outcome.code, 1) << outcome.err;
    EXPECT_EQ(outcome.err, std::string("rhnas cost: ") + c.says + "\n");
  }
}

TEST_F(Cli, InvalidHardwareGivesVerdicts) {
  const std::string config = ObjectText(Run({"cost", "--network", "resnet20", "--json"}).out, "hw");
  std::ofstream(dir_ + "/good.json") << config;
  std::ofstream(dir_ + "/bad.json") << ConfigWith(config, "LOG_ACC_BUFF_SIZE", "18");
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
  EXPECT_EQ(NumberAt(json, "exit_code"), 1);
  ASSERT_NE(json.Find("error"), nullptr);
  EXPECT_NE(json.Find("error")->string.find("need"), std::string::npos);
  EXPECT_EQ(outcome.err, text.err);
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
  const Outcome killed = Run({"space", "--hw-space", "vta", "--count", "--bus", "512"});
  EXPECT_NE(killed.err.find("--derived-tags"), std::string::npos) << killed.err;
  const Outcome derived =
      Run({"space", "--hw-space", "vta", "--count", "--json", "--bus", "512", "--derived-tags"});
  EXPECT_EQ(NumberAt(ParseOrFail(derived.out), "valid"), 5652);
  EXPECT_EQ(derived.err, "");
  const Outcome text = Run({"space", "--hw-space", "vta", "--count"});
  EXPECT_NE(text.out.find("6,472"), std::string::npos) << text.out;
  const Outcome capped =
      Run({"space", "--hw-space", "vta", "--count", "--json", "--area-max", "1.0"});
  EXPECT_LT(NumberAt(ParseOrFail(capped.out), "valid"), 6472);
}

TEST_F(Cli, SpaceChecksFiles) {
  const std::string config = ObjectText(Run({"cost", "--network", "resnet20", "--json"}).out, "hw");
  std::ofstream(dir_ + "/good.json") << config;
  // The default sits on three limits at once: a larger accumulator breaks several rules.
  std::ofstream(dir_ + "/bad.json") << ConfigWith(config, "LOG_ACC_BUFF_SIZE", "18");
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

}  // namespace
}  // namespace rhnas
