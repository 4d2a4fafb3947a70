// The rows of the operation table. Included by tests/op_table.h.
#pragma once

#include <memory>

namespace rhnas::engine {

namespace op_rows {

using reference::Doubles;
using Values = OpRow::Values;
using Vars = std::vector<Var>;

// Shapes with ragged channel counts: below, at and across vector widths; the last two have rows and
// elements enough for several chunks and blocks (engine/ops_internal.h).
inline std::vector<Shape> Images(OpSize size) {
  if (size == OpSize::kBench) return {Shape(32, 32, 32, 32), Shape(32, 32, 32, 24)};
  return {Shape(2, 5, 4, 1),  Shape(1, 3, 3, 3),    Shape(2, 3, 5, 13),  Shape(1, 4, 4, 16),
          Shape(2, 3, 3, 24), Shape(5, 12, 11, 13), Shape(3, 16, 15, 24)};
}

inline std::vector<Shape> Rows(OpSize size) {
  if (size == OpSize::kBench) return {Shape(256, 100)};
  return {Shape(5, 1), Shape(1, 3), Shape(4, 13), Shape(3, 16), Shape(2, 24)};
}

inline Doubles One(double x) { return Doubles{x}; }

inline void AddBinary(std::vector<OpRow>* rows, OpSize size, const std::string& name,
                      Var (*op)(Tape&, Var, Var), double (*f)(double, double), bool channels) {
  for (const Shape& shape : Images(size)) {
    OpRow row;
    row.name = name;
    row.variant = shape.ToString();
    row.inputs = {{shape, -2, 2, {}, false},
                  {channels ? Shape(shape.last()) : shape, -2, 2, {}, false}};
    row.build = [op](Tape& t, const Vars& v) { return op(t, v[0], v[1]); };
    row.reference = [f](const Values& v) { return reference::Zip(v[0], v[1], f); };
    rows->push_back(row);
  }
}

inline void AddUnary(std::vector<OpRow>* rows, OpSize size, const std::string& name,
                     std::function<Var(Tape&, Var)> op, std::function<double(double)> f, double low,
                     double high, std::vector<double> kinks, const std::string& variant = "") {
  for (const Shape& shape : Images(size)) {
    OpRow row;
    row.name = name;
    row.variant = variant + shape.ToString();
    row.inputs = {{shape, low, high, kinks, false}};
    row.build = [op](Tape& t, const Vars& v) { return op(t, v[0]); };
    row.reference = [f](const Values& v) { return reference::Map(v[0], f); };
    rows->push_back(row);
  }
}

inline void AddElementwise(std::vector<OpRow>* rows, OpSize size) {
  AddBinary(
      rows, size, "Add", Add, [](double a, double b) { return a + b; }, false);
  AddBinary(
      rows, size, "Sub", Sub, [](double a, double b) { return a - b; }, false);
  AddBinary(
      rows, size, "Mul", Mul, [](double a, double b) { return a * b; }, false);
  AddBinary(
      rows, size, "AddChannels", AddChannels, [](double a, double b) { return a + b; }, true);
  AddBinary(
      rows, size, "MulChannels", MulChannels, [](double a, double b) { return a * b; }, true);
  AddUnary(
      rows, size, "Scale", [](Tape& t, Var x) { return Scale(t, x, -1.75f); },
      [](double x) { return -1.75 * x; }, -3, 3, {});
  AddUnary(
      rows, size, "AddScalar", [](Tape& t, Var x) { return AddScalar(t, x, 2.5f); },
      [](double x) { return x + 2.5; }, -3, 3, {});
  AddUnary(
      rows, size, "Exp", [](Tape& t, Var x) { return Exp(t, x); },
      [](double x) { return std::exp(x); }, -5, 2, {});
  AddUnary(
      rows, size, "Log", [](Tape& t, Var x) { return Log(t, x); },
      [](double x) { return std::log(x); }, 0.2, 9, {});
  AddUnary(
      rows, size, "Sigmoid", [](Tape& t, Var x) { return Sigmoid(t, x); },
      [](double x) { return 1 / (1 + std::exp(-x)); }, -9, 9, {});
  AddUnary(
      rows, size, "Tanh", [](Tape& t, Var x) { return Tanh(t, x); },
      [](double x) { return std::tanh(x); }, -5, 5, {});
  AddUnary(rows, size, "Relu", [](Tape& t, Var x) { return Relu(t, x); }, reference::Relu, -3, 3,
           {0});
  AddUnary(rows, size, "Relu6", [](Tape& t, Var x) { return Relu6(t, x); }, reference::Relu6, -3, 9,
           {0, 6});
  AddUnary(rows, size, "HSwish", [](Tape& t, Var x) { return HSwish(t, x); }, reference::HSwish, -5,
           5, {-3, 3});
  AddUnary(
      rows, size, "Activate", [](Tape& t, Var x) { return Activate(t, x, Activation::kNone); },
      [](double x) { return x; }, -3, 9, {}, "none ");
  AddUnary(
      rows, size, "Activate", [](Tape& t, Var x) { return Activate(t, x, Activation::kRelu); },
      reference::Relu, -3, 9, {0}, "relu ");
  AddUnary(
      rows, size, "Activate", [](Tape& t, Var x) { return Activate(t, x, Activation::kRelu6); },
      reference::Relu6, -3, 9, {0, 6}, "relu6 ");
  AddUnary(
      rows, size, "Activate", [](Tape& t, Var x) { return Activate(t, x, Activation::kHSwish); },
      reference::HSwish, -5, 5, {-3, 3}, "hswish ");
}

inline void AddProducts(std::vector<OpRow>* rows, OpSize size) {
  struct Product {
    int m, n, k;
  };
  const std::vector<Product> products =
      size == OpSize::kBench
          ? std::vector<Product>{{512, 512, 512}}
          : std::vector<Product>{{1, 1, 1}, {5, 3, 13}, {7, 24, 16}, {2, 13, 24}};
  for (const Product& p : products) {
    for (int transposes = 0; transposes < 4; ++transposes) {
      const bool ta = (transposes & 1) != 0, tb = (transposes & 2) != 0;
      OpRow row;
      row.name = "Matmul";
      row.inputs = {{ta ? Shape(p.k, p.m) : Shape(p.m, p.k), -1, 1, {}, false},
                    {tb ? Shape(p.n, p.k) : Shape(p.k, p.n), -1, 1, {}, false}};
      row.variant = std::to_string(p.m) + "x" + std::to_string(p.k) + (ta ? "^T" : "") + " by " +
                    std::to_string(p.k) + "x" + std::to_string(p.n) + (tb ? "^T" : "");
      row.build = [ta, tb](Tape& t, const Vars& v) { return Matmul(t, v[0], v[1], ta, tb); };
      row.reference = [p, ta, tb](const Values& v) {
        return reference::Matmul(v[0], v[1], p.m, p.n, p.k, ta, tb);
      };
      row.same_bits_on_all_targets = false;
      rows->push_back(row);
    }
  }
  for (const Product& p : products) {
    for (const bool tanh : {false, true}) {
      OpRow row;
      row.name = tanh ? "LinearTanh" : "Linear";
      row.inputs = {{Shape(p.m, p.k), -1, 1, {}, false},
                    {Shape(p.k, p.n), -1, 1, {}, false},
                    {Shape(p.n), -1, 1, {}, false}};
      row.variant = std::to_string(p.m) + "x" + std::to_string(p.k) + " to " + std::to_string(p.n);
      row.build = [tanh](Tape& t, const Vars& v) {
        return tanh ? LinearTanh(t, v[0], v[1], v[2]) : Linear(t, v[0], v[1], v[2]);
      };
      row.reference = [p, tanh](const Values& v) {
        const Doubles y = reference::Zip(reference::Matmul(v[0], v[1], p.m, p.n, p.k, false, false),
                                         v[2], [](double a, double b) { return a + b; });
        return tanh ? reference::Map(y, [](double x) { return std::tanh(x); }) : y;
      };
      row.same_bits_on_all_targets = false;
      rows->push_back(row);
    }
  }
  const std::vector<ConvShape> convolutions =
      size == OpSize::kBench
          ? std::vector<ConvShape>{{32, 16, 16, 64, 64, 3, 3, 1, 1, 1},
                                   {32, 16, 16, 96, 24, 1, 1, 1, 0, 1},
                                   {32, 16, 16, 96, 96, 3, 3, 1, 1, 96}}
          : std::vector<ConvShape>{
                {2, 5, 4, 3, 13, 3, 3, 1, 1, 1},   {1, 6, 6, 13, 16, 1, 1, 1, 0, 1},
                {2, 4, 5, 16, 24, 1, 1, 2, 0, 1},  {1, 7, 6, 24, 24, 3, 3, 1, 1, 24},
                {1, 7, 7, 13, 13, 5, 5, 2, 2, 13}, {1, 8, 8, 3, 3, 7, 7, 1, 3, 3},
                {2, 4, 4, 16, 24, 1, 1, 1, 0, 2},  {1, 5, 5, 6, 9, 3, 3, 2, 1, 3},
                {1, 3, 3, 1, 1, 1, 1, 1, 0, 1},    {2, 13, 14, 16, 16, 3, 3, 1, 1, 1}};
  for (const ConvShape& s : convolutions) {
    OpRow row;
    row.name = "Conv2d";
    row.inputs = {{Shape(s.n, s.h, s.w, s.c), -1, 1, {}, false},
                  {Shape(s.r, s.s, s.c / s.groups, s.k), -1, 1, {}, false}};
    row.variant = row.inputs[0].shape.ToString() + " filter " + row.inputs[1].shape.ToString() +
                  " stride " + std::to_string(s.stride) + " groups " + std::to_string(s.groups);
    row.build = [s](Tape& t, const Vars& v) {
      Conv2dOptions options;
      options.stride = s.stride;
      options.pad = s.pad;
      options.groups = s.groups;
      return Conv2d(t, v[0], v[1], options);
    };
    row.reference = [s](const Values& v) { return reference::Conv2d(s, v[0], v[1]); };
    // Large enough for Winograd, which rounds more (engine/conv_winograd.h).
    if (s.c == 16 && s.r == 3) row.tolerance = 1e-5;
    row.same_bits_on_all_targets = false;
    rows->push_back(row);
  }
}

inline void AddBatchNorms(std::vector<OpRow>* rows, OpSize size) {
  struct Act {
    Activation activation;
    const char* name;
    double (*f)(double);
  };
  const Act acts[] = {{Activation::kNone, "none", [](double x) { return x; }},
                      {Activation::kRelu, "relu", reference::Relu},
                      {Activation::kRelu6, "relu6", reference::Relu6},
                      {Activation::kHSwish, "hswish", reference::HSwish}};
  for (const Shape& shape : Images(size)) {
    for (const Act& act : acts) {
      for (bool training : {true, false}) {
        const int c = shape.last();
        BatchNormOptions options;
        options.training = training;
        options.update_running = training;
        options.activation = act.activation;
        Doubles mean, variance;
        auto running = std::make_shared<std::vector<float>>();
        for (int j = 0; j < 2 * c; ++j) {
          const float value =
              j < c ? 0.1f * static_cast<float>(j % 5) : 1 + 0.3f * static_cast<float>(j % 3);
          running->push_back(value);
          if (!training) (j < c ? mean : variance).push_back(double{value});
        }
        OpRow row;
        row.name = "BatchNorm";
        row.variant = shape.ToString() + " " + act.name + (training ? " training" : " inference");
        // Activations are kinked in the normalised value: distinct inputs and odd gammas make it
        // unlikely that one lies within a central difference of a kink, and the seed is fixed.
        row.inputs = {{shape, -2, 2.5, {}, true},
                      {Shape(c), 1.2, 3.1, {}, false},
                      {Shape(c), 0.3, 0.9, {}, false}};
        row.build = [running, options, c](Tape& t, const Vars& v) {
          return BatchNorm(t, v[0], v[1], v[2], running->data(), running->data() + c, options);
        };
        row.reference = [mean, variance, options, f = act.f](const Values& v) {
          return reference::Map(
              reference::BatchNorm(v[0], v[1], v[2], mean, variance, double{options.epsilon}), f);
        };
        row.tolerance = 5e-6;
        rows->push_back(row);

        row.name = "BatchNormAdd";
        row.inputs.insert(row.inputs.begin() + 1, OpInput{shape, -1, 1, {}, true});
        row.build = [running, options, c](Tape& t, const Vars& v) {
          return BatchNormAdd(t, v[0], v[1], v[2], v[3], running->data(), running->data() + c,
                              options);
        };
        row.reference = [mean, variance, options, f = act.f](const Values& v) {
          Doubles sum =
              reference::BatchNorm(v[0], v[2], v[3], mean, variance, double{options.epsilon});
          for (size_t i = 0; i < sum.size(); ++i) sum[i] += v[1][i];
          return reference::Map(sum, f);
        };
        rows->push_back(row);
      }
    }
  }
}

// A block of MobileNetV2, as the fused passes compute it whatever its size, and link by link.
inline void AddConvChains(std::vector<OpRow>* rows, OpSize size) {
  struct Kind {
    const char* name;
    Shape x;
    int expansion, kernel, stride, k;
  };
  std::vector<Kind> kinds = {{"3x3", Shape(2, 4, 5, 3), 2, 3, 1, 3},
                             {"5x5 stride 2", Shape(2, 5, 4, 2), 3, 5, 2, 3}};
  if (size == OpSize::kBench) kinds = {{"3x3", Shape(64, 32, 32, 16), 6, 3, 1, 16}};
  for (const Kind& kind : kinds) {
    for (bool fused : {true, false}) {
      const int c = kind.x.last(), mid = c * kind.expansion;
      const bool residual = kind.stride == 1;
      OpRow row;
      row.name = "ConvChain";
      row.variant = std::string(kind.name) + (fused ? " fused" : " plain");
      // Gammas and betas that keep normalised values clear of the kinks, but for a few per cent.
      row.inputs = {{kind.x, -2, 2, {}, true},
                    {Shape(1, 1, c, mid), -1, 1, {}, false},
                    {Shape(mid), 0.1, 0.3, {}, false},
                    {Shape(mid), 1.2, 2.1, {}, false},
                    {Shape(kind.kernel, kind.kernel, 1, mid), -1, 1, {}, false},
                    {Shape(mid), 0.1, 0.3, {}, false},
                    {Shape(mid), 1.2, 2.1, {}, false},
                    {Shape(1, 1, mid, kind.k), -1, 1, {}, false},
                    {Shape(kind.k), 0.5, 1.5, {}, false},
                    {Shape(kind.k), -1, 1, {}, false}};
      row.build = [kind, fused, residual, mid](Tape& t, const Vars& v) {
        ConvLink links[3];
        for (size_t i = 0; i < 3; ++i) {
          links[i].filter = v[3 * i + 1];
          links[i].gamma = v[3 * i + 2];
          links[i].beta = v[3 * i + 3];
          links[i].norm.update_running = false;
          links[i].norm.activation = i < 2 ? Activation::kRelu : Activation::kNone;
        }
        links[1].conv = {kind.stride, kind.kernel / 2, mid};
        return chain::Run(t, v[0], links, 3, residual ? v[0] : Var(),
                          fused ? chain::Passes::kFused : chain::Passes::kPlain);
      };
      row.reference = [kind, residual, c, mid](const Values& v) {
        ConvShape expand{kind.x.dim[0], kind.x.dim[1], kind.x.dim[2], c, mid, 1, 1, 1, 0, 1};
        ConvShape depthwise = expand;
        depthwise.c = depthwise.groups = mid;
        depthwise.r = depthwise.s = kind.kernel;
        depthwise.stride = kind.stride;
        depthwise.pad = kind.kernel / 2;
        ConvShape project{expand.n, depthwise.oh(), depthwise.ow(), mid, kind.k, 1, 1, 1, 0, 1};
        const double epsilon = double{BatchNormOptions().epsilon};
        Doubles y = reference::Conv2d(expand, v[0], v[1]);
        y = reference::Map(reference::BatchNorm(y, v[2], v[3], {}, {}, epsilon), reference::Relu);
        y = reference::Conv2d(depthwise, y, v[4]);
        y = reference::Map(reference::BatchNorm(y, v[5], v[6], {}, {}, epsilon), reference::Relu);
        y = reference::Conv2d(project, y, v[7]);
        y = reference::BatchNorm(y, v[8], v[9], {}, {}, epsilon);
        for (size_t i = 0; residual && i < y.size(); ++i) y[i] += v[0][i];
        return y;
      };
      row.tolerance = 1e-5;
      row.same_bits_on_all_targets = false;
      rows->push_back(row);
    }
  }
}

// A block of ResNet: dense links, and an activation after the residual sum.
inline void AddResidualChains(std::vector<OpRow>* rows, OpSize size) {
  const Shape image = size == OpSize::kBench ? Shape(64, 32, 32, 16) : Shape(2, 5, 4, 3);
  const int c = image.last();
  OpRow row;
  row.name = "ConvChain";
  row.variant = "residual block";
  const OpInput filter{Shape(3, 3, c, c), -1, 1, {}, false}, gamma{Shape(c), 0.5, 1.5, {}, false},
      beta{Shape(c), -1, 1, {}, false};
  row.inputs = {{image, -2, 2, {}, true}, filter, gamma, beta, filter, gamma, beta};
  row.build = [](Tape& t, const Vars& v) {
    ConvLink links[2];
    for (size_t i = 0; i < 2; ++i) {
      links[i].filter = v[3 * i + 1];
      links[i].conv = {1, 1, 1};
      links[i].gamma = v[3 * i + 2];
      links[i].beta = v[3 * i + 3];
      links[i].norm.update_running = false;
      links[i].norm.activation = Activation::kRelu;
    }
    return ConvChain(t, v[0], links, 2, v[0]);
  };
  row.reference = [image, c](const Values& v) {
    const ConvShape conv{image.dim[0], image.dim[1], image.dim[2], c, c, 3, 3, 1, 1, 1};
    const double epsilon = double{BatchNormOptions().epsilon};
    Doubles y = reference::Conv2d(conv, v[0], v[1]);
    y = reference::Map(reference::BatchNorm(y, v[2], v[3], {}, {}, epsilon), reference::Relu);
    y = reference::Conv2d(conv, y, v[4]);
    y = reference::BatchNorm(y, v[5], v[6], {}, {}, epsilon);
    for (size_t i = 0; i < y.size(); ++i) y[i] += v[0][i];
    return reference::Map(y, reference::Relu);
  };
  row.tolerance = 1e-5;
  row.same_bits_on_all_targets = false;
  rows->push_back(row);
}

inline void AddSoftmaxes(std::vector<OpRow>* rows, OpSize size) {
  for (const Shape& shape : Rows(size)) {
    const auto c = static_cast<size_t>(shape.last());
    for (int masking = 0; masking < 3; ++masking) {  // none, one row for all, a row each
      std::vector<uint8_t> mask;
      const int64_t mask_rows = masking == 2 ? shape.rows() : 1;
      if (masking > 0) {
        for (int64_t i = 0; i < mask_rows * shape.last(); ++i) {
          mask.push_back(i % shape.last() == 0 || (i * 7 + masking) % 3 != 0);
        }
      }
      const char* names[] = {"", " mask", " mask per row"};
      OpRow row;
      row.name = "Softmax";
      row.variant = shape.ToString() + names[masking];
      row.inputs = {{shape, -4, 4, {}, false}};
      row.build = [mask, mask_rows](Tape& t, const Vars& v) {
        return Softmax(t, v[0], mask.empty() ? nullptr : mask.data(), mask_rows);
      };
      row.reference = [c, mask](const Values& v) { return reference::Softmax(v[0], c, mask); };
      rows->push_back(row);
      row.name = "LogSoftmax";
      row.build = [mask, mask_rows](Tape& t, const Vars& v) {
        return LogSoftmax(t, v[0], mask.empty() ? nullptr : mask.data(), mask_rows);
      };
      row.reference = [c, mask](const Values& v) { return reference::LogSoftmax(v[0], c, mask); };
      rows->push_back(row);
    }
    std::vector<int32_t> labels;
    for (int i = 0; i < shape.dim[0]; ++i) labels.push_back((i * 5 + 2) % shape.last());
    for (float smoothing : {0.0f, 0.1f}) {
      OpRow row;
      row.name = "CrossEntropy";
      row.variant = shape.ToString() + (smoothing > 0 ? " smoothed" : "");
      row.inputs = {{shape, -4, 4, {}, false}};
      row.build = [labels, smoothing](Tape& t, const Vars& v) {
        return CrossEntropy(t, v[0], labels.data(), smoothing);
      };
      row.reference = [labels, smoothing](const Values& v) {
        return One(reference::CrossEntropy(v[0], labels, double{smoothing}));
      };
      rows->push_back(row);
    }
    std::vector<float> noise;
    Rng rng(11);
    for (int64_t i = 0; i < shape.size(); ++i) noise.push_back(rng.Gumbel());
    for (bool hard : {false, true}) {
      for (float temperature : {5.0f, 0.7f}) {
        const auto soft = [noise, temperature, c](const Values& v) {
          Doubles x = v[0];
          for (size_t i = 0; i < x.size(); ++i)
            x[i] = (x[i] + double{noise[i]}) / double{temperature};
          return reference::Softmax(x, c);
        };
        OpRow row;
        row.name = "GumbelSoftmax";
        row.variant =
            shape.ToString() + (hard ? " hard" : " soft") + (temperature > 1 ? " warm" : " cool");
        row.inputs = {{shape, -2, 2, {}, true}};
        row.build = [noise, temperature, hard](Tape& t, const Vars& v) {
          return GumbelSoftmax(t, v[0], noise.data(), temperature, hard);
        };
        row.reference = soft;
        if (hard) {
          row.reference = [soft, c](const Values& v) {
            Doubles y = soft(v);
            for (size_t r = 0; r < y.size(); r += c) {
              const auto begin = y.begin() + static_cast<std::ptrdiff_t>(r);
              const auto end = begin + static_cast<std::ptrdiff_t>(c);
              const auto best = std::max_element(begin, end) - begin;
              for (size_t j = 0; j < c; ++j) y[r + j] = static_cast<std::ptrdiff_t>(j) == best;
            }
            return y;
          };
          row.gradient_reference = [soft](const Values& v, const Values&) { return soft(v); };
        }
        rows->push_back(row);
      }
    }
    std::vector<int32_t> index;
    for (int i = 0; i < shape.dim[0]; ++i) index.push_back((i * 3 + 1) % shape.last());
    OpRow pick;
    pick.name = "Pick";
    pick.variant = shape.ToString();
    pick.inputs = {{shape, -2, 2, {}, false}};
    pick.build = [index](Tape& t, const Vars& v) { return Pick(t, v[0], index.data()); };
    pick.reference = [index, c](const Values& v) {
      Doubles y;
      for (size_t i = 0; i < index.size(); ++i)
        y.push_back(v[0][i * c + static_cast<size_t>(index[i])]);
      return y;
    };
    rows->push_back(pick);
    std::vector<int32_t> places;  // every third element, and the first twice
    for (int64_t i = 0; i < shape.size(); i += 3) places.push_back(static_cast<int32_t>(i));
    places.push_back(0);
    OpRow gather = pick;
    gather.name = "Gather";
    gather.build = [places](Tape& t, const Vars& v) {
      return Gather(t, v[0], places.data(), static_cast<int>(places.size()));
    };
    gather.reference = [places](const Values& v) {
      Doubles y;
      for (int32_t place : places) y.push_back(v[0][static_cast<size_t>(place)]);
      return y;
    };
    rows->push_back(gather);
  }
}

inline void AddPools(std::vector<OpRow>* rows, OpSize size) {
  for (const Shape& shape : Images(size)) {
    for (const PoolOptions& o :
         {PoolOptions{2, 2, 0}, PoolOptions{3, 2, 1}, PoolOptions{3, 1, 1}, PoolOptions{1, 2, 0}}) {
      OpRow row;
      row.name = "MaxPool";
      row.variant = shape.ToString() + " size " + std::to_string(o.size) + " stride " +
                    std::to_string(o.stride);
      row.inputs = {{shape, -2, 2, {}, true}};
      row.build = [o](Tape& t, const Vars& v) { return MaxPool(t, v[0], o); };
      row.reference = [o, shape](const Values& v) {
        return reference::Pool(v[0], shape, o.size, o.stride, o.pad, reference::MaxOf);
      };
      rows->push_back(row);
      row.name = "AvgPool";
      row.build = [o](Tape& t, const Vars& v) { return AvgPool(t, v[0], o); };
      row.reference = [o, shape](const Values& v) {
        return reference::Pool(v[0], shape, o.size, o.stride, o.pad, reference::MeanOf);
      };
      rows->push_back(row);
    }
    OpRow row;
    row.name = "GlobalAvgPool";
    row.variant = shape.ToString();
    row.inputs = {{shape, -2, 2, {}, false}};
    row.build = [](Tape& t, const Vars& v) { return GlobalAvgPool(t, v[0]); };
    row.reference = [shape](const Values& v) {
      const auto c = static_cast<size_t>(shape.last());
      const auto image = static_cast<size_t>(shape.size()) / static_cast<size_t>(shape.dim[0]);
      Doubles y(static_cast<size_t>(shape.dim[0]) * c);
      for (size_t i = 0; i < v[0].size(); ++i) {
        y[i / image * c + i % c] += v[0][i] / static_cast<double>(image / c);
      }
      return y;
    };
    rows->push_back(row);
  }
}

inline void AddShapes(std::vector<OpRow>* rows, OpSize size) {
  for (const Shape& shape : Images(size)) {
    const auto c = static_cast<size_t>(shape.last());
    for (int groups : {1, 2, 3, 13}) {
      if (shape.last() % groups != 0) continue;
      OpRow row;
      row.name = "ChannelShuffle";
      row.variant = shape.ToString() + " groups " + std::to_string(groups);
      row.inputs = {{shape, -2, 2, {}, false}};
      row.build = [groups](Tape& t, const Vars& v) { return ChannelShuffle(t, v[0], groups); };
      row.reference = [groups, c](const Values& v) {
        return reference::ChannelShuffle(v[0], c, static_cast<size_t>(groups));
      };
      rows->push_back(row);
    }
    Shape wide = shape;
    wide.dim[3] += 5;
    OpRow row;
    row.name = "Concat";
    row.variant = shape.ToString() + " and " + wide.ToString() + " and again";
    row.inputs = {{shape, -2, 2, {}, false}, {wide, -2, 2, {}, false}};
    row.build = [](Tape& t, const Vars& v) {
      const Var xs[] = {v[0], v[1], v[0]};
      return Concat(t, xs, 3);
    };
    row.reference = [c](const Values& v) {
      const size_t count = v[0].size() / c;
      Doubles y;
      for (size_t r = 0; r < count; ++r) {
        for (const Doubles* x : {&v[0], &v[1], &v[0]}) {
          const size_t width = x->size() / count;
          for (size_t j = 0; j < width; ++j) y.push_back((*x)[r * width + j]);
        }
      }
      return y;
    };
    rows->push_back(row);
    row.name = "Reshape";
    row.variant = shape.ToString();
    row.inputs = {{shape, -2, 2, {}, false}};
    row.build = [shape](Tape& t, const Vars& v) {
      return Reshape(t, v[0], Shape(shape.dim[0], static_cast<int>(shape.size()) / shape.dim[0]));
    };
    row.reference = [](const Values& v) { return v[0]; };
    rows->push_back(row);
  }
}

inline void AddReductions(std::vector<OpRow>* rows, OpSize size) {
  for (const Shape& shape : Images(size)) {
    OpRow row;
    row.name = "Sum";
    row.variant = shape.ToString();
    row.inputs = {{shape, -2, 2, {}, false}};
    row.build = [](Tape& t, const Vars& v) { return Sum(t, v[0]); };
    row.reference = [](const Values& v) {
      return One(reference::MeanOf(v[0]) * static_cast<double>(v[0].size()));
    };
    row.tolerance = 1e-5;
    rows->push_back(row);
    row.name = "Mean";
    row.build = [](Tape& t, const Vars& v) { return Mean(t, v[0]); };
    row.reference = [](const Values& v) { return One(reference::MeanOf(v[0])); };
    row.tolerance = 2e-6;
    rows->push_back(row);

    row.name = "WeightedSum";
    row.variant = shape.ToString() + " soft";
    row.inputs = {{shape, -2, 2, {}, false},
                  {shape, -2, 2, {}, false},
                  {shape, -2, 2, {}, false},
                  {Shape(3), 0.1, 1, {}, false}};
    row.build = [](Tape& t, const Vars& v) { return WeightedSum(t, v.data(), 3, v[3]); };
    row.reference = [](const Values& v) {
      Doubles y(v[0].size());
      for (size_t i = 0; i < y.size(); ++i) {
        for (size_t k = 0; k < 3; ++k) y[i] += v[3][k] * v[k][i];
      }
      return y;
    };
    row.tolerance = 5e-6;
    rows->push_back(row);
    // The gate: the value of input 1 alone, gradients to the weights of all three.
    row.variant = shape.ToString() + " gate";
    static const float kForward[] = {0, 1, 0};
    row.build = [](Tape& t, const Vars& v) { return WeightedSum(t, v.data(), 3, v[3], kForward); };
    row.reference = [](const Values& v) { return v[1]; };
    row.gradient_reference = [](const Values& v, const Values& base) {
      Doubles y = v[1];
      for (size_t i = 0; i < y.size(); ++i) {
        for (size_t k = 0; k < 3; ++k) y[i] += (v[3][k] - base[3][k]) * base[k][i];
      }
      return y;
    };
    rows->push_back(row);
  }
}

}  // namespace op_rows

inline std::vector<OpRow> OpRows(OpSize size) {
  std::vector<OpRow> rows;
  op_rows::AddElementwise(&rows, size);
  op_rows::AddProducts(&rows, size);
  op_rows::AddBatchNorms(&rows, size);
  op_rows::AddConvChains(&rows, size);
  op_rows::AddResidualChains(&rows, size);
  op_rows::AddSoftmaxes(&rows, size);
  op_rows::AddPools(&rows, size);
  op_rows::AddShapes(&rows, size);
  op_rows::AddReductions(&rows, size);
  return rows;
}

}  // namespace rhnas::engine
