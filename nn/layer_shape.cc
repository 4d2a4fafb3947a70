#include "nn/layer_shape.h"

namespace rhnas::nn {

int LayerShape::oh() const {
  if (kind == LayerKind::kDense || kind == LayerKind::kGlobalAvgPool) return 1;
  return (h + 2 * pad - r) / stride + 1;
}

int LayerShape::ow() const {
  if (kind == LayerKind::kDense || kind == LayerKind::kGlobalAvgPool) return 1;
  return (w + 2 * pad - s) / stride + 1;
}

int64_t LayerShape::macs() const {
  if (kind == LayerKind::kDense) return int64_t{c} * k;
  if (kind != LayerKind::kConv) return 0;
  return int64_t{oh()} * ow() * k * r * s * (c / groups);
}

int64_t LayerShape::params() const {
  if (kind == LayerKind::kDense) return int64_t{c} * k + (bias ? k : 0);
  if (kind != LayerKind::kConv) return 0;
  // As trained a convolution has no bias but batch norm's gamma and beta, which fold into one.
  return int64_t{r} * s * (c / groups) * k + (bias ? 2 * int64_t{k} : 0);
}

int64_t TotalMacs(const std::vector<LayerShape>& layers) {
  int64_t total = 0;
  for (const LayerShape& layer : layers) total += layer.macs();
  return total;
}

}  // namespace rhnas::nn
