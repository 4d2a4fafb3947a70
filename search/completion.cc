// Completion scripts (search/manual.h). Each is plain text over the table of flags: commands first,
// then a command's flags, then a flag's choices, or files.
#include "search/command.h"
#include "search/manual.h"
#include "search/suggest.h"

namespace rhnas::search {

using engine::Format;

namespace {

// "a b c".
std::string Spaced(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

std::vector<std::string> CommandNames() {
  std::vector<std::string> names;
  for (const std::unique_ptr<Command>& command : AllCommands()) names.push_back(command->name());
  return names;
}

// The words that a command takes first: "build", "check", .. of "build | check FILE | ..".
std::vector<std::string> Actions(const Command& command) {
  if (std::string(command.name()) == "help") return CommandNames();
  std::vector<std::string> actions;
  const std::string usage = command.usage();
  for (size_t begin = 0; begin < usage.size();) {
    size_t end = usage.find(" | ", begin);
    if (end == std::string::npos) end = usage.size();
    size_t length = 0;
    while (usage[begin + length] >= 'a' && usage[begin + length] <= 'z') ++length;
    if (length > 0 && begin + length <= end) actions.push_back(usage.substr(begin, length));
    begin = end + 3;
  }
  return actions;
}

bool TakesNumber(const Flag& flag) {
  return flag.kind == Flag::Kind::kInt || flag.kind == Flag::Kind::kNumber;
}

// `text` with a backslash before each of `special`; ' ends the quotes, stands alone, opens them.
std::string Quoted(const std::string& text, const char* special, const char* quote) {
  std::string result;
  for (char c : text) {
    if (c == '\'') {
      result += quote;
      continue;
    }
    if (std::string(special).find(c) != std::string::npos) result += '\\';
    result += c;
  }
  return result;
}

std::string Bash() {
  std::string text =
      "# bash completion of rhnas, made by: rhnas help --completion bash\n"
      "_rhnas() {\n"
      "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words=\n"
      "  # --flag=value comes as three words\n"
      "  if [[ $cur == = ]]; then cur=\n"
      "  elif [[ $prev == = ]]; then prev=${COMP_WORDS[COMP_CWORD-2]}; fi\n"
      "  COMPREPLY=()\n"
      "  if (( COMP_CWORD == 1 )); then\n"
      "    words=\"" +
      Spaced(CommandNames()) +
      "\"\n"
      "  else\n"
      "    case ${COMP_WORDS[1]}:$prev in\n";
  for (const std::unique_ptr<Command>& command : AllCommands()) {
    FlagSet flags;
    CommonFlags common;
    DeclareFlags(command.get(), &flags, &common);
    const std::string prefix = std::string(command->name()) + ":";
    std::string numbers, files;
    std::vector<std::string> names;
    for (const Flag& flag : flags.flags()) {
      names.push_back("--" + flag.name);
      if (flag.kind == Flag::Kind::kSwitch) {
        if (flag.fallback == "true") names.back() = "--no-" + flag.name;
        continue;
      }
      const std::string pattern = prefix + "--" + flag.name;
      if (!flag.choices.empty()) {
        text += "      " + pattern + ") words=\"" + Spaced(flag.choices) + "\" ;;\n";
      } else {
        std::string& list = TakesNumber(flag) ? numbers : files;
        list += (list.empty() ? "" : "|") + pattern;
      }
    }
    // Readline's own completion of files comes after an empty answer, unless it is turned off.
    if (!numbers.empty())
      text += "      " + numbers + ") compopt +o default 2>/dev/null; return ;;\n";
    if (!files.empty()) text += "      " + files + ") return ;;\n";
    const std::vector<std::string> actions = Actions(*command);
    text += "      " + prefix + "*) words=\"" + Spaced(names);
    if (!actions.empty()) {
      text += "\"; (( COMP_CWORD == 2 )) && words+=\" " + Spaced(actions);
    }
    text += "\" ;;\n";
  }
  return text +
         "    esac\n"
         "  fi\n"
         "  COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
         "}\n"
         "complete -o default -F _rhnas rhnas\n";
}

std::string Zsh() {
  std::string text =
      "#compdef rhnas\n# zsh completion of rhnas, made by: rhnas help --completion zsh\n"
      "_rhnas() {\n"
      "  local -a commands\n"
      "  commands=(\n";
  for (const std::unique_ptr<Command>& command : AllCommands()) {
    text += Format("    '%s:%s'\n", command->name(),
                   Quoted(command->summary(), ":\\", "'\\''").c_str());
  }
  text +=
      "  )\n"
      "  if (( CURRENT == 2 )); then _describe command commands; return; fi\n"
      "  shift words; (( CURRENT-- ))\n"
      "  case $words[1] in\n";
  for (const std::unique_ptr<Command>& command : AllCommands()) {
    FlagSet flags;
    CommonFlags common;
    DeclareFlags(command.get(), &flags, &common);
    text += Format("    %s) _arguments", command->name());
    for (const Flag& flag : flags.flags()) {
      const bool is_switch = flag.kind == Flag::Kind::kSwitch;
      const bool off = is_switch && flag.fallback == "true";
      text +=
          " \\\n      '--" + std::string(off ? "no-" : "") + flag.name + (is_switch ? "[" : "=[");
      text += Quoted(flag.help, "[]:\\", "'\\''") + "]";
      if (!is_switch) {
        text += ":" + Quoted(flag.placeholder, ":\\", "") + ":";
        text += !flag.choices.empty() ? "(" + Spaced(flag.choices) + ")"
                : TakesNumber(flag)   ? " "
                                      : "_files";
      }
      text += "'";
    }
    const std::vector<std::string> actions = Actions(*command);
    if (!actions.empty()) text += " \\\n      '1: :(" + Spaced(actions) + ")'";
    text += " \\\n      '*: :_files' ;;\n";
  }
  return text + "  esac\n}\n_rhnas \"$@\"\n";
}

std::string Fish() {
  std::string text = "# fish completion of rhnas, made by: rhnas help --completion fish\n";
  for (const std::unique_ptr<Command>& command : AllCommands()) {
    text += Format("complete -c rhnas -n __fish_use_subcommand -f -a %s -d '%s'\n", command->name(),
                   Quoted(command->summary(), "\\", "\\'").c_str());
  }
  for (const std::unique_ptr<Command>& command : AllCommands()) {
    FlagSet flags;
    CommonFlags common;
    DeclareFlags(command.get(), &flags, &common);
    const std::string start =
        Format("complete -c rhnas -n '__fish_seen_subcommand_from %s'", command->name());
    for (const Flag& flag : flags.flags()) {
      const bool is_switch = flag.kind == Flag::Kind::kSwitch;
      const bool off = is_switch && flag.fallback == "true";
      text += start + " -l " + (off ? "no-" : "") + flag.name;
      if (!flag.choices.empty()) {
        text += " -x -a '" + Spaced(flag.choices) + "'";
      } else if (!is_switch) {
        text += TakesNumber(flag) ? " -x" : " -r -F";
      }
      text += " -d '" + Quoted(flag.help, "\\", "\\'") + "'\n";
    }
    const std::vector<std::string> actions = Actions(*command);
    if (!actions.empty()) text += start + " -a '" + Spaced(actions) + "'\n";
  }
  return text;
}

}  // namespace

std::vector<std::string> CompletionShells() { return {"bash", "zsh", "fish"}; }

std::string Completion(const std::string& shell) {
  if (shell == "bash") return Bash();
  if (shell == "zsh") return Zsh();
  return shell == "fish" ? Fish() : "";
}

}  // namespace rhnas::search
