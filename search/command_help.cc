// rhnas help, rhnas version.
#include <thread>

#include "engine/cpu.h"
#include "hw/json.h"
#include "search/command.h"
#include "search/manual.h"
#include "search/suggest.h"
#include "search/version.h"

namespace rhnas::search {

using engine::Format;

namespace {

void AddCommandJson(Command* command, hw::JsonWriter* json) {
  FlagSet flags;
  command->Declare(&flags);
  json->BeginObject();
  json->Key("command").String(command->name());
  json->Key("summary").String(command->summary());
  json->Key("usage").String(Format("rhnas %s %s", command->name(), command->usage()));
  json->Key("flags").BeginArray();
  for (const Flag& flag : flags.flags()) {
    json->BeginObject();
    json->Key("name").String("--" + flag.name);
    json->Key("default").String(flag.fallback);
    if (!flag.range.empty()) json->Key("range").String(flag.range);
    if (!flag.choices.empty()) {
      json->Key("choices").BeginArray();
      for (const std::string& choice : flag.choices) json->String(choice);
      json->EndArray();
    }
    json->Key("help").String(flag.help);
    json->EndObject();
  }
  json->EndArray().EndObject();
}

class HelpCommand : public Command {
 public:
  const char* name() const override { return "help"; }
  const char* summary() const override { return "this page, or the page of a command"; }
  const char* usage() const override { return "[COMMAND | --man | --completion SHELL]"; }
  const char* notes() const override {
    return "make install puts the manual page and the completions where shells look for them.";
  }
  const char* examples() const override {
    return "  rhnas help search\n"
           "  rhnas help --man | man -l -\n"
           "  source <(rhnas help --completion bash)";
  }
  void Declare(FlagSet* flags) override {
    flags->Positional("COMMAND", &topics_);
    flags->Switch("man", &man_, "the manual page, in the man macros").NotStored();
    flags->Choice("completion", &shell_, CompletionShells(), "the completion script of a shell")
        .NotStored();
  }

  int Run(FlagSet* /*flags*/, const std::vector<std::string>& /*words*/,
          Console* console) override {
    if (topics_.size() > 1) return console->Fail(kExitUsage, "expected one command at most");
    if (man_ || !shell_.empty()) return Generate(console);
    std::vector<std::unique_ptr<Command>> commands = AllCommands();
    std::vector<std::string> names;
    for (const std::unique_ptr<Command>& command : commands) names.push_back(command->name());
    if (topics_.empty()) {
      if (!console->json()) {
        console->Print(ProgramHelp());
        return kExitOk;
      }
      hw::JsonWriter json;
      json.BeginObject().Key("commands").BeginArray();
      for (const std::unique_ptr<Command>& command : commands) AddCommandJson(command.get(), &json);
      json.EndArray().EndObject();
      console->Print(json.text() + "\n");
      return kExitOk;
    }
    for (const std::unique_ptr<Command>& command : commands) {
      if (topics_[0] != command->name()) continue;
      if (!console->json()) {
        console->Print(CommandHelp(command.get()));
        return kExitOk;
      }
      hw::JsonWriter json;
      AddCommandJson(command.get(), &json);
      console->Print(json.text() + "\n");
      return kExitOk;
    }
    return console->Fail(kExitUsage, UnknownWord("command", topics_[0], names));
  }

 private:
  int Generate(Console* console) const {
    if ((man_ && !shell_.empty()) || !topics_.empty()) {
      return console->Fail(kExitUsage, "expected one of COMMAND, --man and --completion SHELL");
    }
    const std::string text = man_ ? ManualPage() : Completion(shell_);
    if (!console->json()) {
      console->Print(text);
      return kExitOk;
    }
    hw::JsonWriter json;
    json.BeginObject().Key(man_ ? "man" : shell_).String(text).EndObject();
    console->Print(json.text() + "\n");
    return kExitOk;
  }

  std::vector<std::string> topics_;
  std::string shell_;
  bool man_ = false;
};

class VersionCommand : public Command {
 public:
  const char* name() const override { return "version"; }
  const char* summary() const override { return "version, compiler, instruction set, threads"; }
  const char* usage() const override { return ""; }
  const char* notes() const override { return ""; }
  const char* examples() const override {
    return "  rhnas version\n"
           "  RHNAS_TARGET=baseline rhnas version --json";
  }
  void Declare(FlagSet* /*flags*/) override {}

  int Run(FlagSet* /*flags*/, const std::vector<std::string>& /*words*/,
          Console* console) override {
    const int threads = static_cast<int>(std::thread::hardware_concurrency());
    const char* active = engine::TargetName(engine::ActiveTarget());
    std::vector<std::string> targets;
    for (engine::Target target : engine::SupportedTargets()) {
      targets.push_back(engine::TargetName(target));
    }
    if (console->json()) {
      hw::JsonWriter json;
      json.BeginObject().Key("version").String(kVersion).Key("commit").String(kCommit);
      json.Key("compiler").String(CompilerName()).Key("target").String(active);
      json.Key("targets").BeginArray();
      for (const std::string& target : targets) json.String(target);
      json.EndArray().Key("threads").Int(threads).EndObject();
      console->Print(json.text() + "\n");
      return kExitOk;
    }
    std::string list;
    for (const std::string& target : targets) list += (list.empty() ? "" : ", ") + target;
    std::string text = Format("rhnas %s", kVersion);
    if (kCommit[0] != '\0') text += Format(" (%s)", kCommit);
    text += Format("\ncompiler  %s\ntarget    %s (this machine runs %s)\nthreads   %d\n",
                   CompilerName(), active, list.c_str(), threads);
    console->Print(text);
    return kExitOk;
  }
};

}  // namespace

const char* CompilerName() {
#if defined(__clang__)
  return "clang " __clang_version__;
#elif defined(__GNUC__)
  return "gcc " __VERSION__;
#else
  return "unknown";
#endif
}

std::unique_ptr<Command> MakeHelpCommand() { return std::make_unique<HelpCommand>(); }
std::unique_ptr<Command> MakeVersionCommand() { return std::make_unique<VersionCommand>(); }

}  // namespace rhnas::search
