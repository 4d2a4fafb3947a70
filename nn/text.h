// Small helpers for names in messages and text forms. Nothing here depends on the locale.
#pragma once

#include <string>
#include <vector>

namespace rhnas::nn {

// Parts between separators; an empty text has one empty part.
std::vector<std::string> SplitText(const std::string& text, char separator);
std::string JoinText(const std::vector<std::string>& parts, const char* separator);
// Without spaces, tabs and line ends at both ends.
std::string Trim(const std::string& text);
// The name with the smallest edit distance to `text` (the first of equals).
// REQUIRES: names is not empty.
const std::string& Nearest(const std::string& text, const std::vector<std::string>& names);
// Decimal digits only, at most 9 of them; -1 where it is something else.
int ParseCount(const std::string& text);

}  // namespace rhnas::nn
