// The true shapes of every layer of a block and of a network: what the accelerator has to run.
// Every channel count is the block's own, a strided block's expansion runs at the input
// resolution, a skip that changes shape is the convolution it is, and the stem, the head, the
// classifier, additions, shuffles and pooling all count.
#include <utility>

#include "engine/check.h"
#include "nn/nasbench201.h"
#include "nn/space.h"

namespace rhnas::nn {

namespace {

// Builds the list, each layer reading what the one before wrote, and alone in that unless a Rewind
// comes between.
class LayerList {
 public:
  LayerList(std::string prefix, int h, int w, int c)
      : prefix_(std::move(prefix)), h_(h), w_(w), c_(c) {}

  void Conv(const char* role, int k, int kernel, int stride, int pad, int groups, bool relu) {
    LayerShape layer = At(role, LayerKind::kConv, k);
    layer.r = layer.s = kernel;
    layer.stride = stride;
    layer.pad = pad;
    layer.groups = groups;
    layer.relu = relu;
    Push(layer);
  }
  void Keeping(const char* role, LayerKind kind, int groups, bool relu) {
    LayerShape layer = At(role, kind, c_);
    layer.groups = groups;
    layer.bias = false;
    layer.relu = relu;
    Push(layer);
  }
  void Pool(const char* role, LayerKind kind, int kernel, int stride, int pad) {
    LayerShape layer = At(role, kind, c_);
    layer.r = kernel;
    layer.s = kernel;
    layer.stride = stride;
    layer.pad = pad;
    layer.bias = false;
    Push(layer);
  }
  void GlobalPool(const char* role) {
    LayerShape layer = At(role, LayerKind::kGlobalAvgPool, c_);
    layer.r = h_;
    layer.s = w_;
    layer.bias = false;
    Push(layer);
  }
  void Dense(const char* role, int k) { Push(At(role, LayerKind::kDense, k)); }
  // The next layer reads an input of this size again (a second branch).
  void Rewind(int h, int w, int c) {
    h_ = h;
    w_ = w;
    c_ = c;
    chained_ = false;
  }
  std::vector<LayerShape> Take() { return std::move(layers_); }

 private:
  LayerShape At(const char* role, LayerKind kind, int k) const {
    LayerShape layer;
    layer.name = *role == '\0' ? prefix_ : prefix_ + "/" + role;
    layer.kind = kind;
    layer.h = h_;
    layer.w = w_;
    layer.c = c_;
    layer.k = k;
    layer.chained = chained_;
    return layer;
  }
  void Push(const LayerShape& layer) {
    h_ = layer.oh();
    w_ = layer.ow();
    c_ = layer.k;
    chained_ = true;
    layers_.push_back(layer);
  }

  std::string prefix_;
  int h_, w_, c_;
  bool chained_ = false;  // a block's first layer: see AppendLayers
  std::vector<LayerShape> layers_;
};

// ceil((kernel - stride) / 2), never below 0: FBNet's rule; equals kernel / 2 at stride 1.
int PadOf(const Block& block, int kernel, int stride) {
  if (block.pad >= 0) return block.pad;
  return kernel > stride ? (kernel - stride + 1) / 2 : 0;
}

void MbConv(const Slot& slot, const Block& block, LayerList* list) {
  const int mid = slot.cin * block.expansion;
  if (block.expansion != 1 || block.always_pointwise) {
    list->Conv("expand", mid, 1, 1, 0, block.groups, true);
    if (block.groups > 1) list->Keeping("shuffle", LayerKind::kShuffle, block.groups, false);
  }
  list->Conv("depthwise", mid, block.kernel, slot.stride, PadOf(block, block.kernel, slot.stride),
             mid, true);
  list->Conv("project", slot.cout, 1, 1, 0, block.groups, false);
  if (slot.same_shape()) list->Keeping("add", LayerKind::kAdd, 1, false);
}

void Residual(const Slot& slot, const Block& block, LayerList* list) {
  const int oh = (slot.h + slot.stride - 1) / slot.stride;
  const int ow = (slot.w + slot.stride - 1) / slot.stride;
  const int pad = PadOf(block, block.kernel, slot.stride);
  if (block.expansion > 1) {
    const int inside = slot.cout / block.expansion;
    list->Conv("conv1", inside, 1, 1, 0, 1, true);
    list->Conv("conv2", inside, block.kernel, slot.stride, pad, 1, true);
    list->Conv("conv3", slot.cout, 1, 1, 0, 1, false);
  } else {
    list->Conv("conv1", slot.cout, block.kernel, slot.stride, pad, 1, true);
    list->Conv("conv2", slot.cout, block.kernel, 1, PadOf(block, block.kernel, 1), 1, false);
  }
  if (!slot.same_shape()) {
    if (block.shortcut == Shortcut::kProjection) {
      list->Rewind(slot.h, slot.w, slot.cin);
      list->Conv("shortcut", slot.cout, 1, slot.stride, 0, 1, false);
    } else if (slot.stride > 1) {
      // Subsampling reads and writes memory like a 1x1 pooling; the channels of zeros are not read.
      list->Rewind(slot.h, slot.w, slot.cin);
      list->Pool("shortcut", LayerKind::kMaxPool, 1, slot.stride, 0);
      list->Rewind(oh, ow, slot.cout);
    }
  }
  // An addition's inputs are alike: either may be the layer before.
  list->Keeping("add", LayerKind::kAdd, 1, true);
}

// They say themselves what is chained.
bool IsNasBlock(const Block& block) {
  return block.kind == BlockKind::kNasCell || block.kind == BlockKind::kNasReduction ||
         block.kind == BlockKind::kNasHead;
}

}  // namespace

std::vector<LayerShape> LayersOf(const Slot& slot, const Block& block, const std::string& prefix) {
  LayerList list(prefix, slot.h, slot.w, slot.cin);
  const int pad = PadOf(block, block.kernel, slot.stride);
  const bool relu = block.activation != engine::Activation::kNone;
  switch (block.kind) {
    case BlockKind::kConvBn:
      list.Conv("", slot.cout, block.kernel, slot.stride, pad, block.groups, relu);
      break;
    case BlockKind::kMbConv:
      MbConv(slot, block, &list);
      break;
    case BlockKind::kSkip:
      if (!slot.same_shape()) list.Conv("skip", slot.cout, 1, slot.stride, 0, 1, relu);
      break;
    case BlockKind::kResidual:
      Residual(slot, block, &list);
      break;
    case BlockKind::kSeparable:
      list.Conv("depthwise", slot.cin, block.kernel, slot.stride, pad, slot.cin, relu);
      list.Conv("pointwise", slot.cout, 1, 1, 0, 1, relu);
      break;
    case BlockKind::kMaxPool:
      list.Pool("", LayerKind::kMaxPool, block.kernel, slot.stride, pad);
      break;
    case BlockKind::kPoolLinear:
      list.GlobalPool("pool");
      list.Dense("linear", slot.cout);
      break;
    case BlockKind::kNasCell:
    case BlockKind::kNasReduction:
    case BlockKind::kNasHead:
      return CellBlockLayers(slot, block, prefix);
  }
  return list.Take();
}

std::string SlotPrefix(const Space& space, int slot) {
  const Slot& here = space.slots[static_cast<size_t>(slot)];
  int number = 0;
  if (!here.searchable()) {
    const std::string& name = here.candidates[0].name;
    for (int i = 0; i < slot; ++i) {
      const Slot& other = space.slots[static_cast<size_t>(i)];
      if (!other.searchable() && other.candidates[0].name == name) ++number;
    }
    return number == 0 ? name : engine::Format("%s-%d", name.c_str(), number + 1);
  }
  for (int i = 0; i < slot; ++i) number += space.slots[static_cast<size_t>(i)].searchable() ? 1 : 0;
  return engine::Format("slot%02d", number);
}

std::vector<const Block*> BlocksOf(const Space& space, const Genotype& genotype) {
  std::vector<const Block*> blocks;
  size_t next = 0;
  for (const Slot& slot : space.slots) {
    size_t index = 0;
    if (slot.searchable()) {
      RHNAS_CHECK(next < genotype.choice.size(), "%s: a genotype of %d choices is too short",
                  space.name.c_str(), static_cast<int>(genotype.choice.size()));
      const int choice = genotype.choice[next++];
      RHNAS_CHECK(choice >= 0 && choice < static_cast<int>(slot.candidates.size()),
                  "%s: choice %d in searchable slot %d, which has %d candidates",
                  space.name.c_str(), choice, static_cast<int>(next) - 1,
                  static_cast<int>(slot.candidates.size()));
      index = static_cast<size_t>(choice);
    }
    blocks.push_back(&slot.candidates[index]);
  }
  RHNAS_CHECK(next == genotype.choice.size(), "%s: %d choices for %d searchable slots",
              space.name.c_str(), static_cast<int>(genotype.choice.size()), static_cast<int>(next));
  return blocks;
}

void AppendLayers(const Space& space, int slot, const Block& block,
                  std::vector<LayerShape>* layers) {
  const Slot& here = space.slots[static_cast<size_t>(slot)];
  std::vector<LayerShape> own = LayersOf(here, block, SlotPrefix(space, slot));
  if (own.empty()) return;
  const bool read_twice = (block.kind == BlockKind::kMbConv && here.same_shape()) ||
                          block.kind == BlockKind::kResidual || IsNasBlock(block);
  own[0].chained = !layers->empty() && !read_twice && !here.searchable() &&
                   !space.slots[static_cast<size_t>(slot - 1)].searchable();
  for (LayerShape& layer : own) layers->push_back(std::move(layer));
}

std::vector<LayerShape> LayersOf(const Space& space, const Genotype& genotype) {
  std::vector<LayerShape> layers;
  const std::vector<const Block*> blocks = BlocksOf(space, genotype);
  for (size_t i = 0; i < blocks.size(); ++i) {
    AppendLayers(space, static_cast<int>(i), *blocks[i], &layers);
  }
  return layers;
}

int64_t Macs(const Space& space, const Genotype& genotype) {
  return TotalMacs(LayersOf(space, genotype));
}

int64_t Params(const Space& space, const Genotype& genotype) {
  int64_t total = 0;
  const std::vector<const Block*> blocks = BlocksOf(space, genotype);
  for (size_t i = 0; i < blocks.size(); ++i) {
    if (IsNasBlock(*blocks[i])) {
      total += CellBlockParams(space.slots[i], *blocks[i]);
      continue;
    }
    for (const LayerShape& layer : LayersOf(space.slots[i], *blocks[i], "")) {
      total += layer.params();
    }
  }
  return total;
}

}  // namespace rhnas::nn
