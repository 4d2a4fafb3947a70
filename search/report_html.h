// A run, or several side by side, as one page that a person opens in a browser: self-contained HTML
// with pictures as SVG, no network, readable in light and dark, on paper and on a phone. The page
// is well-formed XML as well, so that tests and scripts can parse it; every figure of result.json
// stands in a <data> element with its key and exact value.
//
// The numbers of each plot are written beside it as CSV and JSON, in the folder named as the page
// without .html.
#pragma once

#include <string>
#include <vector>

#include "engine/status.h"

namespace rhnas::search {

struct ReportFiles {
  std::string page;
  std::vector<std::string> data;
};

// Reads run folders and writes the page to `out`. Errors: a folder that holds no run, a file of
// another origin at `out`, what cannot be written.
engine::Result<ReportFiles> WriteReport(const std::vector<std::string>& folders,
                                        const std::string& out);
// DIR/report.html, at the end of a run.
engine::Status ReportBeside(const std::string& folder);

}  // namespace rhnas::search
