// Dense and grouped convolutions of an InferProgram, and the packed filters that the other steps
// use too. See infer.h.
#include <cstring>
#include <limits>
#include <utility>

#include "engine/check.h"
#include "engine/infer_internal.h"

namespace rhnas::engine::infer {

namespace {

// A band's pixels (with their padding) in a share of a second-level cache of at least 512 KiB; more
// where the filters are large, which are read once for each band.
constexpr int64_t kBandFloats = 16 * 1024, kHeavyBandFloats = 64 * 1024;
constexpr int64_t kHeavyFloats = 64 * 1024;
// Below this many multiply-adds a task costs less than handing it out (a microsecond).
constexpr int64_t kTaskMacs = 64 * 1024;
constexpr int kPieceColumns = 64;
constexpr int kTileRows = 14;  // of a register tile, at most

}  // namespace

void ClampOf(Activation activation, float* low, float* high) {
  *low = -std::numeric_limits<float>::infinity();
  *high = std::numeric_limits<float>::infinity();
  if (activation == Activation::kRelu || activation == Activation::kRelu6) *low = 0;
  if (activation == Activation::kRelu6) *high = 6;
}

void FinishActivation(Activation activation, float* y, int64_t pixels, int64_t pixel, int columns) {
  if (activation != Activation::kHSwish) return;
  const auto apply = simd::Elementwise().unary[static_cast<int>(activation)];
  if (pixel == columns) return apply(y, y, pixels * columns);
  for (int64_t i = 0; i < pixels; i++) apply(y + i * pixel, y + i * pixel, columns);
}

Filters::Filters(const InferConv& conv, int channels, int64_t pixels, int piece_columns)
    : bias_(conv.k), columns_(conv.k), activation_(conv.activation) {
  const int group_channels = channels / conv.groups, group_columns = conv.k / conv.groups;
  if (piece_columns <= 0 || piece_columns > group_columns) piece_columns = group_columns;
  int64_t offset = 0;
  for (int group = 0; group < conv.groups; group++) {
    for (int column = 0; column < group_columns; column += piece_columns) {
      conv::FilterSize size;
      size.r = conv.r;
      size.s = conv.s;
      size.channels = group_channels;
      size.columns = static_cast<int>(Min(piece_columns, group_columns - column));
      Piece piece;
      piece.plan = conv::PlanFilter(size, pixels);
      piece.offset = offset;
      piece.column = group * group_columns + column;
      piece.channel = group * group_channels;
      offset += CeilDiv(piece.plan.floats(), 16) * 16;
      pieces_.push_back(piece);
    }
  }
  packed_ = Buffer(offset);
  const int64_t tap = int64_t{group_channels} * conv.k;
  for (const Piece& piece : pieces_) {
    conv::PackFilter(piece.plan, conv.filter + piece.column, {tap * conv.s, tap, conv.k, 1},
                     packed_.data() + piece.offset);
  }
  std::memcpy(bias_.data(), conv.bias, static_cast<size_t>(conv.k) * sizeof(float));
}

int Filters::column(int piece) const {
  return piece == pieces() ? columns_ : pieces_[static_cast<size_t>(piece)].column;
}

void Filters::Run(const conv::Block& block, const float* residual, int64_t residual_pixel,
                  int64_t residual_row, int first, int last, int y_column) const {
  simd::Epilogue epilogue;
  ClampOf(activation_, &epilogue.low, &epilogue.high);
  epilogue.residual_pixel = residual_pixel;
  epilogue.residual_row = residual_row;
  conv::Block part = block;
  part.epilogue = &epilogue;
  for (int p = first; p < last; p++) {
    const Piece& piece = pieces_[static_cast<size_t>(p)];
    part.x = block.x + piece.channel;
    part.y = block.y + (piece.column - y_column);
    epilogue.bias = bias_.data() + piece.column;
    epilogue.residual = residual == nullptr ? nullptr : residual + piece.column;
    conv::CorrelateBlock(piece.plan, packed_.data() + piece.offset, part);
    for (int i = 0; i < block.rows; i++) {
      FinishActivation(activation_, part.y + i * block.y_row, block.pixels, block.y_pixel,
                       piece.plan.columns);
    }
  }
}

namespace {

class ConvStep : public Step {
 public:
  ConvStep(const Extent& in, const Extent& out, const InferConv& conv)
      : in_(in),
        out_(out),
        r_(conv.r),
        s_(conv.s),
        stride_(conv.stride),
        pad_(conv.pad),
        macs_(out.floats() * conv.r * conv.s * (in.c / conv.groups)),
        flat_(conv.r == 1 && conv.s == 1 && conv.stride == 1 && conv.pad == 0),
        filters_(conv, in.c, flat_ ? out.pixels() : out.w, kPieceColumns) {
    heavy_ = filters_.floats() > in.floats();
    band_floats_ = filters_.floats() > kHeavyFloats ? kHeavyBandFloats : kBandFloats;
    copy_width_ = (out.w - 1) * stride_ + s_;
    padded_ = pad_ > 0;
  }

  int phases(int) const override { return 1; }
  int64_t tasks(int, int threads) const override {
    if (threads == 1) return 1;
    const int64_t wanted = Max(1, Min(int64_t{threads} * kTasksPerThread, macs_ / kTaskMacs));
    return Min(wanted, ByPieces(threads) ? filters_.pieces()
                       : flat_           ? CeilDiv(out_.pixels(), kTileRows)
                                         : out_.h);
  }
  int64_t weight_floats() const override { return filters_.floats(); }
  int64_t scratch_floats() const override {
    return padded_ ? ((BandRows() - 1) * stride_ + r_) * copy_width_ * in_.c : 0;
  }

  void Run(const Work& work, int phase, int64_t task) const override {
    const int64_t count = tasks(phase, work.threads);
    int first = 0, last = filters_.pieces();
    if (flat_) {
      int64_t begin = 0, end = out_.pixels() * work.images;
      Share(work.threads, task, count, &first, &last, &begin, &end);
      return RunFlat(work, begin, end, first, last);
    }
    for (int image = 0; image < work.images; image++) {
      int64_t begin = 0, end = out_.h;
      Share(work.threads, task, count, &first, &last, &begin, &end);
      RunRows(work, image, begin, end, first, last);
    }
  }

 private:
  bool ByPieces(int threads) const {
    return threads > 1 && heavy_ && filters_.pieces() >= kTasksPerThread * threads;
  }

  // A task has a share of the pieces where the filters are more than the pixels, else of the rows.
  void Share(int threads, int64_t task, int64_t count, int* first, int* last, int64_t* begin,
             int64_t* end) const {
    if (ByPieces(threads)) {
      *first = static_cast<int>(filters_.pieces() * task / count);
      *last = static_cast<int>(filters_.pieces() * (task + 1) / count);
    } else {
      const int64_t rows = *end;
      *begin = rows * task / count;
      *end = rows * (task + 1) / count;
    }
  }

  int64_t BandRows() const {
    const int64_t row = int64_t{stride_} * (padded_ ? copy_width_ : in_.w) * in_.c;
    return Max(1, Min(out_.h, band_floats_ / row));
  }

  void RunFlat(const Work& work, int64_t begin, int64_t end, int first, int last) const {
    const int64_t most = Max(1, band_floats_ / in_.c);
    const int64_t band = CeilDiv(end - begin, CeilDiv(end - begin, most));
    for (int64_t pixel = begin; pixel < end; pixel += band) {
      conv::Block block;
      block.x = work.x + pixel * in_.c;
      block.x_pixel = in_.c;
      block.y = work.y + pixel * out_.c;
      block.y_pixel = out_.c;
      block.pixels = Min(band, end - pixel);
      filters_.Run(block, work.residual == nullptr ? nullptr : work.residual + pixel * out_.c,
                   out_.c, 0, first, last);
    }
  }

  void RunRows(const Work& work, int image, int64_t begin, int64_t end, int first, int last) const {
    if (begin == end) return;
    const int64_t most = BandRows(), band = CeilDiv(end - begin, CeilDiv(end - begin, most));
    const float* const x = work.x + image * in_.floats();
    for (int64_t row = begin; row < end; row += band) {
      conv::Block block;
      block.rows = static_cast<int>(Min(band, end - row));
      block.stride = stride_;
      block.pixels = out_.w;
      block.x_pixel = in_.c;
      if (padded_) {
        conv::CopyPadded(x, in_.h, in_.w, in_.c, static_cast<int>(row) * stride_ - pad_, -pad_,
                         (block.rows - 1) * stride_ + r_, copy_width_, work.scratch);
        block.x = work.scratch;
        block.x_row = int64_t{copy_width_} * in_.c;
      } else {
        block.x_row = int64_t{in_.w} * in_.c;
        block.x = x + row * stride_ * block.x_row;
      }
      const int64_t at = image * out_.floats() + row * out_.w * out_.c;
      block.y = work.y + at;
      block.y_pixel = out_.c;
      block.y_row = int64_t{out_.w} * out_.c;
      filters_.Run(block, work.residual == nullptr ? nullptr : work.residual + at, out_.c,
                   block.y_row, first, last);
    }
  }

  Extent in_, out_;
  int r_, s_, stride_, pad_;
  int64_t macs_;
  bool flat_;
  Filters filters_;
  bool heavy_ = false, padded_ = false;
  int64_t band_floats_ = 0;
  int copy_width_ = 0;
};

}  // namespace

std::unique_ptr<Step> MakeConv(const Extent& in, const Extent& out, const InferConv& conv) {
  std::unique_ptr<Step> winograd = MakeWinograd(in, out, conv);
  return winograd != nullptr ? std::move(winograd) : std::make_unique<ConvStep>(in, out, conv);
}

}  // namespace rhnas::engine::infer
