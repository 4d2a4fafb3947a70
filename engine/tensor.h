// Shapes, aligned memory and parameters. Float32, row-major, images N H W C: channels innermost, so
// that a pointwise convolution (most of a depthwise-separable network) is a plain matrix product
// and every per-channel operation vectorises over contiguous memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace rhnas::engine {

// Up to four dimensions. A scalar has rank 0 and size 1.
struct Shape {
  int rank = 0;
  int dim[4] = {1, 1, 1, 1};

  Shape() = default;
  explicit Shape(int d0) : rank(1), dim{d0, 1, 1, 1} {}
  Shape(int d0, int d1) : rank(2), dim{d0, d1, 1, 1} {}
  Shape(int d0, int d1, int d2) : rank(3), dim{d0, d1, d2, 1} {}
  Shape(int d0, int d1, int d2, int d3) : rank(4), dim{d0, d1, d2, d3} {}

  int64_t size() const { return int64_t{dim[0]} * dim[1] * dim[2] * dim[3]; }
  // Innermost dimension (channels); 1 for a scalar.
  int last() const { return rank == 0 ? 1 : dim[rank - 1]; }
  // All other dimensions together: size() / last().
  int64_t rows() const { return size() / last(); }
  bool operator==(const Shape& other) const;
  bool operator!=(const Shape& other) const { return !(*this == other); }
  std::string ToString() const;  // "[64,32,32,3]"
};

// Owned floats, 64-byte aligned, zeroed, move-only.
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(int64_t size);
  ~Buffer();
  Buffer(Buffer&& other) noexcept;
  Buffer& operator=(Buffer&& other) noexcept;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  float* data() { return data_; }
  const float* data() const { return data_; }
  int64_t size() const { return size_; }
  float& operator[](int64_t i) { return data_[i]; }
  float operator[](int64_t i) const { return data_[i]; }
  void Fill(float value);

 private:
  float* data_ = nullptr;
  int64_t size_ = 0;
};

// A trained tensor. Lives in a module and outlives tapes; gradients accumulate until ZeroGrad.
struct Parameter {
  Parameter(std::string parameter_name, const Shape& parameter_shape);

  std::string name;  // unique within a model: the key in checkpoints and exports
  Shape shape;
  Buffer value;
  Buffer grad;
  bool decay = true;  // weight decay applies (not for batch norm and biases)
  // A backward pass reached it since ZeroGrad; optimisers skip others. While false, grad is all
  // zero: whoever writes grad by hand sets it.
  bool touched = false;

  void ZeroGrad();
};

}  // namespace rhnas::engine
