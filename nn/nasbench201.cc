// Cells, their text, and the networks made of them. See nasbench201.h.
#include "nn/nasbench201.h"

#include <utility>

#include "engine/check.h"
#include "nn/text.h"

namespace rhnas::nn {

namespace {

using engine::Format;
using engine::Result;
using engine::Status;

constexpr const char* kOperations[kCellOperations] = {"none", "skip_connect", "nor_conv_1x1",
                                                      "nor_conv_3x3", "avg_pool_3x3"};
constexpr const char* kName = "nasbench201";
constexpr const char* kForm = "|op~0|+|op~0|op~1|+|op~0|op~1|op~2|";
constexpr int kStem = 16, kStages = 3, kCellsPerStage = 5;
// ImageNet16-120: Chrabaszcz et al., arXiv 1707.08819, its first 120 classes.
constexpr CellData kData[kCellDataCount] = {
    {"cifar10", 32, 10}, {"cifar100", 32, 100}, {"imagenet16", 16, 120}};

// Whether the cell reads its input through ReLU alone.
bool OnlyConvolutionsRead(const Cell& cell, bool dead_edges) {
  const std::array<bool, kCellEdges> live = LiveEdges(cell);
  bool reads = false;
  for (const size_t edge : {size_t{0}, size_t{1}, size_t{3}}) {  // from the input
    const auto operation = static_cast<CellOperation>(cell[edge]);
    if (operation == CellOperation::kNone || !(live[edge] || dead_edges)) continue;
    if (operation == CellOperation::kSkip || operation == CellOperation::kAvgPool) return false;
    reads = true;
  }
  return reads;
}

// One line of the form |op~0|op~1|, of the node's `inputs` operations.
Status ParseNode(const std::string& text, int inputs, int8_t* operations) {
  const std::vector<std::string> words = SplitText(text, '|');
  const int found = static_cast<int>(words.size()) - 2;
  if (text.empty() || text.front() != '|' || text.back() != '|' || found != inputs) {
    return Status::Error(
        "%s: node %d is '%s', expected %d operation%s between bars; the form is %s", kName, inputs,
        text.c_str(), inputs, inputs == 1 ? "" : "s", kForm);
  }
  for (int from = 0; from < inputs; ++from) {
    const std::string& word = words[static_cast<size_t>(from) + 1];
    const size_t tilde = word.find('~');
    const std::string name = word.substr(0, tilde);
    if (tilde == std::string::npos || word.substr(tilde + 1) != Format("%d", from)) {
      return Status::Error("%s: '%s' in node %d, expected an operation and '~%d'; the form is %s",
                           kName, word.c_str(), inputs, from, kForm);
    }
    int operation = 0;
    while (operation < kCellOperations && name != kOperations[operation]) ++operation;
    if (operation == kCellOperations) {
      const std::vector<std::string> names(kOperations, kOperations + kCellOperations);
      return Status::Error("%s: '%s' in node %d: did you mean %s? Operations: %s", kName,
                           name.c_str(), inputs, Nearest(name, names).c_str(),
                           JoinText(names, ", ").c_str());
    }
    operations[from] = static_cast<int8_t>(operation);
  }
  return Status::Ok();
}

}  // namespace

const char* CellOperationName(int operation) {
  RHNAS_CHECK(operation >= 0 && operation < kCellOperations, "operation %d of %d", operation,
              kCellOperations);
  return kOperations[operation];
}

std::string CellText(const Cell& cell) {
  std::string text;
  for (int to = 1, edge = 0; to <= 3; ++to) {
    text += to == 1 ? "|" : "+|";
    for (int from = 0; from < to; ++from, ++edge) {
      text += Format("%s~%d|", CellOperationName(cell[static_cast<size_t>(edge)]), from);
    }
  }
  return text;
}

Result<Cell> ParseCell(const std::string& text) {
  const std::vector<std::string> nodes = SplitText(text, '+');
  if (nodes.size() != 3) {
    return Status::Error("%s: a cell has 3 nodes joined by '+', '%s' has %d; the form is %s", kName,
                         text.c_str(), static_cast<int>(nodes.size()), kForm);
  }
  Cell cell{};
  for (int to = 1; to <= 3; ++to) {
    const Status status = ParseNode(nodes[static_cast<size_t>(to - 1)], to,
                                    &cell[static_cast<size_t>(to * (to - 1) / 2)]);
    if (!status.ok()) return status;
  }
  return cell;
}

int CellNumber(const Cell& cell) {
  int number = 0;
  for (const int8_t operation : cell) number = number * kCellOperations + operation;
  return number;
}

Cell CellOf(int number) {
  RHNAS_CHECK(number >= 0 && number < kCellCount, "cell %d of %d", number, kCellCount);
  Cell cell{};
  for (size_t edge = kCellEdges; edge-- > 0; number /= kCellOperations) {
    cell[edge] = static_cast<int8_t>(number % kCellOperations);
  }
  return cell;
}

const CellData& CellDataOf(int index) {
  RHNAS_CHECK(index >= 0 && index < kCellDataCount, "data set %d of %d", index, kCellDataCount);
  return kData[index];
}

Network MakeCellNetwork(const Cell& cell, const CellData& data, bool dead_edges) {
  Network network;
  Space& space = network.space;
  space.h = space.w = data.resolution;
  space.classes = data.classes;
  const bool relu = OnlyConvolutionsRead(cell, dead_edges);
  int size = data.resolution, channels = space.c, number = 0;
  const auto add = [&](const char* name, BlockKind kind, int cout, int stride, bool relu_out) {
    Slot slot;
    slot.cin = channels;
    slot.cout = cout;
    slot.h = slot.w = size;
    slot.stride = stride;
    Block block;
    block.name = name;
    block.kind = kind;
    block.activation = relu_out ? engine::Activation::kRelu : engine::Activation::kNone;
    block.relu_out = relu_out;
    if (kind == BlockKind::kNasCell) {
      block.name = Format("%s%02d", name, number++);
      block.relu_in = relu;
      block.cell = cell;
      block.dead_edges = dead_edges;
    }
    slot.candidates.push_back(std::move(block));
    space.slots.push_back(std::move(slot));
    size /= stride;
    channels = cout;
  };
  add("stem", BlockKind::kConvBn, kStem, 1, relu);
  for (int stage = 0; stage < kStages; ++stage) {
    if (stage > 0) {
      add(stage == 1 ? "reduction1" : "reduction2", BlockKind::kNasReduction, 2 * channels, 2,
          relu);
    }
    for (int i = 0; i < kCellsPerStage; ++i) {
      // A reduction reads its input in both forms, the last batch norm as it is.
      add("cell", BlockKind::kNasCell, channels, 1, relu && i + 1 < kCellsPerStage);
    }
  }
  add("classifier", BlockKind::kNasHead, data.classes, 1, false);
  std::string options = &data == &kData[0] ? "" : data.name;
  if (dead_edges) options += options.empty() ? "dead" : ",dead";
  space.name = std::string(kName) + (options.empty() ? "" : "@" + options) + ":" + CellText(cell);
  network.name = space.name;
  return network;
}

bool IsCellNetwork(const std::string& text) {
  const std::string trimmed = Trim(text);
  const size_t end = trimmed.find_first_of("@:");
  return Trim(trimmed.substr(0, end)) == kName;
}

Result<Network> ParseCellNetwork(const std::string& text, const SpaceOptions& options) {
  const std::string trimmed = Trim(text);
  const size_t colon = trimmed.find(':');
  const std::string head = Trim(trimmed.substr(0, colon));
  const SpaceOptions own;
  if (options.width != own.width || !options.always_pw || options.head != 0 ||
      options.classes != 0 || options.resolution != 0 || options.channels != 0) {
    return Status::Error(
        "%s: its networks are as published and take no width, head, classes, resolution or "
        "channels; their sizes follow from @cifar10, @cifar100 or @imagenet16",
        kName);
  }
  const CellData* data = &kData[0];
  bool dead_edges = false;
  const size_t at = head.find('@');
  if (at != std::string::npos) {
    for (const std::string& word : SplitText(head.substr(at + 1), ',')) {
      bool known = word == "dead";
      dead_edges = dead_edges || known;
      for (const CellData& each : kData) {
        if (word != each.name) continue;
        data = &each;
        known = true;
      }
      if (!known) {
        return Status::Error(
            "%s: option '%s' after '@' is none of cifar10, cifar100, imagenet16 (data set), dead "
            "(edges that the output does not see run as well)",
            kName, word.c_str());
      }
    }
  }
  if (colon == std::string::npos) {
    return Status::Error("%s is a space, not a network: add ':' and a cell, as in %s:%s",
                         head.c_str(), head.c_str(), CellText({3, 3, 3, 1, 3, 3}).c_str());
  }
  const Result<Cell> cell = ParseCell(Trim(trimmed.substr(colon + 1)));
  if (!cell.ok()) return cell.status();
  return MakeCellNetwork(*cell, *data, dead_edges);
}

Status CheckTrainable(const Space& space) {
  for (const Slot& slot : space.slots) {
    for (const Block& block : slot.candidates) {
      if (block.kind != BlockKind::kNasCell) continue;
      return Status::Error(
          "%s networks cannot be trained here; their published accuracies are what problem nb201 "
          "searches with (rhnas compare --problem nb201:cifar10)",
          kName);
    }
  }
  return Status::Ok();
}

}  // namespace rhnas::nn
