#include "search/layers.h"

namespace rhnas::search {

namespace {

hw::LayerKind ToHardwareKind(nn::LayerKind kind) {
  switch (kind) {
    case nn::LayerKind::kConv:
      return hw::LayerKind::kConv;
    case nn::LayerKind::kDense:
      return hw::LayerKind::kDense;
    case nn::LayerKind::kMaxPool:
      return hw::LayerKind::kMaxPool;
    case nn::LayerKind::kAvgPool:
      return hw::LayerKind::kAvgPool;
    case nn::LayerKind::kGlobalAvgPool:
      return hw::LayerKind::kGlobalAvgPool;
    case nn::LayerKind::kAdd:
      return hw::LayerKind::kAdd;
    case nn::LayerKind::kConcat:
      return hw::LayerKind::kConcat;
    case nn::LayerKind::kShuffle:
      return hw::LayerKind::kShuffle;
  }
  return hw::LayerKind::kConv;
}

}  // namespace

hw::Layer ToHardwareLayer(const nn::LayerShape& shape) {
  hw::Layer layer;
  layer.name = shape.name;
  layer.kind = ToHardwareKind(shape.kind);
  layer.h = shape.h;
  layer.w = shape.w;
  layer.c = shape.c;
  layer.k = shape.k;
  layer.r = shape.r;
  layer.s = shape.s;
  layer.stride = shape.stride;
  layer.pad = shape.pad;
  layer.groups = shape.groups;
  layer.bias = shape.bias;
  layer.relu = shape.relu;
  layer.chained = shape.chained;
  return layer;
}

std::vector<hw::Layer> ToHardwareLayers(const std::vector<nn::LayerShape>& shapes) {
  std::vector<hw::Layer> layers;
  layers.reserve(shapes.size());
  for (const nn::LayerShape& shape : shapes) layers.push_back(ToHardwareLayer(shape));
  return layers;
}

const char* LayerKindName(const hw::Layer& layer) {
  switch (layer.kind) {
    case hw::LayerKind::kConv:
      return layer.depthwise() ? "depthwise" : "conv";
    case hw::LayerKind::kDense:
      return "dense";
    case hw::LayerKind::kMaxPool:
      return "max-pool";
    case hw::LayerKind::kAvgPool:
      return "avg-pool";
    case hw::LayerKind::kGlobalAvgPool:
      return "global-pool";
    case hw::LayerKind::kAdd:
      return "add";
    case hw::LayerKind::kConcat:
      return "concat";
    case hw::LayerKind::kShuffle:
      return "shuffle";
  }
  return "?";
}

}  // namespace rhnas::search
