#include "search/alternation.h"

#include <algorithm>
#include <limits>

#include "engine/check.h"
#include "hw/valid_set.h"
#include "rl/double_math.h"
#include "search/hardware_environment.h"

namespace rhnas::search {

namespace {

constexpr int kTurn = 16;  // proposals of each side in a step

}  // namespace

DesignView::DesignView(JointEnvironment& joint, Evaluator& evaluator, bool observed)
    : joint_(joint), evaluator_(evaluator), sizes_(joint.problem().space()->sizes()) {
  if (!observed) return;
  for (const int size : joint.problem().network_sizes()) observation_ += size;
}

void DesignView::Observe(float* observation) const {
  if (observation_ == 0) return;
  std::fill_n(observation, observation_, 0.0F);
  const std::vector<int>& sizes = joint_.problem().network_sizes();
  for (size_t i = 0; i < network_.size(); observation += sizes[i++]) {
    observation[network_[i]] = 1;
  }
}

bool DesignView::SetNetwork(const std::vector<int>& network) {
  DesignCost reference;
  if (!joint_.TableCost(network.data(), JointProblem::kDefault, &reference)) return false;
  network_ = network;
  reference_ = reference;
  return true;
}

bool DesignView::Mask(uint8_t* mask) const {
  if (!joint_.masks()) return false;
  const std::vector<uint8_t>& allowed = joint_.problem().valid().static_mask();
  std::copy(allowed.begin(), allowed.end(), mask);
  return true;
}

bool DesignView::MaskHead(int head, const int* action, uint8_t* mask) const {
  if (!joint_.masks()) return false;
  joint_.problem().valid().MaskAfter(head, action, mask);
  return true;
}

bool DesignView::Admissible(const int* action) const {
  return !joint_.masks() || joint_.Allowed(joint_.PointOf(action));
}

rl::StepResult DesignView::Act(const int* action, engine::Rng& /*rng*/) {
  const int64_t point = joint_.PointOf(action);
  if (!joint_.Known(point)) evaluator_.Evaluate(point);
  rl::StepResult step;
  step.terminal = true;
  DesignCost cost;
  step.valid = joint_.Known(point) && joint_.TableCost(network_.data(), point, &cost);
  if (!step.valid) {
    step.reward = HardwareEnvironment::kWorstValid - joint_.Shortfall(point);
    return step;
  }
  const Objective objective = joint_.goal().objective;
  step.reward =
      std::max(-rl::Log(ObjectiveValue(objective, cost) / ObjectiveValue(objective, reference_)),
               HardwareEnvironment::kWorstValid);
  metrics_[0] = rl::Log(static_cast<double>(cost.latency_cycles) /
                        static_cast<double>(reference_.latency_cycles));
  metrics_[1] = rl::Log(cost.energy_pj / reference_.energy_pj);
  metrics_[2] = rl::Log(cost.area_um2 / reference_.area_um2);
  return step;
}

void DesignView::Metrics(double* values) const { std::copy_n(metrics_, 3, values); }

bool DesignView::MetricGoal(double* weight, double* limit) const {
  double weights[4], limits[4];
  joint_.MetricGoal(weights, limits);
  std::copy_n(weights, 3, weight);
  std::copy_n(limits, 3, limit);
  return true;
}

Alternation::Alternation(const AlternationOptions& options, const JointMethodOptions& method,
                         JointEnvironment& joint)
    : options_(options),
      budget_(method.budget),
      joint_(joint),
      rng_(method.seed, 1),
      networks_(joint.problem().network_sizes(), joint.goal().objective, joint.goal().accuracy_min,
                options.form, method.seed),
      view_(joint, *this, options.form == NetworkSearch::Form::kExpectedImprovement) {
  const JointPair& reference = joint.problem().reference();
  networks_.Add(reference.network.data(), reference.accuracy);
  Follow();
}

engine::Result<std::unique_ptr<JointMethod>> Alternation::Make(const AlternationOptions& options,
                                                               const JointMethodOptions& method,
                                                               JointEnvironment& joint,
                                                               engine::ThreadPool& pool) {
  std::unique_ptr<Alternation> made(new Alternation(options, method, joint));
  if (options.designs) {
    auto agent = rl::MakeAgent(options.agent, made->view_, pool);
    if (!agent.ok()) return agent.status();
    made->agent_ = std::move(*agent);
  }
  return std::unique_ptr<JointMethod>(std::move(made));
}

bool Alternation::SearchesDesigns() const {
  if (!options_.designs) return false;
  return !options_.one_after_the_other || joint_.evaluations() >= budget_ / 2;
}

bool Alternation::LogObjective(const int* network, double* log_objective) const {
  DesignCost cost;
  if (!joint_.TableCost(network, current_point_, &cost)) return false;
  *log_objective = rl::Log(ObjectiveValue(joint_.goal().objective, cost));
  return true;
}

std::vector<int> Alternation::NextNetwork() {
  const bool fixed = !options_.networks || networks_.exhausted() ||
                     (options_.one_after_the_other && SearchesDesigns());
  if (fixed) return current_network_;
  // While no pair meets the goal: what the current pair would be worth.
  double best = joint_.best_objective();
  DesignCost cost;
  if (!joint_.meets() && joint_.TableCost(current_network_.data(), current_point_, &cost)) {
    best = ObjectiveValue(joint_.goal().objective, cost);
  }
  return networks_.Propose(rl::Log(std::min(best, promised_)), *this, rng_);
}

// What an evaluation told of the network; what that promises on the current design.
void Alternation::Learn(const std::vector<int>& network, int64_t point) {
  const JointAnswer& answer = joint_.Ask(network.data(), point);
  if (!answer.runs) return;
  networks_.Add(network.data(), answer.accuracy);
  DesignCost cost;
  if (answer.accuracy >= joint_.goal().accuracy_min && joint_.Allowed(current_point_) &&
      joint_.TableCost(network.data(), current_point_, &cost)) {
    promised_ = std::min(promised_, ObjectiveValue(joint_.goal().objective, cost));
  }
}

void Alternation::Evaluate(int64_t point) {
  // A design that cannot be built teaches nothing of a network, whichever.
  Learn(joint_.Allowed(point) ? NextNetwork() : current_network_, point);
}

// Of the best pair; while none meets the goal (the default breaks the cap), the accurate one that
// is best on the default.
std::vector<int> Alternation::LeadingNetwork() const {
  if (joint_.meets()) return joint_.best().network;
  const std::vector<int>* best = nullptr;
  double least = std::numeric_limits<double>::infinity();
  for (const std::vector<int>& network : networks_.accurate()) {
    DesignCost cost;
    if (!joint_.TableCost(network.data(), JointProblem::kDefault, &cost)) continue;
    const double objective = ObjectiveValue(joint_.goal().objective, cost);
    if (objective >= least) continue;
    least = objective;
    best = &network;
  }
  return best != nullptr ? *best : joint_.best().network;
}

// The leading network becomes the current one, the best known design for it the current design,
// and that design's layer table what the networks are priced by.
void Alternation::Follow() {
  promised_ = std::numeric_limits<double>::infinity();
  const std::vector<int> leading = LeadingNetwork();
  if (current_network_ == leading && followed_ == joint_.known().size()) return;
  followed_ = joint_.known().size();
  // Designs are judged relative to the default: one that does not run there leads nowhere.
  if (!options_.designs || view_.SetNetwork(leading)) current_network_ = leading;
  if (options_.designs) {
    double least = std::numeric_limits<double>::infinity();
    for (int64_t point : joint_.known()) {
      DesignCost cost;
      if (!joint_.Allowed(point) || !joint_.TableCost(current_network_.data(), point, &cost)) {
        continue;
      }
      const double objective = ObjectiveValue(joint_.goal().objective, cost);
      if (objective >= least) continue;
      least = objective;
      current_point_ = point;
    }
  }
  std::vector<DesignCost> by_choice;
  if (!joint_.TableChoices(current_network_.data(), current_point_, &by_choice)) return;
  networks_.SetCosts(
      ChoiceTable(joint_.problem().network_sizes(), current_network_.data(), by_choice));
}

// Evaluates what table and accuracy promise to be the best pair, as long as it is not known.
void Alternation::Claim() {
  while (joint_.evaluations() < end_ && joint_.Allowed(current_point_)) {
    const std::vector<int>* best = nullptr;
    double least =
        joint_.meets() ? joint_.best_objective() : std::numeric_limits<double>::infinity();
    for (const std::vector<int>& network : networks_.accurate()) {
      DesignCost cost;
      if (!joint_.TableCost(network.data(), current_point_, &cost)) continue;
      const double objective = ObjectiveValue(joint_.goal().objective, cost);
      if (objective >= least || joint_.Asked(network.data(), current_point_)) continue;
      least = objective;
      best = &network;
    }
    if (best == nullptr) return;
    joint_.Ask(best->data(), current_point_);
    Follow();
  }
}

void Alternation::NetworkTurn() {
  Learn(NextNetwork(), current_point_);
  Follow();
}

void Alternation::Step(int64_t max_evaluations) {
  RHNAS_CHECK(max_evaluations >= 1, "%lld evaluations", static_cast<long long>(max_evaluations));
  end_ = joint_.evaluations() + max_evaluations;
  int64_t networks = std::min<int64_t>(kTurn, max_evaluations);
  if (SearchesDesigns()) {
    const int64_t before = joint_.buildable();
    const rl::RoundStats stats =
        agent_->Round(view_, std::min<int64_t>(kTurn, max_evaluations), rng_);
    // Proposals that were known, and those that could not be built, taught nothing of a network: so
    // many are tried on the best design.
    networks = stats.steps - (joint_.buildable() - before);
    Follow();
    Claim();
    if (options_.one_after_the_other || !options_.networks || networks_.exhausted()) return;
  } else if (options_.one_after_the_other) {
    networks = std::min(networks, budget_ / 2 - joint_.evaluations());
  }
  for (int64_t i = 0; i < networks && joint_.evaluations() < end_; ++i) {
    if (!networks_.exhausted()) NetworkTurn();
  }
  Claim();
}

bool Alternation::Proposal(std::vector<int>* network, int64_t* point) {
  if (!SearchesDesigns()) return false;
  const std::vector<int> action = agent_->Proposal(view_);
  if (action.empty()) return false;
  *network = current_network_;
  *point = joint_.PointOf(action.data());
  return true;
}

void Alternation::Save(engine::ArchiveWriter& archive, const std::string& prefix) const {
  archive.Put(prefix + "rng", rng_.state());
  networks_.Save(archive, prefix + "networks/");
  if (agent_) agent_->Save(archive, prefix + "agent/");
}

void Alternation::Load(engine::ArchiveReader& archive, const std::string& prefix) {
  engine::Rng::State state;
  archive.Get(prefix + "rng", &state);
  networks_.Load(archive, prefix + "networks/");
  if (agent_) agent_->Load(archive, prefix + "agent/");
  if (!archive.status().ok()) return;
  rng_.set_state(state);
  for (const auto& [network, point] : joint_.history()) Learn(network, point);
  Follow();
}

}  // namespace rhnas::search
