#include "search/nsga2.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "hw/valid_set.h"
#include "rl/double_math.h"

namespace rhnas::search {

namespace {

constexpr double kCrossover = 0.9;
constexpr int64_t kPopulation = 100, kLeastPopulation = 10;
// Of designs that cannot be built: above every shortfall of accuracy.
constexpr double kCannotBuild = 2;

}  // namespace

bool Dominates(const ParetoPoint& a, const ParetoPoint& b) {
  if (a.violation > 0 || b.violation > 0) return a.violation < b.violation;
  return a.first <= b.first && a.second <= b.second && (a.first < b.first || a.second < b.second);
}

std::vector<int> NonDominatedFronts(const std::vector<ParetoPoint>& points) {
  const size_t n = points.size();
  std::vector<int> front(n, -1);
  std::vector<int> dominated_by(n, 0);
  std::vector<std::vector<size_t>> dominates(n);
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < n; ++j) {
      if (Dominates(points[i], points[j])) {
        dominates[i].push_back(j);
        ++dominated_by[j];
      }
    }
  }
  std::vector<size_t> now, next;
  for (size_t i = 0; i < n; ++i) {
    if (dominated_by[i] == 0) now.push_back(i);
  }
  for (int rank = 0; !now.empty(); ++rank) {
    next.clear();
    for (size_t i : now) {
      front[i] = rank;
      for (size_t j : dominates[i]) {
        if (--dominated_by[j] == 0) next.push_back(j);
      }
    }
    now.swap(next);
  }
  return front;
}

std::vector<double> CrowdingDistances(const std::vector<ParetoPoint>& points,
                                      const std::vector<int>& members) {
  constexpr double kEnd = std::numeric_limits<double>::infinity();
  const size_t n = members.size();
  std::vector<double> distance(n, 0.0);
  if (n == 0) return distance;
  std::vector<size_t> order(n);
  for (int objective = 0; objective < 2; ++objective) {
    auto value = [&](size_t i) {
      const ParetoPoint& point = points[static_cast<size_t>(members[i])];
      return objective == 0 ? point.first : point.second;
    };
    std::iota(order.begin(), order.end(), size_t{0});
    std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
      return value(a) != value(b) ? value(a) < value(b) : a < b;
    });
    distance[order.front()] = distance[order.back()] = kEnd;
    const double range = value(order.back()) - value(order.front());
    if (range <= 0) continue;
    for (size_t i = 1; i + 1 < n; ++i) {
      distance[order[i]] += (value(order[i + 1]) - value(order[i - 1])) / range;
    }
  }
  return distance;
}

Nsga2::Nsga2(const JointMethodOptions& options, JointEnvironment& joint)
    : joint_(joint),
      rng_(options.seed, 1),
      population_size_(static_cast<size_t>(
          std::clamp<int64_t>(options.budget / 10, kLeastPopulation, kPopulation))) {}

void Nsga2::Evaluate(Member* member) {
  const size_t decisions = joint_.problem().network_sizes().size();
  const int64_t point = joint_.PointOf(member->genes.data() + decisions);
  const JointAnswer& answer = joint_.Ask(member->genes.data(), point);
  if (!answer.runs) {
    member->point = {1, 0, kCannotBuild};
    return;
  }
  member->point = {1 - answer.accuracy, rl::Log(answer.objective),
                   std::max(0.0, joint_.goal().accuracy_min - answer.accuracy)};
}

void Nsga2::Draw(std::vector<int>* genes) {
  const std::vector<int>& sizes = joint_.action_sizes();
  const size_t decisions = joint_.problem().network_sizes().size();
  genes->resize(sizes.size());
  for (size_t i = 0; i < decisions; ++i) {
    (*genes)[i] = static_cast<int>(rng_.Below(static_cast<uint32_t>(sizes[i])));
  }
  if (!joint_.masks()) {
    for (size_t i = decisions; i < sizes.size(); ++i) {
      (*genes)[i] = static_cast<int>(rng_.Below(static_cast<uint32_t>(sizes[i])));
    }
    return;
  }
  const hw::ValidSet& valid = joint_.problem().valid();
  valid.IndexOf(valid.Member(rng_.NextU32()), genes->data() + decisions);
}

const Nsga2::Member& Nsga2::Tournament() {
  const uint32_t n = static_cast<uint32_t>(population_.size());
  const Member& a = population_[rng_.Below(n)];
  const Member& b = population_[rng_.Below(n)];
  if (a.front != b.front) return a.front < b.front ? a : b;
  return b.crowding > a.crowding ? b : a;
}

Nsga2::Member Nsga2::Child() {
  const std::vector<int>& sizes = joint_.action_sizes();
  const uint32_t genes = static_cast<uint32_t>(sizes.size());
  Member child;
  // What the rules forbid is drawn again, a known pair too: neither costs an evaluation, and a
  // child that is its parent would be lost.
  for (int tries = 0; tries < 64; ++tries) {
    child.genes = Tournament().genes;
    if (static_cast<double>(rng_.Uniform()) < kCrossover) {
      const std::vector<int>& other = Tournament().genes;
      const uint32_t cut = rng_.Below(genes);
      std::copy(other.begin() + cut, other.end(), child.genes.begin() + cut);
    }
    for (size_t i = 0; i < sizes.size(); ++i) {
      if (sizes[i] < 2 || rng_.Below(genes) != 0) continue;
      const int other = static_cast<int>(rng_.Below(static_cast<uint32_t>(sizes[i] - 1)));
      child.genes[i] = other >= child.genes[i] ? other + 1 : other;
    }
    if (!joint_.Admissible(child.genes.data())) continue;
    const size_t decisions = joint_.problem().network_sizes().size();
    if (!joint_.Asked(child.genes.data(), joint_.PointOf(child.genes.data() + decisions))) {
      return child;
    }
  }
  Draw(&child.genes);
  return child;
}

void Nsga2::Rank(std::vector<Member>* members) const {
  std::vector<ParetoPoint> points;
  for (const Member& member : *members) points.push_back(member.point);
  const std::vector<int> fronts = NonDominatedFronts(points);
  std::vector<int> front;
  size_t ranked = 0;
  for (int rank = 0; ranked < members->size(); ++rank) {
    front.clear();
    for (size_t i = 0; i < fronts.size(); ++i) {
      if (fronts[i] == rank) front.push_back(static_cast<int>(i));
    }
    const std::vector<double> crowding = CrowdingDistances(points, front);
    for (size_t i = 0; i < front.size(); ++i) {
      Member& member = (*members)[static_cast<size_t>(front[i])];
      member.front = rank;
      member.crowding = crowding[i];
    }
    ranked += front.size();
  }
}

void Nsga2::Step(int64_t max_evaluations) {
  const int64_t end = joint_.evaluations() + max_evaluations;
  const bool first = population_.empty();
  while (children_.size() < population_size_) {
    if (joint_.evaluations() >= end) return;
    Member child;
    if (first) {
      Draw(&child.genes);
    } else {
      child = Child();
    }
    Evaluate(&child);
    children_.push_back(std::move(child));
  }
  for (Member& child : children_) population_.push_back(std::move(child));
  children_.clear();
  Rank(&population_);
  // The better half lives on; among equals the elder.
  std::vector<size_t> order(population_.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t i, size_t j) {
    const Member &a = population_[i], &b = population_[j];
    if (a.front != b.front) return a.front < b.front;
    return a.crowding != b.crowding ? a.crowding > b.crowding : i < j;
  });
  order.resize(std::min(order.size(), population_size_));
  std::vector<Member> survivors;
  for (size_t i : order) survivors.push_back(std::move(population_[i]));
  population_.swap(survivors);
}

void Nsga2::Save(engine::ArchiveWriter& archive, const std::string& prefix) const {
  archive.Put(prefix + "rng", rng_.state());
  std::vector<int> genes;
  for (const std::vector<Member>* group : {&population_, &children_}) {
    for (const Member& member : *group) {
      genes.insert(genes.end(), member.genes.begin(), member.genes.end());
    }
  }
  archive.PutVector(prefix + "genes", genes);
  archive.Put(prefix + "population", static_cast<int64_t>(population_.size()));
  std::vector<int> fronts;
  std::vector<double> crowding;
  for (const Member& member : population_) {
    fronts.push_back(member.front);
    crowding.push_back(member.crowding);
  }
  archive.PutVector(prefix + "fronts", fronts);
  archive.PutVector(prefix + "crowding", crowding);
}

void Nsga2::Load(engine::ArchiveReader& archive, const std::string& prefix) {
  engine::Rng::State state;
  std::vector<int> genes, fronts;
  std::vector<double> crowding;
  int64_t population = 0;
  archive.Get(prefix + "rng", &state);
  archive.GetVector(prefix + "genes", &genes);
  archive.Get(prefix + "population", &population);
  archive.GetVector(prefix + "fronts", &fronts);
  archive.GetVector(prefix + "crowding", &crowding);
  if (!archive.status().ok()) return;
  rng_.set_state(state);
  population_.clear();
  children_.clear();
  const std::vector<int>& sizes = joint_.action_sizes();
  for (size_t begin = 0; begin + sizes.size() <= genes.size(); begin += sizes.size()) {
    Member member;
    bool fits = true;
    for (size_t i = 0; i < sizes.size(); ++i) {
      member.genes.push_back(genes[begin + i]);
      fits = fits && genes[begin + i] >= 0 && genes[begin + i] < sizes[i];
    }
    if (!fits) continue;
    Evaluate(&member);
    const size_t at = population_.size();
    if (static_cast<int64_t>(at) < population && at < fronts.size() && at < crowding.size()) {
      member.front = fronts[at];
      member.crowding = crowding[at];
      population_.push_back(std::move(member));
    } else {
      children_.push_back(std::move(member));
    }
  }
}

}  // namespace rhnas::search
