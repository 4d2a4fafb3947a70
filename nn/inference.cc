// From blocks and their weights to an InferProgram. See inference.h.
//
// Modules hand out their weights in the order of their layers (nn/blocks.h, Module::Collect), so a
// walk over LayersOf consumes them one after the other.
#include "nn/inference.h"

#include <cmath>
#include <utility>
#include <vector>

#include "engine/check.h"

namespace rhnas::nn {

namespace {

using engine::Activation;
using engine::InferConv;
using engine::InferProgram;
using engine::Parameter;

// A convolution and its batch norm as one: y = (f * x) scale + (beta - mean scale).
struct Folded {
  InferConv conv;
  std::vector<float> filter, bias;

  const InferConv* Get() {
    conv.filter = filter.data();
    conv.bias = bias.data();
    return &conv;
  }
};

class Builder {
 public:
  Builder(Supernet& net, const Genotype& path, InferProgram* program)
      : space_(net.space()),
        blocks_(BlocksOf(net.space(), path)),
        weights_(net.weights(path)),
        statistics_(net.statistics(path)),
        program_(program) {}

  void Build() {
    InferProgram::Value x = InferProgram::kImage;
    for (size_t i = 0; i < blocks_.size(); ++i) {
      RHNAS_CHECK(blocks_[i]->kind != BlockKind::kPoolLinear || i + 1 == blocks_.size(),
                  "%s: a classifier that is not the last block", space_.name.c_str());
      x = Add(x, space_.slots[i], *blocks_[i]);
    }
    RHNAS_CHECK(next_weight_ == weights_.size() && next_statistic_ == statistics_.size(),
                "%s: %d of %d weights used", space_.name.c_str(), static_cast<int>(next_weight_),
                static_cast<int>(weights_.size()));
    program_->Finish();
  }

 private:
  InferProgram::Value Add(InferProgram::Value x, const Slot& slot, const Block& block) {
    const std::vector<LayerShape> layers = LayersOf(slot, block, "");
    switch (block.kind) {
      case BlockKind::kConvBn:
        return program_->Conv(x, *Fold(layers[0], block.activation).Get());
      case BlockKind::kSkip:
        return layers.empty() ? x : program_->Conv(x, *Fold(layers[0], block.activation).Get());
      case BlockKind::kMbConv:
        return MbConv(x, layers, block);
      case BlockKind::kSeparable: {
        Folded depthwise = Fold(layers[0], block.activation);
        Folded pointwise = Fold(layers[1], block.activation);
        if (layers[0].groups == 1) {  // one channel: the depthwise layer is a dense one
          return program_->Conv(program_->Conv(x, *depthwise.Get()), *pointwise.Get());
        }
        return program_->Bottleneck(x, nullptr, *depthwise.Get(), pointwise.Get());
      }
      case BlockKind::kResidual:
        return Residual(x, slot, block, layers);
      case BlockKind::kMaxPool:
        return program_->MaxPool(x, layers[0].r, layers[0].stride, layers[0].pad);
      case BlockKind::kPoolLinear: {
        const Parameter& weight = *weights_[next_weight_++];
        const Parameter& bias = *weights_[next_weight_++];
        program_->Classifier(x, weight.value.data(), bias.value.data(), layers[1].k);
        return InferProgram::kNone;
      }
      case BlockKind::kNasCell:
      case BlockKind::kNasReduction:
      case BlockKind::kNasHead:
        break;  // never trained (CheckTrainable)
    }
    return InferProgram::kNone;
  }

  // The next convolution of the network.
  Folded Fold(const LayerShape& layer, Activation activation) {
    RHNAS_CHECK(layer.kind == LayerKind::kConv && next_weight_ + 3 <= weights_.size() &&
                    next_statistic_ + 2 <= statistics_.size(),
                "%s has no weights", layer.name.c_str());
    const Parameter& filter = *weights_[next_weight_];
    const Parameter& gamma = *weights_[next_weight_ + 1];
    const Parameter& beta = *weights_[next_weight_ + 2];
    const engine::Buffer& mean = *statistics_[next_statistic_].buffer;
    const engine::Buffer& variance = *statistics_[next_statistic_ + 1].buffer;
    next_weight_ += 3;
    next_statistic_ += 2;
    RHNAS_CHECK(filter.shape == engine::Shape(layer.r, layer.s, layer.c / layer.groups, layer.k) &&
                    gamma.value.size() == layer.k && variance.size() == layer.k,
                "%s is not the filter of layer %s", filter.name.c_str(), layer.name.c_str());
    Folded folded;
    folded.conv.k = layer.k;
    folded.conv.r = layer.r;
    folded.conv.s = layer.s;
    folded.conv.stride = layer.stride;
    folded.conv.pad = layer.pad;
    folded.conv.groups = layer.groups;
    folded.conv.activation = layer.relu ? activation : Activation::kNone;
    const double epsilon = double{engine::BatchNormOptions().epsilon};
    std::vector<double> scale(static_cast<size_t>(layer.k));
    for (int k = 0; k < layer.k; ++k) {
      scale[static_cast<size_t>(k)] =
          double{gamma.value[k]} / std::sqrt(double{variance[k]} + epsilon);
      folded.bias.push_back(static_cast<float>(double{beta.value[k]} -
                                               double{mean[k]} * scale[static_cast<size_t>(k)]));
    }
    folded.filter.resize(static_cast<size_t>(filter.value.size()));
    for (int64_t i = 0; i < filter.value.size(); ++i) {
      folded.filter[static_cast<size_t>(i)] =
          static_cast<float>(double{filter.value[i]} * scale[static_cast<size_t>(i % layer.k)]);
    }
    return folded;
  }

  InferProgram::Value MbConv(InferProgram::Value x, const std::vector<LayerShape>& layers,
                             const Block& block) {
    size_t at = 0;
    Folded expand, depthwise, project;
    const bool widens = HasExpansion(layers);
    int shuffle = 1;
    if (widens) {
      expand = Fold(layers[at++], block.activation);
      if (layers[at].kind == LayerKind::kShuffle) shuffle = layers[at++].groups;
    }
    depthwise = Fold(layers[at], block.activation);
    const bool one_channel = layers[at++].groups == 1;
    project = Fold(layers[at++], block.activation);
    const bool adds = at < layers.size();
    if (shuffle > 1) Unshuffle(shuffle, &depthwise, &project);
    const InferProgram::Value residual = adds ? x : InferProgram::kNone;
    if (one_channel) {  // the depthwise layer is a dense one
      InferProgram::Value y = widens ? program_->Conv(x, *expand.Get()) : x;
      y = program_->Conv(y, *depthwise.Get());
      return program_->Conv(y, *project.Get(), residual);
    }
    return program_->Bottleneck(x, widens ? expand.Get() : nullptr, *depthwise.Get(), project.Get(),
                                residual);
  }

  static bool HasExpansion(const std::vector<LayerShape>& layers) {
    int convolutions = 0;
    for (const LayerShape& layer : layers) convolutions += layer.kind == LayerKind::kConv ? 1 : 0;
    return convolutions == 3;
  }

  // Instead of shuffling the expanded channels, the layers after them take theirs in the order in
  // which the expansion writes them. A group of the projection then has its channels all over: its
  // filter becomes dense, with zeros.
  static void Unshuffle(int groups, Folded* depthwise, Folded* project) {
    const int wide = depthwise->conv.k, share = wide / groups;
    const auto written = [&](int channel) { return channel % groups * share + channel / groups; };
    Folded from = *depthwise;
    for (int tap = 0; tap < depthwise->conv.r * depthwise->conv.s; ++tap) {
      for (int c = 0; c < wide; ++c) {
        depthwise->filter[static_cast<size_t>(tap * wide + written(c))] =
            from.filter[static_cast<size_t>(tap * wide + c)];
      }
    }
    for (int c = 0; c < wide; ++c) {
      depthwise->bias[static_cast<size_t>(written(c))] = from.bias[static_cast<size_t>(c)];
    }
    const int columns = project->conv.k, group_columns = columns / project->conv.groups;
    const int group_channels = wide / project->conv.groups;
    std::vector<float> dense(static_cast<size_t>(wide) * static_cast<size_t>(columns), 0.0f);
    for (int c = 0; c < wide; ++c) {
      const int group = c / group_channels;
      for (int k = group * group_columns; k < (group + 1) * group_columns; ++k) {
        dense[static_cast<size_t>(written(c)) * static_cast<size_t>(columns) +
              static_cast<size_t>(k)] =
            project->filter[static_cast<size_t>(c % group_channels) * static_cast<size_t>(columns) +
                            static_cast<size_t>(k)];
      }
    }
    project->filter = std::move(dense);
    project->conv.groups = 1;
  }

  InferProgram::Value Residual(InferProgram::Value x, const Slot& slot, const Block& block,
                               const std::vector<LayerShape>& layers) {
    const size_t convs = block.expansion > 1 ? 3 : 2;
    Folded inner[3];
    for (size_t i = 0; i < convs; ++i) inner[i] = Fold(layers[i], block.activation);
    inner[convs - 1].conv.activation = block.activation;  // after the addition
    InferProgram::Value shortcut = x;
    if (layers[convs].kind == LayerKind::kConv) {
      shortcut = program_->Conv(x, *Fold(layers[convs], block.activation).Get());
    } else if (!slot.same_shape()) {
      shortcut = program_->Subsample(x, slot.stride, slot.cout);
    }
    for (size_t i = 0; i + 1 < convs; ++i) x = program_->Conv(x, *inner[i].Get());
    return program_->Conv(x, *inner[convs - 1].Get(), shortcut);
  }

  const Space& space_;
  std::vector<const Block*> blocks_;
  std::vector<Parameter*> weights_;
  std::vector<NamedBuffer> statistics_;
  InferProgram* program_;
  size_t next_weight_ = 0, next_statistic_ = 0;
};

}  // namespace

InferencePlan::InferencePlan(Supernet& net, const Genotype& path)
    : program_(net.space().h, net.space().w, net.space().c) {
  Builder(net, path, &program_).Build();
}

}  // namespace rhnas::nn
