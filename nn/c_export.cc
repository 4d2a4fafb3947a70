#include "nn/c_export.h"

#include <algorithm>
#include <utility>

#include "nn/c_code.h"
#include "nn/c_export_text.h"
#include "nn/c_plan.h"
#include "nn/int_program.h"

namespace rhnas::nn {

using engine::Format;
using engine::Result;
using engine::Status;

namespace {

constexpr int kChecks = 3;

bool IsWord(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

std::string IdentifierFrom(const std::string& text) {
  std::string name;
  for (char c : text.substr(0, text.find(':'))) {
    if (c == '@' && !name.empty()) break;
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    if (!IsWord(c)) c = '_';
    if ((c == '_' || (c >= '0' && c <= '9')) && name.empty()) name = "net";
    name += c;
  }
  if (name.size() > 31) name.resize(31);
  return name.empty() ? "net" : name;
}

Status CheckName(const std::string& name) {
  bool fine = !name.empty() && name.size() <= 31 && !(name[0] >= '0' && name[0] <= '9') &&
              name[0] != '_' && name != "main" && name != "cortex_m";
  for (char c : name) fine = fine && IsWord(c);
  if (fine) return Status::Ok();
  return Status::Error(
      "\"%s\" cannot name C code: found that, expected 1 to 31 letters, digits and _, a letter "
      "first, not main or cortex_m",
      name.c_str());
}

// What stands for @word@ in a text.
class Words {
 public:
  void Set(const char* word, std::string value) { words_.push_back({word, std::move(value)}); }
  void Set(const char* word, int64_t value) {
    Set(word, Format("%lld", static_cast<long long>(value)));
  }
  // Values are not looked at again: a name may hold anything.
  std::string Fill(const std::string& text) const {
    std::string filled;
    for (size_t at = 0; at < text.size();) {
      const size_t begin = std::min(text.find('@', at), text.size());
      filled.append(text, at, begin - at);
      at = begin;
      if (at == text.size()) break;
      const size_t end = text.find('@', at + 1);
      const Word* known =
          end == std::string::npos ? nullptr : Find(text.substr(at + 1, end - at - 1));
      filled += known != nullptr ? known->value : "@";
      at = known != nullptr ? end + 1 : at + 1;
    }
    return filled;
  }

 private:
  struct Word {
    const char* name;
    std::string value;
  };
  const Word* Find(const std::string& name) const {
    for (const Word& word : words_) {
      if (name == word.name) return &word;
    }
    return nullptr;
  }
  std::vector<Word> words_;
};

// The C code's averages multiply in 32 bits. Convolutions are as CheckIntGraph wants them.
Status CheckAverage(const IntNode& node) {
  const Node& n = node.node;
  if (n.kind != NodeKind::kAvgPool && n.kind != NodeKind::kGlobalAvgPool) return Status::Ok();
  const bool global = n.kind == NodeKind::kGlobalAvgPool;
  const int64_t taps = global ? int64_t{n.h} * n.w : int64_t{n.r} * n.s;
  if (128 * node.multiplier * taps <= INT32_MAX) return Status::Ok();
  return Status::Error("%s: found an average over %lld values, too many for sums of 32 bits",
                       InComment(n.name).c_str(), static_cast<long long>(taps));
}

// Images of noise, as c_text::kCheck makes them, and what the evaluation makes of them.
std::string CheckLogits(const IntGraph& graph, int64_t image_bytes, int64_t logits_bytes) {
  std::vector<uint8_t> images(static_cast<size_t>(kChecks * image_bytes));
  std::vector<int8_t> logits(static_cast<size_t>(kChecks * logits_bytes));
  for (int i = 0; i < kChecks; ++i) {
    uint32_t state = static_cast<uint32_t>(i) + 1;
    for (int64_t j = 0; j < image_bytes; ++j) {
      state = state * 1664525u + 1013904223u;
      images[static_cast<size_t>(i * image_bytes + j)] = static_cast<uint8_t>(state >> 24);
    }
  }
  engine::ThreadPool pool(1);
  IntProgram(graph).Run(images.data(), kChecks, logits.data(), pool);
  std::string text;
  for (int i = 0; i < kChecks; ++i) {
    text += i > 0 ? ",\n{" : "{";
    text +=
        Numbers(&logits[static_cast<size_t>(i * logits_bytes)], static_cast<size_t>(logits_bytes));
    text += "}";
  }
  return text;
}

void FillReport(const IntGraph& graph, const CPlan& plan, CReport* report) {
  const Node& image = graph.nodes[0].node;
  const Node& output = graph.nodes[static_cast<size_t>(graph.output)].node;
  report->image_bytes = int64_t{image.oh} * image.ow * image.k;
  report->logits_bytes = int64_t{output.oh} * output.ow * output.k;
  report->arena_bytes = plan.arena_bytes;
  report->unshared_bytes = plan.unshared_bytes;
  report->peak_bytes = plan.peak_bytes;
  report->peak_node = NameOf(graph, plan.steps[static_cast<size_t>(plan.peak)]);
  for (const CMap& map : plan.maps) {
    if (map.first > plan.peak || map.last < plan.peak) continue;
    const Node& node = graph.nodes[static_cast<size_t>(map.node)].node;
    report->peak_maps.push_back({node.name, map.bytes, map.offset});
  }
}

}  // namespace

Result<std::vector<ExportFile>> ExportC(const IntGraph& graph, const CExportOptions& options,
                                        CReport* report) {
  Status status = CheckIntGraph(graph);
  if (!status.ok()) return status;
  const std::string name = options.name.empty() ? IdentifierFrom(graph.name) : options.name;
  status = CheckName(name);
  for (size_t i = 0; i < graph.nodes.size() && status.ok(); ++i) {
    status = CheckAverage(graph.nodes[i]);
  }
  if (!status.ok()) return status;
  const CPlan plan = PlanC(graph);
  *report = CReport();
  report->name = name;
  const std::string arrays = CArrays(graph, plan, &report->constants);
  FillReport(graph, plan, report);
  const CCalls calls = CodeOf(graph, plan);
  const CReport& r = *report;
  const Node& image = graph.nodes[0].node;
  std::string upper = name;
  for (char& c : upper) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  Words words;
  words.Set("network", InComment(graph.name));
  words.Set("origin", options.origin.empty() ? "rhnas" : InComment(options.origin));
  words.Set("head", words.Fill(c_text::kHead));
  words.Set("include", "#include");  // apart from the includes of our own sources
  words.Set("kernels", calls.kernels);
  words.Set("calls", calls.body);
  words.Set("arrays", arrays);
  words.Set("height", image.oh);
  words.Set("width", image.ow);
  words.Set("channels", image.k);
  words.Set("image_bytes", r.image_bytes);
  words.Set("logits", r.logits_bytes);
  words.Set("arena", r.arena_bytes);
  words.Set("exponent", graph.nodes[static_cast<size_t>(graph.output)].exponent);
  words.Set("checks", kChecks);
  words.Set("check_logits", CheckLogits(graph, r.image_bytes, r.logits_bytes));
  words.Set("filters", r.constants.filter_bytes);
  words.Set("biases", r.constants.bias_bytes);
  words.Set("table", r.constants.table_bytes);
  words.Set("layers", r.constants.layer_bytes);
  words.Set("peak", r.peak_node);
  words.Set("peak_bytes", r.peak_bytes);
  words.Set("name", name);
  words.Set("NAME", upper);
  std::vector<ExportFile> files;
  for (const c_text::File& file : c_text::kFiles) {
    files.push_back({words.Fill(file.name), words.Fill(file.text)});
  }
  return files;
}

}  // namespace rhnas::nn
