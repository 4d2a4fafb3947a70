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
enum Stream : uint64_t { kWeights = 1, kLoader = 2, kSplit = 3 };

constexpr double kSaveSeconds = 300;  // between checkpoints within long epochs
constexpr int64_t kWarmupShare = 10;  // a tenth of the run at most

int HeldOut(const TrainOptions& options, int images) {
  const double wanted = options.validation < 1 ? options.validation * images : options.validation;
  return static_cast<int>(std::min(wanted + 0.5, 1e9));
}

std::unique_ptr<nn::Loader> Unchanged(const nn::DataPair& data, const nn::DataSet& images,
                                      std::vector<int> indices, int batch) {
  nn::Loader::Options options;
  options.indices = std::move(indices);
  options.batch = batch;
  options.shuffle = options.drop_last = false;
  return std::make_unique<nn::Loader>(images, data.mean, data.stddev, options);
}

std::vector<int> FirstIndices(int count) {
  std::vector<int> indices(static_cast<size_t>(count));
  for (int i = 0; i < count; ++i) indices[static_cast<size_t>(i)] = i;
  return indices;
}

template <typename Archive, typename Epoch>
void Visit(Archive archive, const std::string& prefix, Epoch& e) {
  archive(prefix + "epoch", e.epoch);
  archive(prefix + "loss", e.loss);
  archive(prefix + "accuracy", e.accuracy);
  archive(prefix + "validation_loss", e.validation.loss);
  archive(prefix + "validation_accuracy", e.validation.accuracy);
  archive(prefix + "validation_images", e.validation.images);
  archive(prefix + "learning_rate", e.learning_rate);
}

}  // namespace

// CIFAR: a learning rate of 0.1 at batches of 128 as He et al. (CVPR 2016, section 4.2) have it,
// five times their weight decay, as a cosine of few epochs wants it. Label smoothing is small:
// small networks fit these images barely as it is, which is why cutout and mixup are off too.
// Fashion-MNIST is centred: crops by an eighth cost lenet5 a point of the held-out images.
TrainOptions RecipeFor(const std::string& dataset) {
  TrainOptions recipe;
  recipe.flip = dataset != "mnist";
  if (dataset == "cifar10" || dataset == "cifar100") {
    recipe.epochs = 60;
    recipe.batch = 128;
    recipe.learning_rate = 0.1f;
    recipe.label_smoothing = 0.05f;
    recipe.average = 0.999f;
  } else if (dataset == "mnist" || dataset == "fashion-mnist") {
    recipe.crop = 1;
    recipe.epochs = 20;
    recipe.batch = 128;
    recipe.learning_rate = 0.1f;
    recipe.label_smoothing = 0.05f;
    recipe.average = 0.999f;
  }
  return recipe;
}

void TrainRun::FitToData(const nn::DataPair& data, nn::SpaceOptions* options) {
  options->classes = data.train->classes();
  options->resolution = data.train->height();
  options->channels = data.train->channels();
}

TrainRun::TrainRun(const TrainOptions& options, nn::DataPair data, const nn::Network& network,
                   int validation_images)
    : options_(options),
      network_(network),
      data_(std::move(data)),
      pool_(options.threads),
      tape_(pool_) {
  nn::Loader::Options train;
  train.batch = options.batch;
  train.augmentation = nn::StandardAugmentation(options.dataset, data_.train->height());
  if (options.crop >= 0) train.augmentation.pad_crop = options.crop;
  train.augmentation.flip = options.flip;
  train.augmentation.cutout = options.cutout;
  train.augmentation.mixup = options.mixup;
  train.seed = engine::Rng(options.seed, kLoader).NextU64();
  const int images = data_.train->size();
  if (validation_images == 0) {
    train.indices = FirstIndices(images);
  } else {
    const double share = static_cast<double>(validation_images) / images;
    std::vector<std::vector<int>> parts =
        nn::SplitIndices(images, {share, 1 - share}, engine::Rng(options.seed, kSplit).NextU64());
    train.indices = std::move(parts[1]);
    validation_ = Unchanged(data_, *data_.train, std::move(parts[0]), options.batch);
  }
  train_images_ = static_cast<int>(train.indices.size());
  train_ = std::make_unique<nn::Loader>(*data_.train, data_.mean, data_.stddev, train);
  test_loader_ = Unchanged(data_, *data_.test, FirstIndices(data_.test->size()), options.batch);
  net_ = std::make_unique<nn::Supernet>(OnlyThis(network), engine::Rng(options.seed, kWeights));
  engine::SgdOptions sgd;
  sgd.momentum = options.momentum;
  sgd.nesterov = true;
  sgd.weight_decay = options.weight_decay;
  optimizer_ = std::make_unique<engine::Sgd>(net_->weights(), sgd);
  average_ = std::make_unique<nn::WeightAverage>(*net_, nn::Genotype(), options.average);
}

Result<std::unique_ptr<TrainRun>> TrainRun::Create(const TrainOptions& options, nn::DataPair data,
                                                   const nn::Network& network) {
  const int images = data.train->size(), held_out = HeldOut(options, images);
  if (held_out >= images) {
    return Status::Error("--validation %g leaves nothing of the %d training images of %s: lower it",
                         options.validation, images, options.dataset.c_str());
  }
  if (images - held_out < options.batch) {
    return Status::Error(
        "--batch %d is larger than the %d training images of %s: lower it or "
        "raise --train-size",
        options.batch, images - held_out, options.dataset.c_str());
  }
  return std::unique_ptr<TrainRun>(new TrainRun(options, std::move(data), network, held_out));
}

Status TrainRun::Save(const std::string& path) const {
  engine::ArchiveWriter archive;
  archive.PutString("network", nn::ToText(network_.space, network_.genotype));
  archive.Put("step", step_);
  archive.Put("seconds", seconds_);
  archive.Put("loss_sum", loss_sum_);
  archive.Put("accuracy_sum", accuracy_sum_);
  const auto put = [&](const std::string& name, const auto& value) { archive.Put(name, value); };
  Visit(put, "last/", last_);
  Visit(put, "best/", best_);
  archive.PutVector("best/weights", best_weights_);
  net_->Save(archive, "net/");
  optimizer_->Save(archive, "sgd/");
  average_->Save(archive, "average/");
  return archive.Save(path);
}

Status TrainRun::Load(const std::string& path) {
  Result<engine::ArchiveReader> archive = engine::ArchiveReader::Open(path);
  if (!archive.ok()) return archive.status();
  const std::string expected = nn::ToText(network_.space, network_.genotype);
  std::string network;
  archive->GetString("network", &network);
  if (archive->status().ok() && network != expected) {
    return Status::Error("%s holds the network %s, expected %s", path.c_str(), network.c_str(),
                         expected.c_str());
  }
  archive->Get("step", &step_);
  archive->Get("seconds", &seconds_);
  archive->Get("loss_sum", &loss_sum_);
  archive->Get("accuracy_sum", &accuracy_sum_);
  const auto get = [&](const std::string& name, auto& value) { archive->Get(name, &value); };
  Visit(get, "last/", last_);
  Visit(get, "best/", best_);
  archive->GetVector("best/weights", &best_weights_);
  net_->Load(*archive, "net/");
  optimizer_->Load(*archive, "sgd/");
  average_->Load(*archive, "average/");
  if (!archive->status().ok()) return archive->status();
  std::vector<float> size;
  average_->CopyTo(&size);
  if (!best_weights_.empty() && best_weights_.size() != size.size()) {
    return Status::Error("%s: %zu best weights for a network of %zu", path.c_str(),
                         best_weights_.size(), size.size());
  }
  if (step_ < 0 || step_ > total_steps()) {
    return Status::Error("%s: step %lld of %lld", path.c_str(), static_cast<long long>(step_),
                         static_cast<long long>(total_steps()));
  }
  train_->Seek(step_);
  return Status::Ok();
}

// The averaged weights.
Status TrainRun::SaveWeights(const std::string& path) {
  if (path.empty()) return Status::Ok();
  average_->Swap();
  const Status status =
      SaveTrained(path, network_, *net_, options_.dataset, data_.mean, data_.stddev);
  average_->Swap();
  return status;
}

// Validates; the first of equally accurate epochs is the best, of those with less loss.
Status TrainRun::EndEpoch(const Files& files) {
  const double steps = static_cast<double>(train_->batches_per_epoch());
  last_.epoch = static_cast<int>(step_ / train_->batches_per_epoch());
  last_.loss = loss_sum_ / steps;
  last_.accuracy = accuracy_sum_ / steps;
  loss_sum_ = accuracy_sum_ = 0;
  bool best = true;
  if (validation_ != nullptr) {
    average_->Swap();
    last_.validation = nn::Evaluate(*net_, nn::Genotype(), *validation_, false, 0, tape_);
    average_->Swap();
    const nn::Evaluation &now = last_.validation, &before = best_.validation;
    best = best_.epoch == 0 || now.accuracy > before.accuracy ||
           (now.accuracy == before.accuracy && now.loss < before.loss);
    if (best) average_->CopyTo(&best_weights_);
  }
  Status status = SaveWeights(files.last);
  if (!best) return status;
  best_ = last_;
  if (status.ok()) status = SaveWeights(files.best);
  return status;
}

void TrainRun::Test() {
  const auto test = [this] {
    average_->Swap();
    const nn::Evaluation result =
        nn::Evaluate(*net_, nn::Genotype(), *test_loader_, false, 0, tape_);
    average_->Swap();
    return result;
  };
  test_ = last_test_ = test();
  if (best_weights_.empty() || best_.epoch == last_.epoch) return;
  std::vector<float> last;
  average_->CopyTo(&last);
  average_->CopyFrom(best_weights_);
  test_ = test();
  average_->CopyFrom(last);
}

Status TrainRun::Run(ProgressSink& sink, const std::atomic<bool>& stop, const Files& files) {
  const auto started = std::chrono::steady_clock::now();
  const double seconds_before = seconds_;
  const int64_t per_epoch = train_->batches_per_epoch();
  engine::Schedule schedule;
  schedule.base = options_.learning_rate;
  schedule.total = total_steps();
  const double warmup = double{options_.warmup} * static_cast<double>(per_epoch);
  schedule.warmup = std::min(total_steps() / kWarmupShare, static_cast<int64_t>(warmup + 0.5));
  nn::WeightStepOptions step;
  step.label_smoothing = options_.label_smoothing;
  step.clip_norm = options_.clip_norm;
  const auto save = [&] {
    return files.checkpoint.empty() ? Status::Ok() : Save(files.checkpoint);
  };

  Progress progress;
  progress.phase = "training";
  progress.total = total_steps();
  double saved_at = seconds_;
  while (!finished()) {
    const bool stopped = stop.load(std::memory_order_relaxed);
    if (stopped) return save();
    step.learning_rate = schedule.At(step_);
    const nn::StepStats stats =
        nn::WeightStep(*net_, nn::Genotype(), train_->Next(), *optimizer_, step, tape_);
    if (!std::isfinite(stats.loss)) {
      return Status::Error("the loss is not finite at step %lld: lower --lr (now %g)",
                           static_cast<long long>(step_),
                           static_cast<double>(options_.learning_rate));
    }
    average_->Update();
    ++step_;
    loss_sum_ += stats.loss;
    accuracy_sum_ += stats.accuracy;
    progress.done = step_;
    progress.loss = stats.loss;
    progress.accuracy = stats.accuracy;
    progress.epoch_end = step_ % per_epoch == 0;
    progress.epoch = static_cast<int>(step_ / per_epoch);
    if (progress.epoch_end) {
      last_.learning_rate = double{step.learning_rate};
      if (Status status = EndEpoch(files); !status.ok()) return status;
      progress.loss = last_.loss;
      progress.accuracy = validation_ != nullptr ? last_.validation.accuracy : last_.accuracy;
    }
    seconds_ = seconds_before +
               std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
    sink.Report(progress);
    if (!progress.epoch_end && seconds_ - saved_at < kSaveSeconds) continue;
    saved_at = seconds_;
    if (Status status = save(); !status.ok()) return status;
  }
  if (last_.epoch == 0) {  // a run of no epochs: the untrained network
    Status status = SaveWeights(files.last);
    if (status.ok()) status = SaveWeights(files.best);
    if (!status.ok()) return status;
  }
  Test();
  return Status::Ok();
}

}  // namespace rhnas::search
