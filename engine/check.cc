#include "engine/check.h"

#include <cstdlib>

namespace rhnas::engine {

namespace {

void PrintToStderr(const char* file, int line, const char* message) {
  std::fprintf(stderr, "%s:%d: %s\n", file, line, message);
}

CheckHandler g_handler = PrintToStderr;

}  // namespace

CheckHandler SetCheckHandler(CheckHandler handler) {
  CheckHandler before = g_handler;
  g_handler = handler != nullptr ? handler : PrintToStderr;
  return before;
}

void CheckFailed(const char* file, int line, const char* condition, const char* format, ...) {
  char detail[512];
  va_list args;
  va_start(args, format);
  std::vsnprintf(detail, sizeof detail, format, args);
  va_end(args);
  char message[768];
  std::snprintf(message, sizeof message, "check failed: %s: %s", condition, detail);
  g_handler(file, line, message);
  std::abort();
}

}  // namespace rhnas::engine
