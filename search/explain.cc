#include "search/explain.h"

#include <algorithm>
#include <cmath>

#include "hw/area.h"
#include "hw/number.h"
#include "hw/timing.h"
#include "hw/validity.h"
#include "search/report_text.h"

namespace rhnas::search {

using engine::Format;

namespace {

constexpr char kRtl[] = "measured on the RTL of apache/tvm-vta @d4a15f6";

// "1,234.500": three decimals are exact where a row has no more.
std::string Decimal(double value) {
  constexpr double kMostWhole = 9e15;  // beyond, no decimals are left, and soon no integer
  if (!(value < kMostWhole)) return hw::FormatShort(value);
  const double whole = std::floor(value);
  const int64_t thousandths = std::llround((value - whole) * 1000);
  return Grouped(static_cast<int64_t>(whole) + thousandths / 1000) +
         Format(".%03d", static_cast<int>(thousandths % 1000));
}

std::string Short(double value) { return hw::FormatShort(value); }

std::string Capacity(double bytes) {
  return bytes < 1024 ? Short(bytes) + " bytes" : Short(bytes / 1024) + " KB";
}

// Names of table rows, each once, in the order of first use.
class RowList {
 public:
  explicit RowList(const hw::CostTable& table) : table_(table) {}
  // "a, b" as CostTable::SramRowNames writes them.
  void Add(const std::string& names) {
    for (size_t begin = 0; begin < names.size();) {
      const size_t end = std::min(names.find(", ", begin), names.size());
      const std::string name = names.substr(begin, end - begin);
      begin = end + 2;
      if (std::find(names_.begin(), names_.end(), name) == names_.end()) names_.push_back(name);
    }
  }
  std::vector<const hw::TableRow*> rows() const {
    std::vector<const hw::TableRow*> rows;
    for (const std::string& name : names_) {
      if (const hw::TableRow* row = table_.Find(name)) rows.push_back(row);
    }
    return rows;
  }

 private:
  const hw::CostTable& table_;
  std::vector<std::string> names_;
};

std::string RowsOf(const hw::EnergyTerm& term, const Explained& e) {
  if (term.bank == nullptr) return term.row;
  return e.table.SramRowNames(term.bank(e.config).bytes, term.row);
}

std::string RowsOf(const hw::AreaPart& part, const Explained& e, const char* what) {
  if (part.bytes > 0) return e.table.SramRowNames(part.bytes, what);
  return part.row;
}

constexpr struct {
  double hw::EnergyParts::*part;
  const char* name;
} kParts[] = {{&hw::EnergyParts::mac_pj, "MAC"},         {&hw::EnergyParts::alu_pj, "ALU"},
              {&hw::EnergyParts::sram_pj, "SRAM"},       {&hw::EnergyParts::dram_pj, "DRAM"},
              {&hw::EnergyParts::control_pj, "control"}, {&hw::EnergyParts::leakage_pj, "leakage"}};

// A unit's time and where it was found.
struct UnitLine {
  std::string unit, cycles, source;
};

std::vector<UnitLine> UnitLines(const hw::Config& config) {
  const hw::Timing timing(config, hw::MemoryModel::kQueued);
  const auto cycles = [](hw::Ticks ticks) {
    return Short(static_cast<double>(ticks) / static_cast<double>(hw::kCycle));
  };
  const std::string rtl = kRtl;
  const bool published_bus = config.bus_bits == 64;
  const std::string memory =
      published_bus ? rtl
                    : rtl + " at 64 bits; wider from its sources (core/TensorLoadWideVME.scala)";
  const auto load = [&](const char* name, hw::Ticks fixed) {
    return UnitLine{name, cycles(fixed) + " + beats", memory};
  };
  return {
      {"GEMM of N vectors", cycles(timing.gemm_fixed) + " + N", rtl + " (core/TensorGemm.scala)"},
      {"ALU, immediate", cycles(timing.alu_fixed) + " + N", rtl + " (core/TensorAlu.scala)"},
      {"ALU, two sources", cycles(timing.alu_fixed) + " + 2N", rtl + " (core/TensorAlu.scala)"},
      load("LOAD inputs", timing.load_inp),
      load("LOAD weights", timing.load_wgt),
      load("LOAD biases", timing.load_acc),
      load("LOAD micro-ops", timing.load_uop),
      {"STORE",
       cycles(timing.store_fixed) + (timing.out_row_shift >= 0
                                         ? " + 3 a burst + beats + 1 a tensor row"
                                         : " + 4 a burst + beats"),
       memory},
      {"fetch",
       cycles(timing.fetch_period) + " for " + Grouped(timing.fetch_group) + " instructions",
       memory},
      {"bus beat", std::to_string(config.bus_bytes()) + " bytes",
       "SHL_MEM_AXI_DATA_BITS; memory latency DPI_DELAY = " + std::to_string(config.dpi_delay) +
           " cycles is in the loads and the fetch"}};
}

// The larger of what bounds, in words.
std::string WhatBounds(const hw::LayerCost& layer) {
  const int64_t busiest =
      std::max({layer.compute_cycles, layer.load_cycles, layer.store_cycles, layer.fetch_cycles});
  const double share =
      100 * static_cast<double>(busiest) / static_cast<double>(layer.latency_cycles);
  const char* unit = busiest == layer.compute_cycles ? "compute"
                     : busiest == layer.load_cycles  ? "loads"
                     : busiest == layer.store_cycles ? "stores"
                                                     : "fetch";
  return Format("%s (busy %.0f%%)", unit, share);
}

std::string LatencyText(const Explained& e) {
  std::string text = "Latency: " + Grouped(e.cost.latency_cycles) +
                     " cycles, the sum over programs of when each is done (units overlap; busy "
                     "times do not sum)\n";
  for (const UnitLine& line : UnitLines(e.config)) {
    text +=
        Format("  %-18s %-26s %s\n", line.unit.c_str(), line.cycles.c_str(), line.source.c_str());
  }
  text += Format("\n  %-28s %12s %12s %12s %12s %10s  %s\n", "program", "cycles", "compute", "load",
                 "store", "fetch", "busiest");
  for (size_t i = 0; i < e.layers.size(); ++i) {
    const hw::LayerCost& layer = e.cost.layers[i];
    if (layer.chain == 0) continue;
    std::string name = e.layers[i].name;
    if (layer.chain > 1) name += Format(" and %d more", layer.chain - 1);
    text += Format("  %-28s %12s %12s %12s %12s %10s  %s\n", name.c_str(),
                   Grouped(layer.latency_cycles).c_str(), Grouped(layer.compute_cycles).c_str(),
                   Grouped(layer.load_cycles).c_str(), Grouped(layer.store_cycles).c_str(),
                   Grouped(layer.fetch_cycles).c_str(), WhatBounds(layer).c_str());
  }
  text += Format("  %-28s %12s\n", "sum", Grouped(e.cost.latency_cycles).c_str());
  return text;
}

std::string EnergyText(const Explained& e, RowList* rows) {
  std::string text = "Energy: " + Decimal(e.cost.energy_pj) + " pJ = count x price, summed (" +
                     e.table_text + ")\n";
  for (const auto& part : kParts) {
    text += Format("  %-62s %22s pJ\n", part.name, Decimal(e.cost.energy.*part.part).c_str());
    if (part.part == &hw::EnergyParts::leakage_pj) {
      text += Format("    %s cycles x %s pJ = %s mW (below, by part) at %s MHz [clock_mhz]\n",
                     Grouped(e.cost.latency_cycles).c_str(),
                     Short(e.prices.leakage_pj_per_cycle).c_str(),
                     Short(hw::LeakageMw(hw::AreaParts(e.config, e.table))).c_str(),
                     Short(e.table["clock_mhz"]).c_str());
      rows->Add("clock_mhz, logic_leakage_mw_per_um2");
    }
    for (const hw::EnergyTerm& term : hw::EnergyTerms()) {
      const int64_t count = term.CountOf(e.cost.activity);
      if (term.part != part.part || count == 0) continue;
      const double price = e.prices.*term.price;
      const std::string names = RowsOf(term, e);
      rows->Add(names);
      text += Format("    %-32s %18s x %-10s = %20s  [%s]", term.what, Grouped(count).c_str(),
                     Short(price).c_str(), Decimal(static_cast<double>(count) * price).c_str(),
                     names.c_str());
      if (term.bank != nullptr) {
        const hw::Bank bank = term.bank(e.config);
        text += Format(" %s of %s", Short(bank.count).c_str(), Capacity(bank.bytes).c_str());
        for (const AccessShare& share : SharesOf(term, e.cost.activity, e.config)) {
          text += Format("; %s %s", share.by, Grouped(share.bytes).c_str());
        }
      }
      text += "\n";
    }
  }
  text += Format("  %-62s %22s pJ\n", "sum", Decimal(e.cost.energy_pj).c_str());
  return text;
}

std::string AreaText(const Explained& e, RowList* rows) {
  const auto parts = hw::AreaParts(e.config, e.table);
  std::string text = "Area: " + Decimal(e.cost.area_um2) + " um^2 = count x area of one, summed\n";
  text += Format("  %-24s %8s %-8s %14s %18s %12s\n", "part", "count", "", "um^2 each", "um^2",
                 "leaks, mW");
  for (const hw::AreaPart& part : parts) {
    const std::string names = RowsOf(part, e, "um2_per_kb");
    rows->Add(names);
    if (part.bytes > 0) rows->Add(RowsOf(part, e, "leakage_mw"));
    text += Format("  %-24s %8s %-8s %14s %18s %12s  [%s]", part.name, Short(part.count).c_str(),
                   part.unit, Decimal(part.each_um2).c_str(), Decimal(part.um2()).c_str(),
                   Short(hw::RoundDigits(part.leakage_mw)).c_str(), names.c_str());
    if (part.bytes > 0) text += " of " + Capacity(part.bytes);
    text += "\n";
  }
  text += Format("  %-24s %8s %-8s %14s %18s %12s\n", "sum", "", "", "",
                 Decimal(hw::TotalUm2(parts)).c_str(),
                 Short(hw::RoundDigits(hw::LeakageMw(parts))).c_str());
  return text;
}

std::string BoardText(const Explained& e) {
  std::string text =
      "Boards: resources needed of those there are (hw/board.cc; anchor: Vivado 2021.2 report of "
      "the "
      "default on xc7z020)\n";
  for (const std::string& name : hw::BoardNames()) {
    const hw::Board board = hw::FindBoard(name).value();
    const hw::BoardUse use = hw::EstimateBoardUse(e.config, board);
    hw::Limits limits;
    limits.board = board;
    const bool fits = hw::Check(e.config, limits).ok;
    const auto resource = [&](hw::Resource kind, double need, double have) {
      return Format("  %s of %s %s", Short(need).c_str(), Short(have).c_str(),
                    hw::ResourceName(board.family, kind));
    };
    text += Format("  %-14s %-12s", name.c_str(), fits ? "fits" : "does not fit");
    text += resource(hw::Resource::kLut, use.lut, board.lut);
    text += resource(hw::Resource::kFf, use.ff, board.ff);
    text += resource(hw::Resource::kDsp, use.dsp, board.dsp);
    text += resource(hw::Resource::kBlockRam, use.bram36, board.bram36);
    if (board.uram > 0) text += resource(hw::Resource::kUram, use.uram, board.uram);
    if (use.multipliers_in_lut > 0) {
      text += Format("  (%s multipliers in LUTs)", Short(use.multipliers_in_lut).c_str());
    }
    text += "\n";
  }
  return text;
}

std::string SourceText(const hw::TableRow& row) {
  std::string text =
      Format("  [%s] %s %s", row.name.c_str(), Short(row.value).c_str(), row.unit.c_str());
  if (row.node_nm != "-") text += ", " + row.node_nm + " nm, " + row.voltage_v + " V";
  return text + ": " + row.source + "\n";
}

}  // namespace

std::vector<AccessShare> SharesOf(const hw::EnergyTerm& term, const hw::Activity& activity,
                                  const hw::Config& config) {
  if (term.bank == nullptr) return {};
  const int64_t total = term.CountOf(activity);
  const int64_t gemm = activity.macs / config.macs_per_cycle();
  const int64_t alu = activity.alu_ops / (int64_t{config.batch()} * config.block_out());
  const int64_t acc = config.acc_elem_bits() / 8, out = config.out_elem_bits() / 8;
  const int64_t uop = config.uop_bits() / 8;
  const auto member = term.count;
  if (member == &hw::Activity::inp_read_bytes || member == &hw::Activity::wgt_read_bytes) {
    return {{"GEMM", total}};
  }
  if (member == &hw::Activity::acc_read_bytes) {
    return {{"GEMM", gemm * acc}, {"ALU", total - gemm * acc}};
  }
  if (member == &hw::Activity::acc_write_bytes) {
    return {
        {"GEMM", gemm * acc}, {"ALU", alu * acc}, {"LOAD and reset", total - (gemm + alu) * acc}};
  }
  if (member == &hw::Activity::out_write_bytes) {
    return {{"GEMM", gemm * out}, {"ALU", total - gemm * out}};
  }
  if (member == &hw::Activity::uop_read_bytes) {
    return {{"GEMM", gemm * uop}, {"ALU", alu * uop}, {"reset", total - (gemm + alu) * uop}};
  }
  if (member == &hw::Activity::out_read_bytes) return {{"STORE", total}};
  return {{"LOAD", total}};
}

std::string ExplainText(const Explained& explained) {
  RowList rows(explained.table);
  std::string text = LatencyText(explained) + "\n";
  text += EnergyText(explained, &rows) + "\n";
  text += AreaText(explained, &rows) + "\n";
  text += BoardText(explained) + "\nTable rows: value, node, supply, source\n";
  for (const hw::TableRow* row : rows.rows()) text += SourceText(*row);
  return text;
}

void AddExplanation(const Explained& e, hw::JsonWriter* writer) {
  hw::JsonWriter& json = *writer;
  RowList rows(e.table);
  json.Key("explain").BeginObject();
  json.Key("table").String(e.table_text);
  json.Key("units").BeginArray();
  for (const UnitLine& line : UnitLines(e.config)) {
    json.BeginObject().Key("unit").String(line.unit).Key("cycles").String(line.cycles);
    json.Key("source").String(line.source).EndObject();
  }
  json.EndArray().Key("programs").BeginArray();
  for (size_t i = 0; i < e.layers.size(); ++i) {
    const hw::LayerCost& layer = e.cost.layers[i];
    if (layer.chain == 0) continue;
    json.BeginObject().Key("layer").String(e.layers[i].name).Key("layers").Int(layer.chain);
    json.Key("latency_cycles").Int(layer.latency_cycles);
    json.Key("compute_cycles").Int(layer.compute_cycles).Key("load_cycles").Int(layer.load_cycles);
    json.Key("store_cycles").Int(layer.store_cycles).Key("fetch_cycles").Int(layer.fetch_cycles);
    json.Key("busiest").String(WhatBounds(layer)).EndObject();
  }
  json.EndArray().Key("energy").BeginArray();
  for (const auto& part : kParts) {
    for (const hw::EnergyTerm& term : hw::EnergyTerms()) {
      if (term.part != part.part) continue;
      const int64_t count = term.CountOf(e.cost.activity);
      const double price = e.prices.*term.price;
      const std::string names = RowsOf(term, e);
      rows.Add(names);
      json.BeginObject().Key("part").String(part.name).Key("what").String(term.what);
      json.Key("count").Int(count).Key("unit").String(term.unit).Key("pj_each").Double(price);
      json.Key("pj").Double(static_cast<double>(count) * price).Key("rows").String(names);
      if (term.bank != nullptr) {
        const hw::Bank bank = term.bank(e.config);
        json.Key("memories").Double(bank.count).Key("memory_bytes").Double(bank.bytes);
        json.Key("by").BeginObject();
        for (const AccessShare& share : SharesOf(term, e.cost.activity, e.config)) {
          json.Key(share.by).Int(share.bytes);
        }
        json.EndObject();
      }
      json.EndObject();
    }
  }
  rows.Add("clock_mhz, logic_leakage_mw_per_um2");
  json.BeginObject().Key("part").String("leakage").Key("what").String("leakage of all parts");
  json.Key("count").Int(e.cost.latency_cycles).Key("unit").String("cycle");
  json.Key("pj_each").Double(e.prices.leakage_pj_per_cycle);
  json.Key("pj").Double(e.cost.energy.leakage_pj);
  json.Key("rows").String("clock_mhz, logic_leakage_mw_per_um2").EndObject();
  json.EndArray().Key("area").BeginArray();
  for (const hw::AreaPart& part : hw::AreaParts(e.config, e.table)) {
    const std::string names = RowsOf(part, e, "um2_per_kb");
    rows.Add(names);
    if (part.bytes > 0) rows.Add(RowsOf(part, e, "leakage_mw"));
    json.BeginObject().Key("part").String(part.name).Key("count").Double(part.count);
    json.Key("unit").String(part.unit).Key("um2_each").Double(part.each_um2);
    json.Key("um2").Double(part.um2()).Key("leakage_mw").Double(part.leakage_mw);
    if (part.bytes > 0) json.Key("memory_bytes").Double(part.bytes);
    json.Key("rows").String(names).EndObject();
  }
  json.EndArray().Key("boards").BeginArray();
  for (const std::string& name : hw::BoardNames()) {
    const hw::Board board = hw::FindBoard(name).value();
    const hw::BoardUse use = hw::EstimateBoardUse(e.config, board);
    hw::Limits limits;
    limits.board = board;
    json.BeginObject().Key("board").String(name).Key("fits").Bool(hw::Check(e.config, limits).ok);
    json.Key("lut").Double(use.lut).Key("ff").Double(use.ff).Key("dsp").Double(use.dsp);
    json.Key("block_ram").Double(use.bram36).Key("uram").Double(use.uram);
    json.Key("multipliers_in_lut").Double(use.multipliers_in_lut).EndObject();
  }
  json.EndArray().Key("table_rows").BeginArray();
  for (const hw::TableRow* row : rows.rows()) {
    json.BeginObject().Key("name").String(row->name).Key("value").Double(row->value);
    json.Key("unit").String(row->unit).Key("node_nm").String(row->node_nm);
    json.Key("voltage_v").String(row->voltage_v).Key("source").String(row->source).EndObject();
  }
  json.EndArray().EndObject();
}

}  // namespace rhnas::search
