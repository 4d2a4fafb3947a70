// JSON: what is read is what stands there, errors name path and line, what is written reads back.
#include "hw/json.h"

#include <gtest/gtest.h>

#include <cmath>

namespace rhnas::hw {
namespace {

std::string ErrorOf(const std::string& text) {
  const Result<Json> result = ParseJson(text, "f.json");
  return result.ok() ? "no error" : result.error();
}

TEST(Json, ReadsEveryTypeWithLines) {
  const Result<Json> parsed = ParseJson(
      "{\n \"a\": 12,\n \"b\": [true, null, -0.5e1],\n \"c\": \"x\\u00e9\\ud83d\\ude00\\n\"\n}",
      "f");
  ASSERT_TRUE(parsed.ok()) << parsed.error();
  const Json& root = parsed.value();
  ASSERT_EQ(root.type, Json::Type::kObject);
  EXPECT_EQ(root.Find("a")->integer_value, 12);
  EXPECT_TRUE(root.Find("a")->integer);
  EXPECT_EQ(root.Find("a")->line, 2);
  ASSERT_EQ(root.Find("b")->items.size(), 3u);
  EXPECT_TRUE(root.Find("b")->items[0].boolean);
  EXPECT_EQ(root.Find("b")->items[1].type, Json::Type::kNull);
  EXPECT_EQ(root.Find("b")->items[2].number, -5.0);
  EXPECT_FALSE(root.Find("b")->items[2].integer);
  EXPECT_EQ(root.Find("c")->string, "x\xc3\xa9\xf0\x9f\x98\x80\n");
  EXPECT_EQ(root.Find("d"), nullptr);
}

TEST(Json, ErrorsNamePathLineAndWhatWasFound) {
  EXPECT_EQ(ErrorOf(""), "f.json:1: empty file, expected a JSON value");
  EXPECT_EQ(ErrorOf("{\n\"a\": 1,\n\"a\": 2}"),
            "f.json:3: key \"a\" appears twice (first in line 2)");
  EXPECT_EQ(ErrorOf("{\"a\": 1,\n}"), "f.json:2: found '}', expected a key in double quotes");
  EXPECT_EQ(ErrorOf("{\"a\" 1}"), "f.json:1: found '1', expected ':' after \"a\"");
  EXPECT_EQ(ErrorOf("[1 2]"), "f.json:1: found '2', expected ',' or ']'");
  EXPECT_EQ(ErrorOf("[01]"), "f.json:1: a number starts with 0, remove the zero");
  EXPECT_EQ(ErrorOf("1 2"), "f.json:1: found '2' after the end of the value, expected nothing");
  EXPECT_NE(ErrorOf("\"abc").find("end of file inside a string"), std::string::npos);
  EXPECT_NE(ErrorOf("\"\\ud800\"").find("surrogate"), std::string::npos);
  EXPECT_NE(ErrorOf("\"a\nb\"").find("byte 0x0a"), std::string::npos);
  EXPECT_NE(ErrorOf("1e999").find("out of range"), std::string::npos);
  EXPECT_NE(ErrorOf("nan").find("expected a value"), std::string::npos);
  EXPECT_NE(ErrorOf("[.5]").find("expected a value"), std::string::npos);
  EXPECT_NE(ErrorOf("[1.]").find("expected a digit"), std::string::npos);
  EXPECT_NE(ErrorOf(std::string(100, '[')).find("deeper"), std::string::npos);
}

TEST(Json, WriterOutputReadsBack) {
  JsonWriter writer;
  writer.BeginObject().Key("list").BeginArray().Int(-3).Double(0.1).Double(1e300).EndArray();
  writer.Key("empty").BeginObject().EndObject().Key("text").String("a\"\\\n\x01");
  writer.Key("flag").Bool(true).Key("none").Double(std::nan("")).EndObject();
  const Result<Json> back = ParseJson(writer.text(), "w");
  ASSERT_TRUE(back.ok()) << back.error() << "\n" << writer.text();
  EXPECT_EQ(back->Find("list")->items[1].number, 0.1);
  EXPECT_EQ(back->Find("list")->items[2].number, 1e300);
  EXPECT_EQ(back->Find("text")->string, "a\"\\\n\x01");
  EXPECT_EQ(back->Find("none")->type, Json::Type::kNull);
  JsonWriter outer;
  outer.BeginArray().Raw(writer.text()).EndArray();
  EXPECT_TRUE(ParseJson(outer.text(), "o").ok()) << outer.text();
}

TEST(Json, DoublesSurviveTheRoundTrip) {
  for (const double value : {1.0 / 3, 5e-324, 1.7976931348623157e308, 123456789.125, -0.1, 1e22}) {
    JsonWriter writer;
    writer.Double(value);
    const Result<Json> back = ParseJson(writer.text(), "w");
    ASSERT_TRUE(back.ok()) << back.error();
    EXPECT_EQ(back->number, value) << writer.text();
  }
}

}  // namespace
}  // namespace rhnas::hw
