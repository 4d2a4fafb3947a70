// Small problems with a known optimum for the tests and benches of the agents.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/archive.h"
#include "rl/agent.h"
#include "rl/environment.h"

namespace rhnas::rl {

// FNV-1a over everything an agent saves.
inline uint64_t Fingerprint(const Agent& agent, const std::string& path) {
  engine::ArchiveWriter writer;
  agent.Save(writer, "agent/");
  const engine::Status saved = writer.Save(path);
  if (!saved.ok()) return 0;
  const engine::Result<std::string> bytes = engine::ReadFile(path);
  if (!bytes.ok()) return 0;
  uint64_t hash = 14695981039346656037ull;
  for (char c : *bytes) hash = (hash ^ static_cast<uint8_t>(c)) * 1099511628211ull;
  return hash;
}

// A one-step multi-discrete problem, enumerated when made.
class OneStep : public Environment {
 public:
  explicit OneStep(std::vector<int> sizes, int observation = 0)
      : sizes_(std::move(sizes)), observation_(observation) {}

  const std::vector<int>& action_sizes() const override { return sizes_; }
  int observation_size() const override { return observation_; }
  void Reset(engine::Rng& /*rng*/) override {}
  // Constant, of order one: the summary of a network that does not change.
  void Observe(float* observation) const override {
    for (int i = 0; i < observation_; ++i) {
      observation[i] = i == 0 ? 1.0f : 0.3f * static_cast<float>(i % 4) - 0.4f;
    }
  }
  StepResult Act(const int* action, engine::Rng& /*rng*/) override {
    const size_t point = PointOf(action);
    ++steps_;
    if (valid_[point]) ++valid_steps_;
    if (valid_[point] && (valid_steps_ == 1 || reward_[point] > found_)) found_ = reward_[point];
    StepResult result;
    result.reward = reward_[point];
    result.valid = valid_[point];
    result.terminal = true;
    return result;
  }

  double RewardOf(const std::vector<int>& action) const { return reward_[PointOf(action.data())]; }
  size_t points() const { return reward_.size(); }
  size_t valid_points() const {
    return static_cast<size_t>(std::count(valid_.begin(), valid_.end(), true));
  }
  double best_reward() const {  // of the valid points
    double best = -1e9;
    for (size_t p = 0; p < points(); ++p) {
      if (valid_[p]) best = std::max(best, reward_[p]);
    }
    return best;
  }
  // Since the last ForgetCounts: steps, valid ones among them, best valid reward.
  int64_t steps() const { return steps_; }
  double share_valid() const {
    return static_cast<double>(valid_steps_) / static_cast<double>(steps_);
  }
  double found() const { return valid_steps_ > 0 ? found_ : -1e9; }
  void ForgetCounts() { steps_ = valid_steps_ = 0; }

 protected:
  size_t PointOf(const int* action) const {
    size_t point = 0;
    for (size_t h = 0; h < sizes_.size(); ++h) {
      point = point * static_cast<size_t>(sizes_[h]) + static_cast<size_t>(action[h]);
    }
    return point;
  }
  std::vector<int> ActionOf(size_t point) const {
    std::vector<int> action(sizes_.size());
    for (size_t h = sizes_.size(); h-- > 0;) {
      action[h] = static_cast<int>(point % static_cast<size_t>(sizes_[h]));
      point /= static_cast<size_t>(sizes_[h]);
    }
    return action;
  }
  size_t CountPoints() const {
    size_t count = 1;
    for (int size : sizes_) count *= static_cast<size_t>(size);
    return count;
  }

  std::vector<int> sizes_;
  std::vector<double> reward_;
  std::vector<bool> valid_;

 private:
  int observation_;
  int64_t steps_ = 0, valid_steps_ = 0;
  double found_ = 0;
};

// A given share of the points is invalid: those whose choices cost most in sum. Dear choices also
// tend to be good ones, so the optimum lies at the border. Invalid points are graded in [-4, -1] by
// how far the budget is missed, valid ones lie in [-1, 1.5].
class InvalidShare : public OneStep {
 public:
  InvalidShare(std::vector<int> sizes, double invalid_share, uint64_t seed)
      : OneStep(std::move(sizes)) {
    engine::Rng rng(seed);
    std::vector<std::vector<double>> price, gain;
    for (int size : sizes_) {
      price.emplace_back();
      gain.emplace_back();
      for (int i = 0; i < size; ++i) {
        price.back().push_back(static_cast<double>(rng.Uniform()));
        gain.back().push_back(price.back().back() + static_cast<double>(rng.Uniform()));
      }
    }
    std::vector<double> spent;
    for (size_t p = 0; p < CountPoints(); ++p) {
      const std::vector<int> action = ActionOf(p);
      double sum = 0, quality = 0;
      for (size_t h = 0; h < action.size(); ++h) {
        const size_t a = static_cast<size_t>(action[h]);
        sum += price[h][a];
        quality += gain[h][a];
        // Neighbouring heads interact.
        if (h > 0) quality += 0.5 * gain[h][a] * gain[h - 1][static_cast<size_t>(action[h - 1])];
      }
      spent.push_back(sum);
      reward_.push_back(quality);
    }
    std::vector<double> sorted = spent;
    std::sort(sorted.begin(), sorted.end());
    const size_t valid_count = std::max<size_t>(
        1, sorted.size() - static_cast<size_t>(invalid_share * static_cast<double>(sorted.size())));
    const double budget = sorted[valid_count - 1];
    const double worst = std::max(sorted.back() - budget, 1e-9);
    double low = 1e9, high = -1e9;
    for (double quality : reward_) {
      low = std::min(low, quality);
      high = std::max(high, quality);
    }
    for (size_t p = 0; p < reward_.size(); ++p) {
      valid_.push_back(spent[p] <= budget);
      reward_[p] = valid_[p] ? -1 + 2.5 * (reward_[p] - low) / (high - low)
                             : -1 - 3 * (spent[p] - budget) / worst;
    }
  }
};

// A synthetic accelerator in the shape of the real problem: log2 sizes of three buffers and of a
// B x I by I x O matrix unit, validity by sums of address widths that have to fit instruction
// fields, an area cap, and a product of latency and energy over some layers, compared with a
// reference design. 15,680 points.
class SyntheticAccelerator : public OneStep {
 public:
  // network: which of several layer lists; area_cap: relative to the reference, 0 for none.
  explicit SyntheticAccelerator(int network = 0, double area_cap = 0, int observation = 0)
      : OneStep({5, 7, 7, 4, 4, 4}, observation) {
    const double reference = Product(network, 0, 4, 4, 15, 18, 17);
    const double reference_area = Area(0, 4, 4, 15, 18, 17);
    for (size_t p = 0; p < CountPoints(); ++p) {
      const std::vector<int> x = ActionOf(p);
      const int b = x[0], i = x[1], o = x[2], inp = 15 + x[3], wgt = 15 + x[4], acc = 15 + x[5];
      double miss = Miss(b, i, o, inp, wgt, acc);
      if (miss == 0) ++encodable_;
      const double area = Area(b, i, o, inp, wgt, acc) / reference_area;
      if (area_cap > 0 && area > area_cap) miss += std::log2(area / area_cap);
      valid_.push_back(miss == 0);
      reward_.push_back(
          miss == 0
              ? std::max(-3.0, -std::log(Product(network, b, i, o, inp, wgt, acc) / reference))
              : -3 - std::min(miss, 8.0) / 8);
    }
  }
  int encodable() const { return encodable_; }  // points that only the area cap may reject

 private:
  static double Over(double have, double limit) { return std::max(0.0, have - limit); }
  // Bits missing, over the rules of an instruction set with 16-bit scratchpad addresses, a 64-bit
  // bus and 21-bit transfer tags.
  static double Miss(int b, int i, int o, int inp, int wgt, int acc) {
    const int di = inp - b - i, dw = wgt - i - o, da = acc - b - o - 2;
    double miss = Over(di + dw + da, 32) + Over(di + da, 22) + Over(1, i);
    miss += Over(di, 16) + Over(dw, 16) + Over(da, 16) + Over(1, di) + Over(1, dw) + Over(1, da);
    if (b + o > 3 && o < 3) miss += 3 - o;
    auto tag = [](int depth, int element_bits) {
      return element_bits > 6 ? depth + element_bits - 6 : depth + 2 * (6 - element_bits + 1);
    };
    return miss + Over(tag(di, b + i + 3), 21) + Over(tag(dw, i + o + 3), 21) +
           Over(tag(da, b + o + 5), 21);
  }
  static double Area(int b, int i, int o, int inp, int wgt, int acc) {
    return 280.0 * std::exp2(b + i + o) + 0.6 * (std::exp2(inp) + std::exp2(wgt) + std::exp2(acc));
  }
  static double Product(int network, int b, int i, int o, int inp, int wgt, int acc) {
    struct Layer {
      double pixels, c, k, taps;
    };
    static const std::vector<Layer> networks[2] = {{{1024, 3, 16, 9},
                                                    {1024, 16, 48, 1},
                                                    {256, 48, 24, 9},
                                                    {256, 24, 144, 1},
                                                    {64, 144, 40, 25},
                                                    {64, 40, 240, 1},
                                                    {16, 240, 112, 1},
                                                    {16, 112, 352, 9},
                                                    {1, 352, 100, 1}},
                                                   {{12544, 3, 24, 9},
                                                    {3136, 24, 72, 1},
                                                    {3136, 72, 32, 1},
                                                    {784, 192, 64, 1},
                                                    {196, 384, 112, 9},
                                                    {49, 1104, 352, 1},
                                                    {49, 352, 1504, 1},
                                                    {1, 1504, 1000, 1}}};
    const double rows = std::exp2(b), in = std::exp2(i), out = std::exp2(o);
    double cycles = 0, energy = 0;
    for (const Layer& l : networks[network]) {
      const double steps =
          std::ceil(l.pixels / rows) * std::ceil(l.c / in) * std::ceil(l.k / out) * l.taps;
      // Halves of the buffers hold a tile each while the other fills.
      const double k_tile = std::max(out, std::exp2(wgt - 1) / (l.c * l.taps));
      const double pixel_tile =
          std::max(rows, std::min(std::exp2(inp - 1) / l.c, std::exp2(acc - 3) / out));
      const double passes = std::ceil(l.k / k_tile), tiles = std::ceil(l.pixels / pixel_tile);
      const double bytes =
          l.pixels * l.c * passes + l.c * l.k * l.taps * (passes > 1 ? tiles : 1) + l.pixels * l.k;
      cycles += std::max(steps, bytes / 8) + 200 * passes * tiles;
      energy += steps * rows * in * out * 0.25 + bytes * 160 +
                steps * (in * rows * std::exp2(0.25 * (inp - 15)) * 1.5 +
                         in * out * std::exp2(0.25 * (wgt - 15)) * 0.4 +
                         rows * out * std::exp2(0.25 * (acc - 15)) * 4);
    }
    return cycles * energy;
  }
  int encodable_ = 0;
};

// Five choices, two forbidden, rewards 0 to 4 by choice; counts what was taken.
class MaskedBandit : public Environment {
 public:
  static constexpr uint8_t kMask[5] = {0, 1, 1, 0, 1};
  const std::vector<int>& action_sizes() const override { return sizes_; }
  void Reset(engine::Rng& /*rng*/) override {}
  bool Mask(uint8_t* mask) const override {
    std::copy(kMask, kMask + 5, mask);
    return true;
  }
  StepResult Act(const int* action, engine::Rng& /*rng*/) override {
    ++taken[action[0]];
    StepResult result;
    result.reward = action[0];
    result.terminal = true;
    return result;
  }
  int taken[5] = {};

 private:
  std::vector<int> sizes_ = {5};
};

}  // namespace rhnas::rl
