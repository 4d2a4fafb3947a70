// The nearest known word to one that is not known, for messages.
#pragma once

#include <string>
#include <vector>

namespace rhnas::search {

// Optimal string alignment distance, upper and lower case alike: insertions, deletions,
// substitutions and swaps of neighbours cost 1 each (Damerau 1964, without repeated edits).
int EditDistance(const std::string& a, const std::string& b);

// The candidate with the smallest distance (the first of equals; a word that only was cut short
// counts as distance 1), or empty when none comes within half of the word's length.
std::string Nearest(const std::string& word, const std::vector<std::string>& candidates);

// "a, b or c".
std::string JoinWords(const std::vector<std::string>& words);

// `unknown WHAT "WORD", did you mean "NEAREST"? (a, b or c)`; the list only when it is short.
std::string UnknownWord(const std::string& what, const std::string& word,
                        const std::vector<std::string>& candidates);

}  // namespace rhnas::search
