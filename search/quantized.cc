// See quantized.h.
#include "search/quantized.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>
#include <system_error>

#include "engine/archive.h"
#include "engine/hash.h"
#include "hw/json.h"
#include "nn/fine_tune.h"
#include "nn/inference.h"
#include "nn/int_archive.h"
#include "search/run_folder.h"
#include "search/search_flags.h"

namespace rhnas::search {

using engine::Format;
using engine::Result;
using engine::Status;
namespace fs = std::filesystem;

namespace {

bool IsFolder(const std::string& path) {
  std::error_code error;
  return fs::is_directory(fs::path(path), error);
}

// A number among a run's settings; what stands there otherwise is for the run's own reader to tell.
void TakeInt(const hw::Json& settings, const char* name, int* value) {
  const hw::Json* number = settings.Find(name);
  if (number != nullptr && number->integer && number->integer_value >= 0 &&
      number->integer_value <= INT32_MAX) {
    *value = static_cast<int>(number->integer_value);
  }
}

// Data folder, sizes and seed as the run was started with.
Status TakeSettings(const std::string& run, nn::DataOptions* data) {
  const std::string path = run + "/" + RunFolder::kConfig;
  std::error_code error;
  if (!IsFolder(run) || !fs::exists(fs::path(path), error)) return Status::Ok();
  const Result<std::string> text = engine::ReadFile(path);
  if (!text.ok()) return text.status();
  const hw::Result<hw::Json> json = hw::ParseJson(*text, path);
  if (!json.ok()) return Status::Error("%s", json.error().c_str());
  const hw::Json* settings = json->Find("settings");
  if (settings == nullptr) return Status::Ok();
  const hw::Json* dir = settings->Find("data");
  if (dir != nullptr && dir->type == hw::Json::Type::kString) data->dir = dir->string;
  TakeInt(*settings, "train-size", &data->train_size);
  TakeInt(*settings, "test-size", &data->test_size);
  const hw::Json* seed = settings->Find("seed");
  if (seed != nullptr && seed->integer) data->seed = static_cast<uint64_t>(seed->integer_value);
  return Status::Ok();
}

// Of all weights and statistics: tells one training from another.
std::string Fingerprint(TrainedNetwork* trained) {
  engine::Fnv1a hash;
  for (const engine::Parameter* weight : trained->net->weights()) {
    hash.Add(weight->value.data(), static_cast<size_t>(weight->value.size()) * sizeof(float));
  }
  for (const nn::NamedBuffer& entry : trained->net->statistics(trained->path)) {
    hash.Add(entry.buffer->data(), static_cast<size_t>(entry.buffer->size()) * sizeof(float));
  }
  return Format("weights %016llx", static_cast<unsigned long long>(hash.value()));
}

Status FineTune(const Int8Options& options, const TrainedNetwork& trained, const nn::DataPair& data,
                nn::IntGraph* graph, engine::ThreadPool& pool) {
  nn::Loader::Options how;
  for (int i = 0; i < data.train->size(); ++i) how.indices.push_back(i);
  how.batch = std::min(128, data.train->size());
  how.augmentation = nn::StandardAugmentation(trained.dataset, data.train->height());
  nn::Loader loader(*data.train, trained.mean, trained.stddev, how);
  const nn::InferencePlan teacher(*trained.net, trained.path);
  nn::FineTuner tuner(*graph, teacher, trained.mean, trained.stddev);
  engine::Schedule schedule;
  schedule.base = options.finetune_rate;
  schedule.total = int64_t{options.finetune_epochs} * loader.batches_per_epoch();
  engine::Tape tape(pool);
  for (int64_t step = 0; step < schedule.total; ++step) {
    const double loss = tuner.Step(loader.Next(), schedule.At(step), tape);
    if (!std::isfinite(loss)) {
      return Status::Error("fine-tuning diverged at step %lld of %lld: try a smaller rate than %g",
                           static_cast<long long>(step + 1), static_cast<long long>(schedule.total),
                           double{options.finetune_rate});
    }
    if (options.progress && !options.progress(step + 1, schedule.total, loss)) {
      return Status::Error("stopped at step %lld of %lld of fine-tuning; nothing was written",
                           static_cast<long long>(step + 1),
                           static_cast<long long>(schedule.total));
    }
  }
  *graph = tuner.Result();
  return Status::Ok();
}

}  // namespace

Result<nn::DataPair> OpenRunData(const std::string& run, const TrainedNetwork& trained,
                                 const RunDataOptions& options) {
  nn::DataOptions data;
  data.name = trained.dataset;
  if (Status status = TakeSettings(run, &data); !status.ok()) return status;
  if (!options.dir.empty()) data.dir = options.dir;
  if (options.test_size > 0) data.test_size = options.test_size;
  if (Status status = CheckDataFlags(data.name, data.dir); !status.ok()) return status;
  Result<nn::DataPair> pair = nn::OpenData(data);
  if (!pair.ok()) return pair;
  const nn::Space& space = trained.network.space;
  for (const nn::DataSet* set : {pair->train.get(), pair->test.get()}) {
    if (set->height() == space.h && set->width() == space.w && set->channels() == space.c &&
        set->classes() == space.classes) {
      continue;
    }
    return Status::Error("%s: images of %dx%dx%d in %d classes, %s takes %dx%dx%d in %d",
                         set->name().c_str(), set->height(), set->width(), set->channels(),
                         set->classes(), trained.source.c_str(), space.h, space.w, space.c,
                         space.classes);
  }
  return pair;
}

nn::Graph GraphOf(const TrainedNetwork& trained) {
  nn::Graph graph = nn::MakeGraph(*trained.net, trained.path);
  graph.name = trained.network.name;
  graph.mean = trained.mean;
  graph.stddev = trained.stddev;
  return graph;
}

std::vector<uint8_t> SpreadImages(const nn::DataSet& data, int count) {
  const size_t bytes = static_cast<size_t>(data.height() * data.width() * data.channels());
  count = std::min(count, data.size());
  std::vector<uint8_t> images(bytes * static_cast<size_t>(count));
  for (int i = 0; i < count; ++i) {
    const int index = static_cast<int>(int64_t{i} * data.size() / count);
    data.Get(index, images.data() + bytes * static_cast<size_t>(i));
  }
  return images;
}

Result<Int8Network> LoadOrQuantize(const std::string& run, TrainedNetwork* trained,
                                   const Int8Options& options, engine::ThreadPool& pool) {
  Int8Network result;
  result.file = IsFolder(run) ? run + "/" + kInt8Weights : run + ".int8";
  const std::string weights = Fingerprint(trained);
  std::error_code error;
  if (!options.fresh && fs::exists(fs::path(result.file), error)) {
    std::string origin;
    Result<nn::IntGraph> graph = nn::LoadIntGraph(result.file, &origin);
    if (!graph.ok()) {
      return Status::Error("%s; rhnas eval --int8 --fresh makes it anew",
                           graph.status().message().c_str());
    }
    if (origin.compare(0, weights.size(), weights) == 0) {
      const std::string how = origin.substr(weights.size());
      if (std::sscanf(how.c_str(), " calibration %d finetune %d", &result.calibration,
                      &result.finetune_epochs) != 2) {
        return Status::Error("%s: made by another version; rhnas eval --int8 --fresh makes it anew",
                             result.file.c_str());
      }
      result.graph = std::move(*graph);
      result.from_file = true;
      return result;
    }
  }
  RunDataOptions where;
  where.dir = options.data_dir;
  const Result<nn::DataPair> data = OpenRunData(run, *trained, where);
  if (!data.ok()) return data.status();
  const std::vector<uint8_t> images = SpreadImages(*data->train, options.calibration);
  result.calibration = std::min(options.calibration, data->train->size());
  result.finetune_epochs = options.finetune_epochs;
  Result<nn::IntGraph> graph = nn::Quantize(GraphOf(*trained), images.data(), result.calibration,
                                            nn::QuantizeOptions(), pool);
  if (!graph.ok()) return graph.status();
  if (options.finetune_epochs > 0) {
    if (Status status = FineTune(options, *trained, *data, &*graph, pool); !status.ok()) {
      return status;
    }
  }
  const std::string origin =
      weights + Format(" calibration %d finetune %d", result.calibration, result.finetune_epochs);
  if (Status status = nn::SaveIntGraph(result.file, *graph, origin); !status.ok()) return status;
  result.graph = std::move(*graph);
  return result;
}

}  // namespace rhnas::search
