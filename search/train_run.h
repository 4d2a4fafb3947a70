// Training one network from scratch, resumable at any step to the same bits: SGD with Nesterov
// momentum, linear warm-up and a cosine to 0 (Loshchilov and Hutter, ICLR 2017), label smoothing,
// augmentation, and a running average of the weights, which is what is validated, saved and tested.
//
// A part of the training images can be held out: by its accuracy the best epoch is chosen. The test
// images are looked at once, at the end, and nothing is chosen by them.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "engine/optimizer.h"
#include "nn/data.h"
#include "nn/supernet.h"
#include "nn/train.h"
#include "nn/weight_average.h"
#include "search/joint_search.h"

namespace rhnas::search {

struct TrainOptions {
  std::string dataset = "synth", data_dir;
  int train_size = 0, test_size = 0;
  double validation = 0.1;  // held out of the training images: below 1 a share, else a count
  int crop = -1;            // padding before the random crop; -1: an eighth of the height
  bool flip = true;
  int cutout = 0;
  float mixup = 0;
  int epochs = 10, batch = 64;
  float learning_rate = 0.05f, momentum = 0.9f, weight_decay = 5e-4f, label_smoothing = 0.1f;
  float warmup = 1;       // epochs, at most a tenth of the run
  float clip_norm = 5;    // of the gradient; 0: not clipped
  float average = 0.99f;  // decay of the running average; 0: none
  uint64_t seed = 1;
  int threads = 0;
};

// The stated recipe of a data set: what epochs, batch, learning_rate, weight_decay,
// label_smoothing, average, crop and flip are where the user does not say.
TrainOptions RecipeFor(const std::string& dataset);

// What an epoch came to.
struct TrainEpoch {
  int epoch = 0;              // counted from 1; 0: none yet
  double loss = 0;            // means over the epoch's training images, augmented, as the weights
  double accuracy = 0;        // stood at each step
  nn::Evaluation validation;  // of the averaged weights; no images where none are held out
  double learning_rate = 0;   // of its last step
};

class TrainRun {
 public:
  // The network must fit the data (FitToData).
  static engine::Result<std::unique_ptr<TrainRun>> Create(const TrainOptions& options,
                                                          nn::DataPair data,
                                                          const nn::Network& network);
  // Classes, resolution and channels of the data.
  static void FitToData(const nn::DataPair& data, nn::SpaceOptions* options);

  // Everything that the rest of the run depends on.
  engine::Status Save(const std::string& path) const;
  engine::Status Load(const std::string& path);

  // Where a run saves; empty: not. The checkpoint at every end of an epoch, every few minutes and
  // when stopped; the weights (search/trained.h) at the ends of epochs, `best` where validation
  // says so, or with `last` where no images are held out.
  struct Files {
    std::string checkpoint, best, last;
  };
  // As JointSearch::Run: until done or stopped. In the end the best weights are tested.
  engine::Status Run(ProgressSink& sink, const std::atomic<bool>& stop, const Files& files);

  bool finished() const { return step_ >= total_steps(); }
  const TrainEpoch& last_epoch() const { return last_; }
  const TrainEpoch& best_epoch() const { return best_; }
  // REQUIRES: Run has come to its end.
  const nn::Evaluation& test() const { return test_; }  // of the best epoch's weights
  const nn::Evaluation& test_of_last() const { return last_test_; }
  int train_images() const { return train_images_; }
  double seconds() const { return seconds_; }
  const nn::Space& space() const { return net_->space(); }

 private:
  TrainRun(const TrainOptions& options, nn::DataPair data, const nn::Network& network,
           int validation_images);
  int64_t total_steps() const { return int64_t{options_.epochs} * train_->batches_per_epoch(); }
  engine::Status SaveWeights(const std::string& path);
  engine::Status EndEpoch(const Files& files);
  void Test();

  TrainOptions options_;
  nn::Network network_;
  nn::DataPair data_;
  engine::ThreadPool pool_;
  engine::Tape tape_;
  int train_images_ = 0;
  std::unique_ptr<nn::Loader> train_, validation_, test_loader_;  // validation_: null where none
  std::unique_ptr<nn::Supernet> net_;
  std::unique_ptr<engine::Sgd> optimizer_;
  std::unique_ptr<nn::WeightAverage> average_;

  // What is saved, beside the objects above.
  int64_t step_ = 0;
  double seconds_ = 0;
  double loss_sum_ = 0, accuracy_sum_ = 0;  // over the steps of this epoch
  TrainEpoch last_, best_;
  std::vector<float> best_weights_;  // averaged; empty: the last ones are the best

  nn::Evaluation test_, last_test_;
};

}  // namespace rhnas::search
