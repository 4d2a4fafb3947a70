// The operators of a graph's nodes in an ONNX model: what the float and the int8 form share.
#pragma once

#include <string>
#include <vector>

#include "nn/graph.h"
#include "nn/onnx_export.h"
#include "nn/onnx_writer.h"

namespace rhnas::nn {

class OnnxLayers {
 public:
  // `nodes` in order; `output` the number of the network's last one.
  OnnxLayers(const std::vector<const Node*>& nodes, int output);

  OnnxWriter& writer() { return writer_; }
  // Name of the value that node `index` ends in, its activation included: what others read.
  const std::string& ValueOf(int index) const { return value_[static_cast<size_t>(index)]; }
  void SetValue(int index, const std::string& name) { value_[static_cast<size_t>(index)] = name; }
  // The operator of a node without its activation, writing `to`. `filter`, `bias`: values for a
  // kConv or kDense.
  void Operator(int index, const std::string& filter, const std::string& bias,
                const std::string& to);
  // The value of input `i` of a node, [N, c, h, w] whatever made it.
  std::string MapInput(int index, size_t i);
  void InputOf(int index);       // declares the image
  void DeclareShape(int index);  // of ValueOf(index)
  // A window as ONNX has it: the padding at the end is what the output's size implies.
  static OnnxAttributes Window(const Node& node);
  engine::Result<std::string> Finish(const std::string& name, const OnnxInfo& info,
                                     const std::string& doc);

 private:
  std::vector<int64_t> DimsOf(int index) const;
  void Dense(int index, const std::string& filter, const std::string& bias, const std::string& to);
  void Shuffle(const Node& node, const std::string& from, const std::string& to);
  void Subsample(const Node& node, const std::string& from, const std::string& to);

  const std::vector<const Node*>& nodes_;
  int output_;
  std::string logits_;
  std::vector<std::string> value_;
  std::vector<char> flat_;  // the node's value is [N, k]
  OnnxWriter writer_;
};

}  // namespace rhnas::nn
