// `rhnas table` as its users meet it, and searches on tables.
#include "tests/program_cli.h"

namespace rhnas {
namespace {

class CliTable : public Cli {
 protected:
  // A network space and an accelerator space whose table takes well under a second.
  static std::vector<std::string> Small(const std::vector<std::string>& words) {
    return With(words, {"--space", "tiny", "--hw-space", "vta-small"});
  }
  void Build(const std::string& out) {
    const Outcome built = Run(Small({"table", "build", "--out", out, "--threads", "2"}));
    ASSERT_EQ(built.code, 0) << built.err;
  }
  // Of an exported table: a comment, the header, then a single layer's entry. (Entries of chains
  // may be missing.)
  static void DropFirstEntry(std::string* csv) {
    const size_t header = csv->find('\n') + 1, first = csv->find('\n', header) + 1;
    csv->erase(first, csv->find('\n', first) + 1 - first);
  }
  std::string Text(const std::string& file) { return ReadAll(dir_ + "/" + file); }
};

TEST_F(CliTable, SameBytesForAnyThreadsAndAfterAStop) {
  Build("two.table");
  const std::string whole = Text("two.table");
  ASSERT_GT(whole.size(), 100000u);
  const Outcome three = Run(Small({"table", "build", "--out", "three.table", "--threads", "3"}));
  ASSERT_EQ(three.code, 0) << three.err;
  EXPECT_TRUE(Text("three.table") == whole);

  // Stopped on the way, as soon as it reports progress.
  const std::vector<std::string> large = {"table",     "build",   "--space",    "fbnet-cifar",
                                          "--out",     "v.table", "--hw-space", "vta-small",
                                          "--threads", "1"};
  fs::remove(dir_ + "/.stderr");
  const pid_t pid = Start(large);
  ASSERT_TRUE(WaitForLines(pid, dir_ + "/.stderr", 1));
  kill(pid, SIGINT);
  const Outcome stopped = Wait(pid);
  EXPECT_EQ(stopped.code, 130) << stopped.err;
  EXPECT_NE(stopped.err.find("--resume"), std::string::npos) << stopped.err;
  EXPECT_FALSE(fs::exists(dir_ + "/v.table"));
  EXPECT_TRUE(fs::exists(dir_ + "/v.table.partial"));
  const Outcome again = Run(large);
  EXPECT_EQ(again.code, 1);
  EXPECT_NE(again.err.find("--resume"), std::string::npos) << again.err;
  const Outcome resumed = Run(With(large, {"--resume", "--json"}));
  ASSERT_EQ(resumed.code, 0) << resumed.err;
  const hw::Json json = ParseOrFail(resumed.out);
  EXPECT_EQ(NumberAt(json, "configurations"), 114);
  EXPECT_FALSE(fs::exists(dir_ + "/v.table.partial"));
  std::vector<std::string> straight = large;
  straight[5] = "w.table";
  ASSERT_EQ(Run(straight).code, 0);
  EXPECT_TRUE(Text("v.table") == Text("w.table"));
}

TEST_F(CliTable, CheckShowExportImport) {
  Build("t.table");
  const Outcome check = Run({"table", "check", "t.table"});
  EXPECT_EQ(check.code, 0) << check.err;
  const hw::Json show = ParseOrFail(Run({"table", "show", "t.table", "--json"}).out);
  EXPECT_EQ(NumberAt(show, "configurations"), 114);
  EXPECT_EQ(NumberAt(show, "entries"), 114 * (NumberAt(show, "layers") + NumberAt(show, "chains")));
  EXPECT_EQ(Run({"table", "export", "t.table", "--out", "t.csv"}).code, 0);
  EXPECT_EQ(Run(Small({"table", "check", "t.csv"})).code, 0);
  const Outcome imported = Run(Small({"table", "import", "t.csv", "--out", "u.table", "--json"}));
  ASSERT_EQ(imported.code, 0) << imported.err;
  EXPECT_TRUE(ParseOrFail(imported.out).Find("given")->boolean);
  EXPECT_EQ(Run({"table", "check", "u.table"}).code, 0);

  // A user's table with an entry too few, and a damaged one.
  std::string csv = Text("t.csv");
  DropFirstEntry(&csv);
  std::ofstream(dir_ + "/short.csv") << csv;
  const Outcome missing = Run(Small({"table", "check", "short.csv"}));
  EXPECT_EQ(missing.code, 1);
  EXPECT_NE(missing.err.find("misses 1 of"), std::string::npos) << missing.err;
  EXPECT_EQ(std::count(missing.err.begin(), missing.err.end(), '\n'), 1) << missing.err;
  const Outcome none = Run(Small({"table", "import", "short.csv", "--out", "none.table"}));
  EXPECT_EQ(none.code, 1);
  EXPECT_FALSE(fs::exists(dir_ + "/none.table"));
  std::string table = Text("t.table");
  table[table.size() - 3] = static_cast<char>(table[table.size() - 3] ^ 1);
  std::ofstream(dir_ + "/damaged.table", std::ios::binary) << table;
  for (const char* action : {"check", "show", "export"}) {
    const Outcome damaged = Run({"table", action, "damaged.table"});
    EXPECT_EQ(damaged.code, 1) << action;
    EXPECT_NE(damaged.err.find("checksum"), std::string::npos) << damaged.err;
  }
  EXPECT_FALSE(fs::exists(dir_ + "/damaged.table.csv"));
}

TEST_F(CliTable, MisuseIsOneLine) {
  struct Case {
    std::vector<std::string> words;
    int code;
    const char* says;
  };
  const std::vector<Case> cases = {
      {{"table"}, 2, "action is needed"},
      {{"table", "biuld"}, 2, "did you mean \"build\"?"},
      {{"table", "build", "x"}, 2, "--out FILE"},
      {{"table", "check"}, 2, "takes one file"},
      {{"table", "build", "--space", "tyni"}, 2, "did you mean tiny?"},
      {{"table", "build", "--hw-space", "vta-smal"}, 2, "vta-small"},
      {{"table", "build", "--energy-table", "none.csv"}, 1, "none.csv"},
      {{"table", "show", "none.table"}, 1, "none.table"},
      {{"table", "check", "none.table"}, 1, "none.table"},
      {{"table", "build", "--out", "no/such/folder/t", "--hw-space", "vta-small"}, 1, "no/such"},
      {{"cost", "--network", "fbnet-a", "--layer-table", "none"}, 1, "none"},
      {{"search", "--layer-table", "none"}, 1, "none"},
  };
  for (const Case& c : cases) {
    const Outcome outcome = Run(c.words);
    EXPECT_EQ(outcome.code, c.code) << outcome.err;
    EXPECT_NE(outcome.err.find(c.says), std::string::npos) << outcome.err;
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
  }
  EXPECT_FALSE(fs::exists(dir_ + "/no"));
}

TEST_F(CliTable, CostFromATableIsTheSame) {
  Build("t.table");
  const std::vector<std::string> cost = {"cost", "--network",
                                         "tiny:k3_e1_g2,k3_e3,k3_e6,k5_e1,k5_e3,skip", "--json"};
  const Outcome plain = Run(cost);
  ASSERT_EQ(plain.code, 0) << plain.err;
  EXPECT_EQ(Run(With(cost, {"--layer-table", "t.table"})).out, plain.out);
  EXPECT_EQ(Run({"table", "export", "t.table", "--out", "t.csv"}).code, 0);
  EXPECT_EQ(Run(Small({"table", "import", "t.csv", "--out", "u.table"})).code, 0);
  const Outcome given = Run(With(cost, {"--layer-table", "u.table"}));
  ASSERT_EQ(given.code, 0) << given.err;
  EXPECT_GT(NumberAt(ParseOrFail(given.out), "energy_pj"), 0);
  const Outcome missing = Run({"cost", "--network", "fbnet-a", "--layer-table", "u.table"});
  EXPECT_EQ(missing.code, 1);
  EXPECT_NE(missing.err.find("has no entries of"), std::string::npos) << missing.err;
}

TEST_F(CliTable, SearchOnATableGivesTheSameDesign) {
  Build("t.table");
  const auto result = [this](const std::string& folder) {
    std::string text = Text(folder + "/result.json");
    const size_t at = text.find("\"seconds\"");
    return at == std::string::npos ? text : text.erase(at, text.find('\n', at) - at);
  };
  const auto search = [](const std::string& out) {
    return With(TinySearch(out), {"--hw-space", "vta-small"});
  };
  const Outcome plain = Run(search("plain"));
  ASSERT_EQ(plain.code, 0) << plain.err;
  const Outcome tabled = Run(With(search("tabled"), {"--layer-table", "t.table"}));
  ASSERT_EQ(tabled.code, 0) << tabled.err;
  ASSERT_FALSE(result("plain").empty());
  EXPECT_EQ(result("tabled"), result("plain"));
  // A user's table with every cycle count doubled: it is really read.
  ASSERT_EQ(Run({"table", "export", "t.table", "--out", "t.csv"}).code, 0);
  std::stringstream lines(Text("t.csv"));
  std::ofstream doubled(dir_ + "/double.csv");
  for (std::string line; std::getline(lines, line);) {
    if (line[0] == '#' || line.compare(0, 6, "layer,") == 0) {
      doubled << line << "\n";
      continue;
    }
    std::vector<std::string> fields;
    std::stringstream parts(line);
    for (std::string field; std::getline(parts, field, ',');) fields.push_back(field);
    doubled << fields[0] << "," << fields[1] << "," << 2 * std::stoll(fields[2]) << "," << fields[3]
            << "," << fields[4] << ",\n";
  }
  doubled.close();
  const Outcome given = Run(With(search("given"), {"--layer-table", "double.csv"}));
  ASSERT_EQ(given.code, 0) << given.err;
  const hw::Json one = ParseOrFail(Text("plain/result.json")),
                 two = ParseOrFail(Text("given/result.json"));
  ASSERT_NE(one.Find("default"), nullptr);
  EXPECT_GT(NumberAt(two, "latency_cycles"), NumberAt(one, "latency_cycles"));
  // Missing entries are an error before any work.
  std::string csv = Text("t.csv");
  DropFirstEntry(&csv);
  std::ofstream(dir_ + "/short.csv") << csv;
  const Outcome missing = Run(With(search("never"), {"--layer-table", "short.csv"}));
  EXPECT_EQ(missing.code, 1);
  EXPECT_NE(missing.err.find("misses 1 of"), std::string::npos) << missing.err;
  EXPECT_FALSE(fs::exists(dir_ + "/never"));
}

}  // namespace
}  // namespace rhnas
