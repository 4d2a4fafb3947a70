// Training: it learns, it is the same for any number of threads, it resumes bit for bit.
#include "nn/train.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <numeric>

#include "engine/ops.h"

namespace rhnas::nn {
namespace {

using engine::Parameter;
using engine::Rng;
using engine::Shape;
using engine::Tape;
using engine::ThreadPool;
using engine::Var;

std::vector<int> FirstIndices(int count) {
  std::vector<int> indices(static_cast<size_t>(count));
  std::iota(indices.begin(), indices.end(), 0);
  return indices;
}

// A network on synth, with all that a run needs.
struct Session {
  Session(const std::string& text, int train_size, int test_size, int threads, int batch = 32)
      : pool(threads), tape(pool) {
    DataOptions options;
    options.train_size = train_size;
    options.test_size = test_size;
    data = std::move(*OpenData(options));
    network = std::move(*ParseNetwork(text));
    net = std::make_unique<Supernet>(network.space, Rng(1));
    engine::SgdOptions sgd;
    sgd.weight_decay = 5e-4f;
    optimizer = std::make_unique<engine::Sgd>(net->weights(), sgd);
    Loader::Options train;
    train.indices = FirstIndices(train_size);
    train.batch = batch;
    train.augmentation = {2, true, 0};
    loader = std::make_unique<Loader>(*data.train, data.mean, data.stddev, train);
    Loader::Options test;
    test.indices = FirstIndices(test_size);
    test.batch = 100;
    test.shuffle = test.drop_last = false;
    test_loader = std::make_unique<Loader>(*data.test, data.mean, data.stddev, test);
  }

  StepStats Step(float learning_rate = 0.05f) {
    WeightStepOptions options;
    options.learning_rate = learning_rate;
    return WeightStep(*net, network.genotype, loader->Next(), *optimizer, options, tape);
  }

  uint64_t Hash() {
    uint64_t hash = 14695981039346656037u;  // FNV-1a
    for (const Parameter* weight : net->weights()) {
      const auto* bytes = reinterpret_cast<const unsigned char*>(weight->value.data());
      for (int64_t i = 0; i < weight->value.size() * 4; ++i) {
        hash = (hash ^ bytes[i]) * 1099511628211u;
      }
    }
    return hash;
  }

  ThreadPool pool;
  Tape tape;
  DataPair data;
  Network network;
  std::unique_ptr<Supernet> net;
  std::unique_ptr<engine::Sgd> optimizer;
  std::unique_ptr<Loader> loader, test_loader;
};

const char* const kSmall = "tiny@w0.5:k3_e1_g2,k3_e3,skip,k5_e1,skip,k3_e1_g2";

TEST(NnTrain, LossFalls) {
  Session run("tiny:k3_e3,k3_e3,skip,k3_e3,k3_e3,skip", 160, 100, 2);
  double first = 0, last = 0;
  for (int i = 0; i < 100; ++i) {
    const StepStats stats = run.Step();
    ASSERT_TRUE(std::isfinite(stats.loss));
    if (i < 10) first += stats.loss / 10;
    if (i >= 90) last += stats.loss / 10;
  }
  EXPECT_NEAR(first, std::log(10.0), 0.4);
  EXPECT_LT(last, first - 0.4);
}

TEST(NnTrain, SameBitsForAnyNumberOfThreads) {
  std::vector<uint64_t> hashes;
  std::vector<double> losses;
  for (int threads : {1, 2, 3, 7}) {
    Session run(kSmall, 96, 100, threads);
    for (int i = 0; i < 5; ++i) run.Step();
    hashes.push_back(run.Hash());
    losses.push_back(
        Evaluate(*run.net, run.network.genotype, *run.test_loader, false, 0, run.tape).loss);
  }
  for (size_t i = 1; i < hashes.size(); ++i) {
    EXPECT_EQ(hashes[i], hashes[0]);
    EXPECT_EQ(losses[i], losses[0]);
  }
}

TEST(NnTrain, ResumesBitForBit) {
  const std::string path =
      (std::filesystem::temp_directory_path() / "rhnas_nn_train_test.ckpt").string();
  Session straight(kSmall, 128, 100, 2);
  for (int i = 0; i < 4; ++i) straight.Step();
  engine::ArchiveWriter writer;
  straight.net->Save(writer, "net/");
  straight.optimizer->Save(writer, "sgd/");
  writer.Put("position", straight.loader->position());
  ASSERT_TRUE(writer.Save(path).ok());
  for (int i = 0; i < 6; ++i) straight.Step();

  Session resumed(kSmall, 128, 100, 2);
  engine::Result<engine::ArchiveReader> reader = engine::ArchiveReader::Open(path);
  ASSERT_TRUE(reader.ok()) << reader.status().message();
  resumed.net->Load(*reader, "net/");
  resumed.optimizer->Load(*reader, "sgd/");
  int64_t position = 0;
  reader->Get("position", &position);
  ASSERT_TRUE(reader->status().ok()) << reader->status().message();
  EXPECT_EQ(position, 4);
  resumed.loader->Seek(position);
  for (int i = 0; i < 6; ++i) resumed.Step();
  EXPECT_EQ(resumed.Hash(), straight.Hash());
  std::remove(path.c_str());
  std::remove((path + ".prev").c_str());
}

TEST(NnTrain, NoUpdateFromALossThatIsNotFinite) {
  Session run(kSmall, 64, 100, 1);
  Batch batch = run.loader->Next();
  std::vector<float> images(batch.images, batch.images + batch.shape.size());
  images[5] = std::nanf("");
  batch.images = images.data();
  const auto evaluate = [&] {  // with the running statistics
    return Evaluate(*run.net, run.network.genotype, *run.test_loader, false, 0, run.tape).loss;
  };
  run.Step();
  const uint64_t before = run.Hash();
  const double loss_before = evaluate();
  ASSERT_TRUE(std::isfinite(loss_before));
  const StepStats stats =
      WeightStep(*run.net, run.network.genotype, batch, *run.optimizer, {}, run.tape);
  EXPECT_FALSE(std::isfinite(stats.loss));
  EXPECT_EQ(run.Hash(), before);
  EXPECT_EQ(evaluate(), loss_before);
}

// All features are about 1e-8 and all their gradients beyond a float.
TEST(NnTrain, NoUpdateFromAGradientThatIsNotFinite) {
  Session run(kSmall, 64, 100, 1);
  for (Parameter* weight : run.net->weights()) {
    const auto ends_with = [&](const std::string& end) {
      return weight->name.size() > end.size() &&
             weight->name.compare(weight->name.size() - end.size(), end.size(), end) == 0;
    };
    if (ends_with("/gamma")) weight->value.Fill(0);
    if (ends_with("/beta")) weight->value.Fill(1e-8f);
    if (!ends_with("/weight")) continue;
    for (int64_t i = 0; i < weight->value.size(); ++i) {
      weight->value[i] = i % 10 == 0 ? 3e38f : -3e38f;
    }
  }
  const Batch batch = run.loader->Next();
  Pass pass;
  pass.update_running = false;
  run.tape.Reset();
  const Var loss =
      engine::CrossEntropy(run.tape,
                           run.net->Forward(run.tape, run.tape.Alias(batch.shape, batch.images),
                                            run.network.genotype, pass),
                           batch.labels);
  ASSERT_TRUE(std::isfinite(*run.tape.value(loss)));
  const uint64_t before = run.Hash();
  for (float clip_norm : {0.0f, 5.0f}) {
    WeightStepOptions options;
    options.clip_norm = clip_norm;
    const StepStats stats =
        WeightStep(*run.net, run.network.genotype, batch, *run.optimizer, options, run.tape);
    EXPECT_FALSE(std::isfinite(stats.loss)) << clip_norm;
    EXPECT_EQ(run.Hash(), before) << clip_norm;
  }
}

// The first step of an optimiser with momentum is the learning rate times the gradient.
TEST(NnTrain, WeightStepClipsTheGradient) {
  const auto moved = [](float clip_norm) {
    Session run(kSmall, 64, 100, 1);
    engine::Sgd sgd(run.net->weights(), {});
    std::vector<float> before;
    for (const Parameter* weight : run.net->weights()) {
      before.insert(before.end(), weight->value.data(),
                    weight->value.data() + weight->value.size());
    }
    WeightStepOptions options;
    options.clip_norm = clip_norm;
    options.learning_rate = 10;
    WeightStep(*run.net, run.network.genotype, run.loader->Next(), sgd, options, run.tape);
    double squares = 0;
    size_t at = 0;
    for (const Parameter* weight : run.net->weights()) {
      for (int64_t i = 0; i < weight->value.size(); ++i) {
        const double step = double{weight->value[i]} - double{before[at++]};
        squares += step * step;
      }
    }
    return std::sqrt(squares) / 10;
  };
  const double whole = moved(0);
  EXPECT_GT(whole, 0.05);
  EXPECT_NEAR(moved(0.01f), 0.01, 1e-4);
  EXPECT_NEAR(moved(100), whole, 1e-4 * whole);
}

TEST(NnTrain, WeightStepSmoothsTheLabels) {
  Session run(kSmall, 64, 100, 1);
  for (int i = 0; i < 5; ++i) run.Step();
  const Batch batch = run.loader->Next();
  Pass pass;
  pass.update_running = false;
  const auto loss_with = [&](float smoothing) {
    run.tape.Reset();
    const Var images = run.tape.Alias(batch.shape, batch.images);
    const Var logits = run.net->Forward(run.tape, images, run.network.genotype, pass);
    return double{*run.tape.value(engine::CrossEntropy(run.tape, logits, batch.labels, smoothing))};
  };
  const double plain = loss_with(0), smooth = loss_with(0.2f);
  EXPECT_NE(plain, smooth);
  WeightStepOptions options;
  options.learning_rate = 0;
  EXPECT_EQ(
      WeightStep(*run.net, run.network.genotype, batch, *run.optimizer, options, run.tape).loss,
      plain);
  options.label_smoothing = 0.2f;
  EXPECT_EQ(
      WeightStep(*run.net, run.network.genotype, batch, *run.optimizer, options, run.tape).loss,
      smooth);
}

// The loss of a mixed batch is that of its two labels by their shares.
TEST(NnTrain, WeightStepMixesTheLosses) {
  Session run(kSmall, 64, 100, 1);
  WeightStepOptions still;
  still.learning_rate = 0;
  Batch batch = run.loader->Next();
  const std::vector<int32_t> own(batch.labels, batch.labels + batch.shape.dim[0]);
  std::vector<int32_t> other = own;
  std::reverse(other.begin(), other.end());
  const auto loss = [&](const int32_t* labels, const int32_t* mixed, float mix) {
    batch.labels = labels;
    batch.mixed_labels = mixed;
    batch.mix = mix;
    return WeightStep(*run.net, run.network.genotype, batch, *run.optimizer, still, run.tape).loss;
  };
  const double first = loss(own.data(), nullptr, 1), second = loss(other.data(), nullptr, 1);
  ASSERT_NE(first, second);
  EXPECT_NEAR(loss(own.data(), other.data(), 0.3f), 0.3 * first + 0.7 * second, 1e-5);
}

TEST(NnTrain, WarmStepAllocatesNothing) {
  Session run(kSmall, 64, 100, 2);
  for (int i = 0; i < 3; ++i) run.Step();
  const int64_t before = run.tape.arena().block_allocations();
  for (int i = 0; i < 5; ++i) run.Step();
  EXPECT_EQ(run.tape.arena().block_allocations(), before);
}

TEST(NnTrain, EvaluationCountsEveryImageOnceAndChangesNothing) {
  Session run(kSmall, 64, 250, 2);
  run.test_loader->Next();  // a position in the middle does not matter
  const uint64_t before = run.Hash();
  const Evaluation once =
      Evaluate(*run.net, run.network.genotype, *run.test_loader, true, 0, run.tape);
  EXPECT_EQ(once.images, 250);
  const Evaluation again =
      Evaluate(*run.net, run.network.genotype, *run.test_loader, true, 0, run.tape);
  EXPECT_EQ(once.loss, again.loss);
  EXPECT_EQ(once.accuracy, again.accuracy);
  EXPECT_EQ(run.Hash(), before);
  run.test_loader->Seek(0);
  EXPECT_EQ(Evaluate(*run.net, run.network.genotype, *run.test_loader, false, 2, run.tape).images,
            200);
}

// Statistics taken from the very images that are then evaluated: the same as batch statistics, but
// for the unbiased variance.
TEST(NnTrain, RecalibrationMatchesBatchStatistics) {
  Session run(kSmall, 320, 100, 2);
  for (int i = 0; i < 30; ++i) run.Step();
  const Genotype& path = run.network.genotype;
  const Evaluation batch = Evaluate(*run.net, path, *run.test_loader, true, 0, run.tape);
  run.test_loader->Seek(0);
  RecalibrateBatchNorm(*run.net, path, *run.test_loader, 1, run.tape);
  const Evaluation running = Evaluate(*run.net, path, *run.test_loader, false, 0, run.tape);
  EXPECT_NEAR(running.loss, batch.loss, 0.02);
  // Over more batches it is their mean, whatever came before.
  run.loader->Seek(0);
  RecalibrateBatchNorm(*run.net, path, *run.loader, 8, run.tape);
  const double loss = Evaluate(*run.net, path, *run.test_loader, false, 0, run.tape).loss;
  RecalibrateBatchNorm(*run.net, path, *run.test_loader, 1, run.tape);
  run.loader->Seek(0);
  RecalibrateBatchNorm(*run.net, path, *run.loader, 8, run.tape);
  EXPECT_EQ(Evaluate(*run.net, path, *run.test_loader, false, 0, run.tape).loss, loss);
}

// A linear classifier of pixels on the same data, by the same optimiser; returns test accuracy.
double LinearAccuracy(int epochs) {
  Session run(kSmall, 8000, 2000, 2, 64);
  Parameter weight("weight", Shape(3072, 10)), bias("bias", Shape(10));
  engine::Sgd sgd({&weight, &bias}, {});
  const auto logits = [&](const Batch& batch) {
    run.tape.Reset();
    const Var x = run.tape.Alias(Shape(batch.shape.dim[0], 3072), batch.images);
    return engine::AddChannels(run.tape, engine::Matmul(run.tape, x, run.tape.Leaf(weight)),
                               run.tape.Leaf(bias));
  };
  Loader::Options plain;
  plain.indices = FirstIndices(8000);
  Loader train(*run.data.train, run.data.mean, run.data.stddev, plain);
  double best = 0;
  for (int epoch = 0; epoch < epochs; ++epoch) {
    for (int i = 0; i < train.batches_per_epoch(); ++i) {
      const Batch batch = train.Next();
      const Var loss = engine::CrossEntropy(run.tape, logits(batch), batch.labels);
      sgd.ZeroGrad();
      run.tape.Backward(loss);
      sgd.Step(0.001f, run.pool);
    }
    int correct = 0;
    run.test_loader->Seek(0);
    for (int i = 0; i < run.test_loader->batches_per_epoch(); ++i) {
      const Batch batch = run.test_loader->Next();
      const float* row = run.tape.value(logits(batch));
      for (int j = 0; j < batch.shape.dim[0]; ++j, row += 10) {
        correct += std::max_element(row, row + 10) - row == batch.labels[j] ? 1 : 0;
      }
    }
    best = std::max(best, correct / 2000.0);
  }
  return best;
}

TEST(SlowNnTrain, SynthIsHardForALinearModelAndEasyForANetwork) {
  const double linear = LinearAccuracy(10);
  EXPECT_LT(linear, 0.6);
  EXPECT_GT(linear, 0.1);
  Session run("tiny:k3_e3,k3_e3,k3_e3,k3_e3,k3_e3,k3_e3", 8000, 2000, 2, 64);
  engine::Schedule schedule;
  schedule.total = 8 * run.loader->batches_per_epoch();
  schedule.warmup = 20;
  for (int64_t i = 0; i < schedule.total; ++i) run.Step(schedule.At(i));
  const double network =
      Evaluate(*run.net, run.network.genotype, *run.test_loader, false, 0, run.tape).accuracy;
  EXPECT_GT(network, 0.95);
  std::printf("synth: linear %.3f, network %.4f\n", linear, network);
}

}  // namespace
}  // namespace rhnas::nn
