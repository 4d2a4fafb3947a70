// The flag table: parsing, ranges, suggestions, help, and config.json written from it.
#include <gtest/gtest.h>

#include "search/flags.h"
#include "search/run_folder.h"
#include "search/search_flags.h"
#include "search/suggest.h"

namespace rhnas::search {
namespace {

struct Settings {
  bool quick = false, careful = true;
  int count = 3;
  uint64_t seed = 1;
  double rate = 0.5;
  float small = 0.05f;
  std::string dir, kind = "blue";
  std::vector<std::string> files;
  int threads = 0;

  void Declare(FlagSet* flags) {
    flags->Switch("quick", &quick, "be quick");
    flags->Switch("careful", &careful, "be careful");
    flags->Int("count", &count, 0, 10, "how many");
    flags->Int64("seed", &seed, "seed");
    flags->Number("rate", &rate, 0, 1, "rate");
    flags->Number("small", &small, 0, 1, "a float");
    flags->Text("dir", "DIR", &dir, "folder");
    flags->Choice("kind", &kind, {"blue", "green", "red"}, "colour");
    flags->List("check", "FILE", &files, "files");
    flags->Int("threads", &threads, 0, 64, "threads").MayChange();
  }
};

std::string ParseError(const std::vector<std::string>& words) {
  Settings settings;
  FlagSet flags;
  settings.Declare(&flags);
  return flags.Parse(words).message();
}

TEST(Suggest, DistanceCountsEditsAndSwaps) {
  EXPECT_EQ(EditDistance("epochs", "epochs"), 0);
  EXPECT_EQ(EditDistance("epoch", "epochs"), 1);
  EXPECT_EQ(EditDistance("epcohs", "epochs"), 1);  // a swap
  EXPECT_EQ(EditDistance("EDP", "edp"), 0);        // upper and lower case alike
  EXPECT_EQ(EditDistance("", "abc"), 3);
  EXPECT_EQ(EditDistance("kitten", "sitting"), 3);
}

TEST(Suggest, NearestOrNothing) {
  EXPECT_EQ(Nearest("serach", {"search", "cost", "space"}), "search");
  EXPECT_EQ(Nearest("net", {"seed", "network"}), "network");  // cut short
  EXPECT_EQ(Nearest("zzzzzzzz", {"search", "cost"}), "");
  EXPECT_EQ(UnknownWord("command", "cots", {"search", "cost"}),
            "unknown command \"cots\", did you mean \"cost\"? (search or cost)");
}

TEST(Flags, BothFormsAndSwitches) {
  Settings settings;
  FlagSet flags;
  settings.Declare(&flags);
  ASSERT_TRUE(flags
                  .Parse({"--count=7", "--rate", "0.25", "--quick", "--no-careful", "--dir=a=b",
                          "--kind", "red", "--seed", "9223372036854775807", "--small=1e-3"})
                  .ok());
  EXPECT_EQ(settings.count, 7);
  EXPECT_EQ(settings.rate, 0.25);
  EXPECT_TRUE(settings.quick);
  EXPECT_FALSE(settings.careful);
  EXPECT_EQ(settings.dir, "a=b");
  EXPECT_EQ(settings.kind, "red");
  EXPECT_EQ(settings.seed, 9223372036854775807u);
  EXPECT_EQ(settings.small, 1e-3f);
  EXPECT_TRUE(flags.given("count"));
  EXPECT_TRUE(flags.given("careful"));
  EXPECT_FALSE(flags.given("threads"));
}

TEST(Flags, LastOneCountsAndListsTakeAll) {
  Settings settings;
  FlagSet flags;
  settings.Declare(&flags);
  ASSERT_TRUE(
      flags.Parse({"--count", "1", "--check", "a", "b", "c", "--count", "2", "--check=d"}).ok());
  EXPECT_EQ(settings.count, 2);
  EXPECT_EQ(settings.files, (std::vector<std::string>{"a", "b", "c", "d"}));
}

TEST(Flags, MistakesSayWhatToDo) {
  EXPECT_EQ(ParseError({"--cuont", "1"}), "unknown flag --cuont, did you mean --count?");
  EXPECT_EQ(ParseError({"--no-carefull"}),
            "unknown flag --no-carefull, did you mean --no-careful?");
  EXPECT_EQ(ParseError({"--no-count"}), "unknown flag --no-count, did you mean --count?");
  EXPECT_EQ(ParseError({"--count"}), "--count needs a value (N)");
  EXPECT_EQ(ParseError({"--dir", "--quick"}), "--dir needs a value (DIR)");
  EXPECT_EQ(ParseError({"--check"}), "--check needs a value (FILE)");
  EXPECT_EQ(ParseError({"--kind"}), "--kind needs a value (blue, green or red)");
  EXPECT_EQ(ParseError({"--count", "11"}), "--count: 11 is outside 0..10");
  EXPECT_EQ(ParseError({"--count", "-1"}), "--count: -1 is outside 0..10");
  EXPECT_EQ(ParseError({"--count", "3x"}),
            "--count: expected a whole number in 0..10, found \"3x\"");
  EXPECT_EQ(ParseError({"--count", ""}), "--count: expected a whole number in 0..10, found \"\"");
  EXPECT_EQ(ParseError({"--rate", "1.5"}), "--rate: 1.5 is outside 0..1");
  EXPECT_EQ(ParseError({"--kind", "gren"}),
            "--kind: unknown value \"gren\", did you mean \"green\"? (blue, green or red)");
  EXPECT_EQ(ParseError({"--quick=perhaps"}), "--quick: expected true or false, found \"perhaps\"");
  EXPECT_EQ(ParseError({"--no-quick=true"}), "--no-quick takes no value, found \"true\"");
  EXPECT_EQ(ParseError({"stray"}), "unexpected argument \"stray\": flags start with --");
}

TEST(Flags, NumbersAreDecimalAndFinite) {
  for (const char* text : {"nan", "inf", "0x1p-2", " 0.5", "0.5 ", "1e", "--", "1,5", "1e999"}) {
    EXPECT_NE(ParseError({std::string("--rate=") + text}), "") << text;
  }
  EXPECT_NE(ParseError({"--seed", "9223372036854775808"}), "");
  EXPECT_NE(ParseError({"--seed", "-1"}), "");
}

TEST(Flags, NumberTextIsShortAndExact) {
  EXPECT_EQ(NumberText(0.05f), "0.05");
  EXPECT_EQ(NumberText(5e-4f), "0.0005");
  EXPECT_EQ(NumberText(0.1), "0.1");
  EXPECT_EQ(NumberText(0.1 + 0.2), "0.30000000000000004");
  EXPECT_EQ(NumberText(0.0), "0");
  EXPECT_EQ(NumberText(100.0), "100");
  EXPECT_EQ(NumberText(-0.0), "0");
  EXPECT_EQ(NumberText(1e300), "1e+300");
}

TEST(Flags, HelpNamesEveryFlagWithItsDefault) {
  Settings settings;
  FlagSet flags;
  settings.Declare(&flags);
  const std::string help = flags.Help();
  for (const Flag& flag : flags.flags()) {
    EXPECT_NE(help.find(flag.name), std::string::npos) << flag.name;
  }
  EXPECT_NE(help.find("--count N"), std::string::npos) << help;
  EXPECT_NE(help.find("(0..10, default 3)"), std::string::npos) << help;
  EXPECT_NE(help.find("--[no-]careful"), std::string::npos) << help;
  EXPECT_NE(help.find("default none"), std::string::npos) << help;  // the empty text
  for (size_t begin = 0; begin < help.size();) {
    const size_t end = help.find('\n', begin);
    EXPECT_LE(end - begin, 100u) << help.substr(begin, end - begin);
    begin = end + 1;
  }
}

TEST(RunConfig, WrittenAndReadBack) {
  Settings settings;
  FlagSet flags;
  settings.Declare(&flags);
  ASSERT_TRUE(flags
                  .Parse({"--count=7", "--rate=0.3", "--quick", "--dir", "a \"b\"\n", "--small",
                          "0.07", "--threads=2"})
                  .ok());
  const std::string text = ConfigText(flags, "search", {"rhnas", "search"}, settings.seed);

  Settings read;
  FlagSet resumed;
  read.Declare(&resumed);
  std::string warning;
  bool misuse = true;
  ASSERT_EQ(ApplyConfig(text, "config.json", "search", &resumed, &warning, &misuse).message(), "");
  EXPECT_EQ(warning, "");
  EXPECT_FALSE(misuse);
  EXPECT_EQ(read.count, 7);
  EXPECT_EQ(read.rate, 0.3);
  EXPECT_EQ(read.small, 0.07f);
  EXPECT_TRUE(read.quick);
  EXPECT_EQ(read.dir, "a \"b\"\n");
  EXPECT_EQ(read.threads, 2);
  EXPECT_EQ(ConfigText(resumed, "search", {"rhnas", "search"}, read.seed), text);
}

TEST(RunConfig, OtherSettingsAreRefusedOthersMayChange) {
  Settings settings;
  FlagSet flags;
  settings.Declare(&flags);
  ASSERT_TRUE(flags.Parse({"--count=7"}).ok());
  const std::string text = ConfigText(flags, "search", {}, 1);
  std::string warning;
  bool misuse = false;
  {
    Settings other;
    FlagSet resumed;
    other.Declare(&resumed);
    ASSERT_TRUE(resumed.Parse({"--count", "8"}).ok());
    const engine::Status status =
        ApplyConfig(text, "c.json", "search", &resumed, &warning, &misuse);
    EXPECT_NE(status.message().find("--count is 7 in c.json, not 8"), std::string::npos)
        << status.message();
    EXPECT_TRUE(misuse);
  }
  {  // The same value, written otherwise, is no conflict; threads may change.
    Settings other;
    FlagSet resumed;
    other.Declare(&resumed);
    ASSERT_TRUE(resumed.Parse({"--count=07", "--threads", "5"}).ok());
    EXPECT_EQ(ApplyConfig(text, "c.json", "search", &resumed, &warning, &misuse).message(), "");
    EXPECT_EQ(other.count, 7);
    EXPECT_EQ(other.threads, 5);
  }
  {
    Settings other;
    FlagSet resumed;
    other.Declare(&resumed);
    EXPECT_NE(ApplyConfig(text, "c.json", "train", &resumed, &warning, &misuse)
                  .message()
                  .find("rhnas search"),
              std::string::npos);
  }
}

TEST(RunConfig, DamagedFilesSayWhere) {
  for (const char* text :
       {"", "{", "[]", "{}", "{\"version\": \"0.1.0\", \"command\": \"search\"}",
        "{\"version\": \"0.1.0\", \"command\": \"search\", \"settings\": {\"count\": \"x\"}}",
        "{\"version\": \"0.1.0\", \"command\": \"search\", \"settings\": {\"count\": 99}}",
        "{\"version\": \"0.1.0\", \"command\": \"search\", \"settings\": {\"nonsense\": 1}}",
        "{\"version\": \"0.1.0\", \"command\": \"search\", \"settings\": {\"quick\": [1]}}"}) {
    Settings settings;
    FlagSet flags;
    settings.Declare(&flags);
    std::string warning;
    bool misuse = false;
    const engine::Status status = ApplyConfig(text, "c.json", "search", &flags, &warning, &misuse);
    ASSERT_FALSE(status.ok()) << text;
    EXPECT_EQ(status.message().compare(0, 6, "c.json"), 0) << status.message();
    EXPECT_FALSE(misuse) << text;
  }
}

TEST(RunConfig, AnotherVersionIsTold) {
  Settings settings;
  FlagSet flags;
  settings.Declare(&flags);
  std::string warning;
  bool misuse = false;
  ASSERT_TRUE(ApplyConfig("{\"version\": \"9.9\", \"command\": \"search\", \"settings\": {}}",
                          "c.json", "search", &flags, &warning, &misuse)
                  .ok());
  EXPECT_NE(warning.find("9.9"), std::string::npos);
}

// Every field of SearchOptions has its flag: config.json must hold every setting.
TEST(SearchFlags, EverySettingRoundTrips) {
  SearchOptions options;
  FlagSet flags;
  DeclareSearchFlags(&options, &flags);
  ASSERT_EQ(flags
                .Parse({"--space",
                        "fbnet-cifar",
                        "--width=0.5",
                        "--no-always-pw",
                        "--hw-space",
                        "vta-wide",
                        "--bus",
                        "free",
                        "--hw",
                        "default",
                        "--objective",
                        "latency",
                        "--area-max=0.8",
                        "--board",
                        "xc7z020",
                        "--latency-max",
                        "1e6",
                        "--accuracy-min=0.9",
                        "--energy-table",
                        "t.csv",
                        "--dataset",
                        "cifar10",
                        "--data",
                        "d",
                        "--train-size=100",
                        "--test-size=50",
                        "--warmup-epochs=5",
                        "--epochs=6",
                        "--final-epochs=7",
                        "--batch=8",
                        "--arch-every=3",
                        "--hw-every=9",
                        "--hw-evaluations=10",
                        "--hw-final-evaluations=11",
                        "--lambda=0.4",
                        "--arch-gradient",
                        "straight-through",
                        "--weight-lr=0.2",
                        "--weight-decay=0.001",
                        "--arch-lr=0.3",
                        "--temperature=4",
                        "--temperature-final=0.25",
                        "--agent",
                        "random",
                        "--invalid=static-mask",
                        "--seed=77",
                        "--threads=3"})
                .message(),
            "");
  EXPECT_EQ(options.space, "fbnet-cifar");
  EXPECT_EQ(options.width, 0.5);
  EXPECT_FALSE(options.always_pw);
  EXPECT_EQ(options.hw_space, "vta-wide");
  EXPECT_EQ(options.bus_bits, 0);
  EXPECT_EQ(options.fixed_hw, "default");
  EXPECT_EQ(options.objective, Objective::kLatency);
  EXPECT_EQ(options.area_max, 0.8);
  EXPECT_EQ(options.board, "xc7z020");
  EXPECT_EQ(options.latency_max, 1e6);
  EXPECT_EQ(options.accuracy_min, 0.9);
  EXPECT_EQ(options.energy_table.file, "t.csv");
  EXPECT_EQ(options.dataset, "cifar10");
  EXPECT_EQ(options.data_dir, "d");
  EXPECT_EQ(options.train_size, 100);
  EXPECT_EQ(options.test_size, 50);
  EXPECT_EQ(options.warmup_epochs, 5);
  EXPECT_EQ(options.search_epochs, 6);
  EXPECT_EQ(options.final_epochs, 7);
  EXPECT_EQ(options.batch, 8);
  EXPECT_EQ(options.arch_every, 3);
  EXPECT_EQ(options.hw_every, 9);
  EXPECT_EQ(options.hw_evaluations, 10);
  EXPECT_EQ(options.hw_final_evaluations, 11);
  EXPECT_EQ(options.lambda, 0.4);
  EXPECT_EQ(options.arch_gradient, nn::ArchGradient::kStraightThrough);
  EXPECT_EQ(options.weight_lr, 0.2f);
  EXPECT_EQ(options.weight_decay, 0.001f);
  EXPECT_EQ(options.arch_lr, 0.3f);
  EXPECT_EQ(options.temperature, 4.0f);
  EXPECT_EQ(options.temperature_final, 0.25f);
  EXPECT_EQ(options.agent, "random");
  EXPECT_EQ(options.invalid, InvalidHandling::kStaticMask);
  EXPECT_EQ(options.seed, 77u);
  EXPECT_EQ(options.threads, 3);

  const std::string text = ConfigText(flags, "search", {}, options.seed);
  SearchOptions read;
  FlagSet resumed;
  DeclareSearchFlags(&read, &resumed);
  std::string warning;
  bool misuse = false;
  ASSERT_EQ(ApplyConfig(text, "c.json", "search", &resumed, &warning, &misuse).message(), "");
  EXPECT_EQ(ConfigText(resumed, "search", {}, read.seed), text);
}

TEST(SearchFlags, BusIsAWidthOrFree) {
  SearchOptions options;
  FlagSet flags;
  DeclareSearchFlags(&options, &flags);
  EXPECT_TRUE(flags.Parse({"--bus", "256"}).ok());
  EXPECT_EQ(options.bus_bits, 256);
  EXPECT_FALSE(flags.Parse({"--bus", "96"}).ok());
  EXPECT_FALSE(flags.Parse({"--board", "xc7z021"}).ok());
  EXPECT_TRUE(flags.Parse({"--board", "none"}).ok());
  EXPECT_EQ(options.board, "");
}

}  // namespace
}  // namespace rhnas::search
