// Modules of the blocks. See blocks.h.
#include "nn/blocks.h"

#include <cmath>
#include <utility>

#include "engine/check.h"

namespace rhnas::nn {

namespace {

using engine::Activation;
using engine::Buffer;
using engine::Parameter;
using engine::Rng;
using engine::Shape;
using engine::Tape;
using engine::Var;

// FBNet's code draws the classifier from N(0, 0.001); 0.01, ResNet's and MobileNet's value, leaves
// the flat start in fewer steps, which counts when a search trains for a few epochs only.
constexpr float kLinearDeviation = 0.01f;

Var Weight(Tape& tape, Parameter& parameter, const Pass& pass) {
  return pass.constant_weights ? tape.Alias(parameter.shape, parameter.value.data())
                               : tape.Leaf(parameter);
}

void FillNormal(Parameter* parameter, double deviation, Rng rng) {
  for (int64_t i = 0; i < parameter->value.size(); ++i) {
    parameter->value[i] = static_cast<float>(deviation * double{rng.Normal()});
  }
}

}  // namespace

ConvBn::ConvBn(const LayerShape& layer, Activation activation, const Rng& rng)
    : activation_(activation),
      filter_(layer.name + "/filter", Shape(layer.r, layer.s, layer.c / layer.groups, layer.k)),
      gamma_(layer.name + "/gamma", Shape(layer.k)),
      beta_(layer.name + "/beta", Shape(layer.k)),
      name_(layer.name),
      mean_(layer.k),
      var_(layer.k) {
  RHNAS_CHECK(layer.kind == LayerKind::kConv, "%s is not a convolution", layer.name.c_str());
  options_.stride = layer.stride;
  options_.pad = layer.pad;
  options_.groups = layer.groups;
  // He et al., ICCV 2015, equation 14: an input feeds k / groups outputs at r x s places.
  const double fan_out = double(layer.r) * layer.s * layer.k / layer.groups;
  FillNormal(&filter_, std::sqrt(2 / fan_out), rng);
  gamma_.value.Fill(1);
  var_.Fill(1);
  gamma_.decay = beta_.decay = false;
}

engine::ConvLink ConvBn::Link(Tape& tape, const Pass& pass) {
  engine::ConvLink link;
  link.filter = Weight(tape, filter_, pass);
  link.conv = options_;
  link.gamma = Weight(tape, gamma_, pass);
  link.beta = Weight(tape, beta_, pass);
  link.running_mean = mean_.data();
  link.running_var = var_.data();
  link.norm.training = pass.training;
  link.norm.update_running = pass.training && pass.update_running;
  link.norm.momentum = pass.momentum;
  link.norm.activation = activation_;
  return link;
}

Var ConvBn::Forward(Tape& tape, Var x, const Pass& pass) {
  const engine::ConvLink link = Link(tape, pass);
  return engine::ConvChain(tape, x, &link, 1);
}

void ConvBn::Collect(std::vector<Parameter*>* weights, std::vector<NamedBuffer>* statistics) {
  weights->insert(weights->end(), {&filter_, &gamma_, &beta_});
  statistics->push_back({name_ + "/running_mean", &mean_});
  statistics->push_back({name_ + "/running_var", &var_});
}

Linear::Linear(const LayerShape& layer, const Rng& rng)
    : weight_(layer.name + "/weight", Shape(layer.c, layer.k)),
      bias_(layer.name + "/bias", Shape(layer.k)) {
  RHNAS_CHECK(layer.kind == LayerKind::kDense, "%s is not a dense layer", layer.name.c_str());
  FillNormal(&weight_, double{kLinearDeviation}, rng);
  bias_.decay = false;
}

Var Linear::Forward(Tape& tape, Var x, const Pass& pass) {
  return engine::AddChannels(tape, engine::Matmul(tape, x, Weight(tape, weight_, pass)),
                             Weight(tape, bias_, pass));
}

void Linear::Collect(std::vector<Parameter*>* weights) {
  weights->insert(weights->end(), {&weight_, &bias_});
}

namespace {

// Convolutions one after the other, with a shuffle and an identity around them where the shapes
// say so: everything but ResNet's block, pooling and the classifier.
class Chain : public Module {
 public:
  Chain(const std::vector<LayerShape>& layers, Activation activation, const Rng& rng) {
    for (const LayerShape& layer : layers) {
      if (layer.kind == LayerKind::kConv) {
        convs_.push_back(std::make_unique<ConvBn>(
            layer, layer.relu ? activation : Activation::kNone, rng.Split(convs_.size())));
      } else if (layer.kind == LayerKind::kShuffle) {
        shuffle_after_ = convs_.size();
        shuffle_groups_ = layer.groups;
      } else if (layer.kind == LayerKind::kAdd) {
        add_ = true;
      } else {
        RHNAS_CHECK(false, "%s does not belong in a chain", layer.name.c_str());
      }
    }
    RHNAS_CHECK(convs_.size() <= kMaxLinks, "a chain of %d convolutions",
                static_cast<int>(convs_.size()));
    if (add_) convs_.back()->StartFromZero();
  }

  Var Forward(Tape& tape, Var x, const Pass& pass) override {
    if (convs_.empty()) return x;
    engine::ConvLink links[kMaxLinks];
    int count = 0;
    Var y = x;
    for (size_t i = 0; i < convs_.size(); ++i) {
      links[count++] = convs_[i]->Link(tape, pass);
      if (i + 1 != shuffle_after_) continue;
      y = engine::ConvChain(tape, y, links, count);
      y = engine::ChannelShuffle(tape, y, shuffle_groups_);
      count = 0;
    }
    return engine::ConvChain(tape, y, links, count, add_ ? x : Var());
  }

  void Collect(std::vector<Parameter*>* weights, std::vector<NamedBuffer>* statistics) override {
    for (const auto& conv : convs_) conv->Collect(weights, statistics);
  }

 private:
  static constexpr size_t kMaxLinks = 3;
  std::vector<std::unique_ptr<ConvBn>> convs_;  // none: the identity
  size_t shuffle_after_ = 0;                    // convolutions before the shuffle; 0: no shuffle
  int shuffle_groups_ = 1;
  bool add_ = false;
};

// ResNet's blocks: relu(conv2(conv1(x)) + shortcut(x)), of a bottleneck with conv3 behind.
class Residual : public Module {
 public:
  Residual(const Slot& slot, const Block& block, const std::vector<LayerShape>& layers,
           const Rng& rng)
      : conv1_(layers[0], block.activation, rng.Split(0)),
        conv2_(layers[1], layers[1].relu ? block.activation : Activation::kNone, rng.Split(1)),
        activation_(block.activation),
        stride_(slot.stride),
        extra_channels_(slot.cout - slot.cin) {
    const size_t convs = block.expansion > 1 ? 3 : 2;
    if (convs == 3) {
      conv3_ = std::make_unique<ConvBn>(layers[2], Activation::kNone, rng.Split(3));
    }
    if (layers[convs].kind == LayerKind::kConv) {
      projection_ = std::make_unique<ConvBn>(layers[convs], Activation::kNone, rng.Split(2));
    } else {
      RHNAS_CHECK(extra_channels_ >= 0, "a padded shortcut from %d to %d channels", slot.cin,
                  slot.cout);
    }
  }

  Var Forward(Tape& tape, Var x, const Pass& pass) override {
    const Var shortcut = projection_ ? projection_->Forward(tape, x, pass) : Padded(tape, x);
    engine::ConvLink links[3] = {conv1_.Link(tape, pass), conv2_.Link(tape, pass), {}};
    int count = 2;
    if (conv3_) links[count++] = conv3_->Link(tape, pass);
    links[count - 1].norm.activation = activation_;  // after the sum
    return engine::ConvChain(tape, x, links, count, shortcut);
  }

  void Collect(std::vector<Parameter*>* weights, std::vector<NamedBuffer>* statistics) override {
    conv1_.Collect(weights, statistics);
    conv2_.Collect(weights, statistics);
    if (conv3_) conv3_->Collect(weights, statistics);
    if (projection_) projection_->Collect(weights, statistics);
  }

 private:
  // Every stride-th pixel, then channels of zeros (option A).
  Var Padded(Tape& tape, Var x) const {
    if (stride_ > 1) {
      engine::PoolOptions subsample;
      subsample.size = 1;
      subsample.stride = stride_;
      x = engine::MaxPool(tape, x, subsample);
    }
    if (extra_channels_ == 0) return x;
    Shape shape = tape.shape(x);
    shape.dim[3] = extra_channels_;
    const Var zeros = tape.NewValue(shape, false);
    float* value = tape.mutable_value(zeros);
    for (int64_t i = 0; i < shape.size(); ++i) value[i] = 0;
    const Var parts[] = {x, zeros};
    return engine::Concat(tape, parts, 2);
  }

  ConvBn conv1_, conv2_;
  std::unique_ptr<ConvBn> conv3_, projection_;
  Activation activation_;
  int stride_, extra_channels_;
};

class MaxPooling : public Module {
 public:
  explicit MaxPooling(const LayerShape& layer) {
    options_.size = layer.r;
    options_.stride = layer.stride;
    options_.pad = layer.pad;
  }
  Var Forward(Tape& tape, Var x, const Pass&) override {
    return engine::MaxPool(tape, x, options_);
  }
  void Collect(std::vector<Parameter*>*, std::vector<NamedBuffer>*) override {}

 private:
  engine::PoolOptions options_;
};

class Classifier : public Module {
 public:
  Classifier(const LayerShape& layer, const Rng& rng) : linear_(layer, rng) {}
  Var Forward(Tape& tape, Var x, const Pass& pass) override {
    return linear_.Forward(tape, engine::GlobalAvgPool(tape, x), pass);
  }
  void Collect(std::vector<Parameter*>* weights, std::vector<NamedBuffer>*) override {
    linear_.Collect(weights);
  }

 private:
  Linear linear_;
};

}  // namespace

std::unique_ptr<Module> MakeModule(const Slot& slot, const Block& block, const std::string& prefix,
                                   const Rng& rng) {
  const std::vector<LayerShape> layers = LayersOf(slot, block, prefix);
  switch (block.kind) {
    case BlockKind::kResidual:
      return std::make_unique<Residual>(slot, block, layers, rng);
    case BlockKind::kMaxPool:
      return std::make_unique<MaxPooling>(layers[0]);
    case BlockKind::kPoolLinear:
      return std::make_unique<Classifier>(layers[1], rng);
    case BlockKind::kNasCell:
    case BlockKind::kNasReduction:
    case BlockKind::kNasHead:
      RHNAS_CHECK(false, "%s: not to be trained (nn/nasbench201.h)", prefix.c_str());
      break;
    case BlockKind::kConvBn:
    case BlockKind::kMbConv:
    case BlockKind::kSkip:
    case BlockKind::kSeparable:
      break;
  }
  return std::make_unique<Chain>(layers, block.activation, rng);
}

}  // namespace rhnas::nn
