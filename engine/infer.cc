// The program: values, memory, and the two ways to run it. See infer.h.
#include "engine/infer.h"

#include <vector>

#include "engine/check.h"
#include "engine/infer_internal.h"

namespace rhnas::engine {

using infer::CeilDiv;
using infer::Extent;
using infer::Max;
using infer::Min;
using infer::Work;

namespace {

// A worker takes several images through the network together, so that the filters of the deep
// layers are read once for all of them; as many as keep its activations within 2 MiB, a share of a
// third-level cache.
constexpr int64_t kChunkFloats = 512 * 1024;
constexpr int kMaxChunk = 8;
// Buffers start on a page's sixteenth line: neither cache sets nor store buffers collide.
constexpr int64_t kAlignFloats = 64;

int64_t Align(int64_t floats) { return CeilDiv(floats, kAlignFloats) * kAlignFloats; }

}  // namespace

struct InferProgram::Impl {
  struct ValueRecord {
    Extent extent;
    int last_use = -1;  // step
    int slot = -1;      // -1: the input or the output
  };
  struct StepRecord {
    std::unique_ptr<infer::Step> step;
    Value x, residual, y;
  };
  struct Slot {
    int64_t floats = 0, offset = 0;
    int free_after = -1;  // step that reads it last
  };
  std::vector<ValueRecord> values;
  std::vector<StepRecord> steps;
  std::vector<Slot> slots;
  int64_t slot_floats = 0;     // of all slots, one image
  int64_t scratch_floats = 0;  // of one worker
  int64_t shared_one = 0;      // between phases: one image, several threads
  int64_t shared_chunk = 0;    // between phases: a chunk, one worker
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
    values.push_back({out, -1, -1});
    steps.push_back({std::move(step), x, residual, y});
    return y;
  }

  // Where value v of the images of a chunk that starts at image `first` is.
  float* Place(Value v, float* slots_base, int images) const {
    const Slot& slot = slots[static_cast<size_t>(values[static_cast<size_t>(v)].slot)];
    return slots_base + slot.offset * images;
  }
  Work WorkOf(const StepRecord& record, const float* images, float* out, float* base,
              int count) const {
    const auto read = [&](Value v) -> const float* {
      return v == kImage ? images : Place(v, base, count);
    };
    Work work;
    work.x = read(record.x);
    work.residual = record.residual == kNone ? nullptr : read(record.residual);
    work.y = &record == &steps.back() ? out : Place(record.y, base, count);
    work.images = count;
    return work;
  }
  void RunChunk(const float* images, int count, float* out, float* memory) const;
  void RunShared(const float* image, float* out, float* slots_base, const conv::Scratch& scratch,
                 ThreadPool& pool) const;
};

InferProgram::InferProgram(int h, int w, int c) : impl_(std::make_unique<Impl>()) {
  RHNAS_CHECK(h >= 1 && w >= 1 && c >= 1, "images [%d,%d,%d]", h, w, c);
  impl_->values.push_back({{h, w, c}, -1, -1});
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

void InferProgram::Finish() {
  Impl& p = *impl_;
  RHNAS_CHECK(!p.finished && !p.steps.empty(), "nothing to finish");
  // Values in order of creation, each in the first slot whose reader came before; the output is the
  // caller's.
  for (size_t i = 0; i + 1 < p.steps.size(); i++) {
    Impl::ValueRecord& value = p.values[static_cast<size_t>(p.steps[i].y)];
    size_t slot = 0;
    while (slot < p.slots.size() && p.slots[slot].free_after >= static_cast<int>(i)) slot++;
    if (slot == p.slots.size()) p.slots.emplace_back();
    value.slot = static_cast<int>(slot);
    p.slots[slot].free_after = value.last_use;
    p.slots[slot].floats = Max(p.slots[slot].floats, Align(value.extent.floats()));
  }
  for (Impl::Slot& slot : p.slots) {
    slot.offset = p.slot_floats;
    p.slot_floats += slot.floats;
  }
  p.chunk = static_cast<int>(Max(1, Min(kMaxChunk, kChunkFloats / Max(1, p.slot_floats))));
  for (const Impl::StepRecord& record : p.steps) {
    p.scratch_floats = Max(p.scratch_floats, Align(record.step->scratch_floats()));
    p.shared_one = Max(p.shared_one, Align(record.step->shared_floats(1)));
    p.shared_chunk = Max(p.shared_chunk, Align(record.step->shared_floats(p.chunk)));
  }
  p.finished = true;
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
  const Impl& p = *impl_;
  const int64_t own = p.chunk * p.slot_floats + p.scratch_floats + p.shared_chunk;
  const int64_t shared = threads > 1 ? p.slot_floats + p.shared_one : 0;
  return (own * threads + shared) * int64_t{sizeof(float)};
}

// Some images through all steps, by one worker.
void InferProgram::Impl::RunChunk(const float* images, int count, float* out, float* memory) const {
  float* const shared = memory + chunk * slot_floats;
  for (const StepRecord& record : steps) {
    Work work = WorkOf(record, images, out, memory, count);
    work.shared = shared;
    work.scratch = shared + shared_chunk;
    for (int phase = 0; phase < record.step->phases(1); phase++) {
      record.step->Run(work, phase, 0);
    }
  }
}

// One image through all steps, each shared among the workers.
void InferProgram::Impl::RunShared(const float* image, float* out, float* slots_base,
                                   const conv::Scratch& scratch, ThreadPool& pool) const {
  for (const StepRecord& record : steps) {
    Work work = WorkOf(record, image, out, slots_base, 1);
    work.threads = pool.size();
    work.shared = slots_base + slot_floats;
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

void InferProgram::Run(const float* images, int n, float* out, ThreadPool& pool) const {
  const Impl& p = *impl_;
  RHNAS_CHECK(p.finished, "an unfinished program");
  RHNAS_CHECK(n >= 1, "%d images", n);
  const int threads = pool.size();
  const int64_t in_floats = p.At(kImage).floats(), out_floats = output_floats();
  const conv::Scratch scratch(pool, threads > 1 ? p.slot_floats + p.shared_one : 0,
                              p.chunk * p.slot_floats + p.scratch_floats + p.shared_chunk);
  // Whole rounds of all workers, then the rest.
  const int apart = threads == 1 ? n : n / threads * threads;
  const int64_t chunk = Min(p.chunk, CeilDiv(apart, int64_t{threads} * infer::kTasksPerThread));
  pool.ParallelFor(apart, Max(1, chunk), [&](int64_t begin, int64_t end, int worker) {
    float* const own = scratch.Own(worker);
    for (int64_t i = begin; i < end; i += p.chunk) {
      p.RunChunk(images + i * in_floats, static_cast<int>(Min(p.chunk, end - i)),
                 out + i * out_floats, own);
    }
  });
  for (int64_t i = apart; i < n; i++) {
    p.RunShared(images + i * in_floats, out + i * out_floats, scratch.shared(), scratch, pool);
  }
}

}  // namespace rhnas::engine
