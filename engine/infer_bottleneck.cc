// [1x1] - depthwise - [1x1] as one step of an InferProgram. See infer.h.
//
// The wide tensor never exists as a whole. For a band of output rows and a piece of the channels,
// the expansion writes the rows that the depthwise layer needs into a buffer of first- or
// second-level cache size, the depthwise layer reads them there and writes its piece of the band's
// wide outputs, and when all pieces are through, the projection reads those. The rows that the next
// band needs again are kept, not computed twice.
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

// Estimates for the choice of a split: multiply-adds of a core in a nanosecond, floats it gets from
// a shared cache, and what it costs to hand out work once.
constexpr double kMacsPerNs = 50, kFloatsPerNs = 8, kDispatchNs = 2000;

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
      project_macs_ = out.floats() * (wide_ / project->groups);
    }
    expand_macs_ = expand == nullptr ? 0 : in.pixels() * wide_ * (in.c / expand->groups);
    depthwise_macs_ = out.pixels() * wide_ * depthwise.r * depthwise.s;
    PlanBands();
  }

  int phases(int threads) const override { return ByChannels(threads) ? 2 : 1; }

  int64_t tasks(int phase, int threads) const override {
    if (threads == 1) return 1;
    if (!ByChannels(threads)) return Min(threads, out_.h);
    if (phase == 0) return Min(expand_->pieces(), int64_t{threads} * kTasksPerThread);
    return Min(project_->pieces(), int64_t{threads} * kTasksPerThread);
  }

  int64_t scratch_floats() const override { return kept_offset_ + kept_floats_; }
  int64_t shared_floats(int) const override { return whole_ ? out_.pixels() * wide_ : 0; }
  int64_t weight_floats() const override {
    return depthwise_.floats() + (expand_ ? expand_->floats() : 0) +
           (project_ ? project_->floats() : 0);
  }

  void Run(const Work& work, int phase, int64_t task) const override {
    const int64_t count = tasks(phase, work.threads);
    if (ByChannels(work.threads)) {
      const int64_t pieces = phase == 0 ? expand_->pieces() : project_->pieces();
      const int first = static_cast<int>(pieces * task / count);
      const int last = static_cast<int>(pieces * (task + 1) / count);
      if (phase == 0) {
        Band band = {work.x, 0, out_.h, 1};
        for (int p = first; p < last; p++) {
          Widen(band, p, 0, work.scratch, nullptr, work.shared);
        }
      } else {
        Project(work.shared, out_.pixels(), work.residual, work.y, first, last);
      }
      return;
    }
    if (work.threads > 1) {
      const int begin = static_cast<int>(out_.h * task / count);
      return RunRows(work, 0, begin, static_cast<int>(out_.h * (task + 1) / count));
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
      if (expand_) near_ = static_cast<int>(Max(1, kNearFloats / expanded_floats(rows)));
      if (near_ > group_) near_ = group_;
    }
    middle_offset_ = CeilDiv(near_ * expanded_floats(rows), 16) * 16;
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

  // Several threads on one image: by rows, each computing the expanded rows at its edges anew and
  // reading all filters, or by channels in two phases, with the wide outputs passed between cores.
  bool ByChannels(int threads) const {
    if (threads == 1 || !whole_ || !expand_ || !project_) return false;
    const double parts = static_cast<double>(Min(threads, out_.h));
    const double share = static_cast<double>(CeilDiv(out_.h, static_cast<int64_t>(parts))) / out_.h;
    const double filters = static_cast<double>(expand_->floats() + project_->floats());
    const double halo = static_cast<double>(depthwise_.r() - depthwise_.stride()) /
                        static_cast<double>(in_.h) * (parts > 1 ? 1 : 0);
    const double macs = static_cast<double>(expand_macs_ + depthwise_macs_ + project_macs_);
    const double by_rows =
        (macs * share + static_cast<double>(expand_macs_) * halo / 2) / kMacsPerNs +
        filters / kFloatsPerNs;
    const double by_channels = macs / threads / kMacsPerNs + filters / threads / kFloatsPerNs +
                               static_cast<double>(out_.pixels() * wide_) / threads / kFloatsPerNs +
                               kDispatchNs;
    return by_channels < by_rows;
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
      RowsOf(source, band, column, columns, middle + image * out_.pixels() * wide_ + column);
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

  void RowsOf(const Depthwise::Source& source, const Band& band, int column, int columns,
              float* y) const {
    for (int row = band.first; row < band.last; row++, y += int64_t{out_.w} * wide_) {
      depthwise_.Row(source, row, column, columns, y, wide_, out_.w);
    }
  }

  void Project(const float* middle, int64_t pixels, const float* residual, float* y, int first,
               int last) const {
    conv::Block block;
    block.x = middle;
    block.x_pixel = wide_;
    block.y = y;
    block.y_pixel = out_.c;
    block.pixels = pixels;
    project_->Run(block, residual, out_.c, 0, first, last);
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
        Depthwise::Source source;
        source.x = band.x + i * in_.floats();
        source.x_pixel = in_.c;
        source.x_row = int64_t{in_.w} * in_.c;
        source.h = in_.h;
        source.w = in_.w;
        float* const to = middle + i * out_.pixels() * wide_;
        // A block of channels whose rows stay near, as far as the image's width allows.
        const int block = static_cast<int>(Max(
            kNarrowPiece, kNearFloats / (in_.w * depthwise_.r()) / kNarrowPiece * kNarrowPiece));
        for (int c = 0; c < wide_; c += block) {
          Depthwise::Source part = source;
          part.x += c;
          RowsOf(part, band, c, static_cast<int>(Min(block, wide_ - c)), to + c);
        }
      }
    }
    if (!project_) return;
    const int64_t pixels = int64_t{band.images} * (band.last - band.first) * out_.w;
    Project(middle, pixels, work.residual == nullptr ? nullptr : work.residual + at, y, 0,
            project_->pieces());
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
  int64_t expand_macs_ = 0, depthwise_macs_ = 0, project_macs_ = 0;
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
