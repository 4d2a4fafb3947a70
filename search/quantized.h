// The images that a trained network belongs to, and its int8 form: made on training images, kept
// beside the weights, so that evaluation and exports speak of the same integers.
//
// RUN/int8.weights (for a weights file: FILE.int8) is an integer network (nn/int_archive.h); it
// says which weights it was made from, and is not read for others.
#pragma once

#include <functional>
#include <string>

#include "engine/status.h"
#include "engine/threads.h"
#include "nn/data.h"
#include "nn/quantize.h"
#include "search/trained.h"

namespace rhnas::search {

constexpr char kInt8Weights[] = "int8.weights";
constexpr int kCalibrationImages = 256;

// The data set that a run or weights file was trained on: name from the weights, folder (unless
// given), sizes and seed from the run's config.json. Errors: a folder is needed and not known, data
// that cannot be read, images of another size than the network's.
struct RunDataOptions {
  std::string dir;    // empty: the run's
  int test_size = 0;  // use so many test images; 0: the run's
};
engine::Result<nn::DataPair> OpenRunData(const std::string& run, const TrainedNetwork& trained,
                                         const RunDataOptions& options = {});

// The network's graph, with mean and deviation of its images.
nn::Graph GraphOf(const TrainedNetwork& trained);

// `count` images spread evenly over the data set, as bytes.
std::vector<uint8_t> SpreadImages(const nn::DataSet& data, int count);

struct Int8Options {
  bool fresh = false;  // make it anew even where a file stands
  int calibration = kCalibrationImages;
  int finetune_epochs = 0;
  float finetune_rate = 0.01f;  // steps of an integer, at first; falls to 0 by a cosine
  std::string data_dir;         // as RunDataOptions::dir
  // Called after steps of fine-tuning; false: stop there, an error.
  std::function<bool(int64_t step, int64_t steps, double loss)> progress;
};

struct Int8Network {
  nn::IntGraph graph;
  std::string file;        // where it stands
  bool from_file = false;  // as found, not made now
  int calibration = 0, finetune_epochs = 0;
};

// Reads the int8 form of `run` (a run folder or a weights file, which `trained` was loaded from),
// or makes and saves it. Errors: as OpenRunData and nn::Quantize; a file that cannot be written.
engine::Result<Int8Network> LoadOrQuantize(const std::string& run, TrainedNetwork* trained,
                                           const Int8Options& options, engine::ThreadPool& pool);

}  // namespace rhnas::search
