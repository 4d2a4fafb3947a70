// Opens data and tables, checks the constraints, builds all parts of a joint search.

#include <algorithm>
#include <cmath>

#include "search/feasibility.h"
#include "search/joint_state.h"
#include "search/layers.h"

namespace rhnas::search {

using engine::Result;
using engine::Status;

namespace {

// Streams of the seed, one for each use, so that no part shifts another's draws.
enum Stream : uint64_t { kWeights = 1, kPaths, kArchitecture, kAgent, kLoader };

// Shares of the training images: weights and architecture as FBNet (80/20), of what the validation
// part leaves. The validation images are never trained on, not even by the final training.
constexpr double kWeightShare = 0.72, kArchShare = 0.18, kValidationShare = 0.10;

}  // namespace

Status JointSearch::Impl::Init() {
  const SearchOptions& o = options;
  started = std::chrono::steady_clock::now();
  Result<hw::CostTable> loaded = LoadCostTable(o.energy_table);
  if (!loaded.ok()) return loaded.status();
  table = std::move(*loaded);

  Result<nn::DataPair> opened =
      nn::OpenData({o.dataset, o.data_dir, o.seed, o.train_size, o.test_size});
  if (!opened.ok()) return opened.status();
  data = std::move(*opened);

  nn::SpaceOptions space_options;
  space_options.width = o.width;
  space_options.always_pw = o.always_pw;
  space_options.classes = data.train->classes();
  space_options.resolution = data.train->height();
  space_options.channels = data.train->channels();
  Result<nn::Space> found = nn::FindSpace(o.space, space_options);
  if (!found.ok()) return found.status();
  space = std::move(*found);
  if (space.searchable().empty()) {
    return Status::Error(
        "space %s holds a single network: there is nothing to search; see 'rhnas train'",
        o.space.c_str());
  }

  cost_source.table = &table;
  accelerator = o.own_accelerator != nullptr
                    ? o.own_accelerator
                    : hw::FindAccelerator(o.accelerator.empty() ? "vta" : o.accelerator);
  if (accelerator == nullptr) {
    return Status::Error("unknown accelerator \"%s\"", o.accelerator.c_str());
  }
  hw::SpaceOptions hw_options;
  hw_options.bus_bits = o.bus_bits;
  hw_options.derived_tags = true;
  hw::Result<std::unique_ptr<hw::DesignSpace>> found_space =
      accelerator->FindSpace(o.hw_space, hw_options);
  if (!found_space.ok()) return Status::Error("%s", found_space.error().c_str());
  const std::shared_ptr<const hw::DesignSpace> hw_space = std::move(*found_space);

  // The default accelerator belongs to the platform: it has the platform's bus.
  default_hw = hw_space->Reference();
  current_hw = default_hw;
  if (!searches_hardware()) {
    const hw::Result<hw::DesignPtr> published = accelerator->Find("default");
    if (!published.ok()) return Status::Error("%s", published.error().c_str());
    hw::Result<hw::DesignPtr> fixed = accelerator->Find(o.fixed_hw);
    if (!fixed.ok()) return Status::Error("%s", fixed.error().c_str());
    if (!hw::SameDesign(**fixed, **published)) {  // the default itself takes the platform's bus
      current_hw = *fixed;
      // Another one brings its platform: it is compared with the default on the same bus.
      default_hw = accelerator->DefaultBeside(**fixed);
    }
  }
  const double default_area = default_hw->AreaUm2(table);
  limits.area_table = &table;
  if (o.area_max > 0) limits.area_max_um2 = o.area_max * default_area;
  if (!o.board.empty()) {
    if (!accelerator->fits_boards()) {
      return Status::Error(
          "--board %s: what accelerator %s takes of a board is not known: leave --board away",
          o.board.c_str(), accelerator->name());
    }
    hw::Result<hw::Board> board = hw::FindBoard(o.board);
    if (!board.ok()) return Status::Error("%s", board.error().c_str());
    limits.board = *board;
  }
  if (!searches_hardware()) {
    const std::vector<hw::BrokenRule> broken = current_hw->CheckAll(limits);
    if (!broken.empty()) {
      return Status::Error("accelerator %s cannot be built: %s", o.fixed_hw.c_str(),
                           broken.front().ToString().c_str());
    }
  }

  cost_source.memo = std::make_shared<LayerMemo>();
  if (!o.layer_table.empty()) {
    LayerTableQuestion asked;
    asked.path = o.layer_table;
    asked.accelerator = accelerator;
    asked.space = hw_space.get();
    asked.limits = limits;
    asked.whole_space = searches_hardware();
    asked.designs = {default_hw, current_hw};
    asked.items = TableItems(space);
    asked.networks = o.space;
    asked.prices = &table;
    Result<std::shared_ptr<const hw::LayerTable>> layers = OpenLayerTable(asked, &note);
    if (!layers.ok()) return layers.status();
    cost_source.layers = std::move(*layers);
  }

  FeasibilityQuestion question;
  question.space = searches_hardware() ? hw_space.get() : nullptr;
  question.reference = current_hw;
  question.limits = limits;
  question.area_max = o.area_max;
  question.default_area_um2 = default_area;
  question.networks = &space;
  question.latency_max = o.latency_max;
  question.costs = cost_source;
  const Status feasible = CheckFeasible(question, pool);
  if (!feasible.ok()) return feasible;

  // Data loaders.
  const std::vector<std::vector<int>> parts =
      nn::SplitIndices(data.train->size(), {kWeightShare, kArchShare, kValidationShare}, o.seed);
  auto loader = [&](const nn::DataSet& set, std::vector<int> indices, bool training,
                    uint64_t stream) {
    nn::Loader::Options loader_options;
    loader_options.indices = std::move(indices);
    loader_options.batch = o.batch;
    loader_options.shuffle = training;
    loader_options.drop_last = training;
    if (training) loader_options.augmentation = nn::StandardAugmentation(o.dataset, set.height());
    loader_options.seed = engine::Rng(o.seed, kLoader).Split(stream).NextU64();
    return std::make_unique<nn::Loader>(set, data.mean, data.stddev, std::move(loader_options));
  };
  const size_t smallest = std::min(parts[0].size(), parts[1].size());
  if (smallest < static_cast<size_t>(o.batch)) {
    return Status::Error(
        "--batch %d is larger than the %zu training images of one part of %s (%d in all are split "
        "72/18/10 "
        "for weights, architecture, validation): lower --batch or raise --train-size",
        o.batch, smallest, o.dataset.c_str(), data.train->size());
  }
  weight_data = loader(*data.train, parts[0], true, 1);
  arch_data = loader(*data.train, parts[1], true, 2);
  validation_data = loader(*data.train, parts[2], false, 3);
  std::vector<int> both = parts[0];
  both.insert(both.end(), parts[1].begin(), parts[1].end());
  std::sort(both.begin(), both.end());
  training_data = loader(*data.train, both, true, 4);
  std::vector<int> all_test(static_cast<size_t>(data.test->size()));
  for (size_t i = 0; i < all_test.size(); ++i) all_test[i] = static_cast<int>(i);
  test_data = loader(*data.test, all_test, false, 5);

  // Network side.
  path_rng = engine::Rng(o.seed, kPaths);
  arch_rng = engine::Rng(o.seed, kArchitecture);
  agent_rng = engine::Rng(o.seed, kAgent);
  net = std::make_unique<nn::Supernet>(space, engine::Rng(o.seed, kWeights));
  engine::SgdOptions sgd;
  sgd.momentum = 0.9f;
  sgd.weight_decay = o.weight_decay;
  weight_optimizer = std::make_unique<engine::Sgd>(net->weights(), sgd);
  engine::AdamOptions adam;  // betas of Auto-NBA's architecture optimiser
  adam.beta1 = 0.5f;
  adam.beta2 = 0.999f;
  arch_optimizer = std::make_unique<engine::Adam>(net->arch(), adam);
  lambda = o.lambda;

  // Hardware side.
  HardwareEnvironment::Setup setup;
  setup.accelerator = accelerator;
  setup.space = hw_space;
  setup.limits = limits;
  setup.reference = default_hw;
  setup.costs = cost_source;
  setup.objective = o.objective;
  setup.latency_max = o.latency_max;
  setup.invalid = o.invalid;
  if (o.invalid != InvalidHandling::kPenalty) {
    // A user's own costs say themselves what runs.
    const bool given = cost_source.layers != nullptr && cost_source.layers->head().given;
    setup.valid = std::make_shared<hw::ValidSet>(*hw_space, limits, !given);
    if (setup.valid->empty() && searches_hardware()) {
      return Status::Error(
          "no accelerator of %s within the limits runs networks: choose another space, or raise "
          "--area-max",
          hw_space->name().c_str());
    }
    if (setup.valid->empty()) setup.invalid = InvalidHandling::kPenalty;
  }
  environment = std::make_unique<HardwareEnvironment>(std::move(setup), pool);
  rl::AgentOptions agent_options;
  agent_options.name = o.agent;
  agent_options.seed = o.seed;
  Result<std::unique_ptr<rl::Agent>> made = rl::MakeAgent(agent_options, *environment, pool);
  if (!made.ok()) return made.status();
  agent = std::move(*made);

  // The scale is that of the default accelerator for every run, so that lambda means the same on
  // another.
  Result<SlotCosts> reference_costs = CostsOfSlots(space, *cost_source.Model(*default_hw), pool);
  if (!reference_costs.ok()) return reference_costs.status();
  scale = UniformMixture(*reference_costs);
  return AdoptAccelerator();
}

}  // namespace rhnas::search
