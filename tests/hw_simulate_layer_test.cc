// Our own programs, simulated, against the RTL and against published cycles of whole networks.
#include "hw/simulate_layer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <sstream>

#include "hw/cost.h"
#include "hw/layer_file.h"

namespace rhnas::hw {
namespace {

std::string ReadText(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return file ? text.str() : "";
}

// The program that the scheduler makes of a row's layer and tiling takes the cycles measured.
void ExpectMeasured(const LayerFile& file) {
  for (const LayerRow& row : file.rows) {
    Config config = *FindConfig("rtl");
    config.dpi_delay = row.mem_latency;
    SimulatedTime time;
    int64_t instructions = 0;
    std::string why;
    ASSERT_TRUE(
        SimulateLayer(row.layer, config, row.memory, row.tiling, {}, &time, &instructions, &why))
        << row.layer.name << ": " << why;
    EXPECT_EQ(time.cycles, row.measured_cycles) << row.layer.name;
  }
}

TEST(SimulateLayer, OwnProgramsTakeTheCyclesOfTheRtl) {
  const char* shared = std::getenv("RHNAS_SHARED");
  if (shared == nullptr) GTEST_SKIP() << "set RHNAS_SHARED to the folder that holds vta-rtl/";
  const std::string path = std::string(shared) + "/vta-rtl/vta_rtl_cycles.csv";
  const std::string text = ReadText(path);
  if (text.empty()) GTEST_SKIP() << path << " is absent";
  const Result<LayerFile> file = ParseLayerFile(text, path);
  ASSERT_TRUE(file.ok()) << file.error();
  EXPECT_EQ(file->rows.size(), 70u);
  ExpectMeasured(*file);
}

// Nine further layers and four latencies measured on the same RTL.
TEST(SimulateLayer, FurtherMeasurements) {
  const Result<LayerFile> file = ParseLayerFile(
      "id,c_in,c_out,height,width,kernel,stride,pad,tile_h,tile_w,tile_co,tile_ci,vthreads,"
      "mem_latency,mem_model,cycles\n"
      "two contexts,64,64,14,14,3,1,1,7,14,2,1,2,16,tsim,35104\n"
      "one context,64,64,14,14,3,1,1,7,14,2,1,1,16,tsim,47193\n"
      "large tile,64,64,14,14,3,1,1,14,14,2,2,2,16,tsim,35868\n"
      "pointwise,128,128,14,14,1,1,0,7,14,2,4,2,16,tsim,29575\n"
      "stride,128,128,28,28,3,2,1,7,14,2,1,2,16,tsim,127849\n"
      "wide,32,64,28,28,3,1,1,4,14,1,1,2,16,tsim,88423\n"
      "reduction,256,64,14,14,1,1,0,2,14,1,2,2,16,tsim,58312\n"
      "long,64,64,56,56,3,1,1,7,28,1,1,2,16,tsim,548963\n"
      "small tile,128,128,14,14,1,1,0,7,7,1,1,2,16,tsim,56480\n"
      "latency 8,64,64,14,14,3,1,1,7,14,2,1,2,8,pipelined,35041\n"
      "latency 16,64,64,14,14,3,1,1,7,14,2,1,2,16,pipelined,35097\n"
      "latency 40,64,64,14,14,3,1,1,7,14,2,1,2,40,pipelined,35265\n"
      "latency 80,64,64,14,14,3,1,1,7,14,2,1,2,80,pipelined,35545\n",
      "measured");
  ASSERT_TRUE(file.ok()) << file.error();
  ExpectMeasured(*file);
}

struct Published {
  const char* name;
  int64_t before, pipelined;
};

// apache/tvm-vta pull request 30: whole networks on the default configuration, GEMM before and
// after its pipeline; the first convolution, the pools and the classifier ran on the host.
TEST(SimulateLayer, NetworksAsPublished) {
  const Published published[] = {{"resnet18_v1", 27679515, 7729601},
                                 {"resnet34_v1", 57471735, 15736441},
                                 {"resnet50_v2", 68187407, 22012906},
                                 {"resnet101_v2", 129263035, 39182158}};
  const Config config = *FindConfig("rtl");
  const CostModel model(config, DefaultCostTable());
  SimulateOptions before;
  before.unpipelined_gemm = true;
  for (const Published& network : published) {
    const std::string path = std::string("docs/layers/") + network.name + ".csv";
    const std::string text = ReadText(path);
    if (text.empty()) GTEST_SKIP() << path << " is absent: run the tests from the source folder";
    const Result<LayerFile> file = ParseLayerFile(text, path);
    ASSERT_TRUE(file.ok()) << file.error();
    double now = 0, then = 0;
    for (const LayerRow& row : file->rows) {
      std::string why;
      const std::optional<LayerCost> cost = model.Evaluate(row.layer, &why);
      ASSERT_TRUE(cost.has_value()) << path << ": " << row.layer.name << ": " << why;
      for (double* sum : {&now, &then}) {
        SimulatedTime time;
        int64_t instructions = 0;
        ASSERT_TRUE(SimulateLayer(row.layer, config, row.memory, cost->tiling,
                                  sum == &then ? before : SimulateOptions{}, &time, &instructions,
                                  &why))
            << row.layer.name << ": " << why;
        *sum += static_cast<double>(row.count * time.cycles);
      }
    }
    EXPECT_NEAR(now / static_cast<double>(network.pipelined), 1, 0.15) << network.name;
    EXPECT_NEAR(then / static_cast<double>(network.before), 1, 0.15) << network.name;
    EXPECT_GE(then / now, 3.1) << network.name;
    EXPECT_LE(then / now, 3.7) << network.name;
  }
}

}  // namespace
}  // namespace rhnas::hw
