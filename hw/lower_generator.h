// The instructions of one program, front to back: the nest of tiles, tokens, loads, multiplies, and
// for each tile the ALU and the stores. Lower's inside.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "hw/lower.h"
#include "hw/micro_op_set.h"

namespace rhnas::hw {

// The layers of a chain by their part in its work.
struct ChainParts {
  explicit ChainParts(const std::vector<Layer>& chain);
  Layer array;  // a convolution with a shuffle behind it: without groups
  const Layer* shuffle = nullptr;
  const Layer* window = nullptr;  // behind the array part
  const Layer* add = nullptr;     // behind the array part
};

class Generator {
 public:
  // Writes lowered->program's micro-ops and instructions. REQUIRES: maps placed; plan.ok.
  Generator(const Config& config, const TileLayout& layout, const MicroOpPlan& plan,
            LoweredProgram* lowered);
  // False: more instructions than a launch takes.
  bool Run();
  // The largest size or stride of a transfer; programs of more than 65535 are not to be used.
  int64_t widest() const { return widest_; }
  // Zeros that loads read, behind the maps.
  int64_t zero_elements() const { return zero_elements_; }

 private:
  struct TileRef {
    int image = 0, row = 0, col = 0, out = 0;
  };
  struct Tile {
    TileRef at;
    Span row, col;
    int outs = 1;
    int64_t last_compute = 0;  // its last instruction on the array or the ALU
    int place = 0;             // of its residual
  };
  // Tokens that one unit posts to another, numbered from 1.
  struct TokenLine {
    int64_t posted = 0, taken = 0;
  };
  // Accumulators an instruction walks: rows `pitch` apart, columns out_split.
  struct Walk {
    int rows, cols;
    int64_t pitch;
  };
  using Immediates = std::vector<std::pair<AluOp, int>>;

  // Instructions.
  int64_t size() const { return static_cast<int64_t>(program_.instructions.size()); }
  Instruction& At(int64_t index) { return program_.instructions[static_cast<size_t>(index)]; }
  Instruction& Add(Opcode op);
  Instruction& Transfer(Opcode op, MemoryId memory, int64_t sram, int64_t dram, int64_t y,
                        int64_t x, int64_t stride = -1);
  // A factor; one that no iteration uses is left out where its field does not hold it.
  static uint32_t Factor(int64_t count, int64_t value, int bits) {
    return count == 1 && value >> bits != 0 ? 0 : static_cast<uint32_t>(value);
  }

  // Tokens. Take: what comes next must wait for token `number`; true: it takes one itself.
  void TakeInNop(TokenLine* line, MemoryId unit);
  bool Take(TokenLine* line, int64_t number, MemoryId unit);

  // The nest.
  bool Nest();
  void Group(const TileRef* tiles, int contexts);
  void Bind(const TileRef& at, int c);
  Span RowSpan(const TileRef& at, int tap) const;

  // One step: loads, multiply.
  void Step(int c, int step);
  void LoadInputs(const Tile& tile, int first, int count, int64_t sram, int64_t token);
  Instruction& LoadWindow(const MapLayout& map, int64_t image, int64_t unit, const Span& row,
                          const Span& col, int64_t sram);
  void LoadWeights(const Tile& tile, int first, int ins, int64_t sram, int64_t token);
  void LoadResidual(int c, Tile* tile);
  void Multiply(int c, int step, int ins, bool loads, Tile* tile);
  // Input units that one in DRAM is loaded as: one, or one a kernel row.
  int split_taps() const { return tiling_.split_rows ? parts_.array.r : 1; }

  // The rest of a tile (lower_alu.cc).
  void MakeEpilogues();
  Immediates Clip(bool relu) const;
  void ClearPadding();
  void Begin(int c);
  void End(int c);
  void Window(int c, Tile* tile);
  void SumOfAll(int c, Tile* tile);
  void AddResidual(int c, Tile* tile);
  void Store(int c, const Tile& tile);
  Walk Outputs(const Tile& tile) const {
    return {tile.row.outs, tile.col.outs, int64_t{tile.col.outs} * work_.out_split};
  }
  Walk Mids(const Tile& tile) const {
    return {tile.row.mids, tile.col.mids, int64_t{layout_.mid_cols} * work_.out_split};
  }
  int64_t FirstUnit(const Tile& tile) const {
    return copy_ * work_.out_units + int64_t{tile.at.out} * tiling_.tco;
  }
  void Iterate(const Walk& dst, int64_t begin, const Tile& tile, Instruction* in) const;
  void Reset(const Tile& tile, const Walk& walk, int64_t begin, bool pop);
  // Results go where `walk` says; sources are there too (an immediate) or src_pitch, src_step
  // apart.
  Instruction& Alu(Tile* tile, AluOp op, const Walk& walk, int64_t begin, int64_t src_pitch,
                   int64_t src_step);
  void Immediate(Tile* tile, AluOp op, int imm, const Walk& walk, int64_t begin);
  void Run(const Immediates& immediates, Tile* tile, const Walk& walk, int64_t begin);
  void Copy(Tile* tile, const Walk& walk, int64_t begin, int64_t src_pitch, int64_t src_step);

  LoweredProgram& lowered_;
  Program& program_;
  const ChainParts parts_;
  const Work& work_;
  const Tiling& tiling_;
  const TileLayout& layout_;
  const MicroOpPlan& plan_;
  const Encoding encoding_;
  const MicroOpSet uops_;
  const Cut outs_, rows_, cols_;
  // Input units of each output unit, `source_count_` each, where they are not simply its own.
  std::vector<int> sources_;
  int source_count_ = 0;
  Immediates filled_ops_, out_ops_, residual_ops_;
  int64_t zeros_ = 0, zero_elements_ = 0;
  int64_t copy_ = 0, widest_ = 0;
  Tile tile_[2];
  TokenLine used_, stored_;  // from multiplies to loads, from stores to compute
  // The token after which a part of a scratchpad is free, by context or half; residual: and place.
  int64_t input_token_[2] = {0, 0}, weight_token_[2] = {0, 0}, store_token_[2] = {0, 0};
  int64_t residual_token_[2][2] = {{0, 0}, {0, 0}};
  int place_[2] = {0, 0};
  bool load_weights_ = false, load_inputs_ = false;  // the resident operand comes next
  int half_ = 1;
  int64_t last_post_ = 0;  // the instruction that posted the last token to the stores
};

}  // namespace rhnas::hw
