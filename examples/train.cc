// Trains a network on images of one's own: grey stripes that stand or lie, under noise.
//   make && c++ -std=c++17 -O2 -I. examples/train.cc build/librhnas.a -pthread && ./a.out
#include <cstdio>

#include "nn/train.h"

namespace {

class Stripes : public rhnas::nn::DataSet {
 public:
  explicit Stripes(uint64_t seed) : seed_(seed) { h_ = w_ = 16, c_ = 1, classes_ = 2; }
  int size() const override { return 400; }
  int Get(int index, uint8_t* pixels) const override {
    rhnas::engine::Rng rng(seed_, static_cast<uint64_t>(index));
    const uint32_t label = rng.Below(2), phase = rng.Below(4);
    for (uint32_t i = 0; i < 256; ++i) {
      const bool dark = ((label == 0 ? i % 16 : i / 16) + phase) / 2 % 2 == 0;
      pixels[i] = static_cast<uint8_t>((dark ? 60 : 120) + rng.Below(80));
    }
    return static_cast<int>(label);
  }

 private:
  uint64_t seed_;
};

}  // namespace

int main() {
  using namespace rhnas;
  const Stripes seen(1), unseen(2);
  const auto network = nn::ParseNetwork("tiny@16x16x1,n2:k3_e3,skip,k3_e3,skip,k3_e3,skip");
  if (!network.ok()) return std::puts(network.status().message().c_str()), 1;
  nn::Supernet net(network->space, engine::Rng(1));
  engine::ThreadPool pool(0);
  engine::Tape tape(pool);
  engine::Sgd sgd(net.weights(network->genotype), {});
  const std::vector<int> all = nn::SplitIndices(400, {1.0}, 1)[0];
  nn::Loader images(seen, {0.5f}, {0.2f}, {all, 32, true, true, {}, 1});
  for (int step = 0; step < 60; ++step) {
    nn::WeightStep(net, network->genotype, images.Next(), sgd, {0.05f}, tape);
  }
  nn::Loader others(unseen, {0.5f}, {0.2f}, {all, 50, false, false, {}, 1});
  const nn::Evaluation test = nn::Evaluate(net, network->genotype, others, false, 0, tape);
  std::printf("60 steps, %.1f%% of %d unseen images\n", 100 * test.accuracy, test.images);
  return 0;
}
