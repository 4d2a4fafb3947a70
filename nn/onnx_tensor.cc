// Shapes. The arithmetic is in onnx_fold.cc.
#include "nn/onnx_tensor.h"

#include <algorithm>
#include <cmath>

namespace rhnas::nn {

namespace {

constexpr int64_t kMostElements = int64_t{1} << 40;

}  // namespace

int64_t CountOf(const Dims& dims) {
  int64_t count = 1;
  for (int64_t size : dims) {
    if (size < 0 || size > kMostElements) return -1;
    if (size > 0 && count > kMostElements / size) return -1;
    count *= size;
  }
  return count;
}

std::string DimsText(const Dims& dims) {
  std::string text = "[";
  for (size_t i = 0; i < dims.size(); ++i) {
    if (i > 0) text += ", ";
    text += dims[i] < 0 ? "?" : std::to_string(dims[i]);
  }
  return text + "]";
}

bool BroadcastDims(const Dims& a, const Dims& b, Dims* out) {
  const size_t rank = std::max(a.size(), b.size());
  out->assign(rank, 1);
  for (size_t i = 0; i < rank; ++i) {
    const int64_t x = i < a.size() ? a[a.size() - 1 - i] : 1;
    const int64_t y = i < b.size() ? b[b.size() - 1 - i] : 1;
    if (x != y && x != 1 && y != 1) return false;
    (*out)[rank - 1 - i] = x == 1 ? y : x;
  }
  return true;
}

bool NormaliseAxis(int64_t axis, size_t rank, size_t* out) {
  const auto size = static_cast<int64_t>(rank);
  if (axis < -size || axis >= size) return false;
  *out = static_cast<size_t>(axis < 0 ? axis + size : axis);
  return true;
}

bool IntsOf(const OnnxNode& node, const Constants& inputs, size_t input, const char* attribute,
            Dims* out) {
  if (input < inputs.size() && inputs[input] != nullptr) {
    out->clear();
    for (double x : inputs[input]->values) {
      // What is no number, or beyond all sizes, is clipped.
      const double most = static_cast<double>(kMostElements);
      out->push_back(x >= most    ? kMostElements
                     : x >= -most ? static_cast<int64_t>(x)
                                  : -kMostElements);
    }
    return inputs[input]->known;
  }
  const OnnxAttribute* found = node.Find(attribute);
  if (found == nullptr || (input < node.inputs.size() && node.inputs[input] != 0)) return false;
  *out = found->ints;
  return true;
}

// 0 keeps a size (unless allow_zero), one -1 is what remains.
bool ReshapedDims(const Dims& from, const Dims& target, bool allow_zero, Dims* out) {
  *out = target;
  int64_t others = 1;
  int open = -1;
  for (size_t i = 0; i < out->size(); ++i) {
    int64_t& size = (*out)[i];
    if (size == 0 && !allow_zero) {
      if (i >= from.size()) return false;
      size = from[i];
    }
    if (size == -1) {
      if (open >= 0) return false;
      open = static_cast<int>(i);
      continue;
    }
    if (size < 0 || size > kMostElements || (size > 0 && others > kMostElements / size)) {
      return false;
    }
    others *= size;
  }
  const int64_t count = CountOf(from);
  if (open < 0) return count == others;
  if (others == 0 || count < 0 || count % others != 0) return false;
  (*out)[static_cast<size_t>(open)] = count / others;
  return true;
}

bool RenamedDims(const OnnxNode& node, const Constants& inputs, const Dims& from, Dims* out) {
  const std::string& type = node.type;
  const size_t rank = from.size();
  Dims given;
  if (type == "Reshape") {
    return IntsOf(node, inputs, 1, "shape", &given) &&
           ReshapedDims(from, given, node.Int("allowzero", 0) != 0, out);
  }
  if (type == "Flatten") {
    const int64_t at = node.Int("axis", 1);
    size_t axis = rank;
    if (at != static_cast<int64_t>(rank) && !NormaliseAxis(at, rank, &axis)) return false;
    const int64_t before = CountOf(Dims(from.begin(), from.begin() + static_cast<long>(axis)));
    if (before <= 0) return false;
    *out = {before, CountOf(from) / before};
    return true;
  }
  const bool squeeze = type == "Squeeze";
  if (!squeeze && type != "Unsqueeze") {
    *out = from;
    return true;
  }
  const bool some = IntsOf(node, inputs, 1, "axes", &given);
  if (!some && (!squeeze || node.inputs.size() > 1)) return false;
  const size_t all = squeeze ? rank : rank + given.size();
  if (all > 64) return false;
  uint64_t marked = 0;  // axes of one element
  for (int64_t axis : given) {
    size_t at = 0;
    if (!NormaliseAxis(axis, all, &at) || (squeeze && from[at] != 1)) return false;
    marked |= uint64_t{1} << at;
  }
  out->clear();
  size_t next = 0;
  for (size_t i = 0; i < all; ++i) {
    const bool one = (marked >> i & 1) != 0;
    if (!squeeze) {
      out->push_back(one || next == rank ? 1 : from[next++]);
    } else if (some ? !one : from[i] != 1) {
      out->push_back(from[i]);
    }
  }
  return CountOf(*out) == CountOf(from);
}

bool PermOf(const OnnxNode& node, size_t rank, std::vector<size_t>* perm) {
  const OnnxAttribute* given = node.Find("perm");
  perm->assign(rank, 0);
  uint64_t seen = 0;
  for (size_t i = 0; i < rank; ++i) {
    size_t& from = (*perm)[i];
    from = rank - 1 - i;
    if (given != nullptr &&
        (given->ints.size() != rank || !NormaliseAxis(given->ints[i], rank, &from))) {
      return false;
    }
    if (from > 63 || (seen >> from & 1) != 0) return false;
    seen |= uint64_t{1} << from;
  }
  return true;
}

bool SliceAxes(const OnnxNode& node, const Constants& inputs, const Dims& dims,
               std::vector<SliceAxis>* out) {
  Dims starts, ends, axes, steps;
  if (!IntsOf(node, inputs, 1, "starts", &starts) || !IntsOf(node, inputs, 2, "ends", &ends)) {
    return false;
  }
  if (!IntsOf(node, inputs, 3, "axes", &axes)) {
    if (node.inputs.size() > 3 && node.inputs[3] != 0) return false;
    for (size_t i = 0; i < starts.size(); ++i) axes.push_back(static_cast<int64_t>(i));
  }
  if (!IntsOf(node, inputs, 4, "steps", &steps)) {
    if (node.inputs.size() > 4 && node.inputs[4] != 0) return false;
    steps.assign(starts.size(), 1);
  }
  if (ends.size() != starts.size() || axes.size() != starts.size() ||
      steps.size() != starts.size()) {
    return false;
  }
  out->clear();
  for (int64_t size : dims) out->push_back({0, 1, size});
  for (size_t i = 0; i < starts.size(); ++i) {
    size_t at = 0;
    const int64_t step = steps[i];
    if (!NormaliseAxis(axes[i], dims.size(), &at) || step == 0) return false;
    if (step < -kMostElements || step > kMostElements) return false;
    const int64_t size = dims[at];
    // Sizes are counted from the end where negative, and clamped (a usual end is the largest
    // integer).
    const auto clamp = [size](int64_t x, int64_t low, int64_t high) {
      return std::clamp(x < 0 ? (x < -size ? int64_t{-1} : x + size) : x, low, high);
    };
    SliceAxis& axis = (*out)[at];
    axis.step = step;
    if (step > 0) {
      axis.start = clamp(starts[i], 0, size);
      const int64_t end = clamp(ends[i], 0, size);
      axis.count = end > axis.start ? (end - axis.start + step - 1) / step : 0;
    } else {
      axis.start = clamp(starts[i], -1, size - 1);
      const int64_t end = clamp(ends[i], -1, size - 1);
      axis.count = axis.start > end ? (axis.start - end - step - 1) / -step : 0;
    }
  }
  return true;
}

}  // namespace rhnas::nn
