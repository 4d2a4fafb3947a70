// The network in a report: a strip of its layers with cycles, energy and what bounds each program,
// the roofline (Williams et al., CACM 52(4), 2009), where the energy goes, and the table of layers.
#include <algorithm>
#include <cmath>

#include "search/design_record.h"
#include "search/layers.h"
#include "search/report_page.h"
#include "search/report_text.h"

namespace rhnas::search {

using engine::Format;

namespace {

constexpr struct {
  const char* name;
  const char* css;
  double (*of)(const hw::EnergyParts&);
} kShares[] = {{"arithmetic", "e0", [](const hw::EnergyParts& e) { return e.mac_pj + e.alu_pj; }},
               {"SRAM", "e1", [](const hw::EnergyParts& e) { return e.sram_pj; }},
               {"DRAM", "e2", [](const hw::EnergyParts& e) { return e.dram_pj; }},
               {"control, leakage", "e3",
                [](const hw::EnergyParts& e) { return e.control_pj + e.leakage_pj; }}};

// "16x32x32 → 64 k3 s2".
std::string ShapeText(const hw::Layer& l) {
  std::string text = Format("%dx%dx%d → %d", l.c, l.h, l.w, l.k);
  if (l.kind == hw::LayerKind::kConv) text += Format(" k%d s%d", l.r, l.stride);
  if (l.groups > 1 && !l.depthwise()) text += Format(" g%d", l.groups);
  return text;
}

const char* LayerClass(const hw::Layer& layer) {
  if (layer.depthwise()) return "dw";
  if (layer.kind == hw::LayerKind::kConv) return layer.r == 1 ? "pw" : "cv";
  return layer.kind == hw::LayerKind::kDense ? "pw" : "ot";
}

// Layers of one program, from `first` on, with its cost.
struct Program {
  size_t first = 0, count = 1;
  const hw::LayerCost* cost = nullptr;
  int64_t macs = 0;
};

std::vector<Program> ProgramsOf(const std::vector<hw::Layer>& layers, const hw::NetworkCost& cost) {
  std::vector<Program> programs;
  for (size_t i = 0; i < layers.size() && i < cost.layers.size(); ++i) {
    if (cost.layers[i].chain == 0 && !programs.empty()) {
      ++programs.back().count;
    } else {
      programs.push_back({i, 1, &cost.layers[i], 0});
    }
    programs.back().macs += layers[i].macs();
  }
  return programs;
}

std::string NameOf(const Program& program, const std::vector<hw::Layer>& layers) {
  std::string name = layers[program.first].name;
  if (program.count > 1) name += Format(" and %d more", static_cast<int>(program.count) - 1);
  return name;
}

std::string BoundText(const hw::LayerCost& c) {
  const auto share = [&c](int64_t busy) {
    return Format("%.0f%%", 100 * static_cast<double>(busy) /
                                std::max(1.0, static_cast<double>(c.latency_cycles)));
  };
  return std::string("bound by ") + hw::BoundName(c.bound) + "; busy: compute " +
         share(c.compute_cycles) + ", loads " + share(c.load_cycles) + ", stores " +
         share(c.store_cycles) + ", fetch " + share(c.fetch_cycles);
}

std::string TipOf(const Program& p, const ReportRun& run, const hw::DesignModel& model) {
  return NameOf(p, run.layers) + "\n" + Grouped(p.cost->latency_cycles) + " cycles, " +
         EnergyText(p.cost->energy_pj) + "\n" + BoundText(*p.cost) + "\n" +
         Grouped(p.cost->dram_bytes) + " bytes of DRAM; " + model.ScheduleText(*p.cost);
}

// Geometry of the strip.
constexpr double kStripLeft = 8, kStripRight = 1032, kMaps = 70, kCycles = 192, kEnergy = 322;
constexpr double kBar = 90;

std::string Strip(const ReportRun& run, const hw::NetworkCost& cost, const hw::DesignModel& model,
                  bool compared) {
  const std::vector<Program> programs = ProgramsOf(run.layers, cost);
  const std::vector<Program> base = ProgramsOf(run.layers, *run.reference_cost);
  const double wide = (kStripRight - kStripLeft) / static_cast<double>(run.layers.size());
  const auto x_of = [&](size_t layer) { return kStripLeft + wide * static_cast<double>(layer); };
  double most_pixels = 1, most_cycles = 1, most_energy = 1;
  for (const hw::Layer& l : run.layers) most_pixels = std::max(most_pixels, 1.0 * l.oh() * l.ow());
  for (const std::vector<Program>* all : {&programs, compared ? &base : &programs}) {
    for (const Program& p : *all) {
      most_cycles = std::max(most_cycles, static_cast<double>(p.cost->latency_cycles));
      most_energy = std::max(most_energy, p.cost->energy_pj);
    }
  }
  Plot plot("Layers in order",
            "Output size, cycles and energy of each layer; C, M and F tell "
            "whether compute, memory or instruction fetch bounds it",
            1040, 350);
  plot.Text(kStripLeft, 11, "lab", "output map");
  plot.Text(kStripLeft, kCycles - kBar - 7, "lab",
            "cycles, at most " + ShortNumber(most_cycles) + " a program");
  plot.Text(kStripLeft, kEnergy - kBar - 7, "lab", "energy, at most " + EnergyText(most_energy));
  std::string slot;
  double labelled = 0;
  for (size_t i = 0; i < run.layers.size(); ++i) {
    const hw::Layer& l = run.layers[i];
    const double tall = std::max(4.0, 52 * std::sqrt(1.0 * l.oh() * l.ow() / most_pixels));
    plot.Rect(x_of(i) + 0.5, kMaps - tall, wide - 1, tall, std::string("map ") + LayerClass(l),
              l.name + ": " + LayerKindName(l) + "\n" + ShapeText(l) + "\n" + Grouped(l.macs()) +
                  " multiply-accumulates");
    std::string of = l.name.substr(0, l.name.find('/'));
    if (of == slot) continue;
    slot = of;
    plot.Raw("<path class=\"grid\" d=\"M" + Coordinate(x_of(i)) + " 18V334\"/>");
    if (of.compare(0, 4, "slot") == 0) of = of.substr(4);
    if (x_of(i) < labelled) continue;
    plot.Text(x_of(i) + 2, 347, "", of);
    labelled = x_of(i) + 7.0 * static_cast<double>(of.size()) + 6;
  }
  for (const Program& p : programs) {
    const double x = x_of(p.first), width = wide * static_cast<double>(p.count);
    const std::string tip = TipOf(p, run, model);
    constexpr const char* kBounds[] = {"bc", "bm", "bf"};
    constexpr const char* kLetters[] = {"C", "M", "F"};
    const size_t bound = static_cast<size_t>(p.cost->bound);
    const double tall = kBar * static_cast<double>(p.cost->latency_cycles) / most_cycles;
    plot.Rect(x + 0.5, kCycles - tall, width - 1, tall, std::string("bar ") + kBounds[bound], tip);
    plot.Text(x + width / 2, kCycles + 12, "tm", kLetters[bound]);
    double y = kEnergy;
    const bool split = p.cost->energy.total_pj() > 0;
    for (const auto& share : kShares) {
      const double part = split ? share.of(p.cost->energy) : p.cost->energy_pj;
      const double height = kBar * part / most_energy;
      y -= height;
      plot.Rect(x + 0.5, y, width - 1, height, std::string("bar ") + (split ? share.css : "e3"),
                tip);
      if (!split) break;
    }
    plot.Rect(x, 18, width, 304, "hit", tip);
  }
  if (compared) {
    std::string cycles, energy;
    for (const Program& p : base) {
      const std::string x = Coordinate(x_of(p.first)), to = Coordinate(x_of(p.first + p.count));
      const auto step = [&](double ground, double share) {
        return (p.first == 0 ? "M" + x + " " : "V") + Coordinate(ground - kBar * share) + "H" + to;
      };
      cycles += step(kCycles, static_cast<double>(p.cost->latency_cycles) / most_cycles);
      energy += step(kEnergy, p.cost->energy_pj / most_energy);
    }
    plot.Raw("<path class=\"line def\" d=\"" + cycles + "\"/><path class=\"line def\" d=\"" +
             energy + "\"/>");
  }
  return plot.Finish();
}

std::string Roofline(const ReportRun& run, const hw::NetworkCost& cost, const hw::Design& design,
                     const hw::DesignModel& model, bool compared) {
  std::vector<double> xs, ys;
  const std::vector<Program> programs = ProgramsOf(run.layers, cost);
  const auto x_of = [](const Program& p) {
    // The bus reads and writes at the same time: the busier direction bounds.
    const hw::Activity& a = p.cost->activity;
    const int64_t bytes = std::max<int64_t>({a.dram_read_bytes(), a.dram_write_bytes(), 1});
    return static_cast<double>(p.macs) / static_cast<double>(bytes);
  };
  const auto y_of = [](const Program& p) {
    return static_cast<double>(p.macs) / std::max(1.0, static_cast<double>(p.cost->latency_cycles));
  };
  for (const Program& p : programs) {
    if (p.macs == 0) continue;
    xs.push_back(x_of(p));
    ys.push_back(y_of(p));
  }
  const auto add_roof = [&](const hw::Design& of) {
    ys.push_back(static_cast<double>(of.macs_per_cycle()));
    xs.push_back(1.3 * ys.back() * 8 / of.bus_bits());
  };
  add_roof(design);
  if (compared) add_roof(*run.reference);
  const Axis x = Axis::Around("MACs per byte, of reads or writes, whichever are more", true, xs);
  const Axis y = Axis::Around("MACs per cycle", true, ys);
  Plot plot("Roofline", "Programs under the roof that the array's peak and the bus set");
  plot.Axes(x, y);
  const auto roof = [&](const hw::Design& of, const char* css) {
    const double peak = static_cast<double>(of.macs_per_cycle()), bus = of.bus_bits() / 8.0;
    const double from = std::max(x.low, y.low / bus);
    plot.Line({{from, from * bus}, {peak / bus, peak}, {x.high, peak}}, css);
  };
  if (compared) roof(*run.reference, "def");
  roof(design, "roof");
  constexpr Mark kMarks[] = {Mark::kCircle, Mark::kSquare, Mark::kTriangle};
  constexpr const char* kBounds[] = {"bc", "bm", "bf"};
  for (const Program& p : programs) {
    if (p.macs == 0) continue;
    const size_t bound = static_cast<size_t>(p.cost->bound);
    plot.Put(
        x_of(p), y_of(p), kMarks[bound], kBounds[bound],
        TipOf(p, run, model) + Format("\n%.3g MACs a cycle of %lld, %.3g a byte", y_of(p),
                                      static_cast<long long>(design.macs_per_cycle()), x_of(p)));
  }
  return plot.Finish();
}

std::string EnergyBars(const ReportRun& run, const hw::NetworkCost& cost, bool compared,
                       DataTable* data) {
  *data = ParseDataTable("part,found_pj,default_pj\n");
  const double most = std::max(cost.energy_pj, compared ? run.reference_cost->energy_pj : 0);
  Plot plot("Where the energy goes", "Energy by part of the found and the default accelerator", 480,
            compared ? 132 : 82);
  double y = 20;
  for (const hw::NetworkCost* of : {&cost, &*run.reference_cost}) {
    plot.Text(
        0, y - 5, "",
        std::string(of == &cost && compared ? "found " : "default ") + EnergyText(of->energy_pj));
    double x = 0;
    for (const auto& share : kShares) {
      const double part = share.of(of->energy), width = 480 * part / most;
      const std::string percent = Format("%.0f%%", 100 * part / of->energy_pj);
      plot.Rect(x, y, width, 24, std::string("bar ") + share.css,
                std::string(share.name) + ": " + EnergyText(part) + ", " + percent);
      if (width > 34) plot.Text(x + width / 2, y + 16, "tm in", percent);
      x += width;
    }
    y += 50;
    if (!compared) break;
  }
  double x = 0;
  for (const auto& share : kShares) {
    plot.Rect(x, y - 10, 11, 11, std::string("bar ") + share.css, "");
    plot.Text(x + 15, y, "", share.name);
    x += 120;
    data->rows.push_back({share.name, NumberText(share.of(cost.energy)),
                          NumberText(share.of(run.reference_cost->energy))});
  }
  return plot.Finish();
}

}  // namespace

void AddNetwork(const ReportRun& run, ReportPage* page) {
  if (!run.reference_cost) return;
  // Where a run has no accelerator of its own, the default runs the network.
  const bool compared = run.cost.has_value();
  const hw::NetworkCost& cost = compared ? *run.cost : *run.reference_cost;
  const hw::Design& design = compared ? *run.design : *run.reference;
  const hw::DesignModel& model = compared ? *run.model : *run.reference_model;
  page->Begin("Network");
  page->body += "<p class=\"muted\"><code>" + Escaped(run.network) + "</code>" +
                (compared ? "" : ", here on the default accelerator") + "</p>";
  std::string csv =
      "layer,kind,shape,program,macs,latency_cycles,dram_bytes,dram_read_bytes,compute_cycles,"
      "load_cycles,store_cycles,fetch_cycles,energy_pj,bound,schedule,default_latency_cycles,"
      "default_energy_pj\n";
      std::vector<std::vector<std::string>>
          rows;
  size_t program = 0;
  for (size_t i = 0; i < run.layers.size(); ++i) {
    const hw::Layer& layer = run.layers[i];
    const hw::LayerCost& c = cost.layers[i];
    const hw::LayerCost& base = run.reference_cost->layers[i];
    const bool fused = c.chain == 0;
    if (!fused) program = i;
    const std::string end =
        base.chain == 0 ? ","
                        : std::to_string(base.latency_cycles) + "," + NumberText(base.energy_pj);
    csv +=
        CsvField(layer.name) + Format(",%s,%s,", LayerKindName(layer), ShapeText(layer).c_str()) +
        CsvField(run.layers[program].name) + Format(",%lld,", static_cast<long long>(layer.macs()));
    if (fused) {
      csv += ",,,,,,,,fused,,";
    } else {
      for (const int64_t value : {c.latency_cycles, c.dram_bytes, c.activity.dram_read_bytes(),
                                  c.compute_cycles, c.load_cycles, c.store_cycles, c.fetch_cycles})
        csv += std::to_string(value) + ",";
      csv += NumberText(c.energy_pj) + "," + hw::BoundName(c.bound) + "," +
             CsvField(model.ScheduleText(c)) + ",";
    }
    csv += end + "\n";
    rows.push_back({Escaped(layer.name), LayerKindName(layer), Escaped(ShapeText(layer)),
                    Grouped(layer.macs()), fused ? "–" : Grouped(c.latency_cycles),
                    fused ? "–" : EnergyText(c.energy_pj), fused ? "–" : Grouped(c.dram_bytes),
                    fused ? "with " + Escaped(run.layers[program].name) : hw::BoundName(c.bound),
                    fused ? "" : Escaped(model.ScheduleText(c))});
  }
  page->Figure(
      "Layers in order", Strip(run, cost, model, compared),
      std::string("Heights above: output size, by kind (strongest: depthwise, then "
                  "dense and pointwise convolutions, others pale). C, M, F: bound by compute, "
                  "memory, instruction fetch. Layers without a gap run as one program.") +
          (compared ? " Dashed: the default accelerator." : ""),
      "layers", ParseDataTable(csv), "wide");
  page->body += "<div class=\"two\">";
  const bool other_roof = compared && (design.bus_bits() != run.reference->bus_bits() ||
                                       design.macs_per_cycle() != run.reference->macs_per_cycle());
  page->Figure("Roofline", Roofline(run, cost, design, model, other_roof),
               std::string("Circles are bound by compute, squares by memory, triangles by "
                           "instruction fetch; programs without multiply-accumulates are left "
                           "out.") +
                   (other_roof ? " Dashed: the default's roof." : ""),
               "", DataTable());
  if (cost.energy.total_pj() > 0) {
    DataTable data;
    const std::string bars = EnergyBars(run, cost, compared, &data);
    page->Figure("Where the energy goes", bars, "", "energy", data);
  }
  page->body += "</div><details><summary>All " + std::to_string(run.layers.size()) +
                " layers as a table</summary>";
  page->Table(
      {"layer", "kind", "shape", "MACs", "cycles", "energy", "DRAM bytes", "bound", "schedule"},
      rows);
  page->body += "</details>";
  page->End();
}

}  // namespace rhnas::search
