// rhnas export: a network as files that other tools read.
#include <algorithm>
#include <filesystem>
#include <system_error>
#include <thread>

#include "engine/archive.h"
#include "hw/json.h"
#include "nn/nasbench201.h"
#include "nn/npy.h"
#include "nn/onnx_export.h"
#include "search/arguments.h"
#include "search/c_report.h"
#include "search/command.h"
#include "search/export_vta.h"
#include "search/layers.h"
#include "search/quantized.h"
#include "search/report_text.h"
#include "search/run_folder.h"
#include "search/signals.h"
#include "search/suggest.h"
#include "search/trained.h"
#include "search/version.h"

namespace rhnas::search {

using engine::Format;
using engine::Result;
using engine::Status;
namespace fs = std::filesystem;

namespace {

// Where each format goes by default, in or beside the run; a folder where there is no dot.
struct ExportFormat {
  const char* name;
  const char* file;
  const char* int8_file;
};
constexpr ExportFormat kFormats[] = {
    {"onnx", "model.onnx", "model-int8.onnx"},
    {"safetensors", "model.safetensors", "model-int8.safetensors"},
    {"npy", "npy", "npy-int8"},
    {"vta", "vta", "vta-int8"},
    {"c", "c", "c"},
};

bool IsFolder(const std::string& path) {
  std::error_code error;
  return fs::is_directory(fs::path(path), error);
}

class ExportCommand : public Command {
 public:
  const char* name() const override { return "export"; }
  const char* summary() const override { return "a network as ONNX, weights, VTA programs or C"; }
  const char* usage() const override {
    return "onnx | safetensors | npy | vta | c RUN [--int8] [--out FILE|DIR] [FLAGS]";
  }
  const char* notes() const override {
    return "RUN: a run folder (its best weights, else its last) or a weights file.\n\n"
           "onnx         opset 13, batch norm folded. Input image: float [N, C, H, W], normalised "
           "with the mean\n"
           "             and stddev of the metadata; output logits. With --int8 "
           "quantize-dequantize nodes that\n"
           "             compute what the accelerator does.\n"
           "safetensors  NAME/filter [out, in, rows, columns] and NAME/bias, batch norm folded; "
           "--unfolded: as\n"
           "             trained. With --int8 integers, shifts and exponents in the metadata.\n"
           "npy          the same, a file a tensor, and tensors.json.\n"
           "vta          vta_config.json, with vta_target.json as VTA's configuration tool takes "
           "it, and the\n"
           "             program of each layer (docs/PROGRAMS.md); with --int8 its weights as they "
           "lie in DRAM.\n"
           "c            with --int8: C99 without malloc, one static arena; NAME.c, NAME.h, "
           "NAME_weights.h, an\n"
           "             example that checks itself, here and on a bare Cortex-M, and a Makefile. "
           "Prints the flash\n"
           "             and RAM that it needs.\n\n"
           "Without a run, --network gives a network whose weights are random.\n"
           "JSON keys: format, network, source, int8, out, files (name, bytes), bytes; c: memory.";
  }
  const char* examples() const override {
    return "  rhnas export onnx runs/train-s1 --out resnet20.onnx\n"
           "  rhnas export c runs/train-s1 --int8 --out resnet20-c\n"
           "  rhnas export vta --network mobilenet_v2_cifar --hw default --out mobilenet-vta";
  }

  void Declare(FlagSet* flags) override {
    flags->Positional("FORMAT [RUN]", &words_);
    flags->Group("What");
    flags->Text("run", "RUN", &run_, "run folder or weights file; RUN after FORMAT says the same");
    flags->Switch("int8", &int8_, "integers as the accelerator computes (rhnas eval --int8)");
    flags->Text("data", "DIR", &data_,
                "--int8, the first time: training images; default: where the run found them");
    flags->Switch("unfolded", &unfolded_, "safetensors, npy: batch norm's parameters apart");
    flags->Text("out", "FILE|DIR", &out_,
                "file (onnx, safetensors) or folder to write; default: in the run folder");
    flags->Text("c-name", "NAME", &c_.name,
                "c: what its files and functions are called; default: from the network");
    flags->Group("Without a run");
    network_.Declare(flags, /*sized_by_data=*/false);
    flags->Int64("seed", &seed_, "seed of the random weights");
    flags->Group("VTA");
    flags->Text("hw", "NAME|FILE", &hw_,
                "vta: accelerator, a preset or a vta_config.json; default: the run's, else "
                "\"default\"");
    flags->Choice("isa", &isa_, {"auto", "stock", "extended"},
                  "vta: instruction set; auto: stock for layers that need nothing else");
  }

  int Run(FlagSet* flags, const std::vector<std::string>& /*words*/, Console* console) override {
    std::string why;
    if (!Understand(*flags, &why)) return console->Fail(kExitUsage, why);
    IgnoreWriteSignals();
    int exit_code = kExitFailure;
    Status status = LoadNetwork(console, &exit_code);
    if (status.ok() && int8_) status = LoadIntegers(console);
    if (!status.ok()) return console->Fail(exit_code, status.message());
    const Argument<std::vector<nn::ExportFile>> files = MakeFiles();
    if (!files.value.ok()) return console->Fail(files.exit_code, files.value.status().message());
    status = Write(*files.value);
    if (!status.ok()) return console->Fail(status);
    Report(*files.value, console);
    return kExitOk;
  }

 private:
  // False: wrong use.
  bool Understand(const FlagSet& flags, std::string* why) {
    std::vector<std::string> names;
    for (const ExportFormat& format : kFormats) names.push_back(format.name);
    if (words_.empty()) {
      *why = "expected a format: " + JoinWords(names);
      return false;
    }
    for (const ExportFormat& format : kFormats) {
      if (words_[0] == format.name) format_ = &format;
    }
    if (format_ == nullptr) {
      *why = UnknownWord("format", words_[0], names);
      return false;
    }
    if (words_.size() > 2 || (words_.size() == 2 && !run_.empty())) {
      *why = "expected one run after the format, found \"" + words_.back() + "\" too";
      return false;
    }
    if (words_.size() == 2) run_ = words_[1];
    if (run_.empty() == network_.text.empty()) {
      *why = run_.empty() ? "what to export? Give a run folder, a weights file or --network"
                          : "a run has its own network: leave out --network";
      return false;
    }
    const bool weights = Is("safetensors") || Is("npy");
    if (unfolded_ && (!weights || int8_)) {
      *why = "--unfolded goes with safetensors and npy, and not with --int8";
      return false;
    }
    if (!Is("vta") && (flags.given("hw") || flags.given("isa"))) {
      *why = "--hw and --isa go with the format vta";
      return false;
    }
    if (flags.given("data") && !int8_) {
      *why = "--data goes with --int8: images that ranges are taken on";
      return false;
    }
    if (Is("c") && !int8_) {
      *why = "C code computes in integers: add --int8";
      return false;
    }
    if (!Is("c") && flags.given("c-name")) {
      *why = "--c-name goes with the format c";
      return false;
    }
    if (int8_ && run_.empty()) {
      *why = "--int8 needs a trained network: a run folder or a weights file";
      return false;
    }
    return true;
  }

  bool Is(const char* format) const { return std::string(format_->name) == format; }
  bool ToFolder() const { return std::string(format_->file).find('.') == std::string::npos; }

  Status LoadNetwork(Console* console, int* exit_code) {
    if (!run_.empty()) {
      Result<TrainedNetwork> trained = LoadTrained(run_);
      if (!trained.ok()) return trained.status();
      trained_ = std::move(*trained);
      if (!trained_.note.empty()) console->Note("rhnas export: " + trained_.note);
    } else {
      const Argument<nn::Network> network = ResolveNetwork(network_);
      Status status = network.value.status();
      if (status.ok()) status = nn::CheckTrainable(network.value->space);
      if (!status.ok()) {
        *exit_code = network.value.ok() ? kExitUsage : network.exit_code;
        return status;
      }
      trained_.network = *network.value;
      trained_.net = std::make_unique<nn::Supernet>(OnlyThis(*network.value), engine::Rng(seed_));
      if (!Is("vta")) console->Note("rhnas export: the weights are random, nothing is trained");
    }
    name_ = nn::ToText(trained_.network.space, trained_.network.genotype);
    graph_ = nn::MakeGraph(*trained_.net, trained_.path);
    graph_.name = name_;
    return Status::Ok();
  }

  Status LoadIntegers(Console* console) {
    Int8Options options;
    options.data_dir = data_;
    engine::ThreadPool pool(static_cast<int>(std::max(1u, std::thread::hardware_concurrency())));
    Result<Int8Network> integers = LoadOrQuantize(run_, &trained_, options, pool);
    if (!integers.ok()) return integers.status();
    if (!integers->from_file) {
      console->Note(Format("rhnas export: quantised on %d training images, kept in %s",
                           integers->calibration, integers->file.c_str()));
    }
    integers_ = std::move(integers->graph);
    return Status::Ok();
  }

  Argument<std::vector<nn::ExportFile>> MakeFiles() {
    std::vector<nn::ExportFile> files;
    if (Is("onnx")) {
      const nn::OnnxInfo info = {kVersion, trained_.mean, trained_.stddev};
      Result<std::string> model = int8_ ? nn::ToOnnx(integers_, info) : nn::ToOnnx(graph_, info);
      if (!model.ok()) return {model.status(), kExitFailure};
      files.push_back({"", std::move(*model)});
    } else if (Is("c")) {
      c_.origin = std::string("rhnas ") + kVersion + " from " + trained_.source;
      return {nn::ExportC(integers_, c_, &c_report_), kExitFailure};
    } else if (Is("vta")) {
      std::string hw = hw_;
      if (hw.empty()) {
        std::error_code error;
        const std::string own = run_ + "/" + RunFolder::kHardware;
        hw = !run_.empty() && fs::is_regular_file(fs::path(own), error) ? own : "default";
      }
      const Argument<hw::Config> config = ResolveHardware(hw, 0);
      if (!config.value.ok()) return {config.value.status(), config.exit_code};
      return {ExportVta(ToHardwareLayers(nn::LayersOf(graph_)), *config.value, isa_,
                        int8_ ? &integers_ : nullptr),
              kExitFailure};
    } else {
      const std::vector<nn::ExportTensor> tensors =
          int8_       ? nn::TensorsOf(integers_)
          : unfolded_ ? nn::TensorsOf(*trained_.net, trained_.path)
                      : nn::TensorsOf(graph_);
      nn::ExportMetadata metadata = {{"producer", std::string("rhnas ") + kVersion},
                                     {"network", name_}};
      if (int8_) {
        const nn::ExportMetadata more = nn::MetadataOf(integers_);
        metadata.insert(metadata.end(), more.begin(), more.end());
      }
      if (Is("npy")) return {nn::ToNpyFiles(tensors, metadata), kExitOk};
      files.push_back({"", nn::ToSafetensors(tensors, metadata)});
    }
    return {files, kExitOk};
  }

  // Everything goes to --out; a list of files is written last.
  Status Write(const std::vector<nn::ExportFile>& files) {
    if (out_.empty()) {
      const std::string folder =
          run_.empty() ? std::string()
                       : (IsFolder(run_) ? fs::path(run_) : fs::path(run_).parent_path()).string();
      out_ = (folder.empty() ? "" : folder + "/") + (int8_ ? format_->int8_file : format_->file);
    }
    if (!ToFolder()) {
      if (Status status = engine::CheckOutput(out_, trained_.source); !status.ok()) return status;
      return engine::WriteFileAtomically(out_, files[0].bytes);
    }
    for (const nn::ExportFile& file : files) {
      const fs::path path = fs::path(out_) / file.name;
      std::error_code error;
      fs::create_directories(path.parent_path(), error);
      if (error) {
        return Status::Error("%s: cannot make this folder: %s", path.parent_path().c_str(),
                             error.message().c_str());
      }
      if (Status s = engine::WriteFileAtomically(path.string(), file.bytes); !s.ok()) return s;
    }
    return Status::Ok();
  }

  void Report(const std::vector<nn::ExportFile>& files, Console* console) const {
    int64_t bytes = 0;
    for (const nn::ExportFile& file : files) bytes += static_cast<int64_t>(file.bytes.size());
    if (console->json()) {
      hw::JsonWriter json;
      json.BeginObject().Key("format").String(format_->name).Key("network").String(name_);
      json.Key("source").String(trained_.source).Key("int8").Bool(int8_).Key("out").String(out_);
      json.Key("files").BeginArray();
      for (const nn::ExportFile& file : files) {
        json.BeginObject().Key("name").String(file.name.empty() ? out_ : out_ + "/" + file.name);
        json.Key("bytes").Int(static_cast<int64_t>(file.bytes.size())).EndObject();
      }
      json.EndArray().Key("bytes").Int(bytes);
      if (Is("c")) AddCReport(c_report_, &json);
      json.EndObject();
      console->Print(json.text() + "\n");
      return;
    }
    std::string text = "network      " + name_ + "\n";
    if (!trained_.source.empty()) text += "weights      " + trained_.source + "\n";
    text += Format("wrote        %s%s, %s bytes\n", out_.c_str(),
                   ToFolder() ? Format(": %d files", static_cast<int>(files.size())).c_str() : "",
                   Grouped(bytes).c_str());
    if (Is("c")) text += CReportText(c_report_);
    console->Print(text);
  }

  std::vector<std::string> words_;
  std::string run_, out_, hw_, data_, isa_ = "auto";
  bool int8_ = false, unfolded_ = false;
  NetworkArgument network_;
  uint64_t seed_ = 1;
  const ExportFormat* format_ = nullptr;

  std::string name_;
  TrainedNetwork trained_;
  nn::Graph graph_;
  nn::IntGraph integers_;
  nn::CExportOptions c_;
  nn::CReport c_report_;
};

}  // namespace

std::unique_ptr<Command> MakeExportCommand() { return std::make_unique<ExportCommand>(); }

}  // namespace rhnas::search
