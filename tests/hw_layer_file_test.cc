// Files of layers: what a row means, what is left out, and one clear line for each slip.
#include "hw/layer_file.h"

#include <gtest/gtest.h>

namespace rhnas::hw {
namespace {

std::string ErrorOf(const std::string& text) {
  const Result<LayerFile> file = ParseLayerFile(text, "l.csv");
  return file.ok() ? "" : file.error();
}

TEST(LayerFile, ReadsMeasuredRows) {
  const Result<LayerFile> file = ParseLayerFile(
      "id,c_in,c_out,height,width,kernel,stride,pad,tile_h,tile_w,tile_co,tile_ci,vthreads,"
      "mem_latency,mem_model,cycles,macs\r\n"
      "# a comment\n"
      "\n"
      "007,32,64,16,8,3,2,1,4,2,1,2,2,40,pipelined,14563,589824\r\n"
      "008,32,64,16,8,3,2,1,,,,,,40,tsim,,\n",
      "l.csv");
  ASSERT_TRUE(file.ok()) << file.error();
  ASSERT_EQ(file->rows.size(), 2u);
  const LayerRow& row = file->rows[0];
  EXPECT_EQ(row.line, 4);
  EXPECT_EQ(row.layer.name, "007");
  EXPECT_EQ(row.layer.kind, LayerKind::kConv);
  EXPECT_EQ(row.layer.c, 32);
  EXPECT_EQ(row.layer.k, 64);
  EXPECT_EQ(row.layer.h, 16);
  EXPECT_EQ(row.layer.w, 8);
  EXPECT_EQ(row.layer.r, 3);
  EXPECT_EQ(row.layer.s, 3);
  EXPECT_EQ(row.layer.stride, 2);
  EXPECT_EQ(row.layer.pad, 1);
  EXPECT_EQ(row.layer.groups, 1);
  EXPECT_TRUE(row.tiled);
  EXPECT_EQ(row.tiling.ToString(), "4x2 co1 ci2 vt2");
  EXPECT_EQ(row.mem_latency, 40);
  EXPECT_EQ(row.memory, MemoryModel::kPipelined);
  EXPECT_EQ(row.measured_cycles, 14563);
  EXPECT_FALSE(file->rows[1].tiled);
  EXPECT_EQ(file->rows[1].memory, MemoryModel::kQueued);
  EXPECT_EQ(file->rows[1].measured_cycles, 0);
  EXPECT_EQ(file->ignored, std::vector<std::string>{"macs"});
}

TEST(LayerFile, KindsFillInWhatTheyImply) {
  const Result<LayerFile> file = ParseLayerFile(
      "kind,c_in,c_out,height,width,kernel,groups,count,loop_order,tile_h,tile_w,tile_co,tile_ci\n"
      "depthwise,48,,9,9,3,,2,,,,,\n"
      "add,64,,7,7,,,,,,,,\n"
      "dense,512,10,1,1,,,,weights,1,1,1,4\n"
      "conv,48,96,9,9,3,4,,,,,,\n",
      "l.csv");
  ASSERT_TRUE(file.ok()) << file.error();
  EXPECT_TRUE(file->rows[0].layer.depthwise());
  EXPECT_EQ(file->rows[0].layer.k, 48);
  EXPECT_EQ(file->rows[0].count, 2);
  EXPECT_EQ(file->rows[0].layer.name, "1");
  EXPECT_EQ(file->rows[1].layer.kind, LayerKind::kAdd);
  EXPECT_EQ(file->rows[2].layer.k, 10);
  EXPECT_EQ(file->rows[2].tiling.stationary, Stationary::kWeights);
  EXPECT_EQ(file->rows[3].layer.groups, 4);
  EXPECT_STREQ(LayerKindText(file->rows[0].layer), "depthwise");
  EXPECT_STREQ(LayerKindText(file->rows[2].layer), "dense");
}

TEST(LayerFile, NamesTheCell) {
  const std::string head = "c_in,c_out,height,width,kernel,stride,tile_h,tile_w,tile_co,tile_ci\n";
  EXPECT_EQ(ErrorOf(head + "16,16,8,8,3,x,,,,\n"),
            "l.csv:2: column stride: found \"x\", expected a whole number from 1 to 1048576");
  EXPECT_EQ(ErrorOf(head + "16,16,8,-8,3,1,,,,\n"),
            "l.csv:2: column width: found \"-8\", expected a whole number from 1 to 1048576");
  EXPECT_EQ(ErrorOf(head + "16,16,8,99999999999999999999,3,1,,,,\n"),
            "l.csv:2: column width: found \"99999999999999999999\", expected a whole number from 1 "
            "to 1048576");
  EXPECT_EQ(ErrorOf(head + "16,,8,8,3,1,,,,\n"),
            "l.csv:2: column c_out: found nothing, expected a whole number: a conv layer needs it");
  EXPECT_EQ(
      ErrorOf(head + "16,16,8,8,3,1,4,4,,1\n"),
      "l.csv:2: column tile_co: found nothing, expected a tiling: tile_h, tile_w, tile_co and "
      "tile_ci, or none of them for the best");
  EXPECT_EQ(ErrorOf(head + "16,16,8,8\n"),
            "l.csv:2: found 4 cells, expected 10 as in the first line");
  EXPECT_EQ(
      ErrorOf("kind,c_in,height,width\ncnv,1,1,1\n"),
      "l.csv:2: column kind: found \"cnv\", expected one of conv, depthwise, dense, max-pool, "
      "avg-pool, global-pool, add, concat, shuffle");
  EXPECT_EQ(ErrorOf("c_in,height,width,mem_model\n16,8,8,fifo\n").substr(0, 41),
            "l.csv:2: column c_out: found no such colu");
  EXPECT_EQ(ErrorOf("c_in,height,widht\n16,8,8\n"),
            "l.csv:1: no column is called \"widht\", did you mean \"width\"?");
  EXPECT_EQ(ErrorOf("c_in,c_in,height,width\n"),
            "l.csv:1: column c_in stands there twice, expected once");
  EXPECT_EQ(ErrorOf("c_in,width\n16,8\n").substr(0, 35), "l.csv:1: no column height, expected");
  EXPECT_EQ(ErrorOf(head), "l.csv: no layers, expected a line of columns and a layer");
  EXPECT_EQ(ErrorOf(""), "l.csv: no layers, expected a line of columns and a layer");
}

}  // namespace
}  // namespace rhnas::hw
