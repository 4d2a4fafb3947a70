// Autoregressive heads: the logits of head i depend on the choices of the heads before it, so the
// policy can say "a wide array only with small buffers", which independent heads cannot. A masked
// network (MADE: Germain et al., "Masked autoencoder for distribution estimation", ICML 2015) over
// one-hot choices: logits = trunk + D choices + V relu(trunk' + E choices), where D and E reach
// later heads only and V connects a head's units to its own logits. One pass gives the
// log-probabilities of a batch of whole actions; drawing goes head after head, by plain arithmetic.
//
// D and V start at 0: the start is that of independent heads.
#pragma once

#include <string>
#include <vector>

#include "engine/archive.h"
#include "rl/categorical.h"

namespace rhnas::rl {

class CausalHeads {
 public:
  static constexpr int kUnits = 16;  // hidden units a head

  CausalHeads(const HeadLayout& layout, engine::Rng& rng);

  // What the trunk gives for an observation: logits of all heads, then inputs of all units.
  int trunk_size() const { return layout_.total + layout_.heads() * kUnits; }

  // trunk [rows, trunk_size()], actions rows x heads -> logits [rows, layout.total], each head's
  // given the row's choices before it.
  engine::Var Logits(engine::Tape& tape, engine::Var trunk, int rows, const int32_t* actions);
  // The same of one head without a tape: trunk of one row, action[0, head) -> the head's logits.
  void HeadLogits(const float* trunk, int head, const int* action, float* logits) const;

  std::vector<engine::Parameter*> parameters() { return {&units_, &direct_, &out_}; }
  void Save(engine::ArchiveWriter& archive, const std::string& prefix) const;
  void Load(engine::ArchiveReader& archive, const std::string& prefix);

 private:
  HeadLayout layout_;
  std::vector<int> head_of_;  // of each choice
  // E [total, heads x units], D [total, total], V [heads x units, total]. Entries that connect what
  // must not be connected are multiplied by 0.
  engine::Parameter units_, direct_, out_;
  std::vector<float> units_mask_, direct_mask_, out_mask_;
};

}  // namespace rhnas::rl
