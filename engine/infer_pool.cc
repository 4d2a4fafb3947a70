// Pooling, the shortcut without weights and the classifier of an InferProgram. See infer.h.
#include <cstring>

#include "engine/infer_internal.h"

namespace rhnas::engine::infer {

namespace {

constexpr int kPieceColumns = 64;

// A step whose tasks are rows of the output.
class RowStep : public Step {
 public:
  RowStep(const Extent& in, const Extent& out) : in_(in), out_(out) {}
  int phases(int) const override { return 1; }
  int64_t tasks(int, int threads) const override {
    return threads == 1 ? 1 : Min(out_.h, int64_t{threads} * kTasksPerThread);
  }
  void Run(const Work& work, int phase, int64_t task) const override {
    const int64_t count = tasks(phase, work.threads);
    for (int image = 0; image < work.images; image++) {
      for (int64_t row = out_.h * task / count; row < out_.h * (task + 1) / count; row++) {
        RunRow(work.x + image * in_.floats(), static_cast<int>(row),
               work.y + image * out_.floats() + row * out_.w * out_.c, work.scratch);
      }
    }
  }

 protected:
  // One row of the output from a whole image.
  virtual void RunRow(const float* x, int row, float* y, float* scratch) const = 0;
  Extent in_, out_;
};

class MaxPoolStep : public RowStep {
 public:
  MaxPoolStep(const Extent& in, const Extent& out, int size, int stride, int pad)
      : RowStep(in, out), size_(size), stride_(stride), pad_(pad) {}
  int64_t scratch_floats() const override { return int64_t{in_.w} * in_.c; }

 private:
  // First over the window's rows, whole rows at a time, then over its columns.
  void RunRow(const float* x, int row, float* y, float* scratch) const override {
    const auto max = simd::Elementwise().max;
    const int64_t row_floats = int64_t{in_.w} * in_.c;
    const int64_t top = Max(0, int64_t{row} * stride_ - pad_);
    const int64_t bottom = Min(in_.h, int64_t{row} * stride_ - pad_ + size_);
    const float* tall = x + top * row_floats;
    for (int64_t i = top + 1; i < bottom; i++) {
      max(tall, x + i * row_floats, scratch, row_floats);
      tall = scratch;
    }
    for (int j = 0; j < out_.w; j++) {
      const int64_t left = Max(0, int64_t{j} * stride_ - pad_);
      const int64_t right = Min(in_.w, int64_t{j} * stride_ - pad_ + size_);
      float* const to = y + int64_t{j} * in_.c;
      const float* best = tall + left * in_.c;
      if (right - left == 1) std::memcpy(to, best, static_cast<size_t>(in_.c) * sizeof(float));
      for (int64_t i = left + 1; i < right; i++) {
        max(best, tall + i * in_.c, to, in_.c);
        best = to;
      }
    }
  }

  int size_, stride_, pad_;
};

class SubsampleStep : public RowStep {
 public:
  SubsampleStep(const Extent& in, const Extent& out, int stride)
      : RowStep(in, out), stride_(stride) {}

 private:
  void RunRow(const float* x, int row, float* y, float*) const override {
    const float* from = x + int64_t{row} * stride_ * in_.w * in_.c;
    const size_t bytes = static_cast<size_t>(in_.c) * sizeof(float);
    const size_t rest = static_cast<size_t>(out_.c - in_.c) * sizeof(float);
    for (int j = 0; j < out_.w; j++, from += stride_ * in_.c, y += out_.c) {
      std::memcpy(y, from, bytes);
      std::memset(y + in_.c, 0, rest);
    }
  }

  int stride_;
};

class ClassifierStep : public Step {
 public:
  ClassifierStep(const Extent& in, const float* weight, const float* bias, int classes)
      : in_(in),
        classes_(classes),
        filters_(Matrix(weight, bias, classes), in.c, 1, kPieceColumns) {}

  int phases(int) const override { return 2; }  // means, then the product
  int64_t tasks(int phase, int threads) const override {
    return phase == 0 || threads == 1 ? 1
                                      : Min(filters_.pieces(), int64_t{threads} * kTasksPerThread);
  }
  int64_t shared_floats(int images) const override { return int64_t{images} * in_.c; }
  int64_t weight_floats() const override { return filters_.floats(); }

  void Run(const Work& work, int phase, int64_t task) const override {
    if (phase == 0) {
      const auto& kernels = simd::Elementwise();
      const float share = 1 / static_cast<float>(in_.pixels());
      for (int image = 0; image < work.images; image++) {
        float* const mean = work.shared + int64_t{image} * in_.c;
        kernels.column_sum(work.x + image * in_.floats(), in_.pixels(), in_.c, mean);
        kernels.scale(mean, share, mean, in_.c, false);
      }
      return;
    }
    const int64_t count = tasks(phase, work.threads), pieces = filters_.pieces();
    conv::Block block;
    block.x = work.shared;
    block.x_pixel = in_.c;
    block.y = work.y;
    block.y_pixel = classes_;
    block.pixels = work.images;
    filters_.Run(block, nullptr, 0, 0, static_cast<int>(pieces * task / count),
                 static_cast<int>(pieces * (task + 1) / count));
  }

 private:
  static InferConv Matrix(const float* weight, const float* bias, int classes) {
    InferConv conv;
    conv.k = classes;
    conv.filter = weight;
    conv.bias = bias;
    return conv;
  }

  Extent in_;
  int classes_;
  Filters filters_;
};

}  // namespace

std::unique_ptr<Step> MakeMaxPool(const Extent& in, const Extent& out, int size, int stride,
                                  int pad) {
  return std::make_unique<MaxPoolStep>(in, out, size, stride, pad);
}

std::unique_ptr<Step> MakeSubsample(const Extent& in, const Extent& out, int stride) {
  return std::make_unique<SubsampleStep>(in, out, stride);
}

std::unique_ptr<Step> MakeClassifier(const Extent& in, const float* weight, const float* bias,
                                     int classes) {
  return std::make_unique<ClassifierStep>(in, weight, bias, classes);
}

}  // namespace rhnas::engine::infer
