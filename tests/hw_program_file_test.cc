// Program files: what is written comes back; what is damaged is one line with its offset.
#include "hw/program_file.h"

#include <gtest/gtest.h>

#include <random>

#include "hw/execute.h"
#include "hw/parse_layer.h"

namespace rhnas::hw {
namespace {

constexpr size_t kChecksumAt = 88;

ProgramFile Sample(Isa isa) {
  ProgramFile file;
  Program& program = file.program;
  program.isa = isa;
  program.title = "a \"sample\" program";
  file.tiling = "7x14 co2 ci1 vt2 ws";
  file.shift = 5;
  Layer layer;
  EXPECT_TRUE(ParseLayer("conv 64x14x14 -> 64 k3 p1 no-relu", &layer, nullptr));
  file.layers = {layer};
  program.uops = {{1, 2, 3}, {2047, 2047, 1023}};
  program.elements = {2, 10, 20, 30, 40};
  program.tensors = {{"input", MemoryId::kInp, 0, 20, "[channel/16][row][column][16]"},
                     {"output", MemoryId::kOut, 8, 32, "[channel/16][row][column][16]"}};
  Instruction in;
  in.op = Opcode::kLoad;
  in.memory = MemoryId::kInp;
  in.sram = 5;
  in.dram = 3;
  in.y_size = 2;
  in.x_size = 4;
  in.x_stride = 6;
  in.x_pad_1 = 1;
  in.push_next = true;
  program.instructions = {in};
  in = Instruction();
  in.op = Opcode::kAlu;
  in.alu = isa == Isa::kExtended ? AluOp::kMul : AluOp::kShr;
  in.use_imm = true;
  in.imm = -4;
  in.lp0 = 3;
  in.lp1 = 4;
  in.uop_end = 2;
  program.instructions.push_back(in);
  program.instructions.push_back(Instruction());
  return file;
}

std::string Bytes(const ProgramFile& file) {
  std::string bytes, why;
  EXPECT_TRUE(EncodeProgramFile(file, &bytes, &why)) << why;
  return bytes;
}

// With a checksum that fits, as a program that writes such files would.
void Seal(std::string* bytes) {
  uint64_t sum = 14695981039346656037ull;
  for (size_t i = 0; i < bytes->size(); ++i) {
    if (i >= kChecksumAt && i < kChecksumAt + 8) continue;
    sum = (sum ^ static_cast<unsigned char>((*bytes)[i])) * 1099511628211ull;
  }
  for (size_t i = 0; i < 8; ++i) (*bytes)[kChecksumAt + i] = static_cast<char>(sum >> (8 * i));
}

std::string Error(const std::string& bytes) {
  const Result<ProgramFile> result = DecodeProgramFile(bytes, "p.vta");
  EXPECT_FALSE(result.ok());
  return result.ok() ? "" : result.error();
}

TEST(ProgramFile, RoundTrip) {
  for (const Isa isa : {Isa::kStock, Isa::kExtended}) {
    const ProgramFile file = Sample(isa);
    const std::string bytes = Bytes(file);
    const Result<ProgramFile> back = DecodeProgramFile(bytes, "p.vta");
    ASSERT_TRUE(back.ok()) << back.error();
    EXPECT_EQ(Bytes(*back), bytes);
    EXPECT_EQ(back->program.title, file.program.title);
    EXPECT_EQ(back->tiling, file.tiling);
    EXPECT_EQ(back->shift, 5);
    ASSERT_EQ(back->layers.size(), 1u);
    EXPECT_EQ(back->layers[0].k, 64);
    EXPECT_FALSE(back->layers[0].relu);
    ASSERT_EQ(back->program.tensors.size(), 2u);
    EXPECT_EQ(back->program.tensors[1].offset, 8);
    EXPECT_TRUE(back->program.config == file.program.config);
    EXPECT_EQ(back->program.elements, file.program.elements);
    // The documented places: instructions as VTA fetches them, at the end, before the micro-ops.
    Word128 word;
    ASSERT_TRUE(
        Encode(Encoding(file.program.config, isa), file.program.instructions[0], &word, nullptr));
    const size_t at = bytes.size() - 2 * 4 - 3 * 16;
    EXPECT_EQ(at % 16, 0u);
    for (size_t i = 0; i < 8; ++i) {
      EXPECT_EQ(static_cast<unsigned char>(bytes[at + i]), word.low >> (8 * i) & 255);
      EXPECT_EQ(static_cast<unsigned char>(bytes[at + 8 + i]), word.high >> (8 * i) & 255);
    }
  }
}

TEST(ProgramFile, EveryTruncationAndEveryFlippedBitIsFound) {
  const std::string bytes = Bytes(Sample(Isa::kStock));
  for (size_t size = 0; size < bytes.size(); ++size) {
    const std::string error = Error(bytes.substr(0, size));
    EXPECT_EQ(error.find('\n'), std::string::npos);
    EXPECT_EQ(error.compare(0, 7, "p.vta: "), 0) << error;
  }
  EXPECT_EQ(Error(bytes.substr(0, 50)),
            "p.vta: offset 50: the file ends within its header, found 50 bytes, expected at least "
            "96: it was cut short");
  EXPECT_NE(Error(bytes + "x").find("it is too long"), std::string::npos);
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string damaged = bytes;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    Error(damaged);
  }
}

TEST(ProgramFile, FaultsAreNamed) {
  std::string bytes = Bytes(Sample(Isa::kStock));
  const size_t code = bytes.size() - 2 * 4 - 3 * 16;
  EXPECT_EQ(Error("#!/bin/sh\n"),
            "p.vta: offset 0: not a program file: it does not begin with RHNASVTA");
  std::string other = bytes;
  other[8] = 2;
  EXPECT_EQ(Error(other),
            "p.vta: offset 8: found version 2, expected 1: written by another release of rhnas");
  other = bytes;
  other[code] = static_cast<char>(other[code] | 7);
  EXPECT_EQ(Error(other),
            "p.vta: offset 88: the checksum does not match: the file is damaged, "
            "write it again");
  Seal(&other);
  EXPECT_EQ(Error(other), "p.vta: offset " + std::to_string(code) +
                              ": illegal instruction 0: opcode 7, expected 0 (LOAD), 1 (STORE), 2 "
                              "(GEMM), 3 (FINISH) or 4 (ALU)");
  other = bytes;
  other[48] = 3;  // micro-op region
  Seal(&other);
  EXPECT_EQ(Error(other), "p.vta: offset 48: region uop: found 3 elements, expected 2");
  other = bytes;
  other[56 + 4] = 1;  // 2^32 weight tensors
  Seal(&other);
  EXPECT_EQ(Error(other),
            "p.vta: offset 56: region wgt: found 4294967306 elements, expected at most 1048576");
  ProgramFile bad = Sample(Isa::kStock);
  bad.program.instructions[1].acc_0 = 4096;
  std::string out = "untouched", why;
  EXPECT_FALSE(EncodeProgramFile(bad, &out, &why));
  EXPECT_EQ(why, "instruction 1: dst_0: need 4096, have at most 2047 (11 bits)");
  EXPECT_EQ(out, "untouched");
  bad = Sample(Isa::kStock);
  bad.program.config.log_acc_buff = 30;
  EXPECT_NE(Error(Bytes(bad)).find("the configuration cannot be built: R1"), std::string::npos)
      << Error(Bytes(bad));
  bad = Sample(Isa::kStock);
  bad.program.tensors[1].elements = 33;
  EXPECT_NE(Error(Bytes(bad)).find("tensor \"output\": need 41 elements of region out, have 40"),
            std::string::npos);
}

// Sealed mutations reach every check behind the checksum; what is accepted can be executed.
TEST(ProgramFile, FuzzedFilesAreAValueOrOneLine) {
  const std::string good = Bytes(Sample(Isa::kExtended));
  int accepted = 0;
  for (uint32_t seed = 0; seed < 3000; ++seed) {
    std::mt19937 random(seed);
    std::string bytes = good;
    const uint32_t edits = 1 + static_cast<uint32_t>(random()) % 4;
    for (uint32_t i = 0; i < edits; ++i) {
      const size_t at = random() % bytes.size();
      if (random() % 8 == 0) {
        bytes.insert(at, 1, static_cast<char>(random()));
      } else if (random() % 8 == 0) {
        bytes.erase(at, 1 + random() % 3);
      } else {
        bytes[at] = static_cast<char>(random());
      }
    }
    if (bytes.size() >= 96) Seal(&bytes);
    const Result<ProgramFile> result = DecodeProgramFile(bytes, "p.vta");
    if (!result.ok()) {
      EXPECT_EQ(result.error().find('\n'), std::string::npos) << "seed " << seed;
      EXPECT_LT(result.error().size(), 1000u) << "seed " << seed;
      continue;
    }
    ++accepted;
    DramImage image = EmptyImage(result->program);
    (void)Execute(result->program, &image);  // an error, never a crash
  }
  EXPECT_GT(accepted, 50);
}

TEST(ProgramFile, HexRoundTrip) {
  const ProgramFile file = Sample(Isa::kStock);
  std::string code, uops, why;
  ASSERT_TRUE(EncodeHex(file.program, &code, &uops, &why)) << why;
  EXPECT_EQ(uops, "00c01001\nffffffff\n");
  EXPECT_EQ(code.substr(0, 34), "1000000600040002 000000000c001540\n");
  const Result<Program> back = DecodeHex(code, uops, file.program.config, Isa::kStock, "p.hex");
  ASSERT_TRUE(back.ok()) << back.error();
  EXPECT_EQ(back->region(MemoryId::kInp), 3 + 6 + 4);
  EXPECT_EQ(back->uops.size(), 2u);
  std::string again, uops_again;
  ASSERT_TRUE(EncodeHex(*back, &again, &uops_again, &why)) << why;
  EXPECT_EQ(again, code);
  EXPECT_EQ(uops_again, uops);
  const auto error = [&](const std::string& text) {
    const Result<Program> result = DecodeHex(text, "", file.program.config, Isa::kStock, "p.hex");
    return result.ok() ? "" : result.error();
  };
  EXPECT_EQ(error(code + "zz\n"),
            "p.hex:4: found \"zz\", expected the high and the low word of an instruction, 16 hex "
            "digits each");
  EXPECT_EQ(error("0 7\n"),
            "p.hex:1: illegal instruction: opcode 7, expected 0 (LOAD), 1 (STORE), "
            "2 (GEMM), 3 (FINISH) or 4 (ALU)");
  EXPECT_NE(error("0 12345678901234567\n"), "");
}

}  // namespace
}  // namespace rhnas::hw
