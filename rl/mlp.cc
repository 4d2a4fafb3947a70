#include "rl/mlp.h"

#include <cmath>

#include "engine/check.h"
#include "engine/ops.h"

namespace rhnas::rl {

namespace {

// Fills weight [in, out] with `gain` times a matrix whose shorter side is orthonormal: modified
// Gram-Schmidt, in double, over vectors of normal numbers.
void Orthogonal(int in, int out, double gain, engine::Rng& rng, float* weight) {
  const int vectors = in < out ? in : out, length = in < out ? out : in;
  std::vector<double> basis(static_cast<size_t>(vectors) * static_cast<size_t>(length));
  auto vector = [&](int i) { return basis.data() + static_cast<ptrdiff_t>(i) * length; };
  for (int i = 0; i < vectors; ++i) {
    double* v = vector(i);
    double norm = 0;
    do {
      for (int k = 0; k < length; ++k) v[k] = static_cast<double>(rng.Normal());
      for (int j = 0; j < i; ++j) {
        double dot = 0;
        for (int k = 0; k < length; ++k) dot += v[k] * vector(j)[k];
        for (int k = 0; k < length; ++k) v[k] -= dot * vector(j)[k];
      }
      norm = 0;
      for (int k = 0; k < length; ++k) norm += v[k] * v[k];
      norm = std::sqrt(norm);
    } while (norm < 1e-3);  // nearly dependent on those before: draw again
    for (int k = 0; k < length; ++k) v[k] /= norm;
  }
  for (int i = 0; i < in; ++i) {
    for (int o = 0; o < out; ++o) {
      weight[i * out + o] = static_cast<float>(gain * (in < out ? vector(i)[o] : vector(o)[i]));
    }
  }
}

}  // namespace

Mlp::Mlp(const std::string& name, const MlpOptions& options, engine::Rng& rng) : options_(options) {
  RHNAS_CHECK(options.inputs >= 0 && options.outputs >= 1 && options.layers >= 0 &&
                  (options.layers == 0 || options.hidden >= 1),
              "%d inputs, %d layers of %d, %d outputs", options.inputs, options.layers,
              options.hidden, options.outputs);
  int in = options.inputs > 0 ? options.inputs : 1;
  for (int layer = 0; layer <= options.layers; ++layer) {
    const bool last = layer == options.layers;
    const int out = last ? options.outputs : options.hidden;
    const std::string number = std::to_string(layer);
    auto weight =
        std::make_unique<engine::Parameter>(name + "/weight" + number, engine::Shape(in, out));
    auto bias = std::make_unique<engine::Parameter>(name + "/bias" + number, engine::Shape(out));
    bias->decay = false;
    const double gain = last ? static_cast<double>(options.output_gain) : std::sqrt(2.0);
    Orthogonal(in, out, gain, rng, weight->value.data());
    parameters_.push_back(std::move(weight));
    parameters_.push_back(std::move(bias));
    in = out;
  }
}

engine::Var Mlp::Forward(engine::Tape& tape, const float* observations, int rows) {
  RHNAS_CHECK(rows >= 1, "%d rows", rows);
  engine::Var x;
  if (options_.inputs > 0) {
    x = tape.Constant(engine::Shape(rows, options_.inputs), observations);
  } else {
    const std::vector<float> ones(static_cast<size_t>(rows), 1.0f);
    x = tape.Constant(engine::Shape(rows, 1), ones.data());
  }
  for (size_t i = 0; i < parameters_.size(); i += 2) {
    const engine::Var weight = tape.Leaf(*parameters_[i]), bias = tape.Leaf(*parameters_[i + 1]);
    const bool last = i + 2 == parameters_.size();
    x = last ? engine::Linear(tape, x, weight, bias) : engine::LinearTanh(tape, x, weight, bias);
  }
  return x;
}

std::vector<engine::Parameter*> Mlp::parameters() {
  std::vector<engine::Parameter*> pointers;
  for (const auto& parameter : parameters_) pointers.push_back(parameter.get());
  return pointers;
}

void Mlp::Save(engine::ArchiveWriter& archive, const std::string& prefix) const {
  for (const auto& parameter : parameters_) {
    archive.PutBuffer(prefix + parameter->name, parameter->value);
  }
}

void Mlp::Load(engine::ArchiveReader& archive, const std::string& prefix) {
  for (const auto& parameter : parameters_) {
    archive.GetBuffer(prefix + parameter->name, &parameter->value);
  }
}

}  // namespace rhnas::rl
