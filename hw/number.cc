#include "hw/number.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <locale>
#include <sstream>
#include <vector>

namespace rhnas::hw {

bool ParseDouble(const std::string& text, double* value) {
  // The stream alone would take "inf", hexadecimal and leading spaces.
  if (text.empty() || text.find_first_not_of("0123456789+-.eE") != std::string::npos) return false;
  std::istringstream stream(text);
  stream.imbue(std::locale::classic());
  double parsed = 0;
  stream >> parsed;
  if (stream.fail() || stream.peek() != std::istringstream::traits_type::eof()) return false;
  if (!std::isfinite(parsed)) return false;
  *value = parsed;
  return true;
}

std::string FormatDouble(double value) {
  std::string text;
  for (int digits = 15; digits <= 17; ++digits) {
    std::ostringstream stream;
    stream.imbue(std::locale::classic());
    stream.precision(digits);
    stream << value;
    text = stream.str();
    double back = 0;
    if (ParseDouble(text, &back) && back == value) break;
  }
  return text;
}

std::string FormatShort(double value) {
  if (value == std::floor(value)) return FormatDouble(value);
  std::ostringstream stream;
  stream.imbue(std::locale::classic());
  stream.precision(7);
  stream << value;
  double rounded = value;
  ParseDouble(stream.str(), &rounded);
  return FormatDouble(rounded);  // 12345680 rather than 1.234568e+07
}

double RoundDigits(double value, int digits) {
  if (value == 0 || !std::isfinite(value)) return value;
  const int places = digits - 1 - static_cast<int>(std::floor(std::log10(std::abs(value))));
  // Division by a power of ten rounds to the decimal itself; multiplication by its inverse does
  // not.
  const double power = std::pow(10.0, std::abs(places));
  return places >= 0 ? std::round(value * power) / power : std::round(value / power) * power;
}

std::string Nearest(const std::string& word, const std::string* candidates, int count) {
  std::string best;
  size_t best_distance = std::numeric_limits<size_t>::max();
  std::vector<size_t> row;
  for (int i = 0; i < count; ++i) {
    const std::string& other = candidates[i];
    row.resize(other.size() + 1);
    for (size_t k = 0; k < row.size(); ++k) row[k] = k;
    for (size_t j = 0; j < word.size(); ++j) {
      size_t diagonal = row[0];
      row[0] = j + 1;
      for (size_t k = 0; k < other.size(); ++k) {
        const size_t substitute = diagonal + (word[j] == other[k] ? 0 : 1);
        diagonal = row[k + 1];
        row[k + 1] = std::min({substitute, row[k] + 1, row[k + 1] + 1});
      }
    }
    if (row.back() < best_distance) {
      best_distance = row.back();
      best = other;
    }
  }
  if (best.empty() || best_distance * 3 > std::max(word.size(), best.size()) + 2) return "";
  return best;
}

}  // namespace rhnas::hw
