// Configurations: every published file parses, equals its compiled-in twin and survives the round
// trip; a wrong file is told by path and line.
#include "hw/config.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

namespace rhnas::hw {
namespace {

std::string ErrorOf(const std::string& text) {
  const Result<Config> result = ParseConfig(text, "c.json");
  return result.ok() ? "no error" : result.error();
}

std::string Replace(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(Config, PublishedFilesEqualTheirCompiledInTwins) {
  const char* shared = std::getenv("RHNAS_SHARED");
  if (shared == nullptr) GTEST_SKIP() << "set RHNAS_SHARED to the folder that holds vta-presets/";
  const std::filesystem::path folder = std::filesystem::path(shared) / "vta-presets";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << folder << " is absent";
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".json") continue;
    ++files;
    const Result<Config> file = FindConfig(entry.path().string());
    ASSERT_TRUE(file.ok()) << file.error();
    const Result<Config> preset = FindConfig(entry.path().stem().string());
    ASSERT_TRUE(preset.ok()) << preset.error();
    EXPECT_TRUE(file.value() == preset.value()) << entry.path() << "\n"
                                                << ToJson(*file) << ToJson(*preset);
  }
  EXPECT_EQ(files, 17);
}

TEST(Config, PresetsSurviveTheRoundTrip) {
  EXPECT_EQ(PresetNames().size(), 17u);
  for (const std::string& name : PresetNames()) {
    const Result<Config> preset = FindConfig(name);
    ASSERT_TRUE(preset.ok()) << preset.error();
    const Result<Config> back = ParseConfig(ToJson(*preset), name);
    ASSERT_TRUE(back.ok()) << back.error();
    EXPECT_TRUE(preset.value() == back.value()) << ToJson(*preset) << ToJson(*back);
  }
}

TEST(Config, EveryKeySurvivesTheRoundTrip) {
  Config config;
  config.pipe_alu_rd_data = 3;
  config.original_vme = true;
  config.vthread = false;
  config.max_burst_length = 4;
  config.inp_sp_split = 2;
  config.vthread_name = "other \"name\"";
  const Result<Config> back = ParseConfig(ToJson(config), "x");
  ASSERT_TRUE(back.ok()) << back.error();
  EXPECT_TRUE(config == back.value());
  EXPECT_FALSE(Config() == back.value());
}

TEST(Config, DefaultIsTheDefaultObject) {
  EXPECT_TRUE(FindConfig("default").value() == Config());
  EXPECT_TRUE(FindConfig("vta_config").value() == Config());
  EXPECT_EQ(ShortName(Config()), "1x16x16_15_15_18_17_64");
  EXPECT_EQ(Config().log_inp_depth(), 11);
  EXPECT_EQ(Config().log_wgt_depth(), 10);
  EXPECT_EQ(Config().log_acc_depth(), 11);
  EXPECT_EQ(Config().log_uop_depth(), 13);
  EXPECT_EQ(Config().log_out_buff(), 15);
}

TEST(Config, ErrorsNamePathAndLine) {
  const std::string good = ToJson(Config());
  EXPECT_EQ(ErrorOf("[]"), "c.json:1: found an array, expected an object of VTA keys");
  EXPECT_EQ(ErrorOf(Replace(good, "LOG_BATCH", "LOG_BATHC")),
            "c.json:5: unknown key \"LOG_BATHC\", did you mean \"LOG_BATCH\"?");
  EXPECT_EQ(ErrorOf(Replace(good, "LOG_BLOCK_IN", "LOG_BLOCK")),
            "c.json:6: unknown key \"LOG_BLOCK\", write LOG_BLOCK_IN and LOG_BLOCK_OUT instead");
  EXPECT_EQ(ErrorOf(Replace(good, "\"LOG_BATCH\": 0", "\"LOG_BATCH\": \"zero\"")),
            "c.json:5: LOG_BATCH: found \"zero\", expected an integer from 0 to 10");
  EXPECT_EQ(ErrorOf(Replace(good, "\"LOG_BATCH\": 0", "\"LOG_BATCH\": 0.5")),
            "c.json:5: LOG_BATCH: found 0.5, expected an integer from 0 to 10");
  EXPECT_EQ(ErrorOf(Replace(good, "\"LOG_BATCH\": 0", "\"LOG_BATCH\": -1")),
            "c.json:5: LOG_BATCH: found -1, expected an integer from 0 to 10");
  EXPECT_EQ(ErrorOf(Replace(good, "\"LOG_INP_WIDTH\": 3", "\"LOG_INP_WIDTH\": 4")),
            "c.json:2: LOG_INP_WIDTH: found 4, expected 3");
  EXPECT_EQ(ErrorOf(Replace(good, "  \"LOG_BATCH\": 0,\n", "")),
            "c.json:1: missing key: LOG_BATCH");
  EXPECT_NE(ErrorOf(Replace(good, "\"dthread\"", "7")).find("expected a string"),
            std::string::npos);
  EXPECT_NE(ErrorOf("{").find("end of file"), std::string::npos);
}

TEST(Config, UnknownNameSuggestsTheNearest) {
  const Result<Config> result = FindConfig("defualt");
  ASSERT_FALSE(result.ok());
  EXPECT_NE(result.error().find("did you mean \"default\"?"), std::string::npos) << result.error();
  const Result<Config> folder = FindConfig("/");
  ASSERT_FALSE(folder.ok());
  EXPECT_NE(folder.error().find("cannot be read"), std::string::npos) << folder.error();
}

TEST(Config, PrintedNamesAreFound) {
  const Result<Config> config = FindConfig("1x16x64_15_16_15_17_64");
  ASSERT_TRUE(config.ok()) << config.error();
  EXPECT_EQ(ShortName(*config), "1x16x64_15_16_15_17_64");
  EXPECT_EQ(config->log_block_out, 6);
  EXPECT_EQ(config->bus_bits, 64);
  for (const char* name :
       {"1x17x16_15_15_18_17_64", "1x16x16_15_15_18_17", "1x16x16_15_15_18_17_64x",
        "01x16x16_15_15_18_17_64", "1x16x16_15_15_18_99_64"}) {
    EXPECT_FALSE(FindConfig(name).ok()) << name;
  }
}

}  // namespace
}  // namespace rhnas::hw
