// ONNX models on the command line: what commands make of one, and what they refuse.
#include "tests/program_cli.h"

namespace rhnas {
namespace {

class OnnxModels : public Cli {
 protected:
  // The network as rhnas export writes it.
  std::string Exported(const std::string& network) {
    const Outcome made = Run({"export", "onnx", "--network", network, "--out", "m.onnx"});
    EXPECT_EQ(made.code, 0) << made.err;
    return "m.onnx";
  }
};

TEST_F(OnnxModels, CostLayerByLayerWhatTheNetworkDoes) {
  const std::string model = Exported("resnet20");
  const hw::Json ours = ParseOrFail(Run({"cost", "--network", "resnet20", "--json"}).out);
  const Outcome read = Run({"cost", "--network", model, "--json"});
  ASSERT_EQ(read.code, 0) << read.err;
  const hw::Json theirs = ParseOrFail(read.out);
  for (const char* key : {"macs", "latency_cycles", "energy_pj", "area_um2", "dram_bytes"}) {
    EXPECT_EQ(NumberAt(theirs, key), NumberAt(ours, key)) << key;
  }
  const hw::Json *a = theirs.Find("layers"), *b = ours.Find("layers");
  ASSERT_TRUE(a != nullptr && b != nullptr);
  ASSERT_EQ(a->items.size(), b->items.size());
  for (size_t i = 0; i < a->items.size(); ++i) {
    for (const char* key : {"name", "kind"}) {
      EXPECT_EQ(a->items[i].Find(key)->string, b->items[i].Find(key)->string) << "layer " << i;
    }
    const hw::Json* cycles = b->items[i].Find("latency_cycles");
    if (cycles == nullptr) continue;
    EXPECT_EQ(NumberAt(a->items[i], "latency_cycles"), cycles->number) << "layer " << i;
  }
}

TEST_F(OnnxModels, OtherCommands) {
  const std::string model = Exported("resnet20");
  const Outcome found = Run({"hw", "--network", model, "--evaluations", "8", "--agent", "random",
                             "--hw-space", "vta-small", "--json"});
  ASSERT_EQ(found.code, 0) << found.err;
  EXPECT_EQ(ParseOrFail(found.out).Find("network")->string, model);
  const Outcome program = Run({"program", "--layer", model + ":stem"});
  EXPECT_EQ(program.code, 0) << program.err;

  const Outcome train = Run({"train", "--network", model, "--dataset", "synth"});
  EXPECT_EQ(train.code, 2) << train.err;
  EXPECT_NE(train.err.find("no blocks to train"), std::string::npos) << train.err;
  const Outcome missing = Run({"cost", "--network", "none.onnx"});
  EXPECT_EQ(missing.code, 1);
  EXPECT_NE(missing.err.find("none.onnx: no such file"), std::string::npos) << missing.err;
  std::ofstream(dir_ + "/bad.onnx") << "no model";
  const Outcome bad = Run({"cost", "--network", "bad.onnx"});
  EXPECT_EQ(bad.code, 1);
  EXPECT_NE(bad.err.find("expected an ONNX model"), std::string::npos) << bad.err;
  EXPECT_EQ(Run({"cost", "--network", model, "--classes", "7"}).code, 2);
}

}  // namespace
}  // namespace rhnas
