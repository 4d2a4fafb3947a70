#include "hw/layer.h"

namespace rhnas::hw {

int64_t Layer::macs() const {
  if (kind == LayerKind::kDense) return int64_t{n} * h * w * c * k;
  if (kind != LayerKind::kConv) return 0;
  return int64_t{n} * oh() * ow() * k * (c / groups) * r * s;
}

}  // namespace rhnas::hw
