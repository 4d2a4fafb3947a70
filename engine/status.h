// What can go wrong in the world (files, flags, tables), as a value.
//
// A caller's mistake (wrong shape) is RHNAS_CHECK (engine/check.h); a design point that cannot be
// built is a hw::Verdict. Neither is a Status. A message names what was found, what was expected
// and what to do, on one line, without a trailing full stop or newline.
#pragma once

#include <cstdarg>
#include <cstdio>
#include <string>
#include <utility>

namespace rhnas::engine {

#if defined(__GNUC__)
#define RHNAS_PRINTF(format_index, first_arg) \
  __attribute__((format(printf, format_index, first_arg)))
#else
#define RHNAS_PRINTF(format_index, first_arg)
#endif

// printf into a std::string.
RHNAS_PRINTF(1, 2) std::string Format(const char* format, ...);

class [[nodiscard]] Status {
 public:
  static Status Ok() { return Status(); }
  // Control characters in the message become '?'.
  RHNAS_PRINTF(1, 2) static Status Error(const char* format, ...);

  bool ok() const { return message_.empty(); }
  const std::string& message() const { return message_; }

 private:
  std::string message_;  // empty means success
};

// A value, or the Status that says why there is none.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}        // NOLINT: implicit by design
  Result(Status error) : status_(std::move(error)) {}  // NOLINT: implicit by design

  bool ok() const { return status_.ok(); }
  const Status& status() const { return status_; }
  // REQUIRES: ok().
  T& value() { return value_; }
  const T& value() const { return value_; }
  T& operator*() { return value_; }
  const T& operator*() const { return value_; }
  T* operator->() { return &value_; }
  const T* operator->() const { return &value_; }

 private:
  T value_{};
  Status status_;
};

}  // namespace rhnas::engine
