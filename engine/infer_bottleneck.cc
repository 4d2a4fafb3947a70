// [1x1] - depthwise - [1x1] as one step of an InferProgram. See infer.h.
//
// The wide tensor never exists as a whole. For a band of output rows and a piece of the channels,
// the expansion writes the rows that the depthwise layer needs into a buffer of first- or
// second-level cache size, the depthwise layer reads them there and writes its piece of the band's
// wide outputs, and when all pieces are through, the projection reads those. The rows that the next
// band needs again are kept, not computed twice.
//
// Several threads take shares of the output rows. Those at the seams are expanded by both sides,
// or, where that costs more than to hand out work once more, all rows first, into shared memory.
#include <cstring>

#include "engine/check.h"
#include "engine/infer_internal.h"

namespace rhnas::engine::infer {

namespace {

// Of a second-level cache of at least 512 KiB: expanded rows of one piece of channels, and the
// depthwise outputs of a band.
constexpr int64_t kExpandedFloats = 32 * 1024, kMiddleFloats = 80 * 1024;
// Of a first-level cache of 32 KiB: expanded images of one piece.
constexpr int64_t kNearFloats = 6 * 1024;
// Channels of a piece: two panels of two AVX-512 vectors where a whole image of that stays near.
constexpr int kWidePiece = 64, kNarrowPiece = 32;
constexpr int kProjectPiece = 64;

// Multiply-adds of a core while work is handed out to another.
constexpr double kDispatchMacs = 80e3;

int PieceColumns(const Extent& in) {
  return in.pixels() * kWidePiece <= kNearFloats ? kWidePiece : kNarrowPiece;
}

class BottleneckStep : public Step {
 public:
  BottleneckStep(const Extent& in, const Extent& out, const InferConv* expand,
                 const InferConv& depthwise, const InferConv* project)
      : in_(in), out_(out), depthwise_(depthwise), wide_(depthwise.k) {
    if (expand != nullptr) {
      expand_ = std::make_unique<Filters>(*expand, in.c, in.pixels(), PieceColumns(in));
    }
    if (project != nullptr) {
      project_ = std::make_unique<Filters>(*project, wide_, out.pixels(), kProjectPiece);
    }
    expand_macs_ = expand == nullptr ? 0 : in.pixels() * wide_ * (in.c / expand->groups);
    PlanBands();
  }

  int phases(int threads) const override { return ExpandsFirst(threads) ? 2 : 1; }

  int64_t tasks(int phase, int threads) const override {
    if (threads == 1) return 1;
    return Min(threads, ExpandsFirst(threads) && phase == 0 ? in_.h : out_.h);
  }

  int64_t scratch_floats() const override { return kept_offset_ + kept_floats_; }
  int64_t shared_floats(int) const override { return expand_ && whole_ ? in_.pixels() * wide_ : 0; }
  int64_t weight_floats() const override {
    return depthwise_.floats() + (expand_ ? expand_->floats() : 0) +
           (project_ ? project_->floats() : 0);
  }

  void Run(const Work& work, int phase, int64_t task) const override {
    const int64_t count = tasks(phase, work.threads);
    if (ExpandsFirst(work.threads) && phase == 0) {
      return Expand(work.x, in_.h * task / count, in_.h * (task + 1) / count, work.shared);
    }
    if (work.threads > 1) {
      const int begin = static_cast<int>(out_.h * task / count);
      const int end = static_cast<int>(out_.h * (task + 1) / count);
      return ExpandsFirst(work.threads) ? RunExpanded(work, begin, end)
                                        : RunRows(work, 0, begin, end);
    }
    if (!whole_) {
      for (int image = 0; image < work.images; image++) RunRows(work, image, 0, out_.h);
      return;
    }
    for (int image = 0; image < work.images; image += group_) {
      const int images = static_cast<int>(Min(group_, work.images - image));
      RunBand(work, image, {work.x + image * in_.floats(), 0, out_.h, images}, 0);
    }
  }

 private:
  // Output rows [first, last) of some images; more than one image only with all rows.
  struct Band {
    const float* x;
    int first, last, images;
  };

  // Where scratch memory goes: [expanded | middle | kept], all rows of a band that fit.
  void PlanBands() {
    const int piece = expand_ ? WidestPiece() : 0;
    const auto expanded_floats = [&](int64_t rows) {
      return Min(in_.h, (rows - 1) * depthwise_.stride() + depthwise_.r()) * in_.w * piece;
    };
    const int64_t middle_row = project_ ? int64_t{out_.w} * wide_ : 0;
    int64_t rows = out_.h;
    while (rows > 1 &&
           (rows * middle_row > kMiddleFloats || expanded_floats(rows) > kExpandedFloats)) {
      rows--;
    }
    rows = CeilDiv(out_.h, CeilDiv(out_.h, rows));
    whole_ = rows == out_.h;
    band_rows_ = static_cast<int>(rows);
    // Small images go several at a time.
    group_ = 1;
    near_ = 1;
    if (whole_) {
      const int64_t image = out_.pixels() * wide_;
      group_ = static_cast<int>(Max(1, kMiddleFloats / image));
      if (expand_) near_ = static_cast<int>(Max(1, kNearFloats / (in_.pixels() * piece)));
      if (near_ > group_) near_ = group_;
    }
    // Whole images are expanded whole, with the rows at the end that no output reads.
    const int64_t near_floats = whole_ ? in_.pixels() * piece : expanded_floats(rows);
    middle_offset_ = CeilDiv(near_ * near_floats, 16) * 16;
    kept_offset_ = middle_offset_ + CeilDiv(group_ * rows * middle_row, 16) * 16;
    kept_floats_ = whole_ || !expand_
                       ? 0
                       : Max(0, depthwise_.r() - depthwise_.stride()) * int64_t{in_.w} * wide_;
  }

  int WidestPiece() const {
    int widest = 0;
    for (int p = 0; p < expand_->pieces(); p++) {
      const int columns = expand_->column(p + 1) - expand_->column(p);
      widest = columns > widest ? columns : widest;
    }
    return widest;
  }

  // Several threads on one image: what the seams between their rows cost.
  bool ExpandsFirst(int threads) const {
    if (threads == 1 || !whole_ || !expand_) return false;
    const int64_t tasks = Min(threads, out_.h), share = CeilDiv(out_.h, tasks);
    const int64_t rows = Min(in_.h, (share - 1) * depthwise_.stride() + depthwise_.r());
    const int64_t more = rows - CeilDiv(in_.h, tasks);
    return static_cast<double>(more * expand_macs_) / in_.h > kDispatchMacs;
  }

  // First input row that output row `row` reads; one past the last that it reads.
  int64_t InputFrom(int row) const {
    return Max(0, int64_t{row} * depthwise_.stride() - depthwise_.pad());
  }
  int64_t InputTo(int row) const {
    return Max(0,
               Min(in_.h, int64_t{row} * depthwise_.stride() - depthwise_.pad() + depthwise_.r()));
  }

  // One piece of the channels: expands the band's rows, runs the depthwise layer over them. The
  // first `have` of the expanded rows are already in `kept` from the band above. `middle` has all
  // wide channels.
  void Widen(const Band& band, int piece, int64_t have, float* expanded, float* kept,
             float* middle) const {
    const int column = expand_->column(piece);
    const int columns = expand_->column(piece + 1) - column;
    const int64_t from = InputFrom(band.first), rows = Max(0, InputTo(band.last - 1) - from);
    const int64_t row_floats = int64_t{in_.w} * columns;
    float* const own = kept == nullptr ? nullptr : kept + kept_rows() * in_.w * column;
    if (have > 0) {
      std::memcpy(expanded, own, static_cast<size_t>(have * row_floats) * sizeof(float));
    }
    conv::Block block;
    block.x = band.x + (from + have) * in_.w * in_.c;
    block.x_pixel = in_.c;
    block.y = expanded + have * row_floats;
    block.y_pixel = columns;
    block.pixels = band.images > 1 ? band.images * in_.pixels() : (rows - have) * in_.w;
    expand_->Run(block, nullptr, 0, 0, piece, piece + 1, column);
    for (int image = 0; image < band.images; image++) {
      Depthwise::Source source;
      source.x = expanded + image * in_.pixels() * columns;
      source.x_pixel = columns;
      source.x_row = row_floats;
      source.h = in_.h;
      source.w = in_.w;
      source.first_row = static_cast<int>(from);
      depthwise_.Rows(source, band.first, band.last, column, columns,
                      middle + image * out_.pixels() * wide_ + column, wide_, out_.w);
    }
    if (kept != nullptr && band.last < out_.h) {
      const int64_t next = InputFrom(band.last), until = from + rows;
      if (next < until) {
        std::memcpy(own, expanded + (next - from) * row_floats,
                    static_cast<size_t>((until - next) * row_floats) * sizeof(float));
      }
    }
  }
  int64_t kept_rows() const { return Max(0, depthwise_.r() - depthwise_.stride()); }

  // Rows [first, last) of the expansion, all channels, to where they belong in `to`.
  void Expand(const float* x, int64_t first, int64_t last, float* to) const {
    conv::Block block;
    block.x = x + first * in_.w * in_.c;
    block.x_pixel = in_.c;
    block.y = to + first * in_.w * wide_;
    block.y_pixel = wide_;
    block.pixels = (last - first) * in_.w;
    expand_->Run(block, nullptr, 0, 0, 0, expand_->pieces());
  }

  // Depthwise outputs of a band from an image of all wide channels, in blocks of channels whose
  // rows stay near as far as the image's width allows.
  void Deepen(const float* wide, int first, int last, float* middle) const {
    Depthwise::Source source;
    source.x_pixel = wide_;
    source.x_row = int64_t{in_.w} * wide_;
    source.h = in_.h;
    source.w = in_.w;
    const int64_t fit = kNearFloats / (int64_t{in_.w} * depthwise_.r());
    const int block = static_cast<int>(Max(kNarrowPiece, fit / kNarrowPiece * kNarrowPiece));
    for (int c = 0; c < wide_; c += block) {
      source.x = wide + c;
      depthwise_.Rows(source, first, last, c, static_cast<int>(Min(block, wide_ - c)), middle + c,
                      wide_, out_.w);
    }
  }

  // Output rows [begin, end) of one image whose expansion is there.
  void RunExpanded(const Work& work, int begin, int end) const {
    for (int row = begin; row < end; row += band_rows_) {
      const int last = static_cast<int>(Min(row + band_rows_, end));
      const int64_t at = int64_t{row} * out_.w * out_.c;
      float* const middle = project_ ? work.scratch + middle_offset_ : work.y + at;
      Deepen(work.shared, row, last, middle);
      if (!project_) continue;
      Project(middle, int64_t{last - row} * out_.w,
              work.residual == nullptr ? nullptr : work.residual + at, work.y + at);
    }
  }

  void Project(const float* middle, int64_t pixels, const float* residual, float* y) const {
    conv::Block block;
    block.x = middle;
    block.x_pixel = wide_;
    block.y = y;
    block.y_pixel = out_.c;
    block.pixels = pixels;
    project_->Run(block, residual, out_.c, 0, 0, project_->pieces());
  }

  // A band of rows of one image, or whole images from `image` on; band.x is at its first image.
  void RunBand(const Work& work, int image, const Band& band, int64_t have) const {
    const int64_t at = image * out_.floats() + int64_t{band.first} * out_.w * out_.c;
    float* const y = work.y + at;
    float* const middle = project_ ? work.scratch + middle_offset_ : y;
    if (expand_) {
      float* const kept = whole_ ? nullptr : work.scratch + kept_offset_;
      for (int p = 0; p < expand_->pieces(); p++) {
        for (int i = 0; i < band.images; i += near_) {
          Band part = band;
          part.x = band.x + i * in_.floats();
          part.images = static_cast<int>(Min(near_, band.images - i));
          Widen(part, p, have, work.scratch, kept, middle + i * out_.pixels() * wide_);
        }
      }
    } else {
      for (int i = 0; i < band.images; i++) {
        Deepen(band.x + i * in_.floats(), band.first, band.last,
               middle + i * out_.pixels() * wide_);
      }
    }
    if (!project_) return;
    const int64_t pixels = int64_t{band.images} * (band.last - band.first) * out_.w;
    Project(middle, pixels, work.residual == nullptr ? nullptr : work.residual + at, y);
  }

  // Output rows [begin, end) of one image, band by band.
  void RunRows(const Work& work, int image, int begin, int end) const {
    int64_t done = 0;  // input rows expanded so far
    for (int row = begin; row < end; row += band_rows_) {
      const Band band = {work.x + image * in_.floats(), row,
                         static_cast<int>(Min(row + band_rows_, end)), 1};
      const int64_t have = whole_ || row == begin ? 0 : Max(0, done - InputFrom(band.first));
      RunBand(work, image, band, have);
      done = InputTo(band.last - 1);
    }
  }

  Extent in_, out_;
  std::unique_ptr<Filters> expand_, project_;
  Depthwise depthwise_;
  int wide_;  // channels between expansion and projection
  int64_t expand_macs_ = 0;
  bool whole_ = true;  // a band is a whole image
  int band_rows_ = 1;
  int group_ = 1, near_ = 1;  // images whose wide outputs, and whose expanded pieces, are together
  int64_t middle_offset_ = 0, kept_offset_ = 0, kept_floats_ = 0;
};

}  // namespace

std::unique_ptr<Step> MakeBottleneck(const Extent& in, const Extent& out, const InferConv* expand,
                                     const InferConv& depthwise, const InferConv* project) {
  return std::make_unique<BottleneckStep>(in, out, expand, depthwise, project);
}

}  // namespace rhnas::engine::infer
