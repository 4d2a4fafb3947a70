// NSGA-II (Deb, Pratap, Agarwal, Meyarivan, "A fast and elitist multiobjective genetic algorithm:
// NSGA-II", IEEE Transactions on Evolutionary Computation 6(2), 2002) over pairs of network and
// accelerator: minimise the error, and the logarithm of the objective. Non-dominated sorting,
// crowding distance, binary tournaments, and constraint domination (section VI): designs that
// cannot be built, then the floor's shortfall.
//
// Their settings for strings of choices (section IV): single-point crossover with probability 0.9,
// mutation of each gene with probability 1 / genes, to any other choice. Population 100; a tenth
// of the budget where that is less (at least 10), so that small budgets see ten generations.
#pragma once

#include <vector>

#include "search/joint_methods.h"

namespace rhnas::search {

// What is compared: both minimised among the feasible (violation 0); of the others the lesser
// violation dominates.
struct ParetoPoint {
  double first = 0, second = 0;
  double violation = 0;
};
bool Dominates(const ParetoPoint& a, const ParetoPoint& b);
// Front of each point: 0 for those that none dominates, 1 once those are taken away, and so on.
std::vector<int> NonDominatedFronts(const std::vector<ParetoPoint>& points);
// Crowding distance of each member (indices of `points`) of one front: the sum over both objectives
// of the distance between its neighbours as a share of the front's range; infinity at the ends.
std::vector<double> CrowdingDistances(const std::vector<ParetoPoint>& points,
                                      const std::vector<int>& members);

class Nsga2 : public JointMethod {
 public:
  Nsga2(const JointMethodOptions& options, JointEnvironment& joint);
  void Step(int64_t max_evaluations) override;
  void Save(engine::ArchiveWriter& archive, const std::string& prefix) const override;
  void Load(engine::ArchiveReader& archive, const std::string& prefix) override;

 private:
  struct Member {
    std::vector<int> genes;
    ParetoPoint point;
    int front = 0;
    double crowding = 0;
  };
  void Evaluate(Member* member);
  void Rank(std::vector<Member>* members) const;
  void Draw(std::vector<int>* genes);
  const Member& Tournament();
  Member Child();

  JointEnvironment& joint_;
  engine::Rng rng_;
  size_t population_size_;
  std::vector<Member> population_, children_;
};

}  // namespace rhnas::search
