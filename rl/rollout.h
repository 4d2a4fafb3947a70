// Steps gathered by acting in an environment, laid out for one batched update.
#pragma once

#include <cstdint>
#include <vector>

#include "rl/environment.h"
#include "rl/policy.h"

namespace rhnas::rl {

// How a step left its episode.
enum class StepEnd : uint8_t {
  kGoesOn,     // the next row is the next step
  kTerminal,   // no value beyond
  kTruncated,  // the environment's time limit: the state reached still has a value
  kCut,        // the gathering stopped here, the episode did not: likewise
};

struct Rollout {
  int rows = 0;
  bool masked = false;              // some row has a mask
  std::vector<float> observations;  // rows x observation size
  std::vector<uint8_t> masks;       // rows x choices, as each head was drawn under; without: ones
  std::vector<int32_t> actions;     // rows x heads
  std::vector<double> rewards;      // rows
  std::vector<StepEnd> ends;        // rows
  // Of the states reached by truncated and cut steps, in order.
  std::vector<float> reached;
  int reached_rows = 0;
  std::vector<double> returns;  // undiscounted, of the episodes that ended
  int complete_rows = 0;        // rows that belong to those episodes

  void Clear();
  // Drops the rows after complete_rows, of an episode that did not end.
  void KeepComplete();
};

// Plays episodes, one after the other; one that was cut goes on in the next Gather.
class Player {
 public:
  Player(Environment& environment, engine::Rng& rng) : environment_(environment), rng_(rng) {}
  // Appends steps until `episodes` more have ended or `max_steps` steps were taken.
  // Draws again what is not admissible; its log-probability stays that of one draw, as the chance
  // of an admissible draw is not known. REQUIRES: max_steps >= 1, episodes >= 1. A reward that is
  // not finite is an RHNAS_CHECK.
  void Gather(Actor& actor, int64_t max_steps, int episodes, Rollout* rollout);

 private:
  Environment& environment_;
  engine::Rng& rng_;
  bool open_ = false;
  double return_ = 0;
};

// Discounted sums of the rewards from each row to the end of its episode (or to where it was cut).
std::vector<double> ReturnsToGo(const Rollout& rollout, double gamma);

// Generalised advantage estimation (Schulman et al. 2016): value [rows] of the rows' observations,
// reached_value of rollout.reached. A terminal step has no value beyond; a truncated or cut one
// that of the state it reached.
std::vector<double> GeneralizedAdvantages(const Rollout& rollout, const std::vector<double>& value,
                                          const std::vector<double>& reached_value, double gamma,
                                          double lambda);

}  // namespace rhnas::rl
