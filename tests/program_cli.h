// Runs the built program in a folder of its own and looks at what it wrote. The program is found
// through RHNAS_PROGRAM (default build/rhnas).
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "hw/json.h"

namespace rhnas {
namespace fs = std::filesystem;

inline std::string ProgramPath() {
  const char* path = std::getenv("RHNAS_PROGRAM");
  return fs::absolute(path != nullptr ? path : "build/rhnas").string();
}

inline std::string ReadAll(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

struct Outcome {
  int code = -1;  // exit code, or 1000 + signal
  std::string out, err;
};

class Cli : public ::testing::Test {
 protected:
  void SetUp() override {
    program_ = ProgramPath();
    if (!fs::exists(program_)) {
      GTEST_SKIP() << program_ << " is not built: run make, or set RHNAS_PROGRAM";
    }
    const std::string name = ::testing::UnitTest::GetInstance()->current_test_info()->name();
    dir_ = ::testing::TempDir() + "rhnas_cli_" + name + "_" + std::to_string(getpid());
    fs::remove_all(dir_);
    fs::create_directories(dir_);
  }
  void TearDown() override {
    if (!dir_.empty()) fs::remove_all(dir_);
  }

  // Starts the program in dir_ with standard output and error in files.
  pid_t Start(const std::vector<std::string>& words, const std::string& stdout_path = "",
              const std::vector<std::string>& environment = {}, bool no_disk = false) {
    const std::string out = stdout_path.empty() ? dir_ + "/.stdout" : stdout_path;
    const std::string err = dir_ + "/.stderr";
    const pid_t pid = fork();
    if (pid != 0) return pid;
    if (chdir(dir_.c_str()) != 0) _exit(120);
    const int out_fd = open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    const int err_fd = open(err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    dup2(out_fd, STDOUT_FILENO);
    dup2(err_fd, STDERR_FILENO);
    for (const std::string& variable : environment) putenv(const_cast<char*>(variable.c_str()));
    if (no_disk) {
      // Files cannot grow beyond what messages need: writes fail as on a full disk.
      struct rlimit limit = {2048, 2048};
      setrlimit(RLIMIT_FSIZE, &limit);
    }
    std::vector<char*> argv = {const_cast<char*>(program_.c_str())};
    for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    execv(program_.c_str(), argv.data());
    _exit(121);
  }

  Outcome Wait(pid_t pid) {
    int status = 0;
    waitpid(pid, &status, 0);
    Outcome outcome;
    outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
    outcome.out = ReadAll(dir_ + "/.stdout");
    outcome.err = ReadAll(dir_ + "/.stderr");
    return outcome;
  }

  Outcome Run(const std::vector<std::string>& words,
              const std::vector<std::string>& environment = {}, bool no_disk = false) {
    return Wait(Start(words, "", environment, no_disk));
  }

  // Waits until a file has at least so many lines; false when the child ends before.
  bool WaitForLines(pid_t pid, const std::string& path, int lines) {
    for (;;) {
      const std::string text = ReadAll(path);
      if (std::count(text.begin(), text.end(), '\n') >= lines) return true;
      siginfo_t info = {};
      if (waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
          info.si_pid == pid) {
        return false;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  }

  // A joint search of a few seconds.
  static std::vector<std::string> TinySearch(const std::string& out) {
    return {"search", "--train-size",
            "640",    "--test-size",
            "64",     "--batch",
            "32",     "--warmup-epochs",
            "1",      "--epochs",
            "2",      "--final-epochs",
            "1",      "--hw-evaluations",
            "32",     "--hw-final-evaluations",
            "64",     "--threads",
            "2",      "--seed",
            "5",      "--out",
            out};
  }
  static std::vector<std::string> With(std::vector<std::string> words,
                                       const std::vector<std::string>& more) {
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }

  std::string program_, dir_;
};

inline hw::Json ParseOrFail(const std::string& text) {
  const hw::Result<hw::Json> json = hw::ParseJson(text, "stdout");
  EXPECT_TRUE(json.ok()) << json.error() << "\n" << text;
  return json.ok() ? *json : hw::Json();
}

inline double NumberAt(const hw::Json& json, const std::string& key) {
  const hw::Json* value = json.Find(key);
  EXPECT_NE(value, nullptr) << "no key " << key;
  if (value == nullptr) return -1;
  EXPECT_EQ(value->type, hw::Json::Type::kNumber) << key;
  return value->number;
}

inline std::vector<std::string> Keys(const hw::Json& json) {
  std::vector<std::string> keys;
  for (const auto& member : json.members) keys.push_back(member.first);
  return keys;
}

}  // namespace rhnas
