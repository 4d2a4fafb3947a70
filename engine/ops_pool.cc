// Pooling. Each cell is a row of contiguous channels. See ops.h.
#include <cstring>

#include "engine/ops.h"
#include "engine/ops_internal.h"

namespace rhnas::engine {

namespace {

struct PoolShape {
  int n, h, w, c, size, stride, pad, oh, ow;

  int64_t input_image() const { return int64_t{h} * w * c; }
  int64_t output_image() const { return int64_t{oh} * ow * c; }
};

PoolShape CheckPool(const Shape& x, const PoolOptions& options, const char* operation) {
  internal::CheckRank(x, 4, operation);
  const int size = options.size, stride = options.stride, pad = options.pad;
  RHNAS_CHECK(size >= 1 && stride >= 1 && pad >= 0 && pad < size,
              "%s with size %d, stride %d, padding %d", operation, size, stride, pad);
  RHNAS_CHECK(x.dim[1] + 2 * pad >= size && x.dim[2] + 2 * pad >= size,
              "%s of %s: smaller than its window of %d", operation, x.ToString().c_str(), size);
  const int oh = (x.dim[1] + 2 * pad - size) / stride + 1;
  const int ow = (x.dim[2] + 2 * pad - size) / stride + 1;
  return {x.dim[0], x.dim[1], x.dim[2], x.dim[3], size, stride, pad, oh, ow};
}

// The part of a window that lies inside the image: [h0, h1) x [w0, w1). Never empty, as pad < size.
struct Window {
  int h0, h1, w0, w1;
  int cells() const { return (h1 - h0) * (w1 - w0); }
};

Window WindowAt(const PoolShape& s, int oh, int ow) {
  const int h = oh * s.stride - s.pad, w = ow * s.stride - s.pad;
  return {std::max(h, 0), std::min(h + s.size, s.h), std::max(w, 0), std::min(w + s.size, s.w)};
}

// fn(window, image n, output cell offset in y) for every output cell of the rows [begin, end) of
// N x OH.
template <typename F>
void ForCells(const PoolShape& s, int64_t begin, int64_t end, const F& fn) {
  for (int64_t row = begin; row < end; ++row) {
    const int64_t n = row / s.oh;
    for (int ow = 0; ow < s.ow; ++ow) {
      fn(WindowAt(s, static_cast<int>(row % s.oh), ow), n, (row * s.ow + ow) * s.c);
    }
  }
}

// fn(offset in x) for every cell of a window.
template <typename F>
void ForInputs(const PoolShape& s, const Window& window, int64_t n, const F& fn) {
  for (int h = window.h0; h < window.h1; ++h) {
    for (int w = window.w0; w < window.w1; ++w) fn(((n * s.h + h) * s.w + w) * s.c);
  }
}

int64_t OutputRowGrain(const PoolShape& s) {
  return std::max<int64_t>(1, internal::kGrain / (int64_t{s.ow} * s.c * s.size * s.size));
}

}  // namespace

Var MaxPool(Tape& tape, Var x, const PoolOptions& options) {
  const PoolShape s = CheckPool(tape.shape(x), options, "MaxPool");
  const Var out = tape.NewValue(Shape(s.n, s.oh, s.ow, s.c), tape.needs_grad(x));
  const float* vx = tape.value(x);
  float* y = tape.mutable_value(out);
  const auto& kernels = simd::Elementwise();
  tape.pool().ParallelFor(
      int64_t{s.n} * s.oh, OutputRowGrain(s), [&](int64_t begin, int64_t end, int) {
        ForCells(s, begin, end, [&](const Window& window, int64_t n, int64_t cell) {
          const float* best = nullptr;  // the first cell is read in place
          ForInputs(s, window, n, [&](int64_t at) {
            kernels.max(best != nullptr ? best : vx + at, vx + at, y + cell, s.c);
            best = y + cell;
          });
        });
      });
  if (tape.needs_grad(out)) {
    tape.OnBackward(out, [t = &tape, x, out, s] {
      const float *value = t->value(x), *best = t->value(out), *dout = t->grad(out);
      bool fresh = false;
      float* dx = t->AccumulateGrad(x, &fresh);
      const auto& k = simd::Elementwise();
      const size_t row_bytes = static_cast<size_t>(s.c) * sizeof(float);
      // Now, so that a warm step allocates nothing whoever gets which image.
      for (int worker = 0; worker < t->pool().size(); ++worker) {
        t->pool().Scratch(worker, row_bytes);
      }
      // Windows of one image may overlap, so an image is one worker's.
      t->pool().ParallelFor(s.n, 1, [&](int64_t begin, int64_t end, int worker) {
        float* remaining = static_cast<float*>(t->pool().Scratch(worker, row_bytes));
        if (fresh) {
          std::memset(dx + begin * s.input_image(), 0,
                      static_cast<size_t>((end - begin) * s.input_image()) * sizeof(float));
        }
        ForCells(s, begin * s.oh, end * s.oh, [&](const Window& window, int64_t n, int64_t cell) {
          std::memcpy(remaining, dout + cell, row_bytes);
          ForInputs(s, window, n, [&](int64_t at) {
            k.route_max(value + at, best + cell, remaining, dx + at, s.c);
          });
        });
      });
    });
  }
  return out;
}

Var AvgPool(Tape& tape, Var x, const PoolOptions& options) {
  const PoolShape s = CheckPool(tape.shape(x), options, "AvgPool");
  const Var out = tape.NewValue(Shape(s.n, s.oh, s.ow, s.c), tape.needs_grad(x));
  const float* vx = tape.value(x);
  float* y = tape.mutable_value(out);
  const auto& kernels = simd::Elementwise();
  tape.pool().ParallelFor(
      int64_t{s.n} * s.oh, OutputRowGrain(s), [&](int64_t begin, int64_t end, int) {
        ForCells(s, begin, end, [&](const Window& window, int64_t n, int64_t cell) {
          const float share = 1 / static_cast<float>(window.cells());
          bool first = true;
          ForInputs(s, window, n, [&](int64_t at) {
            kernels.scale(vx + at, share, y + cell, s.c, !first);
            first = false;
          });
        });
      });
  if (tape.needs_grad(out)) {
    tape.OnBackward(out, [t = &tape, x, out, s] {
      const float* dout = t->grad(out);
      bool fresh = false;
      float* dx = t->AccumulateGrad(x, &fresh);
      const auto& k = simd::Elementwise();
      t->pool().ParallelFor(s.n, 1, [&](int64_t begin, int64_t end, int) {
        if (fresh) {
          std::memset(dx + begin * s.input_image(), 0,
                      static_cast<size_t>((end - begin) * s.input_image()) * sizeof(float));
        }
        ForCells(s, begin * s.oh, end * s.oh, [&](const Window& window, int64_t n, int64_t cell) {
          const float share = 1 / static_cast<float>(window.cells());
          ForInputs(s, window, n,
                    [&](int64_t at) { k.scale(dout + cell, share, dx + at, s.c, true); });
        });
      });
    });
  }
  return out;
}

Var GlobalAvgPool(Tape& tape, Var x) {
  const Shape shape = tape.shape(x);
  internal::CheckRank(shape, 4, "GlobalAvgPool");
  const int n = shape.dim[0], c = shape.dim[3];
  const int64_t cells = int64_t{shape.dim[1]} * shape.dim[2];
  const Var out = tape.NewValue(Shape(n, c), tape.needs_grad(x));
  const float* vx = tape.value(x);
  float* y = tape.mutable_value(out);
  const float share = 1 / static_cast<float>(cells);
  const auto& kernels = simd::Elementwise();
  const int64_t grain = std::max<int64_t>(1, internal::kGrain / (cells * c));
  tape.pool().ParallelFor(n, grain, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) {
      kernels.column_sum(vx + i * cells * c, cells, c, y + i * c);
      kernels.scale(y + i * c, share, y + i * c, c, false);
    }
  });
  if (tape.needs_grad(out)) {
    tape.OnBackward(out, [t = &tape, x, out, n, c, cells, share, grain] {
      const float* dout = t->grad(out);
      bool fresh = false;
      float* dx = t->AccumulateGrad(x, &fresh);
      const auto& k = simd::Elementwise();
      t->pool().ParallelFor(n, grain, [&](int64_t begin, int64_t end, int) {
        for (int64_t i = begin; i < end; ++i) {
          k.broadcast_row(dout + i * c, share, dx + i * cells * c, cells, c, !fresh);
        }
      });
    });
  }
  return out;
}

}  // namespace rhnas::engine
