// What every command promises: two examples that parse, --json, exit codes; the manual page and the
// completions made of the same table, in the shells that are installed.
#include <cstdio>
#include <set>

#include "search/command.h"
#include "search/manual.h"
#include "tests/program_cli.h"

namespace rhnas {
namespace {

using search::AllCommands;
using search::Command;
using search::CommonFlags;
using search::DeclareFlags;
using search::FlagSet;

// The words of a shell line: blanks part them, quotes hold them together.
std::vector<std::string> ShellWords(const std::string& line) {
  std::vector<std::string> words;
  std::string word;
  char quote = 0;
  bool open = false;
  for (char c : line + " ") {
    if (quote != 0 ? c == quote : c == '"' || c == '\'') {
      quote = quote != 0 ? char{0} : c;
      open = true;
    } else if (quote == 0 && c == ' ') {
      if (open) words.push_back(word);
      word.clear();
      open = false;
    } else {
      word += c;
      open = true;
    }
  }
  EXPECT_EQ(quote, 0) << "open quotes: " << line;
  return words;
}

struct Example {
  std::string line;
  std::vector<std::string> words;  // after "rhnas NAME"
};

std::vector<Example> ExamplesOf(const Command& command) {
  std::vector<Example> examples;
  std::stringstream lines(command.examples());
  const std::string start = std::string("rhnas ") + command.name();
  for (std::string line; std::getline(lines, line);) {
    const size_t at = line.find(start);
    if (at == std::string::npos) continue;
    Example example;
    example.line = line;
    std::string rest = line.substr(at + start.size());
    if (line.find("<(") != std::string::npos) rest = rest.substr(0, rest.find(')'));
    example.words = ShellWords(rest);
    const auto pipe = std::find(example.words.begin(), example.words.end(), "|");
    example.words.erase(pipe, example.words.end());
    examples.push_back(example);
  }
  return examples;
}

TEST(Commands, EachHasTwoExamplesThatParseAndJson) {
  std::set<std::string> names;
  for (const std::unique_ptr<Command>& command : AllCommands()) {
    SCOPED_TRACE(command->name());
    EXPECT_TRUE(names.insert(command->name()).second) << "twice in AllCommands";
    EXPECT_STRNE(command->summary(), "");
    const std::vector<Example> examples = ExamplesOf(*command);
    EXPECT_GE(examples.size(), 2u) << command->examples();
    for (size_t i = 0; i < examples.size(); ++i) {
      for (size_t j = 0; j < i; ++j) EXPECT_NE(examples[i].line, examples[j].line);
    }
    for (size_t i = 0; i < examples.size(); ++i) {
      // Flags refer to the command's own variables: each example has a command of its own.
      for (const std::unique_ptr<Command>& fresh : AllCommands()) {
        if (std::string(fresh->name()) != command->name()) continue;
        FlagSet flags;
        CommonFlags common;
        DeclareFlags(fresh.get(), &flags, &common);
        const engine::Status parsed = flags.Parse(examples[i].words);
        EXPECT_TRUE(parsed.ok()) << examples[i].line << "\n" << parsed.message();
        ASSERT_NE(flags.Find("json"), nullptr);
        ASSERT_NE(flags.Find("help"), nullptr);
        for (const search::Flag& flag : flags.flags()) {
          EXPECT_FALSE(flag.help.empty()) << flag.name;
        }
      }
    }
    const std::string page = search::CommandHelp(command.get());
    EXPECT_NE(page.find(search::ExitCodesText()), std::string::npos);
    for (const char* code : {"0 ", "1 ", "2 ", "130"}) {
      EXPECT_NE(std::string(search::ExitCodesText()).find(code), std::string::npos) << code;
    }
  }
}

// Every command, every kind of misuse that the table of flags knows: one line, exit code 2, no
// output, and the same as JSON.
TEST_F(Cli, MisuseOfEveryCommand) {
  for (const std::unique_ptr<Command>& command : AllCommands()) {
    const std::string name = command->name();
    FlagSet flags;
    CommonFlags common;
    DeclareFlags(command.get(), &flags, &common);
    std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
        {{"--jsom"}, "did you mean --json?"},
        {{"--qqqqqqqqqq"}, "unknown flag --qqqqqqqqqq"},
        {{"--json=perhaps"}, "expected true or false"},
        {{"--no-json=1"}, "takes no value"},
    };
    bool number = false, whole = false, choice = false, value = false;
    for (const search::Flag& flag : flags.flags()) {
      using Kind = search::Flag::Kind;
      const std::string dashed = "--" + flag.name;
      if (flag.kind == Kind::kInt && !whole) {
        whole = true;
        cases.push_back({{dashed, "many"}, "expected a whole number"});
        cases.push_back({{dashed, "1.5"}, "expected a whole number"});
        if (flag.range[0] != '-') cases.push_back({{dashed, "-3"}, "is outside"});
        cases.push_back({{dashed, "99999999999999999999"}, "expected a whole number"});
      } else if (flag.kind == Kind::kNumber && !number) {
        number = true;
        cases.push_back({{dashed, "nan"}, "expected a number"});
        cases.push_back({{dashed, "1e999"}, "expected a number"});
        if (flag.range[0] != '-') cases.push_back({{dashed, "-1"}, "is outside"});
      } else if (flag.kind == Kind::kChoice && !choice) {
        choice = true;
        cases.push_back({{dashed, "nonsense-value"}, "unknown value \"nonsense-value\""});
      }
      if (flag.kind != Kind::kSwitch && !value) {
        value = true;
        cases.push_back({{dashed}, "needs"});
      }
    }
    for (const auto& [words, says] : cases) {
      std::vector<std::string> line = {name};
      line.insert(line.end(), words.begin(), words.end());
      const Outcome outcome = Run(line);
      EXPECT_EQ(outcome.code, 2) << name << " " << words[0] << "\n" << outcome.err;
      EXPECT_NE(outcome.err.find(says), std::string::npos) << says << "\n" << outcome.err;
      EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
      EXPECT_EQ(outcome.err.compare(0, 6 + name.size(), "rhnas " + name), 0) << outcome.err;
      EXPECT_EQ(outcome.out, "") << name << " " << words[0];
      const Outcome json = Run(With(line, {"--json"}));
      EXPECT_EQ(json.code, 2);
      if (words.size() == 1 && words[0].find("json") != std::string::npos) continue;
      if (words.size() == 1 && says == "needs") continue;  // takes --json as its value's place
      const hw::Json document = ParseOrFail(json.out);
      EXPECT_EQ(NumberAt(document, "exit_code"), 2);
      ASSERT_NE(document.Find("error"), nullptr);
    }
  }
  EXPECT_EQ(std::distance(fs::directory_iterator(dir_), fs::directory_iterator()), 2)
      << "a misuse must leave nothing behind but the two files of its output";
}

TEST_F(Cli, HelpTakesOneThingAtATime) {
  for (const std::vector<std::string>& words : {std::vector<std::string>{"help", "search", "cost"},
                                                {"help", "search", "--man"},
                                                {"help", "--man", "--completion", "bash"},
                                                {"help", "--completion", "tcsh"}}) {
    const Outcome outcome = Run(words);
    EXPECT_EQ(outcome.code, 2) << words.back();
    EXPECT_EQ(outcome.out, "");
  }
  const hw::Json man = ParseOrFail(Run({"help", "--man", "--json"}).out);
  ASSERT_NE(man.Find("man"), nullptr);
  EXPECT_EQ(man.Find("man")->string, Run({"help", "--man"}).out);
}

// --- outside tools ---

bool Installed(const std::string& tool) {
  return std::system(("command -v " + tool + " >/dev/null 2>&1").c_str()) == 0;
}

// What a command prints, both streams.
std::string OutputOf(const std::string& command, int* code) {
  std::string text;
  FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return "cannot run " + command;
  char buffer[4096];
  for (size_t n; (n = fread(buffer, 1, sizeof buffer, pipe)) > 0;) text.append(buffer, n);
  const int status = pclose(pipe);
  *code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return text;
}

TEST_F(Cli, ManualPageHasEveryFlagAndRendersWithoutWarnings) {
  const std::string page = Run({"help", "--man"}).out;
  for (const std::unique_ptr<Command>& command : AllCommands()) {
    FlagSet flags;
    CommonFlags common;
    DeclareFlags(command.get(), &flags, &common);
    EXPECT_NE(page.find(std::string(".SS \"rhnas ") + command->name() + " "), std::string::npos);
    for (const search::Flag& flag : flags.flags()) {
      std::string name;
      for (char c : flag.name) name += c == '-' ? "\\-" : std::string(1, c);
      EXPECT_NE(page.find(name + "\\fR"), std::string::npos) << command->name() << " " << name;
    }
  }
  for (const char* section : {".SH NAME", ".SH SYNOPSIS", ".SH EXIT STATUS", ".SH ENVIRONMENT"}) {
    EXPECT_NE(page.find(section), std::string::npos) << section;
  }
  std::ofstream(dir_ + "/rhnas.1") << page;
  bool looked = false;
  int code = -1;
  if (Installed("mandoc")) {
    looked = true;
    const std::string warnings = OutputOf("mandoc -T lint -W warning " + dir_ + "/rhnas.1", &code);
    EXPECT_EQ(warnings, "");
  }
  if (Installed("groff")) {
    looked = true;
    const std::string warnings = OutputOf(
        "groff -ww -man -Tascii -P-c -P-b -P-u " + dir_ + "/rhnas.1 >" + dir_ + "/page.txt", &code);
    EXPECT_EQ(warnings, "");
    EXPECT_NE(ReadAll(dir_ + "/page.txt").find("EXIT STATUS"), std::string::npos);
  }
  if (!looked) GTEST_SKIP() << "neither mandoc nor groff is here to render the page";
}

// What bash offers for a line whose last word is being typed.
std::vector<std::string> Offered(const std::string& script, const std::vector<std::string>& line) {
  std::string words;
  for (const std::string& word : line) words += " '" + word + "'";
  int code = -1;
  std::stringstream out(OutputOf("bash -c 'source " + script + "; COMP_WORDS=(\"$@\"); " +
                                     "COMP_CWORD=$(($#-1)); _rhnas; printf \"%s\\n\" "
                                     "\"${COMPREPLY[@]}\"' bash" +
                                     words,
                                 &code));
  std::vector<std::string> offered;
  for (std::string word; std::getline(out, word);) {
    if (!word.empty()) offered.push_back(word);
  }
  EXPECT_EQ(code, 0);
  return offered;
}

TEST_F(Cli, BashCompletesCommandsFlagsAndValues) {
  if (!Installed("bash")) GTEST_SKIP() << "no bash here";
  const std::string script = dir_ + "/rhnas.bash";
  std::ofstream(script) << Run({"help", "--completion", "bash"}).out;
  using Words = std::vector<std::string>;
  EXPECT_EQ(Offered(script, {"rhnas", "sea"}), Words({"search"}));
  EXPECT_EQ(Offered(script, {"rhnas", ""}).size(), AllCommands().size());
  EXPECT_EQ(Offered(script, {"rhnas", "search", "--obj"}), Words({"--objective"}));
  EXPECT_EQ(Offered(script, {"rhnas", "search", "--objective", "e"}), Words({"energy", "edp"}));
  EXPECT_EQ(Offered(script, {"rhnas", "search", "--objective", "=", "l"}), Words({"latency"}));
  EXPECT_EQ(Offered(script, {"rhnas", "search", "--objective", "="}),
            Words({"latency", "energy", "edp"}));
  EXPECT_EQ(Offered(script, {"rhnas", "search", "--epochs", ""}), Words());
  EXPECT_EQ(Offered(script, {"rhnas", "search", "--out", ""}), Words()) << "readline offers files";
  EXPECT_EQ(Offered(script, {"rhnas", "search", "--epochs", "3", "--resu"}), Words({"--resume"}));
  EXPECT_EQ(Offered(script, {"rhnas", "table", "imp"}), Words({"import"}));
  EXPECT_EQ(Offered(script, {"rhnas", "table", "import", "exp"}), Words()) << "one action";
  EXPECT_EQ(Offered(script, {"rhnas", "help", "doc"}), Words({"doctor"}));
  EXPECT_EQ(Offered(script, {"rhnas", "help", "--completion", "z"}), Words({"zsh"}));
  // Every flag of every command, and every choice.
  for (const std::unique_ptr<Command>& command : AllCommands()) {
    FlagSet flags;
    CommonFlags common;
    DeclareFlags(command.get(), &flags, &common);
    const std::vector<std::string> offered = Offered(script, {"rhnas", command->name(), "--"});
    EXPECT_EQ(offered.size(), flags.flags().size()) << command->name();
  }
}

TEST_F(Cli, ZshAndFishTakeTheirScripts) {
  std::ofstream(dir_ + "/_rhnas") << Run({"help", "--completion", "zsh"}).out;
  std::ofstream(dir_ + "/rhnas.fish") << Run({"help", "--completion", "fish"}).out;
  int code = -1;
  bool looked = false;
  if (Installed("zsh")) {
    looked = true;
    EXPECT_EQ(OutputOf("zsh -n " + dir_ + "/_rhnas", &code), "");
    EXPECT_EQ(code, 0);
  }
  if (Installed("fish")) {
    looked = true;
    const std::string ask = "fish --no-config -c 'source " + dir_ + "/rhnas.fish; complete -C ";
    EXPECT_EQ(OutputOf("fish -n " + dir_ + "/rhnas.fish", &code), "");
    const std::string commands = OutputOf(ask + "\"rhnas se\"'", &code);
    EXPECT_EQ(commands.compare(0, 7, "search\t"), 0) << commands;
    const std::string flags = OutputOf(ask + "\"rhnas search --obj\"'", &code);
    EXPECT_EQ(flags.compare(0, 12, "--objective\t"), 0) << flags;
    const std::string values = OutputOf(ask + "\"rhnas search --objective e\"'", &code);
    EXPECT_NE(values.find("edp"), std::string::npos) << values;
    EXPECT_NE(values.find("energy"), std::string::npos) << values;
    EXPECT_EQ(values.find("latency"), std::string::npos) << values;
  }
  if (!looked) GTEST_SKIP() << "neither zsh nor fish is here";
}

// --- rhnas doctor ---

TEST_F(Cli, DoctorTellsTheMachineAndFindsData) {
  const Outcome plain = Run({"doctor"}, {"RHNAS_DATA="});
  EXPECT_EQ(plain.code, 0) << plain.out;
  for (const char* word : {"cpu", "kernels", "baseline", "threads", "memory", "all is well"}) {
    EXPECT_NE(plain.out.find(word), std::string::npos) << plain.out;
  }
  const hw::Json json =
      ParseOrFail(Run({"doctor", "--json"}, {"RHNAS_TARGET=baseline", "RHNAS_DATA="}).out);
  ASSERT_NE(json.Find("target"), nullptr);
  EXPECT_EQ(json.Find("target")->string, "baseline");
  EXPECT_TRUE(json.Find("forced")->boolean);
  EXPECT_GE(NumberAt(json, "threads"), 1);
  EXPECT_TRUE(json.Find("problems")->items.empty());
  EXPECT_TRUE(json.Find("data")->items.empty());
  ASSERT_GE(json.Find("kernels")->items.size(), 1u);
  for (const hw::Json& kernel : json.Find("kernels")->items) {
    EXPECT_TRUE(kernel.Find("ok")->boolean);
    EXPECT_GT(NumberAt(kernel, "gflops"), 0);
    EXPECT_GT(NumberAt(kernel, "worst_error"), 0) << "rounding leaves something";
  }
  EXPECT_EQ(std::distance(fs::directory_iterator(dir_), fs::directory_iterator()), 2);

  // A damaged data set is told; one that is not there is, when it was asked for.
  fs::create_directories(dir_ + "/mnist");
  std::ofstream(dir_ + "/mnist/train-images-idx3-ubyte") << "nonsense";
  const Outcome damaged = Run({"doctor"}, {"RHNAS_DATA="});
  EXPECT_EQ(damaged.code, 1);
  EXPECT_NE(damaged.out.find("PROBLEM"), std::string::npos) << damaged.out;
  EXPECT_NE(damaged.out.find("train-images-idx3-ubyte"), std::string::npos) << damaged.out;
  fs::remove_all(dir_ + "/mnist");
  const hw::Json missing = ParseOrFail(Run({"doctor", "--data", "nowhere", "--json"}).out);
  ASSERT_EQ(missing.Find("problems")->items.size(), 1u);
  EXPECT_NE(missing.Find("problems")->items[0].string.find("nowhere"), std::string::npos);

  const char* data = std::getenv("RHNAS_DATA");
  if (data == nullptr || !fs::exists(std::string(data) + "/fashion-mnist")) return;
  const hw::Json real = ParseOrFail(Run({"doctor", "--json", "--data", data}).out);
  bool found = false;
  for (const hw::Json& set : real.Find("data")->items) {
    if (set.Find("name")->string != "fashion-mnist") continue;
    found = true;
    EXPECT_EQ(NumberAt(set, "train_images"), 60000);
    EXPECT_EQ(NumberAt(set, "test_images"), 10000);
  }
  EXPECT_TRUE(found);
}

}  // namespace
}  // namespace rhnas
