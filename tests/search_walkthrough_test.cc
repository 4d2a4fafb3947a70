// docs/WALKTHROUGH.md stays true: files and functions that it names exist, its commands parse, and
// every line of rhnas search --trace has its equation there. Reads the clone it is started in.
#include <gtest/gtest.h>

#include <cctype>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "search/command.h"

namespace rhnas::search {
namespace {

std::string TextOf(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// Whether a file has the function: its name before a parenthesis, a qualified one as it stands.
bool HasFunction(const std::string& path, const std::string& function) {
  const std::string text = TextOf(path);
  for (size_t at = 0; (at = text.find(function + "(", at)) != std::string::npos; ++at) {
    const char before = at == 0 ? ' ' : text[at - 1];
    if (std::isalnum(static_cast<unsigned char>(before)) == 0 && before != '_') return true;
  }
  return false;
}

std::vector<std::vector<std::string>> Matches(const std::string& text, const std::string& pattern) {
  const std::regex expression(pattern);
  std::vector<std::vector<std::string>> found;
  for (std::sregex_iterator at(text.begin(), text.end(), expression), end; at != end; ++at) {
    found.emplace_back();
    for (size_t i = 1; i < at->size(); ++i) found.back().push_back((*at)[i]);
  }
  return found;
}

class Walkthrough : public ::testing::Test {
 protected:
  void SetUp() override {
    text_ = TextOf("docs/WALKTHROUGH.md");
    if (text_.empty()) GTEST_SKIP() << "not started in the repository's root";
  }
  // Equations are indented by four: "    (5)  CE = ..".
  std::set<int> Equations() const {
    std::set<int> numbers;
    for (const auto& match : Matches(text_, "\n    \\(([0-9]+)\\)  ")) {
      EXPECT_TRUE(numbers.insert(std::stoi(match[0])).second) << "twice: (" << match[0] << ")";
    }
    return numbers;
  }
  std::string text_;
};

TEST_F(Walkthrough, FilesAndFunctionsExist) {
  int files = 0, functions = 0;
  for (const auto& match :
       Matches(text_, "`((?:engine|nn|hw|rl|search|tests|docs)/[A-Za-z0-9_./]+)`")) {
    ++files;
    EXPECT_TRUE(std::ifstream(match[0]).good()) << match[0] << " does not exist";
  }
  for (const auto& match :
       Matches(text_, "`((?:engine|nn|hw|rl|search)/[A-Za-z0-9_.]+)`\\s+`([A-Za-z0-9_:]+)`")) {
    ++functions;
    EXPECT_TRUE(HasFunction(match[0], match[1])) << match[1] << " is not in " << match[0];
  }
  EXPECT_GT(files, 30);
  EXPECT_GT(functions, 30);
  EXPECT_FALSE(HasFunction("nn/train.cc", "WeightSteps"));
}

TEST_F(Walkthrough, EquationsAreNumberedWithoutGaps) {
  const std::set<int> numbers = Equations();
  ASSERT_FALSE(numbers.empty());
  EXPECT_EQ(*numbers.begin(), 1);
  EXPECT_EQ(*numbers.rbegin(), static_cast<int>(numbers.size()));
  EXPECT_GE(numbers.size(), 30u);
}

TEST_F(Walkthrough, EveryLineOfTheTraceHasItsEquationAndItsFunction) {
  const std::set<int> numbers = Equations();
  int lines = 0;
  for (const char* source : {"search/trace.cc", "search/joint_trace.cc"}) {
    const std::string code = TextOf(source);
    // (outcome.valid ? 27 : 28) is the one number that is chosen.
    for (const auto& match :
         Matches(code, "TraceLine\\(\\s*\\*?(?:sink|trace),\\s*([^,]+),\\s*\"(\\S+) (\\w+)\"")) {
      ++lines;
      for (const auto& number : Matches(match[0], "([0-9]+)")) {
        EXPECT_EQ(numbers.count(std::stoi(number[0])), 1u) << source << ": (" << number[0] << ")";
      }
      EXPECT_TRUE(HasFunction(match[1], match[2])) << match[2] << " is not in " << match[1];
    }
  }
  EXPECT_GE(lines, 25);
}

TEST_F(Walkthrough, CommandsParse) {
  int commands = 0;
  for (const auto& match : Matches(text_, "(?:`|\n\\$ |```\n)rhnas ([a-z]+)([^`\n]*)")) {
    std::vector<std::string> words;
    std::string quoted = match[1];
    for (size_t begin = 0; begin < quoted.size();) {
      const char stop = quoted[begin] == '"' ? '"' : ' ';
      if (stop == '"') ++begin;
      size_t end = quoted.find(stop, begin);
      if (end == std::string::npos) end = quoted.size();
      if (end > begin) words.push_back(quoted.substr(begin, end - begin));
      begin = end + 1;
    }
    bool known = false;
    for (const std::unique_ptr<Command>& command : AllCommands()) {
      if (match[0] != command->name()) continue;
      known = true;
      ++commands;
      FlagSet flags;
      CommonFlags common;
      DeclareFlags(command.get(), &flags, &common);
      const engine::Status status = flags.Parse(words);
      EXPECT_TRUE(status.ok()) << "rhnas " << match[0] << match[1] << "\n" << status.message();
    }
    EXPECT_TRUE(known) << "rhnas " << match[0];
  }
  EXPECT_GE(commands, 12);
}

}  // namespace
}  // namespace rhnas::search
