#include "search/program_source.h"

#include <optional>

#include "engine/archive.h"
#include "hw/cost.h"
#include "hw/layer_text.h"
#include "hw/parse_layer.h"
#include "hw/tiling_search.h"
#include "search/console.h"
#include "search/layers.h"
#include "search/suggest.h"

namespace rhnas::search {

using engine::Result;
using engine::Status;

namespace {

// A layer of a network by its name.
Argument<std::vector<hw::Layer>> LayerOfNetwork(const std::string& text, size_t colon) {
  NetworkArgument argument;
  argument.text = text.substr(0, colon);
  argument.unsupported = "host";  // one layer is asked for, whatever else there is
  const std::string name = text.substr(colon + 1);
  const Argument<NetworkLayers> network = ResolveNetworkLayers(argument);
  if (!network.value.ok()) return {network.value.status(), network.exit_code};
  const std::vector<hw::Layer>& layers = network.value->layers;
  std::vector<std::string> names;
  for (const hw::Layer& layer : layers) {
    if (layer.name == name) return {std::vector<hw::Layer>{layer}, kExitOk};
    names.push_back(layer.name);
  }
  const std::string near = Nearest(name, names);
  return {Status::Error("--layer: %s has no layer \"%s\"%s; rhnas cost --network %s --per-layer "
                        "lists them",
                        argument.text.c_str(), name.c_str(),
                        near.empty() ? "" : (", did you mean \"" + near + "\"?").c_str(),
                        argument.text.c_str()),
          kExitUsage};
}

// The tiling asked for, or the best one of the configuration.
Argument<hw::Tiling> TilingFor(const ProgramRequest& request, const std::vector<hw::Layer>& layers,
                               const hw::Config& config) {
  hw::Tiling tiling;
  std::string why;
  if (!request.tiling.empty()) {
    if (hw::ParseTiling(request.tiling, &tiling, &why)) return {tiling, kExitOk};
    return {Status::Error("--%s", why.c_str()), kExitUsage};  // "tiling: .."
  }
  const hw::CostModel model(config, hw::DefaultCostTable());
  const std::optional<hw::LayerCost> cost =
      model.EvaluateChain(layers.data(), static_cast<int>(layers.size()), hw::kAnyCycles, &why);
  if (cost) return {cost->tiling, kExitOk};
  return {Status::Error("%s: %s", hw::ShortName(config).c_str(), why.c_str()), kExitFailure};
}

// Lowers under one instruction set.
Argument<LoadedProgram> Lowered(const ProgramRequest& request, const std::vector<hw::Layer>& layers,
                                const hw::Config& config, hw::Isa isa) {
  const Argument<hw::Tiling> tiling = TilingFor(request, layers, hw::ConfigFor(config, isa));
  if (!tiling.value.ok()) return {tiling.value.status(), tiling.exit_code};
  LoadedProgram loaded;
  hw::LowerOptions options;
  options.isa = isa;
  options.shift = request.shift;
  std::string why;
  if (!hw::LowerChain(layers, config, *tiling.value, options, &loaded.lowered, &why)) {
    return {Status::Error("%s: %s", hw::ShortName(config).c_str(), why.c_str()), kExitFailure};
  }
  loaded.has_layout = true;
  loaded.file.program = loaded.lowered.program;
  loaded.file.layers = layers;
  loaded.file.tiling = loaded.lowered.tiling.ToString();
  loaded.file.shift = request.shift;
  return {loaded, kExitOk};
}

Status CheckBuildable(const hw::Config& config) {
  const hw::Verdict verdict = hw::Check(config);
  if (verdict.ok) return Status::Ok();
  return Status::Error("accelerator %s cannot be built: %s", hw::ShortName(config).c_str(),
                       verdict.ToString().c_str());
}

Argument<LoadedProgram> FromLayer(const ProgramRequest& request) {
  const Argument<std::vector<hw::Layer>> layers = ResolveLayers(request.layer);
  if (!layers.value.ok()) return {layers.value.status(), layers.exit_code};
  const Argument<hw::Config> config = ResolveHardware(request.hw, 0);
  if (!config.value.ok()) return {config.value.status(), config.exit_code};
  if (Status status = CheckBuildable(*config.value); !status.ok()) return {status, kExitFailure};
  return LowerLayers(request, *layers.value, *config.value);
}

Argument<LoadedProgram> FromHex(const ProgramRequest& request, const std::string& text) {
  const Argument<hw::Config> config = ResolveHardware(request.hw, 0);
  if (!config.value.ok()) return {config.value.status(), config.exit_code};
  if (Status status = CheckBuildable(*config.value); !status.ok()) return {status, kExitFailure};
  const Result<std::string> uops = engine::ReadFile(request.file + ".uops");
  const hw::Isa isa = request.isa == "extended" ? hw::Isa::kExtended : hw::Isa::kStock;
  const hw::Result<hw::Program> program =
      hw::DecodeHex(text, uops.ok() ? *uops : std::string(), *config.value, isa, request.file);
  if (!program.ok()) return {Status::Error("%s", program.error().c_str()), kExitFailure};
  LoadedProgram loaded;
  loaded.file.program = *program;
  if (!uops.ok()) loaded.note = "no micro-ops (" + request.file + ".uops): to be timed or listed";
  return {loaded, kExitOk};
}

bool LooksLikeHex(const std::string& text) {
  const size_t end = std::min(text.find('\n'), text.size());
  return end > 2 && text.find_first_not_of("0123456789abcdefABCDEF \t\r") >= end;
}

Argument<LoadedProgram> FromFile(const ProgramRequest& request) {
  const Result<std::string> bytes = engine::ReadFile(request.file);
  if (!bytes.ok()) return {bytes.status(), kExitFailure};
  if (LooksLikeHex(*bytes)) return FromHex(request, *bytes);
  LoadedProgram loaded;
  const hw::Result<hw::ProgramFile> file = hw::DecodeProgramFile(*bytes, request.file);
  if (!file.ok()) return {Status::Error("%s", file.error().c_str()), kExitFailure};
  loaded.file = *file;
  if (file->layers.empty()) return {loaded, kExitOk};
  // The layout follows from what the program was made from.
  hw::Tiling tiling;
  hw::LowerOptions options;
  options.isa = file->program.isa;
  options.shift = file->shift;
  std::string why;
  if (!hw::ParseTiling(file->tiling, &tiling, &why) ||
      !hw::LowerChain(file->layers, file->program.config, tiling, options, &loaded.lowered, &why)) {
    loaded.note = "the layout of its data is not known: " + why;
    return {loaded, kExitOk};
  }
  loaded.has_layout = loaded.lowered.program.elements == file->program.elements;
  if (!loaded.has_layout) {
    loaded.note = "the layout of its data is not known: written by another release of rhnas";
  }
  return {loaded, kExitOk};
}

}  // namespace

Argument<std::vector<hw::Layer>> ResolveLayers(const std::string& text) {
  // Names in an ONNX model may have colons themselves.
  const size_t model = text.find(".onnx:");
  const size_t colon = model != std::string::npos ? model + 5 : text.rfind(':');
  if (colon != std::string::npos) return LayerOfNetwork(text, colon);
  std::vector<hw::Layer> layers;
  std::string why;
  if (hw::ParseLayers(text, &layers, &why)) return {layers, kExitOk};
  return {Status::Error("--layer: %s", why.c_str()), kExitUsage};
}

Argument<LoadedProgram> LowerLayers(const ProgramRequest& request,
                                    const std::vector<hw::Layer>& layers,
                                    const hw::Config& config) {
  if (request.isa != "extended") {
    const Argument<LoadedProgram> stock = Lowered(request, layers, config, hw::Isa::kStock);
    if (stock.value.ok() || request.isa == "stock" || stock.exit_code == kExitUsage) return stock;
    Argument<LoadedProgram> extended = Lowered(request, layers, config, hw::Isa::kExtended);
    if (!extended.value.ok()) return extended;
    extended.value->note = "not on the stock instruction set: " + stock.value.status().message();
    return extended;
  }
  return Lowered(request, layers, config, hw::Isa::kExtended);
}

Argument<LoadedProgram> LoadProgram(const ProgramRequest& request) {
  return request.file.empty() ? FromLayer(request) : FromFile(request);
}

}  // namespace rhnas::search
