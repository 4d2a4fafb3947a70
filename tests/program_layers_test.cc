// rhnas cost --layers from outside.
#include <gtest/gtest.h>

#include "tests/program_cli.h"

namespace rhnas {
namespace {

constexpr char kFile[] =
    "id,c_in,c_out,height,width,kernel,stride,pad,tile_h,tile_w,tile_co,tile_ci,vthreads,"
    "mem_latency,mem_model,cycles\n"
    "a,64,64,14,14,3,1,1,7,14,2,1,2,16,tsim,35104\n"
    "b,64,64,14,14,3,1,1,7,14,2,1,2,80,pipelined,35545\n"
    "c,64,64,14,14,3,1,1,,,,,,,,\n";

class LayersCli : public Cli {
 protected:
  void Write(const std::string& text) { std::ofstream(dir_ + "/l.csv") << text; }
};

TEST_F(LayersCli, CsvReadsBackTheSame) {
  Write(kFile);
  const Outcome first = Run({"cost", "--layers", "l.csv", "--csv"});
  ASSERT_EQ(first.code, 0) << first.err;
  EXPECT_NE(first.out.find(",35104,0.000,"), std::string::npos) << first.out;
  EXPECT_NE(first.out.find(",35545,0.000,"), std::string::npos) << first.out;
  Write(first.out);
  const Outcome again = Run({"cost", "--layers", "l.csv", "--csv"});
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(again.out, first.out);
}

TEST_F(LayersCli, JsonAndTextSayHowFarOff) {
  Write(kFile);
  const Outcome json = Run({"cost", "--layers", "l.csv", "--json"});
  ASSERT_EQ(json.code, 0) << json.err;
  const hw::Result<hw::Json> value = hw::ParseJson(json.out, "stdout");
  ASSERT_TRUE(value.ok()) << value.error();
  EXPECT_NE(json.out.find("\"worst_error_percent\": 0"), std::string::npos);
  const Outcome text = Run({"cost", "--layers", "l.csv"});
  EXPECT_NE(text.out.find("|error| against 2 measured: mean 0.000%"), std::string::npos)
      << text.out;
  // Four cycles a micro-op instead of one.
  const Outcome old = Run({"cost", "--layers", "l.csv", "--units", "unpipelined"});
  EXPECT_EQ(old.code, 0) << old.err;
  EXPECT_EQ(old.out.find("simulated    |error| against 2 measured: mean 0.000%"),
            std::string::npos);
}

TEST_F(LayersCli, OneLineForWhatIsWrong) {
  Write("c_in,c_out,height,width,kernel\n16,16,8,8,oops\n");
  Outcome outcome = Run({"cost", "--layers", "l.csv"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_EQ(outcome.err,
            "rhnas cost: l.csv:2: column kernel: found \"oops\", expected a whole number from 1 to "
            "1048576\n");
  EXPECT_EQ(outcome.out, "");
  Write(
      "c_in,c_out,height,width,kernel,pad,tile_h,tile_w,tile_co,tile_ci\n"
      "64,64,56,56,3,1,56,56,4,4\n");
  outcome = Run({"cost", "--layers", "l.csv"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_EQ(outcome.err.find("rhnas cost: l.csv:2: layer 1 on 1x16x16_13_15_18_17_64: "), 0u)
      << outcome.err;
  outcome = Run({"cost", "--layers", "none.csv"});
  EXPECT_EQ(outcome.code, 1);
  outcome = Run({"cost", "--layers", "l.csv", "--network", "resnet18"});
  EXPECT_EQ(outcome.code, 2);
}

}  // namespace
}  // namespace rhnas
