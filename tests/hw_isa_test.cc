// Encoding of instructions and micro-ops: round trips, ranges, and the streams that ran on RTL.
#include "hw/isa.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <random>

#include "hw/program.h"

namespace rhnas::hw {
namespace {

// 32 bits a call.
class Random {
 public:
  explicit Random(uint32_t seed) : engine_(seed) {}
  uint32_t operator()() { return static_cast<uint32_t>(engine_()); }

 private:
  std::mt19937 engine_;
};

Config Preset(const std::string& name) {
  const Result<Config> config = FindConfig(name);
  EXPECT_TRUE(config.ok()) << config.error();
  return *config;
}

uint32_t Draw(Random* random, int bits) {
  return bits <= 0 ? 0 : (*random)() & static_cast<uint32_t>((uint64_t{1} << bits) - 1);
}

Instruction RandomInstruction(const Encoding& e, Random* random) {
  Instruction in;
  in.op = static_cast<Opcode>((*random)() % 5);
  const uint32_t tokens = (*random)();
  in.pop_prev = (tokens & 1) != 0;
  in.pop_next = (tokens & 2) != 0;
  in.push_prev = (tokens & 4) != 0;
  in.push_next = (tokens & 8) != 0;
  if (in.op == Opcode::kFinish) return in;
  if (in.op == Opcode::kLoad || in.op == Opcode::kStore) {
    in.memory = in.op == Opcode::kStore ? MemoryId::kOut : static_cast<MemoryId>((*random)() % 4);
    in.min_pad = e.isa == Isa::kExtended && in.op == Opcode::kLoad && (tokens & 16) != 0;
    in.sram = Draw(random, 16);
    in.dram = (*random)();
    in.y_size = static_cast<uint16_t>(Draw(random, 16));
    in.x_size = static_cast<uint16_t>(Draw(random, 16));
    in.x_stride = static_cast<uint16_t>(Draw(random, 16));
    in.y_pad_0 = static_cast<uint8_t>(Draw(random, 4));
    in.y_pad_1 = static_cast<uint8_t>(Draw(random, 4));
    in.x_pad_0 = static_cast<uint8_t>(Draw(random, 4));
    in.x_pad_1 = static_cast<uint8_t>(Draw(random, 4));
    return in;
  }
  in.reset = (tokens & 32) != 0;
  in.uop_begin = Draw(random, e.uop_begin);
  in.uop_end = Draw(random, e.uop_end);
  in.lp0 = static_cast<uint16_t>(Draw(random, 14));
  in.lp1 = static_cast<uint16_t>(Draw(random, 14));
  in.acc_0 = Draw(random, e.acc_factor);
  in.acc_1 = Draw(random, e.acc_factor);
  in.inp_0 = Draw(random, e.inp_factor);
  in.inp_1 = Draw(random, e.inp_factor);
  if (in.op == Opcode::kGemm) {
    in.wgt_0 = Draw(random, e.wgt_factor);
    in.wgt_1 = Draw(random, e.wgt_factor);
  } else {
    in.alu = static_cast<AluOp>((*random)() % (e.isa == Isa::kExtended ? 7 : 4));
    in.use_imm = (tokens & 64) != 0;
    in.imm = static_cast<int16_t>(Draw(random, 16));
  }
  return in;
}

bool Same(const Instruction& a, const Instruction& b) {
  return a.op == b.op && a.pop_prev == b.pop_prev && a.pop_next == b.pop_next &&
         a.push_prev == b.push_prev && a.push_next == b.push_next && a.memory == b.memory &&
         a.min_pad == b.min_pad && a.y_pad_0 == b.y_pad_0 && a.y_pad_1 == b.y_pad_1 &&
         a.x_pad_0 == b.x_pad_0 && a.x_pad_1 == b.x_pad_1 && a.y_size == b.y_size &&
         a.x_size == b.x_size && a.x_stride == b.x_stride && a.sram == b.sram && a.dram == b.dram &&
         a.reset == b.reset && a.use_imm == b.use_imm && a.alu == b.alu && a.imm == b.imm &&
         a.lp0 == b.lp0 && a.lp1 == b.lp1 && a.uop_begin == b.uop_begin && a.uop_end == b.uop_end &&
         a.acc_0 == b.acc_0 && a.acc_1 == b.acc_1 && a.inp_0 == b.inp_0 && a.inp_1 == b.inp_1 &&
         a.wgt_0 == b.wgt_0 && a.wgt_1 == b.wgt_1;
}

TEST(Isa, RoundTripOfRandomFields) {
  for (const std::string& name : PresetNames()) {
    const Config config = Preset(name);
    for (const Isa isa : {Isa::kStock, Isa::kExtended}) {
      const Encoding encoding(config, isa);
      for (uint32_t seed = 0; seed < 400; ++seed) {
        Random random(seed);
        const Instruction in = RandomInstruction(encoding, &random);
        Word128 word;
        std::string why;
        ASSERT_TRUE(Encode(encoding, in, &word, &why)) << name << " seed " << seed << ": " << why;
        Instruction back;
        ASSERT_TRUE(Decode(encoding, word, &back, &why)) << name << " seed " << seed << ": " << why;
        EXPECT_TRUE(Same(in, back)) << name << " seed " << seed;
        const MicroOp uop = {Draw(&random, encoding.acc_index), Draw(&random, encoding.inp_index),
                             Draw(&random, encoding.wgt_index)};
        uint64_t bits = 0;
        ASSERT_TRUE(EncodeMicroOp(encoding, uop, &bits, &why)) << name << ": " << why;
        EXPECT_TRUE(DecodeMicroOp(encoding, bits) == uop) << name << " seed " << seed;
      }
    }
  }
}

// Every bit of a word stands for something, or the word is refused.
TEST(Isa, WhatDecodesEncodesBack) {
  const Config config = Preset("vta_config_be_huge");
  for (const Isa isa : {Isa::kStock, Isa::kExtended}) {
    const Encoding encoding(config, isa);
    std::mt19937_64 random(7);
    int legal = 0;
    for (int i = 0; i < 20000; ++i) {
      Word128 word{random(), random()};
      if (i % 2 == 0) word.low &= ~(uint64_t{63} << 58);
      Instruction in;
      if (!Decode(encoding, word, &in, nullptr)) continue;
      ++legal;
      Word128 back;
      std::string why;
      ASSERT_TRUE(Encode(encoding, in, &back, &why)) << "word " << i << ": " << why;
      EXPECT_EQ(word.low, back.low) << "word " << i;
      EXPECT_EQ(word.high, back.high) << "word " << i;
    }
    EXPECT_GT(legal, 1000);
  }
}

TEST(Isa, IllegalKindsAreRefused) {
  const Config config = Preset("default");
  const Encoding stock(config, Isa::kStock), extended(config, Isa::kExtended);
  Instruction in;
  std::string why;
  for (uint64_t op = 5; op < 8; ++op) {
    EXPECT_FALSE(Decode(stock, {op, 0}, &in, &why));
    EXPECT_NE(why.find("opcode " + std::to_string(op)), std::string::npos) << why;
  }
  for (uint64_t id = 4; id < 8; ++id) {  // a LOAD of outputs, of 8-bit accumulators, of nothing
    EXPECT_FALSE(Decode(stock, {id << 7, 0}, &in, &why));
    EXPECT_NE(why.find("memory id " + std::to_string(id)), std::string::npos) << why;
  }
  EXPECT_FALSE(Decode(stock, {1 | (2 << 7), 0}, &in, &why)) << "a STORE of inputs";
  const uint64_t alu = 4;
  for (uint64_t op = 0; op < 8; ++op) {
    EXPECT_EQ(op <= 3, Decode(stock, {alu, op << 44}, &in, &why)) << op;
    EXPECT_EQ(op <= 6, Decode(extended, {alu, op << 44}, &in, &why)) << op;
  }
  in = Instruction();
  in.op = Opcode::kLoad;
  in.min_pad = true;
  Word128 word;
  EXPECT_FALSE(Encode(stock, in, &word, &why));
  EXPECT_TRUE(Encode(extended, in, &word, &why)) << why;
  EXPECT_EQ(word.low, (uint64_t{1} << 57) | (2 << 7));  // hw_spec.h: after the DRAM address
}

TEST(Isa, ARangeThatIsMissedSaysNeedAndHave) {
  const Encoding stock(Preset("default"), Isa::kStock);
  Word128 word;
  std::string why;
  Instruction in;
  in.op = Opcode::kGemm;
  in.wgt_0 = 1024;
  EXPECT_FALSE(Encode(stock, in, &word, &why));
  EXPECT_EQ(why, "wgt_0: need 1024, have at most 1023 (10 bits)");
  in = Instruction();
  in.op = Opcode::kLoad;
  in.y_pad_1 = 16;
  EXPECT_FALSE(Encode(stock, in, &word, &why));
  EXPECT_EQ(why, "y_pad_1: need 16, have at most 15 (4 bits)");
  uint64_t bits = 0;
  EXPECT_FALSE(EncodeMicroOp(stock, {2048, 0, 0}, &bits, &why));
  EXPECT_EQ(why, "micro-op acc: need 2048, have at most 2047 (11 bits)");
}

// Known words of a stream that ran: a reset, a load of weights, a multiply (row 000).
TEST(Isa, KnownWords) {
  const Encoding stock(Preset("default"), Isa::kStock);
  Instruction in;
  ASSERT_TRUE(Decode(stock, {0x0008002001200682, 0x0000000000000804}, &in, nullptr));
  EXPECT_EQ(in.op, Opcode::kGemm);
  EXPECT_TRUE(in.reset);
  EXPECT_EQ(in.uop_begin, 6u);
  EXPECT_EQ(in.uop_end, 9u);
  EXPECT_EQ(in.lp0, 4);
  EXPECT_EQ(in.lp1, 4);
  EXPECT_EQ(in.acc_0, 4u);
  EXPECT_EQ(in.acc_1, 1u);
  ASSERT_TRUE(Decode(stock, {0x0000000090000cc0, 0x0000000c00010003}, &in, nullptr));
  EXPECT_EQ(in.op, Opcode::kLoad);
  EXPECT_EQ(in.memory, MemoryId::kWgt);
  EXPECT_TRUE(in.push_next);
  EXPECT_EQ(in.sram, 3u);
  EXPECT_EQ(in.dram, 36u);
  EXPECT_EQ(in.y_size, 3);
  EXPECT_EQ(in.x_size, 1);
  EXPECT_EQ(in.x_stride, 12);
}

TEST(Isa, StreamsOfTheRtlRunsRoundTrip) {
  const char* shared = std::getenv("RHNAS_SHARED");
  if (shared == nullptr) GTEST_SKIP() << "set RHNAS_SHARED to the folder that holds vta-rtl/";
  const std::filesystem::path folder = std::filesystem::path(shared) / "vta-rtl" / "programs";
  const Encoding stock(Preset("default"), Isa::kStock);
  int streams = 0, words = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    FILE* pipe = popen(("xz -dc '" + entry.path().string() + "'").c_str(), "r");
    ASSERT_NE(pipe, nullptr);
    unsigned long long high = 0, low = 0;
    Instruction in;
    int line = 0;
    while (std::fscanf(pipe, "%llx %llx", &high, &low) == 2) {
      ++line;
      Word128 back;
      std::string why;
      ASSERT_TRUE(Decode(stock, {low, high}, &in, &why))
          << entry.path() << ":" << line << ": " << why;
      ASSERT_TRUE(Encode(stock, in, &back, &why)) << entry.path() << ":" << line << ": " << why;
      ASSERT_EQ(back.low, low) << entry.path() << ":" << line;
      ASSERT_EQ(back.high, high) << entry.path() << ":" << line;
    }
    EXPECT_EQ(pclose(pipe), 0) << entry.path();
    EXPECT_EQ(in.op, Opcode::kFinish) << entry.path();
    words += line;
    ++streams;
  }
  EXPECT_EQ(streams, 70);
  EXPECT_GT(words, 10000);
}

TEST(Isa, ElementBytes) {
  const Config config = Preset("default");
  EXPECT_EQ(ElementBytes(config, MemoryId::kUop), 4);
  EXPECT_EQ(ElementBytes(config, MemoryId::kWgt), 256);
  EXPECT_EQ(ElementBytes(config, MemoryId::kInp), 16);
  EXPECT_EQ(ElementBytes(config, MemoryId::kAcc), 64);
  EXPECT_EQ(ElementBytes(config, MemoryId::kOut), 16);
}

}  // namespace
}  // namespace rhnas::hw
