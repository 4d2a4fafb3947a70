// The points of a space that can be built, as a set that answers what a search asks of it: is this
// point in, which choices of a parameter are left once those before it are fixed, what is nearest.
//
// Exact for every family, as it is made from the verdicts on every point. Point numbers are those
// of DesignSpace: the last parameter runs fastest, so the points that begin with some choices are
// one run of the sorted numbers and two binary searches find it.
//
// Memory: 8 bytes a valid point. Never changes; thread-safe.
#pragma once

#include <cstdint>
#include <vector>

#include "hw/accelerator.h"

namespace rhnas::hw {

class ValidSet {
 public:
  // networks: only points that also run networks (Design::RunsNetworks), which is known before any
  // cost is. Walks the whole space once. It may be empty.
  ValidSet(const DesignSpace& space, const Limits& limits, bool networks);
  // The points of a box. REQUIRES: every size at least 1; points sorted, distinct and inside.
  ValidSet(std::vector<int> sizes, std::vector<int64_t> points);

  const std::vector<int>& sizes() const { return sizes_; }        // choices of each parameter
  const std::vector<int64_t>& points() const { return points_; }  // in order
  int64_t size() const { return static_cast<int64_t>(points_.size()); }
  bool empty() const { return points_.empty(); }
  int64_t box() const { return box_; }  // points of the whole space, valid or not

  // index: one choice a parameter.
  int64_t PointOf(const int* index) const;
  void IndexOf(int64_t point, int* index) const;

  bool Contains(int64_t point) const { return Rank(point) >= 0; }
  bool Contains(const int* index) const { return Contains(PointOf(index)); }
  // Place of a point among points(); -1: not valid.
  int64_t Rank(int64_t point) const;

  // Choices of a parameter, single-parameter bounds: 1 where some valid point has it, parameter
  // after parameter, sum of sizes() bytes.
  const std::vector<uint8_t>& static_mask() const { return static_mask_; }
  // The same knowing index[0, parameter): sizes()[parameter] bytes, 1 where some valid point begins
  // with index[0, parameter) and the choice. Returns how many such choices there are (0: no valid
  // point begins so).
  int MaskAfter(int parameter, const int* index, uint8_t* mask) const;

  // The valid point with the fewest steps (sum over parameters of the distance in choices); the
  // lowest number among equals; -1 when empty.
  int64_t Nearest(const int* index) const;
  // A valid point, each equally likely for a draw uniform over 32 bits (to within size() / 2^32).
  // REQUIRES: not empty.
  int64_t Member(uint32_t draw) const;

 private:
  void Nearer(size_t parameter, size_t begin, size_t end, int64_t base, int64_t steps,
              const int* index, int64_t* best, int64_t* best_steps) const;

  std::vector<int> sizes_;
  std::vector<int64_t> strides_;  // of each parameter, in points
  std::vector<int64_t> points_;
  std::vector<uint8_t> static_mask_;
  int64_t box_ = 1;
};

}  // namespace rhnas::hw
