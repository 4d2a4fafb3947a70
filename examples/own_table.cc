// A joint search on an accelerator of one's own: its space, and a table with one's own cost of each
// layer on each configuration (measured, or of another model; here a formula).
//   make && c++ -std=c++17 -O2 -I. examples/own_table.cc build/librhnas.a -pthread && ./a.out
#include <algorithm>
#include <cstdio>

#include "engine/archive.h"
#include "hw/accelerator.h"
#include "hw/layer_text.h"
#include "search/joint_search.h"
#include "search/layer_tables.h"

int main() {
  using namespace rhnas;
  struct : search::ProgressSink {
    void Report(const search::Progress& /*progress*/) override {}
  } quiet;
  search::SearchOptions options;
  options.space = "tiny";  // of networks; 46,656 of them
  options.hw_space = "own_space.txt";
  options.layer_table = "own_costs.csv";
  options.train_size = 300, options.test_size = 100, options.batch = 32;
  options.warmup_epochs = options.search_epochs = options.final_epochs = 1;
  options.hw_evaluations = options.hw_final_evaluations = 24;
  (void)engine::WriteFileAtomically(
      options.hw_space, "base: default\nLOG_BLOCK_OUT: 3, 4, 5\nLOG_WGT_BUFF_SIZE: 16..18\n");

  hw::SpaceOptions platform;
  platform.derived_tags = true;  // as searches have it
  const auto space = hw::FindAccelerator("vta")->FindSpace(options.hw_space, platform);
  std::string csv = "layer,configuration,cycles,energy_pj\n";
  std::vector<hw::DesignPtr> designs = {(*space)->Reference()};
  for (const int64_t point : (*space)->ValidPoints({})) designs.push_back((*space)->AtPoint(point));
  for (const auto& item : search::TableItems(*nn::FindSpace(options.space))) {
    for (const hw::DesignPtr& design : designs) {
      if (item.size() > 1) continue;  // chains of layers are optional
      const int64_t work = std::max<int64_t>(item[0].macs(), 1);
      const std::string row = engine::Format(
          "%s,%s,%lld,%.17g\n", hw::LayerText(item[0]).c_str(), design->ShortName().c_str(),
          static_cast<long long>(100 + work / design->macs_per_cycle()),
          0.5 * static_cast<double>(work));
      csv += csv.find(row) == std::string::npos ? row : "";
    }
  }
  (void)engine::WriteFileAtomically(options.layer_table, csv);

  const auto made = search::JointSearch::Create(options);
  if (!made.ok()) return std::puts(made.status().message().c_str()), 1;
  const std::atomic<bool> stop{false};
  const engine::Status ran = (*made)->Run(quiet, stop, "");
  if (!ran.ok()) return std::puts(ran.message().c_str()), 1;
  const search::SearchResult& result = (*made)->result();
  std::printf("%s on %s: %lld cycles by the own table, %.1f%% of the test images\n",
              result.network.c_str(), result.hw->ShortName().c_str(),
              static_cast<long long>(result.cost.latency_cycles), 100 * result.accuracy);
  return 0;
}
