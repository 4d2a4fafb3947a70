#include "search/flags.h"

#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <utility>

#include "search/suggest.h"

namespace rhnas::search {

using engine::Format;
using engine::Status;

namespace {

bool ParseInt(const std::string& text, int64_t* value) {
  if (text.empty()) return false;
  const size_t first = text[0] == '-' || text[0] == '+' ? 1 : 0;
  if (text.size() == first) return false;
  for (size_t i = first; i < text.size(); ++i) {
    if (text[i] < '0' || text[i] > '9') return false;
  }
  errno = 0;
  *value = std::strtoll(text.c_str(), nullptr, 10);
  return errno == 0;
}

bool ParseNumber(const std::string& text, double* value) {
  if (text.empty()) return false;
  // Decimal only: strtod alone would also take "nan", "inf", hexadecimal and leading blanks.
  if (text.find_first_not_of("0123456789+-.eE") != std::string::npos) return false;
  char* end = nullptr;
  *value = std::strtod(text.c_str(), &end);
  return end == text.c_str() + text.size() && std::isfinite(*value);
}

Status OutOfRange(const Flag& flag, const std::string& text) {
  return Status::Error("--%s: %s is outside %s", flag.name.c_str(), text.c_str(),
                       flag.range.c_str());
}

Status NotANumber(const Flag& flag, const std::string& text, const char* kind) {
  return Status::Error("--%s: expected %s%s%s, found \"%s\"", flag.name.c_str(), kind,
                       flag.range.empty() ? "" : " in ", flag.range.c_str(), text.c_str());
}

std::string RangeText(double low, double high) {
  if (std::isinf(high)) return "at least " + NumberText(low);
  return NumberText(low) + ".." + NumberText(high);
}

}  // namespace

std::string NumberText(double value) {
  // "100" rather than "1e+02"; below 2^53 a whole number is exact.
  if (std::fabs(value) < 1e15 && value == std::floor(value)) return Format("%.0f", value + 0.0);
  for (int digits = 1; digits < 17; ++digits) {
    std::string text = Format("%.*g", digits, value);
    if (std::strtod(text.c_str(), nullptr) == value) return text;
  }
  return Format("%.17g", value);
}

std::string NumberText(float value) {
  if (value == std::floor(value)) return NumberText(static_cast<double>(value));
  for (int digits = 1; digits < 9; ++digits) {
    std::string text = Format("%.*g", digits, static_cast<double>(value));
    if (std::strtof(text.c_str(), nullptr) == value) return text;
  }
  return Format("%.9g", static_cast<double>(value));
}

Flag& FlagSet::Add(Flag::Kind kind, const std::string& name, const std::string& placeholder,
                   const std::string& help) {
  flags_.emplace_back();
  Flag& flag = flags_.back();
  flag.kind = kind;
  flag.name = name;
  flag.placeholder = placeholder;
  flag.help = help;
  flag.group = group_;
  return flag;
}

Flag& FlagSet::Switch(const std::string& name, bool* value, const std::string& help) {
  Flag& flag = Add(Flag::Kind::kSwitch, name, "", help);
  flag.get = [value] { return std::string(*value ? "true" : "false"); };
  flag.fallback = flag.get();
  flag.set = [value, &flag](const std::string& text) {
    if (text != "true" && text != "false") {
      return Status::Error("--%s: expected true or false, found \"%s\"", flag.name.c_str(),
                           text.c_str());
    }
    *value = text == "true";
    return Status::Ok();
  };
  return flag;
}

Flag& FlagSet::Int(const std::string& name, int* value, int low, int high,
                   const std::string& help) {
  Flag& flag = Add(Flag::Kind::kInt, name, "N", help);
  flag.range = Format("%d..%d", low, high);
  flag.get = [value] { return Format("%d", *value); };
  flag.fallback = flag.get();
  flag.set = [value, low, high, &flag](const std::string& text) {
    int64_t number = 0;
    if (!ParseInt(text, &number)) return NotANumber(flag, text, "a whole number");
    if (number < low || number > high) return OutOfRange(flag, text);
    *value = static_cast<int>(number);
    return Status::Ok();
  };
  return flag;
}

Flag& FlagSet::Int64(const std::string& name, uint64_t* value, const std::string& help) {
  Flag& flag = Add(Flag::Kind::kInt, name, "N", help);
  // What a signed 64-bit reader of config.json can hold.
  flag.range = "0..9223372036854775807";
  flag.get = [value] { return Format("%lld", static_cast<long long>(*value)); };
  flag.fallback = flag.get();
  flag.set = [value, &flag](const std::string& text) {
    int64_t number = 0;
    if (!ParseInt(text, &number)) return NotANumber(flag, text, "a whole number");
    if (number < 0) return OutOfRange(flag, text);
    *value = static_cast<uint64_t>(number);
    return Status::Ok();
  };
  return flag;
}

Flag& FlagSet::Number(const std::string& name, double* value, double low, double high,
                      const std::string& help) {
  Flag& flag = Add(Flag::Kind::kNumber, name, "X", help);
  flag.range = RangeText(low, high);
  flag.get = [value] { return NumberText(*value); };
  flag.fallback = flag.get();
  flag.set = [value, low, high, &flag](const std::string& text) {
    double number = 0;
    if (!ParseNumber(text, &number)) return NotANumber(flag, text, "a number");
    if (number < low || number > high) return OutOfRange(flag, text);
    *value = number;
    return Status::Ok();
  };
  return flag;
}

Flag& FlagSet::Number(const std::string& name, float* value, double low, double high,
                      const std::string& help) {
  Flag& flag = Add(Flag::Kind::kNumber, name, "X", help);
  flag.range = RangeText(low, high);
  flag.get = [value] { return NumberText(*value); };
  flag.fallback = flag.get();
  flag.set = [value, low, high, &flag](const std::string& text) {
    double number = 0;
    if (!ParseNumber(text, &number)) return NotANumber(flag, text, "a number");
    if (number < low || number > high) return OutOfRange(flag, text);
    *value = static_cast<float>(number);
    return Status::Ok();
  };
  return flag;
}

Flag& FlagSet::Text(const std::string& name, const std::string& placeholder, std::string* value,
                    const std::string& help) {
  Flag& flag = Add(Flag::Kind::kText, name, placeholder, help);
  flag.get = [value] { return *value; };
  flag.fallback = flag.get();
  flag.set = [value](const std::string& text) {
    *value = text;
    return Status::Ok();
  };
  return flag;
}

Flag& FlagSet::Choice(const std::string& name, const std::vector<std::string>& choices,
                      const std::string& fallback, std::function<void(const std::string&)> set,
                      std::function<std::string()> get, const std::string& help) {
  Flag& flag = Add(Flag::Kind::kChoice, name, "NAME", help);
  flag.choices = choices;
  flag.fallback = fallback;
  flag.get = std::move(get);
  flag.set = [set = std::move(set), &flag](const std::string& text) {
    // The default may stand for "none" without being one of the choices.
    bool known = text == flag.fallback;
    for (const std::string& choice : flag.choices) known = known || choice == text;
    if (!known) {
      return Status::Error("--%s: %s", flag.name.c_str(),
                           UnknownWord("value", text, flag.choices).c_str());
    }
    set(text);
    return Status::Ok();
  };
  return flag;
}

Flag& FlagSet::Choice(const std::string& name, std::string* value,
                      const std::vector<std::string>& choices, const std::string& help) {
  return Choice(
      name, choices, *value, [value](const std::string& text) { *value = text; },
      [value] { return *value; }, help);
}

Flag& FlagSet::List(const std::string& name, const std::string& placeholder,
                    std::vector<std::string>* values, const std::string& help) {
  Flag& flag = Add(Flag::Kind::kList, name, placeholder, help);
  flag.storage = Flag::Storage::kNone;
  flag.get = [] { return std::string(); };
  flag.set = [values](const std::string& text) {
    values->push_back(text);
    return Status::Ok();
  };
  return flag;
}

void FlagSet::Positional(const std::string& /*placeholder*/, std::vector<std::string>* values) {
  positional_ = values;
}

Flag* FlagSet::FindMutable(const std::string& name) {
  for (Flag& flag : flags_) {
    if (flag.name == name) return &flag;
  }
  return nullptr;
}

const Flag* FlagSet::Find(const std::string& name) const {
  return const_cast<FlagSet*>(this)->FindMutable(name);
}

bool FlagSet::given(const std::string& name) const {
  const Flag* flag = Find(name);
  return flag != nullptr && flag->given;
}

Status FlagSet::Set(const std::string& name, const std::string& text) {
  Flag* flag = FindMutable(name);
  if (flag == nullptr) return UnknownFlag(name);
  return flag->set(text);
}

Status FlagSet::UnknownFlag(const std::string& name) const {
  std::vector<std::string> names;
  for (const Flag& flag : flags_) {
    names.push_back(flag.name);
    if (flag.kind == Flag::Kind::kSwitch) names.push_back("no-" + flag.name);
  }
  const std::string nearest = Nearest(name, names);
  if (nearest.empty()) return Status::Error("unknown flag --%s", name.c_str());
  return Status::Error("unknown flag --%s, did you mean --%s?", name.c_str(), nearest.c_str());
}

Status FlagSet::Parse(const std::vector<std::string>& words) {
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (word.compare(0, 2, "--") != 0 || word.size() == 2) {
      if (positional_ == nullptr) {
        return Status::Error("unexpected argument \"%s\": flags start with --", word.c_str());
      }
      positional_->push_back(word);
      continue;
    }
    const size_t equals = word.find('=');
    const bool has_value = equals != std::string::npos;
    const std::string name = word.substr(2, has_value ? equals - 2 : std::string::npos);
    const std::string value = has_value ? word.substr(equals + 1) : std::string();

    Flag* flag = FindMutable(name);
    bool negated = false;
    if (flag == nullptr && name.compare(0, 3, "no-") == 0) {
      flag = FindMutable(name.substr(3));
      negated = flag != nullptr && flag->kind == Flag::Kind::kSwitch;
      if (!negated) flag = nullptr;
    }
    if (flag == nullptr) return UnknownFlag(name);
    flag->given = true;

    if (flag->kind == Flag::Kind::kSwitch) {
      if (negated && has_value) {
        return Status::Error("--%s takes no value, found \"%s\"", name.c_str(), value.c_str());
      }
      const std::string wanted = has_value ? value : negated ? "false" : "true";
      if (Status status = flag->set(wanted); !status.ok()) return status;
      continue;
    }
    if (has_value) {
      if (Status status = flag->set(value); !status.ok()) return status;
      if (flag->kind != Flag::Kind::kList) continue;
    }
    int taken = has_value ? 1 : 0;
    while (i + 1 < words.size() && words[i + 1].compare(0, 2, "--") != 0) {
      if (Status status = flag->set(words[++i]); !status.ok()) return status;
      ++taken;
      if (flag->kind != Flag::Kind::kList) break;
    }
    if (taken == 0) {
      return Status::Error(
          "--%s needs a value (%s)", name.c_str(),
          flag->choices.empty() ? flag->placeholder.c_str() : JoinWords(flag->choices).c_str());
    }
  }
  return Status::Ok();
}

}  // namespace rhnas::search
