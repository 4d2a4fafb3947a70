#include "search/trace.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/math.h"

namespace rhnas::search {

using engine::Format;

namespace {

std::string Numbers(const std::vector<float>& values) {
  std::string text;
  for (float value : values) text += Format(text.empty() ? "%.4f" : " %.4f", double{value});
  return text;
}

std::vector<float> SoftmaxOf(const std::vector<float>& logits, double scale) {
  std::vector<float> p(logits.size());
  const float top = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (size_t i = 0; i < p.size(); ++i) {
    p[i] = engine::Exp(static_cast<float>(double{logits[i] - top} * scale));
    sum += double{p[i]};
  }
  for (float& value : p) value = static_cast<float>(double{value} / sum);
  return p;
}

// Fixed cost, and of each slot the mean over its active candidates.
double Expected(const nn::ArchPass& pass, const ArchTrace& trace,
                const std::vector<std::vector<double>>& cost, double fixed) {
  for (size_t slot = 0; slot < pass.active.size(); ++slot) {
    for (size_t i = 0; i < pass.active[slot].size(); ++i) {
      fixed += double{trace.probability[slot][i]} *
               cost[slot][static_cast<size_t>(pass.active[slot][i])];
    }
  }
  return fixed;
}

}  // namespace

void TraceHeading(TraceSink& sink, const std::string& title) { sink.Line("\n" + title); }

void TraceLine(TraceSink& sink, int equation, const char* where, const std::string& text) {
  sink.Line(Format("(%2d) %-92s [%s]", equation, text.c_str(), where));
}

LogitValues ValuesOf(const std::vector<engine::Parameter*>& parameters) {
  LogitValues values;
  for (const engine::Parameter* p : parameters) {
    values.emplace_back(p->value.data(), p->value.data() + p->value.size());
  }
  return values;
}

LogitValues GradientsOf(const std::vector<engine::Parameter*>& parameters) {
  LogitValues values;
  for (const engine::Parameter* p : parameters) {
    values.emplace_back(p->grad.data(), p->grad.data() + p->grad.size());
  }
  return values;
}

void TellArchStep(TraceSink& sink, const nn::Space& space, const nn::ArchPass& pass,
                  const ArchTrace& trace, const SlotCosts& costs, const CostScale& scale) {
  const std::vector<int> searchable = space.searchable();
  const nn::Slot& first = space.slots[static_cast<size_t>(searchable[0])];
  std::string names;
  for (const nn::Block& block : first.candidates) names += " " + block.name;
  // The pass drew a Gumbel number for each candidate of each slot, in order.
  engine::Rng rng = trace.rng;
  std::vector<float> noise(first.candidates.size());
  for (float& g : noise) g = rng.Gumbel();
  const bool proxy = pass.kind == nn::ArchGradient::kProxyHard;
  TraceLine(
      sink, 10, "nn/supernet.cc Probabilities",
      Format("slot %d of %zu has candidates%s", searchable[0], searchable.size(), names.c_str()));
  TraceLine(sink, 10, "nn/supernet.cc Probabilities",
            "  logits a      " + Numbers(trace.before[0]));
  TraceLine(sink, 10, "nn/supernet.cc Probabilities",
            "  softmax(a)    " + Numbers(SoftmaxOf(trace.before[0], 1)));
  TraceLine(sink, 11, "engine/random.cc Gumbel", "  noise g       " + Numbers(noise));
  std::vector<float> score = noise;
  for (size_t i = 0; i < score.size(); ++i) {
    score[i] += static_cast<float>(double{trace.before[0][i]} / (proxy ? trace.temperature : 1));
  }
  const char* rule = proxy ? "a / T + g" : "a + g    ";
  TraceLine(sink, 11, "nn/supernet.cc Mix", Format("  %s     ", rule) + Numbers(score));
  const std::vector<int>& active = pass.active[0];
  std::string pair;
  for (int i : active) pair += " " + first.candidates[static_cast<size_t>(i)].name;
  TraceLine(sink, 11, "nn/supernet.cc Mix",
            Format("  active       %s (the largest; the first one's value goes on)", pair.c_str()));
  TraceLine(sink, 12, "nn/supernet.cc Mix",
            Format("  p of them     %s", Numbers(trace.probability[0]).c_str()));
  std::string others;
  for (size_t slot = 1; slot < pass.active.size(); ++slot) {
    const nn::Slot& s = space.slots[static_cast<size_t>(searchable[slot])];
    others += slot == 1 ? "" : ", ";
    for (size_t i = 0; i < pass.active[slot].size(); ++i) {
      others += Format(i == 0 ? "%s" : "|%s",
                       s.candidates[static_cast<size_t>(pass.active[slot][i])].name.c_str());
    }
  }
  TraceLine(sink, 11, "nn/supernet.cc Mix", "active in the other slots: " + others);

  std::string prices;
  for (double c : costs.latency_cycles[0]) prices += Format(" %.0f", c);
  TraceLine(sink, 13, "search/slot_costs.cc CostsOfSlots",
            Format("cycles of slot %d's candidates on the current accelerator:%s", searchable[0],
                   prices.c_str()));
  const double cycles = Expected(pass, trace, costs.latency_cycles, costs.fixed_latency_cycles);
  const double picojoules = Expected(pass, trace, costs.energy_pj, costs.fixed_energy_pj);
  TraceLine(
      sink, 14, "search/slot_costs.cc ExpectedObjective",
      Format("l = %.0f cycles expected (%.0f fixed) / l_0 = %.0f: %.4f", cycles,
             costs.fixed_latency_cycles, scale.latency_cycles, cycles / scale.latency_cycles));
  TraceLine(sink, 14, "search/slot_costs.cc ExpectedObjective",
            Format("e = %.0f pJ expected (%.0f fixed) / e_0 = %.0f: %.4f", picojoules,
                   costs.fixed_energy_pj, scale.energy_pj, picojoules / scale.energy_pj));
  TraceLine(sink, 15, "search/joint_steps.cc ArchitectureStep",
            Format("L = cross-entropy %.4f + lambda %g x C %.4f = %.4f", trace.task, trace.lambda,
                   trace.cost, trace.loss));
  TraceLine(sink, 16, "engine/tape.cc Backward",
            Format("dL/da of slot %d: %s", searchable[0], Numbers(trace.gradient[0]).c_str()));
  TraceLine(sink, 7, "engine/optimizer.cc ClipGradNorm",
            Format("norm over all slots %.4f, cut at %g", double{trace.gradient_norm},
                   double{trace.clip}));
  TraceLine(sink, 17, "engine/optimizer.cc Step",
            Format("Adam, rate %g: a = %s", double{trace.rate}, Numbers(trace.stepped[0]).c_str()));
  TraceLine(sink, 18, "nn/supernet.cc RestoreMass",
            "others put back, the pair shifted: a = " + Numbers(trace.after[0]));
  TraceLine(sink, 10, "nn/supernet.cc Probabilities",
            "  softmax(a)    " + Numbers(SoftmaxOf(trace.after[0], 1)));
}

rl::StepResult WatchedEnvironment::Act(const int* action, engine::Rng& rng) {
  Proposal proposal;
  proposal.action.assign(action, action + action_sizes().size());
  proposal.result = watched_.Act(action, rng);
  proposals_.push_back(proposal);
  return proposal.result;
}

std::vector<std::vector<double>> HeadProbabilities(const rl::Environment& environment,
                                                   rl::Policy& policy, engine::Tape& tape) {
  std::vector<float> observation(static_cast<size_t>(policy.observation_size()));
  environment.Observe(observation.data());
  tape.Reset();
  const float* value = tape.value(policy.Trunk(tape, observation.data(), 1));
  const std::vector<float> trunk(value, value + policy.trunk_size());
  const rl::HeadLayout& layout = policy.layout();
  std::vector<int> action(static_cast<size_t>(layout.heads()));
  std::vector<std::vector<double>> result;
  for (int head = 0; head < layout.heads(); ++head) {
    const size_t h = static_cast<size_t>(head);
    std::vector<float> logits(static_cast<size_t>(layout.sizes[h]));
    policy.HeadLogits(trunk.data(), head, action.data(), logits.data());
    action[h] = rl::ChooseHead(logits.data(), layout.sizes[h], nullptr, nullptr);
    const std::vector<float> p = SoftmaxOf(logits, 1);
    result.emplace_back(p.begin(), p.end());
  }
  return result;
}

}  // namespace rhnas::search
