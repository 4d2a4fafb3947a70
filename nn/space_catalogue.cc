// Tables of networks, as published:
//   fbnet-*       Wu et al., "FBNet", CVPR 2019, in the form that Auto-NBA (config_search.py,
//                 operations.py) and HW-NAS-Bench (model_infer.py) share, on CIFAR and ImageNet
//   resnet18/20   He et al., "Deep residual learning", CVPR 2016, table 1 and section 4.2
//   resnet50      the same table, the stride of a stage at its 3x3 as torchvision has it ("v1.5")
//   mobilenet_v1  Howard et al., arXiv 1704.04861, table 1
//   mobilenet_v2  Sandler et al., CVPR 2018, table 2
//   mobilenet_v2_cifar  the same for 32x32: stem and the second and third stage at stride 1 and 2,
//   so
//                 that the last maps are 4x4; ReLU (the network that frameworks are timed on)
//   lenet5        LeCun et al., "Gradient-based learning applied to document recognition", 1998,
//   figure
//                 2, in today's form: 28x28 with padding at C1, full connections C1 to C3, max
//                 pooling, batch norm and ReLU; C5 and F6 are convolutions over 5x5 and 1x1 maps,
//                 as there
//   tiny          ours: small enough for a joint search within a minute on two cores
#include "nn/space_catalogue.h"

namespace rhnas::nn {

namespace {

constexpr BlockKind kConv = BlockKind::kConvBn, kMb = BlockKind::kMbConv,
                    kRes = BlockKind::kResidual, kSep = BlockKind::kSeparable,
                    kPool = BlockKind::kMaxPool, kOut = BlockKind::kPoolLinear;
constexpr const char* kSearched = nullptr;

// Auto-NBA's and HW-NAS-Bench's order of operations: the indices of PublishedRow count here.
constexpr BlockRow kFbnetBlocks[] = {
    {"k3_e1", kMb, 3, 1, 1}, {"k3_e1_g2", kMb, 3, 1, 2}, {"k3_e3", kMb, 3, 3, 1},
    {"k3_e6", kMb, 3, 6, 1}, {"k5_e1", kMb, 5, 1, 1},    {"k5_e1_g2", kMb, 5, 1, 2},
    {"k5_e3", kMb, 5, 3, 1}, {"k5_e6", kMb, 5, 6, 1},    {"skip", BlockKind::kSkip, 1, 1, 1},
};

constexpr BlockRow kTinyBlocks[] = {
    {"k3_e1_g2", kMb, 3, 1, 2}, {"k3_e3", kMb, 3, 3, 1}, {"k3_e6", kMb, 3, 6, 1},
    {"k5_e1", kMb, 5, 1, 1},    {"k5_e3", kMb, 5, 3, 1}, {"skip", BlockKind::kSkip, 1, 1, 1},
};

// role, kind, kernel, expansion, channels, repeats, stride, head
constexpr StageRow kTiny[] = {
    {"stem", kConv, 3, 1, 16, 1, 2, false},  {kSearched, kMb, 0, 0, 16, 1, 1, false},
    {kSearched, kMb, 0, 0, 32, 2, 2, false}, {kSearched, kMb, 0, 0, 64, 3, 2, false},
    {"head", kConv, 1, 1, 128, 1, 1, true},  {"classifier", kOut, 1, 1, 0, 1, 1, false},
};

constexpr StageRow kFbnetCifar[] = {
    {"stem", kConv, 3, 1, 16, 1, 1, false},   {kSearched, kMb, 0, 0, 16, 1, 1, false},
    {kSearched, kMb, 0, 0, 24, 4, 1, false},  {kSearched, kMb, 0, 0, 32, 4, 2, false},
    {kSearched, kMb, 0, 0, 64, 4, 2, false},  {kSearched, kMb, 0, 0, 112, 4, 1, false},
    {kSearched, kMb, 0, 0, 184, 4, 2, false}, {kSearched, kMb, 0, 0, 352, 1, 1, false},
    {"head", kConv, 1, 1, 1504, 1, 1, true},  {"classifier", kOut, 1, 1, 0, 1, 1, false},
};

constexpr StageRow kFbnetImagenet[] = {
    {"stem", kConv, 3, 1, 16, 1, 2, false},   {kSearched, kMb, 0, 0, 16, 1, 1, false},
    {kSearched, kMb, 0, 0, 24, 4, 2, false},  {kSearched, kMb, 0, 0, 32, 4, 2, false},
    {kSearched, kMb, 0, 0, 64, 4, 2, false},  {kSearched, kMb, 0, 0, 112, 4, 1, false},
    {kSearched, kMb, 0, 0, 184, 4, 2, false}, {kSearched, kMb, 0, 0, 352, 1, 1, false},
    {"head", kConv, 1, 1, 1984, 1, 1, true},  {"classifier", kOut, 1, 1, 0, 1, 1, false},
};

constexpr StageRow kResnet18[] = {
    {"stem", kConv, 7, 1, 64, 1, 2, false},     {"pool", kPool, 3, 1, 64, 1, 2, false},
    {"block", kRes, 3, 1, 64, 2, 1, false},     {"block", kRes, 3, 1, 128, 2, 2, false},
    {"block", kRes, 3, 1, 256, 2, 2, false},    {"block", kRes, 3, 1, 512, 2, 2, false},
    {"classifier", kOut, 1, 1, 0, 1, 1, false},
};

constexpr StageRow kResnet50[] = {
    {"stem", kConv, 7, 1, 64, 1, 2, false},     {"pool", kPool, 3, 1, 64, 1, 2, false},
    {"block", kRes, 3, 4, 256, 3, 1, false},    {"block", kRes, 3, 4, 512, 4, 2, false},
    {"block", kRes, 3, 4, 1024, 6, 2, false},   {"block", kRes, 3, 4, 2048, 3, 2, false},
    {"classifier", kOut, 1, 1, 0, 1, 1, false},
};

constexpr StageRow kResnet20[] = {
    {"stem", kConv, 3, 1, 16, 1, 1, false},     {"block", kRes, 3, 1, 16, 3, 1, false},
    {"block", kRes, 3, 1, 32, 3, 2, false},     {"block", kRes, 3, 1, 64, 3, 2, false},
    {"classifier", kOut, 1, 1, 0, 1, 1, false},
};

constexpr StageRow kLenet5[] = {
    {"c1", kConv, 5, 1, 6, 1, 1, false, 2},     {"s2", kPool, 2, 1, 6, 1, 2, false, 0},
    {"c3", kConv, 5, 1, 16, 1, 1, false, 0},    {"s4", kPool, 2, 1, 16, 1, 2, false, 0},
    {"c5", kConv, 5, 1, 120, 1, 1, false, 0},   {"f6", kConv, 1, 1, 84, 1, 1, false, 0},
    {"classifier", kOut, 1, 1, 0, 1, 1, false},
};

constexpr StageRow kMobilenetV1[] = {
    {"stem", kConv, 3, 1, 32, 1, 2, false},     {"block", kSep, 3, 1, 64, 1, 1, false},
    {"block", kSep, 3, 1, 128, 2, 2, false},    {"block", kSep, 3, 1, 256, 2, 2, false},
    {"block", kSep, 3, 1, 512, 6, 2, false},    {"block", kSep, 3, 1, 1024, 2, 2, false},
    {"classifier", kOut, 1, 1, 0, 1, 1, false},
};

constexpr StageRow kMobilenetV2[] = {
    {"stem", kConv, 3, 1, 32, 1, 2, false},  {"block", kMb, 3, 1, 16, 1, 1, false},
    {"block", kMb, 3, 6, 24, 2, 2, false},   {"block", kMb, 3, 6, 32, 3, 2, false},
    {"block", kMb, 3, 6, 64, 4, 2, false},   {"block", kMb, 3, 6, 96, 3, 1, false},
    {"block", kMb, 3, 6, 160, 3, 2, false},  {"block", kMb, 3, 6, 320, 1, 1, false},
    {"head", kConv, 1, 1, 1280, 1, 1, true}, {"classifier", kOut, 1, 1, 0, 1, 1, false},
};

constexpr StageRow kMobilenetV2Cifar[] = {
    {"stem", kConv, 3, 1, 32, 1, 1, false},  {"block", kMb, 3, 1, 16, 1, 1, false},
    {"block", kMb, 3, 6, 24, 2, 1, false},   {"block", kMb, 3, 6, 32, 3, 2, false},
    {"block", kMb, 3, 6, 64, 4, 2, false},   {"block", kMb, 3, 6, 96, 3, 1, false},
    {"block", kMb, 3, 6, 160, 3, 2, false},  {"block", kMb, 3, 6, 320, 1, 1, false},
    {"head", kConv, 1, 1, 1280, 1, 1, true}, {"classifier", kOut, 1, 1, 0, 1, 1, false},
};

template <typename T, int N>
constexpr int Count(const T (&)[N]) {
  return N;
}

constexpr engine::Activation kRelu = engine::Activation::kRelu;
constexpr engine::Activation kRelu6 = engine::Activation::kRelu6;
constexpr Shortcut kProjection = Shortcut::kProjection;

// name, resolution, channels, classes, activation, shortcut, candidates, stages
constexpr SpaceTable kSpaces[] = {
    {"tiny", 32, 3, 10, kRelu, kProjection, kTinyBlocks, Count(kTinyBlocks), kTiny, Count(kTiny)},
    {"fbnet-cifar", 32, 3, 10, kRelu, kProjection, kFbnetBlocks, Count(kFbnetBlocks), kFbnetCifar,
     Count(kFbnetCifar)},
    {"fbnet-imagenet", 224, 3, 1000, kRelu, kProjection, kFbnetBlocks, Count(kFbnetBlocks),
     kFbnetImagenet, Count(kFbnetImagenet)},
    {"resnet18", 224, 3, 1000, kRelu, kProjection, nullptr, 0, kResnet18, Count(kResnet18)},
    {"resnet50", 224, 3, 1000, kRelu, kProjection, nullptr, 0, kResnet50, Count(kResnet50)},
    {"mobilenet_v1", 224, 3, 1000, kRelu, kProjection, nullptr, 0, kMobilenetV1,
     Count(kMobilenetV1)},
    {"mobilenet_v2", 224, 3, 1000, kRelu6, kProjection, nullptr, 0, kMobilenetV2,
     Count(kMobilenetV2)},
    {"mobilenet_v2_cifar", 32, 3, 10, kRelu, kProjection, nullptr, 0, kMobilenetV2Cifar,
     Count(kMobilenetV2Cifar)},
    {"resnet20", 32, 3, 10, kRelu, Shortcut::kPadded, nullptr, 0, kResnet20, Count(kResnet20)},
    {"lenet5", 28, 1, 10, kRelu, kProjection, nullptr, 0, kLenet5, Count(kLenet5), 28},
};

// Derived from the stage definitions in facebookresearch/mobile-vision (fbnet_a, fbnet_b, fbnet_c).
constexpr PublishedRow kPublished[] = {
    {"fbnet-a", 1504, {8, 2, 0, 8, 8, 7, 2, 4, 2, 7, 6, 5, 7, 3, 5, 6, 1, 7, 7, 6, 7, 7}},
    {"fbnet-b", 1984, {0, 3, 4, 0, 0, 7, 6, 3, 7, 7, 7, 8, 6, 7, 0, 4, 6, 7, 4, 7, 7, 3}},
    {"fbnet-c", 1984, {0, 3, 8, 0, 0, 7, 6, 7, 3, 7, 6, 7, 7, 7, 7, 7, 6, 7, 7, 7, 7, 3}},
};

}  // namespace

const SpaceTable* SpaceTables(int* count) {
  *count = Count(kSpaces);
  return kSpaces;
}

const PublishedRow* PublishedNetworks(int* count) {
  *count = Count(kPublished);
  return kPublished;
}

}  // namespace rhnas::nn
