// Command-line flags, declared once: a row binds a name to a variable and gives its range and help.
// The same table parses the command line, prints the help, writes config.json and reads it back.
//
// A flag's default is what its variable holds when it is declared. `--flag value` and
// `--flag=value` both work; a switch is turned off by `--no-flag`; of a repeated flag the last one
// counts.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "engine/status.h"

namespace rhnas::search {

// Shortest decimal text that reads back as the same number.
std::string NumberText(double value);
std::string NumberText(float value);

struct Flag {
  enum class Kind { kSwitch, kInt, kNumber, kText, kChoice, kList };
  Kind kind = Kind::kText;
  std::string name;         // without the dashes
  std::string placeholder;  // "N", "DIR"
  std::string fallback;     // the default as text
  std::string range;        // "0..100", empty: any
  std::vector<std::string> choices;
  std::string help, group;
  bool given = false;   // on this command line
  bool needed = false;  // for the help: there is no default
  // Part of a run's config.json: fixed for the whole run; kept, but another value may be given when
  // the run is resumed, because no result depends on it; not part of it.
  enum class Storage { kFixed, kKept, kNone };
  Storage storage = Storage::kFixed;
  std::function<engine::Status(const std::string&)> set;
  std::function<std::string()> get;

  Flag& MayChange() {
    storage = Storage::kKept;
    return *this;
  }
  Flag& Needed() {
    needed = true;
    return *this;
  }
  Flag& NotStored() {
    storage = Storage::kNone;
    return *this;
  }
};

class FlagSet {
 public:
  FlagSet() = default;
  FlagSet(const FlagSet&) = delete;  // flags refer to themselves
  FlagSet& operator=(const FlagSet&) = delete;

  // Heading of the flags declared from here on.
  void Group(const std::string& title) { group_ = title; }

  Flag& Switch(const std::string& name, bool* value, const std::string& help);
  Flag& Int(const std::string& name, int* value, int low, int high, const std::string& help);
  Flag& Int64(const std::string& name, uint64_t* value, const std::string& help);
  Flag& Number(const std::string& name, double* value, double low, double high,
               const std::string& help);
  Flag& Number(const std::string& name, float* value, double low, double high,
               const std::string& help);
  Flag& Text(const std::string& name, const std::string& placeholder, std::string* value,
             const std::string& help);
  Flag& Choice(const std::string& name, std::string* value, const std::vector<std::string>& choices,
               const std::string& help);
  // A choice that stands for something else than a string.
  Flag& Choice(const std::string& name, const std::vector<std::string>& choices,
               const std::string& fallback, std::function<void(const std::string&)> set,
               std::function<std::string()> get, const std::string& help);
  // Takes every word up to the next flag.
  Flag& List(const std::string& name, const std::string& placeholder,
             std::vector<std::string>* values, const std::string& help);
  // Words without a flag go here; without it they are errors.
  void Positional(const std::string& placeholder, std::vector<std::string>* values);

  // Sets the variables. The error is one line with the nearest flag or value.
  engine::Status Parse(const std::vector<std::string>& words);
  // Sets one variable from text, as read from config.json.
  engine::Status Set(const std::string& name, const std::string& text);

  bool given(const std::string& name) const;
  const Flag* Find(const std::string& name) const;
  const std::deque<Flag>& flags() const { return flags_; }
  // The table as help text, 100 columns wide.
  std::string Help() const;

 private:
  Flag& Add(Flag::Kind kind, const std::string& name, const std::string& placeholder,
            const std::string& help);
  Flag* FindMutable(const std::string& name);
  engine::Status UnknownFlag(const std::string& name) const;
  std::deque<Flag> flags_;  // a deque: references stay valid
  std::string group_;
  std::vector<std::string>* positional_ = nullptr;
};

}  // namespace rhnas::search
