#include "search/train_run.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

#include "search/trained.h"

namespace rhnas::search {

using engine::Result;
using engine::Status;

namespace {

// Streams of the seed.
enum Stream : uint64_t { kWeights = 1, kLoader = 2 };

std::vector<int> All(int count) {
  std::vector<int> indices(static_cast<size_t>(count));
  for (int i = 0; i < count; ++i) indices[static_cast<size_t>(i)] = i;
  return indices;
}

}  // namespace

void TrainRun::FitToData(const nn::DataPair& data, nn::SpaceOptions* options) {
  options->classes = data.train->classes();
  options->resolution = data.train->height();
  options->channels = data.train->channels();
}

TrainRun::TrainRun(const TrainOptions& options, nn::DataPair data, const nn::Network& network)
    : options_(options),
      network_text_(nn::ToText(network.space, network.genotype)),
      data_(std::move(data)),
      pool_(options.threads),
      tape_(pool_) {
  nn::Loader::Options train;
  train.indices = All(data_.train->size());
  train.batch = options.batch;
  train.augmentation = nn::StandardAugmentation(options.dataset, data_.train->height());
  train.augmentation.cutout = options.cutout;
  train.seed = engine::Rng(options.seed, kLoader).NextU64();
  train_ = std::make_unique<nn::Loader>(*data_.train, data_.mean, data_.stddev, train);
  nn::Loader::Options test;
  test.indices = All(data_.test->size());
  test.batch = options.batch;
  test.shuffle = test.drop_last = false;
  test_loader_ = std::make_unique<nn::Loader>(*data_.test, data_.mean, data_.stddev, test);
  net_ = std::make_unique<nn::Supernet>(OnlyThis(network), engine::Rng(options.seed, kWeights));
  engine::SgdOptions sgd;
  sgd.momentum = options.momentum;
  sgd.nesterov = true;
  sgd.weight_decay = options.weight_decay;
  optimizer_ = std::make_unique<engine::Sgd>(net_->weights(), sgd);
}

Result<std::unique_ptr<TrainRun>> TrainRun::Create(const TrainOptions& options, nn::DataPair data,
                                                   const nn::Network& network) {
  if (data.train->size() < options.batch) {
    return Status::Error(
        "--batch %d is larger than the %d training images of %s: lower it or "
        "raise --train-size",
        options.batch, data.train->size(), options.dataset.c_str());
  }
  return std::unique_ptr<TrainRun>(new TrainRun(options, std::move(data), network));
}

Status TrainRun::Save(const std::string& path) const {
  engine::ArchiveWriter archive;
  archive.PutString("network", network_text_);
  archive.Put("step", step_);
  archive.Put("seconds", seconds_);
  archive.Put("test/loss", test_.loss);
  archive.Put("test/accuracy", test_.accuracy);
  archive.Put("test/images", test_.images);
  net_->Save(archive, "net/");
  optimizer_->Save(archive, "sgd/");
  return archive.Save(path);
}

Status TrainRun::Load(const std::string& path) {
  Result<engine::ArchiveReader> archive = engine::ArchiveReader::Open(path);
  if (!archive.ok()) return archive.status();
  std::string network;
  archive->GetString("network", &network);
  if (archive->status().ok() && network != network_text_) {
    return Status::Error("%s holds the network %s, expected %s", path.c_str(), network.c_str(),
                         network_text_.c_str());
  }
  archive->Get("step", &step_);
  archive->Get("seconds", &seconds_);
  archive->Get("test/loss", &test_.loss);
  archive->Get("test/accuracy", &test_.accuracy);
  archive->Get("test/images", &test_.images);
  net_->Load(*archive, "net/");
  optimizer_->Load(*archive, "sgd/");
  if (!archive->status().ok()) return archive->status();
  train_->Seek(step_);
  return Status::Ok();
}

Status TrainRun::Run(ProgressSink& sink, const std::atomic<bool>& stop, const std::string& path) {
  const auto started = std::chrono::steady_clock::now();
  const double seconds_before = seconds_;
  const int64_t per_epoch = train_->batches_per_epoch();
  engine::Schedule schedule;
  schedule.base = options_.learning_rate;
  schedule.total = total_steps();
  // A twentieth of the steps, one epoch at most, before batch statistics have settled.
  schedule.warmup = std::min(total_steps() / 20, per_epoch);
  nn::WeightStepOptions step;
  step.label_smoothing = options_.label_smoothing;

  Progress progress;
  progress.phase = "training";
  progress.total = total_steps();
  while (!finished()) {
    const bool stopped = stop.load(std::memory_order_relaxed);
    if (stopped) return Save(path);
    step.learning_rate = schedule.At(step_);
    const nn::StepStats stats =
        nn::WeightStep(*net_, nn::Genotype(), train_->Next(), *optimizer_, step, tape_);
    if (!std::isfinite(stats.loss)) {
      return Status::Error("the loss is not finite at step %lld: lower --lr (now %g)",
                           static_cast<long long>(step_),
                           static_cast<double>(options_.learning_rate));
    }
    ++step_;
    progress.done = step_;
    progress.loss = stats.loss;
    progress.accuracy = stats.accuracy;
    progress.epoch_end = step_ % per_epoch == 0;
    progress.epoch = static_cast<int>(step_ / per_epoch);
    if (progress.epoch_end) {
      test_loader_->Seek(0);
      test_ = nn::Evaluate(*net_, nn::Genotype(), *test_loader_, false, 0, tape_);
      progress.accuracy = test_.accuracy;
    }
    seconds_ = seconds_before +
               std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
    sink.Report(progress);
    if (!progress.epoch_end) continue;
    if (Status status = Save(path); !status.ok()) return status;
  }
  // A run of no epochs tells the accuracy of the untrained network.
  if (test_.images == 0) {
    test_ = nn::Evaluate(*net_, nn::Genotype(), *test_loader_, false, 0, tape_);
  }
  return Status::Ok();
}

}  // namespace rhnas::search
