#include "rl/dense.h"

#include <cmath>

namespace rhnas::rl {

namespace {

// Four sums at once, so that one addition need not wait for the last.
double Dot(const double* a, const double* b, int n) {
  double s0 = 0, s1 = 0, s2 = 0, s3 = 0;
  int i = 0;
  for (; i + 4 <= n; i += 4) {
    s0 += a[i] * b[i];
    s1 += a[i + 1] * b[i + 1];
    s2 += a[i + 2] * b[i + 2];
    s3 += a[i + 3] * b[i + 3];
  }
  for (; i < n; ++i) s0 += a[i] * b[i];
  return (s0 + s1) + (s2 + s3);
}

}  // namespace

bool Cholesky(int n, std::vector<double>* matrix) {
  for (int i = 0; i < n; ++i) {
    double* row = matrix->data() + static_cast<size_t>(i) * static_cast<size_t>(n);
    for (int j = 0; j <= i; ++j) {
      const double* other = matrix->data() + static_cast<size_t>(j) * static_cast<size_t>(n);
      const double sum = row[j] - Dot(row, other, j);
      if (j < i) {
        row[j] = sum / other[j];
      } else if (sum > 0) {
        row[j] = std::sqrt(sum);
      } else {
        return false;
      }
    }
  }
  return true;
}

void SolveLower(int n, const std::vector<double>& factor, double* x) {
  for (int i = 0; i < n; ++i) {
    const double* row = factor.data() + static_cast<size_t>(i) * static_cast<size_t>(n);
    x[i] = (x[i] - Dot(row, x, i)) / row[i];
  }
}

void SolveLowerTransposed(int n, const std::vector<double>& factor, double* x) {
  for (int i = n - 1; i >= 0; --i) {
    const double* row = factor.data() + static_cast<size_t>(i) * static_cast<size_t>(n);
    x[i] /= row[i];
    for (int k = 0; k < i; ++k) x[k] -= row[k] * x[i];
  }
}

void EigenSymmetric(int n, std::vector<double> matrix, std::vector<double>* vectors,
                    std::vector<double>* values) {
  const size_t size = static_cast<size_t>(n);
  auto a = [&](size_t i, size_t j) -> double& { return matrix[i * size + j]; };
  vectors->assign(size * size, 0);
  for (size_t i = 0; i < size; ++i) (*vectors)[i * size + i] = 1;
  constexpr int kMostSweeps = 60;  // it converges quadratically: some ten do
  for (int sweep = 0; sweep < kMostSweeps; ++sweep) {
    double off = 0, diagonal = 0;
    for (size_t i = 0; i < size; ++i) {
      diagonal += a(i, i) * a(i, i);
      for (size_t j = 0; j < i; ++j) off += a(i, j) * a(i, j);
    }
    if (off <= 1e-32 * diagonal) break;
    for (size_t p = 0; p + 1 < size; ++p) {
      for (size_t q = p + 1; q < size; ++q) {
        if (a(p, q) == 0) continue;
        const double theta = (a(q, q) - a(p, p)) / (2 * a(p, q));
        const double t = (theta < 0 ? -1 : 1) / (std::fabs(theta) + std::sqrt(theta * theta + 1));
        const double c = 1 / std::sqrt(t * t + 1), s = t * c;
        for (size_t k = 0; k < size; ++k) {
          const double kp = a(k, p), kq = a(k, q);
          a(k, p) = c * kp - s * kq;
          a(k, q) = s * kp + c * kq;
        }
        for (size_t k = 0; k < size; ++k) {
          const double pk = a(p, k), qk = a(q, k);
          a(p, k) = c * pk - s * qk;
          a(q, k) = s * pk + c * qk;
        }
        for (size_t k = 0; k < size; ++k) {
          double& vp = (*vectors)[k * size + p];
          double& vq = (*vectors)[k * size + q];
          const double old = vp;
          vp = c * old - s * vq;
          vq = s * old + c * vq;
        }
      }
    }
  }
  values->resize(size);
  for (size_t i = 0; i < size; ++i) (*values)[i] = a(i, i);
}

}  // namespace rhnas::rl
