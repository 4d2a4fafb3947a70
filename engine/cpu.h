// Which instruction set the kernels run on. Chosen once, at first use, from what the CPU has, or
// by the environment variable RHNAS_TARGET (baseline, avx2, avx512, neon); an unknown or
// unsupported name there is an error at start-up, never a silent fallback.
#pragma once

#include <vector>

#include "engine/status.h"

namespace rhnas::engine {

enum class Target { kBaseline, kAvx2, kAvx512, kNeon };

const char* TargetName(Target target);
// Targets compiled in that this CPU can run, slowest first; kBaseline always.
std::vector<Target> SupportedTargets();
Target ActiveTarget();
// Forces a target. Not thread-safe: call between steps. Unknown or unsupported: an error that
// lists what is supported.
Status SetTarget(const std::string& name);
// Reads RHNAS_TARGET; programs call it first.
Status InitTargetFromEnvironment();

// Denormals to zero in the calling thread (x86 MXCSR FTZ/DAZ, AArch64 FPCR.FZ); without effect
// elsewhere. They cost up to 28x in small training loops.
void FlushDenormals();

}  // namespace rhnas::engine
