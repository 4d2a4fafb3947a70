// What a run evaluated, in a report: accuracy against energy-delay, the designs of the last
// network, rewards, and why proposals could not be built.
#include <algorithm>
#include <cmath>

#include "search/report_page.h"
#include "search/report_text.h"

namespace rhnas::search {

using engine::Format;

namespace {

constexpr size_t kMostMarks = 1500;  // drawn; the files hold all that were recorded

struct Point {
  double x = 0, y = 0;
  size_t row = 0;
};

// Of points where less x and less y is better (pass -y where more is), those that no other beats,
// by growing x.
std::vector<Point> FrontOf(std::vector<Point> points) {
  std::sort(points.begin(), points.end(),
            [](const Point& a, const Point& b) { return a.x < b.x || (a.x == b.x && a.y < b.y); });
  std::vector<Point> front;
  for (const Point& p : points) {
    if (front.empty() || p.y < front.back().y) front.push_back(p);
  }
  return front;
}

std::string DesignTip(const DataTable& t, size_t row) {
  const auto number = [&](const char* column) { return t.Number(row, t.Column(column)); };
  std::string tip = t.Text(row, t.Column("hw"));
  if (const std::string& broken = t.Text(row, t.Column("broken")); !broken.empty()) {
    tip += "\ncannot be built: " + broken;
  } else {
    tip += "\n" + Grouped(static_cast<int64_t>(number("latency_cycles"))) + " cycles, " +
           EnergyText(number("energy_pj")) +
           Format("\nEDP %.4g pJ·cycles, ", number("edp_pj_cycles")) + AreaText(number("area_um2"));
  }
  tip += Format("\nreward %.4g, proposal ", number("reward")) + t.Text(row, t.Column("proposal"));
  const std::string& epoch = t.Text(row, t.Column("epoch"));
  return epoch.empty() || epoch == "0" ? tip : tip + ", epoch " + epoch;
}

// Every n-th of so many, so that few enough are drawn.
size_t Stride(size_t count) { return (count + kMostMarks - 1) / kMostMarks; }

void AddAccuracyPlot(const ReportRun& run, ReportPage* page) {
  const DataTable& e = run.epochs;
  const std::vector<double> edp = e.Numbers("edp_pj_cycles"), accuracy = e.Numbers("accuracy");
  const std::vector<double> epoch = e.Numbers("epoch");
  const DataTable& d = run.designs;
  const std::vector<double> design_edp = d.Numbers("edp_pj_cycles"), of = d.Numbers("epoch");
  const int phase = e.Column("phase");
  std::vector<Point> points, designs;
  std::vector<double> xs, ys;
  for (size_t i = 0; i < e.rows.size(); ++i) {
    if (!(edp[i] > 0) || e.Text(i, phase) == "warm-up") continue;
    points.push_back({edp[i], -accuracy[i], i});
    xs.push_back(edp[i]);
    ys.push_back(accuracy[i]);
  }
  if (points.empty()) return;
  for (size_t i = 0; i < d.rows.size(); ++i) {
    if (!(design_edp[i] > 0)) continue;
    // The epoch that it was evaluated in, or what was recorded next.
    size_t at = 0;
    while (at + 1 < e.rows.size() && epoch[at] < of[i]) ++at;
    if (e.Text(at, phase) == "training") at = e.rows.size() - 1;
    designs.push_back({design_edp[i], accuracy[at], i});
    xs.push_back(design_edp[i]);
  }
  const double found = run.Result("edp_pj_cycles"), base = run.Default("edp_pj_cycles");
  const double test = run.Result("accuracy");
  for (const double x : {found, base}) xs.push_back(x);
  ys.push_back(test);
  Axis y = Axis::Around("accuracy", false, ys);
  y.percent = true;
  Plot plot("Accuracy against energy-delay", "Epochs, evaluated designs, and the Pareto front");
  plot.Axes(Axis::Around("energy-delay product, pJ·cycles", true, xs), y);
  const size_t stride = Stride(designs.size());
  for (size_t i = 0; i < designs.size(); i += stride) {
    plot.Put(designs[i].x, designs[i].y, Mark::kDot, "dim", DesignTip(d, designs[i].row));
  }
  DataTable data = e;
  data.columns.push_back("front");
  for (std::vector<std::string>& row : data.rows) row.push_back("0");
  std::vector<std::pair<double, double>> line;
  for (const Point& p : FrontOf(points)) {
    line.push_back({p.x, -p.y});
    data.rows[p.row].back() = "1";
  }
  plot.Line(line, "front", true);
  for (const Point& p : points) {
    plot.Put(p.x, -p.y, e.Text(p.row, phase) == "training" ? Mark::kTriangle : Mark::kCircle,
             data.rows[p.row].back() == "1" ? "fr" : "ep",
             "epoch " + e.Text(p.row, e.Column("epoch")) + ", " + e.Text(p.row, phase) +
                 Format("\n%.2f%% on validation images\nEDP %.4g pJ·cycles\n", -100 * p.y, p.x) +
                 e.Text(p.row, e.Column("hw")) + "\n" + e.Text(p.row, e.Column("network")));
  }
  if (std::isfinite(test)) {
    plot.Put(base, test, Mark::kDiamond, "df",
             Format("found network on the default accelerator\n%.2f%% on test images\nEDP %.4g "
                    "pJ·cycles",
                    100 * test, base));
    plot.Put(found, test, Mark::kStar, "st",
             Format("found\n%.2f%% on test images\nEDP %.4g pJ·cycles", 100 * test, found));
  }
  page->Figure("Accuracy against energy-delay", plot.Finish(),
               "Circles: what each epoch of the search would have chosen, triangles: the final "
               "network as it is trained, both on validation images; filled: on the Pareto front. "
               "Small dots: each evaluated accelerator, at the accuracy of its epoch. Star: the "
               "result on test images; diamond: the same on the default accelerator.",
               "epochs", data);
}

// Designs that were evaluated for the last network: those of others have other costs.
void AddAreaPlot(const ReportRun& run, ReportPage* page) {
  const DataTable& d = run.designs;
  std::string objective = run.Setting("objective");
  const bool latency = objective == "latency", energy = objective == "energy";
  const char* column = latency ? "latency_cycles" : energy ? "energy_pj" : "edp_pj_cycles";
  const std::vector<double> cost = d.Numbers(column), area = d.Numbers("area_um2");
  const int network = d.Column("network");
  std::vector<Point> points;
  std::vector<double> xs, ys;
  for (size_t i = 0; i < d.rows.size(); ++i) {
    if (!(cost[i] > 0) || d.Text(i, network) != d.Text(d.rows.size() - 1, network)) continue;
    points.push_back({area[i] * 1e-6, cost[i], i});
    xs.push_back(points.back().x);
    ys.push_back(cost[i]);
  }
  if (points.empty()) return;
  const double found_area = run.Result("area_um2") * 1e-6, found = run.Result(column);
  const double base_area = run.Default("area_um2") * 1e-6, base = run.Default(column);
  for (const double x : {found_area, base_area}) xs.push_back(x);
  for (const double y : {found, base}) ys.push_back(y);
  Plot plot("Designs of the last network",
            "Cost against area of each evaluated design, and the "
            "Pareto front");
  plot.Axes(Axis::Around("area, mm²", true, xs),
            Axis::Around(latency  ? "latency, cycles"
                         : energy ? "energy, pJ"
                                  : "energy-delay product, pJ·cycles",
                         true, ys));
  DataTable data;
  data.columns = d.columns;
  data.columns.push_back("front");
  std::vector<std::pair<double, double>> line;
  std::vector<char> on(d.rows.size(), 0);
  for (const Point& p : FrontOf(points)) {
    line.push_back({p.x, p.y});
    on[p.row] = 1;
  }
  const size_t stride = Stride(points.size());
  for (size_t i = 0; i < points.size(); ++i) {
    const Point& p = points[i];
    data.rows.push_back(d.rows[p.row]);
    data.rows.back().push_back(on[p.row] != 0 ? "1" : "0");
    if (i % stride == 0 && on[p.row] == 0) {
      plot.Put(p.x, p.y, Mark::kDot, "ds", DesignTip(d, p.row));
    }
  }
  plot.Line(line, "front", true);
  for (const Point& p : points) {
    if (on[p.row] != 0) plot.Put(p.x, p.y, Mark::kCircle, "fr", DesignTip(d, p.row));
  }
  plot.Put(base_area, base, Mark::kDiamond, "df", "default accelerator");
  plot.Put(found_area, found, Mark::kStar, "st", "found");
  page->Figure("Designs of the last network", plot.Finish(),
               "Each evaluated accelerator that can be built and runs the network. Filled circles "
               "and the line: the Pareto front. Star: found; diamond: the default.",
               "designs", data);
}

void AddRewardPlot(const ReportRun& run, ReportPage* page) {
  const DataTable& d = run.designs;
  const std::vector<double> proposal = d.Numbers("proposal"), reward = d.Numbers("reward");
  const std::vector<double> evaluation = d.Numbers("evaluation");
  if (d.empty()) return;
  Plot plot("Reward of each design", "Rewards over proposals; crosses cannot be built");
  plot.Axes(Axis::Around("proposal", false, proposal), Axis::Around("reward", false, reward));
  const int network = d.Column("network"), valid = d.Column("valid");
  const size_t stride = Stride(d.rows.size());
  std::vector<std::pair<double, double>> best;
  for (size_t i = 0; i < d.rows.size(); ++i) {
    const bool runs = d.Text(i, valid) == "1";
    const bool other = i == 0 || d.Text(i, network) != d.Text(i - 1, network);
    if (other) {
      plot.Line(best, "front", true);
      best.clear();
    }
    const bool better = runs && (best.empty() || reward[i] > best.back().second);
    if (better) {
      best.push_back({proposal[i], reward[i]});
    } else if (!best.empty()) {
      best.push_back({proposal[i], best.back().second});
    }
    if (i % stride != 0 && !better) continue;
    plot.Put(proposal[i], reward[i], runs ? Mark::kDot : Mark::kCross, runs ? "ds" : "no",
             DesignTip(d, i));
  }
  plot.Line(best, "front", true);
  std::string caption =
      "-log of the objective relative to the default on the same network: above 0 is better. "
      "Crosses, below -3: cannot be built or cannot run the network. Line: the best so far, anew "
      "for each network.";
  const double most = evaluation.back();
  if (static_cast<double>(d.rows.size()) + 0.5 < most) {
    caption += " Of " + Grouped(static_cast<int64_t>(most)) + " distinct designs " +
               Grouped(static_cast<int64_t>(d.rows.size())) +
               " were recorded, evenly thinned out, the bests all kept.";
  }
  page->Figure("Reward of each design", plot.Finish(), caption, "rewards", d);
}

// A row a rule: the share of proposals that broke it, over the run.
void AddRules(const ReportRun& run, ReportPage* page) {
  const DataTable& p = run.proposals;
  if (p.empty()) return;
  const double total = p.Number(p.rows.size() - 1, p.Column("last"));
  constexpr size_t kValid = 2;  // the first column of counts
  std::vector<double> sums(p.columns.size(), 0);
  int shown = 0;
  for (size_t column = kValid; column < p.columns.size(); ++column) {
    for (const double count : p.Numbers(p.columns[column].c_str())) sums[column] += count;
    if (sums[column] > 0 || column == kValid) ++shown;
  }
  double y = 6;
  Plot plot("Why proposals could not be built",
            "Share of proposals that were valid, or broke each rule, over the run", 480,
            28 + 20 * shown);
  for (size_t column = kValid; column < p.columns.size(); ++column) {
    if (sums[column] == 0 && column > kValid) continue;
    const std::vector<double> counts = p.Numbers(p.columns[column].c_str());
    const std::string& name = p.columns[column];
    std::string what = name;
    if (name == "unmappable") what += ": can be built, but the network cannot run there";
    if (run.family != nullptr) {
      for (const hw::RuleInfo& rule : run.family->rules()) {
        if (name == rule.name) what += std::string(": ") + rule.description;
      }
    }
    plot.Text(70, y + 12, "te", name);
    for (size_t i = 0; i < counts.size(); ++i) {
      const double from = p.Number(i, p.Column("first")), to = p.Number(i, p.Column("last"));
      const double share = counts[i] / (to - from + 1), x = 76 + 330 * (from - 1) / total;
      plot.Raw(
          "<rect" + Attribute("x", x) + Attribute("y", y) +
          Attribute("width", 330 * (to - from + 1) / total) + " height=\"16\" class=\"heat" +
          (column == kValid ? " ok" : "") + "\" fill-opacity=\"" +
          NumberText(std::round(100 * share) / 100) + "\" data-t=\"" +
          Escaped(what + "\n" + Format("%.1f%% of proposals %.0f to %.0f", 100 * share, from, to)) +
          "\"/>");
    }
    plot.Rect(76, y, 330, 16, "cell", "");
    plot.Text(478, y + 12, "te", Grouped(static_cast<int64_t>(sums[column])));
    y += 20;
  }
  plot.Text(76, y + 12, "", "1");
  plot.Text(406, y + 12, "te", Grouped(static_cast<int64_t>(total)) + " proposals");
  page->Figure(
      "Why proposals could not be built", plot.Finish(),
      "Stronger: a larger share of the proposals at that time. A proposal may break several "
      "rules. At the right: how many in all.",
      "proposals", p);
}

}  // namespace

void AddDesigns(const ReportRun& run, ReportPage* page) {
  if (run.designs.empty() && run.epochs.empty()) return;
  page->Begin("Designs");
  page->body += "<div class=\"two\">";
  AddAccuracyPlot(run, page);
  if (!run.designs.empty()) {
    AddAreaPlot(run, page);
    AddRewardPlot(run, page);
  }
  AddRules(run, page);
  page->body += "</div>";
  page->End();
}

}  // namespace rhnas::search
