#include "search/export_vta.h"

#include <algorithm>

#include "hw/execute.h"
#include "hw/json.h"
#include "hw/layer_text.h"
#include "hw/operands.h"
#include "hw/validity.h"
#include "nn/export_tensors.h"
#include "search/program_data.h"
#include "search/program_source.h"

namespace rhnas::search {

using engine::Format;
using engine::Result;
using engine::Status;

namespace {

// TARGET and HW_VER as published with the extended VTA; another board has its own.
constexpr char kTarget[] = "{\n  \"TARGET\": \"sim\",\n  \"HW_VER\": \"0.0.1\"\n}\n";

// The ten keys of apache/tvm-vta, config/pkg_config.py (PkgConfig.cfg_keys), and the version that
// its samples have.
std::string StockConfig(const hw::Config& config) {
  hw::JsonWriter json;
  json.BeginObject().Key("TARGET").String("sim").Key("HW_VER").String("0.0.2");
  json.Key("LOG_INP_WIDTH").Int(config.log_inp_width);
  json.Key("LOG_WGT_WIDTH").Int(config.log_wgt_width);
  json.Key("LOG_ACC_WIDTH").Int(config.log_acc_width);
  json.Key("LOG_BATCH").Int(config.log_batch).Key("LOG_BLOCK").Int(config.log_block_in);
  json.Key("LOG_UOP_BUFF_SIZE").Int(config.log_uop_buff);
  json.Key("LOG_INP_BUFF_SIZE").Int(config.log_inp_buff);
  json.Key("LOG_WGT_BUFF_SIZE").Int(config.log_wgt_buff);
  json.Key("LOG_ACC_BUFF_SIZE").Int(config.log_acc_buff).EndObject();
  return json.text() + "\n";
}

const nn::IntNode* FindNode(const nn::IntGraph* integers, const std::string& name) {
  if (integers == nullptr) return nullptr;
  for (const nn::IntNode& node : integers->nodes) {
    if (node.node.name == name) return &node;
  }
  return nullptr;
}

// The regions of weights and accumulators as a program finds them.
Status AddData(const LoadedProgram& program, const nn::IntNode& node, const std::string& name,
               std::vector<nn::ExportFile>* files) {
  const hw::OperandSizes sizes = hw::SizesOf(program.lowered.chain);
  hw::Operands operands;
  operands.input.assign(static_cast<size_t>(sizes.input), 0);
  operands.residual.assign(static_cast<size_t>(sizes.residual), 0);
  operands.layer.resize(1);
  if (!node.filter.empty()) {
    const std::string filter = nn::FilterOf(node).bytes;
    operands.layer[0].filter.assign(filter.begin(), filter.end());
    operands.layer[0].bias = node.bias;
  }
  std::string why;
  if (!hw::FitsMemory(program.file.program, &why)) return Status::Error("%s", why.c_str());
  hw::DramImage image = hw::EmptyImage(program.file.program);
  if (!hw::PackOperands(program.lowered, operands, &image, &why)) {
    return Status::Error("%s", why.c_str());
  }
  for (const hw::MemoryId memory : {hw::MemoryId::kWgt, hw::MemoryId::kAcc}) {
    const std::vector<uint8_t>& region = image.region[static_cast<size_t>(memory)];
    if (region.empty()) continue;
    files->push_back({name + "." + RegionName(static_cast<size_t>(memory)),
                      std::string(region.begin(), region.end())});
  }
  return Status::Ok();
}

}  // namespace

Result<std::vector<nn::ExportFile>> ExportVta(const std::vector<hw::Layer>& layers,
                                              const hw::Config& config, const std::string& isa,
                                              const nn::IntGraph* integers) {
  const std::string accelerator = hw::ShortName(config);
  if (const hw::Verdict verdict = hw::Check(config); !verdict.ok) {
    return Status::Error("accelerator %s cannot be built: %s", accelerator.c_str(),
                         verdict.ToString().c_str());
  }
  std::vector<nn::ExportFile> files;
  files.push_back({"vta_config.json", hw::ToJson(config)});
  files.push_back({"vta_target.json", kTarget});
  if (config.log_block_in == config.log_block_out) {
    files.push_back({"stock/vta_config.json", StockConfig(config)});
  }
  hw::JsonWriter list;
  list.BeginObject().Key("accelerator").String(accelerator).Key("programs").BeginArray();
  int number = 0;
  for (const hw::Layer& layer : layers) {
    ProgramRequest request;
    request.isa = isa;
    const nn::IntNode* node = FindNode(integers, layer.name);
    if (node != nullptr && !node->filter.empty()) request.shift = node->shift;
    const Argument<LoadedProgram> program = LowerLayers(request, {layer}, config);
    if (!program.value.ok()) {
      return Status::Error("%s: %s", layer.name.c_str(), program.value.status().message().c_str());
    }
    std::string name = Format("programs/%03d_", ++number) + layer.name;
    std::replace(name.begin() + 9, name.end(), '/', '.');
    std::string bytes, why;
    if (!hw::EncodeProgramFile(program.value->file, &bytes, &why)) {
      return Status::Error("%s: %s", layer.name.c_str(), why.c_str());
    }
    files.push_back({name + ".vta", std::move(bytes)});
    if (node != nullptr) {
      if (Status status = AddData(*program.value, *node, name, &files); !status.ok()) {
        return Status::Error("%s: %s", layer.name.c_str(), status.message().c_str());
      }
    }
    const hw::Program& made = program.value->file.program;
    list.BeginObject().Key("name").String(layer.name).Key("program").String(name + ".vta");
    list.Key("layer").String(hw::ChainText({layer})).Key("tiling");
    list.String(program.value->file.tiling).Key("shift").Int(request.shift);
    list.Key("isa").String(made.isa == hw::Isa::kStock ? "stock" : "extended");
    list.Key("instructions").Int(static_cast<int64_t>(made.instructions.size())).EndObject();
  }
  list.EndArray().EndObject();
  files.push_back({"programs.json", list.text() + "\n"});
  return files;
}

}  // namespace rhnas::search
