// Shapes, aligned buffers and parameters.
#include "engine/tensor.h"

#include <cstdint>
#include <cstring>
#include <new>
#include <utility>

#include "engine/check.h"

namespace rhnas::engine {

namespace {

constexpr std::align_val_t kAlignment{64};  // one cache line, one AVX-512 register

}  // namespace

bool Shape::operator==(const Shape& other) const {
  if (rank != other.rank) return false;
  for (int i = 0; i < rank; ++i) {
    if (dim[i] != other.dim[i]) return false;
  }
  return true;
}

std::string Shape::ToString() const {
  std::string text = "[";
  for (int i = 0; i < rank; ++i) {
    if (i > 0) text += ',';
    text += std::to_string(dim[i]);
  }
  return text + "]";
}

Buffer::Buffer(int64_t size) : size_(size) {
  RHNAS_CHECK(size >= 0, "a buffer of %lld floats", static_cast<long long>(size));
  RHNAS_CHECK(static_cast<uint64_t>(size) <= SIZE_MAX / sizeof(float),
              "a buffer of %lld floats: more than memory has addresses for",
              static_cast<long long>(size));
  if (size == 0) return;
  const size_t bytes = static_cast<size_t>(size) * sizeof(float);
  data_ = static_cast<float*>(::operator new(bytes, kAlignment, std::nothrow));
  RHNAS_CHECK(data_ != nullptr, "out of memory: asked for %zu bytes", bytes);
  std::memset(data_, 0, bytes);
}

Buffer::~Buffer() { ::operator delete(data_, kAlignment); }

Buffer::Buffer(Buffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  if (this != &other) {
    ::operator delete(data_, kAlignment);
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
  }
  return *this;
}

void Buffer::Fill(float value) {
  for (int64_t i = 0; i < size_; ++i) data_[i] = value;
}

Parameter::Parameter(std::string parameter_name, const Shape& parameter_shape)
    : name(std::move(parameter_name)),
      shape(parameter_shape),
      value(parameter_shape.size()),
      grad(parameter_shape.size()) {}

void Parameter::ZeroGrad() {
  // An untouched gradient is zero already; a supernet holds many more weights than a step reaches.
  if (touched && grad.size() > 0) {
    std::memset(grad.data(), 0, static_cast<size_t>(grad.size()) * sizeof(float));
  }
  touched = false;
}

}  // namespace rhnas::engine
