// The listing says what an instruction does; the counts multiply loops out.
#include "hw/listing.h"

#include <gtest/gtest.h>

namespace rhnas::hw {
namespace {

Program Sample() {
  Program program;
  program.title = "sample";
  program.uops = {{0, 0, 0}, {8, 2, 1}};
  program.elements = {2, 40, 200, 8, 64};
  program.tensors = {{"input", MemoryId::kInp, 0, 100, "[x]"},
                     {"residual", MemoryId::kInp, 100, 100, "[x]"}};
  std::vector<Instruction>& list = program.instructions;
  Instruction in;
  in.op = Opcode::kLoad;
  in.memory = MemoryId::kUop;
  in.y_size = 1;
  in.x_size = in.x_stride = 2;
  list.push_back(in);
  in.memory = MemoryId::kInp;
  in.dram = 116;
  in.y_size = 3;
  in.x_size = 16;
  in.x_stride = 28;
  in.y_pad_0 = in.x_pad_1 = 1;
  in.pop_next = in.push_next = true;
  list.push_back(in);
  in = Instruction();
  in.op = Opcode::kGemm;
  in.pop_prev = in.pop_next = in.push_prev = true;
  in.lp0 = 4;
  in.lp1 = 2;
  in.acc_0 = 2;
  in.acc_1 = 1;
  in.inp_0 = 17;
  in.uop_end = 2;
  list.push_back(in);
  list.push_back(in);
  in = Instruction();
  in.op = Opcode::kAlu;
  in.alu = AluOp::kShr;
  in.use_imm = true;
  in.imm = 4;
  in.lp0 = 1;
  in.lp1 = 8;
  in.acc_1 = in.inp_1 = 1;
  in.uop_end = 1;
  list.push_back(in);
  in = Instruction();
  in.op = Opcode::kStore;
  in.memory = MemoryId::kOut;
  in.y_size = 1;
  in.x_size = in.x_stride = 8;
  in.dram = 32;
  in.pop_prev = in.push_prev = true;
  list.push_back(in);
  in = Instruction();
  in.op = Opcode::kLoad;
  in.pop_next = true;
  list.push_back(in);
  list.push_back(Instruction());
  return program;
}

TEST(Listing, Lines) {
  const std::string text = Listing(Sample());
  for (const char* line :
       {"; region inp: 200 elements of 16 bytes\n", ";   inp[100..199] residual [x]\n",
        "      0  compute                      LOAD  uop[0..1] <- 2 at 0\n",
        "      1  load     wait compute        LOAD  inp[0..67] <- 48 at 116, 3 rows of 16 every "
        "28, pad above 1 below 0 left 0 right 1  post compute  ; residual + 16\n",
        "      2  compute  wait load,store     GEMM  4 x (acc+2 inp+17) 2 x (acc+1) uop[0..1]  "
        "post load  ; 16 cycles\n",
        "; uop 0: (acc 0 inp 0 wgt 0) (acc 8 inp 2 wgt 1)\n",
        "      4  compute                      SHR   8 x (dst+1 src+1) uop[0] imm 4  ; 8 cycles\n",
        "; uop 0: (dst 0 src 0)\n",
        "      5  store    wait compute        STORE out[0..7] -> 8 at 32  post compute\n",
        "      6  load     wait compute        NOP\n",
        "      7  compute                      FINISH\n"}) {
    EXPECT_NE(text.find(line), std::string::npos) << "expected: " << line << "found:\n" << text;
  }
  // A kernel of micro-ops is shown once.
  EXPECT_EQ(text.find("(acc 8 inp 2 wgt 1)"), text.rfind("(acc 8 inp 2 wgt 1)"));
}

TEST(Listing, Counts) {
  const ProgramCounts counts = CountProgram(Sample());
  EXPECT_EQ(counts.loads[0], 1);
  EXPECT_EQ(counts.loads[2], 1);
  EXPECT_EQ(counts.elements[2], 48);
  EXPECT_EQ(counts.padded, 4 * 17 - 48);
  EXPECT_EQ(counts.gemms, 2);
  EXPECT_EQ(counts.macs, 2 * 16 * 256);
  EXPECT_EQ(counts.alus, 1);
  EXPECT_EQ(counts.alu_vectors, 8);
  EXPECT_EQ(counts.stores, 1);
  EXPECT_EQ(counts.elements[4], 8);
  EXPECT_EQ(counts.no_ops, 1);
  EXPECT_EQ(counts.finishes, 1);
}

}  // namespace
}  // namespace rhnas::hw
