// The commands of the program `rhnas`: each one binds its flags and runs.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "search/console.h"
#include "search/flags.h"

namespace rhnas::search {

class Command {
 public:
  virtual ~Command() = default;
  virtual const char* name() const = 0;
  virtual const char* summary() const = 0;   // one line
  virtual const char* usage() const = 0;     // what follows "rhnas NAME"
  virtual const char* notes() const = 0;     // paragraphs after the flags, may be empty
  virtual const char* examples() const = 0;  // lines
  // Binds the flags to the command's own variables.
  virtual void Declare(FlagSet* flags) = 0;
  // REQUIRES: the flags were parsed. Returns the exit code. `words` is the command line after the
  // command's name, for the record.
  virtual int Run(FlagSet* flags, const std::vector<std::string>& words, Console* console) = 0;
};

std::unique_ptr<Command> MakeSearchCommand();
std::unique_ptr<Command> MakeCompareCommand();
std::unique_ptr<Command> MakeCostCommand();
std::unique_ptr<Command> MakeHwCommand();
std::unique_ptr<Command> MakeProgramCommand();
std::unique_ptr<Command> MakeSpaceCommand();
std::unique_ptr<Command> MakeTableCommand();
std::unique_ptr<Command> MakeTrainCommand();
std::unique_ptr<Command> MakeExportCommand();
std::unique_ptr<Command> MakeEvalCommand();
std::unique_ptr<Command> MakeAgentCommand();
std::unique_ptr<Command> MakeDoctorCommand();
std::unique_ptr<Command> MakeVersionCommand();
std::unique_ptr<Command> MakeHelpCommand();
// All of them, in the order of the help.
std::vector<std::unique_ptr<Command>> AllCommands();

// The flags that every command has.
struct CommonFlags {
  bool json = false, help = false;
};
// A command's own flags and the common ones.
void DeclareFlags(Command* command, FlagSet* flags, CommonFlags* common);

// "gcc 12.2.0", for the commands that tell about the program.
const char* CompilerName();
// What the exit codes mean, as the help tells it.
const char* ExitCodesText();

// The help page of a command; of the program.
std::string CommandHelp(Command* command);
std::string ProgramHelp();

// The whole program: the words after its name. Returns the exit code.
int RunProgram(const std::vector<std::string>& words);

}  // namespace rhnas::search
