// A network with its weights: what a run folder holds in best.weights and last.weights, and what is
// evaluated, quantised and exported.
//
// The file is an archive (engine/archive.h): "kind", "network" (text form, nn/space.h), "dataset",
// "mean" and "stddev" of its images, and the weights and running statistics of this network alone
// under "net/", by the names that they have in a supernet.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/status.h"
#include "nn/space.h"
#include "nn/supernet.h"

namespace rhnas::search {

// Names of the files in a run folder.
constexpr char kBestWeights[] = "best.weights";
constexpr char kLastWeights[] = "last.weights";

struct TrainedNetwork {
  nn::Network network;                // as the user knows it: a space and the choice of a network
  std::unique_ptr<nn::Supernet> net;  // of this network alone, weights and statistics loaded
  nn::Genotype path;                  // the only one of net->space(): nothing to choose
  std::string dataset;                // "cifar10"
  std::vector<float> mean, stddev;    // of its images, per channel, of bytes / 255
  std::string source;                 // the file read
  std::string note;                   // what the user should know of it, one line; empty: nothing
};

// The space that holds this network alone, so that no weights are made for candidates not chosen.
// A block is then named as in the supernet ("slot03/k3_e6"): its weights keep their names.
nn::Space OnlyThis(const nn::Network& network);

// `net` is a supernet of network.space or of OnlyThis(network); written atomically.
engine::Status SaveTrained(const std::string& path, const nn::Network& network, nn::Supernet& net,
                           const std::string& dataset, const std::vector<float>& mean,
                           const std::vector<float>& stddev);

// A weights file, or a run folder: its best.weights, else its last.weights. Errors: no such file,
// none in the folder, damaged, another kind of file, weights that do not fit or are not finite.
engine::Result<TrainedNetwork> LoadTrained(const std::string& folder_or_file);

}  // namespace rhnas::search
