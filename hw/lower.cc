#include "hw/lower.h"

#include <algorithm>
#include <utility>

#include "hw/chain.h"
#include "hw/lower_generator.h"
#include "hw/schedule.h"

namespace rhnas::hw {
namespace {

bool Fail(std::string* why, const std::string& what) {
  if (why != nullptr) *why = what;
  return false;
}

std::string MapText(const char* name, const MapLayout& map, const Config& config, int block) {
  return std::string(name) + " [" + std::to_string(map.batches) + "][" + std::to_string(map.units) +
         "][" + std::to_string(map.rows) + "][" + std::to_string(map.cols) + "][" +
         std::to_string(map.split) + "][" + std::to_string(config.batch()) + "][" +
         std::to_string(block) + "]";
}

// REQUIRES: lowered->work.
void PlaceMaps(const Config& config, LoweredProgram* lowered) {
  const ChainParts parts(lowered->chain);
  const Layer& layer = parts.array;
  const Work& work = lowered->work;
  const int unit = work.unit_bytes / config.batch();
  MapLayout& in = lowered->input;
  in.batches = work.batches;
  in.units = (layer.c + unit - 1) / unit;
  in.rows = layer.h;
  in.cols = work.one_load ? layer.w : work.in_cols;
  in.border = (in.cols - layer.w) / 2;
  in.split = work.in_split;
  MapLayout& out = lowered->output;
  out.batches = work.batches;
  out.units = work.copies * work.out_units;
  out.rows = work.rows;
  out.cols = work.cols;
  out.split = work.out_split;
  MapLayout& residual = lowered->residual;
  if (layer.kind == LayerKind::kAdd || work.residual) {
    residual = out;
    residual.split = work.in_split;
    residual.base = in.elements();
  } else {
    residual.batches = 0;
  }
}

void PlaceTensors(const TileLayout& layout, int64_t zeros, LoweredProgram* lowered) {
  const Work& work = lowered->work;
  Program& program = lowered->program;
  const Config& config = program.config;
  const auto place = [&program](const char* name, MemoryId memory, int64_t elements,
                                std::string text) {
    if (elements == 0) return;
    int64_t& size = program.region(memory);
    program.tensors.push_back({name, memory, size, elements, std::move(text)});
    size += elements;
  };
  program.elements = {};
  program.region(MemoryId::kUop) = static_cast<int64_t>(program.uops.size());
  const int in = config.block_in(), out = config.block_out();
  place("input", MemoryId::kInp, lowered->input.elements(),
        MapText("[image][unit][row][column][block][batch][channel]", lowered->input, config, in));
  place("residual", MemoryId::kInp, lowered->residual.elements(),
        MapText("as input", lowered->residual, config, in));
  place("zeros", MemoryId::kInp, zeros, "zeros");
  const int64_t units = work.copies * work.out_units;
  const int64_t weights =
      work.constant_weights ? work.pair_uops : units * work.in_units * layout.filter;
  place("weights", MemoryId::kWgt, weights,
        work.constant_weights
            ? "[block pair][out][in], the same for all units and taps"
            : "[unit out][unit in][row][column][block pair][out][in] [" + std::to_string(units) +
                  "][" + std::to_string(work.in_units) + "][" +
                  std::to_string(layout.rows.array_taps) + "][" +
                  std::to_string(layout.cols.array_taps) + "][" + std::to_string(work.pair_uops) +
                  "][" + std::to_string(out) + "][" + std::to_string(in) + "]");
  if (work.residual) place("identity", MemoryId::kWgt, work.residual_uops, "[block pair][out][in]");
  place("bias", MemoryId::kAcc, units * layout.bias_unit,
        "[unit][biases, taps of the filter][block][batch][channel] [" + std::to_string(units) +
            "][" + std::to_string(layout.bias_unit / std::max(1, work.out_blocks)) + "][" +
            std::to_string(work.out_blocks) + "][" + std::to_string(config.batch()) + "][" +
            std::to_string(out) + "]");
  place("output", MemoryId::kOut, lowered->output.elements(),
        MapText("[image][unit][row][column][block][batch][channel]", lowered->output, config, out));
}

// Takes the larger of each field that has a width of its own for a configuration.
void Widen(const Instruction& in, Instruction* most) {
  const auto take = [](uint32_t value, uint32_t* field) { *field = std::max(*field, value); };
  take(in.sram, &most->sram);
  take(in.uop_begin, &most->uop_begin);
  take(in.uop_end, &most->uop_end);
  take(in.acc_0, &most->acc_0);
  take(in.acc_1, &most->acc_1);
  take(in.inp_0, &most->inp_0);
  take(in.inp_1, &most->inp_1);
  take(in.wgt_0, &most->wgt_0);
  take(in.wgt_1, &most->wgt_1);
  most->lp0 = std::max(most->lp0, in.lp0);
  most->lp1 = std::max(most->lp1, in.lp1);
  const int pads[] = {in.y_pad_0, in.y_pad_1, in.x_pad_0, in.x_pad_1};
  for (const int pad : pads) most->x_pad_0 = std::max(most->x_pad_0, static_cast<uint8_t>(pad));
}

bool CheckEncoding(const Program& program, std::string* why) {
  const Encoding encoding(program.config, program.isa);
  Word128 word;
  uint64_t uop_word = 0;
  // If the largest of every field fits, all do.
  Instruction most[5];
  for (const Instruction& in : program.instructions) {
    Instruction& one = most[static_cast<size_t>(in.op)];
    if (in.op == Opcode::kAlu && in.alu > one.alu) one.alu = in.alu;
    Widen(in, &one);
  }
  bool fits = true;
  for (size_t op = 0; op < 5; ++op) {
    most[op].op = static_cast<Opcode>(op);
    if (most[op].op == Opcode::kStore) most[op].memory = MemoryId::kOut;
    fits = fits && Encode(encoding, most[op], &word, nullptr);
  }
  MicroOp largest;
  for (const MicroOp& uop : program.uops) {
    largest.acc = std::max(largest.acc, uop.acc);
    largest.inp = std::max(largest.inp, uop.inp);
    largest.wgt = std::max(largest.wgt, uop.wgt);
  }
  if (fits && EncodeMicroOp(encoding, largest, &uop_word, nullptr)) return true;
  std::string what;
  for (const Instruction& in : program.instructions) {
    if (!Encode(encoding, in, &word, &what)) return Fail(why, what);
  }
  for (const MicroOp& uop : program.uops) {
    if (!EncodeMicroOp(encoding, uop, &uop_word, &what)) return Fail(why, what);
  }
  return true;
}

// The work of a chain in the form that the tiling asks for, and the tiling clipped to it.
bool MakeTiledWork(const std::vector<Layer>& chain, const Config& config, const Tiling& asked,
                   Work* work, Tiling* tiling, std::string* why) {
  const int count = static_cast<int>(chain.size());
  if (!MakeChainWork(chain.data(), count, config, work, why)) return false;
  const std::string name = "layer " + chain[0].name;
  if ((asked.on_alu && !(count == 1 && chain[0].depthwise() && config.clp)) ||
      (asked.split_rows && !Splits(*work))) {
    return Fail(why, name + " with tiling " + asked.ToString() + ": it has no such form");
  }
  if (asked.on_alu) *work = OnAlu(*work);
  if (asked.split_rows) *work = SplitRows(*work);
  *tiling = asked;
  for (int* size : {&tiling->th, &tiling->tw, &tiling->tco, &tiling->tci}) {
    if (*size < 1) return Fail(why, name + ": tile sizes start at 1");
  }
  tiling->th = std::min(tiling->th, work->rows);
  tiling->tw = std::min(tiling->tw, work->cols);
  tiling->tco = std::min(tiling->tco, work->out_units);
  tiling->tci = std::min(tiling->tci, work->in_units);
  tiling->vthreads = tiling->vthreads >= 2 ? 2 : 1;
  return true;
}

constexpr int64_t kMostAveraged = 32767;  // its multiplier is 0 above

std::string TooManyInstructions() {
  return "instructions of a launch: need more than " + std::to_string(kMaxInstructions) +
         ", have " + std::to_string(kMaxInstructions) + " (4 MiB)";
}

}  // namespace

Config ConfigFor(const Config& config, Isa isa) {
  constexpr int kStockLogMicroOpBytes = 13;
  Config view = config;
  if (isa == Isa::kStock) {
    view.clp = false;
    view.log_uop_buff = std::min(view.log_uop_buff, kStockLogMicroOpBytes);
  }
  return view;
}

bool Lower(const Layer& layer, const Config& config, const Tiling& tiling,
           const LowerOptions& options, LoweredProgram* lowered, std::string* why) {
  return LowerChain({layer}, config, tiling, options, lowered, why);
}

bool LowerChain(const std::vector<Layer>& chain, const Config& config, const Tiling& tiling,
                const LowerOptions& options, LoweredProgram* lowered, std::string* why) {
  if (chain.empty()) return Fail(why, "no layer to lower");
  const Config view = ConfigFor(config, options.isa);
  std::string name = chain[0].name;
  for (size_t i = 1; i < chain.size(); ++i) name += "+" + chain[i].name;
  const auto refuse = [&](const std::string& what) {
    return Fail(why, "layer " + name + " with tiling " + tiling.ToString() + ": " + what);
  };
  *lowered = LoweredProgram();
  lowered->chain = chain;
  lowered->options = options;
  if (!MakeTiledWork(chain, view, tiling, &lowered->work, &lowered->tiling, why)) return false;
  const Work& work = lowered->work;
  if (options.isa == Isa::kStock && view.batch() > 1) {
    return refuse("BATCH " + std::to_string(view.batch()) +
                  ": the stock ALU works on one image at a time");
  }
  if (options.shift < 0 || options.shift > 31) {
    return refuse("shift " + std::to_string(options.shift) + ", have 0 to 31");
  }
  for (const Layer& layer : chain) {
    const bool average =
        layer.kind == LayerKind::kAvgPool || layer.kind == LayerKind::kGlobalAvgPool;
    if (average && AverageTaps(layer) > kMostAveraged) {
      return refuse("average of " + std::to_string(AverageTaps(layer)) + " pixels, have at most " +
                    std::to_string(kMostAveraged));
    }
  }
  std::string what;
  const Machine machine(work, view, MemoryModel::kQueued);
  const PixelCut rows = CutRows(work, lowered->tiling.th);
  const PixelCut cols = CutCols(work, lowered->tiling.tw);
  if (!Fits(machine, lowered->tiling, Measure(machine, lowered->tiling, rows, cols), &what)) {
    return refuse(what);
  }
  // A tile has four instructions or more; before anything is listed tile by tile.
  const double tiles = static_cast<double>(work.batches) * static_cast<double>(work.copies) *
                       rows.cut.tiles() * cols.cut.tiles() *
                       CutInto(work.out_units, lowered->tiling.tco).tiles();
  if (4 * tiles > static_cast<double>(kMaxInstructions)) return refuse(TooManyInstructions());
  const TileLayout layout(work, lowered->tiling);
  const MicroOpPlan plan = PlanMicroOps(work, view, lowered->tiling, layout, machine.uop_depth);
  if (!plan.ok) {
    return refuse("micro-ops: need " + std::to_string(plan.total) + ", have " +
                  std::to_string(machine.uop_depth));
  }
  Program& program = lowered->program;
  program.config = config;
  program.isa = options.isa;
  program.title = name + " " + lowered->tiling.ToString();
  PlaceMaps(view, lowered);
  Generator generator(view, layout, plan, lowered);
  if (!generator.Run()) {
    return refuse(TooManyInstructions());
  }
  PlaceTensors(layout, generator.zero_elements(), lowered);
  if (generator.widest() > 65535) {
    return refuse("elements in a row of a transfer: need " + std::to_string(generator.widest()) +
                  ", have 65535");
  }
  for (const int64_t elements : program.elements) {
    if (elements > int64_t{1} << 32) {
      return refuse("elements of a DRAM region: need " + std::to_string(elements) + ", have 2^32");
    }
  }
  return CheckEncoding(program, &what) || refuse(what);
}

}  // namespace rhnas::hw
