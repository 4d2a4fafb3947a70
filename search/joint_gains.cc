#include "search/joint_gains.h"

#include <algorithm>

#include "engine/check.h"
#include "hw/json.h"
#include "hw/valid_set.h"

namespace rhnas::search {

using engine::Format;

namespace {

constexpr double kCaps[] = {1, 2, 4, 12, 0};
constexpr Objective kObjectives[] = {Objective::kLatency, Objective::kEdp};

JointPair OnDefault(const JointProblem& problem, const std::vector<int>& network) {
  JointPair pair;
  pair.network = network;
  pair.point = JointProblem::kDefault;
  pair.accuracy = problem.Accuracy(network.data());
  problem.Cost(network.data(), pair.point, &pair.cost);
  return pair;
}

// A reference and what "equal accuracy" means for it.
struct Reference {
  std::string what;
  std::vector<int> network;
  double accuracy_min = 0;
};

std::vector<Reference> ReferencesOf(const JointProblem& problem, Objective objective,
                                    const std::vector<int>& own) {
  const double floor = problem.goal().accuracy_min;
  std::vector<Reference> references;
  const auto add = [&](const char* what, const std::vector<int>& network, double accuracy_min) {
    references.push_back({what, network, accuracy_min});
  };
  const JointPair& best = problem.reference();
  add("most accurate", best.network, std::min(floor, best.accuracy));
  if (best.accuracy > floor) add("most accurate, own accuracy", best.network, best.accuracy);
  if (const std::optional<JointPair> found = BestOnDefault(problem, objective, floor)) {
    add("best on default", found->network, floor);
  }
  if (!own.empty()) add("given", own, problem.Accuracy(own.data()));
  return references;
}

std::string DesignText(const JointProblem& problem, int64_t point) {
  return (point == JointProblem::kDefault ? problem.default_design()
                                          : problem.space()->AtPoint(point))
      ->ShortName();
}

void AddPair(const JointProblem& problem, const char* key, const JointPair& pair,
             hw::JsonWriter* json) {
  json->Key(key).BeginObject();
  json->Key("network").String(problem.NetworkText(pair.network.data()));
  json->Key("hw_name").String(DesignText(problem, pair.point));
  json->Key("accuracy").Double(pair.accuracy);
  json->Key("latency_cycles").Int(pair.cost.latency_cycles);
  json->Key("energy_pj").Double(pair.cost.energy_pj);
  json->Key("edp_pj_cycles").Double(pair.cost.edp_pj_cycles);
  json->Key("area_um2").Double(pair.cost.area_um2).EndObject();
}

}  // namespace

std::optional<JointPair> BestOnDefault(const JointProblem& problem, Objective objective,
                                       double accuracy_min) {
  const std::vector<int>& sizes = problem.network_sizes();
  std::vector<int> network(sizes.size(), 0);
  std::optional<JointPair> best;
  for (size_t at = 0; at < sizes.size();) {
    const double accuracy = problem.Accuracy(network.data());
    DesignCost cost;
    if (accuracy >= accuracy_min && problem.Cost(network.data(), JointProblem::kDefault, &cost)) {
      const double value = ObjectiveValue(objective, cost);
      const double least = best ? ObjectiveValue(objective, best->cost) : value;
      if (!best || value < least || (value == least && accuracy > best->accuracy)) {
        best = JointPair{network, JointProblem::kDefault, accuracy, cost};
      }
    }
    // The next network; past the last one `at` runs over.
    for (at = 0; at < sizes.size() && ++network[at] == sizes[at]; ++at) network[at] = 0;
  }
  return best;
}

std::optional<Gains> SplitGains(const JointProblem& problem, const std::vector<int>& reference,
                                const GainsQuestion& question) {
  RHNAS_CHECK(reference.size() == problem.network_sizes().size(),
              "a network of %d decisions, not %d", static_cast<int>(reference.size()),
              static_cast<int>(problem.network_sizes().size()));
  const JointPair start = OnDefault(problem, reference);
  Gains gains;
  gains.question = question;
  bool found = false;
  for (const int64_t point : problem.valid().points()) {
    DesignCost cost;
    if (!problem.Cost(reference.data(), point, &cost)) continue;
    if (question.area_max > 0 && cost.area_um2 > question.area_max * problem.default_area_um2()) {
      continue;
    }
    if (found && ObjectiveValue(question.objective, cost) >=
                     ObjectiveValue(question.objective, gains.best_hardware.cost)) {
      continue;
    }
    gains.best_hardware = {reference, point, start.accuracy, cost};
    found = true;
  }
  const std::optional<JointPair> network =
      BestOnDefault(problem, question.objective, question.accuracy_min);
  const std::optional<JointPair> both =
      problem.Optimum({question.objective, question.accuracy_min, question.area_max});
  if (!found || !network || !both) return std::nullopt;
  gains.best_network = *network;
  gains.best = *both;
  const double value = ObjectiveValue(question.objective, start.cost);
  const auto ratio = [&](const JointPair& pair) {
    return value / ObjectiveValue(question.objective, pair.cost);
  };
  gains.hardware = ratio(gains.best_hardware);
  gains.network = ratio(gains.best_network);
  gains.both = ratio(gains.best);
  return gains;
}

std::string GainsText(const JointProblem& problem, const std::vector<int>& own) {
  std::string text =
      Format("%s: times lower than the reference network on the default accelerator (%s), exact\n",
             problem.name().c_str(), problem.default_design()->ShortName().c_str());
  for (const Objective objective : kObjectives) {
    for (const Reference& reference : ReferencesOf(problem, objective, own)) {
      const JointPair start = OnDefault(problem, reference.network);
      text += Format(
          "\n%s, reference: %s, %s\n  its accuracy %.4f, at least %.4f asked\n"
          "  %8s %9s %9s %9s   %s\n",
          ObjectiveName(objective), reference.what.c_str(),
          problem.NetworkText(reference.network.data()).c_str(), start.accuracy,
          reference.accuracy_min, "area cap", "hardware", "network", "both", "best pair");
      for (const double cap : kCaps) {
        const std::optional<Gains> gains =
            SplitGains(problem, reference.network, {objective, reference.accuracy_min, cap});
        const std::string name = cap > 0 ? Format("%g", cap) : "none";
        if (!gains) {
          text += Format("  %8s no pair\n", name.c_str());
          continue;
        }
        text += Format("  %8s %8.3fx %8.3fx %8.3fx   %s, accuracy %.4f, on %s\n", name.c_str(),
                       gains->hardware, gains->network, gains->both,
                       problem.NetworkText(gains->best.network.data()).c_str(),
                       gains->best.accuracy, DesignText(problem, gains->best.point).c_str());
      }
    }
  }
  return text;
}

std::string GainsJson(const JointProblem& problem, const std::vector<int>& own) {
  hw::JsonWriter json;
  json.BeginObject().Key("problem").String(problem.name());
  json.Key("default_hw").String(problem.default_design()->ShortName());
  json.Key("accuracy_floor").Double(problem.goal().accuracy_min).Key("gains").BeginArray();
  for (const Objective objective : kObjectives) {
    for (const Reference& reference : ReferencesOf(problem, objective, own)) {
      for (const double cap : kCaps) {
        const std::optional<Gains> gains =
            SplitGains(problem, reference.network, {objective, reference.accuracy_min, cap});
        json.BeginObject().Key("objective").String(ObjectiveName(objective));
        json.Key("reference").String(reference.what).Key("accuracy_min");
        json.Double(reference.accuracy_min).Key("area_max").Double(cap);
        AddPair(problem, "reference_pair", OnDefault(problem, reference.network), &json);
        if (gains) {
          json.Key("hardware").Double(gains->hardware).Key("network").Double(gains->network);
          json.Key("both").Double(gains->both);
          AddPair(problem, "best_hardware", gains->best_hardware, &json);
          AddPair(problem, "best_network", gains->best_network, &json);
          AddPair(problem, "best", gains->best, &json);
        }
        json.EndObject();
      }
    }
  }
  return json.EndArray().EndObject().text() + "\n";
}

}  // namespace rhnas::search
