// Checks of what the caller promised (shapes, axes, ranges): always on, at API boundaries.
//
// A failed check calls the handler with one line that holds both values. The default handler
// prints it to stderr and aborts. A host program or a test may install its own; if that one
// returns, the process aborts all the same, so a check never lets a broken call go on.
#pragma once

#include "engine/status.h"

namespace rhnas::engine {

using CheckHandler = void (*)(const char* file, int line, const char* message);

// Returns the handler that was installed before. Not thread-safe: install it before the work.
CheckHandler SetCheckHandler(CheckHandler handler);

[[noreturn]] RHNAS_PRINTF(4, 5) void CheckFailed(const char* file, int line, const char* condition,
                                                 const char* format, ...);

}  // namespace rhnas::engine

#define RHNAS_CHECK(condition, ...)                                                              \
  do {                                                                                           \
    if (!(condition)) ::rhnas::engine::CheckFailed(__FILE__, __LINE__, #condition, __VA_ARGS__); \
  } while (0)
