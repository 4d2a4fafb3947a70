// Recursive-descent JSON after RFC 8259. Nothing beyond the standard is accepted: no comments, no
// trailing commas, no duplicate keys.
#include "hw/json.h"

#include <cmath>
#include <cstdio>

#include "hw/number.h"

namespace rhnas::hw {
namespace {

constexpr int kMaxDepth = 64;

class Parser {
 public:
  Parser(const std::string& text, const std::string& path) : text_(text), path_(path) {}

  Result<Json> Run() {
    Json root;
    SkipSpace();
    if (AtEnd()) Fail("empty file, expected a JSON value");
    if (!failed_ && ParseValue(&root, 0)) {
      SkipSpace();
      if (!AtEnd()) Fail("found " + Here() + " after the end of the value, expected nothing");
    }
    if (failed_) return Error{error_};
    return root;
  }

 private:
  bool AtEnd() const { return at_ >= text_.size(); }
  char Peek() const { return AtEnd() ? '\0' : text_[at_]; }

  // What stands at the cursor, printable.
  std::string Here() const {
    if (AtEnd()) return "end of file";
    const unsigned char c = static_cast<unsigned char>(text_[at_]);
    if (c >= 0x20 && c < 0x7f) return std::string("'") + text_[at_] + "'";
    char buffer[16];
    std::snprintf(buffer, sizeof buffer, "byte 0x%02x", c);
    return buffer;
  }

  bool Fail(const std::string& what) {
    if (!failed_) error_ = path_ + ":" + std::to_string(line_) + ": " + what;
    failed_ = true;
    return false;
  }

  void SkipSpace() {
    for (; !AtEnd(); ++at_) {
      const char c = text_[at_];
      if (c == '\n') {
        ++line_;
      } else if (c != ' ' && c != '\t' && c != '\r') {
        return;
      }
    }
  }

  bool Literal(const char* word) {
    const std::string expected(word);
    if (text_.compare(at_, expected.size(), expected) != 0) {
      return Fail("found " + Here() + ", expected a value (" + expected + "?)");
    }
    at_ += expected.size();
    return true;
  }

  bool ParseValue(Json* value, int depth) {
    if (depth > kMaxDepth) return Fail("nested deeper than 64 levels");
    value->line = line_;
    switch (Peek()) {
      case '{':
        return ParseObject(value, depth);
      case '[':
        return ParseArray(value, depth);
      case '"':
        value->type = Json::Type::kString;
        return ParseString(&value->string);
      case 't':
        value->type = Json::Type::kBool;
        value->boolean = true;
        return Literal("true");
      case 'f':
        value->type = Json::Type::kBool;
        return Literal("false");
      case 'n':
        return Literal("null");
      default:
        return ParseNumber(value);
    }
  }

  bool ParseObject(Json* value, int depth) {
    value->type = Json::Type::kObject;
    ++at_;
    SkipSpace();
    if (Peek() == '}') {
      ++at_;
      return true;
    }
    for (;;) {
      SkipSpace();
      if (Peek() != '"') return Fail("found " + Here() + ", expected a key in double quotes");
      std::string key;
      if (!ParseString(&key)) return false;
      if (const Json* first = value->Find(key)) {
        return Fail("key \"" + key + "\" appears twice (first in line " +
                    std::to_string(first->line) + ")");
      }
      SkipSpace();
      if (Peek() != ':') return Fail("found " + Here() + ", expected ':' after \"" + key + "\"");
      ++at_;
      SkipSpace();
      value->members.emplace_back(key, Json());
      if (!ParseValue(&value->members.back().second, depth + 1)) return false;
      SkipSpace();
      if (Peek() == '}') {
        ++at_;
        return true;
      }
      if (Peek() != ',') return Fail("found " + Here() + ", expected ',' or '}'");
      ++at_;
    }
  }

  bool ParseArray(Json* value, int depth) {
    value->type = Json::Type::kArray;
    ++at_;
    SkipSpace();
    if (Peek() == ']') {
      ++at_;
      return true;
    }
    for (;;) {
      SkipSpace();
      value->items.emplace_back();
      if (!ParseValue(&value->items.back(), depth + 1)) return false;
      SkipSpace();
      if (Peek() == ']') {
        ++at_;
        return true;
      }
      if (Peek() != ',') return Fail("found " + Here() + ", expected ',' or ']'");
      ++at_;
    }
  }

  bool Hex4(unsigned* code) {
    *code = 0;
    for (int i = 0; i < 4; ++i, ++at_) {
      const char c = Peek();
      unsigned digit = 0;
      if (c >= '0' && c <= '9') {
        digit = static_cast<unsigned>(c - '0');
      } else if (c >= 'a' && c <= 'f') {
        digit = static_cast<unsigned>(c - 'a') + 10;
      } else if (c >= 'A' && c <= 'F') {
        digit = static_cast<unsigned>(c - 'A') + 10;
      } else {
        return Fail("found " + Here() + " in a \\u escape, expected four hexadecimal digits");
      }
      *code = *code * 16 + digit;
    }
    return true;
  }

  static void AppendUtf8(unsigned code, std::string* out) {
    if (code < 0x80) {
      out->push_back(static_cast<char>(code));
    } else if (code < 0x800) {
      out->push_back(static_cast<char>(0xc0 | (code >> 6)));
      out->push_back(static_cast<char>(0x80 | (code & 0x3f)));
    } else if (code < 0x10000) {
      out->push_back(static_cast<char>(0xe0 | (code >> 12)));
      out->push_back(static_cast<char>(0x80 | ((code >> 6) & 0x3f)));
      out->push_back(static_cast<char>(0x80 | (code & 0x3f)));
    } else {
      out->push_back(static_cast<char>(0xf0 | (code >> 18)));
      out->push_back(static_cast<char>(0x80 | ((code >> 12) & 0x3f)));
      out->push_back(static_cast<char>(0x80 | ((code >> 6) & 0x3f)));
      out->push_back(static_cast<char>(0x80 | (code & 0x3f)));
    }
  }

  bool ParseEscape(std::string* out) {
    static const char kFrom[] = "\"\\/bfnrt";
    static const char kTo[] = "\"\\/\b\f\n\r\t";
    const char c = Peek();
    for (int i = 0; kFrom[i] != '\0'; ++i) {
      if (c == kFrom[i]) {
        out->push_back(kTo[i]);
        ++at_;
        return true;
      }
    }
    if (c != 'u')
      return Fail("found " + Here() + " after a backslash, expected one of \"\\/bfnrtu");
    ++at_;
    unsigned code = 0;
    if (!Hex4(&code)) return false;
    if (code >= 0xd800 && code < 0xdc00) {  // the first half of a surrogate pair
      unsigned low = 0;
      if (text_.compare(at_, 2, "\\u") != 0) return Fail("half a surrogate pair in a \\u escape");
      at_ += 2;
      if (!Hex4(&low)) return false;
      if (low < 0xdc00 || low > 0xdfff) return Fail("half a surrogate pair in a \\u escape");
      code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    } else if (code >= 0xdc00 && code <= 0xdfff) {
      return Fail("half a surrogate pair in a \\u escape");
    }
    AppendUtf8(code, out);
    return true;
  }

  bool ParseString(std::string* out) {
    ++at_;
    while (!AtEnd()) {
      const char c = text_[at_];
      if (c == '"') {
        ++at_;
        return true;
      }
      if (static_cast<unsigned char>(c) < 0x20) {
        return Fail("found " + Here() + " inside a string, expected its closing '\"'");
      }
      ++at_;
      if (c != '\\') {
        out->push_back(c);
      } else if (!ParseEscape(out)) {
        return false;
      }
    }
    return Fail("found end of file inside a string, expected its closing '\"'");
  }

  size_t Digits() {
    const size_t begin = at_;
    while (Peek() >= '0' && Peek() <= '9') ++at_;
    return at_ - begin;
  }

  bool ParseNumber(Json* value) {
    const size_t begin = at_;
    bool integer = true;
    if (Peek() == '-') ++at_;
    const size_t first = at_;
    const size_t digits = Digits();
    if (digits == 0) return Fail("found " + Here() + ", expected a value");
    if (digits > 1 && text_[first] == '0') return Fail("a number starts with 0, remove the zero");
    if (Peek() == '.') {
      ++at_;
      integer = false;
      if (Digits() == 0) return Fail("found " + Here() + ", expected a digit after '.'");
    }
    if (Peek() == 'e' || Peek() == 'E') {
      ++at_;
      integer = false;
      if (Peek() == '+' || Peek() == '-') ++at_;
      if (Digits() == 0) return Fail("found " + Here() + ", expected a digit of the exponent");
    }
    const std::string number = text_.substr(begin, at_ - begin);
    value->type = Json::Type::kNumber;
    if (!ParseDouble(number, &value->number)) {
      return Fail("number " + number + " is out of range of a double");
    }
    // 18 digits always fit int64.
    if (integer && digits <= 18) {
      int64_t magnitude = 0;
      for (size_t i = first; i < at_; ++i) magnitude = magnitude * 10 + (text_[i] - '0');
      value->integer = true;
      value->integer_value = number[0] == '-' ? -magnitude : magnitude;
    }
    return true;
  }

  const std::string& text_;
  const std::string& path_;
  size_t at_ = 0;
  int line_ = 1;
  bool failed_ = false;
  std::string error_;
};

std::string Quote(const std::string& value) {
  std::string out = "\"";
  for (const char c : value) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          char buffer[8];
          std::snprintf(buffer, sizeof buffer, "\\u%04x",
                        static_cast<unsigned>(static_cast<unsigned char>(c)));
          out += buffer;
        } else {
          out.push_back(c);
        }
    }
  }
  out.push_back('"');
  return out;
}

}  // namespace

const Json* Json::Find(const std::string& key) const {
  for (const auto& member : members) {
    if (member.first == key) return &member.second;
  }
  return nullptr;
}

const char* Json::TypeName() const {
  switch (type) {
    case Type::kNull:
      return "null";
    case Type::kBool:
      return "a boolean";
    case Type::kNumber:
      return "a number";
    case Type::kString:
      return "a string";
    case Type::kArray:
      return "an array";
    case Type::kObject:
      return "an object";
  }
  return "?";
}

Result<Json> ParseJson(const std::string& text, const std::string& path) {
  return Parser(text, path).Run();
}

void JsonWriter::Indent() {
  text_.push_back('\n');
  text_.append(2 * has_items_.size(), ' ');
}

void JsonWriter::Separate() {
  if (after_key_) {
    after_key_ = false;
    return;
  }
  if (has_items_.empty()) return;
  if (has_items_.back()) text_.push_back(',');
  has_items_.back() = true;
  Indent();
}

JsonWriter& JsonWriter::BeginObject() {
  Separate();
  text_.push_back('{');
  has_items_.push_back(false);
  return *this;
}

JsonWriter& JsonWriter::EndObject() {
  const bool had_items = has_items_.back();
  has_items_.pop_back();
  if (had_items) Indent();
  text_.push_back('}');
  return *this;
}

JsonWriter& JsonWriter::BeginArray() {
  Separate();
  text_.push_back('[');
  has_items_.push_back(false);
  return *this;
}

JsonWriter& JsonWriter::EndArray() {
  const bool had_items = has_items_.back();
  has_items_.pop_back();
  if (had_items) Indent();
  text_.push_back(']');
  return *this;
}

JsonWriter& JsonWriter::Key(const std::string& key) {
  Separate();
  text_ += Quote(key) + ": ";
  after_key_ = true;
  return *this;
}

JsonWriter& JsonWriter::String(const std::string& value) {
  Separate();
  text_ += Quote(value);
  return *this;
}

JsonWriter& JsonWriter::Int(int64_t value) {
  Separate();
  text_ += std::to_string(value);
  return *this;
}

JsonWriter& JsonWriter::Double(double value) {
  if (!std::isfinite(value)) return Null();
  Separate();
  text_ += FormatDouble(value);
  return *this;
}

JsonWriter& JsonWriter::Bool(bool value) {
  Separate();
  text_ += value ? "true" : "false";
  return *this;
}

JsonWriter& JsonWriter::Null() {
  Separate();
  text_ += "null";
  return *this;
}

JsonWriter& JsonWriter::Raw(const std::string& json) {
  Separate();
  for (const char c : json) {
    if (c == '\n') {
      Indent();
    } else {
      text_.push_back(c);
    }
  }
  return *this;
}

}  // namespace rhnas::hw
