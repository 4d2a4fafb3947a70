// The joint search as a whole, on a budget of seconds: same seed, same bits for any number of
// threads; stop and resume equal to an uninterrupted run; a golden hash; constraints met or refused
// with reasons.

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <fstream>

#include "engine/archive.h"
#include "engine/cpu.h"
#include "nn/data.h"
#include "nn/train.h"
#include "search/joint_search.h"
#include "search/trained.h"

namespace rhnas::search {
namespace {

SearchOptions ShortSearch() {
  SearchOptions o;
  o.train_size = 400;
  o.test_size = 100;
  o.batch = 16;
  o.warmup_epochs = 1;
  o.search_epochs = 1;
  o.final_epochs = 1;
  o.hw_evaluations = 64;
  o.hw_final_evaluations = 96;
  o.seed = 7;
  o.threads = 2;
  return o;
}

struct Quiet : ProgressSink {
  void Report(const Progress& progress) override {
    ++reports;
    last = progress;
    if (stop != nullptr && reports == stop_after) stop->store(true);
  }
  int reports = 0, stop_after = -1;
  std::atomic<bool>* stop = nullptr;
  Progress last;
};

std::unique_ptr<JointSearch> Make(const SearchOptions& options) {
  engine::Result<std::unique_ptr<JointSearch>> made = JointSearch::Create(options);
  EXPECT_TRUE(made.ok()) << made.status().message();
  return made.ok() ? std::move(*made) : nullptr;
}

uint64_t RunWhole(const SearchOptions& options, SearchResult* result = nullptr) {
  std::unique_ptr<JointSearch> search = Make(options);
  if (!search) return 0;
  Quiet sink;
  std::atomic<bool> stop{false};
  const engine::Status status = search->Run(sink, stop, "");
  EXPECT_TRUE(status.ok()) << status.message();
  if (!search->finished()) return 0;
  EXPECT_EQ(sink.last.done, sink.last.total) << "progress must end at its own total";
  if (result != nullptr) *result = search->result();
  return search->Hash();
}

std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

std::string TemporaryFile(const char* name) {
  return testing::TempDir() + "rhnas_" + std::to_string(getpid()) + "_" + name;
}

TEST(JointSearchDeterminism, SameBitsForAnyThreadCountAndAGoldenHash) {
  SearchOptions options = ShortSearch();
  options.threads = 1;
  const uint64_t one = RunWhole(options);
  for (int threads : {2, 3, 7}) {
    options.threads = threads;
    EXPECT_EQ(RunWhole(options), one) << "with " << threads << " threads";
  }
  // One hash for all targets with fused multiply-add; the baseline has its own.
  const bool fused = engine::ActiveTarget() != engine::Target::kBaseline;
  const std::string path =
      std::string("tests/golden/joint_search_") + (fused ? "fused" : "baseline") + ".txt";
  char text[32];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(one));
  if (!std::ifstream("Makefile")) GTEST_SKIP() << "start the tests in the repository root";
  if (std::getenv("RHNAS_UPDATE_GOLDEN") != nullptr) {
    std::ofstream out(path);
    out << text << "\n";
    ASSERT_TRUE(out.flush()) << "cannot write " << path;
  }
  std::ifstream in(path);
  ASSERT_TRUE(in) << "no " << path;
  std::string golden;
  in >> golden;
  EXPECT_EQ(text, golden)
      << "the search's result changed. If that is meant: RHNAS_UPDATE_GOLDEN=1 make test "
         "FILTER='JointSearchDeterminism.*', with RHNAS_TARGET=baseline as well, and say so in the "
         "commit";
}

TEST(JointSearch, AnotherSeedGivesAnotherResult) {
  SearchOptions options = ShortSearch();
  const uint64_t one = RunWhole(options);
  options.seed = 8;
  EXPECT_NE(RunWhole(options), one);
}

TEST(JointSearch, ResumeEqualsUninterrupted) {
  const SearchOptions options = ShortSearch();
  SearchResult whole;
  const uint64_t expected = RunWhole(options, &whole);
  const std::string path = TemporaryFile("checkpoint");
  // Stops in warm-up, in the search, in a hardware round, in the final training.
  for (int stop_after : {5, 30, 45, 60}) {
    std::unique_ptr<JointSearch> first = Make(options);
    ASSERT_TRUE(first);
    std::atomic<bool> stop{false};
    Quiet sink;
    sink.stop = &stop;
    sink.stop_after = stop_after;
    ASSERT_TRUE(first->Run(sink, stop, path).ok());
    ASSERT_FALSE(first->finished()) << "the budget is too short for this test";
    first.reset();

    std::unique_ptr<JointSearch> second = Make(options);
    ASSERT_TRUE(second);
    const engine::Status loaded = second->Load(path);
    ASSERT_TRUE(loaded.ok()) << loaded.message();
    stop.store(false);
    Quiet rest;
    ASSERT_TRUE(second->Run(rest, stop, path).ok());
    ASSERT_TRUE(second->finished());
    EXPECT_EQ(second->Hash(), expected) << "stopped after " << stop_after << " steps";
    EXPECT_EQ(second->result().network, whole.network);
    EXPECT_EQ(second->result().evaluations, whole.evaluations);
    EXPECT_EQ(second->result().proposals.by_rule, whole.proposals.by_rule);
    EXPECT_EQ(second->result().accuracy, whole.accuracy);
  }
  // A finished search's checkpoint gives the result again.
  std::unique_ptr<JointSearch> done = Make(options);
  ASSERT_TRUE(done->Load(path).ok());
  ASSERT_TRUE(done->finished());
  EXPECT_EQ(done->result().accuracy, whole.accuracy);
  // Its weights, read back, have the accuracy that was told.
  const std::string weights = TemporaryFile("weights");
  ASSERT_TRUE(done->SaveWeights(weights).ok());
  engine::Result<TrainedNetwork> trained = LoadTrained(weights);
  ASSERT_TRUE(trained.ok()) << trained.status().message();
  EXPECT_EQ(nn::ToText(trained->network.space, trained->network.genotype), whole.network);
  const engine::Result<nn::DataPair> data =
      nn::OpenData({options.dataset, "", options.seed, options.train_size, options.test_size});
  ASSERT_TRUE(data.ok());
  nn::Loader::Options all;
  for (int i = 0; i < options.test_size; ++i) all.indices.push_back(i);
  all.shuffle = all.drop_last = false;
  nn::Loader test(*data->test, trained->mean, trained->stddev, all);
  engine::ThreadPool pool(1);
  engine::Tape tape(pool);
  EXPECT_EQ(nn::Evaluate(*trained->net, trained->path, test, false, 0, tape).accuracy,
            whole.accuracy);
  // Another search's checkpoint is refused.
  SearchOptions other = options;
  other.lambda *= 2;
  const engine::Status refused = Make(other)->Load(path);
  EXPECT_FALSE(refused.ok());
  EXPECT_NE(refused.message().find("other settings"), std::string::npos) << refused.message();
  unlink(path.c_str());
  unlink((path + ".prev").c_str());
}

TEST(JointSearch, ResultIsValidAndBeatsTheDefault) {
  SearchOptions options = ShortSearch();
  options.hw_evaluations = 300;
  SearchResult result;
  RunWhole(options, &result);
  EXPECT_TRUE(result.verdicts.empty());
  EXPECT_TRUE(result.hw->Valid({}));
  EXPECT_LE(result.cost.area_um2, result.default_cost.area_um2);
  EXPECT_LT(result.cost.edp_pj_cycles, result.default_cost.edp_pj_cycles);
  EXPECT_EQ(result.hw->bus_bits(), 64);
  EXPECT_GT(result.proposals.valid, 0);
  EXPECT_LT(result.proposals.valid, result.proposals.total) << "the space holds invalid designs";
  EXPECT_GT(result.accuracy, 0.0);
  // Parts agree: the cost is that of the stated network on the stated accelerator.
  EXPECT_DOUBLE_EQ(result.cost.edp_pj_cycles,
                   static_cast<double>(result.cost.latency_cycles) * result.cost.energy_pj);
}

TEST(JointSearch, FixedAcceleratorSearchesTheNetworkOnly) {
  SearchOptions options = ShortSearch();
  options.fixed_hw = "default";
  SearchResult result;
  RunWhole(options, &result);
  EXPECT_EQ(result.proposals.total, 0);
  EXPECT_EQ(result.cost.latency_cycles, result.default_cost.latency_cycles);
}

TEST(JointSearch, LatencyLimitIsMet) {
  SearchOptions options = ShortSearch();
  options.lambda = 0;
  SearchResult free;
  RunWhole(options, &free);
  options.latency_max = 0.7 * static_cast<double>(free.cost.latency_cycles);
  SearchResult limited;
  RunWhole(options, &limited);
  EXPECT_TRUE(limited.latency_met);
  EXPECT_LE(static_cast<double>(limited.cost.latency_cycles), options.latency_max);
}

TEST(JointSearch, InfeasibleConstraintsNameTheNearestPoint) {
  SearchOptions options = ShortSearch();
  options.area_max = 0.01;
  engine::Result<std::unique_ptr<JointSearch>> area = JointSearch::Create(options);
  ASSERT_FALSE(area.ok());
  EXPECT_NE(area.status().message().find("smallest accelerator"), std::string::npos)
      << area.status().message();
  options = ShortSearch();
  options.latency_max = 10;
  engine::Result<std::unique_ptr<JointSearch>> latency = JointSearch::Create(options);
  ASSERT_FALSE(latency.ok());
  EXPECT_NE(latency.status().message().find("takes"), std::string::npos)
      << latency.status().message();
}

// The area cap is relative: a table with every area scaled alike must leave it as it is.
TEST(JointSearch, AreaCapTakesTheUsersTable) {
  const std::string path = TemporaryFile("areas.csv");
  for (double scale : {0.05, 20.0}) {
    std::string csv;
    for (const std::string& line : Lines(hw::DefaultCostTableCsv())) {
      const size_t comma = line.find(',');
      const std::string name = line.substr(0, comma);
      const size_t end = line.find(',', comma + 1);
      if (name.find("um2") != std::string::npos && end != std::string::npos) {
        const double value = std::strtod(line.c_str() + comma + 1, nullptr);
        csv += name + "," + std::to_string(value * scale) + line.substr(end) + "\n";
      } else {
        csv += line + "\n";
      }
    }
    ASSERT_TRUE(engine::WriteFileAtomically(path, csv).ok());
    SearchOptions options = ShortSearch();
    options.energy_table.file = path;
    SearchResult result;
    ASSERT_NE(RunWhole(options, &result), 0u);
    EXPECT_LE(result.cost.area_um2, result.default_cost.area_um2);
    EXPECT_GT(result.proposals.by_rule[static_cast<size_t>(hw::Rule::kArea)], 0)
        << "the cap must rule something out at scale " << scale;
  }
  unlink(path.c_str());
}

TEST(JointSearch, BadOptionsAreOneLine) {
  auto message = [](void (*change)(SearchOptions*)) {
    SearchOptions options = ShortSearch();
    change(&options);
    engine::Result<std::unique_ptr<JointSearch>> made = JointSearch::Create(options);
    EXPECT_FALSE(made.ok());
    EXPECT_EQ(made.status().message().find('\n'), std::string::npos);
    return made.status().message();
  };
  EXPECT_NE(message([](SearchOptions* o) { o->space = "tinny"; }).find("tiny"), std::string::npos);
  EXPECT_NE(message([](SearchOptions* o) { o->hw_space = "vtaa"; }).find("vta"), std::string::npos);
  EXPECT_NE(message([](SearchOptions* o) { o->agent = "reinforc"; }).find("reinforce"),
            std::string::npos);
  EXPECT_NE(message([](SearchOptions* o) { o->batch = 4096; }).find("--batch"), std::string::npos);
  EXPECT_NE(message([](SearchOptions* o) { o->space = "resnet18"; }).find("nothing to search"),
            std::string::npos);
  EXPECT_NE(message([](SearchOptions* o) { o->board = "xc7z"; }).find("xc7z020"),
            std::string::npos);
}

}  // namespace
}  // namespace rhnas::search
