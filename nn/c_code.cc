#include "nn/c_code.h"

#include "nn/c_export_text.h"

namespace rhnas::nn {

using engine::Format;

namespace {

// Fields of struct layer in c_text::kCommon.
constexpr int kLayerBytes = 17 * 4;
constexpr size_t kLineLength = 110;

bool HasFilter(const Node& node) {
  return node.kind == NodeKind::kConv || node.kind == NodeKind::kDense;
}

const IntNode& At(const IntGraph& graph, int node) {
  return graph.nodes[static_cast<size_t>(node)];
}

// The node whose kernel runs in a step.
int KernelOf(const CStep& step) { return step.conv >= 0 ? step.conv : step.node; }

void AppendNumber(int32_t value, size_t* line, std::string* text) {
  if (text->size() - *line > kLineLength) {
    *text += '\n';
    *line = text->size();
  }
  // The least number is no constant of C, only a sum.
  *text += value == INT32_MIN ? "-2147483647-1" : std::to_string(value);
}

std::string Biases(const std::vector<int32_t>& values) {
  std::string text;
  size_t line = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    if (i > 0) text += ',';
    AppendNumber(values[i], &line, &text);
  }
  return text;
}

// As the kernels read it: [taps][k] of depthwise layers, else [k][taps].
std::vector<int8_t> FilterOf(const IntNode& node) {
  if (IsDepthwise(node.node)) return node.filter;
  const size_t outputs = static_cast<size_t>(node.node.k), taps = node.filter.size() / outputs;
  std::vector<int8_t> turned(node.filter.size());
  for (size_t k = 0; k < outputs; ++k) {
    for (size_t t = 0; t < taps; ++t) turned[k * taps + t] = node.filter[t * outputs + k];
  }
  return turned;
}

std::string LayerOf(const IntGraph& graph, const CStep& step) {
  const int number = KernelOf(step);
  const IntNode& node = At(graph, number);
  const Node& n = node.node;
  const bool dense = n.kind == NodeKind::kDense, global = n.kind == NodeKind::kGlobalAvgPool;
  std::string text = Format(
      "static const struct layer layer%d = {\n    .h = %d, .w = %d, .c = %d, .oh = %d, .ow = %d, "
      ".k = %d,\n    .r = %d, .s = %d, .stride = %d, .pad = %d, .groups = %d,\n    .shift = %d, "
      ".multiplier = %d, .low = %d, .high = %d",
      number, dense ? 1 : n.h, dense ? 1 : n.w, dense ? n.h * n.w * n.c : n.c, n.oh, n.ow, n.k,
      global ? n.h : n.r, global ? n.w : n.s, n.stride, n.pad, n.groups, node.shift,
      node.multiplier, node.low, node.high);
  if (step.conv >= 0) {
    const IntNode& sum = At(graph, step.node);
    text += Format(", .sum_low = %d, .sum_high = %d", sum.low, sum.high);
  }
  return text + "};\n";
}

// The kernel of a node and its name.
struct Kernel {
  const char* name;
  const char* text;
};
Kernel KernelOf(const Node& node) {
  switch (node.kind) {
    case NodeKind::kInput:
      return {"read_image", c_text::kImage};
    case NodeKind::kConv:
    case NodeKind::kDense:
      if (IsDepthwise(node)) return {"depthwise", c_text::kDepthwise};
      return {"conv", c_text::kConv};
    case NodeKind::kMaxPool:
      return {"max_pool", c_text::kMaxPool};
    case NodeKind::kAvgPool:
    case NodeKind::kGlobalAvgPool:
      return {"avg_pool", c_text::kAvgPool};
    case NodeKind::kAdd:
      return {"add", c_text::kAdd};
    case NodeKind::kConcat:
      return {"concat", c_text::kConcat};
    case NodeKind::kShuffle:
      return {"shuffle", c_text::kShuffle};
    case NodeKind::kSubsample:
      return {"subsample", c_text::kSubsample};
  }
  return {"", ""};
}

// The place of a node's map.
std::string MapOf(const IntGraph& graph, const CPlan& plan, int node) {
  if (node == graph.output) return "logits";
  return Format("arena + %lld", static_cast<long long>(plan.OffsetOf(node)));
}

}  // namespace

std::string InComment(const std::string& text) {
  std::string plain = text;
  for (size_t i = 0; i < plain.size(); ++i) {
    const char before = i > 0 ? plain[i - 1] : ' ';
    const bool ends = (plain[i] == '/' && before == '*') || (plain[i] == '*' && before == '/');
    if (plain[i] < ' ' || plain[i] > '~' || plain[i] == '\\' || ends) plain[i] = '?';
  }
  return plain;
}

std::string NameOf(const IntGraph& graph, const CStep& step) {
  const std::string name = InComment(At(graph, step.node).node.name);
  return step.conv >= 0 ? InComment(At(graph, step.conv).node.name) + ", " + name : name;
}

std::string Numbers(const int8_t* values, size_t count) {
  std::string text;
  size_t line = 0;
  for (size_t i = 0; i < count; ++i) {
    if (i > 0) text += ',';
    AppendNumber(values[i], &line, &text);
  }
  return text;
}

std::string CArrays(const IntGraph& graph, const CPlan& plan, CConstants* constants) {
  std::string text;
  for (const CStep& step : plan.steps) {
    const int number = KernelOf(step);
    const IntNode& node = At(graph, number);
    text += "\n/* " + NameOf(graph, step) + " */\n";
    if (HasFilter(node.node)) {
      const std::vector<int8_t> filter = FilterOf(node);
      text += Format("static const int8_t filter%d[%lld] = {\n", number,
                     static_cast<long long>(filter.size()));
      text += Numbers(filter.data(), filter.size());
      text += Format("};\nstatic const int32_t bias%d[%d] = {\n", number, node.node.k);
      text += Biases(node.bias) + "};\n";
      const int64_t weights = static_cast<int64_t>(filter.size());
      constants->filter_bytes += weights;
      constants->bias_bytes += 4 * static_cast<int64_t>(node.bias.size());
      constants->macs += weights * node.node.oh * node.node.ow;
    }
    if (node.node.kind == NodeKind::kInput) {
      text += Format("static const int8_t image_table[%d][256] = {", node.node.k);
      for (size_t c = 0; c < graph.input_table.size(); ++c) {
        text += c > 0 ? ",\n{" : "\n{";
        text += Numbers(graph.input_table[c].data(), graph.input_table[c].size()) + "}";
      }
      text += "};\n";
      constants->table_bytes += 256 * int64_t{node.node.k};
    }
    text += LayerOf(graph, step);
    constants->layer_bytes += kLayerBytes;
  }
  return text;
}

CCalls CodeOf(const IntGraph& graph, const CPlan& plan) {
  CCalls calls;
  const auto use = [&](const char* kernel) {
    if (calls.kernels.find(kernel) == std::string::npos) calls.kernels += kernel;
  };
  for (const CStep& step : plan.steps) {
    const int number = KernelOf(step);
    const IntNode& node = At(graph, number);
    const Node& shape = node.node;
    const Kernel kernel = KernelOf(shape);
    use(kernel.text);
    calls.body += Format("  /* %s */\n", NameOf(graph, step).c_str());
    const auto call = [&](const std::string& arguments) {
      calls.body += Format("  %s(&layer%d, %s, %s);\n", kernel.name, number, arguments.c_str(),
                           MapOf(graph, plan, step.node).c_str());
    };
    std::vector<std::string> in;
    for (int input : step.inputs) in.push_back(MapOf(graph, plan, input));
    if (shape.kind == NodeKind::kConcat) {
      int at = 0;
      for (size_t i = 0; i < in.size(); ++i) {
        const int channels = At(graph, step.inputs[i]).node.k;
        call(Format("%s, %d, %d", in[i].c_str(), channels, at));
        at += channels;
      }
    } else if (shape.kind == NodeKind::kInput) {
      call("image, image_table");
    } else if (HasFilter(shape)) {
      const char* residual = IsDepthwise(shape) ? "" : step.conv >= 0 ? in[1].c_str() : "0";
      call(Format("%s, filter%d, bias%d%s%s", in[0].c_str(), number, number, *residual ? ", " : "",
                  residual));
    } else {
      call(shape.kind == NodeKind::kAdd ? in[0] + ", " + in[1] : in[0]);
    }
    const bool copies = shape.kind == NodeKind::kConcat || shape.kind == NodeKind::kShuffle ||
                        shape.kind == NodeKind::kSubsample;
    // Maps are within -127..127, but the image's.
    const bool clips = node.low > -127 || node.high < 127 || (copies && shape.inputs[0] == 0);
    if (copies && clips) {
      use(c_text::kClipMap);
      calls.body +=
          Format("  clip_map(&layer%d, %s);\n", number, MapOf(graph, plan, step.node).c_str());
    }
  }
  return calls;
}

}  // namespace rhnas::nn
