// Training one network from scratch: SGD with a cosine schedule, resumable at any step.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "engine/optimizer.h"
#include "nn/data.h"
#include "nn/supernet.h"
#include "nn/train.h"
#include "search/joint_search.h"

namespace rhnas::search {

struct TrainOptions {
  std::string dataset = "synth", data_dir;
  int train_size = 0, test_size = 0;
  int epochs = 10, batch = 64;
  float learning_rate = 0.05f, momentum = 0.9f, weight_decay = 5e-4f, label_smoothing = 0.1f;
  int cutout = 0;
  uint64_t seed = 1;
  int threads = 0;
};

class TrainRun {
 public:
  // The network must fit the data (TrainRun::SpaceOptionsFor).
  static engine::Result<std::unique_ptr<TrainRun>> Create(const TrainOptions& options,
                                                          nn::DataPair data,
                                                          const nn::Network& network);
  // Classes, resolution and channels of the data.
  static void FitToData(const nn::DataPair& data, nn::SpaceOptions* options);

  engine::Status Save(const std::string& path) const;
  engine::Status Load(const std::string& path);
  // As JointSearch::Run: until done or stopped, saving at every end of an epoch.
  engine::Status Run(ProgressSink& sink, const std::atomic<bool>& stop, const std::string& path);

  bool finished() const { return step_ >= total_steps(); }
  const nn::Evaluation& test() const { return test_; }
  double seconds() const { return seconds_; }
  const nn::Space& space() const { return net_->space(); }

 private:
  TrainRun(const TrainOptions& options, nn::DataPair data, const nn::Network& network);
  int64_t total_steps() const { return int64_t{options_.epochs} * train_->batches_per_epoch(); }

  TrainOptions options_;
  std::string network_text_;
  nn::DataPair data_;
  engine::ThreadPool pool_;
  engine::Tape tape_;
  std::unique_ptr<nn::Loader> train_, test_loader_;
  std::unique_ptr<nn::Supernet> net_;
  std::unique_ptr<engine::Sgd> optimizer_;
  int64_t step_ = 0;
  double seconds_ = 0;
  nn::Evaluation test_;
};

}  // namespace rhnas::search
