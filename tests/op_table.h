// The operation table: one row per operation and shape gives the test of its value against a
// double-precision reference, the test of its gradient against central differences of that
// reference, the test that every target gives the same bits, and its bench entry. An operation of
// engine/ops.h without a row fails tests/engine_ops_test.cc. The rows: tests/op_rows.h.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "engine/chain_internal.h"
#include "engine/conv.h"
#include "engine/ops.h"
#include "tests/op_reference.h"

namespace rhnas::engine {

struct OpInput {
  Shape shape;
  double low = -2, high = 2;
  std::vector<double> kinks;  // values kept at least 0.01 away from: no derivative there
  bool distinct = false;      // no two elements closer than a share of the range (max, argmax)
};

struct OpRow {
  using Values = std::vector<reference::Doubles>;

  std::string name;     // as in engine/ops.h
  std::string variant;  // what is special about this row
  std::vector<OpInput> inputs;
  std::function<Var(Tape&, const std::vector<Var>&)> build;
  std::function<reference::Doubles(const Values&)> reference;
  double tolerance = 2e-6;  // relative to 1 + |value|; gradients: ten times that
  // Where the gradient is not that of the value (straight-through, gates): the function whose
  // gradient it is; `base` holds the undisturbed inputs.
  std::function<reference::Doubles(const Values& inputs, const Values& base)> gradient_reference;
  bool same_bits_on_all_targets = true;  // products are not: the baseline has no fused multiply-add
};

// Small ragged shapes to test, or one large shape a row to bench.
enum class OpSize { kTest, kBench };
std::vector<OpRow> OpRows(OpSize size);

// Input values in the row's ranges, away from kinks.
inline std::vector<std::vector<float>> DrawInputs(const OpRow& row, Rng rng) {
  std::vector<std::vector<float>> values;
  for (const OpInput& input : row.inputs) {
    const int size = static_cast<int>(input.shape.size());
    std::vector<int> order(static_cast<size_t>(size));
    if (input.distinct) rng.Permutation(size, order.data());
    std::vector<float> v;
    for (int i = 0; i < size; ++i) {
      const double u =
          input.distinct ? (order[static_cast<size_t>(i)] + 0.5) / size : double{rng.Uniform()};
      double x = input.low + (input.high - input.low) * u;
      for (double kink : input.kinks) {
        if (std::abs(x - kink) < 0.01) x = kink + (x < kink ? -0.01 : 0.01);
      }
      v.push_back(static_cast<float>(x));
    }
    values.push_back(std::move(v));
  }
  return values;
}

}  // namespace rhnas::engine

#include "tests/op_rows.h"
