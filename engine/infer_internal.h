// Steps of an InferProgram. See infer.h; used by engine/infer*.cc only.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/conv_block.h"
#include "engine/conv_internal.h"
#include "engine/infer.h"
#include "engine/simd/elementwise.h"
#include "engine/tensor.h"

namespace rhnas::engine::infer {

using conv::CeilDiv;
using conv::Max;
using conv::Min;

// Of one image.
struct Extent {
  int h = 1, w = 1, c = 1;
  int64_t floats() const { return int64_t{h} * w * c; }
  int64_t pixels() const { return int64_t{h} * w; }
};

// What a step reads and writes. Either one worker does all of a step for some images (threads 1),
// or several share it for one image.
struct Work {
  const float* x = nullptr;
  const float* residual = nullptr;
  float* y = nullptr;
  int images = 1;
  int threads = 1;
  float* shared = nullptr;   // between the phases of a step
  float* scratch = nullptr;  // of the calling worker
};

class Step {
 public:
  virtual ~Step() = default;
  // Phases run one after the other, their tasks in any order and at the same time.
  virtual int phases(int threads) const = 0;
  virtual int64_t tasks(int phase, int threads) const = 0;
  virtual void Run(const Work& work, int phase, int64_t task) const = 0;
  virtual int64_t scratch_floats() const { return 0; }
  // For one worker with so many images; for several threads with one.
  virtual int64_t shared_floats(int images) const {
    (void)images;
    return 0;
  }
  virtual int64_t weight_floats() const { return 0; }
};

// Filters of a convolution packed in pieces: one for each group, and in parts of so many columns.
class Filters {
 public:
  // `pixels`: of a usual run. piece_columns: about how many columns a piece has; 0: all of a group.
  Filters(const InferConv& conv, int channels, int64_t pixels, int piece_columns);
  // Outputs of pieces [first, last), block.y and epilogue residual at column 0 of the output,
  // block.x at channel 0 of the input; bias and activation of the convolution are added to the
  // epilogue. y_column: what of the output's columns is at block.y[0].
  void Run(const conv::Block& block, const float* residual, int64_t residual_pixel,
           int64_t residual_row, int first, int last, int y_column = 0) const;
  int pieces() const { return static_cast<int>(pieces_.size()); }
  // First column of a piece; of piece pieces(): all columns.
  int column(int piece) const;
  int64_t floats() const { return packed_.size() + bias_.size(); }

 private:
  struct Piece {
    conv::PackedFilter plan;
    int64_t offset;
    int column, channel;
  };
  std::vector<Piece> pieces_;
  Buffer packed_, bias_;
  int columns_ = 0;
  Activation activation_ = Activation::kNone;
};

// A depthwise convolution.
class Depthwise {
 public:
  explicit Depthwise(const InferConv& conv);

  // An image, or a band of its rows from `first_row` on, at the first channel that is wanted.
  struct Source {
    const float* x = nullptr;
    int64_t x_row = 0, x_pixel = 0;
    int h = 1, w = 1;  // of the whole image
    int first_row = 0;
  };
  // Output rows [first, last) of channels [channel, channel + channels), activated, without gaps
  // between rows, to y[pixel * y_pixel + i].
  void Rows(const Source& source, int first, int last, int channel, int channels, float* y,
            int64_t y_pixel, int width) const;

  int channels() const { return channels_; }
  int r() const { return r_; }
  int stride() const { return stride_; }
  int pad() const { return pad_; }
  int64_t floats() const { return filter_.size() + bias_.size(); }

 private:
  int channels_, r_, s_, stride_, pad_;
  Activation activation_;
  Buffer filter_, bias_;
  const simd::DepthwiseKernels* kernels_;
};

// Bounds that an activation clamps to; without any for those that do not just clamp.
void ClampOf(Activation activation, float* low, float* high);
// Applies an activation that is not a clamp, in place.
void FinishActivation(Activation activation, float* y, int64_t pixels, int64_t pixel, int columns);

std::unique_ptr<Step> MakeConv(const Extent& in, const Extent& out, const InferConv& conv);
// The same by Winograd's algorithm, where an estimate says that it is faster; else null.
std::unique_ptr<Step> MakeWinograd(const Extent& in, const Extent& out, const InferConv& conv);
std::unique_ptr<Step> MakeBottleneck(const Extent& in, const Extent& out, const InferConv* expand,
                                     const InferConv& depthwise, const InferConv* project);
std::unique_ptr<Step> MakeMaxPool(const Extent& in, const Extent& out, int size, int stride,
                                  int pad);
std::unique_ptr<Step> MakeSubsample(const Extent& in, const Extent& out, int stride);
std::unique_ptr<Step> MakeClassifier(const Extent& in, const float* weight, const float* bias,
                                     int classes);

// Tasks for `threads` workers that are not always equally fast.
constexpr int kTasksPerThread = 1;

}  // namespace rhnas::engine::infer
