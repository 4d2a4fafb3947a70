// Networks and search spaces as data.
//
// A Space is a list of slots; each slot has one or more candidate blocks. A fixed network is a
// space with one candidate in each slot. A Genotype picks one candidate per slot and so names one
// network. Blocks are plain records; nn/blocks.h builds trainable modules from them and LayersOf
// their shapes. The tables themselves are in nn/space_catalogue.cc.
//
// Text form of a space and of a network, readable and stable:
//
//   fbnet-cifar                        the space as published
//   fbnet-cifar@w0.5                   every searched channel count and the head times 0.5
//   fbnet-cifar@w0.5,nopw,h1504,28x28x1,n47
//                                      options in this order, each only where it differs: width;
//                                      no leading 1x1 at expansion 1; channels of the head; input
//                                      height x width x channels; number of classes
//   fbnet-cifar@w0.5:k3_e6,skip,...    a network of it: one candidate for each searchable slot
//   resnet18   resnet20@28x28x1        a fixed network
//   fbnet-a    fbnet-a@cifar,w0.5      a published network of the FBNet spaces
//   nasbench201@cifar100:|skip_connect~0|+|..   a network of NAS-Bench-201 (nn/nasbench201.h)
//
// What ToText writes ParseNetwork reads back to an equal space and genotype.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/ops.h"
#include "engine/status.h"
#include "nn/layer_shape.h"

namespace rhnas::nn {

enum class BlockKind {
  kConvBn,      // r x r convolution + batch norm + activation (stem, head convolution)
  kMbConv,      // [1x1 g] - shuffle - r x r depthwise - 1x1 g, residual where shapes allow
  kSkip,        // identity, or 1x1 stride s + batch norm + activation where shapes differ
  kResidual,    // ResNet block: two r x r; with an expansion 1x1, r x r, 1x1, cout / expansion
                // channels inside and the stride at the r x r; shortcut as `shortcut` says
  kSeparable,   // MobileNetV1: r x r depthwise + 1x1, batch norm and activation after each
  kMaxPool,     // r x r
  kPoolLinear,  // global average pool + fully connected (classifier)
  kNasCell,
  kNasReduction,
  kNasHead,  // NAS-Bench-201's (nn/nasbench201.h)
};

enum class Shortcut {
  kProjection,
  kPadded
};  // ResNet option B (1x1) and A (subsample, zero channels)

struct Block {
  std::string name;  // candidate name: "k3_e6", "skip"; or role: "stem"
  BlockKind kind = BlockKind::kConvBn;
  int kernel = 3, expansion = 1, groups = 1, pad = -1;  // pad -1: ceil((kernel - stride) / 2)
  bool always_pointwise = true;  // kMbConv: the leading 1x1 is there at expansion 1 as well
  engine::Activation activation = engine::Activation::kRelu;
  Shortcut shortcut = Shortcut::kProjection;
  // kNasCell: an operation on each edge; whether its input has passed ReLU, its output shall;
  // whether edges that the output does not see run.
  std::array<int8_t, 6> cell{};
  bool relu_in = false, relu_out = false, dead_edges = false;
};

struct Slot {
  int cin = 0, cout = 0, h = 0, w = 0, stride = 1;  // h, w: input
  std::vector<Block> candidates;
  bool searchable() const { return candidates.size() > 1; }
  // Skip and residual connections are an identity here.
  bool same_shape() const { return stride == 1 && cin == cout; }
};

struct Space {
  std::string name;  // text form without a network: "fbnet-cifar", "fbnet-cifar@w0.5,nopw"
  int h = 32, w = 32, c = 3, classes = 10;
  std::vector<Slot> slots;

  // Indices of the slots with a choice, in order.
  std::vector<int> searchable() const;
  // Number of networks, as a double (9^22 = 9.85e20 does not fit an integer).
  double size() const;
};

// For each searchable slot the index of its candidate.
struct Genotype {
  std::vector<int> choice;
  bool operator==(const Genotype& other) const { return choice == other.choice; }
};

struct SpaceOptions {
  // Multiplies the channel counts of the searched stages and of the head, rounded to a multiple of
  // 8 as in MobileNetV2; the stem keeps its own. Searched spaces only.
  // In steps of 0.001, from 0.1 to 4.
  double width = 1.0;
  bool always_pw = true;  // dialect of the expansion-1 block; searched spaces only
  int head = 0;           // channels of the head convolution, before `width`; 0: the space's own
  int classes = 0;        // 0: the space's own
  int resolution = 0;     // input height and width; 0: the space's own
  int channels = 0;       // input channels; 0: the space's own (3)
};

// tiny, fbnet-cifar, fbnet-imagenet; resnet18, resnet50, mobilenet_v1, mobilenet_v2,
// mobilenet_v2_cifar, resnet20 as spaces of one network; each with options after '@', which go
// before `options`. Unknown: an error that lists the names and the nearest.
engine::Result<Space> FindSpace(const std::string& name, const SpaceOptions& options = {});
std::vector<std::string> SpaceNames();

// A space and one network of it.
struct Network {
  Space space;
  Genotype genotype;
  std::string name;  // what the user wrote, or the genotype's text
};

// "fbnet-cifar:k3_e6,skip,..." (text form of a genotype), a fixed network's name (resnet18), or
// fbnet-a/-b/-c with @cifar or @imagenet (default @imagenet, as published: head of 1504 channels
// for A, 1984 for B and C; on CIFAR 1504 for all). Errors name the slot and list its candidates.
engine::Result<Network> ParseNetwork(const std::string& text, const SpaceOptions& options = {});
std::string ToText(const Space& space, const Genotype& genotype);
std::vector<std::string> NetworkNames();

// Shapes of one block in a slot; of a whole network, in execution order. Layers are named after
// their slot: "slot03/expand" with the number counted over the searchable slots from 0, or after
// the role of a slot without a choice: "stem", "block02/conv1".
std::vector<LayerShape> LayersOf(const Slot& slot, const Block& block, const std::string& prefix);
std::vector<LayerShape> LayersOf(const Space& space, const Genotype& genotype);
// A slot's layers after those of the slots before it. Its first layer is chained to the last only
// where neither slot is searched: then what candidates cost does not depend on their neighbours.
void AppendLayers(const Space& space, int slot, const Block& block,
                  std::vector<LayerShape>* layers);
std::string SlotPrefix(const Space& space, int slot);
// The candidate that `genotype` picks in each slot. REQUIRES: one valid choice per searchable slot.
std::vector<const Block*> BlocksOf(const Space& space, const Genotype& genotype);
int64_t Macs(const Space& space, const Genotype& genotype);
int64_t Params(const Space& space, const Genotype& genotype);

}  // namespace rhnas::nn
