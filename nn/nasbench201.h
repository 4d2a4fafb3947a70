// NAS-Bench-201's networks (Dong and Yang, ICLR 2020, arXiv 2001.00326, section 2.1): one cell, the
// same everywhere, of four nodes and an operation on each of its six edges; 15,625 cells, whose
// accuracies are published (search/nb201_problem.h).
//
//   stem 3x3 to 16 - 5 cells - reduction to 32 - 5 cells - reduction to 64 - 5 cells - batch norm,
//   ReLU, global average pool, classifier; batch norm, but no activation after the stem. Reduction:
//   ReLU, 3x3 at stride 2, batch norm, ReLU, 3x3, batch norm; plus 2x2 average and 1x1 without
//   batch norm. Convolution of a cell: ReLU, convolution, batch norm.
//
// Text form, with the benchmark's own string of a cell:
//   nasbench201:|nor_conv_3x3~0|+|none~0|skip_connect~1|+|skip_connect~0|none~1|avg_pool_3x3~2|
//   nasbench201@cifar100:|..|    @imagenet16 (16x16, 120 classes), @cifar10 (the default)
//   nasbench201@cifar100,dead:|..|    edges that the output does not see run as well
//
// What runs (LayersOf): the edges on a path from the cell's input to its output, as a compiler
// would leave them; a cell without any puts out a constant. A skip is no layer but the map that it
// reads. A node of several inputs is a chain of additions, each chained to the layer that makes its
// second input. ReLU runs where its map is made, if every reader wants it; else the map is made as
// it is and a layer "relu" copies it (a 1x1 max pool: the same program, with 0 in place of -128).
// The last batch norm is a 1x1 depthwise convolution. No chain crosses from a cell into the next
// layer, so cells' costs add up (search/joint_costs.h).
//
// As a Space it is a fixed network of the blocks kNasCell, kNasReduction, kNasHead. Not here:
// training it, and searching it with shared weights.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/status.h"
#include "nn/space.h"

namespace rhnas::nn {

// In the order of the benchmark's own list.
enum class CellOperation { kNone, kSkip, kConv1x1, kConv3x3, kAvgPool };
inline constexpr int kCellOperations = 5;
inline constexpr int kCellEdges = 6;
inline constexpr int kCellCount = 15625;
const char* CellOperationName(int operation);  // "nor_conv_3x3"

// An operation on each edge: 0-1, 0-2, 1-2, 0-3, 1-3, 2-3, as the string has them.
using Cell = std::array<int8_t, kCellEdges>;
std::string CellText(const Cell& cell);
// Exactly the form above; an error says which node or operation is wrong and lists the operations.
engine::Result<Cell> ParseCell(const std::string& text);
// 0 to kCellCount - 1, the first edge counting most. Not the benchmark's index.
int CellNumber(const Cell& cell);
Cell CellOf(int number);

// Edges on a path of edges that are not `none` from the cell's input to its output.
std::array<bool, kCellEdges> LiveEdges(const Cell& cell);

struct CellData {
  const char* name;  // "cifar100"
  int resolution, classes;
};
inline constexpr int kCellDataCount = 3;
const CellData& CellDataOf(int index);  // cifar10, cifar100, imagenet16

Network MakeCellNetwork(const Cell& cell, const CellData& data, bool dead_edges = false);
// "nasbench201[@DATA][,dead]:CELL".
bool IsCellNetwork(const std::string& text);
engine::Result<Network> ParseCellNetwork(const std::string& text, const SpaceOptions& options);
// Why such a network cannot be trained here; Ok for every other space.
engine::Status CheckTrainable(const Space& space);

// Counts as published, of all edges, dead ones too. Multiply-accumulates of convolutions and
// classifier, 2 for each value of a batch norm, 1 of a ReLU, the window's size for each value of an
// average pool, (h + 1)(w + 1) for each channel of the global one.
int64_t CellFlops(const Cell& cell, const CellData& data);
int64_t CellParams(const Cell& cell, const CellData& data);

// Layers and trained weights of the three blocks (LayersOf and Params of nn/space.h come here).
std::vector<LayerShape> CellBlockLayers(const Slot& slot, const Block& block,
                                        const std::string& prefix);
int64_t CellBlockParams(const Slot& slot, const Block& block);

}  // namespace rhnas::nn
