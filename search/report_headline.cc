// The head of a report: what was found against the default; and its foot: how to repeat it.
#include <cmath>

#include "search/progress.h"
#include "search/report_page.h"
#include "search/report_text.h"

namespace rhnas::search {

using engine::Format;

namespace {

// A card of the headline. Bars only where there is a default to compare with.
void Card(const char* title, const std::string& value, const std::string& unit,
          const std::string& base, double found, double other, std::string* body) {
  *body += std::string("<div class=\"card\"><h3>") + title + "</h3><p class=\"big\">" + value +
           " <small>" + unit + "</small></p>";
  if (std::isfinite(found) && std::isfinite(other) && found > 0 && other > 0) {
    const double most = std::max(found, other);
    *body += RatioText(found, other) + "<p class=\"vs\">default " + base +
             "</p><div class=\"bars\">" + "<i style=\"width:" + Coordinate(100 * found / most) +
             "%\"></i><i style=\"width:" + Coordinate(100 * other / most) + "%\"></i></div>";
  } else if (!base.empty()) {
    *body += "<p class=\"vs\">" + base + "</p>";
  }
  *body += "</div>";
}

// A card of a cost that result.json has for both sides, or of what was computed anew.
void CostCard(const ReportRun& run, const char* title, const char* key, double found, double base,
              std::string (*text)(double), const char* unit, std::string* body) {
  if (std::isfinite(run.Result(key))) found = run.Result(key);
  if (std::isfinite(run.Default(key))) base = run.Default(key);
  if (!std::isfinite(found)) {
    if (!std::isfinite(base)) return;
    Card(title, text(base), unit, "on the default accelerator", base, NAN, body);
    return;
  }
  Card(title, ResultNumber(run, key, text(found)), unit,
       ResultNumber(run, (std::string("default.") + key).c_str(), text(base)), found, base, body);
}

std::string Cycles(double value) { return Grouped(static_cast<int64_t>(value)); }
// "9.408e11": no sign where none is needed.
std::string Plain(double value) {
  std::string text = Format("%.4g", value);
  const size_t plus = text.find('+');
  if (plus != std::string::npos) text.erase(plus, 1);
  return text;
}

std::string Quoted(const std::string& word) {
  const char* plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:=,@+%";
  if (!word.empty() && word.find_first_not_of(plain) == std::string::npos) return word;
  std::string quoted = "'";
  for (const char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

std::string Text(const hw::Json* value) {
  return value != nullptr && value->type == hw::Json::Type::kString ? value->string : "";
}

}  // namespace

std::string ResultNumber(const ReportRun& run, const char* key, const std::string& shown) {
  const double value = run.Result(key);
  if (!std::isfinite(value)) return Escaped(shown);
  return "<data value=\"" + NumberText(value) + "\" data-key=\"" + Escaped(key) + "\">" +
         Escaped(shown) + "</data>";
}

std::string RatioText(double found, double base) {
  const double ratio = base / found;
  if (!std::isfinite(ratio)) return "";
  if (std::fabs(ratio - 1) < 0.0005) return "<p class=\"same\">= the same</p>";
  const bool better = ratio > 1;
  const double factor = better ? ratio : 1 / ratio;
  return std::string("<p class=\"") + (better ? "good\">▼ " : "bad\">▲ ") +
         (factor < 1.095 ? Format("%.2g%% ", 100 * std::fabs(found / base - 1))
                         : Format("%.3g× ", factor)) +
         (better ? "lower, better" : "higher, worse") + "</p>";
}

std::string SquareMillimetres(double um2) { return Format("%.4g", um2 * 1e-6); }

void AddHeadline(const ReportRun& run, ReportPage* page) {
  std::string& body = page->body;
  const double none = std::nan("");
  const bool costs = run.cost.has_value(), base = run.reference_cost.has_value();
  const hw::NetworkCost nothing;
  const hw::NetworkCost& found = costs ? *run.cost : nothing;
  const hw::NetworkCost& other = base ? *run.reference_cost : nothing;
  if (!run.finished) {
    const hw::Json* done = run.state.Find("done");
    const hw::Json* total = run.state.Find("total");
    body +=
        "<p class=\"note\"><b>Not finished.</b> These are the figures of what the run would "
        "choose now";
    if (done != nullptr && total != nullptr) {
      body += ", after " + Grouped(done->integer_value) + " of " + Grouped(total->integer_value) +
              " steps";
    }
    body += ". Go on with <code>rhnas " + Escaped(run.command) + " --resume " +
            Escaped(Quoted(run.folder)) + "</code></p>";
  }
  body += "<div class=\"cards\">";
  const double accuracy = run.Result("accuracy");
  if (std::isfinite(accuracy)) {
    Card("Accuracy", ResultNumber(run, "accuracy", Format("%.2f", 100 * accuracy)), "%",
         "on the test images", accuracy, none, &body);
  } else if (const hw::Json* now = run.state.Find("accuracy"); now != nullptr && !run.finished) {
    Card("Accuracy", Format("%.2f", 100 * now->number), "%", "on validation images, so far",
         now->number, none, &body);
  }
  if (run.command != "compare") {
    const auto one = [&](bool there, double value) { return there ? value : none; };
    CostCard(run, "Latency", "latency_cycles",
             one(costs, static_cast<double>(found.latency_cycles)),
             one(base, static_cast<double>(other.latency_cycles)), Cycles, "cycles", &body);
    CostCard(
        run, "Energy", "energy_pj", one(costs, found.energy_pj), one(base, other.energy_pj),
        [](double pj) { return Format("%.4g", pj * 1e-6); }, "µJ", &body);
    CostCard(run, "Energy-delay", "edp_pj_cycles", one(costs, found.edp_pj_cycles),
             one(base, other.edp_pj_cycles), Plain, "pJ·cycles", &body);
    CostCard(run, "Area", "area_um2", one(costs, found.area_um2), one(base, other.area_um2),
             SquareMillimetres, "mm²", &body);
  }
  body += "</div>";
  std::string facts;
  for (const auto& [key, title] :
       {std::pair("macs", "multiply-accumulates"), std::pair("params", "parameters"),
        std::pair("budget", "evaluations a run"), std::pair("seeds", "seeds"),
        std::pair("optimum", "the known optimum"), std::pair("epochs", "epochs"),
        std::pair("regret", "regret to the space's optimum")}) {
    const double value = run.Result(key);
    if (!std::isfinite(value)) continue;
    const bool whole = value == std::floor(value) && value < 1e12;
    facts += (facts.empty() ? "" : " · ") +
             ResultNumber(run, key, whole ? Cycles(value) : Plain(value)) + " " + title;
  }
  if (const hw::Json* best = run.result.Find("best_method"); best != nullptr) {
    facts += " · best method: <b>" + Escaped(best->string) + "</b>";
  }
  if (!facts.empty()) body += "<p>" + facts + "</p>";
  if (!run.note.empty()) {
    body += "<p class=\"note\">Layers and parts are not drawn: " + Escaped(run.note) + ".</p>";
  }
}

void AddSettings(const ReportRun& run, ReportPage* page) {
  std::string& body = page->body;
  page->Begin("Settings");
  std::string line;
  const hw::Json* words = run.config.Find("command_line");
  for (size_t i = 0; words != nullptr && i < words->items.size(); ++i) {
    line += (i > 0 ? " " : "") + Quoted(words->items[i].string);
  }
  if (line.compare(0, 6, "rhnas ") != 0) line = "rhnas " + run.command + " " + line;
  body +=
      "<p>To repeat the run, with another <code>--out</code>; the same seed gives the same bits "
      "for any number of threads:</p><pre>" +
      Escaped(line) + "</pre>";
  body += "<p class=\"muted\">rhnas " + Escaped(Text(run.config.Find("version"))) + ", commit " +
          Escaped(Text(run.config.Find("commit"))) + ", run folder <code>" + Escaped(run.folder) +
          "</code>";
  if (const double seconds = run.Result("seconds"); std::isfinite(seconds)) {
    body += ", " + ResultNumber(run, "seconds", Format("%.1f", seconds)) + " s";
  }
  if (const double evaluations = run.Result("evaluations"); std::isfinite(evaluations)) {
    body +=
        ", " + ResultNumber(run, "evaluations", Cycles(evaluations)) + " evaluations of designs";
  }
  body += "</p><details open=\"open\"><summary>All settings</summary><dl class=\"settings\">";
  DataTable data;
  data = ParseDataTable("setting,value\n");
  if (const hw::Json* settings = run.config.Find("settings"); settings != nullptr) {
    for (const auto& member : settings->members) {
      const std::string value = run.Setting(member.first.c_str());
      body += "<div><dt>" + Escaped(member.first) + "</dt><dd>" +
              (value.empty() ? "–" : Escaped(value)) + "</dd></div>";
      data.rows.push_back({member.first, value});
    }
  }
  body += "</dl></details>";
  page->Data("settings", data);
  page->End();
}

}  // namespace rhnas::search
