// Prints the progress of long work: on a terminal one line that is refreshed, elsewhere a plain
// line at every end of an epoch, when a phase comes for the first time, and now and then between.
#pragma once

#include <cstdio>
#include <deque>
#include <functional>
#include <set>
#include <string>

#include "search/joint_search.h"

namespace rhnas::search {

// "1:05", "2:03:04"; "?" for what is not known.
std::string ClockText(double seconds);

class ProgressPrinter {
 public:
  struct Options {
    std::function<void(const std::string&)> write;
    std::function<double()> now;  // seconds, monotonic
    bool terminal = false;
    int columns = 80;
    double refresh_seconds = 0.2;  // on a terminal
    double plain_seconds = 5;      // elsewhere, between ends of epochs
  };
  explicit ProgressPrinter(Options options) : options_(std::move(options)) {}

  void Report(const Progress& progress);
  // Ends the refreshed line.
  void Finish();

 private:
  std::string Line(const Progress& progress) const;
  double Rate() const;  // steps a second over the last seconds, 0 while not known

  struct Sample {
    double time;
    int64_t done;
  };
  Options options_;
  std::deque<Sample> samples_;
  std::set<std::string> phases_;  // seen
  double printed_at_ = -1e30;
  bool line_open_ = false;
};

// To standard error, as wide as the terminal when it is one.
ProgressPrinter::Options StandardErrorProgress();
// A command's sink: to standard error.
class CommandSink : public ProgressSink {
 public:
  void Report(const Progress& progress) override { printer_.Report(progress); }
  void Finish() { printer_.Finish(); }

 private:
  ProgressPrinter printer_{StandardErrorProgress()};
};
// Monotonic seconds.
double MonotonicSeconds();

}  // namespace rhnas::search
