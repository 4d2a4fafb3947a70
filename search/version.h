// Version of the program and of what it writes.
#pragma once

// The build may pass the git commit: -DRHNAS_COMMIT='"abc1234"'.
#ifndef RHNAS_COMMIT
#define RHNAS_COMMIT ""
#endif

namespace rhnas::search {

inline constexpr char kVersion[] = "0.1.0";
inline constexpr char kCommit[] = RHNAS_COMMIT;  // empty: built outside a git clone

}  // namespace rhnas::search
