#include "search/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <chrono>
#include <cmath>

#include "engine/status.h"

namespace rhnas::search {

using engine::Format;

namespace {

// The rate is that of the last seconds, so that it follows the phases: a step of warm-up, of
// search and a hardware proposal take very different times.
constexpr double kRateWindowSeconds = 15;

}  // namespace

std::string ClockText(double seconds) {
  if (!(seconds >= 0) || seconds > 1e8) return "?";
  const long long whole = std::llround(seconds);
  const long long hours = whole / 3600, minutes = whole / 60 % 60, rest = whole % 60;
  if (hours > 0) return Format("%lld:%02lld:%02lld", hours, minutes, rest);
  return Format("%lld:%02lld", minutes, rest);
}

double ProgressPrinter::Rate() const {
  if (samples_.size() < 2) return 0;
  const double elapsed = samples_.back().time - samples_.front().time;
  if (elapsed <= 0) return 0;
  return static_cast<double>(samples_.back().done - samples_.front().done) / elapsed;
}

std::string ProgressPrinter::Line(const Progress& progress) const {
  const double total = static_cast<double>(progress.total);
  std::string text = Format("%-8s", progress.phase);
  if (progress.total > 0)
    text += Format(" %3.0f%%", 100 * static_cast<double>(progress.done) / total);
  if (progress.epoch_end) text += Format("  epoch %d", progress.epoch);
  const double rate = Rate();
  if (rate > 0 && progress.total >= progress.done) {
    text += "  " + ClockText(static_cast<double>(progress.total - progress.done) / rate) + " left";
  }
  if (rate > 0) text += Format("  %.*f %s/s", rate < 10 ? 2 : 0, rate, progress.unit);
  if (progress.loss != 0) text += Format("  loss %.2f", progress.loss);
  if (progress.accuracy > 0) text += Format("  acc %.1f%%", 100 * progress.accuracy);
  if (progress.share_valid > 0) {
    text += Format("  valid %.0f%%", 100 * progress.share_valid);
    // The reward of a valid design is -log(objective / objective of the default).
    text += Format("  hw %.2fx", std::exp(progress.reward));
  }
  return text;
}

void ProgressPrinter::Report(const Progress& progress) {
  const double now = options_.now();
  samples_.push_back({now, progress.done});
  while (samples_.size() > 2 && now - samples_[1].time >= kRateWindowSeconds) samples_.pop_front();

  // The search goes back and forth between network and hardware; only the first time is news.
  const bool new_phase = phases_.insert(progress.phase).second;
  const double interval = options_.terminal ? options_.refresh_seconds : options_.plain_seconds;
  const bool due = new_phase || now - printed_at_ >= interval;
  if (!due && !progress.epoch_end) return;
  printed_at_ = now;

  std::string line = Line(progress);
  if (!options_.terminal) {
    options_.write(line + "\n");
    return;
  }
  // The end of an epoch stays on the screen; between, the line is overwritten. One column less than
  // the width, or some terminals wrap.
  const size_t width = options_.columns > 1 ? static_cast<size_t>(options_.columns) - 1 : 1;
  if (line.size() > width) line.resize(width);
  options_.write("\r" + line + "\x1b[K" + (progress.epoch_end ? "\n" : ""));
  line_open_ = !progress.epoch_end;
}

void ProgressPrinter::Finish() {
  if (line_open_) options_.write("\n");
  line_open_ = false;
}

ProgressPrinter::Options StandardErrorProgress() {
  ProgressPrinter::Options options;
  options.write = [](const std::string& text) {
    std::fwrite(text.data(), 1, text.size(), stderr);
    std::fflush(stderr);
  };
  options.now = MonotonicSeconds;
  options.terminal = isatty(STDERR_FILENO) != 0;
  struct winsize size = {};
  if (options.terminal && ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    options.columns = size.ws_col;
  }
  return options;
}

double MonotonicSeconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace rhnas::search
