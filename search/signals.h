// SIGINT and SIGTERM as a flag that long work reads between steps, so that it can save and leave.
#pragma once

#include <atomic>

namespace rhnas::search {

// From here on the first SIGINT or SIGTERM sets the flag that is returned; the second ends the
// process at once with 128 + its number (files are replaced whole, so none is left half-written).
// Includes IgnoreWriteSignals.
const std::atomic<bool>& InstallStopSignals();

// SIGPIPE and SIGXFSZ become write errors: a closed terminal or a size limit must not cost the run,
// nor go by without a word.
void IgnoreWriteSignals();

// The signal that set the flag, 0 when none did.
int StopSignal();

}  // namespace rhnas::search
