// rhnas compare and rhnas hw as a user runs them: what they write, that threads and interruptions
// change no byte, and what they say when something is wrong.

#include "tests/program_cli.h"

namespace rhnas {
namespace {

const char kProblem[] = "hw:tiny:k3_e3,skip,k5_e1,k3_e1_g2,skip,k3_e6";

class Compare : public Cli {
 protected:
  static std::vector<std::string> Small(const std::string& out) {
    return {"compare",
            "--problem",
            kProblem,
            "--hw-space",
            "vta-small",
            "--methods",
            "reinforce,genetic,random",
            "--budget",
            "40",
            "--seeds",
            "3",
            "--out",
            out};
  }
  std::string File(const std::string& name) const { return dir_ + "/" + name; }

  // result.json without what a clock says.
  static std::string WithoutSeconds(const std::string& json) {
    std::stringstream in(json);
    std::string line, text;
    while (std::getline(in, line)) {
      if (line.find("\"seconds\"") == std::string::npos) text += line + "\n";
    }
    return text;
  }
  void ExpectSameResults(const std::string& a, const std::string& b) {
    const std::string curves = ReadAll(File(a + "/curves.csv"));
    EXPECT_GT(std::count(curves.begin(), curves.end(), '\n'), 9) << curves;
    EXPECT_EQ(curves, ReadAll(File(b + "/curves.csv")));
    EXPECT_EQ(ReadAll(File(a + "/regret.svg")), ReadAll(File(b + "/regret.svg")));
    EXPECT_EQ(WithoutSeconds(ReadAll(File(a + "/result.json"))),
              WithoutSeconds(ReadAll(File(b + "/result.json"))));
  }
  // But for the order in which the energies of layers are added.
  static void ExpectSameNumber(double a, double b) { EXPECT_NEAR(a, b, 1e-14 * a); }
  // One line on standard error that holds both texts.
  void ExpectRefusal(const std::vector<std::string>& words, int code, const std::string& first,
                     const std::string& second = "") {
    const Outcome outcome = Run(words);
    EXPECT_EQ(outcome.code, code) << outcome.err;
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
    EXPECT_NE(outcome.err.find(first), std::string::npos) << outcome.err;
    EXPECT_NE(outcome.err.find(second), std::string::npos) << outcome.err;
    EXPECT_EQ(outcome.out, "");
  }
};

TEST_F(Compare, JsonKeys) {
  const Outcome outcome = Run(With(Small("run"), {"--json"}));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const hw::Json json = ParseOrFail(outcome.out);
  EXPECT_EQ(json.Find("problem")->string, kProblem);
  EXPECT_EQ(NumberAt(json, "budget"), 40);
  EXPECT_GT(NumberAt(json, "optimum"), 0);
  const hw::Json* methods = json.Find("methods");
  ASSERT_NE(methods, nullptr);
  ASSERT_EQ(methods->members.size(), 3u);
  for (const auto& [name, method] : methods->members) {
    EXPECT_GE(NumberAt(method, "regret_q1"), 0) << name;
    EXPECT_GE(NumberAt(method, "regret_median"), NumberAt(method, "regret_q1")) << name;
    EXPECT_GE(NumberAt(method, "regret_q3"), NumberAt(method, "regret_median")) << name;
    EXPECT_GE(NumberAt(method, "share_valid"), 0) << name;
    EXPECT_LE(NumberAt(method, "share_valid"), 1) << name;
    EXPECT_GE(NumberAt(method, "seconds"), 0) << name;
    ASSERT_NE(method.Find("evaluations_to_1pct"), nullptr) << name;
  }
  EXPECT_EQ(outcome.out, ReadAll(File("run/result.json")));
  // The optimum is a design that costs what rhnas cost says.
  const std::string text = ReadAll(File("run/result.json"));
  const size_t begin = text.find('{', text.find("\"optimum_hw\""));
  std::ofstream(File("best.json")) << text.substr(begin, text.find('}', begin) - begin + 1);
  const Outcome cost =
      Run({"cost", "--network", std::string(kProblem).substr(3), "--hw", "best.json", "--json"});
  ASSERT_EQ(cost.code, 0) << cost.err;
  ExpectSameNumber(NumberAt(ParseOrFail(cost.out), "edp_pj_cycles"), NumberAt(json, "optimum"));
}

TEST_F(Compare, ThreadsAndResumingChangeNoByte) {
  ASSERT_EQ(Run(With(Small("one"), {"--threads", "1"})).code, 0);
  ASSERT_EQ(Run(With(Small("three"), {"--threads", "3"})).code, 0);
  ExpectSameResults("one", "three");
  // Fewer seeds and methods first, the rest later.
  std::vector<std::string> part = Small("part");
  part[6] = "genetic";
  part[10] = "1";
  ASSERT_EQ(Run(part).code, 0);
  const Outcome rest =
      Run({"compare", "--resume", "part", "--seeds", "3", "--methods", "reinforce,genetic,random"});
  ASSERT_EQ(rest.code, 0) << rest.err;
  ExpectSameResults("one", "part");
  // Nothing is left to run.
  const Outcome again = Run({"compare", "--resume", "one"});
  EXPECT_EQ(again.code, 0) << again.err;
  ExpectSameResults("one", "part");
}

TEST_F(Compare, InterruptedAndResumed) {
  const std::vector<std::string> words = {
      "compare", "--problem", kProblem,   "--hw-space", "vta-small", "--methods", "gp",
      "--seeds", "16",        "--budget", "60",         "--threads", "1",         "--out"};
  ASSERT_EQ(Run(With(words, {"whole"})).code, 0);
  const pid_t pid = Start(With(words, {"broken"}));
  for (int i = 0; i < 3000 && !fs::exists(File("broken/checkpoint")); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  kill(pid, SIGINT);
  const Outcome stopped = Wait(pid);
  EXPECT_EQ(stopped.code, 130) << stopped.err;
  EXPECT_NE(stopped.err.find("--resume broken"), std::string::npos) << stopped.err;
  EXPECT_FALSE(fs::exists(File("broken/result.json")));
  const Outcome resumed = Run({"compare", "--resume", "broken"});
  ASSERT_EQ(resumed.code, 0) << resumed.err;
  ExpectSameResults("whole", "broken");
}

TEST_F(Compare, SaysWhatIsWrong) {
  const auto with = [](const std::string& problem, const std::vector<std::string>& more) {
    return With({"compare", "--problem", problem, "--out", "x"}, more);
  };
  const std::string resnet = "hw:resnet20";
  ExpectRefusal({"compare"}, 2, "--problem is needed", "hw:NETWORK");
  ExpectRefusal(with("nb201:cifar11", {}), 2, "unknown problem", "nb201:cifar10");
  ExpectRefusal(with("hw:resnet21", {}), 2, "did you mean resnet20");
  ExpectRefusal(with(resnet, {"--methods", "genetics"}), 2, "did you mean \"genetic\"",
                "reinforce");
  ExpectRefusal(with(resnet, {"--methods", "random,random"}), 2, "twice");
  ExpectRefusal(with(resnet, {"--methods", "gp", "--budget", "1"}), 2, "--budget 1",
                "gp needs at least");
  ExpectRefusal(with(resnet, {"--hw-space", "vta-smal"}), 2, "did you mean \"vta-small\"");
  // Infeasible: which rule, and the nearest that can be built.
  ExpectRefusal(with(resnet, {"--area-max", "0.01"}), 1, "--area-max 0.01 is infeasible",
                "the smallest accelerator");
  ExpectRefusal(with(resnet, {"--latency-max", "1000"}), 1, "--latency-max 1000 is infeasible",
                "at least that");
  ExpectRefusal(with(resnet, {"--gains"}), 2, "--gains is for joint problems", "tiny");
  ExpectRefusal(with("hw:", {}), 2, "lacks its network", "hw:fbnet-c@imagenet");
  ExpectRefusal(with(resnet, {"--methods", "all,random"}), 2, "\"all\"", "stands alone");
  // Flags of the other kind of problem, and values that are none.
  ExpectRefusal(with(resnet, {"--accuracy-min", "0.5"}), 2, "--accuracy-min is for joint", "tiny");
  ExpectRefusal(with(resnet, {"--hw-agent", "gp"}), 2, "--hw-agent is for joint");
  ExpectRefusal(with(resnet, {"--data", "x"}), 2, "--data is for joint");
  ExpectRefusal(with(resnet, {"--area-max", "-0.5"}), 2, "--area-max", "found -0.5");
  ExpectRefusal(with("tiny", {"--accuracy-min", "-0.5"}), 2, "--accuracy-min", "found -0.5");
  ExpectRefusal(with("tiny", {"--hw-agent", "dina"}), 2, "did you mean \"dyna\"", "annealing");
  ExpectRefusal(with("tiny", {"--budget", "100001"}), 2, "--budget 100001", "at most 100000");
  ExpectRefusal(with("tiny", {"--accuracy-min", "0.99"}), 1, "--accuracy-min 0.99 is infeasible",
                "to at most that");
  ExpectRefusal(with("tiny", {"--invalid", "resample"}), 2, "--invalid resample",
                "mask or penalty");
  EXPECT_FALSE(fs::exists(File("x")));
  ExpectRefusal({"compare", "--resume", "nowhere"}, 1, "no such run folder");
  ASSERT_EQ(Run(Small("run")).code, 0);
  ExpectRefusal({"compare", "--resume", "run", "--problem", resnet}, 2, "--problem is hw:tiny",
                "start a new run");
  ExpectRefusal({"compare", "--resume", "run", "--budget", "41"}, 2, "--budget is 40");
  ExpectRefusal({"hw", "--resume", "run"}, 1, "rhnas compare");
  ExpectRefusal(Small("run"), 1, "not empty", "--resume run");
}

// A cap that the default accelerator breaks: runs start from a pair that meets it, and what is
// found lies under it, whether the rules are known or learned from penalties.
TEST_F(Compare, JointCapBelowTheDefault) {
  for (const char* invalid : {"mask", "penalty"}) {
    const Outcome outcome = Run({"compare", "--problem", "tiny", "--area-max", "0.5", "--methods",
                                 "rhnas,sequential,hw-fixed,nsga2", "--budget", "64", "--seeds",
                                 "2", "--invalid", invalid, "--out", invalid, "--json"});
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    const hw::Json json = ParseOrFail(outcome.out);
    const hw::Json* start = json.Find("start_pair");
    const hw::Json* optimum = json.Find("optimum_pair");
    ASSERT_TRUE(start != nullptr && optimum != nullptr);
    const Outcome reference = Run({"cost", "--network", "resnet20", "--json"});
    ASSERT_EQ(reference.code, 0) << reference.err;
    const double area = NumberAt(ParseOrFail(reference.out), "area_um2");
    EXPECT_LE(NumberAt(*start, "area_um2"), 0.5 * area);
    EXPECT_GE(NumberAt(*start, "accuracy"), NumberAt(json, "accuracy_min"));
    EXPECT_GT(NumberAt(*start, "edp_pj_cycles"), NumberAt(*optimum, "edp_pj_cycles"));
    for (const auto& [name, method] : json.Find("methods")->members) {
      const double worst = NumberAt(*start, "edp_pj_cycles") / NumberAt(json, "optimum") - 1;
      EXPECT_GE(NumberAt(method, "regret_median"), 0) << name << ", " << invalid;
      EXPECT_LT(NumberAt(method, "regret_median"), worst) << name << ", " << invalid;
      const double share = NumberAt(method, "share_valid");
      EXPECT_GT(share, 0) << name << ", " << invalid;
      if (std::string(invalid) == "mask" && name != "sequential") EXPECT_EQ(share, 1) << name;
      if (name == "nsga2" && std::string(invalid) == "penalty") EXPECT_LT(share, 1);
    }
  }
}

// Each problem has its own space unless one is named, vta too.
TEST_F(Compare, JointSpaceIsTheOneNamed) {
  const auto space = [&](const std::vector<std::string>& more, const char* out) {
    const Outcome outcome = Run(With({"compare", "--problem", "tiny", "--methods", "random",
                                      "--budget", "5", "--seeds", "1", "--json", "--out", out},
                                     more));
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return outcome.code == 0 ? ParseOrFail(outcome.out).Find("hw_space")->string : "";
  };
  EXPECT_EQ(space({}, "own"), "vta-small");
  EXPECT_EQ(space({"--hw-space", "vta"}, "named"), "vta");
}

// Tells a changed world: the same names, other costs.
TEST_F(Compare, RefusesOtherCosts) {
  const Outcome table = Run({"cost", "--print-table"});
  ASSERT_EQ(table.code, 0);
  std::ofstream(File("table.csv")) << table.out;
  ASSERT_EQ(Run(With(Small("run"), {"--energy-table", "table.csv"})).code, 0);
  const Outcome other = Run({"cost", "--print-table", "--node", "28"});
  std::ofstream(File("table.csv")) << other.out;
  ExpectRefusal({"compare", "--resume", "run"}, 1, "are not those that its runs saw");
}

// What the models of joint methods would build by themselves: under masks every choice of rhnas can
// be built; the relaxed ones are asked, too, and a method that never proposed says so.
TEST_F(Compare, JointMethodsTellTheirOwnProposals) {
  const Outcome outcome =
      Run({"compare", "--problem", "tiny", "--methods", "rhnas,diff-autonba,diff-dance,nsga2",
           "--budget", "64", "--seeds", "2", "--out", "x", "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const hw::Json json = ParseOrFail(outcome.out);
  const hw::Json* methods = json.Find("methods");
  EXPECT_EQ(methods->Find("nsga2")->Find("proposals"), nullptr);
  EXPECT_EQ(NumberAt(*methods->Find("rhnas"), "final_invalid"), 0);
  for (const char* name : {"rhnas", "diff-autonba", "diff-dance"}) {
    const hw::Json& method = *methods->Find(name);
    EXPECT_GT(NumberAt(method, "proposals"), 0) << name;
    EXPECT_EQ(NumberAt(method, "proposing_seeds"), 2) << name;
    EXPECT_GE(NumberAt(method, "proposals"), NumberAt(method, "proposals_invalid")) << name;
  }
  // Of one network there are 91 pairs: the run ends with them, or earlier.
  EXPECT_EQ(Run({"compare", "--problem", "tiny", "--methods", "hw-fixed", "--budget", "20000",
                 "--seeds", "1", "--out", "y"})
                .code,
            0);
}

class HwCommand : public Compare {
 protected:
  static std::vector<std::string> Small(const std::string& agent) {
    return {"hw",        "--network",     std::string(kProblem).substr(3),
            "--agent",   agent,           "--hw-space",
            "vta-small", "--evaluations", "40"};
  }
};

TEST_F(HwCommand, FindsAndSaysHowFarFromTheOptimum) {
  for (const char* agent : {"genetic", "random"}) {
    const Outcome outcome = Run(With(Small(agent), {"--exact", "--json"}));
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    const hw::Json json = ParseOrFail(outcome.out);
    EXPECT_TRUE(json.Find("valid")->boolean);
    EXPECT_LE(NumberAt(json, "evaluations"), 40);
    const double edp = NumberAt(json, "edp_pj_cycles"), optimum = NumberAt(json, "optimum");
    EXPECT_EQ(NumberAt(json, "regret"), edp / optimum - 1);
    EXPECT_GE(NumberAt(json, "regret"), 0);
    const hw::Json* ratio = json.Find("ratio");
    ASSERT_NE(ratio, nullptr);
    EXPECT_GE(NumberAt(*ratio, "edp"), 1) << "worse than the default";
    // What was found costs what rhnas cost says.
    const size_t begin = outcome.out.find('{', outcome.out.find("\"hw\""));
    std::ofstream(File("hw.json"))
        << outcome.out.substr(begin, outcome.out.find('}', begin) - begin + 1);
    const Outcome cost =
        Run({"cost", "--network", std::string(kProblem).substr(3), "--hw", "hw.json", "--json"});
    ASSERT_EQ(cost.code, 0) << cost.err;
    const hw::Json costs = ParseOrFail(cost.out);
    EXPECT_EQ(NumberAt(costs, "latency_cycles"), NumberAt(json, "latency_cycles"));
    ExpectSameNumber(NumberAt(costs, "edp_pj_cycles"), edp);
  }
}

TEST_F(HwCommand, InterruptedAndResumed) {
  const std::vector<std::string> words = {
      "hw",  "--network", "fbnet-a@imagenet", "--agent", "genetic", "--evaluations",
      "600", "--invalid", "penalty",          "--out"};
  ASSERT_EQ(Run(With(words, {"whole"})).code, 0);
  const pid_t pid = Start(With(words, {"broken"}));
  for (int i = 0; i < 3000 && !fs::exists(File("broken/checkpoint")); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  kill(pid, SIGINT);
  EXPECT_EQ(Wait(pid).code, 130);
  ASSERT_EQ(Run({"hw", "--resume", "broken"}).code, 0);
  EXPECT_EQ(ReadAll(File("whole/result.json")), ReadAll(File("broken/result.json")));
  EXPECT_EQ(ReadAll(File("whole/vta_config.json")), ReadAll(File("broken/vta_config.json")));
}

TEST_F(HwCommand, SaysWhatIsWrong) {
  ExpectRefusal({"hw"}, 2, "--network is needed");
  ExpectRefusal({"hw", "--network", "resnet20", "--agent", "gentic"}, 2, "did you mean");
  ExpectRefusal({"hw", "--network", "resnet20", "--agent", "gp", "--evaluations", "1"}, 2,
                "below the", "gp needs at least");
  ExpectRefusal({"hw", "--network", "resnet20", "--area-max", "0.01"}, 1, "is infeasible");
}

// A limit that no design meets, and one that this search did not: the nearest, and no result.
TEST_F(HwCommand, LatencyLimitNotMet) {
  const std::vector<std::string> words = With(Small("random"), {"--json", "--latency-max"});
  const Outcome exact = Run(With(Small("random"), {"--objective", "latency", "--exact", "--json"}));
  ASSERT_EQ(exact.code, 0) << exact.err;
  const double least = NumberAt(ParseOrFail(exact.out), "optimum");
  const Outcome never = Run(With(words, {std::to_string(static_cast<int64_t>(least) - 1)}));
  EXPECT_EQ(never.code, 1);
  EXPECT_NE(never.err.find("is infeasible: the fastest accelerator"), std::string::npos)
      << never.err;
  EXPECT_NE(never.err.find(std::to_string(static_cast<int64_t>(least)) + " cycles"),
            std::string::npos)
      << never.err;
  const Outcome missed = Run(With(
      words, {std::to_string(static_cast<int64_t>(least)), "--out", "r", "--evaluations", "1"}));
  EXPECT_EQ(missed.code, 1);
  EXPECT_NE(missed.err.find("raise --evaluations"), std::string::npos) << missed.err;
  EXPECT_NE(missed.out.find("\"exit_code\": 1"), std::string::npos) << missed.out;
  EXPECT_FALSE(fs::exists(File("r/result.json")));
}

class AgentCommand : public Compare {};

// Training must not begin where it cannot be saved, nor cost a file that is there.
TEST_F(AgentCommand, ChecksItsOutputFirst) {
  std::ofstream(File("notes.txt")) << "mine";
  const std::vector<std::string> train = {"agent",     "train",   "--space",  "tiny", "--hw-space",
                                          "vta-small", "--steps", "10000000", "--out"};
  ExpectRefusal(With(train, {"notes.txt"}), 1, "notes.txt: exists", "another name");
  EXPECT_EQ(ReadAll(File("notes.txt")), "mine");
  ExpectRefusal(With(train, {"missing/a.agent"}), 1, "cannot write", "missing/a.agent");
  ExpectRefusal(With(train, {"notes.txt/a.agent"}), 1, "notes.txt/a.agent");
}

}  // namespace
}  // namespace rhnas
