// Weights files: what is saved is read back, from a network alone or from its place in a supernet;
// files that are not what they should be are told in a line.
#include "search/trained.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <limits>

#include "engine/archive.h"
#include "engine/threads.h"
#include "nn/inference.h"

namespace rhnas::search {
namespace {

namespace fs = std::filesystem;

class Trained : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = testing::TempDir() + "rhnas_trained_" +
           testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(dir_);
    fs::create_directories(dir_);
  }
  void TearDown() override { fs::remove_all(dir_); }
  std::string dir_;
};

nn::Network Parse(const std::string& text) {
  auto network = nn::ParseNetwork(text);
  EXPECT_TRUE(network.ok()) << network.status().message();
  return *network;
}

// Statistics that training would have moved.
void Stir(nn::Supernet& net, const nn::Genotype& path, uint64_t seed) {
  engine::Rng rng(seed);
  for (const nn::NamedBuffer& entry : net.statistics(path)) {
    for (int64_t i = 0; i < entry.buffer->size(); ++i) (*entry.buffer)[i] = 0.5f + rng.Uniform();
  }
}

std::vector<float> Logits(nn::Supernet& net, const nn::Genotype& path) {
  engine::ThreadPool pool(1);
  const nn::Space& space = net.space();
  std::vector<float> images(static_cast<size_t>(2 * space.h * space.w * space.c));
  engine::Rng rng(7);
  for (float& value : images) value = rng.Normal();
  std::vector<float> logits(static_cast<size_t>(2 * space.classes));
  nn::InferencePlan(net, path).Run(images.data(), 2, logits.data(), pool);
  return logits;
}

engine::Status Save(const std::string& path, const nn::Network& network, nn::Supernet& net) {
  const std::vector<float> mean(static_cast<size_t>(network.space.c), 0.4f);
  const std::vector<float> stddev(static_cast<size_t>(network.space.c), 0.25f);
  return SaveTrained(path, network, net, "synth", mean, stddev);
}

TEST_F(Trained, NetworkAloneIsReadBack) {
  for (const char* text :
       {"resnet20@16x16x1,n7", "tiny@16x16x3:k3_e3,k5_e1,skip,k3_e1_g2,k3_e6,k5_e3",
        "mobilenet_v2_cifar@16x16x3"}) {
    SCOPED_TRACE(text);
    const nn::Network network = Parse(text);
    nn::Supernet net(OnlyThis(network), engine::Rng(3));
    Stir(net, {}, 5);
    const std::string file = dir_ + "/last.weights";
    ASSERT_TRUE(Save(file, network, net).ok());
    auto read = LoadTrained(file);
    ASSERT_TRUE(read.ok()) << read.status().message();
    EXPECT_EQ(nn::ToText(read->network.space, read->network.genotype), text);
    EXPECT_EQ(read->dataset, "synth");
    EXPECT_EQ(read->source, file);
    EXPECT_EQ(read->mean.size(), static_cast<size_t>(network.space.c));
    EXPECT_EQ(read->stddev[0], 0.25f);
    EXPECT_EQ(read->note, "");
    EXPECT_EQ(Logits(*read->net, read->path), Logits(net, {}));
  }
}

// The same network trained in its place in the supernet.
TEST_F(Trained, ChosenNetworkOfASupernetIsReadBack) {
  const nn::Network network = Parse("tiny@16x16x3:k3_e3,k5_e1,skip,k3_e1_g2,k3_e6,k5_e3");
  nn::Supernet net(network.space, engine::Rng(3));
  Stir(net, network.genotype, 6);
  ASSERT_TRUE(Save(dir_ + "/a", network, net).ok());
  auto read = LoadTrained(dir_ + "/a");
  ASSERT_TRUE(read.ok()) << read.status().message();
  EXPECT_TRUE(read->path.choice.empty());
  EXPECT_EQ(Logits(*read->net, read->path), Logits(net, network.genotype));
}

TEST_F(Trained, FolderGivesBestBeforeLast) {
  const nn::Network network = Parse("resnet20@8x8x1");
  nn::Supernet net(network.space, engine::Rng(3));
  EXPECT_NE(LoadTrained(dir_).status().message().find("best.weights"), std::string::npos);
  ASSERT_TRUE(Save(dir_ + "/last.weights", network, net).ok());
  EXPECT_EQ(LoadTrained(dir_)->source, dir_ + "/last.weights");
  ASSERT_TRUE(Save(dir_ + "/best.weights", network, net).ok());
  EXPECT_EQ(LoadTrained(dir_)->source, dir_ + "/best.weights");
}

TEST_F(Trained, WrongFilesAreTold) {
  const auto told = [](const std::string& path, const std::string& what) {
    const auto read = LoadTrained(path);
    ASSERT_FALSE(read.ok()) << path;
    EXPECT_NE(read.status().message().find(what), std::string::npos) << read.status().message();
    EXPECT_EQ(read.status().message().find('\n'), std::string::npos);
  };
  told(dir_ + "/none", "no such file");
  ASSERT_TRUE(engine::WriteFileAtomically(dir_ + "/text", std::string(100, 'x')).ok());
  told(dir_ + "/text", "not a checkpoint");
  engine::ArchiveWriter checkpoint;
  checkpoint.Put("step", int64_t{3});
  ASSERT_TRUE(checkpoint.Save(dir_ + "/checkpoint").ok());
  told(dir_ + "/checkpoint", "expected trained weights");

  const nn::Network network = Parse("resnet20@8x8x1");
  nn::Supernet net(network.space, engine::Rng(3));
  net.weights()[4]->value[1] = std::numeric_limits<float>::quiet_NaN();
  ASSERT_TRUE(Save(dir_ + "/nan", network, net).ok());
  told(dir_ + "/nan", "not finite");
  nn::Supernet other(network.space, engine::Rng(3));
  // Weights of another size than the network that the file names.
  ASSERT_TRUE(Save(dir_ + "/size", Parse("resnet20@8x8x3"), other).ok());
  told(dir_ + "/size", "stem");
  ASSERT_TRUE(SaveTrained(dir_ + "/mean", network, other, "synth", {0.1f}, {0.0f}).ok());
  told(dir_ + "/mean", "deviations");

  // A damaged file: the one before is read, and that is said; without one it is an error.
  ASSERT_TRUE(Save(dir_ + "/twice", network, other).ok());
  ASSERT_TRUE(Save(dir_ + "/twice", network, other).ok());
  EXPECT_FALSE(fs::exists(dir_ + "/twice.prev")) << "weights of an earlier epoch";
  fs::copy_file(dir_ + "/twice", dir_ + "/twice.prev");
  std::string bytes = *engine::ReadFile(dir_ + "/twice");
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] + 1);
  ASSERT_TRUE(engine::WriteFileAtomically(dir_ + "/twice", bytes).ok());
  EXPECT_NE(LoadTrained(dir_ + "/twice")->note.find("damaged"), std::string::npos);
  ASSERT_TRUE(engine::WriteFileAtomically(dir_ + "/once", bytes).ok());
  told(dir_ + "/once", "once");
}

}  // namespace
}  // namespace rhnas::search
