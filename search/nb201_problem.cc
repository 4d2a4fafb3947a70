#include "search/nb201_problem.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <utility>

#include "engine/archive.h"
#include "hw/chain.h"
#include "nn/nasbench201.h"
#include "nn/text.h"
#include "search/layers.h"
#include "search/table_problem.h"

namespace rhnas::search {

using engine::Result;
using engine::Status;

namespace {

constexpr const char* kFile = "nb201_accuracy.csv";
constexpr const char* kColumns[nn::kCellDataCount] = {"c10_test_e200", "c100_test_e200",
                                                      "in16_test_e200"};
constexpr double kFloorMargin = 0.01;  // below the best

// The file that is meant: itself, in the folder, or in its folder nasbench201.
Result<std::string> Find(const std::string& given) {
  const char* shared = std::getenv("RHNAS_SHARED");
  const std::string root = !given.empty() ? given : shared == nullptr ? "" : shared;
  if (root.empty()) {
    return Status::Error(
        "NAS-Bench-201's accuracies are needed: give %s (or the folder that holds it) with --data, "
        "or set RHNAS_SHARED to the folder that holds nasbench201/%s",
        kFile, kFile);
  }
  for (const std::string& path : {root, root + "/" + kFile, root + "/nasbench201/" + kFile}) {
    std::error_code error;
    if (std::filesystem::is_regular_file(std::filesystem::path(path), error)) return path;
  }
  return Status::Error("%s: no file, and no folder that holds %s or nasbench201/%s", root.c_str(),
                       kFile, kFile);
}

// A decimal number from 0 to 100, whatever the locale; negative: something else.
double Percent(const std::string& text) {
  double value = 0, unit = 0;
  bool digits = false;
  for (const char c : text) {
    if (c == '.' && unit == 0) {
      unit = 1;
    } else if (c >= '0' && c <= '9' && text.size() < 20) {
      digits = true;
      value = value * 10 + (c - '0');
      unit *= 10;
    } else {
      return -1;
    }
  }
  if (!digits) return -1;
  value = unit > 1 ? value / unit : value;
  return value <= 100 ? value : -1;
}

Result<std::vector<double>> ReadAccuracies(const std::string& path, const char* column) {
  const Result<std::string> text = engine::ReadFile(path);
  if (!text.ok()) return text.status();
  std::vector<double> accuracy(nn::kCellCount, -1);
  size_t arch = 0, wanted = 0, columns = 0;
  int line_number = 0, found = 0;
  for (size_t begin = 0; begin < text->size();) {
    const size_t end = std::min(text->find('\n', begin), text->size());
    const std::string line = nn::Trim(text->substr(begin, end - begin));
    begin = end + 1;
    ++line_number;
    if (line.empty()) continue;
    const std::vector<std::string> words = nn::SplitText(line, ',');
    if (columns == 0) {
      columns = words.size();
      const auto place = [&](const char* name) {
        return static_cast<size_t>(std::find(words.begin(), words.end(), name) - words.begin());
      };
      arch = place("arch");
      wanted = place(column);
      if (arch == columns || wanted == columns) {
        return Status::Error("%s:%d: no column %s; expected at least arch and %s", path.c_str(),
                             line_number, arch == columns ? "arch" : column, column);
      }
      continue;
    }
    if (words.size() != columns) {
      return Status::Error("%s:%d: %zu values, expected %zu", path.c_str(), line_number,
                           words.size(), columns);
    }
    const Result<nn::Cell> cell = nn::ParseCell(words[arch]);
    if (!cell.ok()) {
      return Status::Error("%s:%d: %s", path.c_str(), line_number, cell.status().message().c_str());
    }
    double& value = accuracy[static_cast<size_t>(nn::CellNumber(*cell))];
    const double percent = Percent(words[wanted]);
    if (percent < 0 || value >= 0) {
      return Status::Error("%s:%d: %s, expected %s", path.c_str(), line_number,
                           value >= 0 ? "this cell again" : words[wanted].c_str(),
                           value >= 0 ? "every cell once" : "an accuracy in percent, 0 to 100");
    }
    value = percent / 100;
    ++found;
  }
  if (found != nn::kCellCount) {
    return Status::Error("%s: %d cells, expected %d", path.c_str(), found, nn::kCellCount);
  }
  return accuracy;
}

using Run = JointCosts::Run;

// A block's layers cut where no chain can span.
std::vector<Run> RunsOf(const nn::Slot& slot) {
  const nn::Block& block = slot.candidates.front();
  const hw::ChainSet chains(ToHardwareLayers(nn::LayersOf(slot, block, "")));
  const std::vector<hw::Layer>& layers = chains.layers();
  std::vector<Run> runs;
  const int count = static_cast<int>(layers.size());
  int reach = 0;  // of the chains so far
  for (int at = 0; at < count; ++at) {
    if (at >= reach) runs.emplace_back();
    for (int length = 1; length <= hw::kMostChained; ++length) {
      if (at + length <= count && chains.ItemAt(at, length) >= 0) {
        reach = std::max(reach, at + length);
      }
    }
    runs.back().push_back(layers[static_cast<size_t>(at)]);
  }
  if (!runs.empty()) runs.front().front().chained = false;
  return runs;
}

bool SameRun(const Run& a, const Run& b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), hw::SameShape);
}

// Slots of a network (nn::MakeCellNetwork).
constexpr size_t kStage = 6, kInnerCell = 1, kLastCell = 5;
constexpr uint16_t kInnerCells = 4;

class Nb201Problem final : public TableProblem {
 public:
  explicit Nb201Problem(const nn::CellData& data) : data_(data) {}

  std::string NetworkText(const int* network) const override {
    nn::Cell cell{};
    for (size_t i = 0; i < cell.size(); ++i) cell[i] = static_cast<int8_t>(network[i]);
    return nn::MakeCellNetwork(cell, data_).name;
  }
  Result<std::vector<int>> ParseNetwork(const std::string& text) const override {
    std::string cell_text = nn::Trim(text);
    if (nn::IsCellNetwork(cell_text)) {
      const Result<nn::Network> network = nn::ParseCellNetwork(cell_text, {});
      if (!network.ok()) return network.status();
      cell_text = cell_text.substr(cell_text.find(':') + 1);
      if (network->name != nn::MakeCellNetwork(*nn::ParseCell(nn::Trim(cell_text)), data_).name) {
        return Status::Error("%s is of another data set, or with dead edges; %s has %s",
                             network->name.c_str(), name().c_str(), data_.name);
      }
    }
    const Result<nn::Cell> cell = nn::ParseCell(nn::Trim(cell_text));
    if (!cell.ok()) return cell.status();
    return std::vector<int>(cell->begin(), cell->end());
  }

  Status Make(const std::string& name, const JointProblemOptions& options,
              std::vector<double> accuracy, engine::ThreadPool& pool) {
    Networks networks;
    networks.sizes.assign(nn::kCellEdges, nn::kCellOperations);
    networks.terms.resize(nn::kCellCount);
    for (int number = 0; number < nn::kCellCount; ++number) {
      const nn::Network network = nn::MakeCellNetwork(nn::CellOf(number), data_);
      std::vector<JointCosts::Term>& terms = networks.terms[static_cast<size_t>(number)];
      Add(Around(network.space, &networks), 1, &terms);
      AddCells(network.space, kInnerCell, kInnerCells, &networks, &terms);
      AddCells(network.space, kLastCell, 1, &networks, &terms);
      std::sort(terms.begin(), terms.end(),
                [](const auto& a, const auto& b) { return a.unit < b.unit; });
    }
    const double floor = *std::max_element(accuracy.begin(), accuracy.end()) - kFloorMargin;
    networks.accuracy = std::move(accuracy);
    // Floors in whole 1e-6, as the file's percents have four decimals.
    return Init(name, options, "vta", std::round(floor * 1e6) / 1e6, std::move(networks), pool);
  }

 private:
  static void Add(int unit, uint16_t count, std::vector<JointCosts::Term>* terms) {
    for (JointCosts::Term& term : *terms) {
      if (term.unit != unit) continue;
      term.count = static_cast<uint16_t>(term.count + count);
      return;
    }
    terms->push_back({static_cast<uint16_t>(unit), count});
  }

  // The unit that begins with this run; -1: none yet.
  static int Find(const Run& run, const Networks& networks) {
    for (size_t unit = 0; unit < networks.units.size(); ++unit) {
      if (SameRun(networks.runs[static_cast<size_t>(networks.units[unit].front())], run)) {
        return static_cast<int>(unit);
      }
    }
    return -1;
  }
  static void Append(Run run, std::vector<int>* unit, Networks* networks) {
    unit->push_back(static_cast<int>(networks->runs.size()));
    networks->runs.push_back(std::move(run));
  }

  // What stands around the cells: stem, reductions, classifier.
  static int Around(const nn::Space& space, Networks* networks) {
    const int known = Find(RunsOf(space.slots.front()).front(), *networks);
    if (known >= 0) return known;
    std::vector<int> unit;
    for (const size_t slot : {size_t{0}, kStage, 2 * kStage, 3 * kStage}) {
      for (Run& run : RunsOf(space.slots[slot])) Append(std::move(run), &unit, networks);
    }
    networks->units.push_back(std::move(unit));
    return static_cast<int>(networks->units.size()) - 1;
  }

  // A run of a cell stands in the same place of every stage: one unit of three runs.
  static void AddCells(const nn::Space& space, size_t slot, uint16_t count, Networks* networks,
                       std::vector<JointCosts::Term>* terms) {
    const std::vector<Run> runs = RunsOf(space.slots[slot]);
    for (size_t i = 0; i < runs.size(); ++i) {
      int unit = Find(runs[i], *networks);
      if (unit < 0) {
        std::vector<int> stages;
        Append(runs[i], &stages, networks);
        for (const size_t stage : {size_t{1}, size_t{2}}) {
          Append(RunsOf(space.slots[slot + stage * kStage])[i], &stages, networks);
        }
        unit = static_cast<int>(networks->units.size());
        networks->units.push_back(std::move(stages));
      }
      Add(unit, count, terms);
    }
  }

  const nn::CellData& data_;
};

}  // namespace

Result<std::unique_ptr<JointProblem>> MakeNb201Problem(const std::string& data,
                                                       const JointProblemOptions& options,
                                                       engine::ThreadPool& pool) {
  for (int i = 0; i < nn::kCellDataCount; ++i) {
    if (data != nn::CellDataOf(i).name) continue;
    const Result<std::string> path = Find(options.data);
    if (!path.ok()) return path.status();
    Result<std::vector<double>> accuracy = ReadAccuracies(*path, kColumns[i]);
    if (!accuracy.ok()) return accuracy.status();
    auto problem = std::make_unique<Nb201Problem>(nn::CellDataOf(i));
    Status status = problem->Make("nb201:" + data, options, std::move(*accuracy), pool);
    if (!status.ok()) return status;
    return std::unique_ptr<JointProblem>(std::move(problem));
  }
  return Status::Error("nb201:%s: the data sets are cifar10, cifar100, imagenet16", data.c_str());
}

}  // namespace rhnas::search
