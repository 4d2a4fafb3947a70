// Philox4x32-10 and what is drawn from it. See random.h.
#include "engine/random.h"

#include <cmath>

#include "engine/check.h"
#include "engine/math.h"

namespace rhnas::engine {

namespace {

// Salmon et al. 2011: the multipliers of section 3.2 and the Weyl constants (golden ratio,
// sqrt(3) - 1) that bump the key between rounds.
constexpr uint32_t kMultiplier0 = 0xD2511F53, kMultiplier1 = 0xCD9E8D57;
constexpr uint32_t kWeyl0 = 0x9E3779B9, kWeyl1 = 0xBB67AE85;
constexpr int kRounds = 10;

// Keeps the blocks that name split streams apart from those that are drawn: "splt" in ASCII.
constexpr uint32_t kSplitDomain = 0x73706c74;

uint32_t Low(uint64_t x) { return static_cast<uint32_t>(x); }
uint32_t High(uint64_t x) { return static_cast<uint32_t>(x >> 32); }

}  // namespace

void Philox4x32(const uint32_t key[2], const uint32_t counter[4], uint32_t out[4]) {
  uint32_t c[4] = {counter[0], counter[1], counter[2], counter[3]};
  uint32_t k0 = key[0], k1 = key[1];
  for (int round = 0; round < kRounds; ++round) {
    const uint64_t p0 = uint64_t{kMultiplier0} * c[0];
    const uint64_t p1 = uint64_t{kMultiplier1} * c[2];
    const uint32_t next[4] = {High(p1) ^ c[1] ^ k0, Low(p1), High(p0) ^ c[3] ^ k1, Low(p0)};
    for (int i = 0; i < 4; ++i) c[i] = next[i];
    k0 += kWeyl0;
    k1 += kWeyl1;
  }
  for (int i = 0; i < 4; ++i) out[i] = c[i];
}

// The key is the seed; the upper half of the counter is the stream, the lower half the number of
// the next block; position 4 means that no drawn word is left.
Rng::Rng(uint64_t seed, uint64_t stream)
    : state_{{Low(seed), High(seed)}, {0, 0, Low(stream), High(stream)}, 4, 0}, block_{} {}

Rng Rng::Split(uint64_t label) const {
  const uint32_t key[2] = {state_.key[0], state_.key[1] ^ kSplitDomain};
  const uint32_t counter[4] = {Low(label), High(label), state_.counter[2], state_.counter[3]};
  uint32_t out[4];
  Philox4x32(key, counter, out);
  return Rng(uint64_t{out[1]} << 32 | out[0], uint64_t{out[3]} << 32 | out[2]);
}

void Rng::Refill() {
  Philox4x32(state_.key, state_.counter, block_);
  if (++state_.counter[0] == 0) ++state_.counter[1];
  state_.position = 0;
}

uint32_t Rng::NextU32() {
  if (state_.position >= 4) Refill();
  return block_[state_.position++];
}

uint64_t Rng::NextU64() {
  const uint64_t low = NextU32();
  return uint64_t{NextU32()} << 32 | low;
}

float Rng::Uniform() { return static_cast<float>(NextU32() >> 8) * 0x1p-24f; }

uint32_t Rng::Below(uint32_t n) {
  RHNAS_CHECK(n > 0, "a number below %u", n);
  // Numbers below 2^32 mod n are one too many for an even share (Lemire 2019, section 4).
  const uint32_t threshold = (0u - n) % n;
  for (;;) {
    const uint64_t product = uint64_t{NextU32()} * n;
    if (Low(product) >= threshold) return High(product);
  }
}

float Rng::Normal() {
  // In (0, 1], so that the logarithm is finite.
  const float u = (static_cast<float>(NextU32() >> 8) + 1.0f) * 0x1p-24f;
  const float turns = Uniform();
  return std::sqrt(-2.0f * Log(u)) * CosTurns(turns);
}

float Rng::Gumbel() {
  // The middles of 2^23 equal cells: exact in float, never 0 or 1.
  const float u = (static_cast<float>(NextU32() >> 9) + 0.5f) * 0x1p-23f;
  return -Log(-Log(u));
}

void Rng::Permutation(int n, int* order) {
  for (int i = 0; i < n; ++i) order[i] = i;
  for (int i = n - 1; i > 0; --i) {
    const int j = static_cast<int>(Below(static_cast<uint32_t>(i) + 1));
    const int swap = order[i];
    order[i] = order[j];
    order[j] = swap;
  }
}

Rng::State Rng::state() const { return state_; }

void Rng::set_state(const State& state) {
  state_ = state;
  if (state_.position >= 4) {
    state_.position = 4;
    return;
  }
  // Draw again the block that was being handed out: the one before the counter.
  if (state_.counter[0]-- == 0) --state_.counter[1];
  const uint32_t position = state_.position;
  Refill();
  state_.position = position;
}

}  // namespace rhnas::engine
