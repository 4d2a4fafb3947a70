#include "search/compare_report.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace rhnas::search {

using engine::Format;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNear = 0.01;  // "within 1 % of the optimum"

double Regret(double objective, double optimum) { return objective / optimum - 1; }

double EvaluationsTo(const CompareRun& run, double objective) {
  for (const CurvePoint& point : run.curve) {
    if (point.objective <= objective) return static_cast<double>(point.evaluation);
  }
  return kInfinity;
}

std::string PercentText(double share) {
  const double percent = 100 * share;
  return Format(percent < 10 ? "%.2f%%" : percent < 1000 ? "%.1f%%" : "%.0f%%", percent);
}

}  // namespace

std::vector<MethodSummary> Summarise(const Comparison& c) {
  const double optimum = c.problem->optimum();
  std::vector<MethodSummary> summaries;
  std::vector<std::vector<double>> regrets;  // by method as they came
  for (const CompareMethod& method : c.methods) {
    MethodSummary s;
    s.method = &method;
    std::vector<double> regret, near, volume;
    std::vector<int64_t> by_rule(64, 0);
    int64_t evaluations = 0, valid = 0;
    for (int i = 0; i < c.seeds; ++i) {
      const CompareRun& run = c.run(method, i);
      regret.push_back(Regret(run.curve.back().objective, optimum));
      s.regret_mean += regret.back() / c.seeds;
      near.push_back(EvaluationsTo(run, (1 + kNear) * optimum));
      s.reached_1pct += std::isfinite(near.back()) ? 1 : 0;
      s.reached_optimum += run.curve.back().objective <= optimum ? 1 : 0;
      evaluations += run.evaluations;
      valid += run.valid;
      s.proposals += run.proposals;
      s.proposals_broken += run.proposals_broken;
      s.proposed += run.proposals > 0 ? 1 : 0;
      s.final_broken += run.final_broken != 0 ? 1 : 0;
      for (size_t rule = 0; rule < 64; ++rule) by_rule[rule] += run.final_broken >> rule & 1;
      volume.push_back(run.hypervolume);
      s.seconds += run.seconds / c.seeds;
    }
    s.regret_q1 = Quantile(regret, 0.25);
    s.regret_median = Median(regret);
    s.regret_q3 = Quantile(regret, 0.75);
    s.evaluations_to_1pct = Median(near);
    s.share_valid =
        evaluations == 0 ? 0 : static_cast<double>(valid) / static_cast<double>(evaluations);
    s.hypervolume = Median(volume);
    for (size_t rule = 0; rule < 64; ++rule) {
      if (by_rule[rule] == 0) continue;
      s.final_broken_by +=
          Format("%s%s %lld", s.final_broken_by.empty() ? "" : ", ",
                 rule == 63 ? "cannot-run" : c.problem->RuleName(static_cast<int>(rule)).c_str(),
                 static_cast<long long>(by_rule[rule]));
    }
    summaries.push_back(std::move(s));
    regrets.push_back(std::move(regret));
  }
  std::vector<size_t> order(summaries.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&](size_t x, size_t y) {
    const MethodSummary &a = summaries[x], &b = summaries[y];
    if (a.regret_median != b.regret_median) return a.regret_median < b.regret_median;
    if (a.regret_mean != b.regret_mean) return a.regret_mean < b.regret_mean;
    if (a.evaluations_to_1pct != b.evaluations_to_1pct) {
      return a.evaluations_to_1pct < b.evaluations_to_1pct;
    }
    return x < y;
  });
  std::vector<MethodSummary> sorted;
  for (const size_t i : order) {
    summaries[i].to_best = PairedBootstrap(regrets[i], regrets[order[0]]);
    sorted.push_back(std::move(summaries[i]));
  }
  return sorted;
}

std::string ComparisonTable(const Comparison& c, const std::vector<MethodSummary>& summaries) {
  const bool joint = c.problem->joint();
  std::string text = c.problem->Text();
  text +=
      Format("budget       %lld evaluations, seeds %llu to %llu\n\n",
             static_cast<long long>(c.budget), static_cast<unsigned long long>(c.first_seed),
             static_cast<unsigned long long>(c.first_seed) + static_cast<uint64_t>(c.seeds) - 1);
  size_t width = 6;
  for (const MethodSummary& s : summaries) width = std::max(width, s.method->name.size());
  const int w = static_cast<int>(width);
  text += Format("%-*s %8s %17s %19s %14s %7s %s%13s %8s\n", w, "method", "regret", "quartiles",
                 "less the best, 95%", "evals to 1%", "valid", joint ? " volume " : "",
                 "not buildable", "seconds");
  for (const MethodSummary& s : summaries) {
    const std::string quartiles = PercentText(s.regret_q1) + " - " + PercentText(s.regret_q3);
    const std::string interval = PercentText(s.to_best.low) + " - " + PercentText(s.to_best.high);
    const std::string near =
        (std::isfinite(s.evaluations_to_1pct) ? Format("%.0f", s.evaluations_to_1pct) : "-") +
        Format(" (%d/%d)", s.reached_1pct, c.seeds);
    const std::string broken =
        s.proposed > 0 ? Format("%d/%d", s.final_broken, s.proposed) : std::string("-");
    text += Format("%-*s %8s %17s %19s %14s %7s %s%13s %8.3f\n", w, s.method->name.c_str(),
                   PercentText(s.regret_median).c_str(), quartiles.c_str(), interval.c_str(),
                   near.c_str(), PercentText(s.share_valid).c_str(),
                   joint ? Format("%7.4f ", s.hypervolume).c_str() : "", broken.c_str(), s.seconds);
  }
  text +=
      "\nregret: objective / optimum - 1 of the best design found, median over seeds; less the "
      "best: paired bootstrap\nof the difference of medians; evals to 1%: median (seeds that got "
      "there); valid: share of distinct designs asked;\nnot buildable: seeds whose model's own "
      "last "
      "proposal breaks a rule or cannot run (-: never proposed); seconds: of a run\n";
  for (const MethodSummary& s : summaries) {
    if (s.final_broken == 0) continue;
    text +=
        Format("%-*s not buildable by: %s\n", w, s.method->name.c_str(), s.final_broken_by.c_str());
  }
  return text;
}

std::string ComparisonJson(const Comparison& c, const std::vector<MethodSummary>& summaries) {
  hw::JsonWriter json;
  json.BeginObject();
  json.Key("problem").String(c.problem->name());
  json.Key("optimum").Double(c.problem->optimum());
  json.Key("budget").Int(c.budget);
  json.Key("first_seed").Int(static_cast<int64_t>(c.first_seed)).Key("seeds").Int(c.seeds);
  json.Key("best_method").String(summaries[0].method->name);
  c.problem->AddJson(&json);
  json.Key("methods").BeginObject();
  for (const MethodSummary& s : summaries) {
    json.Key(s.method->name).BeginObject();
    json.Key("regret_median").Double(s.regret_median);
    json.Key("regret_q1").Double(s.regret_q1).Key("regret_q3").Double(s.regret_q3);
    json.Key("regret_mean").Double(s.regret_mean);
    json.Key("less_best_low").Double(s.to_best.low).Key("less_best_high").Double(s.to_best.high);
    json.Key("share_valid").Double(s.share_valid);
    json.Key("evaluations_to_1pct").Double(s.evaluations_to_1pct);  // null where infinite
    json.Key("reached_1pct").Int(s.reached_1pct);
    json.Key("reached_optimum").Int(s.reached_optimum);
    if (c.problem->joint()) json.Key("hypervolume").Double(s.hypervolume);
    if (s.method->proposes) {
      json.Key("proposals").Int(s.proposals).Key("proposals_invalid").Int(s.proposals_broken);
      json.Key("proposing_seeds").Int(s.proposed);
      json.Key("final_invalid").Int(s.final_broken);
      json.Key("final_invalid_by_rule").String(s.final_broken_by);
    }
    json.Key("seconds").Double(s.seconds);
    json.EndObject();
  }
  json.EndObject().EndObject();
  return json.text() + "\n";
}

std::string ComparisonCsv(const Comparison& c) {
  const double optimum = c.problem->optimum();
  std::string text = "method,seed,event,evaluation,best,regret,accuracy,valid_share\n";
  for (const CompareMethod& method : c.methods) {
    for (int i = 0; i < c.seeds; ++i) {
      const CompareRun& run = c.run(method, i);
      const auto add = [&](const char* event, int64_t evaluation, int64_t valid,
                           const CurvePoint& best) {
        text += Format(
            "%s,%llu,%s,%lld,%.17g,%.9g,%.9g,%.6g\n", method.name.c_str(),
            static_cast<unsigned long long>(c.first_seed) + static_cast<uint64_t>(i), event,
            static_cast<long long>(evaluation), best.objective, Regret(best.objective, optimum),
            best.accuracy,
            evaluation == 0 ? 0.0 : static_cast<double>(valid) / static_cast<double>(evaluation));
      };
      for (const CurvePoint& point : run.curve) {
        add(point.evaluation == 0 ? "start" : "better", point.evaluation, point.valid, point);
      }
      add("end", run.evaluations, run.valid, run.curve.back());
    }
  }
  return text;
}

std::string ComparisonSvg(const Comparison& c, const std::vector<MethodSummary>& summaries) {
  // Regrets below a hundredth of a percent are drawn as that.
  constexpr double kLeast = 1e-4;
  constexpr int kWidth = 900, kHeight = 480, kLeft = 70, kRight = 190, kTop = 20, kBottom = 50;
  const double optimum = c.problem->optimum();
  const double most_x = std::log10(static_cast<double>(std::max<int64_t>(c.budget, 2)));
  double most_y = std::log10(kLeast) + 1;
  for (const MethodSummary& s : summaries) {
    const double start = Regret(c.run(*s.method, 0).curve.front().objective, optimum);
    most_y = std::max(most_y, std::ceil(std::log10(std::max(start, kLeast))));
  }
  const double least_y = std::log10(kLeast);
  const auto x_of = [&](int64_t evaluation) {
    const double share = std::log10(static_cast<double>(std::max<int64_t>(evaluation, 1))) / most_x;
    return kLeft + share * (kWidth - kLeft - kRight);
  };
  const auto y_of = [&](double regret) {
    const double share = (std::log10(std::max(regret, kLeast)) - least_y) / (most_y - least_y);
    return kHeight - kBottom - share * (kHeight - kTop - kBottom);
  };
  std::string svg = Format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
      "font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%%\" height=\"100%%\" "
      "fill=\"white\"/>\n<text x=\"%d\" y=\"%d\">median regret of %d seeds over evaluations"
      "</text>\n",
      kWidth, kHeight, kLeft, kHeight - 12, c.seeds);
  for (double y = least_y; y <= most_y + 0.5; ++y) {
    const double at = y_of(std::pow(10.0, y));
    svg += Format("<path d=\"M%d %.1fH%d\" stroke=\"#ddd\"/><text x=\"8\" y=\"%.1f\">%g%%</text>\n",
                  kLeft, at, kWidth - kRight, at + 4, std::pow(10.0, y + 2));
  }
  for (int64_t x = 1; x <= c.budget; x *= 10) {
    svg += Format("<text x=\"%.1f\" y=\"%d\">%lld</text>\n", x_of(x), kHeight - kBottom + 16,
                  static_cast<long long>(x));
  }
  int number = 0;
  for (const MethodSummary& s : summaries) {
    // The median changes where some run does.
    std::vector<int64_t> stops = {1, c.budget};
    for (int i = 0; i < c.seeds; ++i) {
      for (const CurvePoint& point : c.run(*s.method, i).curve) stops.push_back(point.evaluation);
    }
    std::sort(stops.begin(), stops.end());
    stops.erase(std::unique(stops.begin(), stops.end()), stops.end());
    std::string path;
    for (const int64_t stop : stops) {
      if (stop < 1) continue;
      std::vector<double> regrets;
      for (int i = 0; i < c.seeds; ++i) {
        const std::vector<CurvePoint>& curve = c.run(*s.method, i).curve;
        size_t at = 0;
        while (at + 1 < curve.size() && curve[at + 1].evaluation <= stop) ++at;
        regrets.push_back(Regret(curve[at].objective, optimum));
      }
      const double y = y_of(Median(regrets));
      path +=
          path.empty() ? Format("M%.1f %.1f", x_of(stop), y) : Format("H%.1fV%.1f", x_of(stop), y);
    }
    const int hue = number * 137 % 360;  // golden angle: neighbours differ
    const int label = kTop + 14 * number + 10;
    svg += Format(
        "<path d=\"%s\" fill=\"none\" stroke=\"hsl(%d,70%%,45%%)\" stroke-width=\"1.5\"/>\n"
        "<text x=\"%d\" y=\"%d\" fill=\"hsl(%d,70%%,40%%)\">%s</text>\n",
        path.c_str(), hue, kWidth - kRight + 10, label, hue, s.method->name.c_str());
    ++number;
  }
  return svg + "</svg>\n";
}

}  // namespace rhnas::search
