// Arithmetic on constants. See onnx_tensor.h.
#include <algorithm>
#include <cmath>

#include "nn/onnx_tensor.h"

namespace rhnas::nn {

namespace {

Dims StridesOf(const Dims& dims) {
  Dims strides(dims.size(), 1);
  for (size_t i = dims.size(); i-- > 1;) strides[i - 1] = strides[i] * dims[i];
  return strides;
}

// The functions of one or two numbers; b is nothing to those of one. False: none of them.
bool Compute(const std::string& type, double a, double b, bool integers, double* out) {
  static constexpr const char* kTypes[] = {"Add",  "Sub", "Mul",   "Div",       "Min",
                                           "Max",  "Mod", "Equal", "Neg",       "Floor",
                                           "Ceil", "Abs", "Sqrt",  "Reciprocal"};
  const double ratio = b == 0 && integers ? 0 : a / b;
  const double results[] = {a + b,
                            a - b,
                            a * b,
                            integers ? std::trunc(ratio) : ratio,
                            std::min(a, b),
                            std::max(a, b),
                            a - std::floor(ratio) * b,
                            a == b ? 1.0 : 0.0,
                            -a,
                            std::floor(a),
                            std::ceil(a),
                            std::fabs(a),
                            std::sqrt(a),
                            1 / a};
  for (size_t i = 0; i < std::size(kTypes); ++i) {
    if (type != kTypes[i]) continue;
    *out = results[i];
    return true;
  }
  return false;
}

class Folder {
 public:
  Folder(const OnnxNode& node, const Constants& inputs, int64_t* budget, ConstTensor* out,
         std::string* why)
      : node_(node), in_(inputs), budget_(budget), out_(out), why_(why) {}

  bool Run() {
    const std::string& type = node_.type;
    if (type == "Constant") return Constant();
    if (!Has(0)) return Fail("has no input");
    const ConstTensor& in = *in_[0];
    if (type == "ConstantOfShape") return ConstantOfShape();
    if (type == "Shape" || type == "Size") return Shape();
    if (type == "Transpose" || type == "Slice" || type == "Expand") return Moved();
    if (type == "Gather") return Gather();
    if (type == "Concat") return Concat();
    if (type == "DequantizeLinear" || type == "QuantizeLinear") {
      return Quantized(type == "DequantizeLinear");
    }
    if (type == "ReduceProd") return Product();
    if (type == "Where") return Where();
    if (type == "Identity" || type == "Dropout" || type == "Cast" || type == "Reshape" ||
        type == "Flatten" || type == "Squeeze" || type == "Unsqueeze") {
      Dims dims;
      if (!RenamedDims(node_, in_, in.dims, &dims)) return Fail("does not fit its input");
      const bool cast = type == "Cast";
      const bool real = cast ? IsOnnxReal(static_cast<int>(node_.Int("to", 1))) : in.real;
      if (!Make(dims, real, in.known)) return false;
      out_->values = in.values;
      if (cast && !real) {
        for (double& x : out_->values) x = std::trunc(x);
      }
      return true;
    }
    return Elementwise();
  }

 private:
  bool Fail(const char* why) {
    *why_ = why;
    return false;
  }
  bool Has(size_t i) const { return i < in_.size() && in_[i] != nullptr; }
  bool Known(size_t i) const { return Has(i) && in_[i]->known; }

  // Makes room for the result; false beyond the budget.
  bool Make(const Dims& dims, bool real, bool known) {
    const int64_t count = CountOf(dims);
    out_->dims = dims;
    out_->real = real;
    out_->known = known;
    if (count < 0 || (known && count > *budget_)) {
      return Fail("makes a constant out of all proportion to the file");
    }
    if (!known) return true;
    *budget_ -= count;
    out_->values.assign(static_cast<size_t>(count), 0);
    return true;
  }

  // Element i of `to` is element offset + sum of index x stride of `from`.
  static void Pick(const ConstTensor& from, const Dims& dims, const Dims& strides, int64_t offset,
                   std::vector<double>* to) {
    Dims index(dims.size(), 0);
    for (double& x : *to) {
      x = from.values[static_cast<size_t>(offset)];
      for (size_t axis = dims.size(); axis-- > 0;) {
        offset += strides[axis];
        if (++index[axis] < dims[axis]) break;
        offset -= strides[axis] * dims[axis];
        index[axis] = 0;
      }
    }
  }
  // Strides that show `in` as of these dimensions.
  static Dims Spread(const ConstTensor& in, const Dims& dims) {
    const Dims own = StridesOf(in.dims);
    Dims strides(dims.size(), 0);
    const size_t lead = dims.size() - in.dims.size();
    for (size_t i = 0; i < in.dims.size(); ++i) {
      if (in.dims[i] != 1) strides[lead + i] = own[i];
    }
    return strides;
  }

  bool Constant() {
    for (const OnnxAttribute& a : node_.attributes) {
      if (a.name == "value" && a.has_tensor) {
        const int64_t count = CountOf(a.t.dims);
        out_->dims = a.t.dims;
        out_->real = IsOnnxReal(a.t.type);
        out_->type = a.t.type;
        out_->known = !a.t.external;
        if (count < 0) return Fail("has a size that is negative");
        return a.t.external || OnnxNumbers(a.t, count, &out_->values, why_);
      }
      if (a.name == "value_int" || a.name == "value_float") {
        const bool real = a.name == "value_float";
        if (!Make({}, real, true)) return false;
        out_->values[0] = real ? double{a.f} : static_cast<double>(a.i);
        return true;
      }
      if (a.name == "value_ints") {
        if (!Make({static_cast<int64_t>(a.ints.size())}, false, true)) return false;
        for (size_t i = 0; i < a.ints.size(); ++i) {
          out_->values[i] = static_cast<double>(a.ints[i]);
        }
        return true;
      }
    }
    return Fail("has no value that is a tensor of numbers");
  }

  bool ConstantOfShape() {
    Dims dims;
    if (!IntsOf(node_, in_, 0, "", &dims)) return Fail("its shape is no constant");
    const OnnxAttribute* a = node_.Find("value");
    std::vector<double> value(1, 0);
    if (a != nullptr && a->has_tensor) {
      value.clear();
      if (!OnnxNumbers(a->t, 1, &value, why_)) return false;
    }
    if (!Make(dims, a == nullptr || IsOnnxReal(a->t.type), true)) return false;
    for (double& x : out_->values) x = value[0];
    return true;
  }

  bool Shape() {
    const Dims& dims = in_[0]->dims;
    if (node_.type == "Size") {
      if (!Make({}, false, true)) return false;
      out_->values[0] = static_cast<double>(CountOf(dims));
      return true;
    }
    const auto rank = static_cast<int64_t>(dims.size());
    int64_t ends[2] = {node_.Int("start", 0), node_.Int("end", rank)};
    for (int64_t& x : ends) x = std::clamp<int64_t>(x < 0 ? x + rank : x, 0, rank);
    if (!Make({std::max<int64_t>(0, ends[1] - ends[0])}, false, true)) return false;
    for (size_t i = 0; i < out_->values.size(); ++i) {
      out_->values[i] = static_cast<double>(dims[static_cast<size_t>(ends[0]) + i]);
    }
    return true;
  }

  bool Moved() {
    const ConstTensor& in = *in_[0];
    Dims dims, given, strides = StridesOf(in.dims);
    int64_t offset = 0;
    if (node_.type == "Transpose") {
      std::vector<size_t> perm;
      if (!PermOf(node_, in.dims.size(), &perm)) return Fail("has an order that does not fit");
      const Dims own = strides;
      for (size_t i = 0; i < perm.size(); ++i) {
        dims.push_back(in.dims[perm[i]]);
        strides[i] = own[perm[i]];
      }
    } else if (node_.type == "Slice") {
      std::vector<SliceAxis> axes;
      if (!SliceAxes(node_, in_, in.dims, &axes)) return Fail("its bounds are no constants");
      for (size_t i = 0; i < axes.size(); ++i) {
        dims.push_back(axes[i].count);
        offset += axes[i].count > 0 ? axes[i].start * strides[i] : 0;
        strides[i] *= axes[i].count > 1 ? axes[i].step : 0;
      }
    } else {
      if (!IntsOf(node_, in_, 1, "", &given) || !BroadcastDims(in.dims, given, &dims)) {
        return Fail("its shape is no constant that fits");
      }
      strides = Spread(in, dims);
    }
    if (!Make(dims, in.real, in.known)) return false;
    if (in.known) Pick(in, dims, strides, offset, &out_->values);
    return true;
  }

  bool Gather() {
    const ConstTensor& in = *in_[0];
    size_t axis = 0;
    Dims at;
    if (!IntsOf(node_, in_, 1, "", &at) ||
        !NormaliseAxis(node_.Int("axis", 0), in.dims.size(), &axis)) {
      return Fail("its indices are no constants that fit");
    }
    Dims dims(in.dims.begin(), in.dims.begin() + static_cast<long>(axis));
    const int64_t before = CountOf(dims), size = in.dims[axis];
    dims.insert(dims.end(), in_[1]->dims.begin(), in_[1]->dims.end());
    const Dims rest(in.dims.begin() + static_cast<long>(axis) + 1, in.dims.end());
    const int64_t after = CountOf(rest);
    dims.insert(dims.end(), rest.begin(), rest.end());
    if (!Make(dims, in.real, in.known)) return false;
    size_t to = 0;
    for (int64_t b = 0; in.known && b < before; ++b) {
      for (int64_t index : at) {
        size_t row = 0;
        if (!NormaliseAxis(index, static_cast<size_t>(size), &row)) {
          return Fail("has an index outside");
        }
        const int64_t from = (b * size + static_cast<int64_t>(row)) * after;
        for (int64_t a = 0; a < after; ++a) {
          out_->values[to++] = in.values[static_cast<size_t>(from + a)];
        }
      }
    }
    return true;
  }

  bool Concat() {
    size_t axis = 0;
    Dims dims = in_[0]->dims;
    if (!NormaliseAxis(node_.Int("axis", 0), dims.size(), &axis)) return Fail("axis is outside");
    bool known = true;
    dims[axis] = 0;
    for (const ConstTensor* in : in_) {
      bool fits = in != nullptr && in->dims.size() == dims.size();
      for (size_t i = 0; fits && i < dims.size(); ++i) {
        fits = i == axis || in->dims[i] == dims[i];
      }
      if (!fits) return Fail("its inputs differ in shape");
      dims[axis] += in->dims[axis];
      known = known && in->known;
    }
    if (!Make(dims, in_[0]->real, known)) return false;
    int64_t before = 1;
    size_t to = 0;
    for (size_t i = 0; i < axis; ++i) before *= dims[i];
    for (int64_t b = 0; known && b < before; ++b) {
      for (const ConstTensor* in : in_) {
        const size_t run = in->values.size() / static_cast<size_t>(before);
        for (size_t i = 0; i < run; ++i) {
          out_->values[to++] = in->values[static_cast<size_t>(b) * run + i];
        }
      }
    }
    return true;
  }

  // Of all elements, as shapes are multiplied up.
  bool Product() {
    const ConstTensor& in = *in_[0];
    Dims axes;
    if (IntsOf(node_, in_, 1, "axes", &axes) && axes.size() != in.dims.size()) {
      return Fail("of a constant, over some axes");
    }
    const size_t rank = node_.Int("keepdims", 1) != 0 ? in.dims.size() : 0;
    if (!Make(Dims(rank, 1), in.real, in.known)) return false;
    double product = 1;
    for (double x : in.values) product *= x;
    if (in.known) out_->values[0] = product;
    return true;
  }

  // (x - zero point) scale, and clip(round(x / scale) + zero point), with one scale or one along an
  // axis.
  bool Quantized(bool back) {
    const ConstTensor& in = *in_[0];
    if (!Has(1) || node_.Int("block_size", 0) != 0) return Fail("has no scale, or one a block");
    const int64_t scales = CountOf(in_[1]->dims);
    size_t axis = 0, after = 1;
    if (scales != 1) {
      if (!NormaliseAxis(node_.Int("axis", 1), in.dims.size(), &axis) || in.dims[axis] != scales) {
        return Fail("has scales that do not fit");
      }
      for (size_t i = axis + 1; i < in.dims.size(); ++i) after *= static_cast<size_t>(in.dims[i]);
    }
    const bool zeros = Has(2);
    if (zeros && CountOf(in_[2]->dims) != scales) return Fail("has zero points that do not fit");
    const bool known = in.known && in_[1]->known && (!zeros || in_[2]->known);
    const bool bytes = !zeros || in_[2]->type == kOnnxUint8;  // the type is the zero point's
    if (!Make(in.dims, true, known)) return false;
    for (size_t i = 0; known && i < in.values.size(); ++i) {
      const size_t at = scales == 1 ? 0 : i / after % static_cast<size_t>(scales);
      const double scale = in_[1]->values[at], x = in.values[i];
      const double zero = zeros ? in_[2]->values[at] : 0;
      out_->values[i] = back ? (x - zero) * scale
                             : std::clamp(std::nearbyint(x / scale) + zero, bytes ? 0.0 : -128.0,
                                          bytes ? 255.0 : 127.0);
    }
    return true;
  }

  // The values of an input seen as of these dimensions.
  bool Seen(size_t i, const Dims& dims, std::vector<double>* values) {
    const int64_t count = CountOf(dims);
    if (count > *budget_) return Fail("makes a constant out of all proportion to the file");
    *budget_ -= count;
    values->assign(static_cast<size_t>(count), 0);
    Pick(*in_[i], dims, Spread(*in_[i], dims), 0, values);
    return true;
  }

  bool Where() {
    Dims both, dims;
    if (!Has(1) || !Has(2) || !BroadcastDims(in_[1]->dims, in_[2]->dims, &both) ||
        !BroadcastDims(both, in_[0]->dims, &dims)) {
      return Fail("its inputs do not fit");
    }
    const bool known = Known(0) && Known(1) && Known(2);
    if (!Make(dims, in_[1]->real, known)) return false;
    std::vector<double> test, other;
    if (!known) return true;
    if (!Seen(0, dims, &test) || !Seen(1, dims, &out_->values) || !Seen(2, dims, &other)) {
      return false;
    }
    for (size_t i = 0; i < test.size(); ++i) {
      if (test[i] == 0) out_->values[i] = other[i];
    }
    return true;
  }

  bool Elementwise() {
    const size_t last = in_.size() - 1;
    double unused = 0;
    if (last > 1 || !Compute(node_.type, 1, 1, false, &unused)) {
      return Fail("is not computed on constants");
    }
    Dims dims;
    if (!Has(last) || !BroadcastDims(in_[0]->dims, in_[last]->dims, &dims)) {
      return Fail("its inputs do not fit");
    }
    const bool known = Known(0) && Known(last);
    const bool real = in_[0]->real || in_[last]->real;
    if (!Make(dims, real && node_.type != "Equal", known)) return false;
    std::vector<double> other;
    if (!known) return true;
    if (!Seen(0, dims, &out_->values) || !Seen(last, dims, &other)) return false;
    for (size_t i = 0; i < other.size(); ++i) {
      Compute(node_.type, out_->values[i], other[i], !real, &out_->values[i]);
    }
    return true;
  }

  const OnnxNode& node_;
  const Constants& in_;
  int64_t* budget_;
  ConstTensor* out_;
  std::string* why_;
};

}  // namespace

bool FoldOnnx(const OnnxNode& node, const Constants& inputs, int64_t* budget, ConstTensor* out,
              std::string* why) {
  return Folder(node, inputs, budget, out, why).Run();
}

}  // namespace rhnas::nn
