// From a row of the catalogue and options to a Space, and the text form of the options.
#include "nn/space.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "engine/check.h"
#include "nn/nasbench201.h"
#include "nn/space_catalogue.h"
#include "nn/text.h"

namespace rhnas::nn {

namespace {

using engine::Format;
using engine::Result;
using engine::Status;

// Bounds of the options: beyond them a typing error is likelier than a wish.
constexpr int kMaxResolution = 1024;
constexpr int kMaxChannels = 64, kMaxClasses = 100000, kMaxHead = 16384;
constexpr int kMinWidth = 100, kMaxWidth = 4000;  // thousandths

int WidthThousandths(double width) {
  if (!(width > 0 && width < 1e6)) return 0;
  return static_cast<int>(std::lround(width * 1000));
}

// Nearest multiple of 8, at least 8 and at least 0.9 of the exact value (MobileNetV2's rule).
int ScaledChannels(int channels, int thousandths) {
  if (thousandths == 1000) return channels;
  const int64_t exact = int64_t{channels} * thousandths;  // in thousandths
  int64_t rounded = std::max<int64_t>(8, (exact + 4000) / 8000 * 8);
  if (rounded * 10000 < exact * 9) rounded += 8;
  return static_cast<int>(rounded);
}

// "0.5", "1", "0.125" from thousandths, whatever the locale.
std::string WidthText(int thousandths) {
  std::string text = Format("%d.%03d", thousandths / 1000, thousandths % 1000);
  while (text.back() == '0') text.pop_back();
  if (text.back() == '.') text.pop_back();
  return text;
}

// Thousandths, or -1.
int ParseWidth(const std::string& text) {
  const std::vector<std::string> parts = SplitText(text, '.');
  if (parts.size() > 2 || parts[0].size() > 3) return -1;
  const int whole = ParseCount(parts[0]);
  if (whole < 0) return -1;
  if (parts.size() == 1) return whole * 1000;
  if (parts[1].empty() || parts[1].size() > 3) return -1;
  std::string digits = parts[1];
  digits.resize(3, '0');
  const int fraction = ParseCount(digits);
  return fraction < 0 ? -1 : whole * 1000 + fraction;
}

Status ParseOptions(const std::string& name, const std::string& text, bool fixed,
                    SpaceOptions* options) {
  for (const std::string& part : SplitText(text, ',')) {
    const std::vector<std::string> sides = SplitText(part, 'x');
    if (part == "nopw" && !fixed) {
      options->always_pw = false;
    } else if (part[0] == 'w' && ParseWidth(part.substr(1)) > 0) {
      options->width = ParseWidth(part.substr(1)) / 1000.0;
    } else if (part[0] == 'h' && ParseCount(part.substr(1)) > 0) {
      options->head = ParseCount(part.substr(1));
    } else if (part[0] == 'n' && ParseCount(part.substr(1)) > 0) {
      options->classes = ParseCount(part.substr(1));
    } else if (sides.size() == 3 && ParseCount(sides[0]) > 0 && ParseCount(sides[2]) > 0 &&
               sides[0] == sides[1]) {
      options->resolution = ParseCount(sides[0]);
      options->channels = ParseCount(sides[2]);
    } else {
      return Status::Error(
          "%s: option '%s' after '@' is none of w0.5 (width), nopw (no leading 1x1), h1504 (head "
          "channels), 28x28x1 (input height x width x channels, square), n100 (classes)",
          name.c_str(), part.c_str());
    }
  }
  return Status::Ok();
}

Status CheckOptions(const SpaceTable& table, const SpaceOptions& options) {
  const int width = WidthThousandths(options.width);
  const bool fixed = table.candidates == nullptr;
  if (width < kMinWidth || width > kMaxWidth) {
    return Status::Error("%s: width %g is not between 0.1 and 4", table.name, options.width);
  }
  if (fixed && width != 1000) {
    return Status::Error("%s is a fixed network and takes no width (found %g)", table.name,
                         options.width);
  }
  const auto outside = [](int value, int low, int high) {
    return value != 0 && (value < low || value > high);
  };
  if (outside(options.resolution, table.min_resolution, kMaxResolution)) {
    return Status::Error("%s: resolution %d is not between %d and %d", table.name,
                         options.resolution, table.min_resolution, kMaxResolution);
  }
  if (outside(options.channels, 1, kMaxChannels)) {
    return Status::Error("%s: %d input channels, expected 1 to %d", table.name, options.channels,
                         kMaxChannels);
  }
  if (outside(options.classes, 2, kMaxClasses)) {
    return Status::Error("%s: %d classes, expected 2 to %d", table.name, options.classes,
                         kMaxClasses);
  }
  const bool has_head = std::any_of(table.stages, table.stages + table.stage_count,
                                    [](const StageRow& stage) { return stage.head; });
  if (options.head != 0 && !has_head) {
    return Status::Error("%s has no head convolution whose channels could be %d", table.name,
                         options.head);
  }
  if (outside(options.head, 1, kMaxHead)) {
    return Status::Error("%s: head of %d channels, expected 1 to %d", table.name, options.head,
                         kMaxHead);
  }
  return Status::Ok();
}

// The suffix that makes the options readable again; only what differs from the table.
std::string NameOf(const SpaceTable& table, const SpaceOptions& options, const Space& space) {
  std::vector<std::string> parts;
  const int width = WidthThousandths(options.width);
  if (width != 1000) parts.push_back("w" + WidthText(width));
  if (!options.always_pw && table.candidates != nullptr) parts.push_back("nopw");
  for (int i = 0; i < table.stage_count; ++i) {
    if (table.stages[i].head && options.head != 0 && options.head != table.stages[i].channels) {
      parts.push_back(Format("h%d", options.head));
    }
  }
  if (space.h != table.resolution || space.c != table.channels) {
    parts.push_back(Format("%dx%dx%d", space.h, space.w, space.c));
  }
  if (space.classes != table.classes) parts.push_back(Format("n%d", space.classes));
  return parts.empty() ? table.name : std::string(table.name) + "@" + JoinText(parts, ",");
}

Block MakeBlock(const SpaceTable& table, const char* name, BlockKind kind, int kernel,
                int expansion, int groups, bool always_pw) {
  Block block;
  block.name = name;
  block.kind = kind;
  block.kernel = kernel;
  block.expansion = expansion;
  block.groups = groups;
  // MobileNetV2's own first block has no leading 1x1 (its table 1 at expansion 1).
  block.always_pointwise = table.candidates != nullptr && always_pw;
  block.activation = table.activation;
  block.shortcut = table.shortcut;
  return block;
}

Space BuildSpace(const SpaceTable& table, const SpaceOptions& options) {
  Space space;
  space.h = space.w = options.resolution != 0 ? options.resolution : table.resolution;
  space.c = options.channels != 0 ? options.channels : table.channels;
  space.classes = options.classes != 0 ? options.classes : table.classes;
  const int width = WidthThousandths(options.width);
  int size = space.h, channels = space.c, fixed_blocks = 0;
  for (int i = 0; i < table.stage_count; ++i) {
    const StageRow& stage = table.stages[i];
    int cout = stage.channels;
    if (stage.head && options.head != 0) cout = options.head;
    if (stage.head || stage.role == nullptr) cout = ScaledChannels(cout, width);
    if (cout == 0) cout = space.classes;
    for (int repeat = 0; repeat < stage.repeats; ++repeat) {
      Slot slot;
      slot.cin = channels;
      slot.cout = cout;
      slot.h = slot.w = size;
      slot.stride = repeat == 0 ? stage.stride : 1;
      if (stage.role == nullptr) {
        for (int j = 0; j < table.candidate_count; ++j) {
          const BlockRow& row = table.candidates[j];
          slot.candidates.push_back(MakeBlock(table, row.name, row.kind, row.kernel, row.expansion,
                                              row.groups, options.always_pw));
        }
      } else {
        Block block = MakeBlock(table, stage.role, stage.kind, stage.kernel, stage.expansion, 1,
                                options.always_pw);
        block.pad = stage.pad;
        if (block.name == "block") block.name = Format("block%02d", fixed_blocks++);
        slot.candidates.push_back(std::move(block));
      }
      size = stage.pad < 0 ? (size + slot.stride - 1) / slot.stride
                           : (size + 2 * stage.pad - stage.kernel) / slot.stride + 1;
      channels = cout;
      space.slots.push_back(std::move(slot));
    }
  }
  space.name = NameOf(table, options, space);
  return space;
}

}  // namespace

std::vector<int> Space::searchable() const {
  std::vector<int> indices;
  for (size_t i = 0; i < slots.size(); ++i) {
    if (slots[i].searchable()) indices.push_back(static_cast<int>(i));
  }
  return indices;
}

double Space::size() const {
  double product = 1;
  for (const Slot& slot : slots) product *= static_cast<double>(slot.candidates.size());
  return product;
}

std::vector<std::string> SpaceNames() {
  int count = 0;
  const SpaceTable* tables = SpaceTables(&count);
  std::vector<std::string> names;
  for (int i = 0; i < count; ++i) names.push_back(tables[i].name);
  return names;
}

Result<Space> FindSpace(const std::string& name, const SpaceOptions& options) {
  const size_t at = name.find('@');
  const std::string base = name.substr(0, at);
  int count = 0;
  const SpaceTable* tables = SpaceTables(&count);
  for (int i = 0; i < count; ++i) {
    if (base != tables[i].name) continue;
    SpaceOptions merged = options;
    if (at != std::string::npos) {
      Status status =
          ParseOptions(base, name.substr(at + 1), tables[i].candidates == nullptr, &merged);
      if (!status.ok()) return status;
    }
    Status status = CheckOptions(tables[i], merged);
    if (!status.ok()) return status;
    return BuildSpace(tables[i], merged);
  }
  if (IsCellNetwork(base)) {
    return Status::Error(
        "nasbench201: its six decisions are shared by all cells, which searches with shared "
        "weights "
        "do not do; its published accuracies are searched by rhnas compare --problem "
        "nb201:cifar10");
  }
  return Status::Error("unknown space '%s': did you mean %s? Known: %s", base.c_str(),
                       Nearest(base, SpaceNames()).c_str(), JoinText(SpaceNames(), ", ").c_str());
}

}  // namespace rhnas::nn
