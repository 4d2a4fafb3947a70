// The help text of a flag table (search/flags.h).
#include "search/flags.h"
#include "search/manual.h"
#include "search/suggest.h"

namespace rhnas::search {

namespace {

// Appends words to `text`, broken before column 100, continued at column `indent`.
void Wrap(const std::string& words, size_t indent, size_t column, std::string* text) {
  constexpr size_t kColumns = 100;
  size_t begin = 0;
  while (begin < words.size()) {
    size_t end = words.find(' ', begin);
    if (end == std::string::npos) end = words.size();
    const size_t length = end - begin;
    if (column > indent && column + 1 + length > kColumns) {
      *text += "\n" + std::string(indent, ' ');
      column = indent;
    } else if (column > indent) {
      *text += ' ';
      ++column;
    }
    text->append(words, begin, length);
    column += length;
    begin = end + 1;
  }
}

// "0..10, default 3", "needed".
std::string Facts(const Flag& flag) {
  if (flag.needed) return "needed";
  std::string by_default = flag.fallback.empty() ? "none" : flag.fallback;
  if (flag.kind == Flag::Kind::kSwitch) by_default = flag.fallback == "true" ? "on" : "off";
  std::string facts;
  // A range that is only that of the number type tells nothing.
  if (!flag.range.empty() && flag.range.size() < 20) facts = flag.range + ", ";
  return flag.kind == Flag::Kind::kList ? "" : facts + "default " + by_default;
}

}  // namespace

std::string FullHelp(const Flag& flag) {
  std::string text = flag.help;
  if (!flag.choices.empty()) text += "; " + JoinWords(flag.choices);
  const std::string facts = Facts(flag);
  return facts.empty() ? text : text + " (" + facts + ")";
}

std::string FlagSet::Help() const {
  constexpr size_t kColumn = 30;
  std::string text, group;
  for (const Flag& flag : flags_) {
    if (flag.group != group || text.empty()) {
      group = flag.group;
      text += (text.empty() ? "" : "\n") + (group.empty() ? std::string("Flags") : group) + ":\n";
    }
    std::string left = "  --";
    if (flag.kind == Flag::Kind::kSwitch && flag.fallback == "true") left += "[no-]";
    left += flag.name;
    if (flag.kind != Flag::Kind::kSwitch) left += " " + flag.placeholder;
    if (flag.kind == Flag::Kind::kList) left += "...";

    text += left;
    if (left.size() + 2 > kColumn) {
      text += "\n" + std::string(kColumn, ' ');
    } else {
      text += std::string(kColumn - left.size(), ' ');
    }
    Wrap(FullHelp(flag), kColumn, kColumn, &text);
    text += "\n";
  }
  return text;
}

}  // namespace rhnas::search
