// What a command writes: results on standard output, progress and errors on standard error. With
// --json standard output holds exactly one JSON document, an error included.
#pragma once

#include <string>

#include "engine/status.h"

namespace rhnas::search {

// Exit codes of the program.
inline constexpr int kExitOk = 0;
inline constexpr int kExitFailure =
    1;                                // bad file, infeasible constraint, invalid design, full disk
inline constexpr int kExitUsage = 2;  // unknown command, flag or value
inline constexpr int kExitInterrupted = 130;  // SIGINT, after saving
inline constexpr int kExitTerminated = 143;   // SIGTERM, after saving

class Console {
 public:
  Console(std::string command, bool json) : command_(std::move(command)), json_(json) {}

  bool json() const { return json_; }
  // Appends to standard output.
  void Print(const std::string& text);
  // One line on standard error.
  void Note(const std::string& line);
  // One line "rhnas COMMAND: MESSAGE" on standard error, {"error": .., "exit_code": ..} on standard
  // output with --json. Returns `code`.
  int Fail(int code, const std::string& message);
  int Fail(const engine::Status& status) { return Fail(kExitFailure, status.message()); }
  // A run that a signal ended after saving: says how to go on; returns 128 + the signal.
  int Stopped(const std::string& folder);
  // Flushes; a standard output that could not be written is a failure too.
  int Finish(int code);

 private:
  std::string command_;
  bool json_ = false;
};

}  // namespace rhnas::search
