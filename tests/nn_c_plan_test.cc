// The arena's plan: an account of who owns each byte as rows are read and written, and networks
// whose memory is known.
#include "nn/c_plan.h"

#include <gtest/gtest.h>

#include "tests/int_graphs.h"

namespace rhnas::nn {
namespace {

using Window = IntGraphMaker::Window;

// Runs a plan with owners in place of values: a byte belongs to the map, and to the place in it,
// that wrote it last. Every byte that a step reads must still belong to its input.
class Account {
 public:
  Account(const IntGraph& graph, const CPlan& plan)
      : graph_(graph), plan_(plan), owner_(static_cast<size_t>(plan.arena_bytes), {-1, 0}) {}

  // Empty, or what is wrong.
  std::string Run() {
    for (const CStep& step : plan_.steps) {
      const std::string wrong = RunStep(step);
      if (!wrong.empty()) return "step of node " + std::to_string(step.node) + ": " + wrong;
    }
    return "";
  }

 private:
  const Node& At(int node) const { return graph_.nodes[static_cast<size_t>(node)].node; }

  std::string RunStep(const CStep& step) {
    const Node& node = At(step.conv >= 0 ? step.conv : step.node);
    for (int y = 0; y < node.oh; ++y) {
      for (int x = 0; x < node.ow; ++x) {
        std::string wrong;
        switch (node.kind) {
          case NodeKind::kInput:
            break;
          case NodeKind::kConv:
          case NodeKind::kMaxPool:
          case NodeKind::kAvgPool:
            wrong = Read(step.inputs[0], y * node.stride - node.pad, x * node.stride - node.pad,
                         node.r, node.s);
            break;
          case NodeKind::kShuffle:
            wrong = Read(step.inputs[0], y, x, 1, 1);
            break;
          case NodeKind::kSubsample:
            wrong = Read(step.inputs[0], y * node.stride, x * node.stride, 1, 1);
            break;
          case NodeKind::kAdd:
            break;
          default:
            for (int input : step.inputs) {
              if (wrong.empty()) wrong = Read(input, 0, 0, At(input).oh, At(input).ow);
            }
        }
        if (!wrong.empty()) return wrong;
        for (int k = 0; k < node.k; ++k) {
          if (node.kind == NodeKind::kAdd) wrong = ReadByte(step.inputs[0], y, x, k);
          if (node.kind == NodeKind::kAdd && wrong.empty()) {
            wrong = ReadByte(step.inputs[1], y, x, k);
          }
          if (step.conv >= 0) wrong = ReadByte(step.inputs[1], y, x, k);
          if (!wrong.empty()) return wrong;
          wrong = WriteByte(step.node, y, x, k);
          if (!wrong.empty()) return wrong;
        }
      }
    }
    return "";
  }

  std::string Read(int map, int top, int left, int rows, int columns) const {
    for (int y = std::max(0, top); y < std::min(At(map).oh, top + rows); ++y) {
      for (int x = std::max(0, left); x < std::min(At(map).ow, left + columns); ++x) {
        for (int k = 0; k < At(map).k; ++k) {
          const std::string wrong = ReadByte(map, y, x, k);
          if (!wrong.empty()) return wrong;
        }
      }
    }
    return "";
  }

  int64_t Index(int map, int y, int x, int k) const {
    return (int64_t{y} * At(map).ow + x) * At(map).k + k;
  }

  std::string ReadByte(int map, int y, int x, int k) const {
    const int64_t index = Index(map, y, x, k), place = plan_.OffsetOf(map) + index;
    if (place < 0 || place >= plan_.arena_bytes) return "reads outside the arena";
    const Owner& owner = owner_[static_cast<size_t>(place)];
    if (owner.map == map && owner.index == index) return "";
    return "row " + std::to_string(y) + " of map " + std::to_string(map) +
           " was overwritten by map " + std::to_string(owner.map);
  }

  std::string WriteByte(int map, int y, int x, int k) {
    if (map == graph_.output) return "";
    const int64_t index = Index(map, y, x, k), place = plan_.OffsetOf(map) + index;
    if (place < 0 || place >= plan_.arena_bytes) return "writes outside the arena";
    owner_[static_cast<size_t>(place)] = {map, index};
    return "";
  }

  struct Owner {
    int map;
    int64_t index;
  };
  const IntGraph& graph_;
  const CPlan& plan_;
  std::vector<Owner> owner_;
};

TEST(CPlan, NothingIsReadAfterItWasOverwritten) {
  int64_t shared = 0, peaks = 0;
  for (uint64_t seed = 1; seed <= 120; ++seed) {
    const IntGraph graph = IntGraphMaker(seed).Chance();
    const CPlan plan = PlanC(graph);
    EXPECT_EQ(Account(graph, plan).Run(), "") << "seed " << seed;
    EXPECT_LE(plan.arena_bytes, plan.unshared_bytes) << "seed " << seed;
    shared += plan.arena_bytes;
    peaks += plan.peak_bytes;
  }
  EXPECT_LT(shared, peaks);  // most need less than what is alive at once
}

// The account sees a plan that is too tight.
TEST(CPlan, TheAccountSeesOverwrittenRows) {
  IntGraphMaker maker(1);
  maker.Dense(maker.Conv(maker.Image(8, 8, 4), 4, {}, true), 10);
  const IntGraph graph = maker.Done();
  CPlan plan = PlanC(graph);
  EXPECT_EQ(Account(graph, plan).Run(), "");
  ASSERT_EQ(plan.maps[1].offset, plan.maps[0].offset - 2 * 8 * 4);
  plan.maps[1].offset += 8 * 4;
  EXPECT_NE(Account(graph, plan).Run(), "");
}

// Two rows more than one map, where two maps would be 2 x 16 x 16 x 32 bytes.
TEST(CPlan, DepthwiseNeedsTwoRowsMoreThanItsMap) {
  IntGraphMaker maker(1);
  int x = maker.Conv(maker.Image(16, 16, 3), 32, {1, 1, 1, 0, 1}, true);
  for (int i = 0; i < 3; ++i) x = maker.Conv(x, 32, {3, 3, 1, 1, 32}, true);
  maker.Dense(maker.Pool(NodeKind::kGlobalAvgPool, x, {}), 10);
  const IntGraph graph = maker.Done();
  const CPlan plan = PlanC(graph);
  EXPECT_EQ(Account(graph, plan).Run(), "");
  EXPECT_LE(plan.arena_bytes, (16 + 3 * 2) * 16 * 32);
  EXPECT_EQ(plan.peak_bytes, 2 * 16 * 16 * 32);
}

IntGraph Resnet20() {
  IntGraphMaker maker(1);
  int x = maker.Conv(maker.Image(32, 32, 3), 16, {}, true);
  for (int width : {16, 32, 64}) {
    for (int i = 0; i < 3; ++i) {
      const int stride = i == 0 && width > 16 ? 2 : 1;
      int y = maker.Conv(x, width, {3, 3, stride, 1, 1}, true);
      y = maker.Conv(y, width, {}, false);
      x = maker.Add(y, stride == 2 ? maker.Subsample(x, 2, width) : x, true);
    }
  }
  maker.Dense(maker.Pool(NodeKind::kGlobalAvgPool, x, {}), 10);
  return maker.Done();
}

// A residual block needs its input and the map between its convolutions: the second one adds in
// place.
TEST(CPlan, Resnet20NeedsTwoMaps) {
  const IntGraph graph = Resnet20();
  const CPlan plan = PlanC(graph);
  EXPECT_EQ(Account(graph, plan).Run(), "");
  EXPECT_EQ(plan.arena_bytes, 2 * 32 * 32 * 16);
  for (const CStep& step : plan.steps) {
    EXPECT_NE(graph.nodes[static_cast<size_t>(step.node)].node.kind == NodeKind::kAdd,
              step.conv < 0);
  }
}

TEST(CPlan, WhatNobodyReadsIsLeftOut) {
  IntGraphMaker maker(1);
  const int x = maker.Conv(maker.Image(8, 8, 3), 8, {}, true);
  maker.Conv(maker.Conv(x, 8, {}, true), 8, {}, true);
  maker.Dense(x, 10);
  EXPECT_EQ(PlanC(maker.Done()).steps.size(), 3u);
}

TEST(CPlan, TheSamePlanEachTime) {
  const IntGraph graph = IntGraphMaker(5).Chance();
  const CPlan a = PlanC(graph), b = PlanC(graph);
  ASSERT_EQ(a.maps.size(), b.maps.size());
  for (size_t i = 0; i < a.maps.size(); ++i) EXPECT_EQ(a.maps[i].offset, b.maps[i].offset);
}

}  // namespace
}  // namespace rhnas::nn
