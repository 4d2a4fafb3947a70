// rhnas report: run folders as a page for the browser.
#include "hw/json.h"
#include "search/command.h"
#include "search/report_html.h"

namespace rhnas::search {

namespace {

class ReportCommand : public Command {
 public:
  const char* name() const override { return "report"; }
  const char* summary() const override { return "a page for the browser, of one run or several"; }
  const char* usage() const override { return "DIR... [--out FILE]"; }
  const char* notes() const override {
    return "Every run makes one when it ends: DIR/report.html. This makes it anew, also of a run "
           "that was stopped,\n"
           "and shows several side by side. The page needs nothing but itself; the numbers of each "
           "plot stand\n"
           "beside it as CSV and JSON, in the folder named as the page without .html.\n"
           "JSON keys: page, data (paths).";
  }
  const char* examples() const override {
    return "  rhnas report runs/first\n"
           "  rhnas report runs/joint runs/network-only --out both.html";
  }
  void Declare(FlagSet* flags) override {
    flags->Positional("DIR", &folders_);
    flags->Text("out", "FILE", &out_,
                "the page; else report.html in the run's folder, of several runs in this one");
  }
  int Run(FlagSet* /*flags*/, const std::vector<std::string>& /*words*/,
          Console* console) override {
    if (folders_.empty()) return console->Fail(kExitUsage, "no run folder given; see --help");
    std::string out = out_;
    if (out.empty()) out = folders_.size() == 1 ? folders_[0] + "/report.html" : "report.html";
    const engine::Result<ReportFiles> written = WriteReport(folders_, out);
    if (!written.ok()) return console->Fail(written.status());
    hw::JsonWriter json;
    json.BeginObject().Key("page").String(written->page).Key("data").BeginArray();
    for (const std::string& path : written->data) json.String(path);
    json.EndArray().EndObject();
    console->Print(console->json() ? json.text() + "\n" : written->page + "\n");
    return kExitOk;
  }

 private:
  std::vector<std::string> folders_;
  std::string out_;
};

}  // namespace

std::unique_ptr<Command> MakeReportCommand() { return std::make_unique<ReportCommand>(); }

}  // namespace rhnas::search
