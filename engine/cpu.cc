#include "engine/cpu.h"

#include <atomic>
#include <cstdlib>

#include "engine/check.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace rhnas::engine {

namespace {

constexpr Target kAllTargets[] = {Target::kBaseline, Target::kAvx2, Target::kAvx512, Target::kNeon};

bool Supported(Target target) {
  switch (target) {
    case Target::kBaseline:
      return true;
#if defined(__x86_64__)
    // The compilers' run-time support also asks the operating system whether it saves the
    // registers.
    case Target::kAvx2:
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    case Target::kAvx512:
      return Supported(Target::kAvx2) && __builtin_cpu_supports("avx512f") &&
             __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
             __builtin_cpu_supports("avx512vl");
#elif defined(__aarch64__)
    case Target::kNeon:
      return true;
#endif
    default:
      return false;
  }
}

constexpr int kUnset = -1;
std::atomic<int> g_active{kUnset};

}  // namespace

const char* TargetName(Target target) {
  switch (target) {
    case Target::kBaseline:
      return "baseline";
    case Target::kAvx2:
      return "avx2";
    case Target::kAvx512:
      return "avx512";
    case Target::kNeon:
      return "neon";
  }
  return "unknown";
}

std::vector<Target> SupportedTargets() {
  std::vector<Target> targets;
  for (Target target : kAllTargets) {
    if (Supported(target)) targets.push_back(target);
  }
  return targets;
}

Target ActiveTarget() {
  const int active = g_active.load(std::memory_order_relaxed);
  if (active != kUnset) return static_cast<Target>(active);
  const Status status = InitTargetFromEnvironment();
  RHNAS_CHECK(status.ok(), "%s", status.message().c_str());
  return static_cast<Target>(g_active.load(std::memory_order_relaxed));
}

Status SetTarget(const std::string& name) {
  std::string supported;
  for (Target target : SupportedTargets()) {
    if (name == TargetName(target)) {
      g_active.store(static_cast<int>(target), std::memory_order_relaxed);
      return Status::Ok();
    }
    if (!supported.empty()) supported += ", ";
    supported += TargetName(target);
  }
  for (Target target : kAllTargets) {
    if (name == TargetName(target)) {
      return Status::Error("instruction set '%s': not supported on this machine; choose one of: %s",
                           name.c_str(), supported.c_str());
    }
  }
  return Status::Error("instruction set '%s': unknown; choose one of: %s", name.c_str(),
                       supported.c_str());
}

Status InitTargetFromEnvironment() {
  const char* name = std::getenv("RHNAS_TARGET");
  if (name != nullptr && name[0] != '\0') {
    const Status status = SetTarget(name);
    if (status.ok()) return status;
    return Status::Error("RHNAS_TARGET: %s", status.message().c_str());
  }
  g_active.store(static_cast<int>(SupportedTargets().back()), std::memory_order_relaxed);
  return Status::Ok();
}

void FlushDenormals() {
#if defined(__x86_64__)
  constexpr unsigned kFlushToZero = 0x8000, kDenormalsAreZero = 0x0040;  // MXCSR bits 15 and 6
  const unsigned before = _mm_getcsr(), after = before | kFlushToZero | kDenormalsAreZero;
  if (after != before) _mm_setcsr(after);  // writing costs more than reading
#elif defined(__aarch64__)
  constexpr uint64_t kFlushToZero = uint64_t{1} << 24;  // FPCR.FZ
  uint64_t fpcr;
  __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
  __asm__ volatile("msr fpcr, %0" : : "r"(fpcr | kFlushToZero));
#endif
}

}  // namespace rhnas::engine
