// rhnas table: what layers cost on every accelerator of a space, as a file.
#include <algorithm>
#include <cstdio>

#include "engine/archive.h"
#include "hw/json.h"
#include "hw/layer_table_csv.h"
#include "hw/layer_table_write.h"
#include "search/arguments.h"
#include "search/command.h"
#include "search/layer_tables.h"
#include "search/report_text.h"
#include "search/search_flags.h"
#include "search/signals.h"
#include "search/suggest.h"
#include "search/table_build.h"
#include "search/table_flags.h"

namespace rhnas::search {

using engine::Format;
using engine::Result;
using engine::Status;

namespace {

class BuildSink : public ProgressSink {
 public:
  BuildSink() : printer_(StandardErrorProgress()) {}
  void Report(const Progress& progress) override { printer_.Report(progress); }
  void Finish() { printer_.Finish(); }

 private:
  ProgressPrinter printer_;
};

long long Whole(size_t value) { return static_cast<long long>(value); }

class TableCommand : public Command {
 public:
  const char* name() const override { return "table"; }
  const char* summary() const override { return "tabulate layer costs, check a table of your own"; }
  const char* usage() const override {
    return "build | check FILE | show FILE | export FILE | import FILE [FLAGS]";
  }
  const char* notes() const override {
    return "build   every layer of --space on every valid point of --hw-space at its best tiling, "
           "into --out.\n"
           "        Ctrl-C keeps what is done in FILE.partial, --resume goes on to the same "
           "bytes.\n"
           "check   a table, or a CSV of your own for --space and --hw-space: every entry there "
           "once and sane.\n"
           "show    what a table holds. export: as CSV into --out. import: the way back, of your "
           "own numbers.\n\n"
           "rhnas search and rhnas cost take tables by --layer-table FILE. docs/TABLES.md has both "
           "forms.\n"
           "CSV columns: layer, configuration, cycles, energy_pj (dram_bytes and tiling may "
           "follow).\n"
           "JSON keys: file, accelerator, hw_space, space, given, layers, chains, configurations, "
           "entries,\n"
           "cannot_run, bytes, checksum; of build also resumed_configurations, entries_computed, "
           "seconds.";
  }
  const char* examples() const override {
    return "  rhnas table build --space fbnet-cifar --hw-space vta --out fbnet-cifar-vta.table\n"
           "  rhnas table check my_board.csv --space fbnet-cifar --hw-space vta-small";
  }

  void Declare(FlagSet* flags) override {
    flags->Positional("ACTION [FILE]", &words_);
    flags->Group("Layers");
    flags->Text("space", "NAME", &space_, "network space, options after @ as in fbnet-cifar@w0.5")
        .choices = nn::SpaceNames();
    flags->Number("width", &options_.width, 0.05, 8, "multiplies the channels of the space");
    flags->Switch("always-pw", &options_.always_pw,
                  "blocks of expansion 1 have a leading pointwise convolution");
    flags->Int("classes", &options_.classes, 0, 1000000, "outputs; 0: the space's own");
    flags->Int("resolution", &options_.resolution, 0, 4096,
               "input height and width; 0: the space's own");
    flags->Int("channels", &options_.channels, 0, 4096, "input channels; 0: the space's own");
    flags->Group("Configurations");
    flags->Text("hw-space", "NAME|FILE", &hw_space_,
                "accelerator space, or a file with one of your own");
    std::vector<std::string> buses = BusChoices();
    flags->Choice("bus", &bus_, buses, "the platform's memory bus in bits; free: all of them");
    DeclareTableFlags(&energy_table_, flags);
    flags->Group("Run");
    flags->Text("out", "FILE", &out_, "what to write (default SPACE-HWSPACE-BUS.table, or .csv)");
    flags->Switch("resume", &resume_, "go on with an interrupted build");
    flags->Int("threads", &threads_, 0, 1024, "threads, without effect on the table; 0: all");
  }

  int Run(FlagSet* /*flags*/, const std::vector<std::string>& /*words*/,
          Console* console) override {
    const std::vector<std::string> actions = {"build", "check", "show", "export", "import"};
    if (words_.empty()) {
      return console->Fail(kExitUsage, "an action is needed: " + JoinWords(actions));
    }
    const std::string action = words_[0];
    if (std::find(actions.begin(), actions.end(), action) == actions.end()) {
      return console->Fail(kExitUsage, UnknownWord("action", action, actions));
    }
    const bool build = action == "build";
    if (words_.size() != (build ? 1u : 2u)) {
      return console->Fail(kExitUsage, build ? "build takes no file, it writes --out FILE"
                                             : action + " takes one file");
    }
    if (build) return Build(console);
    file_ = words_[1];
    if (action == "check") return Check(console);
    if (action == "show") return Show(console);
    return action == "export" ? Export(console) : Import(console);
  }

 private:
  // The two spaces that the flags name.
  struct Spaces {
    const hw::Accelerator* family = nullptr;
    std::unique_ptr<hw::DesignSpace> hardware;
    std::vector<std::vector<hw::Layer>> items;
    hw::CostTable prices;
  };

  // 0, or the exit code of what was wrong.
  int Resolve(Spaces* spaces, Console* console) const {
    Result<nn::Space> networks = nn::FindSpace(space_, options_);
    if (!networks.ok()) {
      return console->Fail(kExitUsage, "--space: " + networks.status().message());
    }
    spaces->family = hw::FindAcceleratorOfSpace(hw_space_);
    if (spaces->family == nullptr) spaces->family = hw::Accelerators().front();
    hw::SpaceOptions options;
    options.bus_bits = BusBits(bus_);
    options.derived_tags = true;  // as in searches
    hw::Result<std::unique_ptr<hw::DesignSpace>> hardware =
        spaces->family->FindSpace(hw_space_, options);
    if (!hardware.ok()) return console->Fail(kExitUsage, "--hw-space: " + hardware.error());
    Result<hw::CostTable> prices = LoadCostTable(energy_table_);
    if (!prices.ok()) {
      return console->Fail(TableExitCode(energy_table_), prices.status().message());
    }
    spaces->hardware = std::move(*hardware);
    spaces->items = TableItems(*networks);
    spaces->prices = std::move(*prices);
    return kExitOk;
  }

  std::string Networks() const {
    std::string text = space_;
    if (options_.width != 1) text += " width " + NumberText(options_.width);
    if (!options_.always_pw) text += " no-always-pw";
    if (options_.classes != 0) text += Format(" classes %d", options_.classes);
    if (options_.resolution != 0) text += Format(" resolution %d", options_.resolution);
    if (options_.channels != 0) text += Format(" channels %d", options_.channels);
    return text;
  }

  std::string Out(const char* extension) const {
    if (!out_.empty()) return out_;
    return space_ + "-" + hw_space_.substr(hw_space_.rfind('/') + 1) + "-" + bus_ + extension;
  }

  int Build(Console* console) {
    Spaces spaces;
    if (const int code = Resolve(&spaces, console); code != kExitOk) return code;
    const hw::TableHead head =
        HeadOf(*spaces.family, *spaces.hardware, spaces.prices, Networks(), spaces.items);
    if (head.configurations.empty()) {
      return console->Fail(kExitFailure, hw_space_ + " has no valid point on this bus");
    }
    const std::string path = Out(".table");
    if (const Status out = engine::CheckOutput(path); !out.ok()) return console->Fail(out);
    const std::atomic<bool>& stop = InstallStopSignals();
    engine::ThreadPool pool(threads_);
    BuildSink sink;
    const Result<TableBuilt> built =
        BuildTable({spaces.hardware.get(), &spaces.prices, &head, path, resume_}, pool, sink, stop);
    sink.Finish();
    if (!built.ok()) return console->Fail(built.status());
    if (!built->finished) {
      console->Note(
          Format("stopped, %lld of %lld configurations are saved in %s; go on with "
                 "--resume and the same flags",
                 Whole(built->rows), Whole(head.configurations.size()),
                 hw::LayerTableWriter::PartialPath(path).c_str()));
      return 128 + StopSignal();
    }
    const hw::Result<hw::LayerTable> table = hw::LayerTable::Open(path);
    if (!table.ok()) return console->Fail(kExitFailure, table.error());
    return Summary(*table, console, &*built);
  }

  // Opens the table or the CSV that file_ names; every row and entry is sound then.
  Result<hw::LayerTable> Open(Console* console, int* code) const {
    *code = kExitFailure;
    if (hw::IsLayerTableFile(file_)) {
      hw::Result<hw::LayerTable> table = hw::LayerTable::Open(file_);
      if (!table.ok()) return Status::Error("%s", table.error().c_str());
      std::string why;
      if (!hw::CheckLayerTable(*table, &why)) return Status::Error("%s", why.c_str());
      return std::move(*table);
    }
    Spaces spaces;
    *code = Resolve(&spaces, console);
    if (*code != kExitOk) return Status::Error("%s", "");
    *code = kExitFailure;
    const hw::TableHead head =
        HeadOf(*spaces.family, *spaces.hardware, spaces.prices, Networks(), spaces.items);
    hw::Result<hw::LayerTable> table = hw::ReadLayerTableCsv(file_, head);
    if (!table.ok()) return Status::Error("%s", table.error().c_str());
    return std::move(*table);
  }

  int Check(Console* console) const {
    int code = kExitOk;
    const Result<hw::LayerTable> table = Open(console, &code);
    if (!table.ok()) {
      return table.status().message().empty() ? code
                                              : console->Fail(code, table.status().message());
    }
    const hw::TableHead& head = table->head();
    if (!head.given) {
      const hw::Accelerator* family = hw::FindAccelerator(head.accelerator);
      if (family == nullptr || hw::ModelFingerprint(*family) != head.model) {
        return console->Fail(kExitFailure,
                             file_ +
                                 ": is sound, but was built with another version of the cost "
                                 "model; build it again with rhnas table build");
      }
    }
    return Summary(*table, console, nullptr);
  }

  int Show(Console* console) const {
    const hw::Result<hw::LayerTable> table = hw::LayerTable::Open(file_);
    if (!table.ok()) return console->Fail(kExitFailure, table.error());
    std::string why;
    for (size_t row = 0; row < table->rows(); ++row) {
      if (!table->CheckRow(row, &why)) return console->Fail(kExitFailure, why);
    }
    return Summary(*table, console, nullptr);
  }

  int Export(Console* console) const {
    const hw::Result<hw::LayerTable> table = hw::LayerTable::Open(file_);
    if (!table.ok()) return console->Fail(kExitFailure, table.error());
    std::string why;
    const std::string path = out_.empty() ? file_ + ".csv" : out_;
    if (const Status out = engine::CheckOutput(path, file_); !out.ok()) return console->Fail(out);
    if (!hw::WriteLayerTableCsv(*table, path, &why)) return console->Fail(kExitFailure, why);
    if (console->json()) return Summary(*table, console, nullptr);
    console->Print(Format("%s: %s entries\n", path.c_str(),
                          Grouped(static_cast<int64_t>(table->rows() * table->items())).c_str()));
    return kExitOk;
  }

  int Import(Console* console) const {
    if (hw::IsLayerTableFile(file_)) {
      return console->Fail(kExitFailure, file_ + ": is a table already, expected a CSV");
    }
    int code = kExitOk;
    const Result<hw::LayerTable> read = Open(console, &code);
    if (!read.ok()) {
      return read.status().message().empty() ? code : console->Fail(code, read.status().message());
    }
    const std::string path = Out(".table");
    if (const Status out = engine::CheckOutput(path, file_); !out.ok()) return console->Fail(out);
    hw::Result<hw::LayerTableWriter> writer =
        hw::LayerTableWriter::Create(path, read->head(), false);
    if (!writer.ok()) return console->Fail(kExitFailure, writer.error());
    std::string why;
    std::vector<hw::TableEntry> entries(read->items());
    for (size_t row = 0; row < read->rows() && why.empty(); ++row) {
      for (size_t item = 0; item < entries.size(); ++item) entries[item] = read->At(row)[item];
      writer->Write(row, entries.data(), &why);
    }
    if (!why.empty() || !writer->Finish(&why)) {
      std::remove(hw::LayerTableWriter::PartialPath(path).c_str());
      return console->Fail(kExitFailure, why);
    }
    const hw::Result<hw::LayerTable> table = hw::LayerTable::Open(path);
    if (!table.ok()) return console->Fail(kExitFailure, table.error());
    return Summary(*table, console, nullptr);
  }

  static int Summary(const hw::LayerTable& table, Console* console, const TableBuilt* built) {
    const hw::TableHead& head = table.head();
    int64_t cannot_run = 0, layers = 0;
    for (const std::vector<hw::Layer>& item : head.items) layers += item.size() == 1 ? 1 : 0;
    const int64_t chains = Whole(head.items.size()) - layers;
    for (size_t row = 0; row < table.rows(); ++row) {
      for (size_t item = 0; item < table.items(); ++item) {
        if (!table.At(row)[item].runs()) ++cannot_run;
      }
    }
    const int64_t entries = static_cast<int64_t>(table.rows() * table.items());
    const std::string sum = Format("%016llx", static_cast<unsigned long long>(table.checksum()));
    if (console->json()) {
      hw::JsonWriter json;
      json.BeginObject();
      json.Key("file").String(table.path()).Key("accelerator").String(head.accelerator);
      json.Key("hw_space").String(head.space).Key("space").String(head.networks);
      json.Key("given").Bool(head.given);
      json.Key("layers").Int(layers).Key("chains").Int(chains);
      json.Key("configurations").Int(Whole(table.rows()));
      json.Key("entries").Int(entries).Key("cannot_run").Int(cannot_run);
      json.Key("bytes").Int(Whole(table.bytes())).Key("checksum").String(sum);
      if (built != nullptr) {
        json.Key("resumed_configurations").Int(Whole(built->rows_before));
        json.Key("entries_computed").Int(built->entries);
        json.Key("seconds").Double(built->seconds);
      }
      json.EndObject();
      console->Print(json.text() + "\n");
      return kExitOk;
    }
    std::string text = Format("table          %s\n", table.path().c_str());
    text += Format("layers         %s of %s, and %s chains of them\n", Grouped(layers).c_str(),
                   head.networks.c_str(), Grouped(chains).c_str());
    text += Format("configurations %s of %s, accelerator %s\n",
                   Grouped(static_cast<int64_t>(table.rows())).c_str(), head.space.c_str(),
                   head.accelerator.c_str());
    text += Format("entries        %s, %s of them cannot run\n", Grouped(entries).c_str(),
                   Grouped(cannot_run).c_str());
    text += Format("numbers        %s\n",
                   head.given ? "given by a user" : "of the cost model, at the best tiling");
    text += Format("size           %s bytes, checksum %s\n",
                   Grouped(static_cast<int64_t>(table.bytes())).c_str(), sum.c_str());
    if (built != nullptr) {
      text += Format("built in       %.2f s, %s entries a second\n", built->seconds,
                     Grouped(static_cast<int64_t>(static_cast<double>(built->entries) /
                                                  std::max(built->seconds, 1e-9)))
                         .c_str());
    }
    console->Print(text);
    return kExitOk;
  }

  std::vector<std::string> words_;
  std::string file_, space_ = "fbnet-cifar", hw_space_ = "vta", bus_ = "64", out_;
  TableChoice energy_table_;
  nn::SpaceOptions options_;
  bool resume_ = false;
  int threads_ = 0;
};

}  // namespace

std::unique_ptr<Command> MakeTableCommand() { return std::make_unique<TableCommand>(); }

}  // namespace rhnas::search
