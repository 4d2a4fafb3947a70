// Random numbers that are the same on every machine: Philox4x32-10 (Salmon et al., "Parallel
// random numbers: as easy as 1, 2, 3", SC 2011), counter-based, so a stream is a key and a
// position and can be saved, restored and split without history.
//
// The std:: distributions differ between libraries; uniform, normal and Gumbel are our own.
#pragma once

#include <cstddef>
#include <cstdint>

namespace rhnas::engine {

// The bare generator: ten rounds on one 128-bit counter block under a 64-bit key.
void Philox4x32(const uint32_t key[2], const uint32_t counter[4], uint32_t out[4]);

class Rng {
 public:
  // Everything there is to save: 8 x 4 bytes, plain data.
  struct State {
    uint32_t key[2];
    uint32_t counter[4];
    uint32_t position;  // words of the current block already handed out, 0..4
    uint32_t reserved;
  };

  explicit Rng(uint64_t seed, uint64_t stream = 0);

  // An independent stream named by `label`: a pure function of this generator's key and stream,
  // not of how far it has run, so that splits do not depend on the order of draws.
  Rng Split(uint64_t label) const;

  uint32_t NextU32();
  uint64_t NextU64();
  // Uniform in [0, 1), 24 bits.
  float Uniform();
  // Uniform integer in [0, n), unbiased (rejection). REQUIRES: n > 0.
  uint32_t Below(uint32_t n);
  // Standard normal (Box-Muller; one value per call, the second is dropped to keep the state
  // small).
  float Normal();
  // Standard Gumbel, -log(-log(u)) with u in (0, 1): always finite.
  float Gumbel();
  // Fisher-Yates over 0..n-1 into `order`.
  void Permutation(int n, int* order);

  State state() const;
  void set_state(const State& state);

 private:
  void Refill();
  State state_;
  uint32_t block_[4];
};

}  // namespace rhnas::engine
