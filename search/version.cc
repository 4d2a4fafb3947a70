#include "search/version.h"

// The build passes the git commit: -DRHNAS_COMMIT='"abc1234"'.
#ifndef RHNAS_COMMIT
#define RHNAS_COMMIT ""
#endif

namespace rhnas::search {

const char kVersion[] = "0.1.0";
const char kCommit[] = RHNAS_COMMIT;

}  // namespace rhnas::search
