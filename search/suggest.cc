#include "search/suggest.h"

#include <algorithm>

namespace rhnas::search {

namespace {

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool Same(char a, char b) { return Lower(a) == Lower(b); }

bool StartsWith(const std::string& text, const std::string& start) {
  if (start.size() > text.size()) return false;
  return std::equal(start.begin(), start.end(), text.begin(), Same);
}

}  // namespace

int EditDistance(const std::string& a, const std::string& b) {
  const size_t n = a.size(), m = b.size();
  // Rows i-2, i-1 and i of the table.
  std::vector<int> before(m + 1), above(m + 1), row(m + 1);
  for (size_t j = 0; j <= m; ++j) above[j] = static_cast<int>(j);
  for (size_t i = 1; i <= n; ++i) {
    row[0] = static_cast<int>(i);
    for (size_t j = 1; j <= m; ++j) {
      const int differ = Same(a[i - 1], b[j - 1]) ? 0 : 1;
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + differ});
      const bool swapped = i > 1 && j > 1 && Same(a[i - 1], b[j - 2]) && Same(a[i - 2], b[j - 1]);
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    std::swap(before, above);
    std::swap(above, row);
  }
  return above[m];
}

std::string Nearest(const std::string& word, const std::vector<std::string>& candidates) {
  const int limit = std::max(2, static_cast<int>(word.size() / 2));
  int best = limit + 1;
  std::string nearest;
  for (const std::string& candidate : candidates) {
    int distance = EditDistance(word, candidate);
    if (word.size() >= 2 && StartsWith(candidate, word)) distance = std::min(distance, 1);
    if (distance < best) {
      best = distance;
      nearest = candidate;
    }
  }
  return nearest;
}

std::string JoinWords(const std::vector<std::string>& words) {
  std::string text;
  for (size_t i = 0; i < words.size(); ++i) {
    if (i > 0) text += i + 1 == words.size() ? " or " : ", ";
    text += words[i];
  }
  return text;
}

std::string UnknownWord(const std::string& what, const std::string& word,
                        const std::vector<std::string>& candidates) {
  // A list longer than this hides the suggestion rather than helping.
  constexpr size_t kLongestList = 20;
  std::string text = "unknown " + what + " \"" + word + "\"";
  const std::string nearest = Nearest(word, candidates);
  if (!nearest.empty()) text += ", did you mean \"" + nearest + "\"?";
  if (!candidates.empty() && candidates.size() <= kLongestList) {
    text += (nearest.empty() ? ", expected " : " (") + JoinWords(candidates);
    if (!nearest.empty()) text += ")";
  }
  return text;
}

}  // namespace rhnas::search
