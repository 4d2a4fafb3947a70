// Finding the command, its help, its flags: what every command shares.
#include <algorithm>

#include "engine/cpu.h"
#include "engine/status.h"
#include "search/command.h"
#include "search/suggest.h"

namespace rhnas::search {

using engine::Format;
using engine::Status;

namespace {

constexpr char kExitCodes[] =
    "Exit codes: 0 done; 1 failed (bad file, infeasible constraint, invalid design, full disk);\n"
    "2 wrong use (unknown command, flag or value); 130 and 143 stopped by SIGINT (Ctrl-C) or "
    "SIGTERM\n"
    "after saving.\n";

bool Contains(const std::vector<std::string>& words, const char* word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

std::unique_ptr<Command> FindCommand(const std::string& name) {
  for (std::unique_ptr<Command>& command : AllCommands()) {
    if (name == command->name()) return std::move(command);
  }
  return nullptr;
}

std::vector<std::string> CommandNames() {
  std::vector<std::string> names;
  for (const std::unique_ptr<Command>& command : AllCommands()) names.push_back(command->name());
  return names;
}

}  // namespace

void DeclareFlags(Command* command, FlagSet* flags, CommonFlags* common) {
  command->Declare(flags);
  flags->Group("Everywhere");
  flags
      ->Switch("json", &common->json,
               "write one JSON document to standard output, the rest to the error")
      .NotStored();
  flags->Switch("help", &common->help, "this page").NotStored();
}

const char* ExitCodesText() { return kExitCodes; }

std::vector<std::unique_ptr<Command>> AllCommands() {
  std::vector<std::unique_ptr<Command>> commands;
  commands.push_back(MakeSearchCommand());
  commands.push_back(MakeHwCommand());
  commands.push_back(MakeCompareCommand());
  commands.push_back(MakeCostCommand());
  commands.push_back(MakeProgramCommand());
  commands.push_back(MakeSpaceCommand());
  commands.push_back(MakeTableCommand());
  commands.push_back(MakeTrainCommand());
  commands.push_back(MakeEvalCommand());
  commands.push_back(MakeExportCommand());
  commands.push_back(MakeAgentCommand());
  commands.push_back(MakeDoctorCommand());
  commands.push_back(MakeVersionCommand());
  commands.push_back(MakeHelpCommand());
  return commands;
}

std::string ProgramHelp() {
  std::string text =
      "rhnas designs a neural network and a VTA accelerator together (arXiv 2106.09180).\n\n"
      "Usage: rhnas COMMAND [FLAGS]\n\nCommands:\n";
  for (const std::unique_ptr<Command>& command : AllCommands()) {
    text += Format("  %-10s %s\n", command->name(), command->summary());
  }
  text +=
      "\nExamples:\n"
      "  rhnas search                                  a joint search on embedded data\n"
      "  rhnas cost --network fbnet-a --hw default     what a network costs on an accelerator\n"
      "\n\"rhnas help COMMAND\" or \"rhnas COMMAND --help\" lists every flag with its default.\n"
      "RHNAS_TARGET=baseline|avx2|avx512|neon forces the kernels' instruction set.\n\n";
  return text + kExitCodes;
}

std::string CommandHelp(Command* command) {
  FlagSet flags;
  CommonFlags common;
  DeclareFlags(command, &flags, &common);
  std::string text =
      Format("rhnas %s: %s\n\nUsage: rhnas %s%s%s\n\n", command->name(), command->summary(),
             command->name(), command->usage()[0] == '\0' ? "" : " ", command->usage());
  text += flags.Help();
  if (command->notes()[0] != '\0') text += Format("\n%s\n", command->notes());
  text += Format("\nExamples:\n%s\n\n", command->examples());
  return text + kExitCodes;
}

int RunProgram(const std::vector<std::string>& words) {
  const bool wants_json = Contains(words, "--json");
  Console program("", wants_json);
  if (words.empty()) {
    program.Note(ProgramHelp());
    return program.Finish(program.Fail(kExitUsage, "no command given"));
  }
  std::string name = words[0];
  if (name == "--help" || name == "-h") name = "help";
  if (name == "--version") name = "version";
  std::unique_ptr<Command> command = FindCommand(name);
  if (command == nullptr) {
    const bool flag = name.compare(0, 1, "-") == 0;
    return program.Finish(program.Fail(
        kExitUsage,
        (flag ? "expected a command before \"" + name + "\": " + JoinWords(CommandNames())
              : UnknownWord("command", name, CommandNames()))));
  }

  Console console(command->name(), wants_json);
  std::vector<std::string> rest(words.begin() + 1, words.end());
  for (std::string& word : rest) {
    if (word == "-h") word = "--help";
  }
  FlagSet flags;
  CommonFlags common;
  DeclareFlags(command.get(), &flags, &common);
  // Help wins over a mistake elsewhere on the line: it is what the user needs then.
  if (Contains(rest, "--help") && !wants_json) {
    console.Print(CommandHelp(FindCommand(name).get()));
    return console.Finish(kExitOk);
  }
  if (Status status = flags.Parse(rest); !status.ok()) {
    return console.Finish(console.Fail(
        kExitUsage, status.message() + Format("; see \"rhnas help %s\"", command->name())));
  }
  // An unknown or unsupported instruction set is an error before any work, not a silent fallback.
  if (Status status = engine::InitTargetFromEnvironment(); !status.ok()) {
    return console.Finish(console.Fail(kExitUsage, status.message()));
  }
  Console output(command->name(), common.json);
  if (common.help) {
    std::unique_ptr<Command> page = MakeHelpCommand();
    FlagSet page_flags;
    page->Declare(&page_flags);
    const std::vector<std::string> topic = {command->name()};
    if (Status status = page_flags.Parse(topic); !status.ok()) {
      return output.Finish(output.Fail(kExitUsage, status.message()));
    }
    return output.Finish(page->Run(&page_flags, topic, &output));
  }
  return output.Finish(command->Run(&flags, rest, &output));
}

}  // namespace rhnas::search
