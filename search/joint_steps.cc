// The steps of the joint search: what happens in each phase, in the order of the algorithm.

#include <algorithm>
#include <cmath>

#include "rl/double_math.h"
#include "search/joint_state.h"
#include "search/layers.h"

namespace rhnas::search {

using engine::Result;
using engine::Status;

const char* PhaseName(Phase phase) {
  switch (phase) {
    case Phase::kWarmup:
      return "warm-up";
    case Phase::kSearch:
      return "search";
    case Phase::kHardware:
    case Phase::kFinalHardware:
      return "hardware";
    case Phase::kTraining:
      return "training";
    case Phase::kTest:
      return "test";
    case Phase::kDone:
      return "done";
  }
  return "?";
}

int64_t JointSearch::Impl::warmup_steps() const {
  return int64_t{options.warmup_epochs} * weight_data->batches_per_epoch();
}
int64_t JointSearch::Impl::search_steps() const {
  return int64_t{options.search_epochs} * weight_data->batches_per_epoch();
}
int64_t JointSearch::Impl::training_steps() const {
  return int64_t{options.final_epochs} * training_data->batches_per_epoch();
}

namespace {

// Wide enough never to bite in a sound step: the norm is asked for to see whether it is finite.
constexpr float kArchClipNorm = 1e6f;

int64_t ArchStepsBetweenRounds(const SearchOptions& options, int batches_per_epoch) {
  if (options.hw_every > 0) return options.hw_every;
  return std::max(1, batches_per_epoch / options.arch_every / 2);
}

}  // namespace

int64_t JointSearch::Impl::hardware_rounds() const {
  if (!searches_hardware()) return 0;
  return search_steps() / options.arch_every /
         ArchStepsBetweenRounds(options, weight_data->batches_per_epoch());
}

// From temperature to temperature_final, geometrically over the search steps.
double JointSearch::Impl::temperature() const {
  const double share = search_steps() <= 1 ? 1.0
                                           : static_cast<double>(cursor.step) /
                                                 static_cast<double>(search_steps() - 1);
  return static_cast<double>(options.temperature) *
         rl::Exp(std::min(share, 1.0) *
                 rl::Log(static_cast<double>(options.temperature_final / options.temperature)));
}

std::vector<hw::Layer> JointSearch::Impl::LayersOfNetwork(const nn::Genotype& genotype) const {
  return ToHardwareLayers(nn::LayersOf(space, genotype));
}

Result<DesignCost> JointSearch::Impl::CostOf(const nn::Genotype& genotype,
                                             const hw::Design& design) {
  std::string why;
  const std::optional<hw::NetworkCost> cost =
      cost_source.Model(design)->Evaluate(LayersOfNetwork(genotype), &why);
  if (!cost) {
    return Status::Error("%s cannot run on %s: %s", nn::ToText(space, genotype).c_str(),
                         design.ShortName().c_str(), why.c_str());
  }
  // The model's own sum, the one that `rhnas cost` prints: a stated figure has one way to come
  // about.
  DesignCost stated;
  stated.latency_cycles = cost->latency_cycles;
  stated.energy_pj = cost->energy_pj;
  stated.edp_pj_cycles = cost->edp_pj_cycles;
  stated.area_um2 = cost->area_um2;
  stated.dram_bytes = cost->dram_bytes;
  return stated;
}

Status JointSearch::Impl::LossNotFinite() const {
  return Status::Error(
      "the training loss is not finite at step %lld of the %s: lower --weight-lr (now %g)",
      static_cast<long long>(cursor.step), PhaseName(cursor.phase),
      static_cast<double>(options.weight_lr));
}

Status JointSearch::Impl::Step() {
  switch (cursor.phase) {
    case Phase::kWarmup:
    case Phase::kSearch:
      return SearchStep();
    case Phase::kHardware:
    case Phase::kFinalHardware:
      return HardwareStep();
    case Phase::kTraining:
      return TrainingStep();
    case Phase::kTest:
      Finish();
      return Status::Ok();
    case Phase::kDone:
      return Status::Ok();
  }
  return Status::Ok();
}

// Warm-up and search: one weight step, and in the search every arch_every-th time an architecture
// step.
Status JointSearch::Impl::SearchStep() {
  const bool warmup = cursor.phase == Phase::kWarmup;
  const int64_t limit = warmup ? warmup_steps() : search_steps();
  if (cursor.step >= limit) {  // a phase of no epochs, or the phase's end
    cursor.step = 0;
    if (warmup) {
      cursor.phase = Phase::kSearch;
    } else {
      final_network = net->Argmax();
      RepairLatency();
      if (searches_hardware()) {
        BeginHardware(Phase::kFinalHardware, options.hw_final_evaluations);
      } else {
        BeginTraining();
      }
    }
    return Status::Ok();
  }

  engine::Schedule schedule;  // one cosine over both phases
  schedule.base = options.weight_lr;
  schedule.final = options.weight_lr / 10;
  schedule.total = warmup_steps() + search_steps();
  nn::WeightStepOptions step;
  step.learning_rate = schedule.At(cursor.step + (warmup ? 0 : warmup_steps()));
  const double tau = warmup ? static_cast<double>(options.temperature) : temperature();
  const nn::Genotype path = net->Sample(static_cast<float>(tau), path_rng);
  const nn::Batch batch = weight_data->Next();
  const float weight_before = weight_optimizer->parameters()[0]->value[0];
  const nn::StepStats stats = nn::WeightStep(*net, path, batch, *weight_optimizer, step, tape);
  if (!std::isfinite(stats.loss)) return LossNotFinite();
  progress.loss = stats.loss;
  progress.temperature = tau;
  ++cursor.step;
  ++cursor.units_done;
  // The first weight step of the search that an architecture step follows, and that one.
  telling = trace != nullptr && !steps_told && !warmup && cursor.step % options.arch_every == 0;
  if (telling) {
    TellWeightStep(path, batch, stats, tau, step.learning_rate, weight_before);
  }
  if (!warmup && cursor.step % options.arch_every == 0) {
    const Status status = ArchitectureStep();
    if (!status.ok()) return status;
    ++cursor.arch_steps;
    const int64_t every = ArchStepsBetweenRounds(options, weight_data->batches_per_epoch());
    if (searches_hardware() && cursor.arch_steps % every == 0) {
      hardware_network = net->Argmax();
      BeginHardware(Phase::kHardware, options.hw_evaluations);
    }
  }
  if (cursor.step % weight_data->batches_per_epoch() == 0) EndEpoch();
  return Status::Ok();
}

// Loss = cross-entropy + lambda * expected objective of the two sampled paths on the current
// accelerator.
Status JointSearch::Impl::ArchitectureStep() {
  const nn::Batch batch = arch_data->Next();
  ArchTrace step;
  step.rng = arch_rng;
  tape.Reset();
  const engine::Var images = tape.Alias(batch.shape, batch.images);
  const nn::ArchPass pass = net->ForwardArch(tape, images, options.arch_gradient,
                                             static_cast<float>(temperature()), arch_rng);
  const engine::Var task = engine::CrossEntropy(tape, pass.logits, batch.labels);
  const engine::Var cost = ExpectedObjective(tape, pass, costs, scale, options.objective);
  const engine::Var loss =
      engine::Add(tape, task, engine::Scale(tape, cost, static_cast<float>(lambda)));
  if (!std::isfinite(*tape.value(loss))) {
    return Status::Error(
        "the architecture loss is not finite (cross-entropy %g, cost %g): lower --weight-lr "
        "or --lambda",
        static_cast<double>(*tape.value(task)), static_cast<double>(*tape.value(cost)));
  }
  if (telling) {  // what Backward leaves undefined
    step.task = double{*tape.value(task)};
    step.cost = double{*tape.value(cost)};
    step.loss = double{*tape.value(loss)};
    for (const engine::Var p : pass.probability) {
      step.probability.emplace_back(tape.value(p), tape.value(p) + tape.shape(p).size());
    }
    step.before = ValuesOf(net->arch());
  }
  arch_optimizer->ZeroGrad();
  tape.Backward(loss);
  if (telling) step.gradient = GradientsOf(net->arch());
  // One overflowing gradient would freeze a slot for good through Adam's second moment.
  const float norm = engine::ClipGradNorm(arch_optimizer->parameters(), kArchClipNorm);
  if (!std::isfinite(norm)) {
    return Status::Error("the architecture gradient is not finite: lower --weight-lr or --lambda");
  }
  net->RememberMass(pass);
  arch_optimizer->Step(options.arch_lr, pool);
  if (telling) step.stepped = ValuesOf(net->arch());
  net->RestoreMass(pass);
  if (telling) {
    step.temperature = temperature();
    step.lambda = lambda;
    step.gradient_norm = norm;
    step.clip = kArchClipNorm;
    step.rate = options.arch_lr;
    step.after = ValuesOf(net->arch());
    TellArchitectureStep(pass, step);
    steps_told = true;
    telling = false;
  }
  return Status::Ok();
}

void JointSearch::Impl::BeginHardware(Phase phase, int64_t proposals) {
  if (phase == Phase::kFinalHardware) hardware_network = final_network;
  environment->SetNetwork(LayersOfNetwork(hardware_network));
  cursor.phase = phase;
  cursor.proposals_left = proposals;
}

// One round of the agent (a batch of proposals and an update).
Status JointSearch::Impl::HardwareStep() {
  if (cursor.proposals_left > 0) {
    const int64_t total_before = environment->proposals().total;
    if (trace != nullptr && !round_told) {
      TracedRound();
      round_told = true;
    } else {
      agent->Round(*environment, cursor.proposals_left, agent_rng);
    }
    const int64_t used = environment->proposals().total - total_before;
    cursor.proposals_left -= std::max<int64_t>(used, 1);
  }
  const Proposals& proposals = environment->proposals();
  progress.reward = environment->has_best() ? environment->best_reward() : 0;
  progress.share_valid = proposals.total == 0 ? 0
                                              : static_cast<double>(proposals.valid) /
                                                    static_cast<double>(proposals.total);
  if (cursor.proposals_left > 0) return Status::Ok();
  ++cursor.units_done;
  const bool last = cursor.phase == Phase::kFinalHardware;
  if (environment->has_best()) {
    current_hw = environment->best();
    const Status status = AdoptAccelerator();
    if (!status.ok()) return status;
    if (trace != nullptr && !adoption_told) {
      TellAdoption();
      adoption_told = true;
    }
  } else if (last) {
    return Status::Error(
        "the agent found no valid accelerator in %lld proposals of which none was valid: raise "
        "--hw-evaluations, --hw-final-evaluations or --area-max",
        static_cast<long long>(proposals.total));
  }
  if (!last) {
    cursor.phase = Phase::kSearch;
    return Status::Ok();
  }
  // The accelerator changed, and with it what is fast: a network that changes again gets one more
  // round.
  if (RepairLatency() && !cursor.repaired) {
    cursor.repaired = true;
    --cursor.units_done;
    BeginHardware(Phase::kFinalHardware, options.hw_final_evaluations);
    return Status::Ok();
  }
  BeginTraining();
  return Status::Ok();
}

// Refreshes the cost table for the current accelerator.
Status JointSearch::Impl::AdoptAccelerator() {
  Result<SlotCosts> refreshed = CostsOfSlots(space, *cost_source.Model(*current_hw), pool);
  if (!refreshed.ok()) return refreshed.status();
  costs = std::move(*refreshed);
  return Status::Ok();
}

// The argmax network may miss a latency limit that the space can meet: changes, one slot at a time,
// to the candidate that costs the least probability per cycle saved.
bool JointSearch::Impl::RepairLatency() {
  if (options.latency_max <= 0) return false;
  for (bool changed = false;; changed = true) {
    double cycles = costs.fixed_latency_cycles;
    for (size_t slot = 0; slot < final_network.choice.size(); ++slot) {
      cycles += costs.latency_cycles[slot][static_cast<size_t>(final_network.choice[slot])];
    }
    if (cycles <= options.latency_max) return changed;
    double best_price = 0;
    size_t best_slot = 0;
    int best_candidate = -1;
    for (size_t slot = 0; slot < final_network.choice.size(); ++slot) {
      const size_t now = static_cast<size_t>(final_network.choice[slot]);
      const std::vector<double> p = net->Probabilities(static_cast<int>(slot));
      for (size_t other = 0; other < p.size(); ++other) {
        const double saved = costs.latency_cycles[slot][now] - costs.latency_cycles[slot][other];
        if (saved <= 0) continue;
        const double price = rl::Log(std::max(p[now], 1e-12) / std::max(p[other], 1e-12)) / saved;
        if (best_candidate < 0 || price < best_price) {
          best_price = price;
          best_slot = slot;
          best_candidate = static_cast<int>(other);
        }
      }
    }
    if (best_candidate < 0) return changed;  // every slot at its fastest: it cannot be met
    final_network.choice[best_slot] = best_candidate;
  }
}

void JointSearch::Impl::BeginTraining() {
  engine::SgdOptions sgd;
  sgd.momentum = 0.9f;
  sgd.nesterov = true;
  sgd.weight_decay = options.weight_decay;
  training_optimizer = std::make_unique<engine::Sgd>(net->weights(final_network), sgd);
  cursor.phase = Phase::kTraining;
  cursor.step = 0;
}

Status JointSearch::Impl::TrainingStep() {
  if (cursor.step >= training_steps()) {
    if (options.final_epochs == 0) {
      nn::RecalibrateBatchNorm(*net, final_network, *training_data, 16, tape);
    }
    cursor.phase = Phase::kTest;
    return Status::Ok();
  }
  engine::Schedule schedule;
  schedule.base = options.weight_lr;
  schedule.total = training_steps();
  schedule.warmup = std::min<int64_t>(training_steps() / 20, training_data->batches_per_epoch());
  nn::WeightStepOptions step;
  step.learning_rate = schedule.At(cursor.step);
  step.label_smoothing = 0.1f;
  const nn::StepStats stats =
      nn::WeightStep(*net, final_network, training_data->Next(), *training_optimizer, step, tape);
  if (!std::isfinite(stats.loss)) return LossNotFinite();
  progress.loss = stats.loss;
  ++cursor.step;
  ++cursor.units_done;
  if (cursor.step % training_data->batches_per_epoch() == 0) EndEpoch();
  return Status::Ok();
}

// Validation accuracy of what would be chosen now; the row of log.csv; lambda steered.
void JointSearch::Impl::EndEpoch() {
  const bool training = cursor.phase == Phase::kTraining;
  const nn::Genotype network = training ? final_network : net->Argmax();
  validation_data->Seek(0);
  // Eight batches steer well enough during the search; the last training epochs deserve all of
  // them.
  const nn::Evaluation validation =
      nn::Evaluate(*net, network, *validation_data, !training, training ? 0 : 8, tape);
  progress.accuracy = validation.accuracy;
  progress.entropy = net->MeanEntropy();
  const Result<DesignCost> cost = CostOf(network, *current_hw);
  if (cost.ok()) progress.current = *cost;
  if (!training) Steer();
  ++progress.epoch;
  epoch_ended = true;
}

// Doubles lambda while a latency limit is missed, lets it fall while an accuracy floor is missed,
// and else drifts back to the user's value.
void JointSearch::Impl::Steer() {
  if (cursor.phase != Phase::kSearch && cursor.phase != Phase::kHardware) return;
  const double base = options.lambda > 0 ? options.lambda : 0.01;
  const double cycles = static_cast<double>(progress.current.latency_cycles);
  if (options.latency_max > 0 && cycles > options.latency_max) {
    lambda = std::min(std::max(lambda, base) * 2, base * 1024);
  } else if (options.accuracy_min > 0 && progress.accuracy < options.accuracy_min) {
    lambda = lambda / 2;
  } else if (lambda > options.lambda) {
    lambda = std::max(options.lambda, lambda / 1.25);
  } else if (lambda < options.lambda) {
    lambda = std::min(options.lambda, lambda * 1.25);
  }
}

void JointSearch::Impl::Finish() {
  test_data->Seek(0);
  const nn::Evaluation test = nn::Evaluate(*net, final_network, *test_data, false, 0, tape);
  validation_data->Seek(0);
  const nn::Evaluation validation =
      nn::Evaluate(*net, final_network, *validation_data, false, 0, tape);
  result.network = nn::ToText(space, final_network);
  result.accelerator = accelerator;
  result.hw = current_hw;
  result.verdicts = current_hw->CheckAll(limits);
  result.macs = nn::Macs(space, final_network);
  result.params = nn::Params(space, final_network);
  const Result<DesignCost> cost = CostOf(final_network, *current_hw);
  const Result<DesignCost> default_cost = CostOf(final_network, *default_hw);
  if (cost.ok()) result.cost = *cost;
  if (default_cost.ok()) result.default_cost = *default_cost;
  result.accuracy = test.accuracy;
  result.validation_accuracy = validation.accuracy;
  result.proposals = environment->proposals();
  result.evaluations = environment->cost_evaluations();
  result.latency_met = options.latency_max <= 0 ||
                       static_cast<double>(result.cost.latency_cycles) <= options.latency_max;
  result.accuracy_met = options.accuracy_min <= 0 || validation.accuracy >= options.accuracy_min;
  progress.accuracy = test.accuracy;
  progress.current = result.cost;
  ++cursor.units_done;
  cursor.phase = Phase::kDone;
}

Status JointSearch::Impl::Run(ProgressSink& sink, const std::atomic<bool>& stop,
                              const std::string& path) {
  started = std::chrono::steady_clock::now();
  progress.total = warmup_steps() + search_steps() + training_steps() + hardware_rounds() +
                   (searches_hardware() ? 1 : 0) + 1;
  while (cursor.phase != Phase::kDone) {
    if (stop.load(std::memory_order_relaxed)) {
      return path.empty() ? Status::Ok() : Save(path);
    }
    epoch_ended = false;
    progress.phase = PhaseName(cursor.phase);
    const Status status = Step();
    if (!status.ok()) return status;
    progress.done = cursor.units_done;
    progress.lambda = lambda;
    progress.epoch_end = epoch_ended;
    if (cursor.phase == Phase::kDone) {
      result.seconds =
          seconds_before +
          std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
    }
    sink.Report(progress);
    if ((epoch_ended || cursor.phase == Phase::kDone) && !path.empty()) {
      const Status saved = Save(path);
      if (!saved.ok()) return saved;
    }
  }
  return Status::Ok();
}

}  // namespace rhnas::search
