#include "search/report_html.h"

#include <cstdio>
#include <filesystem>
#include <system_error>

#include "engine/archive.h"
#include "search/report_page.h"
#include "search/version.h"

namespace rhnas::search {

using engine::Result;
using engine::Status;

namespace {

constexpr char kGenerator[] = "<meta name=\"generator\" content=\"rhnas report\"/>";
constexpr char kEnding[] = ".html";

// "id" of a section: its title in small letters with dashes.
std::string Id(const std::string& title) {
  std::string id;
  for (const char c : title)
    id += c == ' ' ? '-' : c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return id;
}

void AddRun(const ReportRun& run, ReportPage* page) {
  AddHeadline(run, page);
  AddAccelerator(run, page);
  AddNetwork(run, page);
  AddDesigns(run, page);
  AddProgress(run, page);
  AddMethods(run, page);
  AddSettings(run, page);
}

std::string TitleOf(const ReportRun& run) {
  const std::string what = run.command == "search"    ? "A network and its accelerator"
                           : run.command == "hw"      ? "An accelerator for a network"
                           : run.command == "train"   ? "A trained network"
                           : run.command == "compare" ? "Methods compared"
                                                      : "A run";
  return what + ": " + run.name;
}

std::string Document(const std::string& title, const std::string& lead, const std::string& body,
                     bool several) {
  std::string page = "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/>";
  page += "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>";
  page += kGenerator;
  page += "<title>" + Escaped(title) + "</title><style>" + kReportStyle + "</style></head><body>";
  page += "<header><div><h1>" + Escaped(title) + "</h1><p class=\"muted\">" + lead + "</p></div>";
  page += "<button id=\"theme\" type=\"button\">Light / dark</button></header>";
  std::string links;
  constexpr char kMark[] = "<section id=\"";
  for (size_t at = 0; (at = body.find(kMark, at)) != std::string::npos;) {
    at += sizeof kMark - 1;
    const std::string id = body.substr(at, body.find('"', at) - at);
    if (several && id.compare(0, 3, "run") != 0) continue;
    const size_t heading = body.find("<h2>", at) + 4;
    links += "<a href=\"#" + id + "\">" + body.substr(heading, body.find("</h2>", at) - heading) +
             "</a>";
  }
  page += "<nav>" + links + "</nav><main>" + body + "</main>";
  page += std::string("<footer>Made by rhnas ") + kVersion + ", commit " + kCommit +
          ". Hover, or focus a picture and use the arrow keys, for the numbers.</footer>";
  page += "<p id=\"tip\" role=\"status\"></p><script>";
  return page + kReportScript + "</script></body></html>\n";
}

// An earlier page of ours is replaced, a file of another origin is not.
Status CheckOwn(const std::string& path) {
  const Result<std::string> old = engine::ReadFile(path);
  if (!old.ok() || old->empty() || old->find(kGenerator) != std::string::npos) return Status::Ok();
  return Status::Error("%s: stands there and is no report of rhnas; give another --out",
                       path.c_str());
}

}  // namespace

void ReportPage::Begin(const char* title) {
  const std::string run = prefix.find('/') == prefix.rfind('/') ? "" : "-" + Id(prefix);
  std::string id = Id(title) + run;
  for (char& c : id) c = c == '/' ? '-' : c;
  body += "<section id=\"" + Escaped(id) + "\"><h2>" + Escaped(title) + "</h2>";
}

void ReportPage::Data(const char* data_name, const DataTable& data) {
  if (*data_name == 0 || data.rows.empty()) return;
  const std::string name = prefix + data_name;
  files.push_back({name + ".csv", data.Csv()});
  files.push_back({name + ".json", data.ToJson()});
  body += "<small class=\"files\">Numbers: <a href=\"" + Escaped(name) +
          ".csv\">CSV</a> · <a href=\"" + Escaped(name) + ".json\">JSON</a></small>";
}

void ReportPage::Figure(const std::string& title, const std::string& picture,
                        const std::string& caption, const char* data_name, const DataTable& data,
                        const char* css) {
  body += std::string("<figure class=\"") + css + "\"><h3>" + Escaped(title) +
          "</h3><div class=\"pic\">" + picture + "</div><figcaption>" + Escaped(caption) + " ";
  Data(data_name, data);
  body += "</figcaption></figure>";
}

void ReportPage::Table(const std::vector<std::string>& head,
                       const std::vector<std::vector<std::string>>& rows) {
  body += "<div class=\"scroll\"><table><thead><tr>";
  for (const std::string& cell : head) body += "<th scope=\"col\">" + cell + "</th>";
  body += "</tr></thead><tbody>";
  for (const std::vector<std::string>& row : rows) {
    body += "<tr>";
    for (size_t i = 0; i < row.size(); ++i) {
      body += i == 0 ? "<th scope=\"row\">" + row[i] + "</th>" : "<td>" + row[i] + "</td>";
    }
    body += "</tr>";
  }
  body += "</tbody></table></div>";
}

Result<ReportFiles> WriteReport(const std::vector<std::string>& folders, const std::string& out) {
  std::vector<ReportRun> runs;
  for (const std::string& folder : folders) {
    Result<ReportRun> run = LoadReportRun(folder);
    if (!run.ok()) return run.status();
    runs.push_back(std::move(*run));
  }
  if (Status own = CheckOwn(out); !own.ok()) return own;
  const size_t ending = sizeof kEnding - 1;
  const bool html = out.size() > ending && out.compare(out.size() - ending, ending, kEnding) == 0;
  const std::string data_folder = html ? out.substr(0, out.size() - ending) : out + "-data";
  const std::string beside = data_folder.substr(data_folder.rfind('/') + 1) + "/";

  ReportPage page;
  page.prefix = beside;
  std::string title, lead;
  if (runs.size() == 1) {
    title = TitleOf(runs[0]);
    lead = "rhnas " + Escaped(runs[0].command) + ", " +
           (runs[0].finished ? "finished" : "not finished");
    AddRun(runs[0], &page);
  } else {
    title = std::to_string(runs.size()) + " runs side by side";
    for (const ReportRun& run : runs) lead += (lead.empty() ? "" : ", ") + Escaped(run.name);
    AddSideBySide(runs, &page);
    for (size_t i = 0; i < runs.size(); ++i) {
      const std::string number = std::to_string(i + 1);
      page.prefix = beside + number + "/";
      page.body +=
          "<section id=\"run" + number + "\"><h2>" +
          Escaped(std::string(1, static_cast<char>('A' + i % 26)) + " " + TitleOf(runs[i])) +
          "</h2><details><summary>Show this run</summary>";
      AddRun(runs[i], &page);
      page.body += "</details></section>";
    }
  }
  std::error_code error;
  ReportFiles written;
  for (const auto& [name, text] : page.files) {
    const std::string path = data_folder + "/" + name.substr(beside.size());
    std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
    if (Status status = engine::WriteFileAtomically(path, text); !status.ok()) return status;
    written.data.push_back(path);
  }
  if (Status status =
          engine::WriteFileAtomically(out, Document(title, lead, page.body, runs.size() > 1));
      !status.ok()) {
    return status;
  }
  written.page = out;
  return written;
}

Status ReportBeside(const std::string& folder) {
  return WriteReport({folder}, folder + "/report.html").status();
}

}  // namespace rhnas::search
