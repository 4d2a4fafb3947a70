// A value or one line that says why there is none. hw/ includes only hw/, so that the accelerator
// model can be lifted out alone; this is its whole error machinery.
#pragma once

#include <string>
#include <utility>

namespace rhnas::hw {

// "PATH:LINE: what was found, what was expected, what to do", one line.
struct Error {
  std::string message;
};

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)), ok_(true) {}       // NOLINT: implicit by design
  Result(Error error) : error_(std::move(error)), ok_(false) {}  // NOLINT: implicit by design
  bool ok() const { return ok_; }
  const std::string& error() const { return error_.message; }
  // REQUIRES: ok().
  T& value() { return value_; }
  const T& value() const { return value_; }
  T& operator*() { return value_; }
  const T& operator*() const { return value_; }
  T* operator->() { return &value_; }
  const T* operator->() const { return &value_; }

 private:
  T value_{};
  Error error_;
  bool ok_;
};

}  // namespace rhnas::hw
