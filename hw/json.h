// A small JSON reader that remembers lines, and a writer with stable output.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "hw/result.h"

namespace rhnas::hw {

// Object members keep their order; numbers keep whether they were written as integers.
struct Json {
  enum class Type { kNull, kBool, kNumber, kString, kArray, kObject };
  Type type = Type::kNull;
  bool boolean = false;
  bool integer = false;  // a number without fraction or exponent that fits int64
  double number = 0;
  int64_t integer_value = 0;
  std::string string;
  std::vector<Json> items;                            // kArray
  std::vector<std::pair<std::string, Json>> members;  // kObject
  int line = 0;                                       // where it stands, from 1

  const Json* Find(const std::string& key) const;  // null when missing or not an object
  const char* TypeName() const;
};

// Strict RFC 8259, depth at most 64, duplicate keys are an error. Messages start with "path:line:
// ".
Result<Json> ParseJson(const std::string& text, const std::string& path);

// Writes one value; indents by two. Numbers: integers as they are, doubles in the shortest form
// that reads back the same; a non-finite double is written as null.
class JsonWriter {
 public:
  JsonWriter& BeginObject();
  JsonWriter& EndObject();
  JsonWriter& BeginArray();
  JsonWriter& EndArray();
  JsonWriter& Key(const std::string& key);
  JsonWriter& String(const std::string& value);
  JsonWriter& Int(int64_t value);
  JsonWriter& Double(double value);
  JsonWriter& Bool(bool value);
  JsonWriter& Null();
  // Pre-rendered JSON (from another writer).
  JsonWriter& Raw(const std::string& json);
  const std::string& text() const { return text_; }

 private:
  void Separate();
  void Indent();
  std::string text_;
  std::vector<bool> has_items_;
  bool after_key_ = false;
};

}  // namespace rhnas::hw
