// Runs of the program: faults before the work starts, stopping by signals, resuming to the same
// bits.
#include "hw/config.h"
#include "hw/tables.h"
#include "tests/program_cli.h"

namespace rhnas {
namespace {

class SlowCli : public Cli {};

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

// --- search: what is wrong before the work starts ---

TEST_F(Cli, SearchFaultsBeforeTheWork) {
  std::ofstream(dir_ + "/file") << "x";
  fs::create_directory(dir_ + "/full");
  std::ofstream(dir_ + "/full/x") << "x";
  fs::create_directory(dir_ + "/no_data");
  std::ofstream(dir_ + "/broken.csv") << "name,value\n";
  // Valid, but larger than the default accelerator.
  std::ofstream(dir_ + "/large.json") << hw::ToJson(*hw::FindConfig("vta_config_be_huge"));
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
      {{"--area-max", "0.0001", "--out", "r"}, "area"},
      {{"--latency-max", "1", "--out", "r"}, "latency"},
      {{"--energy-table", "missing.csv", "--out", "r"}, "missing.csv"},
      {{"--energy-table", "broken.csv", "--out", "r"}, ": broken.csv:1"},
      {{"--hw", "missing.json", "--out", "r"}, "missing.json"},
      {{"--hw", "large.json", "--out", "r"}, "accelerator large.json cannot be built"},
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
  EXPECT_EQ(
      Keys(result),
      (std::vector<std::string>{
          "network",     "accelerator",    "hw",        "hw_name",       "valid",    "macs",
          "params",      "latency_cycles", "energy_pj", "edp_pj_cycles", "area_um2", "dram_bytes",
          "accuracy",    "objective",      "limits",    "default",       "ratio",    "proposals",
          "evaluations", "seconds",        "seed"}));
  EXPECT_EQ(Keys(*result.Find("default")),
            (std::vector<std::string>{"latency_cycles", "energy_pj", "edp_pj_cycles", "area_um2",
                                      "dram_bytes"}));
  EXPECT_EQ(Keys(*result.Find("ratio")),
            (std::vector<std::string>{"latency", "energy", "edp", "area"}));
  EXPECT_EQ(Keys(*result.Find("proposals")),
            (std::vector<std::string>{"total", "valid", "unmappable", "by_rule"}));
  EXPECT_EQ(Keys(*result.Find("limits")),
            (std::vector<std::string>{"latency_met", "accuracy_met"}));
  EXPECT_EQ(result.Find("objective")->string, "edp");
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
  // What the folder says costs what the result says, to the last bit.
  const hw::Json again = ParseOrFail(
      Run({"cost", "--network", "whole", "--hw", "whole/vta_config.json", "--json"}).out);
  for (const char* key : {"macs", "params", "latency_cycles", "energy_pj", "edp_pj_cycles",
                          "area_um2", "dram_bytes"}) {
    EXPECT_EQ(NumberAt(again, key), NumberAt(result, key)) << key;
  }
  const Outcome checked =
      Run({"space", "--hw-space", "vta", "--area-max", "1.0", "--check", "whole/vta_config.json"});
  EXPECT_EQ(checked.code, 0) << checked.out;

  // Stopped by a signal after the first epoch, then resumed: politely, with a
  // damaged checkpoint on top, killed, and twice at once.
  struct Stop {
    int signal, code;
    bool damage, twice;
    const char* folder;
  };
  for (const Stop& stop : {Stop{SIGINT, 130, false, false, "interrupted"},
                           Stop{SIGTERM, 143, true, false, "terminated"},
                           Stop{SIGKILL, 1000 + SIGKILL, false, false, "killed"},
                           Stop{SIGINT, 130, false, true, "at_once"}}) {
    const std::string folder = dir_ + "/" + stop.folder;
    const pid_t pid = Start(TinySearch(stop.folder));
    ASSERT_TRUE(WaitForLines(pid, folder + "/log.csv", 2)) << ReadAll(dir_ + "/.stderr");
    kill(pid, stop.signal);
    if (stop.twice) kill(pid, stop.signal);  // whichever is answered first, the code is the same
    const Outcome stopped = Wait(pid);
    ASSERT_EQ(stopped.code, stop.code) << stopped.err;
    if (stop.signal != SIGKILL && !stop.twice) {
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

// A run keeps copies of the files that its settings name: these may be edited or go away.
TEST_F(SlowCli, ResumeNeedsNoOriginalFiles) {
  std::string table = hw::DefaultCostTableCsv();
  for (size_t at = 0; (at = table.find("_read_pj_per_byte,", at)) != std::string::npos; ++at) {
    table.insert(table.find(',', at) + 1, "1");  // 5.2 becomes 15.2
  }
  std::ofstream(dir_ + "/table.csv") << table;
  std::ofstream(dir_ + "/fixed.json") << hw::ToJson(*hw::FindConfig("default"));
  const auto words = [](const char* out) {
    return With(TinySearch(out), {"--energy-table", "table.csv", "--hw", "fixed.json"});
  };
  const Outcome whole = Run(With(words("whole"), {"--json"}));
  ASSERT_EQ(whole.code, 0) << whole.err;
  const pid_t pid = Start(words("stopped"));
  ASSERT_TRUE(WaitForLines(pid, dir_ + "/stopped/log.csv", 2)) << ReadAll(dir_ + "/.stderr");
  kill(pid, SIGINT);
  ASSERT_EQ(Wait(pid).code, 130);
  std::ofstream(dir_ + "/table.csv") << hw::DefaultCostTableCsv();
  fs::remove(dir_ + "/fixed.json");
  fs::rename(dir_ + "/stopped", dir_ + "/moved");
  const Outcome resumed = Run({"search", "--resume", "moved", "--json"});
  ASSERT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_EQ(WithoutSeconds(resumed.out, false), WithoutSeconds(whole.out, false));
  const hw::Json cost =
      ParseOrFail(Run({"cost", "--network", "moved", "--hw", "moved", "--json"}).out);
  EXPECT_LT(NumberAt(cost, "energy_pj"), NumberAt(ParseOrFail(whole.out), "energy_pj"))
      << "the built-in table must give another result for this test to mean anything";
  fs::remove(dir_ + "/moved/energy_table.csv");
  const Outcome missing = Run({"search", "--resume", "moved"});
  EXPECT_EQ(missing.code, 1);
  EXPECT_NE(missing.err.find("holds no energy_table.csv, the copy of table.csv"), std::string::npos)
      << missing.err;
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
  const Outcome outcome =
      Run(With(TinySearch("fixed"), {"--hw", "default", "--epochs", "1", "--objective", "energy",
                                     "--accuracy-min", "1"}));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("NOT MET"), std::string::npos) << outcome.out;
  for (const char* word : {"network", "accelerator", "latency", "energy", "EDP", "area", "accuracy",
                           "evaluations", "time", "run folder"}) {
    EXPECT_NE(outcome.out.find(word), std::string::npos) << word << "\n" << outcome.out;
  }
  EXPECT_EQ(outcome.err.find('\r'), std::string::npos) << "no refreshed line in a file";
  const hw::Json result = ParseOrFail(ReadAll(dir_ + "/fixed/result.json"));
  EXPECT_EQ(NumberAt(*result.Find("ratio"), "edp"), 1);
  // A missed limit is told to scripts too.
  EXPECT_EQ(result.Find("objective")->string, "energy");
  EXPECT_TRUE(result.Find("limits")->Find("latency_met")->boolean) << "none was set";
  EXPECT_FALSE(result.Find("limits")->Find("accuracy_met")->boolean);
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
                                      "last_accuracy", "validation_accuracy", "best_epoch",
                                      "train_images", "validation_images", "test_images", "epochs",
                                      "seconds", "seed"}));
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
  for (const char* file : {"/best.weights", "/last.weights"}) {
    EXPECT_GT(ReadAll(dir_ + "/whole" + file).size(), 100000u) << file;
    EXPECT_EQ(ReadAll(dir_ + "/stopped" + file), ReadAll(dir_ + "/whole" + file)) << file;
  }
  EXPECT_EQ(Run({"search", "--resume", "stopped"}).code, 1) << "a run of another command";
}

}  // namespace
}  // namespace rhnas
