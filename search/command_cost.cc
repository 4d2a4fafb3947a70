// rhnas cost: what a network costs on an accelerator.
#include "hw/chain.h"
#include "hw/json.h"
#include "hw/vta_accelerator.h"
#include "search/arguments.h"
#include "search/calibration.h"
#include "search/command.h"
#include "search/command_cost_designs.h"
#include "search/command_cost_layer.h"
#include "search/command_cost_layers.h"
#include "search/cost_source.h"
#include "search/explain.h"
#include "search/layers.h"
#include "search/report_json.h"
#include "search/report_text.h"
#include "search/search_flags.h"
#include "search/table_flags.h"

namespace rhnas::search {

using engine::Format;
using engine::Result;

namespace {

class CostCommand : public Command {
 public:
  const char* name() const override { return "cost"; }
  const char* summary() const override { return "latency, energy and area of a network"; }
  const char* usage() const override {
    return "--network NAME|FILE|GENOTYPE | --layers FILE [--hw NAME|FILE] [FLAGS]";
  }
  const char* notes() const override {
    return "JSON keys: network, accelerator, hw, hw_name, valid, macs, params, notes, "
           "latency_cycles, "
           "energy_pj,\n"
           "edp_pj_cycles, area_um2, dram_bytes, energy_parts, layers (one with fused_into runs in "
           "that "
           "layer's\n"
           "program, which has its cost). A configuration that cannot be built gives error, "
           "exit_code 1 and its\n"
           "broken rules (verdicts).\n\n"
           "--layers FILE: CSV whose first line names its columns. Needed: c_in, height, width, "
           "c_out and kernel\n"
           "where the kind has them. Optional: id, kind (conv; depthwise, dense, max-pool, "
           "avg-pool, global-pool,\n"
           "add, concat, shuffle), batch, stride (1), pad (0), groups, bias, relu, count, "
           "mem_latency, mem_model\n"
           "(tsim, pipelined), cycles (measured, compared with). tile_h, tile_w, tile_co, tile_ci "
           "with vthreads,\n"
           "loop_order (none, weights, inputs), on_alu and split_rows: the tiling; the four empty: "
           "the best one.\n"
           "Each layer's program is simulated to the cycle; --csv writes the columns back, with "
           "the "
           "tiling found.\n"
           "On a systolic array FILE may be a SCALE-Sim topology too; there are closed forms "
           "alone.";
  }
  const char* examples() const override {
    return "  rhnas cost --network fbnet-a --hw default --per-layer\n"
           "  rhnas cost --network runs/tiny-edp-s1 --hw runs/tiny-edp-s1/vta_config.json --json\n"
           "  rhnas cost --network resnet20 --hw scalesim-32x32 --per-layer\n"
           "  rhnas cost --network model.onnx --unsupported host --per-layer\n"
           "  rhnas cost --layer \"conv 64x14x14 -> 64 k3 p1\" --explain\n"
           "  rhnas cost --layers vta_rtl_cycles.csv --csv";
  }

  void Declare(FlagSet* flags) override {
    flags->Group("What");
    network_.Declare(flags, /*sized_by_data=*/false);
    DeclareAcceleratorFlag(&accelerator_, flags);
    flags->Text("hw", "NAME|FILE", &hw_,
                "accelerator: a preset, a file of its family as vta_config.json, or a run folder");
    std::vector<std::string> buses = BusChoices();
    buses.back() = "own";
    flags->Choice("bus", &bus_, buses, "put it on a memory bus of so many bits; own: its own");
    DeclareTableFlags(&table_, flags);
    flags->Switch("print-table", &print_table_,
                  "print the energy table as CSV, to edit and give back; needs no network");
    flags->Text("layer", "TEXT", &layer_.layer,
                "instead of a network: one layer as in \"conv 64x14x14 -> 64 k3 p1\", a chain of "
                "them joined by \" + \", or NETWORK:LAYER");
    flags->Text("tiling", "TEXT", &layer_.tiling,
                "with --layer: this tiling, as in \"7x14 co2 ci1 vt2\"; else the best one");
    flags->Text("layers", "FILE", &layers_.path,
                "time the layers of a CSV file, by simulation and by the closed form; --hw is then "
                "\"rtl\" unless given: the stock hardware as measured");
    flags->Switch("csv", &layers_.csv, "with --layers: write CSV");
    flags->Choice("units", &units_, {"pipelined", "unpipelined-gemm", "unpipelined"},
                  "with --layers: simulate GEMM, or GEMM and ALU, of before the pipelines");
    flags->Text("layer-table", "FILE", &layer_table_,
                "read layer costs from a table of rhnas table build or import");
    flags->Switch("no-fusion", &no_fusion_,
                  "every layer a program of its own, also where a chain of up to three is faster");
    flags->Switch("calibration", &calibration_,
                  "the energy table (28 nm hp unless told otherwise) beside a Vivado power report; "
                  "needs no network");
    flags->Switch("explain", &explain_,
                  "where each number comes from: counts times table rows, parts, sources, boards");
    flags->Switch("per-layer", &per_layer_,
                  "a line for each layer (in JSON they are always there)");
  }

  int Run(FlagSet* flags, const std::vector<std::string>& /*words*/, Console* console) override {
    if (!layers_.path.empty()) return RunLayers(*flags, console);
    if (print_table_) return PrintTable(console);
    if (calibration_) return PrintCalibration(*flags, console);
    if (explain_ && !layer_table_.empty()) {
      return console->Fail(kExitUsage,
                           "--explain explains the cost model, it does not go with --layer-table");
    }
    if (!layer_.tiling.empty() && layer_.layer.empty()) {
      return console->Fail(kExitUsage, "--tiling needs --layer");
    }
    if (!layer_.layer.empty()) return RunLayer(console);
    const Argument<NetworkLayers> network = ResolveNetworkLayers(network_);
    if (!network.value.ok()) {
      return console->Fail(network.exit_code, network.value.status().message());
    }
    const hw::Accelerator& family = FamilyOf(accelerator_, hw_);
    const Argument<hw::DesignPtr> found =
        ResolveDesign(family, hw_, bus_ == "own" ? 0 : BusBits(bus_));
    if (!found.value.ok()) return console->Fail(found.exit_code, found.value.status().message());
    const hw::Design& design = **found.value;
    if (explain_ && &family != &hw::Vta()) {
      return console->Fail(kExitUsage, "--explain knows the parts of --accelerator vta alone");
    }
    const Result<hw::CostTable> table = LoadCostTable(table_);
    if (!table.ok()) return console->Fail(TableExitCode(table_), table.status().message());

    const std::vector<hw::BrokenRule> verdicts = design.CheckAll({});
    if (!verdicts.empty()) return Invalid(*network.value, family, design, verdicts, console);
    const std::vector<hw::Layer>& layers = network.value->layers;
    std::string why;
    CostSource source{&*table, nullptr, nullptr};
    if (!layer_table_.empty()) {
      LayerTableQuestion asked;
      asked.path = layer_table_;
      asked.accelerator = &family;
      asked.designs = {*found.value};
      for (const hw::Layer& layer : layers) asked.items.push_back({layer});
      asked.networks = network.value->name;
      asked.prices = &*table;
      std::string note;
      Result<std::shared_ptr<const hw::LayerTable>> opened = OpenLayerTable(asked, &note);
      if (!opened.ok()) return console->Fail(opened.status());
      if (!note.empty()) console->Note("rhnas cost: " + note);
      source.layers = std::move(*opened);
    }
    const std::unique_ptr<hw::DesignModel> model = source.Model(design);
    const std::optional<hw::NetworkCost> cost =
        hw::SumOfChains(*model, hw::ChainSet(layers, !no_fusion_), &why);
    if (!cost) {
      return console->Fail(kExitFailure,
                           Format("%s cannot run on %s: %s", network.value->name.c_str(),
                                  design.ShortName().c_str(), why.c_str()));
    }
    std::string text;
    hw::JsonWriter json;
    if (console->json()) {
      json.BeginObject();
      AddResult(*network.value, family, design, *model, layers, *cost, &json);
    } else {
      text = Text(*network.value, design, *model, layers, *cost);
    }
    if (explain_) {
      const Explained explained{hw::VtaConfig(design), *table, TableText(table_), layers, *cost,
                                model->prices()};
      if (console->json()) {
        AddExplanation(explained, &json);
      } else {
        text += "\n" + ExplainText(explained);
      }
    }
    console->Print(console->json() ? json.EndObject().text() + "\n" : text);
    return kExitOk;
  }

 private:
  int PrintTable(Console* console) const {
    const Result<hw::CostTable> table = LoadCostTable(table_);
    if (!table.ok()) return console->Fail(TableExitCode(table_), table.status().message());
    console->Print(hw::CostTableCsv(*table));
    return kExitOk;
  }

  int PrintCalibration(const FlagSet& flags, Console* console) {
    // The report's device is of 28 nm and runs at 1 V, which hp is nearer to.
    if (table_.file.empty() && !flags.given("node")) table_.options.node_nm = 28;
    if (table_.file.empty() && !flags.given("process")) table_.options.process = hw::Process::kHp;
    const Result<hw::CostTable> table = LoadCostTable(table_);
    if (!table.ok()) return console->Fail(TableExitCode(table_), table.status().message());
    const Calibration calibration = Calibrate(*table);
    console->Print(console->json() ? CalibrationJson(calibration, TableText(table_))
                                   : CalibrationText(calibration, TableText(table_)));
    return kExitOk;
  }

  int RunLayer(Console* console) {
    if (!network_.text.empty() || !layer_table_.empty() ||
        (!accelerator_.empty() && accelerator_ != "vta")) {
      return console->Fail(kExitUsage,
                           "--layer is of VTA's cost model: it does not go with --network, "
                           "--layer-table or another --accelerator");
    }
    const Argument<hw::Config> config = ResolveHardware(hw_, bus_ == "own" ? 0 : BusBits(bus_));
    if (!config.value.ok()) {
      return console->Fail(config.exit_code, config.value.status().message());
    }
    const Result<hw::CostTable> table = LoadCostTable(table_);
    if (!table.ok()) return console->Fail(TableExitCode(table_), table.status().message());
    const hw::Verdict verdict = hw::Check(*config.value);
    if (!verdict.ok) {
      return console->Fail(kExitFailure, "accelerator " + hw::ShortName(*config.value) +
                                             " cannot be built: " + verdict.ToString());
    }
    layer_.explain = explain_;
    return CostLayer(layer_, *config.value, *table, TableText(table_), console);
  }

  int RunLayersOnDesign(const hw::Accelerator& family, const FlagSet& flags,
                        Console* console) const {
    if (flags.given("units")) {
      return console->Fail(kExitUsage, "--units is for the programs of --accelerator vta");
    }
    const Argument<hw::DesignPtr> found =
        ResolveDesign(family, hw_, bus_ == "own" ? 0 : BusBits(bus_));
    if (!found.value.ok()) return console->Fail(found.exit_code, found.value.status().message());
    const hw::Design& design = **found.value;
    const Result<hw::CostTable> table = LoadCostTable(table_);
    if (!table.ok()) return console->Fail(TableExitCode(table_), table.status().message());
    const std::vector<hw::BrokenRule> broken = design.CheckAll({});
    if (!broken.empty()) {
      return console->Fail(kExitFailure, "accelerator " + design.ShortName() +
                                             " cannot be built: " + broken.front().ToString());
    }
    return CostLayersOnDesign(layers_.path, layers_.csv, design, *table, console);
  }

  int RunLayers(const FlagSet& flags, Console* console) {
    if (!network_.text.empty()) {
      return console->Fail(kExitUsage, "--network and --layers exclude each other, give one");
    }
    const hw::Accelerator& family = FamilyOf(accelerator_, hw_);
    if (&family != &hw::Vta()) return RunLayersOnDesign(family, flags, console);
    if (!flags.given("hw")) hw_ = "rtl";
    if (hw_ == "default") {
      console->Note(
          "rhnas cost: --hw default has bursts of 256 beats and 8192 micro-ops, as published; the "
          "stock hardware as measured is --hw rtl");
    }
    const Argument<hw::Config> config = ResolveHardware(hw_, bus_ == "own" ? 0 : BusBits(bus_));
    if (!config.value.ok()) {
      return console->Fail(config.exit_code, config.value.status().message());
    }
    const Result<hw::CostTable> table = LoadCostTable(table_);
    if (!table.ok()) return console->Fail(TableExitCode(table_), table.status().message());
    const hw::Verdict verdict = hw::Check(*config.value);
    if (!verdict.ok) {
      return console->Fail(kExitFailure, "accelerator " + hw::ShortName(*config.value) +
                                             " cannot be built: " + verdict.ToString());
    }
    layers_.unpipelined_gemm = units_ != "pipelined";
    layers_.unpipelined_alu = units_ == "unpipelined";
    return CostLayers(layers_, *config.value, *table, console);
  }

  static void AddDesign(const NetworkLayers& network, const hw::Accelerator& family,
                        const hw::Design& design, hw::JsonWriter* json) {
    json->Key("network").String(network.name).Key("accelerator").String(family.name());
    json->Key("hw").Raw(design.ToJson()).Key("hw_name").String(design.ShortName());
  }

  static void AddResult(const NetworkLayers& network, const hw::Accelerator& family,
                        const hw::Design& design, const hw::DesignModel& model,
                        const std::vector<hw::Layer>& layers, const hw::NetworkCost& cost,
                        hw::JsonWriter* json) {
    AddDesign(network, family, design, json);
    json->Key("valid").Bool(true);
    json->Key("macs").Int(network.macs);
    json->Key("params").Int(network.params);
    json->Key("notes").BeginArray();
    for (const std::string& note : network.notes) json->String(note);
    json->EndArray();
    AddCost(
        {cost.latency_cycles, cost.energy_pj, cost.edp_pj_cycles, cost.area_um2, cost.dram_bytes},
        json);
    AddEnergyParts(cost.energy, json);
    AddLayers(layers, cost, model, json);
  }

  std::string Text(const NetworkLayers& network, const hw::Design& design,
                   const hw::DesignModel& model, const std::vector<hw::Layer>& layers,
                   const hw::NetworkCost& cost) const {
    const int64_t macs = design.macs_per_cycle();
    // A table of the user's own has one energy a layer, not its parts.
    const bool split = cost.energy.total_pj() > 0;
    const double share = split ? 100 / cost.energy.total_pj() : 0;
    std::string text;
    if (per_layer_) text += LayerTable(layers, cost, model) + "\n";
    text += Format("network      %s\n", network.name.c_str());
    text += Format("             %s MACs, %s parameters, input %dx%dx%d, %d classes\n",
                   Grouped(network.macs).c_str(), Grouped(network.params).c_str(), network.h,
                   network.w, network.c, network.classes);
    for (const std::string& note : network.notes) text += "note         " + note + "\n";
    text += Format("accelerator  %s, valid, %lld MACs a cycle\n", design.ShortName().c_str(),
                   static_cast<long long>(macs));
    text += Format("latency      %s cycles (%.1f%% of the MAC array used)\n",
                   Grouped(cost.latency_cycles).c_str(),
                   100 * static_cast<double>(cost.macs) /
                       (static_cast<double>(cost.latency_cycles) * static_cast<double>(macs)));
    if (!split) text += Format("energy       %s\n", EnergyText(cost.energy_pj).c_str());
    if (split)
      text += Format(
          "energy       %s (MAC %.0f%%, ALU %.0f%%, SRAM %.0f%%, DRAM %.0f%%, control "
          "%.0f%%, leakage %.0f%%)\n",
          EnergyText(cost.energy_pj).c_str(), cost.energy.mac_pj * share,
          cost.energy.alu_pj * share, cost.energy.sram_pj * share, cost.energy.dram_pj * share,
          cost.energy.control_pj * share, cost.energy.leakage_pj * share);
    text += Format("EDP          %.5g pJ cycles\n", cost.edp_pj_cycles);
    text += Format("area         %s\n", AreaText(cost.area_um2).c_str());
    text += Format("DRAM         %s bytes\n", Grouped(cost.dram_bytes).c_str());
    return text;
  }

  static int Invalid(const NetworkLayers& network, const hw::Accelerator& family,
                     const hw::Design& design, const std::vector<hw::BrokenRule>& verdicts,
                     Console* console) {
    const std::string error = Format("accelerator %s cannot be built", design.ShortName().c_str());
    console->Note("rhnas cost: " + error + ":");
    for (const hw::BrokenRule& verdict : verdicts) console->Note("  " + verdict.ToString());
    if (!console->json()) return kExitFailure;
    hw::JsonWriter json;
    json.BeginObject();
    // As every failure, and what there is to know besides.
    json.Key("error").String(error + ": " + verdicts.front().ToString());
    json.Key("exit_code").Int(kExitFailure);
    AddDesign(network, family, design, &json);
    json.Key("valid").Bool(false);
    AddVerdicts(verdicts, &json);
    json.EndObject();
    console->Print(json.text() + "\n");
    return kExitFailure;
  }

  NetworkArgument network_;
  std::string accelerator_, hw_ = "default", bus_ = "own", layer_table_;
  bool per_layer_ = false, no_fusion_ = false, print_table_ = false, explain_ = false,
       calibration_ = false;
  TableChoice table_;
  CostLayerOptions layer_;
  CostLayersOptions layers_;
  std::string units_ = "pipelined";
};

}  // namespace

std::unique_ptr<Command> MakeCostCommand() { return std::make_unique<CostCommand>(); }

}  // namespace rhnas::search
