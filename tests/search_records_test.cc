// What runs record for their reports: bounded, summing to the run's counts, the same after a
// resume.

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>

#include "hw/vta_accelerator.h"
#include "search/design_record.h"
#include "search/epoch_record.h"
#include "search/joint_search.h"
#include "search/report_run.h"
#include "search/svg.h"

namespace rhnas::search {
namespace {

constexpr size_t kRules = 5;

// Rules broken by the i-th proposal: some valid, some unmappable.
uint64_t BrokenBy(int64_t i) { return i % 3 == 0 ? 0 : static_cast<uint64_t>(i % 31); }

DesignRecord Filled(int64_t count) {
  DesignRecord record;
  record.BeginNetwork("first", 1);
  for (int64_t i = 1; i <= count; ++i) {
    if (i == count / 2) record.BeginNetwork("second, with a comma", 2);
    const uint64_t broken = BrokenBy(i);
    const bool valid = broken == 0 && i % 2 == 0;
    record.Proposed(broken, valid, kRules);
    RecordedDesign design;
    design.proposal = design.evaluation = i;
    design.point = i % 100;
    design.broken = broken;
    design.reward = valid ? static_cast<double>(i) / 1e6 + (i % 5000 == 0 ? 1 : 0) : -3.5;
    if (valid) design.cost.latency_cycles = 1000 + i;
    record.Evaluated(design);
  }
  return record;
}

TEST(DesignRecord, StaysBoundedAndKeepsTheBests) {
  for (const int64_t count : {int64_t{10}, int64_t{8191}, int64_t{8192}, int64_t{100000}}) {
    const DesignRecord record = Filled(count);
    EXPECT_LT(record.designs().size(), DesignRecord::kMost) << count;
    EXPECT_GT(record.designs().size(), std::min<size_t>(static_cast<size_t>(count), 4000) / 2)
        << count;
    double best[2] = {-9, -9};
    int64_t last = 0;
    for (const RecordedDesign& d : record.designs()) {
      EXPECT_GT(d.evaluation, last) << "in order, once";
      last = d.evaluation;
      ASSERT_TRUE(d.network == 0 || d.network == 1);
      if (d.runs()) best[d.network] = std::max(best[d.network], d.reward);
    }
    // The best of either network is there, however much was left out.
    double wanted[2] = {-9, -9};
    for (int64_t i = 2; i <= count; i += 2) {
      if (BrokenBy(i) != 0) continue;
      double& w = wanted[i >= count / 2 ? 1 : 0];
      w = std::max(w, static_cast<double>(i) / 1e6 + (i % 5000 == 0 ? 1 : 0));
    }
    EXPECT_EQ(best[1], wanted[1]) << count;
    EXPECT_EQ(best[0], wanted[0]) << count;
  }
}

TEST(DesignRecord, RangesOfProposalsSumToTheCounts) {
  const hw::Accelerator& family = *hw::FindAccelerator("vta");
  for (const int64_t count :
       {int64_t{1}, int64_t{64}, int64_t{65}, int64_t{1000}, int64_t{70001}}) {
    DesignRecord record;
    int64_t valid = 0, rule2 = 0;
    for (int64_t i = 0; i < count; ++i) {
      const uint64_t broken = BrokenBy(i);
      record.Proposed(broken, broken == 0, family.rules().size());
      valid += broken == 0;
      rule2 += broken >> 2 & 1;
    }
    const DataTable table = ParseDataTable(record.ProposalsCsv(family));
    EXPECT_LE(table.rows.size(), static_cast<size_t>(DesignRecord::kBins));
    double valid_sum = 0, rule_sum = 0, next = 1;
    for (size_t row = 0; row < table.rows.size(); ++row) {
      EXPECT_EQ(table.Number(row, table.Column("first")), next) << count;
      next = table.Number(row, table.Column("last")) + 1;
      valid_sum += table.Number(row, table.Column("valid"));
      rule_sum += table.Number(row, table.Column(family.rules()[2].name));
    }
    EXPECT_EQ(next, static_cast<double>(count) + 1);
    EXPECT_EQ(valid_sum, static_cast<double>(valid)) << count;
    EXPECT_EQ(rule_sum, static_cast<double>(rule2)) << count;
  }
}

TEST(DesignRecord, SavedAndReadGoesOnTheSame) {
  const std::string path = testing::TempDir() + "rhnas_record_" + std::to_string(getpid());
  const hw::Accelerator& family = *hw::FindAccelerator("vta");
  const auto space = family.FindSpace("vta", hw::SpaceOptions());
  ASSERT_TRUE(space.ok());
  DesignRecord record = Filled(20000);
  engine::ArchiveWriter writer;
  record.Save(writer, "r/");
  ASSERT_TRUE(writer.Save(path).ok());
  engine::Result<engine::ArchiveReader> reader = engine::ArchiveReader::Open(path);
  ASSERT_TRUE(reader.ok());
  DesignRecord again;
  again.Load(*reader, "r/");
  ASSERT_TRUE(reader->status().ok()) << reader->status().message();
  std::remove(path.c_str());
  for (DesignRecord* r : {&record, &again}) {
    RecordedDesign design;
    design.evaluation = 20480;  // on any stride
    design.reward = 99;
    design.cost.latency_cycles = 7;
    r->Evaluated(design);
  }
  EXPECT_EQ(record.DesignsCsv(**space, family), again.DesignsCsv(**space, family));
  const DataTable table = ParseDataTable(again.DesignsCsv(**space, family));
  ASSERT_EQ(table.rows.size(), again.designs().size());
  EXPECT_EQ(table.rows.back().back(), "second, with a comma");
}

TEST(EpochRecord, StaysBoundedWithItsRowsTogether) {
  const engine::Result<nn::Space> space = nn::FindSpace("tiny");
  ASSERT_TRUE(space.ok());
  size_t candidates = 0;
  for (const int slot : space->searchable()) {
    candidates += space->slots[static_cast<size_t>(slot)].candidates.size();
  }
  EpochRecord record;
  constexpr int kEpochs = 3000;
  for (int i = 1; i <= kEpochs; ++i) {
    RecordedEpoch epoch;
    epoch.epoch = i;
    epoch.phase = 1;
    epoch.accuracy = i;
    nn::Genotype network;
    network.choice.assign(space->searchable().size(), i % 3);
    record.Add(epoch, network, "hw" + std::to_string(i),
               std::vector<float>(candidates, static_cast<float>(i)));
  }
  const DataTable table = ParseDataTable(record.EpochsCsv(*space));
  EXPECT_LE(table.rows.size(), EpochRecord::kMost);
  EXPECT_GE(table.rows.size(), EpochRecord::kMost / 4);
  for (size_t row = 0; row < table.rows.size(); ++row) {
    const int epoch = static_cast<int>(table.Number(row, 0));
    EXPECT_EQ(table.Text(row, table.Column("hw")), "hw" + std::to_string(epoch));
    nn::Genotype network;
    network.choice.assign(space->searchable().size(), epoch % 3);
    EXPECT_EQ(table.Text(row, table.Column("network")), nn::ToText(*space, network));
  }
  const DataTable arch = ParseDataTable(record.ArchCsv(*space));
  ASSERT_EQ(arch.rows.size(), table.rows.size() * candidates);
  for (size_t row = 0; row < arch.rows.size(); ++row) {
    EXPECT_EQ(arch.Number(row, arch.Column("probability")), arch.Number(row, 0));
  }
}

struct Quiet : ProgressSink {
  void Report(const Progress&) override {
    if (++reports == stop_after) stop->store(true);
  }
  int reports = 0, stop_after = -1;
  std::atomic<bool>* stop = nullptr;
};

TEST(JointRecords, TheSameAfterAStopAndAResume) {
  SearchOptions options;
  options.train_size = 300;
  options.test_size = 50;
  options.batch = 16;
  options.warmup_epochs = options.search_epochs = options.final_epochs = 1;
  options.hw_evaluations = 64;
  options.hw_final_evaluations = 64;
  options.threads = 2;
  const std::string path = testing::TempDir() + "rhnas_joint_record_" + std::to_string(getpid());
  std::vector<RecordFile> whole;
  for (const int stop_after : {-1, 20, 32}) {
    std::atomic<bool> stop{false};
    Quiet sink;
    sink.stop_after = stop_after;
    sink.stop = &stop;
    auto search = JointSearch::Create(options);
    ASSERT_TRUE(search.ok()) << search.status().message();
    ASSERT_TRUE((*search)->Run(sink, stop, path).ok());
    if (stop_after > 0) {
      ASSERT_FALSE((*search)->finished());
      search = JointSearch::Create(options);
      ASSERT_TRUE((*search)->Load(path).ok());
      stop = false;
      Quiet rest;
      ASSERT_TRUE((*search)->Run(rest, stop, path).ok());
    }
    ASSERT_TRUE((*search)->finished());
    const std::vector<RecordFile> records = (*search)->Records();
    if (whole.empty()) {
      whole = records;
      for (const RecordFile& file : whole) EXPECT_GT(file.text.size(), 100u) << file.name;
      const DataTable proposals = ParseDataTable(whole[1].text);
      EXPECT_EQ(proposals.Number(proposals.rows.size() - 1, proposals.Column("last")),
                static_cast<double>((*search)->result().proposals.total));
      continue;
    }
    for (size_t i = 0; i < whole.size(); ++i) {
      EXPECT_EQ(records[i].text, whole[i].text) << records[i].name << ", stopped " << stop_after;
    }
  }
  std::remove(path.c_str());
  std::remove((path + ".prev").c_str());
}

TEST(DataTable, ReadsWhatItWrites) {
  const DataTable table = ParseDataTable("a,b\n1,\"x, \"\"y\"\"\nz\"\n2\nhalf a row");
  ASSERT_EQ(table.rows.size(), 2u);
  EXPECT_EQ(table.Text(0, 1), "x, \"y\"\nz");
  EXPECT_EQ(table.Text(1, 1), "");
  EXPECT_EQ(table.Csv(), "a,b\n1,\"x, \"\"y\"\"\nz\"\n2,\n");
  EXPECT_EQ(table.Column("c"), -1);
  EXPECT_TRUE(hw::ParseJson(table.ToJson(), "table").ok()) << table.ToJson();
}

TEST(Svg, EscapesAndScales) {
  EXPECT_EQ(Escaped("<a href=\"x\">&\n\x01"), "&lt;a href=&quot;x&quot;&gt;&amp;&#10;?");
  EXPECT_EQ(ShortNumber(0.061), "0.061");
  EXPECT_EQ(ShortNumber(9999), "9999");
  EXPECT_EQ(ShortNumber(1234567), "1.23 M");
  EXPECT_EQ(ShortNumber(999999), "1 M");
  EXPECT_EQ(Coordinate(-0.04), "0");
  const Axis axis = Axis::Around("x", true, {1, 1000, -5});
  EXPECT_GT(axis.Share(1), 0);
  EXPECT_LT(axis.Share(1000), 1);
  for (const double tick : axis.Ticks()) {
    EXPECT_GE(axis.Share(tick), 0) << tick;
    EXPECT_LE(axis.Share(tick), 1) << tick;
  }
  // Nothing, one value, equal values: an axis all the same.
  for (const std::vector<double>& values : {std::vector<double>{}, {0}, {5, 5}, {-1, 1}}) {
    const Axis some = Axis::Around("x", false, values);
    EXPECT_LT(some.low, some.high);
    EXPECT_FALSE(some.Ticks().empty());
    EXPECT_LT(some.Ticks().size(), 20u);
  }
}

}  // namespace
}  // namespace rhnas::search
