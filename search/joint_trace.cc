// What --trace tells of the joint search's own steps (search/trace.h). Reads the state, changes
// nothing of it but scratch memory.
#include <algorithm>
#include <cmath>

#include "rl/policy_gradient.h"
#include "search/joint_state.h"
#include "search/layers.h"
#include "search/report_text.h"

namespace rhnas::search {

using engine::Format;

namespace {

std::string Percents(const std::vector<double>& probabilities) {
  std::string text;
  for (double p : probabilities) text += Format(text.empty() ? "%.3f" : " %.3f", p);
  return text;
}

std::string CostText(const DesignCost& cost) {
  return Format("%s cycles, %s pJ, %.4g pJ cycles, %s um2", Grouped(cost.latency_cycles).c_str(),
                Grouped(std::llround(cost.energy_pj)).c_str(), cost.edp_pj_cycles,
                Grouped(std::llround(cost.area_um2)).c_str());
}

}  // namespace

void JointSearch::Impl::TellWeightStep(const nn::Genotype& path, const nn::Batch& batch,
                                       const nn::StepStats& stats, double tau, float rate,
                                       float weight_before) {
  TraceSink& sink = *trace;
  TraceHeading(sink, Format("Weight step %lld of the search", static_cast<long long>(cursor.step)));
  const float x = batch.images[0];
  TraceLine(sink, 1, "nn/loader.cc Next",
            Format("batch %s; its first number: byte %.0f -> (%.0f/255 - %.4f) / %.4f = %.4f",
                   batch.shape.ToString().c_str(),
                   std::round(255 * (double{x} * double{data.stddev[0]} + double{data.mean[0]})),
                   std::round(255 * (double{x} * double{data.stddev[0]} + double{data.mean[0]})),
                   double{data.mean[0]}, double{data.stddev[0]}, double{x}));
  std::string labels;
  for (int i = 0; i < std::min(batch.shape.dim[0], 12); ++i)
    labels += Format(" %d", batch.labels[i]);
  TraceLine(sink, 1, "nn/loader.cc Next", "labels" + labels + " ..");
  TraceLine(sink, 3, "search/joint_steps.cc temperature", Format("temperature T = %.4f", tau));
  TraceLine(sink, 2, "nn/supernet.cc Sample", "path drawn: " + nn::ToText(space, path));
  TraceLine(sink, 5, "engine/ops_loss.cc CrossEntropy",
            Format("loss %.4f, accuracy on the batch %.1f%%", stats.loss, 100 * stats.accuracy));
  const nn::WeightStepOptions defaults;
  TraceLine(
      sink, 7, "engine/optimizer.cc ClipGradNorm",
      Format("gradient norm %.4f, cut at %g", stats.gradient_norm, double{defaults.clip_norm}));
  TraceLine(sink, 8, "engine/optimizer.cc At", Format("learning rate %.5f", double{rate}));
  const engine::Parameter& first = *weight_optimizer->parameters()[0];
  TraceLine(sink, 9, "engine/optimizer.cc Step",
            Format("%s[0]: %.6f, g = %.6f, now %.6f", first.name.c_str(), double{weight_before},
                   double{first.grad[0]}, double{first.value[0]}));
}

void JointSearch::Impl::TellArchitectureStep(const nn::ArchPass& pass, const ArchTrace& step) {
  TraceHeading(*trace, "Architecture step (images of its own part of the data)");
  TellArchStep(*trace, space, pass, step, costs, scale);
}

// A round of the agent, watched; what the agent's policy thinks before and after it.
void JointSearch::Impl::TracedRound() {
  TraceSink& sink = *trace;
  const hw::DesignSpace& designs = environment->space();
  const std::vector<hw::SpaceParameter>& parameters = designs.parameters();
  TraceHeading(sink,
               "Hardware round for the argmax network " + nn::ToText(space, hardware_network));
  std::vector<float> observation(static_cast<size_t>(environment->observation_size()));
  environment->Observe(observation.data());
  std::string seen;
  for (float value : observation) seen += Format(" %.3f", double{value});
  TraceLine(sink, 19, "search/hardware_environment.cc Summary", "observation" + seen);
  const bool reinforce = std::string(agent->name()) == "reinforce";
  rl::Policy* policy = reinforce ? &static_cast<rl::Reinforce*>(agent.get())->policy() : nullptr;
  std::vector<std::vector<double>> before;
  if (policy != nullptr) before = HeadProbabilities(*environment, *policy, tape);
  for (size_t head = 0; head < before.size(); ++head) {
    std::string values;
    for (int value : parameters[head].values) values += Format(" %d", value);
    TraceLine(sink, 20, "rl/policy.cc HeadLogits",
              Format("%-18s in {%s }: p = %s", parameters[head].key.c_str(), values.c_str(),
                     Percents(before[head]).c_str()));
  }

  WatchedEnvironment watched(*environment);
  const rl::RoundStats stats = agent->Round(watched, cursor.proposals_left, agent_rng);
  const auto& proposals = watched.proposals();
  std::vector<double> advantage;
  for (const auto& proposal : proposals) advantage.push_back(proposal.result.reward);
  if (reinforce) rl::RankScores(&advantage);
  const std::vector<hw::Layer> layers = LayersOfNetwork(hardware_network);
  for (size_t i = 0; i < proposals.size(); ++i) {
    const auto& [action, outcome] = proposals[i];
    const hw::DesignPtr design = designs.At(action);
    std::string indices;
    for (int index : action) indices += Format(" %d", index);
    TraceLine(sink, 21, "rl/categorical.cc ChooseHead",
              Format("proposal %zu:%s -> %s", i + 1, indices.c_str(), design->ShortName().c_str()));
    const std::vector<hw::BrokenRule> broken = design->CheckAll(limits);
    for (const hw::BrokenRule& rule : broken) {
      TraceLine(sink, 23, "hw/validity.cc CheckAll", "    breaks " + rule.ToString());
    }
    std::string why;
    if (broken.empty()) {
      const std::optional<DesignCost> cost =
          Evaluate(*cost_source.Model(*design), Workload(layers), pool, &why);
      TraceLine(sink, 24, "search/objective.cc Evaluate",
                "    " + (cost ? CostText(*cost) : "valid, but the network cannot run: " + why));
    }
    TraceLine(sink, outcome.valid ? 27 : 28, "search/hardware_environment.cc Ask",
              Format("    reward %.4f", outcome.reward) +
                  (reinforce ? Format("; rank score A = %+.4f", advantage[i]) : std::string()));
  }
  TraceLine(sink, 27, "search/hardware_environment.cc Reward",
            "the default on the same network: " + CostText(environment->reference_cost()));
  TraceLine(sink, 30, "rl/reinforce.cc Update",
            Format("entropy %.4f nats, gradient norm %.4f, mean reward %.4f, best %.4f",
                   stats.entropy, stats.gradient_norm, stats.mean_return, stats.best_return));
  if (policy == nullptr) return;
  const std::vector<std::vector<double>> after = HeadProbabilities(*environment, *policy, tape);
  for (size_t head = 0; head < after.size(); ++head) {
    TraceLine(sink, 30, "engine/optimizer.cc Step",
              Format("%-18s after the update: p = %s", parameters[head].key.c_str(),
                     Percents(after[head]).c_str()));
  }
}

void JointSearch::Impl::TellAdoption() {
  TraceHeading(*trace, Format("After %lld proposals of this round",
                              static_cast<long long>(options.hw_evaluations)));
  TraceLine(*trace, 31, "search/joint_steps.cc AdoptAccelerator",
            "the best valid one is the current accelerator: " + current_hw->ShortName());
  TraceLine(*trace, 31, "search/joint_steps.cc AdoptAccelerator",
            CostText(environment->best_cost()));
  const double found = ObjectiveValue(options.objective, environment->best_cost());
  const double reference = ObjectiveValue(options.objective, environment->reference_cost());
  TraceLine(*trace, 27, "search/hardware_environment.cc Reward",
            Format("reward %.4f = -log(%.4g / %.4g of the default)", environment->best_reward(),
                   found, reference));
  std::string prices;
  for (double c : costs.latency_cycles[0]) prices += Format(" %.0f", c);
  TraceLine(*trace, 13, "search/slot_costs.cc CostsOfSlots",
            "prices of the first slot's candidates are now" + prices);
  trace->Line("");
}

}  // namespace rhnas::search
