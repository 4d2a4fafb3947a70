// Version of the program and of what it writes.
#pragma once

namespace rhnas::search {

extern const char kVersion[];
extern const char kCommit[];  // empty: built outside a git clone

}  // namespace rhnas::search
