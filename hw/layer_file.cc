#include "hw/layer_file.h"

#include <algorithm>
#include <iterator>

#include "hw/number.h"

namespace rhnas::hw {
namespace {

constexpr int kMaxSize = 1 << 20;  // of a dimension; its products stay in 64 bits
constexpr int kMaxLatency = 1000000;
constexpr int64_t kMaxCycles = int64_t{1} << 50;

struct Kind {
  const char* name;
  LayerKind kind;
  bool outputs;  // has channels of its own
  bool kernel;
};
constexpr Kind kKinds[] = {
    {"conv", LayerKind::kConv, true, true},
    {"depthwise", LayerKind::kConv, false, true},
    {"dense", LayerKind::kDense, true, false},
    {"max-pool", LayerKind::kMaxPool, false, true},
    {"avg-pool", LayerKind::kAvgPool, false, true},
    {"global-pool", LayerKind::kGlobalAvgPool, false, false},
    {"add", LayerKind::kAdd, false, false},
    {"concat", LayerKind::kConcat, false, false},
    {"shuffle", LayerKind::kShuffle, false, false},
};

enum Column {
  kId,
  kKind,
  kBatch,
  kChannelsIn,
  kChannelsOut,
  kHeight,
  kWidth,
  kKernel,
  kStride,
  kPad,
  kGroups,
  kBias,
  kRelu,
  kTileH,
  kTileW,
  kTileCo,
  kTileCi,
  kThreads,
  kOrder,
  kOnAlu,
  kSplitRows,
  kLatency,
  kModel,
  kCount,
  kCycles,
  kColumns
};
constexpr const char* kNames[kColumns] = {
    "id",          "kind",      "batch",   "c_in",     "c_out",      "height", "width",
    "kernel",      "stride",    "pad",     "groups",   "bias",       "relu",   "tile_h",
    "tile_w",      "tile_co",   "tile_ci", "vthreads", "loop_order", "on_alu", "split_rows",
    "mem_latency", "mem_model", "count",   "cycles"};

std::vector<std::string> Split(const std::string& line) {
  std::vector<std::string> cells(1);
  for (const char c : line) {
    if (c == ',') {
      cells.emplace_back();
    } else if (c != '\r') {
      cells.back() += c;
    }
  }
  for (std::string& cell : cells) {
    const size_t first = cell.find_first_not_of(" \t");
    const size_t last = cell.find_last_not_of(" \t");
    cell = first == std::string::npos ? "" : cell.substr(first, last - first + 1);
    if (cell.size() >= 2 && cell.front() == '"' && cell.back() == '"') {
      cell = cell.substr(1, cell.size() - 2);
    }
  }
  return cells;
}

// As much of a cell as a message needs.
std::string Short(const std::string& text) {
  constexpr size_t kShown = 40;
  return text.size() > kShown ? text.substr(0, kShown) + "..." : text;
}

// Whole decimal numbers only.
bool ParseWhole(const std::string& text, int64_t low, int64_t high, int64_t* value) {
  if (text.empty() || text.size() > 17) return false;
  int64_t result = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return false;
    result = 10 * result + (c - '0');
  }
  *value = result;
  return result >= low && result <= high;
}

class Row {
 public:
  Row(const std::vector<std::string>& cells, const int* where, std::string place)
      : cells_(cells), where_(where), place_(std::move(place)) {}

  bool Has(Column column) const {
    return where_[column] >= 0 && !cells_[static_cast<size_t>(where_[column])].empty();
  }
  const std::string& Text(Column column) const {
    return cells_[static_cast<size_t>(where_[column])];
  }
  // An absent cell leaves the value as it is.
  void Read(Column column, int64_t low, int64_t high, int* value) {
    int64_t wide = *value;
    Read(column, low, high, &wide);
    *value = static_cast<int>(wide);
  }
  void Read(Column column, int64_t low, int64_t high, int64_t* value) {
    if (!Has(column) || ParseWhole(Text(column), low, high, value)) return;
    Fail(column, "a whole number from " + std::to_string(low) + " to " + std::to_string(high));
  }
  void Read(Column column, bool* value) {
    int64_t number = *value ? 1 : 0;
    Read(column, 0, 1, &number);
    *value = number != 0;
  }
  // The index of one of `words`.
  int Choose(Column column, const std::vector<std::string>& words, int fallback) {
    if (!Has(column)) return fallback;
    const auto found = std::find(words.begin(), words.end(), Text(column));
    if (found != words.end()) return static_cast<int>(found - words.begin());
    std::string expected;
    for (const std::string& word : words) expected += (expected.empty() ? "" : ", ") + word;
    Fail(column, "one of " + expected);
    return fallback;
  }
  void Need(Column column, const std::string& why) {
    if (!Has(column)) Fail(column, why);
  }
  void Fail(Column column, const std::string& expected) {
    if (!error_.empty()) return;
    const bool has = Has(column);
    error_ = place_ + ": column " + kNames[column] + ": found " +
             (has                  ? "\"" + Short(Text(column)) + "\""
              : where_[column] < 0 ? "no such column"
                                   : "nothing") +
             ", expected " + expected;
  }
  const std::string& error() const { return error_; }

 private:
  const std::vector<std::string>& cells_;
  const int* where_;
  std::string place_, error_;
};

void ReadLayer(Row* row, Layer* layer) {
  std::vector<std::string> names;
  for (const Kind& kind : kKinds) names.emplace_back(kind.name);
  const Kind& kind = kKinds[row->Choose(kKind, names, 0)];
  const std::string of = std::string("a whole number: a ") + kind.name + " layer needs it";
  layer->kind = kind.kind;
  for (const Column needed : {kChannelsIn, kHeight, kWidth}) row->Need(needed, of);
  if (kind.outputs) row->Need(kChannelsOut, of);
  if (kind.kernel) row->Need(kKernel, of);
  row->Read(kBatch, 1, kMaxSize, &layer->n);
  row->Read(kChannelsIn, 1, kMaxSize, &layer->c);
  row->Read(kHeight, 1, kMaxSize, &layer->h);
  row->Read(kWidth, 1, kMaxSize, &layer->w);
  layer->k = layer->c;
  row->Read(kChannelsOut, 1, kMaxSize, &layer->k);
  row->Read(kKernel, 1, kMaxSize, &layer->r);
  layer->s = layer->r;
  row->Read(kStride, 1, kMaxSize, &layer->stride);
  row->Read(kPad, 0, kMaxSize, &layer->pad);
  if (kind.kind == LayerKind::kConv && !kind.outputs) layer->groups = layer->c;
  row->Read(kGroups, 1, kMaxSize, &layer->groups);
  row->Read(kBias, &layer->bias);
  row->Read(kRelu, &layer->relu);
}

void ReadTiling(Row* row, LayerRow* out) {
  const Column tile[] = {kTileH, kTileW, kTileCo, kTileCi};
  const auto given = std::count_if(std::begin(tile), std::end(tile),
                                   [row](Column column) { return row->Has(column); });
  if (given == 0) return;  // whatever stands in the columns that go with them
  out->tiled = true;
  for (const Column column : tile) {
    row->Need(column,
              "a tiling: tile_h, tile_w, tile_co and tile_ci, or none of them for the best");
  }
  Tiling& tiling = out->tiling;
  row->Read(kTileH, 1, kMaxSize, &tiling.th);
  row->Read(kTileW, 1, kMaxSize, &tiling.tw);
  row->Read(kTileCo, 1, kMaxSize, &tiling.tco);
  row->Read(kTileCi, 1, kMaxSize, &tiling.tci);
  row->Read(kThreads, 1, 2, &tiling.vthreads);
  tiling.stationary =
      static_cast<Stationary>(row->Choose(kOrder, {"none", "weights", "inputs"}, 0));
  row->Read(kOnAlu, &tiling.on_alu);
  row->Read(kSplitRows, &tiling.split_rows);
}

bool ReadHeader(const std::vector<std::string>& cells, int* where, LayerFile* file,
                std::string* why) {
  std::fill(where, where + kColumns, -1);
  std::string names[kColumns];
  std::copy(std::begin(kNames), std::end(kNames), names);
  for (size_t i = 0; i < cells.size(); ++i) {
    const auto found = std::find(std::begin(kNames), std::end(kNames), cells[i]);
    if (found == std::end(kNames)) {
      // A column that is missing, and one that is nearly called so, is a slip of the pen.
      const std::string near = Nearest(cells[i], names, kColumns);
      if (!near.empty() && std::find(cells.begin(), cells.end(), near) == cells.end()) {
        *why = "no column is called \"" + Short(cells[i]) + "\", did you mean \"" + near + "\"?";
        return false;
      }
      file->ignored.push_back(cells[i]);
      continue;
    }
    int& place = where[found - std::begin(kNames)];
    if (place >= 0) {
      *why = "column " + cells[i] + " stands there twice, expected once";
      return false;
    }
    place = static_cast<int>(i);
  }
  for (const Column needed : {kChannelsIn, kHeight, kWidth}) {
    if (where[needed] >= 0) continue;
    *why = std::string("no column ") + kNames[needed] + ", expected";
    for (const std::string& name : names) *why += " " + name;
    return false;
  }
  return true;
}

}  // namespace

Result<LayerFile> ParseLayerFile(const std::string& text, const std::string& path) {
  LayerFile file;
  int where[kColumns];
  size_t columns = 0;
  int line_number = 0;
  constexpr char kByteOrderMark[] = "\xEF\xBB\xBF";  // spreadsheets write one
  for (size_t begin = text.compare(0, 3, kByteOrderMark) == 0 ? 3 : 0; begin < text.size();) {
    size_t end = text.find('\n', begin);
    if (end == std::string::npos) end = text.size();
    const std::string line = text.substr(begin, end - begin);
    begin = end + 1;
    ++line_number;
    if (line.find_first_not_of(" \t\r") == std::string::npos || line[0] == '#') continue;
    const std::vector<std::string> cells = Split(line);
    const std::string place = path + ":" + std::to_string(line_number);
    if (columns == 0) {
      std::string why;
      if (!ReadHeader(cells, where, &file, &why)) return Error{place + ": " + why};
      columns = cells.size();
      continue;
    }
    if (cells.size() != columns) {
      return Error{place + ": found " + std::to_string(cells.size()) + " cells, expected " +
                   std::to_string(columns) + " as in the first line"};
    }
    Row row(cells, where, place);
    LayerRow out;
    out.line = line_number;
    ReadLayer(&row, &out.layer);
    out.layer.name = row.Has(kId) ? row.Text(kId) : std::to_string(file.rows.size() + 1);
    ReadTiling(&row, &out);
    row.Read(kLatency, 1, kMaxLatency, &out.mem_latency);
    const bool pipelined = row.Choose(kModel, {"tsim", "pipelined"}, 0) == 1;
    out.memory = pipelined ? MemoryModel::kPipelined : MemoryModel::kQueued;
    row.Read(kCount, 1, kMaxSize, &out.count);
    row.Read(kCycles, 1, kMaxCycles, &out.measured_cycles);
    if (!row.error().empty()) return Error{row.error()};
    file.rows.push_back(std::move(out));
  }
  if (file.rows.empty()) return Error{path + ": no layers, expected a line of columns and a layer"};
  return file;
}

const char* LayerKindText(const Layer& layer) {
  if (layer.depthwise()) return "depthwise";
  for (const Kind& kind : kKinds) {
    if (kind.kind == layer.kind) return kind.name;
  }
  return "?";
}

const char* StationaryText(Stationary stationary) {
  switch (stationary) {
    case Stationary::kNone:
      return "none";
    case Stationary::kWeights:
      return "weights";
    case Stationary::kInputs:
      return "inputs";
  }
  return "?";
}

}  // namespace rhnas::hw
