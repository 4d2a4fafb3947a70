#include "rl/annealing.h"

#include <algorithm>
#include <cmath>

#include "rl/double_math.h"

namespace rhnas::rl {

Annealing::Annealing(const AgentOptions& options, const Environment& environment,
                     const AnnealingOptions& annealing)
    : BlackBox("annealing", options, environment),
      annealing_(annealing),
      first_(annealing.first_most),
      walk_(annealing.cooling),
      firsts_(static_cast<int>(environment.action_sizes().size())) {
  if (options.budget > 0) {
    first_ = static_cast<int>(std::clamp<int64_t>(options.budget / annealing.first_share,
                                                  annealing.first_least, annealing.first_most));
    walk_ = std::max<int64_t>(1, (options.budget - first_) / (annealing.restarts + 1));
  }
}

double Annealing::AcceptProbability(double gain, double temperature) {
  if (gain >= 0) return 1;
  return temperature > 0 ? Exp(gain / temperature) : 0;
}

double Annealing::Temperature(double start, double end, int64_t step, int64_t steps) {
  if (!(start > 0) || !(end > 0)) return 0;
  const double done = static_cast<double>(std::min(step, steps)) / static_cast<double>(steps);
  return start * Exp(done * Log(end / start));
}

void Annealing::StartWalk(const int* action, double reward) {
  here_.assign(action, action + here_.size());
  here_reward_ = reward;
  step_ = 0;
  afresh_ = false;
}

void Annealing::Ask(PointPicker& picker, int* action) {
  if (firsts_.size() < first_ || afresh_) {
    picker.DrawNew(action);
    return;
  }
  std::copy(here_.begin(), here_.end(), action);
  picker.Mutate(action);
}

void Annealing::Tell(PointPicker& picker, const int* action, const StepResult& result) {
  if (firsts_.size() < first_) {
    firsts_.Add(action, result.reward);
    if (firsts_.size() < first_) return;
    double mean = 0, square = 0;
    for (double reward : firsts_.rewards()) mean += reward / first_;
    for (double reward : firsts_.rewards()) square += (reward - mean) * (reward - mean) / first_;
    spread_ = std::sqrt(square);
    here_.resize(static_cast<size_t>(picker.heads()));
    StartWalk(firsts_.action(firsts_.Best()), firsts_.reward(firsts_.Best()));
    return;
  }
  if (afresh_) {
    StartWalk(action, result.reward);
    return;
  }
  const double temperature =
      Temperature(annealing_.start * spread_, annealing_.end * spread_, step_, walk_);
  ++step_;
  // Drawn also where it decides nothing, so that the stream does not depend on rewards.
  const double draw = static_cast<double>(picker.rng().Uniform());
  if (draw < AcceptProbability(result.reward - here_reward_, temperature)) {
    here_.assign(action, action + here_.size());
    here_reward_ = result.reward;
  }
  if (step_ >= walk_) afresh_ = true;
}

void Annealing::ProblemChanged() {
  firsts_.Clear();
  afresh_ = false;
  step_ = 0;
}

void Annealing::SaveSearch(engine::ArchiveWriter& archive, const std::string& prefix) const {
  firsts_.Save(archive, prefix + "firsts/");
  archive.PutVector(prefix + "here", here_);
  archive.Put(prefix + "here_reward", here_reward_);
  archive.Put(prefix + "spread", spread_);
  archive.Put(prefix + "step", step_);
  archive.Put(prefix + "afresh", afresh_);
}

void Annealing::LoadSearch(engine::ArchiveReader& archive, const std::string& prefix) {
  firsts_.Load(archive, prefix + "firsts/");
  archive.GetVector(prefix + "here", &here_);
  archive.Get(prefix + "here_reward", &here_reward_);
  archive.Get(prefix + "spread", &spread_);
  archive.Get(prefix + "step", &step_);
  archive.Get(prefix + "afresh", &afresh_);
}

}  // namespace rhnas::rl
