#include "search/manual.h"

#include "search/command.h"
#include "search/version.h"

namespace rhnas::search {

using engine::Format;

namespace {

// Text in roff: backslashes and hyphens escaped, no line that begins with a request.
std::string Roff(const std::string& text) {
  std::string result;
  bool line_start = true;
  for (char c : text) {
    if (line_start && (c == '.' || c == '\'')) result += "\\&";
    line_start = c == '\n';
    if (c == '\\') {
      result += "\\e";
    } else if (c == '-') {
      result += "\\-";
    } else {
      result += c;
    }
  }
  return result;
}

// Paragraphs of a command's notes: lines with leading blanks are tables and stay as they are, as do
// those before them; an empty line begins a paragraph.
void AddNotes(const std::string& notes, std::string* page) {
  size_t begin = 0;
  while (begin < notes.size()) {
    size_t end = notes.find("\n\n", begin);
    if (end == std::string::npos) end = notes.size();
    const std::string paragraph = notes.substr(begin, end - begin);
    const bool table = paragraph.find("\n  ") != std::string::npos;
    *page += table ? ".PP\n.nf\n" : ".PP\n";
    *page += Roff(paragraph) + "\n";
    if (table) *page += ".fi\n";
    begin = end + 2;
  }
}

void AddFlag(const Flag& flag, std::string* page) {
  std::string name = "\\fB\\-\\-";
  if (flag.kind == Flag::Kind::kSwitch && flag.fallback == "true") name += "[no\\-]";
  *page += ".TP\n" + name + Roff(flag.name) + "\\fR";
  if (flag.kind != Flag::Kind::kSwitch) *page += " \\fI" + Roff(flag.placeholder) + "\\fR";
  if (flag.kind == Flag::Kind::kList) *page += "...";
  *page += "\n" + Roff(FullHelp(flag)) + "\n";
}

}  // namespace

std::string ManualPage() {
  std::string page = Format(
      ".TH RHNAS 1 \"2026-11-24\" \"rhnas %s\" \"User Commands\"\n.nh\n.SH NAME\n"
      "rhnas \\- design a neural network and its accelerator together\n.SH SYNOPSIS\n"
      "\\fBrhnas\\fR \\fICOMMAND\\fR [\\fIFLAGS\\fR]\n.SH DESCRIPTION\n",
      Roff(kVersion).c_str());
  page +=
      "Differentiable architecture search picks the network, reinforcement learning a VTA or\n"
      "systolic\\-array configuration that can be built; every design is compared with the "
      "default\n"
      "accelerator on the same network. Results go to standard output, progress and errors to\n"
      "standard error; with \\fB\\-\\-json\\fR standard output holds one JSON document, an error\n"
      "included. Of a repeated flag the last one counts; \\fB\\-\\-flag=value\\fR is\n"
      "\\fB\\-\\-flag value\\fR.\n.SH COMMANDS\n";
  const std::vector<std::unique_ptr<Command>> commands = AllCommands();
  for (const std::unique_ptr<Command>& command : commands) {
    FlagSet flags;
    CommonFlags common;
    DeclareFlags(command.get(), &flags, &common);
    page += Format(".SS \"rhnas %s \\- %s\"\n", command->name(), Roff(command->summary()).c_str());
    page += Format("\\fBrhnas %s\\fR %s\n", command->name(), Roff(command->usage()).c_str());
    AddNotes(command->notes(), &page);
    std::string group;
    for (const Flag& flag : flags.flags()) {
      if (flag.name == "json" || flag.name == "help") continue;
      if (flag.group != group) page += ".PP\n\\fI" + Roff(flag.group) + "\\fR\n";
      group = flag.group;
      AddFlag(flag, &page);
    }
    page += Format(".PP\nExamples:\n.PP\n.nf\n.RS 2\n%s\n.RE\n.fi\n",
                   Roff(command->examples()).c_str());
  }
  page += ".SH EVERYWHERE\n";
  FlagSet flags;
  CommonFlags common;
  DeclareFlags(commands.back().get(), &flags, &common);
  for (const char* name : {"json", "help"}) AddFlag(*flags.Find(name), &page);
  page +=
      ".SH ENVIRONMENT\n.TP\n\\fBRHNAS_TARGET\\fR\nbaseline, avx2, avx512 or neon: the kernels' "
      "instruction set. One that this CPU does not have is an error.\n"
      ".SH EXIT STATUS\n";
  page += Roff(ExitCodesText());
  page +=
      ".SH FILES\n.TP\n\\fIruns/\\fR\nRun folders: config.json holds every setting, log.csv a row "
      "an epoch, result.json the result, checkpoint what \\fB\\-\\-resume\\fR goes on from.\n"
      ".SH SEE ALSO\nRHNAS: Realizable Hardware and Neural Architecture Search, arXiv "
      "2106.09180.\n";
  return page;
}

}  // namespace rhnas::search
