// The page that a report becomes, and its sections. Private to search/report_*.cc.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "search/report_run.h"
#include "search/svg.h"

namespace rhnas::search {

struct ReportPage {
  std::string body;    // well-formed XML
  std::string prefix;  // of the data files of the run at hand, relative to the page: "report/"
  std::vector<std::pair<std::string, std::string>> files;  // those: name, text

  // A heading that can be linked to, and a new section.
  void Begin(const char* title);
  void End() { body += "</section>"; }
  // A picture, what it shows (text), and links to its numbers as CSV and JSON.
  void Figure(const std::string& title, const std::string& picture, const std::string& caption,
              const char* data_name, const DataTable& data, const char* css = "");
  // Cells are HTML; the first column are row headings, the others numbers.
  void Table(const std::vector<std::string>& head,
             const std::vector<std::vector<std::string>>& rows);
  void Data(const char* data_name, const DataTable& data);
};

// A number of result.json under this key, as the page shows it; the exact value stands in the
// element.
std::string ResultNumber(const ReportRun& run, const char* key, const std::string& shown);
// "▲ 1.26× better" with its class; `lower` is better.
std::string RatioText(double found, double base);
std::string SquareMillimetres(double um2);

void AddHeadline(const ReportRun& run, ReportPage* page);     // report_headline.cc
void AddAccelerator(const ReportRun& run, ReportPage* page);  // report_accelerator.cc
void AddNetwork(const ReportRun& run, ReportPage* page);      // report_network.cc
void AddDesigns(const ReportRun& run, ReportPage* page);      // report_designs.cc
void AddProgress(const ReportRun& run, ReportPage* page);     // report_progress.cc
void AddMethods(const ReportRun& run, ReportPage* page);      // report_methods.cc
void AddSettings(const ReportRun& run, ReportPage* page);     // report_headline.cc
// Several runs: a table and overlaid plots.
void AddSideBySide(const std::vector<ReportRun>& runs, ReportPage* page);  // report_methods.cc

// Both dies as blocks, to one scale.
std::string Floorplan(const ReportRun& run, DataTable* data);

extern const char kReportStyle[], kReportScript[];  // report_style.cc

}  // namespace rhnas::search
