// Methods side by side (a run of rhnas compare), and runs side by side.
#include <algorithm>
#include <cmath>

#include "search/report_page.h"
#include "search/report_text.h"
#include "search/statistics.h"

namespace rhnas::search {

using engine::Format;

namespace {

constexpr char kEdp[] = "edp_pj_cycles";
constexpr size_t kStyles = 6;  // line styles and marks that are told apart
constexpr Mark kMarks[kStyles] = {Mark::kCircle,  Mark::kSquare, Mark::kTriangle,
                                  Mark::kDiamond, Mark::kCross,  Mark::kStar};
const char* Style(size_t i) {
  constexpr const char* kNames[] = {"s0", "s1", "s2", "s3", "s4", "s5", "sx"};
  return kNames[std::min(i, kStyles)];
}

double NumberOf(const hw::Json& object, const char* key) {
  const hw::Json* value = object.Find(key);
  return value != nullptr && value->type == hw::Json::Type::kNumber ? value->number : std::nan("");
}

std::string Percent(double share) {
  return std::isfinite(share) ? Format("%.3g%%", 100 * share) : "–";
}

// A training run tells both; the one on images that it was not trained on.
const char* AccuracyColumn(const ReportRun& run) {
  return run.log.Column("validation_accuracy") >= 0 ? "validation_accuracy" : "accuracy";
}

// Median over seeds of the regret after each evaluation at which some seed improved.
struct Course {
  std::vector<std::pair<double, double>> points;
};
Course CourseOf(const DataTable& t, const std::string& method, double budget) {
  const int name = t.Column("method"), seed = t.Column("seed");
  const std::vector<double> at = t.Numbers("evaluation"), regret = t.Numbers("regret");
  std::vector<std::vector<std::pair<double, double>>> seeds;
  std::vector<double> stops = {1, budget};
  for (size_t i = 0; i < t.rows.size(); ++i) {
    if (t.Text(i, name) != method) continue;
    const bool other =
        i == 0 || t.Text(i - 1, name) != method || t.Text(i, seed) != t.Text(i - 1, seed);
    if (other) seeds.emplace_back();
    seeds.back().push_back({at[i], regret[i]});
    if (at[i] >= 1) stops.push_back(at[i]);
  }
  std::sort(stops.begin(), stops.end());
  stops.erase(std::unique(stops.begin(), stops.end()), stops.end());
  Course course;
  for (const double stop : stops) {
    std::vector<double> regrets;
    for (const auto& curve : seeds) {
      size_t k = 0;
      while (k + 1 < curve.size() && curve[k + 1].first <= stop) ++k;
      regrets.push_back(curve[k].second);
    }
    if (!regrets.empty()) course.points.push_back({stop, Median(regrets)});
  }
  return course;
}

}  // namespace

void AddMethods(const ReportRun& run, ReportPage* page) {
  const hw::Json* methods = run.result.Find("methods");
  if (methods == nullptr) return;
  page->Begin("Methods");
  // Regrets below a hundredth of a percent are drawn as that.
  constexpr double kLeast = 1e-4;
  const double budget = run.Result("budget");
  std::vector<Course> courses;
  std::vector<double> xs = {1, budget}, ys = {kLeast};
  for (const auto& member : methods->members) {
    courses.push_back(CourseOf(run.curves, member.first, budget));
    for (auto& point : courses.back().points) {
      point.second = std::max(point.second, kLeast);
      ys.push_back(point.second);
    }
  }
  Axis y = Axis::Around("median regret", true, ys);
  y.percent = true;
  Plot plot("Regret over evaluations", "Median regret of each method, both axes logarithmic", 640,
            360);
  plot.Axes(Axis::Around("evaluations", true, xs), y);
  std::vector<std::vector<std::string>> rows;
  DataTable data;
  data = ParseDataTable("method,evaluation,median_regret\n");
  for (size_t i = courses.size(); i > 0; --i) {  // the best on top
    const std::string& name = methods->members[i - 1].first;
    plot.Line(courses[i - 1].points, Style(i - 1), true);
    for (const auto& [x, regret] : courses[i - 1].points) {
      data.rows.push_back({name, NumberText(x), NumberText(regret)});
      plot.Put(x, regret, Mark::kDot, "hit",
               name + Format("\n%.3g%% after ", 100 * regret) + ShortNumber(x) + " evaluations");
    }
  }
  for (size_t i = 0; i < courses.size(); ++i) {
    const auto& [name, m] = methods->members[i];
    const std::string key = "<svg class=\"key\" viewBox=\"0 0 30 10\"><path class=\"line " +
                            std::string(Style(i)) + "\" d=\"M0 5h30\"/></svg> ";
    const double to = NumberOf(m, "evaluations_to_1pct");
    rows.push_back({key + Escaped(name), Percent(NumberOf(m, "regret_median")),
                    Percent(NumberOf(m, "regret_q1")) + " – " + Percent(NumberOf(m, "regret_q3")),
                    std::isfinite(to) ? ShortNumber(to) : "–",
                    ShortNumber(NumberOf(m, "reached_1pct")), Percent(NumberOf(m, "share_valid")),
                    std::isfinite(NumberOf(m, "hypervolume"))
                        ? Format("%.4g", NumberOf(m, "hypervolume"))
                        : "–",
                    Format("%.3g", NumberOf(m, "seconds"))});
  }
  page->Figure("Regret over evaluations", plot.Finish(),
               "Median over seeds of how far the best design found so far is from the known "
               "optimum. Styles are those of the table; methods after the sixth are thin lines.",
               "regret", data, "wide free");
  page->Table({"method", "median regret", "quartiles", "evaluations to 1%", "seeds there", "valid",
               "hypervolume", "seconds"},
              rows);
  // Joint problems: where each run ended.
  const DataTable& c = run.curves;
  const std::vector<double> accuracy = c.Numbers("accuracy"), best = c.Numbers("best");
  std::vector<double> ends_x, ends_y;
  for (size_t i = 0; i < c.rows.size(); ++i) {
    if (c.Text(i, c.Column("event")) != "end" || !(accuracy[i] > 0)) continue;
    ends_x.push_back(best[i]);
    ends_y.push_back(accuracy[i]);
  }
  if (!ends_x.empty()) {
    Plot ends("Where runs ended", "Accuracy against objective of each run's best pair", 640, 360);
    Axis accuracies = Axis::Around("accuracy", false, ends_y);
    accuracies.percent = *std::max_element(ends_y.begin(), ends_y.end()) <= 1;
    ends.Axes(Axis::Around("objective", true, ends_x), accuracies);
    for (size_t m = methods->members.size(); m > 0; --m) {
      const std::string& name = methods->members[m - 1].first;
      for (size_t i = 0; i < c.rows.size(); ++i) {
        if (c.Text(i, c.Column("event")) != "end" || c.Text(i, 0) != name) continue;
        ends.Put(best[i], accuracy[i], m <= kStyles ? kMarks[m - 1] : Mark::kDot, Style(m - 1),
                 name + ", seed " + c.Text(i, c.Column("seed")) +
                     Format("\naccuracy %.4g, objective %.4g", accuracy[i], best[i]));
      }
    }
    page->Figure("Where runs ended", ends.Finish(),
                 "Shapes: the first six methods of the table in order: circle, square, triangle, "
                 "diamond, cross, star.",
                 "curves", c, "wide free");
  }
  page->End();
}

void AddSideBySide(const std::vector<ReportRun>& runs, ReportPage* page) {
  page->Begin("Side by side");
  struct Row {
    const char* key;
    const char* title;
    int better;  // 1: more is, -1: less is, 0: neither
    double scale;
  };
  constexpr Row kRows[] = {{"accuracy", "accuracy, %", 1, 100},
                           {"latency_cycles", "latency, cycles", -1, 1},
                           {"energy_pj", "energy, µJ", -1, 1e-6},
                           {"edp_pj_cycles", "energy-delay, pJ·cycles", -1, 1},
                           {"area_um2", "area, mm²", -1, 1e-6},
                           {"dram_bytes", "DRAM, bytes", -1, 1},
                           {"ratio.edp", "energy-delay, default / found", 1, 1},
                           {"macs", "multiply-accumulates", 0, 1},
                           {"params", "parameters", 0, 1},
                           {"evaluations", "evaluations", 0, 1},
                           {"seconds", "seconds", 0, 1}};
  std::vector<std::string> head = {""};
  DataTable data;
  data = ParseDataTable("quantity\n");
  for (size_t i = 0; i < runs.size(); ++i) {
    head.push_back("<a href=\"#run" + std::to_string(i + 1) + "\">" +
                   Escaped(std::string(1, static_cast<char>('A' + i % 26)) + " " + runs[i].name) +
                   "</a>");
    data.columns.push_back(runs[i].folder);
  }
  std::vector<std::vector<std::string>> rows;
  for (const Row& row : kRows) {
    double best = std::nan("");
    int known = 0;
    for (const ReportRun& run : runs) {
      const double value = run.Result(row.key);
      if (!std::isfinite(value)) continue;
      ++known;
      if (!std::isfinite(best) || (row.better > 0 ? value > best : value < best)) best = value;
    }
    if (known == 0) continue;
    rows.push_back({row.title});
    data.rows.push_back({row.key});
    for (const ReportRun& run : runs) {
      const double value = run.Result(row.key), shown = value * row.scale;
      const std::string text =
          shown >= 1e4 && shown < 1e12 ? Grouped(std::llround(shown)) : Format("%.4g", shown);
      rows.back().push_back(!std::isfinite(value) ? "–"
                            : known > 1 && row.better != 0 && value == best
                                ? "<b>" + text + "</b> <small>best</small>"
                                : text);
      data.rows.back().push_back(std::isfinite(value) ? NumberText(value) : "");
    }
  }
  for (const char* key : {"network", "hw_name", "dataset"}) {
    bool any = false;
    std::vector<std::string> row = {key};
    for (const ReportRun& run : runs) {
      const hw::Json* value = run.Find(key);
      any = any || value != nullptr;
      row.push_back(value == nullptr ? "–" : "<code>" + Escaped(value->string) + "</code>");
    }
    if (any) rows.push_back(row);
  }
  page->Table(head, rows);
  page->Data("runs", data);

  // Found designs and their defaults.
  page->body += "<div class=\"two\">";
  for (const bool with_accuracy : {true, false}) {
    const char* other = with_accuracy ? "accuracy" : "area_um2";
    std::vector<double> xs, ys;
    for (const ReportRun& run : runs) {
      for (const bool found : {true, false}) {
        const double x = found ? run.Result(kEdp) : run.Default(kEdp);
        const double y = found || with_accuracy ? run.Result(other) : run.Default(other);
        if (!std::isfinite(x) || !std::isfinite(y)) continue;
        xs.push_back(x);
        ys.push_back(with_accuracy ? y : y * 1e-6);
      }
    }
    if (xs.empty()) continue;
    const char* title =
        with_accuracy ? "Accuracy against energy-delay" : "Area against energy-delay";
    Plot plot(title, "Each run's result and the same network on the default accelerator");
    Axis y = Axis::Around(with_accuracy ? "accuracy" : "area, mm²", false, ys);
    y.percent = with_accuracy;
    plot.Axes(Axis::Around("energy-delay product, pJ·cycles", true, xs), y);
    for (size_t i = 0; i < runs.size(); ++i) {
      for (const bool found : {false, true}) {
        const double x = found ? runs[i].Result(kEdp) : runs[i].Default(kEdp);
        const double value =
            found || with_accuracy ? runs[i].Result(other) : runs[i].Default(other);
        const double y_value = with_accuracy ? value : value * 1e-6;
        if (!std::isfinite(x) || !std::isfinite(y_value)) continue;
        plot.Put(x, y_value, found ? Mark::kStar : Mark::kDiamond, found ? "st" : "df",
                 runs[i].name + (found ? "" : ", default accelerator") +
                     Format("\nEDP %.4g pJ·cycles", x));
        plot.Text(plot.X(x) + 8, plot.Y(y_value) - 6, "lab",
                  std::string(1, static_cast<char>('A' + i % 26)));
      }
    }
    page->Figure(title, plot.Finish(),
                 "Stars: results; diamonds: the same networks on the default accelerator. Letters "
                 "are those of the table.",
                 "", DataTable());
  }
  // Accuracies over epochs, on one scale.
  std::vector<double> xs, ys;
  for (const ReportRun& run : runs) {
    for (const double x : run.log.Numbers("epoch")) xs.push_back(x);
    for (const double y : run.log.Numbers(AccuracyColumn(run))) ys.push_back(y);
  }
  if (!ys.empty()) {
    Axis y = Axis::Around("accuracy", false, ys);
    y.percent = true;
    Plot plot("Accuracy over epochs", "Accuracy of each run at the end of its epochs");
    plot.Axes(Axis::Around("epoch", false, xs), y);
    for (size_t i = 0; i < runs.size(); ++i) {
      const std::vector<double> epochs = runs[i].log.Numbers("epoch");
      const std::vector<double> accuracy = runs[i].log.Numbers(AccuracyColumn(runs[i]));
      std::vector<std::pair<double, double>> line;
      for (size_t k = 0; k < epochs.size(); ++k) line.push_back({epochs[k], accuracy[k]});
      if (line.empty()) continue;
      plot.Line(line, Style(i));
      plot.Text(plot.X(line.back().first) - 4, plot.Y(line.back().second) - 5, "lab",
                std::string(1, static_cast<char>('A' + i % 26)));
    }
    page->Figure("Accuracy over epochs", plot.Finish(), "Letters are those of the table.", "",
                 DataTable());
  }
  page->body += "</div>";
  page->End();
}

}  // namespace rhnas::search
