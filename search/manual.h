// The manual page and the shells' completions, made from the commands' tables of flags: what the
// help says is what they say.
#pragma once

#include <string>
#include <vector>

#include "search/flags.h"

namespace rhnas::search {

// What the help says of a flag: meaning, choices, range and default, as one line.
std::string FullHelp(const Flag& flag);

// rhnas(1) in the man macros (groff_man(7), mandoc's man(7)).
std::string ManualPage();

// A script for `shell`: "bash" (complete -F), "zsh" (#compdef), "fish" (complete -c). Empty:
// another shell.
std::string Completion(const std::string& shell);
std::vector<std::string> CompletionShells();

}  // namespace rhnas::search
