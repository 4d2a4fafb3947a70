// How a run went, in a report: every column of log.csv over epochs, and the probabilities of the
// candidates.
#include <algorithm>
#include <cmath>

#include "search/flags.h"
#include "search/report_page.h"

namespace rhnas::search {

using engine::Format;

namespace {

// Of a log that is long, this many epochs are drawn in the heat map.
constexpr size_t kMostColumns = 32;

struct Curve {
  const char* column;
  const char* label;
  bool percent, log;
};
constexpr Curve kCurves[] = {{"loss", "training loss", false, false},
                             {"accuracy", "validation accuracy", true, false},
                             {"edp", "energy-delay, pJ·cycles", false, true},
                             {"temperature", "temperature", false, true},
                             {"entropy", "entropy of the choices, nats", false, false},
                             {"reward", "best reward of the last round", false, false},
                             {"share_valid", "share of valid proposals", true, false},
                             {"lambda", "weight of the cost, lambda", false, false}};

std::string Picture(const ReportRun& run, const std::string& column) {
  const DataTable& log = run.log;
  const std::vector<double> epochs = log.Numbers("epoch"), values = log.Numbers(column.c_str());
  std::vector<double> seen;
  for (const double value : values) {
    if (std::isfinite(value)) seen.push_back(value);
  }
  if (seen.size() < 2) return "";
  const auto [least, most] = std::minmax_element(seen.begin(), seen.end());
  if (*least == *most) return "";  // a setting, not a course
  std::string label = column;
  std::replace(label.begin(), label.end(), '_', ' ');
  bool percent = column.find("accuracy") != std::string::npos, log_axis = false;
  for (const Curve& curve : kCurves) {
    if (column != curve.column) continue;
    label = curve.label;
    percent = curve.percent;
    log_axis = curve.log && *least > 0;
  }
  if (run.command == "train" && column == "accuracy") label = "training accuracy";
  Axis x = Axis::Around("epoch", false, epochs), y = Axis::Around("", log_axis, values);
  y.percent = percent;
  Plot plot(label, label + " over epochs", 330, 200);
  plot.Axes(x, y);
  plot.Text(plot.left(), 10, "lab", label);
  const int phase = log.Column("phase");
  std::vector<std::pair<double, double>> line;
  for (size_t i = 0; i < values.size(); ++i) {
    line.push_back({epochs[i], values[i]});
    if (i == 0 || log.Text(i, phase) == log.Text(i - 1, phase)) continue;
    const std::string at = Coordinate(plot.X((epochs[i] + epochs[i - 1]) / 2));
    plot.Raw("<path class=\"phase\" d=\"M" + at + Format(" %dV%d", plot.top(), plot.bottom()) +
             "\"/>");
  }
  plot.Line(line, "fd");
  for (size_t i = 0; i < values.size(); ++i) {
    const double shown = percent ? 100 * values[i] : values[i];
    plot.Put(epochs[i], values[i], Mark::kDot, "fdm",
             "epoch " + log.Text(i, log.Column("epoch")) + ", " + log.Text(i, phase) +
                 Format("\n%.5g", shown) + (percent ? "%" : ""));
  }
  return plot.Finish();
}

// Rows of arch.csv repeat the same candidates every epoch.
void AddHeatMap(const ReportRun& run, ReportPage* page) {
  const DataTable& a = run.arch;
  const int epoch = a.Column("epoch"), slot = a.Column("slot"), candidate = a.Column("candidate");
  size_t period = 0;
  while (period < a.rows.size() && a.Text(period, epoch) == a.Text(0, epoch)) ++period;
  if (period == 0 || a.rows.size() % period != 0 || a.rows.size() / period < 2) return;
  const std::vector<double> p = a.Numbers("probability");
  const size_t epochs = a.rows.size() / period, columns = std::min(epochs, kMostColumns);
  const auto column_epoch = [&](size_t column) {
    return columns < 2 ? 0 : column * (epochs - 1) / (columns - 1);
  };
  double most = 1e-9;
  for (const double value : p) most = std::max(most, value);
  std::string pictures = "<div class=\"heats\">";
  constexpr double kLeft = 70, kWide = 130, kTall = 13;
  const double wide = kWide / static_cast<double>(columns);
  for (size_t first = 0; first < period;) {
    size_t last = first;
    while (last < period && a.Text(last, slot) == a.Text(first, slot)) ++last;
    const size_t end = (epochs - 1) * period;  // of the last epoch
    size_t chosen = first;
    for (size_t row = first; row < last; ++row) {
      if (p[end + row] > p[end + chosen]) chosen = row;
    }
    Plot plot("Probabilities in " + a.Text(first, slot),
              "In the end the most probable is " + a.Text(chosen, candidate), 240,
              22 + static_cast<int>(kTall * static_cast<double>(last - first)));
    plot.Text(0, 11, "lab", a.Text(first, slot));
    for (size_t row = first; row < last; ++row) {
      const double y = 17 + kTall * static_cast<double>(row - first);
      const char* css = row == chosen ? "te lab" : "te";
      plot.Text(kLeft - 5, y + 10, css, a.Text(row, candidate));
      // Cells of equal shade are one path.
      constexpr int kShades = 16;
      for (int shade = 1; shade <= kShades; ++shade) {
        std::string cells;
        for (size_t column = 0; column < columns; ++column) {
          const double value = p[column_epoch(column) * period + row];
          if (std::lround(value / most * kShades) != shade) continue;
          cells += "M" + Coordinate(kLeft + wide * static_cast<double>(column)) + " " +
                   Coordinate(y) + "h" + Coordinate(wide + 0.1) + "v12h-" + Coordinate(wide + 0.1) +
                   "z";
        }
        if (cells.empty()) continue;
        plot.Raw("<path class=\"heat\" fill-opacity=\"" +
                 NumberText(std::round(100.0 * shade / kShades) / 100) + "\" d=\"" + cells +
                 "\"/>");
      }
      plot.Rect(kLeft, y, kWide, 12, "cell",
                a.Text(first, slot) + ", " + a.Text(row, candidate) +
                    Format("\n%.1f%% in epoch ", 100 * p[row]) + a.Text(0, epoch) +
                    Format(", %.1f%% in epoch ", 100 * p[end + row]) + a.Text(end, epoch));
      plot.Text(238, y + 10, css, Format("%.0f%%", 100 * p[end + row]));
    }
    pictures += plot.Finish();
    first = last;
  }
  page->Figure("Probabilities of the candidates", pictures + "</div>",
               "A panel a slot, a row a candidate, epochs " + a.Text(0, epoch) + " to " +
                   a.Text(a.rows.size() - 1, epoch) +
                   " from left to right: stronger is more probable, the strongest" +
                   Format(" %.0f%%", 100 * most) + ". At the right: in the end; bold: chosen.",
               "arch", a, "wide free");
}

}  // namespace

void AddProgress(const ReportRun& run, ReportPage* page) {
  std::string curves;
  // The known ones in their order, then what else a log has.
  std::vector<std::string> columns;
  for (const Curve& curve : kCurves) {
    if (run.log.Column(curve.column) >= 0) columns.push_back(curve.column);
  }
  for (const std::string& column : run.log.columns) {
    bool known = false;
    for (const char* other : {"epoch", "phase", "seconds", "latency_cycles", "energy_pj", "area"}) {
      known = known || column == other;
    }
    for (const Curve& curve : kCurves) known = known || column == curve.column;
    if (!known) columns.push_back(column);
  }
  for (const std::string& column : columns) curves += Picture(run, column);
  if (curves.empty() && run.arch.empty()) return;
  page->Begin("Course");
  if (!curves.empty()) {
    std::string phases, last;
    const int phase = run.log.Column("phase");
    for (size_t i = 0; i < run.log.rows.size(); ++i) {
      if (run.log.Text(i, phase) == last) continue;
      last = run.log.Text(i, phase);
      phases += (phases.empty() ? "" : ", ") + last;
    }
    const std::string caption =
        phases == last ? "" : "Vertical lines: where a phase ends (" + phases + ").";
    page->Figure("Epoch by epoch", "<div class=\"curves\">" + curves + "</div>", caption, "log",
                 run.log, "wide free");
  }
  if (!run.arch.empty()) AddHeatMap(run, page);
  page->End();
}

}  // namespace rhnas::search
