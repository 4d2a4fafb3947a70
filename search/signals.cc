#include "search/signals.h"

#include <unistd.h>
#include <csignal>

namespace rhnas::search {

namespace {

std::atomic<bool> g_stop{false};
std::atomic<int> g_signal{0};
// A handler may only touch lock-free atomics.
static_assert(std::atomic<bool>::is_always_lock_free && std::atomic<int>::is_always_lock_free);

extern "C" void OnStopSignal(int signal_number) {
  if (g_stop.exchange(true)) _exit(128 + signal_number);
  g_signal.store(signal_number);
}

}  // namespace

const std::atomic<bool>& InstallStopSignals() {
  struct sigaction action = {};
  action.sa_handler = OnStopSignal;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  IgnoreWriteSignals();
  return g_stop;
}

void IgnoreWriteSignals() {
  struct sigaction ignore = {};
  ignore.sa_handler = SIG_IGN;
  sigemptyset(&ignore.sa_mask);
  sigaction(SIGPIPE, &ignore, nullptr);
  sigaction(SIGXFSZ, &ignore, nullptr);
}

int StopSignal() { return g_signal.load(); }

}  // namespace rhnas::search
