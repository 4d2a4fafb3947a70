// The program: values, memory, and the two ways to run it. See infer.h.
#include "engine/infer.h"

#include <vector>

#include "engine/check.h"
#include "engine/cpu.h"
#include "engine/infer_internal.h"

namespace rhnas::engine {

using infer::CeilDiv;
using infer::Extent;
using infer::Max;
using infer::Min;
using infer::Work;

namespace {

// A worker takes several images through the network together, so that the filters of the deep
// layers are read once for all of them; the early layers, whose activations are large, take as many
// of these at a time as keep within 256 KiB, half of a second-level cache.
constexpr int64_t kNearFloats = 64 * 1024;
constexpr int kMaxChunk = 8;
constexpr int64_t kAlignFloats = 16;  // a cache line

int64_t Align(int64_t floats) { return CeilDiv(floats, kAlignFloats) * kAlignFloats; }

}  // namespace

struct InferProgram::Impl {
  struct ValueRecord {
    Extent extent;
    int last_use = -1;    // step
    int segment = -1;     // of the step that writes it; -1: the input
    int64_t offset = -1;  // for one image, in its segment's memory; -1: it leaves the segment
  };
  struct StepRecord {
    std::unique_ptr<infer::Step> step;
    Value x, residual, y;
  };
  // Steps that take so many images at a time. One value enters, one leaves.
  struct Segment {
    int first = 0, last = 0;  // steps [first, last)
    int images = 1;
    int64_t floats = 0;  // of the values inside it, one image
  };
  std::vector<ValueRecord> values;
  std::vector<StepRecord> steps;
  std::vector<Segment> segments;
  int64_t passed_floats = 0;   // largest value between segments, one image
  int64_t scratch_floats = 0;  // of one worker
  int chunk = 1;
  bool finished = false, closed = false;

  const Extent& At(Value v) const {
    RHNAS_CHECK(v >= 0 && v < static_cast<int>(values.size()), "value %d of %d", v,
                static_cast<int>(values.size()));
    return values[static_cast<size_t>(v)].extent;
  }

  Value Add(std::unique_ptr<infer::Step> step, Value x, Value residual, const Extent& out) {
    RHNAS_CHECK(!finished && !closed, "a layer after the last");
    const int index = static_cast<int>(steps.size());
    values[static_cast<size_t>(x)].last_use = index;
    if (residual != kNone) {
      const Extent& r = At(residual);
      RHNAS_CHECK(r.h == out.h && r.w == out.w && r.c == out.c,
                  "residual [%d,%d,%d] of an output [%d,%d,%d]", r.h, r.w, r.c, out.h, out.w,
                  out.c);
      values[static_cast<size_t>(residual)].last_use = index;
    }
    const Value y = static_cast<int>(values.size());
    values.push_back(ValueRecord());
    values.back().extent = out;
    steps.push_back({std::move(step), x, residual, y});
    return y;
  }

  void CutSegments();
  void PlaceValues(int segment);

  // Memory for `images` images together: values inside segments, two places for values between
  // them (an even and an odd segment's), what steps share between phases.
  struct Layout {
    int images;
    int64_t passed, shared, floats;
  };
  Layout LayoutFor(int images) const;
  float* Place(const Layout& layout, float* memory, Value v, int image) const;
  Work WorkOf(const StepRecord& record, const Layout& layout, const float* images, float* out,
              float* memory, int first, int count) const;
  void RunChunk(const float* images, int count, float* out, float* memory) const;
  void RunShared(const float* image, float* out, const conv::Scratch& scratch,
                 ThreadPool& pool) const;
};

InferProgram::InferProgram(int h, int w, int c) : impl_(std::make_unique<Impl>()) {
  RHNAS_CHECK(h >= 1 && w >= 1 && c >= 1, "images [%d,%d,%d]", h, w, c);
  impl_->values.push_back(Impl::ValueRecord());
  impl_->values.back().extent = {h, w, c};
}

InferProgram::~InferProgram() = default;

namespace {

Extent Output(const Extent& in, int k, int r, int s, int stride, int pad) {
  RHNAS_CHECK(k >= 1 && r >= 1 && s >= 1 && stride >= 1 && pad >= 0, "%d filters %dx%d / %d + %d",
              k, r, s, stride, pad);
  RHNAS_CHECK(in.h + 2 * pad >= r && in.w + 2 * pad >= s, "window %dx%d on a padded image of %dx%d",
              r, s, in.h + 2 * pad, in.w + 2 * pad);
  return {(in.h + 2 * pad - r) / stride + 1, (in.w + 2 * pad - s) / stride + 1, k};
}

Extent Output(const Extent& in, const InferConv& conv) {
  RHNAS_CHECK(conv.groups >= 1 && in.c % conv.groups == 0 && conv.k % conv.groups == 0,
              "%d input and %d output channels in %d groups", in.c, conv.k, conv.groups);
  return Output(in, conv.k, conv.r, conv.s, conv.stride, conv.pad);
}

bool IsPointwise(const InferConv& conv) {
  return conv.r == 1 && conv.s == 1 && conv.stride == 1 && conv.pad == 0;
}

}  // namespace

InferProgram::Value InferProgram::Conv(Value x, const InferConv& conv, Value residual) {
  const Extent in = impl_->At(x), out = Output(in, conv);
  if (conv.groups > 1 && conv.groups == in.c && conv.groups == conv.k && residual == kNone) {
    return Bottleneck(x, nullptr, conv, nullptr);
  }
  return impl_->Add(infer::MakeConv(in, out, conv), x, residual, out);
}

InferProgram::Value InferProgram::Bottleneck(Value x, const InferConv* expand,
                                             const InferConv& depthwise, const InferConv* project,
                                             Value residual) {
  const Extent in = impl_->At(x);
  RHNAS_CHECK(expand == nullptr || IsPointwise(*expand), "the expansion is a %dx%d at stride %d",
              expand->r, expand->s, expand->stride);
  RHNAS_CHECK(project == nullptr || IsPointwise(*project), "the projection is a %dx%d at stride %d",
              project->r, project->s, project->stride);
  const Extent wide = expand != nullptr ? Output(in, *expand) : in;
  RHNAS_CHECK(depthwise.groups == wide.c && depthwise.k == wide.c,
              "a depthwise layer of %d groups on %d channels", depthwise.groups, wide.c);
  RHNAS_CHECK(depthwise.s <= conv::kMaxDepthwiseWidth, "a depthwise filter of width %d, at most %d",
              depthwise.s, conv::kMaxDepthwiseWidth);
  RHNAS_CHECK(project != nullptr || residual == kNone, "a residual without a projection");
  const Extent middle = Output(wide, depthwise);
  const Extent out = project != nullptr ? Output(middle, *project) : middle;
  return impl_->Add(infer::MakeBottleneck(in, out, expand, depthwise, project), x, residual, out);
}

InferProgram::Value InferProgram::MaxPool(Value x, int size, int stride, int pad) {
  RHNAS_CHECK(pad < size, "max pooling of %dx%d with padding %d", size, size, pad);
  const Extent in = impl_->At(x), out = Output(in, in.c, size, size, stride, pad);
  return impl_->Add(infer::MakeMaxPool(in, out, size, stride, pad), x, kNone, out);
}

InferProgram::Value InferProgram::Subsample(Value x, int stride, int channels) {
  const Extent in = impl_->At(x), out = Output(in, channels, 1, 1, stride, 0);
  RHNAS_CHECK(channels >= in.c, "%d channels padded to %d", in.c, channels);
  return impl_->Add(infer::MakeSubsample(in, out, stride), x, kNone, out);
}

void InferProgram::Classifier(Value x, const float* weight, const float* bias, int classes) {
  const Extent in = impl_->At(x);
  impl_->Add(infer::MakeClassifier(in, weight, bias, classes), x, kNone, {1, 1, classes});
  impl_->closed = true;
}

// Where only one value is alive, the number of images at a time may change: by the largest step up
// to there.
void InferProgram::Impl::CutSegments() {
  int last_use = -1;  // of all values so far but the newest
  int64_t most = 1;
  int begin = 0;
  for (int i = 0; i < static_cast<int>(steps.size()); i++) {
    const StepRecord& record = steps[static_cast<size_t>(i)];
    most = Max(most, At(record.x).floats() + At(record.y).floats() +
                         (record.residual == kNone || record.residual == record.x
                              ? 0
                              : At(record.residual).floats()));
    const bool alone = last_use <= i;
    last_use = static_cast<int>(Max(last_use, values[static_cast<size_t>(record.y)].last_use));
    if (!alone && i + 1 < static_cast<int>(steps.size())) continue;
    const int images = static_cast<int>(Max(1, Min(kMaxChunk, kNearFloats / most)));
    if (segments.empty() || segments.back().images != images) {
      segments.emplace_back();
      segments.back().first = begin;
      segments.back().images = images;
    }
    segments.back().last = begin = i + 1;
    chunk = static_cast<int>(Max(chunk, images));
    most = 1;
  }
}

// Values of a segment, in order of creation, each in the first place whose reader came before.
void InferProgram::Impl::PlaceValues(int index) {
  struct Slot {
    int64_t floats;
    int free_after;  // step that reads it last
  };
  Segment& segment = segments[static_cast<size_t>(index)];
  std::vector<Slot> slots;
  std::vector<int> slot_of;
  for (int i = segment.first; i < segment.last; i++) {
    ValueRecord& value = values[static_cast<size_t>(steps[static_cast<size_t>(i)].y)];
    value.segment = index;
    if (i + 1 == segment.last) {
      passed_floats = Max(passed_floats, Align(value.extent.floats()));
      continue;
    }
    size_t slot = 0;
    while (slot < slots.size() && slots[slot].free_after >= i) slot++;
    if (slot == slots.size()) slots.push_back({0, -1});
    slots[slot].free_after = value.last_use;
    slots[slot].floats = Max(slots[slot].floats, Align(value.extent.floats()));
    slot_of.push_back(static_cast<int>(slot));
  }
  std::vector<int64_t> offset;
  for (const Slot& slot : slots) {
    offset.push_back(segment.floats);
    segment.floats += slot.floats;
  }
  for (size_t i = 0; i < slot_of.size(); i++) {
    const Value y = steps[static_cast<size_t>(segment.first) + i].y;
    values[static_cast<size_t>(y)].offset = offset[static_cast<size_t>(slot_of[i])];
  }
}

void InferProgram::Finish() {
  Impl& p = *impl_;
  RHNAS_CHECK(!p.finished && !p.steps.empty(), "nothing to finish");
  p.CutSegments();
  for (int i = 0; i < static_cast<int>(p.segments.size()); i++) p.PlaceValues(i);
  for (const Impl::StepRecord& record : p.steps) {
    p.scratch_floats = Max(p.scratch_floats, Align(record.step->scratch_floats()));
  }
  p.finished = true;
}

InferProgram::Impl::Layout InferProgram::Impl::LayoutFor(int images) const {
  Layout layout = {images, 0, 0, 0};
  int64_t shared_floats = 0;
  for (const Segment& segment : segments) {
    layout.passed = Max(layout.passed, segment.floats * Min(segment.images, images));
    for (int i = segment.first; i < segment.last; i++) {
      const int together = static_cast<int>(Min(segment.images, images));
      shared_floats =
          Max(shared_floats, Align(steps[static_cast<size_t>(i)].step->shared_floats(together)));
    }
  }
  layout.shared = layout.passed + 2 * passed_floats * images;
  layout.floats = layout.shared + shared_floats;
  return layout;
}

// Value v of image `image` of those together, or of the first of its segment's.
float* InferProgram::Impl::Place(const Layout& layout, float* memory, Value v, int image) const {
  const ValueRecord& value = values[static_cast<size_t>(v)];
  if (value.offset >= 0) {
    const Segment& segment = segments[static_cast<size_t>(value.segment)];
    return memory + value.offset * Min(segment.images, layout.images);
  }
  return memory + layout.passed + value.segment % 2 * passed_floats * layout.images +
         image * value.extent.floats();
}

Work InferProgram::Impl::WorkOf(const StepRecord& record, const Layout& layout, const float* images,
                                float* out, float* memory, int first, int count) const {
  const auto read = [&](Value v) -> const float* {
    return v == kImage ? images + first * At(v).floats() : Place(layout, memory, v, first);
  };
  Work work;
  work.x = read(record.x);
  work.residual = record.residual == kNone ? nullptr : read(record.residual);
  work.y = &record == &steps.back() ? out + first * At(record.y).floats()
                                    : Place(layout, memory, record.y, first);
  work.images = count;
  work.shared = memory + layout.shared;
  return work;
}

// Some images through all steps, by one worker.
void InferProgram::Impl::RunChunk(const float* images, int count, float* out, float* memory) const {
  const Layout layout = LayoutFor(chunk);
  for (const Segment& segment : segments) {
    for (int first = 0; first < count; first += segment.images) {
      for (int i = segment.first; i < segment.last; i++) {
        const StepRecord& record = steps[static_cast<size_t>(i)];
        Work work = WorkOf(record, layout, images, out, memory, first,
                           static_cast<int>(Min(segment.images, count - first)));
        work.scratch = memory + layout.floats;
        for (int phase = 0; phase < record.step->phases(1); phase++) {
          record.step->Run(work, phase, 0);
        }
      }
    }
  }
}

// One image through all steps, each shared among the workers.
void InferProgram::Impl::RunShared(const float* image, float* out, const conv::Scratch& scratch,
                                   ThreadPool& pool) const {
  const Layout layout = LayoutFor(1);
  for (const StepRecord& record : steps) {
    Work work = WorkOf(record, layout, image, out, scratch.shared(), 0, 1);
    work.threads = pool.size();
    for (int phase = 0; phase < record.step->phases(work.threads); phase++) {
      pool.ParallelFor(record.step->tasks(phase, work.threads), 1,
                       [&](int64_t begin, int64_t end, int worker) {
                         Work mine = work;
                         mine.scratch = scratch.Own(worker);
                         for (int64_t task = begin; task < end; task++) {
                           record.step->Run(mine, phase, task);
                         }
                       });
    }
  }
}

int64_t InferProgram::output_floats() const {
  return impl_->values[static_cast<size_t>(impl_->steps.back().y)].extent.floats();
}

int64_t InferProgram::weight_bytes() const {
  int64_t floats = 0;
  for (const Impl::StepRecord& record : impl_->steps) floats += record.step->weight_floats();
  return floats * int64_t{sizeof(float)};
}

int64_t InferProgram::work_bytes(int threads) const {
  const int64_t own = impl_->LayoutFor(impl_->chunk).floats + impl_->scratch_floats;
  const int64_t shared = threads > 1 ? impl_->LayoutFor(1).floats : 0;
  return (own * threads + shared) * int64_t{sizeof(float)};
}

void InferProgram::Run(const float* images, int n, float* out, ThreadPool& pool) const {
  const Impl& p = *impl_;
  RHNAS_CHECK(p.finished, "an unfinished program");
  RHNAS_CHECK(n >= 1, "%d images", n);
  FlushDenormals();
  const int threads = pool.size();
  const int64_t in_floats = p.At(kImage).floats(), out_floats = output_floats();
  const conv::Scratch scratch(pool, threads > 1 ? p.LayoutFor(1).floats : 0,
                              p.LayoutFor(p.chunk).floats + p.scratch_floats);
  // Whole rounds of all workers, then the rest.
  const int apart = threads == 1 ? n : n / threads * threads;
  const int64_t tasks = Max(CeilDiv(apart, p.chunk), Min(apart, threads));
  pool.ParallelFor(tasks, 1, [&](int64_t begin, int64_t end, int worker) {
    for (int64_t task = begin; task < end; task++) {
      const int64_t first = apart * task / tasks, last = apart * (task + 1) / tasks;
      p.RunChunk(images + first * in_floats, static_cast<int>(last - first),
                 out + first * out_floats, scratch.Own(worker));
    }
  });
  for (int64_t i = apart; i < n; i++) {
    p.RunShared(images + i * in_floats, out + i * out_floats, scratch, pool);
  }
}

}  // namespace rhnas::engine
