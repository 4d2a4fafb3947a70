#include "search/console.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "hw/json.h"
#include "search/signals.h"

namespace rhnas::search {

void Console::Print(const std::string& text) { std::fwrite(text.data(), 1, text.size(), stdout); }

void Console::Note(const std::string& line) { std::fprintf(stderr, "%s\n", line.c_str()); }

int Console::Fail(int code, const std::string& message) {
  std::fprintf(stderr, "rhnas%s%s: %s\n", command_.empty() ? "" : " ", command_.c_str(),
               message.c_str());
  if (json_) {
    hw::JsonWriter json;
    json.BeginObject().Key("error").String(message).Key("exit_code").Int(code).EndObject();
    Print(json.text() + "\n");
  }
  return code;
}

int Console::Stopped(const std::string& folder) {
  Note("stopped, all is saved; go on with: rhnas " + command_ + " --resume " + folder);
  if (json_) {
    hw::JsonWriter json;
    json.BeginObject().Key("stopped").Bool(true).Key("resume").String(folder).EndObject();
    Print(json.text() + "\n");
  }
  return 128 + StopSignal();
}

int Console::Finish(int code) {
  errno = 0;
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return code;
  std::fprintf(stderr, "rhnas: cannot write to standard output%s%s\n", errno == 0 ? "" : ": ",
               errno == 0 ? "" : std::strerror(errno));
  return code == kExitOk ? kExitFailure : code;
}

}  // namespace rhnas::search
