#include "hw/systolic_topology.h"

#include <algorithm>

#include "hw/systolic.h"

namespace rhnas::hw {
namespace {

constexpr const char* kSizes[] = {"IFMAP Height", "IFMAP Width", "Filter Height", "Filter Width",
                                  "Channels",     "Num Filter",  "Strides"};
constexpr size_t kSizeCount = 7;
constexpr int kMost = 65535;

std::string Trim(const std::string& text) {
  const size_t begin = text.find_first_not_of(" \t\r");
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

std::vector<std::string> Cells(const std::string& line) {
  std::vector<std::string> cells;
  for (size_t begin = 0; begin <= line.size();) {
    const size_t end = std::min(line.find(',', begin), line.size());
    cells.push_back(Trim(line.substr(begin, end - begin)));
    begin = end + 1;
  }
  while (cells.size() > 1 && cells.back().empty()) cells.pop_back();
  return cells;
}

// 0: not a whole number from 1 to 65535.
int ParseSize(const std::string& text) {
  int value = 0;
  for (const char digit : text) {
    if (digit < '0' || digit > '9') return 0;
    value = 10 * value + (digit - '0');
    if (value > kMost) return 0;
  }
  return value;
}

}  // namespace

bool IsTopology(const std::string& text) {
  std::string head = Trim(text.substr(0, text.find_first_of(",\n")));
  for (char& letter : head)
    letter = letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter + 32) : letter;
  return head == "layer name" || head == "layer";
}

Result<LayerFile> ParseTopology(const std::string& text, const std::string& path) {
  LayerFile file;
  int line_number = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string line = text.substr(begin, end - begin);
    begin = end + 1;
    ++line_number;
    if (line_number == 1 || Trim(line).empty() || Trim(line)[0] == '#') continue;
    const std::string at = path + ":" + std::to_string(line_number) + ": ";
    const std::vector<std::string> cells = Cells(line);
    if (cells.size() != kSizeCount + 1) {
      return Error{at + "found " + std::to_string(cells.size()) +
                   " fields, expected 8: Layer name, IFMAP Height, IFMAP Width, Filter Height, "
                   "Filter Width, Channels, Num Filter, Strides"};
    }
    int size[kSizeCount];
    for (size_t i = 0; i < kSizeCount; ++i) {
      size[i] = ParseSize(cells[i + 1]);
      if (size[i] == 0) {
        return Error{at + kSizes[i] + ": found \"" + cells[i + 1] +
                     "\", expected an integer from 1 to 65535"};
      }
    }
    const auto& [height, width, r, s, channels, filters, stride] = size;
    if (height < r || width < s) {
      return Error{at + "the filter is larger than the map, expected at most " +
                   std::to_string(height) + "x" + std::to_string(width)};
    }
    LayerRow row;
    row.line = line_number;
    row.layer.name = cells[0];
    row.layer.bias = row.layer.relu = false;
    row.layer.r = r;
    row.layer.s = s;
    row.layer.stride = stride;
    row.layer.c = channels;
    row.layer.k = filters;
    row.layer.h = static_cast<int>((ScaleSimOutputs(height, r, stride) - 1) * stride + r);
    row.layer.w = static_cast<int>((ScaleSimOutputs(width, s, stride) - 1) * stride + s);
    file.rows.push_back(row);
  }
  if (file.rows.empty()) return Error{path + ": holds no layer"};
  return file;
}

}  // namespace rhnas::hw
