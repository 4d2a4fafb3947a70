// Every operation of engine/ops.h once more, in double and as plainly as it can be written: what
// the operation table compares values and gradients with. Row-major, N H W C, as the operations.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "engine/conv.h"
#include "engine/tensor.h"

namespace rhnas::engine::reference {

using Doubles = std::vector<double>;

template <typename F>
Doubles Map(const Doubles& x, F f) {
  Doubles y(x.size());
  for (size_t i = 0; i < x.size(); ++i) y[i] = f(x[i]);
  return y;
}

template <typename F>
Doubles Zip(const Doubles& a, const Doubles& b, F f) {
  Doubles y(a.size());
  for (size_t i = 0; i < a.size(); ++i) y[i] = f(a[i], b[i % b.size()]);  // b may be a row
  return y;
}

inline double Relu(double x) { return std::max(x, 0.0); }
inline double Relu6(double x) { return std::min(std::max(x, 0.0), 6.0); }
inline double HSwish(double x) { return x * Relu6(x + 3) / 6; }

inline Doubles Matmul(const Doubles& a, const Doubles& b, int m, int n, int k, bool ta, bool tb) {
  Doubles c(static_cast<size_t>(m) * static_cast<size_t>(n));
  for (int i = 0; i < m; ++i) {
    for (int j = 0; j < n; ++j) {
      double sum = 0;
      for (int p = 0; p < k; ++p) {
        sum += a[static_cast<size_t>(ta ? p * m + i : i * k + p)] *
               b[static_cast<size_t>(tb ? j * k + p : p * n + j)];
      }
      c[static_cast<size_t>(i * n + j)] = sum;
    }
  }
  return c;
}

inline Doubles Conv2d(const ConvShape& s, const Doubles& x, const Doubles& f) {
  Doubles y(static_cast<size_t>(s.output_size()));
  const int cg = s.c / s.groups, kg = s.k / s.groups;
  size_t out = 0;
  for (int n = 0; n < s.n; ++n) {
    for (int oh = 0; oh < s.oh(); ++oh) {
      for (int ow = 0; ow < s.ow(); ++ow) {
        for (int k = 0; k < s.k; ++k, ++out) {
          for (int r = 0; r < s.r; ++r) {
            for (int q = 0; q < s.s; ++q) {
              const int h = oh * s.stride - s.pad + r, w = ow * s.stride - s.pad + q;
              if (h < 0 || h >= s.h || w < 0 || w >= s.w) continue;
              for (int c = 0; c < cg; ++c) {
                const int xc = k / kg * cg + c;
                y[out] += x[static_cast<size_t>(((n * s.h + h) * s.w + w) * s.c + xc)] *
                          f[static_cast<size_t>(((r * s.s + q) * cg + c) * s.k + k)];
              }
            }
          }
        }
      }
    }
  }
  return y;
}

// Normalisation with given statistics, or with the batch's own when mean is empty.
inline Doubles BatchNorm(const Doubles& x, const Doubles& gamma, const Doubles& beta, Doubles mean,
                         Doubles variance, double epsilon) {
  const size_t c = gamma.size(), rows = x.size() / c;
  if (mean.empty()) {
    mean.assign(c, 0);
    variance.assign(c, 0);
    for (size_t i = 0; i < x.size(); ++i) mean[i % c] += x[i] / static_cast<double>(rows);
    for (size_t i = 0; i < x.size(); ++i) {
      variance[i % c] += std::pow(x[i] - mean[i % c], 2) / static_cast<double>(rows);
    }
  }
  Doubles y(x.size());
  for (size_t i = 0; i < x.size(); ++i) {
    const size_t j = i % c;
    y[i] = (x[i] - mean[j]) / std::sqrt(variance[j] + epsilon) * gamma[j] + beta[j];
  }
  return y;
}

// mask empty: all allowed; otherwise one row or as many as x.
inline bool Allowed(const std::vector<uint8_t>& mask, size_t i) {
  return mask.empty() || mask[i % mask.size()] != 0;
}

inline Doubles LogSoftmax(const Doubles& x, size_t c, const std::vector<uint8_t>& mask = {}) {
  Doubles y(x.size());
  for (size_t row = 0; row < x.size(); row += c) {
    double max = -1e300, sum = 0;
    for (size_t j = row; j < row + c; ++j) max = Allowed(mask, j) ? std::max(max, x[j]) : max;
    for (size_t j = row; j < row + c; ++j) sum += Allowed(mask, j) ? std::exp(x[j] - max) : 0;
    for (size_t j = row; j < row + c; ++j) y[j] = Allowed(mask, j) ? x[j] - max - std::log(sum) : 0;
  }
  return y;
}

inline Doubles Softmax(const Doubles& x, size_t c, const std::vector<uint8_t>& mask = {}) {
  Doubles y = LogSoftmax(x, c, mask);
  for (size_t i = 0; i < y.size(); ++i) y[i] = Allowed(mask, i) ? std::exp(y[i]) : 0;
  return y;
}

inline double CrossEntropy(const Doubles& x, const std::vector<int32_t>& labels, double smoothing) {
  const size_t rows = labels.size(), c = x.size() / rows;
  const Doubles log_p = LogSoftmax(x, c);
  double loss = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const bool is_label = i % c == static_cast<size_t>(labels[i / c]);
    const double q = (is_label ? 1 - smoothing : 0) + smoothing / static_cast<double>(c);
    loss -= q * log_p[i] / static_cast<double>(rows);
  }
  return loss;
}

// fold(cells of the window inside the image) for each output cell and channel.
template <typename F>
Doubles Pool(const Doubles& x, const Shape& shape, int size, int stride, int pad, F fold) {
  const int n = shape.dim[0], h = shape.dim[1], w = shape.dim[2], c = shape.dim[3];
  const int oh = (h + 2 * pad - size) / stride + 1, ow = (w + 2 * pad - size) / stride + 1;
  Doubles y;
  for (int i = 0; i < n; ++i) {
    for (int a = 0; a < oh; ++a) {
      for (int b = 0; b < ow; ++b) {
        for (int ch = 0; ch < c; ++ch) {
          Doubles cells;
          for (int r = a * stride - pad; r < a * stride - pad + size; ++r) {
            for (int q = b * stride - pad; q < b * stride - pad + size; ++q) {
              if (r < 0 || r >= h || q < 0 || q >= w) continue;
              cells.push_back(x[static_cast<size_t>(((i * h + r) * w + q) * c + ch)]);
            }
          }
          y.push_back(fold(cells));
        }
      }
    }
  }
  return y;
}

inline double MaxOf(const Doubles& cells) { return *std::max_element(cells.begin(), cells.end()); }
inline double MeanOf(const Doubles& cells) {
  double sum = 0;
  for (double cell : cells) sum += cell;
  return sum / static_cast<double>(cells.size());
}

inline Doubles ChannelShuffle(const Doubles& x, size_t c, size_t groups) {
  Doubles y(x.size());
  const size_t width = c / groups;
  for (size_t i = 0; i < x.size(); ++i) {
    const size_t row = i / c, j = i % c;
    y[row * c + j % width * groups + j / width] = x[i];
  }
  return y;
}

}  // namespace rhnas::engine::reference
