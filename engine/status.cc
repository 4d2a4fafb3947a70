#include "engine/status.h"

namespace rhnas::engine {

namespace {

std::string FormatV(const char* format, va_list args) {
  va_list again;
  va_copy(again, args);
  const int length = std::vsnprintf(nullptr, 0, format, args);
  std::string text(length > 0 ? static_cast<size_t>(length) : 0, '\0');
  if (length > 0) std::vsnprintf(&text[0], text.size() + 1, format, again);
  va_end(again);
  return text;
}

}  // namespace

std::string Format(const char* format, ...) {
  va_list args;
  va_start(args, format);
  std::string text = FormatV(format, args);
  va_end(args);
  return text;
}

Status Status::Error(const char* format, ...) {
  Status status;
  va_list args;
  va_start(args, format);
  status.message_ = FormatV(format, args);
  va_end(args);
  if (status.message_.empty()) status.message_ = "unknown error";
  // One line, whatever a file or a user's word brought in.
  for (char& c : status.message_) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return status;
}

}  // namespace rhnas::engine
