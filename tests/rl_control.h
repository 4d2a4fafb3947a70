// The classic control problems of the benches and tests: CartPole-v1 and Acrobot-v1, with the
// equations of motion of their papers and the constants, time steps, limits and rewards of
// Gymnasium (gymnasium/envs/classic_control/cartpole.py and acrobot.py), so that published scores
// apply.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "rl/environment.h"

namespace rhnas::rl {

// A pole on a cart that is pushed left or right (Barto, Sutton and Anderson 1983), Euler steps of
// 0.02 s. Reward 1 a step, at most 500 steps; "solved" at a mean return of 475.
class CartPole : public Environment {
 public:
  static constexpr int kMaxSteps = 500;
  const std::vector<int>& action_sizes() const override { return sizes_; }
  int observation_size() const override { return 4; }
  void Reset(engine::Rng& rng) override {
    for (double& x : state_) x = 0.1 * static_cast<double>(rng.Uniform()) - 0.05;
    steps_ = 0;
  }
  void Observe(float* observation) const override {
    for (int i = 0; i < 4; ++i) observation[i] = static_cast<float>(state_[i]);
  }
  StepResult Act(const int* action, engine::Rng& /*rng*/) override {
    constexpr double kGravity = 9.8, kPoleMass = 0.1, kTotalMass = 1.1, kHalfLength = 0.5;
    constexpr double kForce = 10, kSeconds = 0.02, kMaxPosition = 2.4;
    constexpr double kMaxAngle = 12 * 2 * 3.14159265358979323846 / 360;
    const double force = action[0] == 1 ? kForce : -kForce;
    const double sine = std::sin(state_[2]), cosine = std::cos(state_[2]);
    const double swing =
        (force + kPoleMass * kHalfLength * state_[3] * state_[3] * sine) / kTotalMass;
    const double angular = (kGravity * sine - cosine * swing) /
                           (kHalfLength * (4.0 / 3.0 - kPoleMass * cosine * cosine / kTotalMass));
    const double linear = swing - kPoleMass * kHalfLength * angular * cosine / kTotalMass;
    state_[0] += kSeconds * state_[1];
    state_[1] += kSeconds * linear;
    state_[2] += kSeconds * state_[3];
    state_[3] += kSeconds * angular;
    ++steps_;
    StepResult result;
    result.reward = 1;
    result.terminal = std::fabs(state_[0]) > kMaxPosition || std::fabs(state_[2]) > kMaxAngle;
    result.truncated = !result.terminal && steps_ >= kMaxSteps;
    return result;
  }

  // Position [m], its speed, angle from upright [rad], its speed.
  const double* position() const { return state_; }
  void SetState(const double* state) {
    std::copy(state, state + 4, state_);
    steps_ = 0;
  }

 private:
  std::vector<int> sizes_ = {2};
  double state_[4] = {};
  int steps_ = 0;
};

// Two hanging links with a motor of torque -1, 0 or 1 in the joint between them (Sutton 1996; the
// equations of Sutton and Barto's book), to be swung up until the end is a link's length above the
// pivot. Runge-Kutta steps of 0.2 s. Reward -1 a step, 0 on the one that arrives, at most 500
// steps; threshold -100.
class Acrobot : public Environment {
 public:
  static constexpr int kMaxSteps = 500;
  const std::vector<int>& action_sizes() const override { return sizes_; }
  int observation_size() const override { return 6; }
  void Reset(engine::Rng& rng) override {
    for (double& x : state_) x = 0.2 * static_cast<double>(rng.Uniform()) - 0.1;
    steps_ = 0;
  }
  void Observe(float* observation) const override {
    for (int i = 0; i < 2; ++i) {
      observation[2 * i] = static_cast<float>(std::cos(state_[i]));
      observation[2 * i + 1] = static_cast<float>(std::sin(state_[i]));
      observation[4 + i] = static_cast<float>(state_[2 + i]);
    }
  }
  StepResult Act(const int* action, engine::Rng& /*rng*/) override {
    constexpr double kSeconds = 0.2, kPi = 3.14159265358979323846;
    const double torque = action[0] - 1;
    // Where the four slopes of a classic Runge-Kutta step are taken, and how much each counts.
    constexpr double kAt[4] = {0, 0.5, 0.5, 1}, kShare[4] = {1.0 / 6, 1.0 / 3, 1.0 / 3, 1.0 / 6};
    double slope[4] = {}, next[4];
    std::copy(state_, state_ + 4, next);
    for (int stage = 0; stage < 4; ++stage) {
      double at[4];
      for (int i = 0; i < 4; ++i) at[i] = state_[i] + kSeconds * kAt[stage] * slope[i];
      Slope(at, torque, slope);
      for (int i = 0; i < 4; ++i) next[i] += kSeconds * kShare[stage] * slope[i];
    }
    for (int i = 0; i < 2; ++i) {
      while (next[i] > kPi) next[i] -= 2 * kPi;
      while (next[i] < -kPi) next[i] += 2 * kPi;
    }
    state_[0] = next[0];
    state_[1] = next[1];
    state_[2] = std::clamp(next[2], -4 * kPi, 4 * kPi);
    state_[3] = std::clamp(next[3], -9 * kPi, 9 * kPi);
    ++steps_;
    StepResult result;
    result.terminal = -std::cos(state_[0]) - std::cos(state_[0] + state_[1]) > 1;
    result.reward = result.terminal ? 0 : -1;
    result.truncated = !result.terminal && steps_ >= kMaxSteps;
    return result;
  }

  // Kinetic and potential energy [J]: constant without torque.
  double Energy() const {
    const double mass = Coupled(state_[1]);
    return 0.5 * (3.5 + std::cos(state_[1])) * state_[2] * state_[2] +
           mass * state_[2] * state_[3] + 0.5 * kSecond * state_[3] * state_[3] -
           1.5 * kGravity * std::cos(state_[0]) - 0.5 * kGravity * std::cos(state_[0] + state_[1]);
  }
  // Angle of the first link from hanging [rad], of the second from the first, and their speeds.
  const double* angles() const { return state_; }
  void SetState(const double* state) {
    std::copy(state, state + 4, state_);
    steps_ = 0;
  }

 private:
  // Links of 1 kg and 1 m, centres of mass at 0.5 m, moments of inertia 1 kg m^2. The mass matrix
  // is {3.5 + cos(second angle), Coupled; Coupled, kSecond}.
  static constexpr double kGravity = 9.8, kSecond = 1.25;
  static double Coupled(double angle) { return 1.25 + 0.5 * std::cos(angle); }

  static void Slope(const double* state, double torque, double* slope) {
    const double first_speed = state[2], second_speed = state[3], sine = std::sin(state[1]);
    const double mass = 3.5 + std::cos(state[1]), coupled = Coupled(state[1]);
    const double weight = 0.5 * kGravity * std::sin(state[0] + state[1]);
    const double first_force = 0.5 * sine * second_speed * (second_speed + 2 * first_speed) -
                               1.5 * kGravity * std::sin(state[0]) - weight;
    const double second_force = torque - 0.5 * sine * first_speed * first_speed - weight;
    const double determinant = mass * kSecond - coupled * coupled;
    const double first = (kSecond * first_force - coupled * second_force) / determinant;
    const double second = (mass * second_force - coupled * first_force) / determinant;
    slope[0] = first_speed;
    slope[1] = second_speed;
    slope[2] = first;
    slope[3] = second;
  }

  std::vector<int> sizes_ = {3};
  double state_[4] = {};
  int steps_ = 0;
};

}  // namespace rhnas::rl
