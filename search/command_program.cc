// rhnas program: a layer as a VTA program: written, listed, executed, timed.
#include <algorithm>

#include "engine/archive.h"
#include "hw/execute.h"
#include "hw/fnv.h"
#include "hw/json.h"
#include "hw/layer_text.h"
#include "hw/listing.h"
#include "hw/reference.h"
#include "hw/simulate.h"
#include "search/command.h"
#include "search/program_data.h"
#include "search/program_source.h"
#include "search/report_text.h"
#include "search/signals.h"

namespace rhnas::search {

using engine::Format;
using engine::Result;
using engine::Status;

namespace {

// What became of the program.
struct Outcome {
  bool executed = false, checked = false, timed = false;
  hw::ExecuteReport report;
  uint64_t output_hash = 0;
  int64_t output_values = 0;
  hw::SimulatedTime time;
  std::vector<std::string> written;
};

class ProgramCommand : public Command {
 public:
  const char* name() const override { return "program"; }
  const char* summary() const override { return "a layer as a VTA program: write, run, time it"; }
  const char* usage() const override {
    return "--layer LAYER [--hw NAME|FILE] [--tiling TILING] [--out FILE] | --run FILE [FLAGS]";
  }
  const char* notes() const override {
    return "A layer: \"conv 64x14x14 -> 64 k3 s1 p1\" (channels x height x width, outputs, filter, "
           "stride,\n"
           "padding; also gN groups, nN images, no-relu, no-bias), with conv, depthwise, dense, "
           "max-pool,\n"
           "avg-pool, global-pool, add, concat or shuffle; or \"conv c=64 h=14 w=14 k=64 r=3 s=3 "
           "stride=1\n"
           "pad=1 groups=1 n=1 relu=1 bias=1\"; or NETWORK:LAYER. A tiling: as rhnas cost "
           "--per-layer prints\n"
           "it, \"7x14 co2 ci1 vt2 ws\". File formats, data layouts and how to run a program on "
           "RTL: "
           "docs/PROGRAMS.md.\n"
           "Data given with --input, --residual, --weights, --bias are raw: signed bytes in the "
           "order\n"
           "image, channel, row, column (filters: output, input, row, column), biases 32-bit "
           "little-endian.\n"
           "JSON keys: title, layers, tiling, shift, isa, hw_name, instructions, micro_ops, "
           "counts, "
           "regions,\n"
           "tensors, and as asked: executed, checked, time, listing, written.";
  }
  const char* examples() const override {
    return "  rhnas program --layer \"conv 64x14x14 -> 64 k3 p1\" --hw rtl --out conv.vta\n"
           "  rhnas program --run conv.vta --check --time";
  }

  void Declare(FlagSet* flags) override {
    flags->Group("What");
    flags->Text("layer", "LAYER", &request_.layer, "the layer to make a program of");
    flags->Text("run", "FILE", &request_.file,
                "execute this program instead: a file of --out, or hex text with its micro-ops in "
                "FILE.uops (then --hw and --isa say for what)");
    flags->Text("hw", "NAME|FILE", &request_.hw,
                "accelerator: a preset, a vta_config.json or its run folder");
    flags->Text("tiling", "TILING", &request_.tiling, "tile sizes; empty: the best is searched");
    flags->Choice("isa", &request_.isa, {"auto", "stock", "extended"},
                  "instruction set; auto: stock if the layer and its tiling need nothing else");
    flags->Int("shift", &request_.shift, 0, 31, "how far sums are shifted right after the bias");
    flags->Group("Written");
    flags->Text("out", "FILE", &out_, "write the program here");
    flags->Switch("hex", &hex_,
                  "as hex text: an instruction a line, high and low word; micro-ops in FILE.uops");
    flags->Switch("text", &text_, "print the listing");
    flags->Text("dump", "PREFIX", &dump_,
                "write the regions of DRAM as the program finds and leaves them: PREFIX.inp, .wgt, "
                ".acc, and .out after the run");
    flags->Group("Run");
    flags->Switch("check", &check_, "execute and compare with an integer reference");
    flags->Switch("time", &time_, "simulate its time, cycle by cycle");
    flags->Choice("memory", &memory_, {"tsim", "pipelined"},
                  "tsim: latency paid when the queue was empty; pipelined: by each request");
    flags->Int("mem-latency", &latency_, 0, 10000, "cycles; 0: the accelerator's DPI_DELAY");
    flags->Choice("order", &order_, {"load", "compute", "store", "random"},
                  "which unit goes first where tokens allow several");
    flags->Int64("seed", &seed_, "of the random data, and of --order random");
    data_.Declare(flags);
    flags->Text("output", "FILE", &output_, "write the output here, raw as the input");
  }

  int Run(FlagSet* /*flags*/, const std::vector<std::string>& /*words*/,
          Console* console) override {
    if (request_.layer.empty() == request_.file.empty()) {
      return console->Fail(kExitUsage, request_.layer.empty()
                                           ? "--layer (what to make) or --run (a file) is needed"
                                           : "--layer makes a program, --run takes one: give one");
    }
    if (hex_ && out_.empty()) return console->Fail(kExitUsage, "--hex needs --out FILE");
    IgnoreWriteSignals();
    const Argument<LoadedProgram> loaded = LoadProgram(request_);
    if (!loaded.value.ok()) {
      return console->Fail(loaded.exit_code, loaded.value.status().message());
    }
    const LoadedProgram& program = *loaded.value;
    Outcome outcome;
    if (Executes()) {
      const Status status = ExecuteIt(program, &outcome);
      if (!status.ok()) return console->Fail(status);
    }
    if (time_) {
      const Status status = TimeIt(program.file.program, &outcome);
      if (!status.ok()) return console->Fail(status);
    }
    if (!out_.empty()) {
      const Status status = Write(program.file, &outcome);
      if (!status.ok()) return console->Fail(status);
    }
    if (!program.note.empty()) console->Note("rhnas program: " + program.note);
    console->Print(console->json() ? Json(program, outcome) : Text(program, outcome));
    return kExitOk;
  }

 private:
  bool Executes() const {
    const bool only_timed = time_ && !check_ && output_.empty() && dump_.empty();
    return check_ || !output_.empty() || !dump_.empty() ||
           (!request_.file.empty() && !only_timed && !text_ && out_.empty());
  }

  Status ExecuteIt(const LoadedProgram& program, Outcome* outcome) const {
    const hw::ProgramFile& file = program.file;
    if (file.program.uops.empty()) {
      return Status::Error("%s has no micro-ops: it can be timed (--time) and listed (--text) only",
                           request_.file.c_str());
    }
    if (!program.has_layout && (check_ || !output_.empty() || data_.any())) {
      return Status::Error(
          "%s does not say what layer it computes: --check, --output and data "
          "files need that",
          request_.file.c_str());
    }
    std::string why;
    if (!hw::FitsMemory(file.program, &why)) return Status::Error("%s", why.c_str());
    hw::DramImage image = hw::EmptyImage(file.program);
    hw::Operands operands;
    if (program.has_layout) {
      const Result<hw::Operands> data = data_.Load(file.layers, file.shift, seed_);
      if (!data.ok()) return data.status();
      operands = *data;
      if (!hw::PackOperands(program.lowered, operands, &image, &why)) {
        return Status::Error("%s", why.c_str());
      }
    } else {
      RandomImage(seed_, &image);
    }
    hw::ExecuteOptions options;
    options.seed = seed_;
    options.order = order_ == "load"      ? hw::ExecuteOptions::Order::kLoadFirst
                    : order_ == "compute" ? hw::ExecuteOptions::Order::kComputeFirst
                    : order_ == "store"   ? hw::ExecuteOptions::Order::kStoreFirst
                                          : hw::ExecuteOptions::Order::kRandom;
    const hw::Result<hw::ExecuteReport> report = hw::Execute(file.program, &image, options);
    if (!report.ok()) return Status::Error("%s", report.error().c_str());
    outcome->executed = true;
    outcome->report = *report;
    std::vector<int8_t> output;
    if (program.has_layout) {
      output = hw::UnpackOutput(program.lowered, image);
    } else {
      const std::vector<uint8_t>& region = image.region[4];
      output.assign(region.begin(), region.end());
    }
    hw::Fnv hash;
    hash.AddBytes(output.data(), output.size());
    outcome->output_hash = hash.value();
    outcome->output_values = static_cast<int64_t>(output.size());
    if (check_) {
      std::vector<int8_t> expected;
      if (!hw::Reference(file.layers, operands, file.shift, &expected, &why)) {
        return Status::Error("reference: %s", why.c_str());
      }
      const auto [have, need] =
          std::mismatch(output.begin(), output.end(), expected.begin(), expected.end());
      if (have != output.end() || need != expected.end()) {
        return Status::Error("output %td is %d, the integer reference says %d (seed %llu)",
                             have - output.begin(), have == output.end() ? 0 : *have,
                             need == expected.end() ? 0 : *need,
                             static_cast<unsigned long long>(seed_));
      }
      outcome->checked = true;
    }
    if (!output_.empty()) {
      const Status status = engine::WriteFileAtomically(output_, output.data(), output.size());
      if (!status.ok()) return status;
      outcome->written.push_back(output_);
    }
    static constexpr const char* kSuffixes[] = {"", ".wgt", ".inp", ".acc", ".out"};
    for (size_t i = 1; i < 5 && !dump_.empty(); ++i) {
      const std::string path = dump_ + kSuffixes[i];
      const Status status =
          engine::WriteFileAtomically(path, image.region[i].data(), image.region[i].size());
      if (!status.ok()) return status;
      outcome->written.push_back(path);
    }
    return Status::Ok();
  }

  Status TimeIt(const hw::Program& program, Outcome* outcome) const {
    hw::Config config = program.config;
    if (latency_ > 0) config.dpi_delay = latency_;
    const hw::MemoryModel memory =
        memory_ == "pipelined" ? hw::MemoryModel::kPipelined : hw::MemoryModel::kQueued;
    outcome->time = hw::Simulate(config, memory, program.instructions);
    if (!outcome->time.finished) return Status::Error("%s", outcome->time.why.c_str());
    outcome->timed = true;
    return Status::Ok();
  }

  Status Write(const hw::ProgramFile& file, Outcome* outcome) const {
    std::string bytes, uops, why;
    if (hex_ ? !hw::EncodeHex(file.program, &bytes, &uops, &why)
             : !hw::EncodeProgramFile(file, &bytes, &why)) {
      return Status::Error("%s: %s", out_.c_str(), why.c_str());
    }
    Status status = engine::WriteFileAtomically(out_, bytes);
    if (status.ok() && hex_) status = engine::WriteFileAtomically(out_ + ".uops", uops);
    if (!status.ok()) return status;
    outcome->written.push_back(out_);
    if (hex_) outcome->written.push_back(out_ + ".uops");
    return Status::Ok();
  }

  // Which resource is busy longest.
  static const char* BoundOf(const hw::SimulatedTime& time) {
    const int64_t busy[] = {time.read_beats, time.load_busy, time.compute_busy, time.store_busy};
    static constexpr const char* kNames[] = {"read bus", "load", "compute", "store"};
    return kNames[std::max_element(std::begin(busy), std::end(busy)) - std::begin(busy)];
  }

  std::string Text(const LoadedProgram& loaded, const Outcome& outcome) const {
    const hw::Program& program = loaded.file.program;
    if (text_) return hw::Listing(program);
    const hw::ProgramCounts counts = hw::CountProgram(program);
    std::string text = Format("program      %s\n", program.title.c_str());
    text += Format("accelerator  %s, %s instruction set\n", hw::ShortName(program.config).c_str(),
                   program.isa == hw::Isa::kStock ? "stock" : "extended");
    text += Format(
        "instructions %s: loads of inputs %s, weights %s, accumulators %s, micro-ops %s; "
        "resets %s, GEMM %s, ALU %s, stores %s, no-ops %s\n",
        Grouped(static_cast<int64_t>(program.instructions.size())).c_str(),
        Grouped(counts.loads[2]).c_str(), Grouped(counts.loads[1]).c_str(),
        Grouped(counts.loads[3]).c_str(), Grouped(counts.loads[0]).c_str(),
        Grouped(counts.resets).c_str(), Grouped(counts.gemms).c_str(), Grouped(counts.alus).c_str(),
        Grouped(counts.stores).c_str(), Grouped(counts.no_ops).c_str());
    text += Format("micro-ops    %s\n", Grouped(static_cast<int64_t>(program.uops.size())).c_str());
    for (const hw::DramTensor& tensor : program.tensors) {
      text +=
          Format("data         %-9s %s bytes at %s of region %s, %s\n", tensor.name.c_str(),
                 Grouped(tensor.elements * hw::ElementBytes(program.config, tensor.memory)).c_str(),
                 Grouped(tensor.offset * hw::ElementBytes(program.config, tensor.memory)).c_str(),
                 RegionName(static_cast<size_t>(tensor.memory)), tensor.layout.c_str());
    }
    if (outcome.executed) {
      text += Format("executed     %s output values, FNV-1a %016llx (seed %llu)%s\n",
                     Grouped(outcome.output_values).c_str(),
                     static_cast<unsigned long long>(outcome.output_hash),
                     static_cast<unsigned long long>(seed_),
                     outcome.checked ? ", equal to the integer reference" : "");
    }
    if (outcome.timed) {
      const hw::SimulatedTime& t = outcome.time;
      text += Format(
          "time         %s cycles; busy: load %s, compute %s, store %s, read bus %s; "
          "bound by %s\n",
          Grouped(t.cycles).c_str(), Grouped(t.load_busy).c_str(), Grouped(t.compute_busy).c_str(),
          Grouped(t.store_busy).c_str(), Grouped(t.read_beats).c_str(), BoundOf(t));
    }
    for (const std::string& path : outcome.written) text += "wrote        " + path + "\n";
    return text;
  }

  std::string Json(const LoadedProgram& loaded, const Outcome& outcome) const {
    const hw::Program& program = loaded.file.program;
    const hw::ProgramCounts counts = hw::CountProgram(program);
    hw::JsonWriter json;
    json.BeginObject();
    json.Key("title").String(program.title);
    json.Key("layers").String(loaded.file.layers.empty() ? "" : hw::ChainText(loaded.file.layers));
    json.Key("tiling").String(loaded.file.tiling);
    json.Key("shift").Int(loaded.file.shift);
    json.Key("isa").String(program.isa == hw::Isa::kStock ? "stock" : "extended");
    json.Key("hw_name").String(hw::ShortName(program.config));
    json.Key("instructions").Int(static_cast<int64_t>(program.instructions.size()));
    json.Key("micro_ops").Int(static_cast<int64_t>(program.uops.size()));
    json.Key("counts").BeginObject();
    json.Key("load_uop").Int(counts.loads[0]).Key("load_wgt").Int(counts.loads[1]);
    json.Key("load_inp").Int(counts.loads[2]).Key("load_acc").Int(counts.loads[3]);
    json.Key("reset").Int(counts.resets).Key("gemm").Int(counts.gemms);
    json.Key("alu").Int(counts.alus).Key("store").Int(counts.stores);
    json.Key("no_op").Int(counts.no_ops);
    json.Key("macs").Int(counts.macs).Key("alu_vectors").Int(counts.alu_vectors);
    json.EndObject();
    json.Key("regions").BeginArray();
    for (size_t i = 0; i < 5; ++i) {
      const int64_t bytes = hw::ElementBytes(program.config, static_cast<hw::MemoryId>(i));
      json.BeginObject();
      json.Key("name").String(RegionName(i)).Key("elements").Int(program.elements[i]);
      json.Key("element_bytes").Int(bytes).EndObject();
    }
    json.EndArray().Key("tensors").BeginArray();
    for (const hw::DramTensor& tensor : program.tensors) {
      json.BeginObject();
      json.Key("name").String(tensor.name);
      json.Key("region").String(RegionName(static_cast<size_t>(tensor.memory)));
      json.Key("offset").Int(tensor.offset).Key("elements").Int(tensor.elements);
      json.Key("layout").String(tensor.layout).EndObject();
    }
    json.EndArray();
    if (outcome.executed) {
      json.Key("executed").BeginObject();
      json.Key("seed").String(std::to_string(seed_));
      json.Key("output_values").Int(outcome.output_values);
      json.Key("output_fnv1a")
          .String(Format("%016llx", static_cast<unsigned long long>(outcome.output_hash)));
      json.Key("most_tokens").Int(outcome.report.most_tokens).EndObject();
      json.Key("checked").Bool(outcome.checked);
    }
    if (outcome.timed) {
      const hw::SimulatedTime& t = outcome.time;
      json.Key("time").BeginObject();
      json.Key("cycles").Int(t.cycles).Key("load_busy_cycles").Int(t.load_busy);
      json.Key("compute_busy_cycles").Int(t.compute_busy);
      json.Key("store_busy_cycles").Int(t.store_busy);
      json.Key("read_beats").Int(t.read_beats).Key("write_beats").Int(t.write_beats);
      json.Key("bound").String(BoundOf(t)).EndObject();
    }
    if (text_) json.Key("listing").String(hw::Listing(program));
    json.Key("written").BeginArray();
    for (const std::string& path : outcome.written) json.String(path);
    json.EndArray().EndObject();
    return json.text() + "\n";
  }

  ProgramRequest request_;
  ProgramData data_;
  std::string out_, output_, dump_, memory_ = "tsim", order_ = "load";
  bool hex_ = false, text_ = false, check_ = false, time_ = false;
  int latency_ = 0;
  uint64_t seed_ = 1;
};

}  // namespace

std::unique_ptr<Command> MakeProgramCommand() { return std::make_unique<ProgramCommand>(); }

}  // namespace rhnas::search
