// `synth`: procedural 32 x 32 colour images of ten shapes, made on the fly from a seed.
//
// A shape (disc, ring, square, frame, triangle, plus, bar, two discs, half disc, L) stands at a
// random place in a random size, rotation and colour, before a shaded background in another random
// colour, with strokes and dots of other colours behind and across it and noise over all. No pixel
// and no colour tells the class on its own, so a linear model stays low; a convolutional network
// that sees outlines gets nearly all (tests/nn_train_test.cc measures both).
//
// The images are the same on every machine: no library function but the square root is used.
#pragma once

#include "engine/random.h"
#include "nn/data.h"

namespace rhnas::nn {

class SynthDataSet : public DataSet {
 public:
  // part: 0 training, 1 test; the parts share no image.
  SynthDataSet(uint64_t seed, uint64_t part, int size);
  int size() const override { return size_; }
  int Get(int index, uint8_t* pixels) const override;

 private:
  engine::Rng rng_;
  int size_;
};

}  // namespace rhnas::nn
