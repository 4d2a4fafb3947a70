// Proximal policy optimisation (Schulman et al. 2017): the actor-critic's rollouts, advantages and
// networks (rl/actor_critic.h), but several epochs of minibatches on each, with the ratio of new to
// old probability clipped. On a one-step problem a rollout is a batch of proposals and nothing has
// a value beyond.
//
// The clipped surrogate min(r A, clip(r, 1 - c, 1 + c) A) has the gradient r A grad log pi where it
// is not clipped and none where it is, so its loss is the policy gradient's with r A for weights.
#pragma once

#include "rl/actor_critic.h"

namespace rhnas::rl {

struct PpoOptions {
  float clip = 0.2f;
  int epochs = 4;
  int minibatch = 64;    // rows; shorter rollouts are one
  float value_clip = 0;  // how far an update may move a value, in units of return; 0: any way
  float target_kl = 0;   // ends the epochs of an update when exceeded; 0: never
};

class Ppo : public ActorCritic {
 public:
  // REQUIRES: options that MakeAgent accepts; clip > 0, epochs >= 1, minibatch >= 1.
  Ppo(const AgentOptions& options, const PpoOptions& ppo, const Environment& environment,
      engine::ThreadPool& pool);

  const char* name() const override;

 protected:
  // Entropy is that before the update; kl and clip_fraction those of its last epoch.
  void Update(engine::Rng& rng, RoundStats* stats) override;

 private:
  void UpdateOn(const int* order, int rows, RoundStats* stats);

  PpoOptions ppo_;
  std::vector<double> old_log_prob_;
  Rollout minibatch_;
};

// What a row of a minibatch weighs: `ratio` is new over old probability.
struct ClippedRow {
  double weight = 0;  // of the gradient of the log-probability
  bool clipped =
      false;  // the ratio is outside of 1 +- clip, whether or not that stops the gradient
};
ClippedRow ClipSurrogate(double ratio, double advantage, double clip);
// Whether the squared error of a value keeps its gradient when it may move by at most `clip` from
// `before` (clip 0: always): max((v - t)^2, (clip(v) - t)^2) has none where the second is greater.
bool ValueMoves(double value, double before, double target, double clip);

}  // namespace rhnas::rl
