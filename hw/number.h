// Doubles to and from text, the same in every locale: the host program may have called setlocale,
// and then strtod and printf write "0,5".
#pragma once

#include <string>

namespace rhnas::hw {

// Decimal or scientific form, whole string, finite after rounding. False otherwise.
bool ParseDouble(const std::string& text, double* value);
// Shortest of 15, 16 or 17 digits that reads back the same. REQUIRES: finite.
std::string FormatDouble(double value);
// For people: at most seven significant digits; integers exact. REQUIRES: finite.
std::string FormatShort(double value);
// To so many significant decimal digits; derived table values carry four.
double RoundDigits(double value, int digits = 4);
// The candidate with the smallest edit distance, for "did you mean"; empty when none is near (more
// than a third of the letters differ).
std::string Nearest(const std::string& word, const std::string* candidates, int count);

}  // namespace rhnas::hw
