// Training runs: stopped at any step and resumed they end in the same bits, so for any number of
// threads; the best epoch is chosen by held-out images, and what is saved is what was tested.
#include "search/train_run.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "engine/archive.h"
#include "search/trained.h"

namespace rhnas::search {
namespace {

namespace fs = std::filesystem;

TrainOptions Small() {
  TrainOptions options;
  options.train_size = 200;
  options.test_size = 60;
  options.validation = 40;
  options.epochs = 3;
  options.batch = 16;
  options.mixup = 0.4f;
  options.cutout = 8;
  options.average = 0.9f;
  options.threads = 1;
  return options;
}
constexpr int kStepsPerEpoch = 10;  // of Small

std::unique_ptr<TrainRun> Make(const TrainOptions& options) {
  auto data = nn::OpenData(
      {options.dataset, options.data_dir, options.seed, options.train_size, options.test_size});
  EXPECT_TRUE(data.ok()) << data.status().message();
  nn::SpaceOptions fit;
  TrainRun::FitToData(*data, &fit);
  const auto network = nn::ParseNetwork("tiny:k3_e1_g2,skip,k3_e3,skip,k5_e1,skip", fit);
  EXPECT_TRUE(network.ok()) << network.status().message();
  auto run = TrainRun::Create(options, std::move(*data), *network);
  EXPECT_TRUE(run.ok()) << run.status().message();
  return std::move(*run);
}

// Stops at a step; keeps what epochs came to.
struct Watch : ProgressSink {
  explicit Watch(const TrainRun* watched, int64_t last_step = -1)
      : run(watched), stop_after(last_step) {}
  void Report(const Progress& progress) override {
    if (progress.epoch_end) epochs.push_back(run->last_epoch());
    if (progress.done == stop_after) stop = true;
  }
  const TrainRun* run;
  int64_t stop_after;
  std::atomic<bool> stop{false};
  std::vector<TrainEpoch> epochs;
};

class TrainRuns : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = testing::TempDir() + "rhnas_train_run_" +
           testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(dir_);
    fs::create_directories(dir_);
  }
  void TearDown() override { fs::remove_all(dir_); }
  TrainRun::Files Files(const std::string& name) const {
    return {dir_ + "/" + name + ".checkpoint", dir_ + "/" + name + ".best",
            dir_ + "/" + name + ".last"};
  }
  std::string Bytes(const std::string& path) const {
    auto bytes = engine::ReadFile(path);
    EXPECT_TRUE(bytes.ok()) << bytes.status().message();
    return bytes.ok() ? *bytes : std::string();
  }
  std::string dir_;
};

TEST_F(TrainRuns, ResumeAtAnyStepToTheSameBits) {
  const auto whole = Make(Small());
  Watch all(whole.get());
  ASSERT_TRUE(whole->Run(all, all.stop, Files("whole")).ok());
  ASSERT_TRUE(whole->finished());
  ASSERT_EQ(all.epochs.size(), 3u);
  for (int64_t step :
       {1, kStepsPerEpoch - 1, kStepsPerEpoch, 2 * kStepsPerEpoch + 3, 3 * kStepsPerEpoch - 1}) {
    SCOPED_TRACE(step);
    {
      const auto run = Make(Small());
      Watch watch(run.get(), step);
      ASSERT_TRUE(run->Run(watch, watch.stop, Files("part")).ok());
      EXPECT_FALSE(run->finished());
    }
    const auto resumed = Make(Small());
    ASSERT_TRUE(resumed->Load(Files("part").checkpoint).ok());
    Watch rest(resumed.get());
    ASSERT_TRUE(resumed->Run(rest, rest.stop, Files("part")).ok());
    EXPECT_EQ(Bytes(Files("part").best), Bytes(Files("whole").best));
    EXPECT_EQ(Bytes(Files("part").last), Bytes(Files("whole").last));
    EXPECT_EQ(resumed->test().loss, whole->test().loss);
    EXPECT_EQ(resumed->last_epoch().loss, whole->last_epoch().loss);
    EXPECT_EQ(resumed->last_epoch().accuracy, whole->last_epoch().accuracy);
    EXPECT_EQ(resumed->best_epoch().epoch, whole->best_epoch().epoch);
    EXPECT_EQ(resumed->best_epoch().validation.loss, whole->best_epoch().validation.loss);
  }
}

TEST_F(TrainRuns, SameBitsForAnyNumberOfThreads) {
  std::string bytes;
  for (int threads : {1, 2, 3, 7}) {
    TrainOptions options = Small();
    options.threads = threads;
    options.epochs = 1;
    const auto run = Make(options);
    Watch watch(run.get());
    ASSERT_TRUE(run->Run(watch, watch.stop, Files("run")).ok());
    if (threads == 1) bytes = Bytes(Files("run").last);
    EXPECT_EQ(Bytes(Files("run").last), bytes) << threads << " threads";
  }
}

TEST_F(TrainRuns, BestIsThatOfTheHeldOutImages) {
  TrainOptions options = Small();
  options.epochs = 6;
  options.learning_rate = 0.4f;  // so that the last epoch is not always the best
  const auto run = Make(options);
  EXPECT_EQ(run->train_images(), 160);
  Watch watch(run.get());
  ASSERT_TRUE(run->Run(watch, watch.stop, Files("run")).ok());
  const TrainEpoch* best = &watch.epochs[0];
  for (const TrainEpoch& epoch : watch.epochs) {
    EXPECT_EQ(epoch.validation.images, 40);
    const bool better = epoch.validation.accuracy > best->validation.accuracy ||
                        (epoch.validation.accuracy == best->validation.accuracy &&
                         epoch.validation.loss < best->validation.loss);
    if (better) best = &epoch;
  }
  EXPECT_EQ(run->best_epoch().epoch, best->epoch);

  // The files give the accuracies that were told.
  auto data =
      nn::OpenData({options.dataset, "", options.seed, options.train_size, options.test_size});
  ASSERT_TRUE(data.ok());
  engine::ThreadPool pool(1);
  engine::Tape tape(pool);
  for (const bool of_best : {true, false}) {
    auto read = LoadTrained(of_best ? Files("run").best : Files("run").last);
    ASSERT_TRUE(read.ok()) << read.status().message();
    EXPECT_EQ(read->mean, data->mean);
    nn::Loader::Options loader;
    for (int i = 0; i < options.test_size; ++i) loader.indices.push_back(i);
    loader.batch = options.batch;
    loader.shuffle = loader.drop_last = false;
    nn::Loader test(*data->test, read->mean, read->stddev, loader);
    const nn::Evaluation again = nn::Evaluate(*read->net, read->path, test, false, 0, tape);
    const nn::Evaluation& told = of_best ? run->test() : run->test_of_last();
    EXPECT_EQ(again.loss, told.loss);
    EXPECT_EQ(again.accuracy, told.accuracy);
    EXPECT_EQ(again.images, told.images);
  }
}

TEST_F(TrainRuns, WithoutHeldOutImagesTheLastIsTheBest) {
  TrainOptions options = Small();
  options.validation = 0;
  options.epochs = 2;
  const auto run = Make(options);
  EXPECT_EQ(run->train_images(), 200);
  Watch watch(run.get());
  ASSERT_TRUE(run->Run(watch, watch.stop, Files("run")).ok());
  EXPECT_EQ(run->best_epoch().epoch, 2);
  EXPECT_EQ(run->best_epoch().validation.images, 0);
  EXPECT_EQ(Bytes(Files("run").best), Bytes(Files("run").last));
  EXPECT_EQ(run->test().loss, run->test_of_last().loss);
}

TEST_F(TrainRuns, NoEpochsGiveTheUntrainedNetwork) {
  TrainOptions options = Small();
  options.epochs = 0;
  const auto run = Make(options);
  Watch watch(run.get());
  ASSERT_TRUE(run->Run(watch, watch.stop, Files("run")).ok());
  EXPECT_EQ(run->test().images, 60);
  EXPECT_TRUE(LoadTrained(Files("run").best).ok());
}

TEST_F(TrainRuns, WhatCannotBeIsTold) {
  const auto told = [](TrainOptions options, const std::string& what) {
    auto data = nn::OpenData({options.dataset, "", options.seed, options.train_size, 20});
    ASSERT_TRUE(data.ok());
    const auto run = TrainRun::Create(options, std::move(*data),
                                      *nn::ParseNetwork("tiny:skip,skip,skip,skip,skip,skip"));
    ASSERT_FALSE(run.ok());
    EXPECT_NE(run.status().message().find(what), std::string::npos) << run.status().message();
  };
  TrainOptions options = Small();
  options.validation = 200;
  told(options, "--validation");
  options.validation = 0.95;
  told(options, "--batch");
  const auto run = Make(Small());
  ASSERT_TRUE(run->Save(dir_ + "/c").ok());
  options = Small();
  options.epochs = 0;
  EXPECT_TRUE(Make(options)->Load(dir_ + "/c").ok());
  engine::ArchiveWriter other;
  other.PutString("network", "resnet20");
  ASSERT_TRUE(other.Save(dir_ + "/other").ok());
  EXPECT_NE(run->Load(dir_ + "/other").message().find("resnet20"), std::string::npos);
}

// Real images: a single epoch of the recipe learns most of what there is (0.92 after twenty).
TEST(SlowTrainRuns, LeNet5LearnsFashionMnist) {
  const char* root = std::getenv("RHNAS_DATA");
  if (root == nullptr) GTEST_SKIP() << "RHNAS_DATA is not set";
  TrainOptions options = RecipeFor("fashion-mnist");
  options.dataset = "fashion-mnist";
  options.data_dir = std::string(root) + "/fashion-mnist";
  options.epochs = 1;
  options.validation = 0;
  auto data = nn::OpenData({options.dataset, options.data_dir, 1, 0, 0});
  ASSERT_TRUE(data.ok()) << data.status().message();
  nn::SpaceOptions fit;
  TrainRun::FitToData(*data, &fit);
  auto run = TrainRun::Create(options, std::move(*data), *nn::ParseNetwork("lenet5", fit));
  ASSERT_TRUE(run.ok()) << run.status().message();
  Watch watch(run->get());
  ASSERT_TRUE((*run)->Run(watch, watch.stop, {}).ok());
  EXPECT_GT((*run)->test().accuracy, 0.84);
}

}  // namespace
}  // namespace rhnas::search
