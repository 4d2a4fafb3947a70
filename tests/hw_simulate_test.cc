// The simulator against RTL: 70 measured programs to the cycle, the micro-measurements of single
// instructions, and what a program that cannot finish says.
#include "hw/simulate.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#include "hw/bus.h"
#include "hw/unit_timing.h"

namespace rhnas::hw {
namespace {

// The measured RTL: DE10 shell, bursts of 16 beats; scratchpads of the Chisel default.
Config RtlConfig(int latency = 16) {
  Config config;
  config.dpi_len_bits = 4;
  config.log_uop_buff = 13;
  config.dpi_delay = latency;
  return config;
}

Instruction Memory(Opcode op, MemoryId memory, int y, int x, int stride = 0) {
  Instruction i;
  i.op = op;
  i.memory = memory;
  i.y_size = static_cast<uint16_t>(y);
  i.x_size = static_cast<uint16_t>(x);
  i.x_stride = static_cast<uint16_t>(stride == 0 ? x : stride);
  return i;
}

Instruction Compute(Opcode op, int iterations, bool immediate = true) {
  Instruction i;
  i.op = op;
  i.lp0 = i.lp1 = 1;
  i.uop_end = static_cast<uint32_t>(iterations);
  i.use_imm = immediate;
  return i;
}

Instruction Finish() { return Instruction(); }

// Busy cycles of the unit that executes it alone.
int64_t Busy(const Config& config, MemoryModel memory, const Instruction& instruction) {
  const SimulatedTime with = Simulate(config, memory, {instruction, Finish()});
  EXPECT_TRUE(with.finished) << with.why;
  switch (UnitOf(instruction)) {
    case Unit::kLoad:
      return with.load_busy;
    case Unit::kCompute:
      return with.compute_busy - 1;  // FINISH
    case Unit::kStore:
      return with.store_busy;
  }
  return -1;
}

// xz is what the streams are packed with; absent, the test cannot run.
bool ReadProgram(const std::string& path, const Encoding& encoding,
                 std::vector<Instruction>* program) {
  FILE* pipe = popen(("xz -dc '" + path + "' 2>/dev/null").c_str(), "r");
  if (pipe == nullptr) return false;
  unsigned long long high = 0, low = 0;
  program->clear();
  while (std::fscanf(pipe, "%llx %llx", &high, &low) == 2) {
    Instruction instruction;
    std::string why;
    if (!Decode(encoding, Word128{low, high}, &instruction, &why)) {
      ADD_FAILURE() << path << ": " << why;
      break;
    }
    program->push_back(instruction);
  }
  return pclose(pipe) == 0 && !program->empty();
}

TEST(Simulate, EqualsRtlToTheCycle) {
  const char* shared = std::getenv("RHNAS_SHARED");
  if (shared == nullptr) GTEST_SKIP() << "set RHNAS_SHARED to the folder that holds vta-rtl/";
  const std::string folder = std::string(shared) + "/vta-rtl/";
  std::ifstream file(folder + "vta_rtl_cycles.csv");
  if (!file) GTEST_SKIP() << folder << "vta_rtl_cycles.csv is absent";
  std::string line;
  std::getline(file, line);
  int rows = 0;
  while (std::getline(file, line)) {
    std::stringstream stream(line);
    std::vector<std::string> field;
    for (std::string text; std::getline(stream, text, ',');) field.push_back(text);
    ASSERT_EQ(field.size(), 23u) << line;
    const auto number = [&field](size_t i) { return std::atoll(field[i].c_str()); };
    const Config config = RtlConfig(static_cast<int>(number(13)));
    std::vector<Instruction> program;
    if (!ReadProgram(folder + "programs/" + field[0] + ".hex.xz", Encoding(config, Isa::kStock),
                     &program)) {
      GTEST_SKIP() << "cannot unpack " << folder << "programs/" << field[0] << ".hex.xz with xz";
    }
    ASSERT_EQ(static_cast<int64_t>(program.size()), number(16));
    const SimulatedTime time = Simulate(
        config, field[14] == "tsim" ? MemoryModel::kQueued : MemoryModel::kPipelined, program);
    ASSERT_TRUE(time.finished) << line << "\n" << time.why;
    EXPECT_EQ(time.cycles, number(15)) << line;
    EXPECT_EQ(time.read_beats, number(18)) << line;
    EXPECT_EQ(time.write_beats, number(19)) << line;
    EXPECT_EQ(time.load_busy, number(20)) << line;
    EXPECT_EQ(time.compute_busy, number(21)) << line;
    EXPECT_EQ(time.store_busy, number(22)) << line;
    ++rows;
  }
  EXPECT_EQ(rows, 70);
}

// vta.md section 3, measured one instruction at a time.
TEST(Simulate, SingleInstructionsAsMeasured) {
  const Config config = RtlConfig();
  const MemoryModel q = MemoryModel::kQueued;
  EXPECT_EQ(Simulate(config, q, {Finish()}).cycles, 25);
  for (const int n : {1, 2, 100, 1000}) {
    EXPECT_EQ(Busy(config, q, Compute(Opcode::kGemm, n)), 6 + n);
    EXPECT_EQ(Busy(config, q, Compute(Opcode::kAlu, n)), 6 + n);
    EXPECT_EQ(Busy(config, q, Compute(Opcode::kAlu, n, false)), 6 + 2 * n);
  }
  EXPECT_EQ(Busy(config, q, Memory(Opcode::kLoad, MemoryId::kInp, 1, 0)), 1);  // no-op
  EXPECT_EQ(Busy(config, q, Memory(Opcode::kLoad, MemoryId::kUop, 1, 1)), 22);
  EXPECT_EQ(Busy(config, q, Memory(Opcode::kLoad, MemoryId::kUop, 1, 64)), 53);
  for (const int latency : {8, 16, 80}) {
    const Config other = RtlConfig(latency);
    for (const int x : {1, 3, 40}) {
      // Bursts follow each other without a gap, 16 of them in flight.
      const Instruction inputs = Memory(Opcode::kLoad, MemoryId::kInp, 1, x);
      EXPECT_EQ(Busy(other, q, inputs), latency + 6 + 2 * x);
      EXPECT_EQ(Busy(other, MemoryModel::kPipelined, inputs), latency + 5 + 2 * x);
      const Instruction weights = Memory(Opcode::kLoad, MemoryId::kWgt, 1, x);
      EXPECT_EQ(Busy(other, q, weights), latency + 6 + 32 * x);
    }
  }
  Instruction padded = Memory(Opcode::kLoad, MemoryId::kInp, 8, 8);
  padded.y_pad_0 = padded.y_pad_1 = padded.x_pad_0 = padded.x_pad_1 = 1;
  EXPECT_EQ(Busy(config, q, padded), 166);
  padded = Memory(Opcode::kLoad, MemoryId::kInp, 1, 8);
  padded.y_pad_0 = 8;
  EXPECT_EQ(Busy(config, q, padded), 82);
  // Eight tensors in one burst; one tensor; bursts end at multiples of 128 bytes.
  EXPECT_EQ(Busy(config, q, Memory(Opcode::kStore, MemoryId::kOut, 1, 8)), 27);
  EXPECT_EQ(Busy(config, q, Memory(Opcode::kStore, MemoryId::kOut, 1, 1)), 6);
  EXPECT_EQ(Busy(config, q, Memory(Opcode::kStore, MemoryId::kOut, 3, 8, 16)), 81);
  Instruction crossing = Memory(Opcode::kStore, MemoryId::kOut, 1, 8);
  crossing.dram = 7;
  EXPECT_EQ(Busy(config, q, crossing), 6 + 3 + 14 + 7);
}

// Refills of 8 instructions, LAT + 4 + 3 * 8 cycles apart.
TEST(Simulate, FetchPeriodAsMeasured) {
  for (const int latency : {16, 60}) {
    const std::vector<Instruction> none(80, Memory(Opcode::kLoad, MemoryId::kInp, 1, 0));
    std::vector<InstructionTime> times;
    std::vector<Instruction> program = none;
    program.push_back(Finish());
    SimulateOptions options;
    options.timeline = &times;
    ASSERT_TRUE(Simulate(RtlConfig(latency), MemoryModel::kPipelined, program, options).finished);
    EXPECT_EQ(times[72].arrival - times[64].arrival, latency + 4 + 3 * 8);
    EXPECT_EQ(times[65].arrival - times[64].arrival, 1);
  }
}

}  // namespace
}  // namespace rhnas::hw
