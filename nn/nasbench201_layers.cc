// The layers of NAS-Bench-201's blocks, and what the benchmark counts. See nasbench201.h.
#include "engine/check.h"
#include "nn/nasbench201.h"

namespace rhnas::nn {

namespace {

using engine::Format;

constexpr int kNodes = 4;
// Edges of node i begin at i (i - 1) / 2.
int EdgeOf(int from, int to) { return to * (to - 1) / 2 + from; }

CellOperation OperationOf(const Cell& cell, int from, int to) {
  return static_cast<CellOperation>(cell[static_cast<size_t>(EdgeOf(from, to))]);
}
bool IsConv(CellOperation operation) {
  return operation == CellOperation::kConv1x1 || operation == CellOperation::kConv3x3;
}

LayerShape Make(const std::string& name, LayerKind kind, int h, int w, int c, int k) {
  LayerShape layer;
  layer.name = name;
  layer.kind = kind;
  layer.h = h;
  layer.w = w;
  layer.c = c;
  layer.k = k;
  layer.bias = false;
  return layer;
}

LayerShape Window(LayerShape layer, int size, int stride, int pad) {
  layer.r = layer.s = size;
  layer.stride = stride;
  layer.pad = pad;
  return layer;
}

// One cell. A value is what a node holds; a node whose only input is a skip holds its source's. It
// is needed as it is, or through ReLU, or both.
class CellList {
 public:
  CellList(const Slot& slot, const Block& block, const std::string& prefix)
      : slot_(slot), block_(block), prefix_(prefix) {}

  std::vector<LayerShape> Build() {
    MarkEdges();
    CountReaders();
    if (relu_readers_[0] > 0 && !block_.relu_in) Copy(0);
    for (int node = 1; node < kNodes; ++node) MakeNode(node);
    return std::move(layers_);
  }

 private:
  static constexpr int kNothing = -1;
  // An operand of an addition: a value as it is, or what the last layer has just put out.
  struct Operand {
    int value = kNothing;
    bool last = false;
  };

  void MarkEdges() {
    live_ = LiveEdges(block_.cell);
    for (int to = 1; to < kNodes; ++to) {
      for (int from = 0; from < to; ++from) {
        bool& live = live_[static_cast<size_t>(EdgeOf(from, to))];
        if (block_.dead_edges) live = OperationOf(block_.cell, from, to) != CellOperation::kNone;
        if (live) ++inputs_[to];
      }
    }
  }
  bool Live(int from, int to) const { return live_[static_cast<size_t>(EdgeOf(from, to))]; }

  void CountReaders() {
    for (int to = 1; to < kNodes; ++to) {
      value_[to] = to;
      for (int from = 0; from < to; ++from) {
        if (!Live(from, to)) continue;
        const CellOperation operation = OperationOf(block_.cell, from, to);
        if (IsConv(operation)) {
          ++relu_readers_[value_[from]];
        } else if (operation == CellOperation::kSkip && inputs_[to] == 1) {
          value_[to] = value_[from];
        } else {
          ++raw_readers_[value_[from]];
        }
      }
    }
    if (inputs_[kNodes - 1] > 0) {
      ++(block_.relu_out ? relu_readers_ : raw_readers_)[value_[kNodes - 1]];
    }
    RHNAS_CHECK(!block_.relu_in || raw_readers_[0] == 0, "%s: an edge reads what ReLU has lost",
                prefix_.c_str());
  }

  void Push(LayerShape layer) {
    layers_.push_back(std::move(layer));
    last_value_ = kNothing;
  }
  LayerShape Shape(const std::string& name, LayerKind kind) const {
    return Make(prefix_ + "/" + name, kind, slot_.h, slot_.w, slot_.cout, slot_.cout);
  }

  // The value through ReLU beside the value as it is.
  void Copy(int value) {
    LayerShape layer = Shape(Format("relu%d", value), LayerKind::kMaxPool);
    layer.relu = true;
    layer.chained = ReadsLast(value);
    Push(layer);
    last_value_ = value;
    last_relu_ = true;
  }

  // Whether a reader of the value as it is, the only one, comes right after the layer that makes
  // it.
  bool ReadsLast(int value) const {
    return value >= 0 && value == last_value_ && !last_relu_ && raw_readers_[value] == 1 &&
           relu_readers_[value] == 0;
  }

  Operand Run(CellOperation operation, int from, int to) {
    const int value = value_[from];
    if (operation == CellOperation::kSkip) return {value, false};
    const bool conv = IsConv(operation);
    LayerShape layer =
        Shape(Format("%s_%d-%d", CellOperationName(static_cast<int>(operation)), from, to),
              conv ? LayerKind::kConv : LayerKind::kAvgPool);
    const int size = operation == CellOperation::kConv1x1 ? 1 : 3;
    layer = Window(layer, size, 1, size / 2);
    layer.bias = conv;
    layer.chained =
        conv ? value == last_value_ && last_relu_ && relu_readers_[value] == 1 : ReadsLast(value);
    Push(layer);
    return {kNothing, true};
  }

  void MakeNode(int node) {
    Operand sum;
    int found = 0;
    // Skips first and convolutions last: then an addition stands after a convolution where it can.
    for (const int turn : {0, 1, 2}) {
      for (int from = 0; from < node; ++from) {
        const CellOperation operation = OperationOf(block_.cell, from, node);
        const int its_turn = IsConv(operation) ? 2 : operation == CellOperation::kAvgPool ? 1 : 0;
        if (!Live(from, node) || its_turn != turn) continue;
        const Operand operand = Run(operation, from, node);
        if (found++ == 0) {
          sum = operand;
          continue;
        }
        LayerShape add =
            Shape(Format(found == 2 ? "add%d" : "add%d-%d", node, found - 1), LayerKind::kAdd);
        add.chained = operand.last || ReadsLast(operand.value) ||
                      (operand.value != kNothing && (sum.last || ReadsLast(sum.value)));
        Push(add);
        sum = {kNothing, true};
      }
    }
    if (found == 0 || value_[node] != node) return;
    last_value_ = node;
    last_relu_ = raw_readers_[node] == 0 && relu_readers_[node] > 0;
    layers_.back().relu = last_relu_;
    if (raw_readers_[node] > 0 && relu_readers_[node] > 0) Copy(node);
  }

  const Slot& slot_;
  const Block& block_;
  const std::string& prefix_;
  std::vector<LayerShape> layers_;
  std::array<bool, kCellEdges> live_{};
  int inputs_[kNodes] = {}, value_[kNodes] = {};
  int raw_readers_[kNodes] = {}, relu_readers_[kNodes] = {};
  // What the last layer has made, and in which form.
  int last_value_ = kNothing;
  bool last_relu_ = false;
};

std::vector<LayerShape> ReductionLayers(const Slot& slot, const Block& block,
                                        const std::string& prefix) {
  const int h = slot.h, w = slot.w, oh = h / 2, ow = w / 2;
  std::vector<LayerShape> layers;
  const auto add = [&](LayerShape layer, bool chained) {
    layer.chained = chained && !layers.empty();
    layers.push_back(std::move(layer));
  };
  // Both the convolution and the shortcut read the input, which so is needed in both forms.
  LayerShape copy = Make(prefix + "/relu", LayerKind::kMaxPool, h, w, slot.cin, slot.cin);
  copy.relu = true;
  add(copy, false);
  for (const int i : {1, 2}) {
    LayerShape conv =
        Make(prefix + (i == 1 ? "/conv1" : "/conv2"), LayerKind::kConv, i == 1 ? h : oh,
             i == 1 ? w : ow, i == 1 ? slot.cin : slot.cout, slot.cout);
    conv.bias = true;
    conv.relu = i == 1;
    add(Window(conv, 3, i == 1 ? 2 : 1, 1), true);
  }
  add(Window(Make(prefix + "/pool", LayerKind::kAvgPool, h, w, slot.cin, slot.cin), 2, 2, 0),
      false);
  add(Make(prefix + "/shortcut", LayerKind::kConv, oh, ow, slot.cin, slot.cout), true);
  LayerShape sum = Make(prefix + "/add", LayerKind::kAdd, oh, ow, slot.cout, slot.cout);
  sum.relu = block.relu_out;
  add(sum, true);
  return layers;
}

std::vector<LayerShape> HeadLayers(const Slot& slot, const std::string& prefix) {
  const int c = slot.cin;
  std::vector<LayerShape> layers;
  LayerShape norm = Make(prefix + "/norm", LayerKind::kConv, slot.h, slot.w, c, c);
  norm.groups = c;
  norm.bias = norm.relu = true;
  LayerShape pool =
      Window(Make(prefix + "/pool", LayerKind::kGlobalAvgPool, slot.h, slot.w, c, c), slot.h, 1, 0);
  LayerShape linear = Make(prefix + "/linear", LayerKind::kDense, 1, 1, c, slot.cout);
  linear.bias = true;
  pool.chained = linear.chained = true;
  return {norm, pool, linear};
}

int64_t Square(int64_t x) { return x * x; }

}  // namespace

std::array<bool, kCellEdges> LiveEdges(const Cell& cell) {
  bool from_input[kNodes] = {true, false, false, false};
  bool to_output[kNodes] = {false, false, false, true};
  for (int to = 1; to < kNodes; ++to) {
    for (int from = 0; from < to; ++from) {
      if (OperationOf(cell, from, to) != CellOperation::kNone && from_input[from]) {
        from_input[to] = true;
      }
    }
  }
  for (int from = kNodes - 2; from >= 0; --from) {
    for (int to = from + 1; to < kNodes; ++to) {
      if (OperationOf(cell, from, to) != CellOperation::kNone && to_output[to]) {
        to_output[from] = true;
      }
    }
  }
  std::array<bool, kCellEdges> live{};
  for (int to = 1; to < kNodes; ++to) {
    for (int from = 0; from < to; ++from) {
      live[static_cast<size_t>(EdgeOf(from, to))] =
          OperationOf(cell, from, to) != CellOperation::kNone && from_input[from] && to_output[to];
    }
  }
  return live;
}

std::vector<LayerShape> CellBlockLayers(const Slot& slot, const Block& block,
                                        const std::string& prefix) {
  if (block.kind == BlockKind::kNasCell) return CellList(slot, block, prefix).Build();
  if (block.kind == BlockKind::kNasReduction) return ReductionLayers(slot, block, prefix);
  return HeadLayers(slot, prefix);
}

int64_t CellBlockParams(const Slot& slot, const Block& block) {
  const int64_t cin = slot.cin, cout = slot.cout;
  if (block.kind == BlockKind::kNasReduction) {
    return 9 * cin * cout + 2 * cout + 9 * cout * cout + 2 * cout + cin * cout;
  }
  if (block.kind == BlockKind::kNasHead) return 2 * cin + cin * cout + cout;
  int64_t total = 0;
  for (const int8_t operation : block.cell) {
    if (!IsConv(static_cast<CellOperation>(operation))) continue;
    const int64_t taps = static_cast<CellOperation>(operation) == CellOperation::kConv1x1 ? 1 : 9;
    total += taps * cin * cin + 2 * cin;
  }
  return total;
}

int64_t CellFlops(const Cell& cell, const CellData& data) {
  const int64_t size = data.resolution;
  int64_t total = 27 * 16 * Square(size) + 2 * 16 * Square(size);  // stem and its batch norm
  for (const int stage : {0, 1, 2}) {
    const int64_t c = int64_t{16} << stage, pixels = Square(size >> stage);
    for (const int8_t operation : cell) {
      switch (static_cast<CellOperation>(operation)) {
        case CellOperation::kNone:
        case CellOperation::kSkip:
          break;
        case CellOperation::kConv1x1:
          total += 5 * pixels * c * (c + 3);
          break;
        case CellOperation::kConv3x3:
          total += 5 * pixels * c * (9 * c + 3);
          break;
        case CellOperation::kAvgPool:
          total += 5 * pixels * c * 9;
          break;
      }
    }
    if (stage == 2) continue;
    const int64_t wide = 2 * c, fewer = pixels / 4;
    total += c * pixels + fewer * wide * (9 * c + 2);  // ReLU, convolution, batch norm
    total += fewer * wide * (1 + 9 * wide + 2);        // again
    total += 4 * fewer * c + fewer * c * wide;         // shortcut
  }
  const int64_t last = size / 4;
  return total + 3 * 64 * Square(last) + 64 * Square(last + 1) + int64_t{64} * data.classes;
}

int64_t CellParams(const Cell& cell, const CellData& data) {
  const Network network = MakeCellNetwork(cell, data);
  return Params(network.space, network.genotype);
}

}  // namespace rhnas::nn
