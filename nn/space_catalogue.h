// The spaces and fixed networks as constant tables; nn/space.cc turns a row into a Space.
#pragma once

#include "nn/space.h"

namespace rhnas::nn {

// A block as it stands in a table.
struct BlockRow {
  const char* name;
  BlockKind kind;
  int kernel, expansion, groups;
};

// `repeats` slots in a row; only the first has the stride and the change of channels.
// channels 0: the number of classes.
struct StageRow {
  const char* role;  // null: searched, over the table's candidates
  BlockKind kind;    // of a stage with a role
  int kernel, expansion, channels, repeats, stride;
  bool head;     // the head convolution: takes part in SpaceOptions::head and width
  int pad = -1;  // of the convolution or pooling; -1: output of ceil(input / stride)
};

struct SpaceTable {
  const char* name;
  int resolution, channels, classes;
  engine::Activation activation;
  Shortcut shortcut;
  const BlockRow* candidates;  // null: a fixed network
  int candidate_count;
  const StageRow* stages;
  int stage_count;
  int min_resolution = 4;  // stages without padding need more
};

// A published network of a space: indices of candidates.
struct PublishedRow {
  const char* name;
  int imagenet_head;
  int choice[22];
};

const SpaceTable* SpaceTables(int* count);
const PublishedRow* PublishedNetworks(int* count);

}  // namespace rhnas::nn
