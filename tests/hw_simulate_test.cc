// The simulator against RTL: 70 measured programs to the cycle, the micro-measurements of single
// instructions, and what a program that cannot finish says.
#include "hw/simulate.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#include "tests/cycle_reference.h"

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

// Loads of both units share the bus without losing a cycle: 1024 beats in 1046 cycles.
TEST(Simulate, BusIsSharedAsMeasured) {
  std::vector<InstructionTime> times;
  SimulateOptions options;
  options.timeline = &times;
  const SimulatedTime time = Simulate(RtlConfig(), MemoryModel::kQueued,
                                      {Memory(Opcode::kLoad, MemoryId::kAcc, 1, 64),
                                       Memory(Opcode::kLoad, MemoryId::kWgt, 1, 16), Finish()},
                                      options);
  ASSERT_TRUE(time.finished);
  EXPECT_EQ(time.read_beats, 1024 + 6);
  const int64_t last = std::max(times[0].end, times[1].end);
  EXPECT_NEAR(static_cast<double>(last - times[0].start + 1), 1046, 1);
}

uint64_t Next(uint64_t* state) {  // splitmix64
  uint64_t z = (*state += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}
int Pick(uint64_t* state, int low, int high) {
  return low + static_cast<int>(Next(state) % static_cast<uint64_t>(high - low + 1));
}

// An instruction takes only tokens that stand before it in the program: no deadlock.
std::vector<Instruction> RandomProgram(uint64_t* state, int length) {
  std::vector<Instruction> program;
  int tokens[4] = {};  // load to compute, compute to load, compute to store, store to compute
  while (static_cast<int>(program.size()) < length) {
    Instruction i;
    const int kind = Pick(state, 0, 9);
    const int rows = Pick(state, 0, 3) == 0 ? Pick(state, 1, 9) : Pick(state, 1, 2);
    const int x = Pick(state, 0, 3) == 0 ? Pick(state, 1, 40) : Pick(state, 1, 4);
    if (kind <= 4) {
      const MemoryId ids[] = {MemoryId::kInp, MemoryId::kInp, MemoryId::kWgt, MemoryId::kAcc,
                              MemoryId::kUop};
      i = Memory(Opcode::kLoad, ids[kind], rows, Pick(state, 0, 15) == 0 ? 0 : x,
                 x + Pick(state, 0, 20));
      if (Pick(state, 0, 1) == 0) {
        i.y_pad_0 = static_cast<uint8_t>(Pick(state, 0, 3));
        i.y_pad_1 = static_cast<uint8_t>(Pick(state, 0, 3));
        i.x_pad_0 = static_cast<uint8_t>(Pick(state, 0, 1));
        i.x_pad_1 = static_cast<uint8_t>(Pick(state, 0, 1));
      }
    } else if (kind <= 6) {
      i = Compute(Opcode::kGemm, Pick(state, 1, 60));
    } else if (kind == 7) {
      i = Compute(Opcode::kAlu, Pick(state, 1, 40), Pick(state, 0, 1) == 0);
    } else {
      i = Memory(Opcode::kStore, MemoryId::kOut, rows, x, x + Pick(state, 0, 20));
    }
    i.dram = static_cast<uint32_t>(Pick(state, 0, 999));
    const auto take = [&](int queue) {
      if (tokens[queue] == 0 || Pick(state, 0, 2) == 0) return false;
      --tokens[queue];
      return true;
    };
    const auto give = [&](int queue) {
      if (Pick(state, 0, 1) == 0) return false;
      ++tokens[queue];
      return true;
    };
    switch (UnitOf(i)) {
      case Unit::kLoad:
        i.pop_next = take(1);
        i.push_next = give(0);
        break;
      case Unit::kCompute:
        i.pop_prev = take(0);
        i.pop_next = take(3);
        i.push_prev = give(1);
        i.push_next = give(2);
        break;
      case Unit::kStore:
        i.pop_prev = take(2);
        i.push_prev = give(3);
        break;
    }
    program.push_back(i);
  }
  program.push_back(Finish());
  return program;
}

// Narrow and wide buses, short and long bursts, both memories: equal to the stepped twin.
TEST(Simulate, EqualsCycleByCycleTwin) {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    uint64_t state = seed;
    Config config;
    config.bus_bits = config.dpi_data_bits = 64 << Pick(&state, 0, 3);
    config.dpi_len_bits = Pick(&state, 2, 8);
    config.dpi_delay = Pick(&state, 1, 90);
    if (Pick(&state, 0, 3) == 0) config.max_burst_length = 1 << Pick(&state, 0, 2);
    config.log_block_in = Pick(&state, 3, 5);
    config.log_block_out = Pick(&state, 3, 5);
    // A narrow store needs rows of whole bus words (rule R11).
    if (8 << config.log_block_out >= config.bus_bits) config.log_batch = Pick(&state, 0, 2);
    const MemoryModel memory =
        Pick(&state, 0, 1) == 0 ? MemoryModel::kQueued : MemoryModel::kPipelined;
    const std::vector<Instruction> program = RandomProgram(&state, Pick(&state, 1, 120));
    const SimulatedTime fast = Simulate(config, memory, program);
    ASSERT_TRUE(fast.finished) << "seed " << seed << ": " << fast.why;
    CycleReference slow(config, memory, program);
    const int64_t cycles = slow.Run(1000000);
    ASSERT_EQ(fast.cycles, cycles) << "seed " << seed << ", bus " << config.bus_bits;
    ASSERT_EQ(fast.load_busy, slow.busy[0]) << "seed " << seed;
    ASSERT_EQ(fast.compute_busy, slow.busy[1]) << "seed " << seed;
    ASSERT_EQ(fast.store_busy, slow.busy[2]) << "seed " << seed;
    ASSERT_EQ(fast.read_beats, slow.read_beats) << "seed " << seed;
    ASSERT_EQ(fast.write_beats, slow.write_beats) << "seed " << seed;
  }
}

// More than 512 instructions wait for one unit: fetch stops until one leaves its queue.
TEST(Simulate, FullQueuesStopFetch) {
  const Config config = RtlConfig();
  std::vector<Instruction> program;
  for (int i = 0; i < 700; ++i) {
    program.push_back(Compute(Opcode::kGemm, 40));
    program.push_back(Memory(Opcode::kLoad, MemoryId::kWgt, 1, 1));
  }
  program.push_back(Finish());
  std::vector<InstructionTime> times;
  SimulateOptions options;
  options.timeline = &times;
  const SimulatedTime time = Simulate(config, MemoryModel::kQueued, program, options);
  ASSERT_TRUE(time.finished);
  EXPECT_EQ(time.cycles, CycleReference(config, MemoryModel::kQueued, program).Run(1000000));
  EXPECT_GE(times[2 * 512].arrival, times[0].end + 1);
}

TEST(Simulate, TokensOrderUnits) {
  Instruction load = Memory(Opcode::kLoad, MemoryId::kInp, 1, 8);
  load.push_next = true;
  Instruction multiply = Compute(Opcode::kGemm, 10);
  multiply.pop_prev = multiply.push_next = true;
  Instruction store = Memory(Opcode::kStore, MemoryId::kOut, 1, 8);
  store.pop_prev = true;
  std::vector<InstructionTime> times;
  SimulateOptions options;
  options.timeline = &times;
  ASSERT_TRUE(
      Simulate(RtlConfig(), MemoryModel::kQueued, {load, multiply, store, Finish()}, options)
          .finished);
  // Posted in the last cycle of execution, seen in the next, executing one later.
  EXPECT_EQ(times[1].start, times[0].end + 2);
  EXPECT_EQ(times[2].start, times[1].end + 2);
}

TEST(Simulate, SaysWhyItCannotFinish) {
  Instruction multiply = Compute(Opcode::kGemm, 10);
  multiply.pop_prev = true;
  Instruction store = Memory(Opcode::kStore, MemoryId::kOut, 1, 8);
  store.pop_prev = true;
  const MemoryModel q = MemoryModel::kQueued;
  SimulatedTime time = Simulate(RtlConfig(), q, {multiply, store, Finish()});
  EXPECT_FALSE(time.finished);
  EXPECT_EQ(time.why,
            "deadlock: compute waits for a token of load at instruction 0; store waits for a token "
            "of compute at instruction 1");
  store.pop_prev = false;
  store.pop_next = true;
  EXPECT_EQ(Simulate(RtlConfig(), q, {store, Finish()}).finished, true);
  time = Simulate(RtlConfig(), q, {store});
  EXPECT_EQ(time.why, "deadlock: store waits for a token of no unit at instruction 0");
  EXPECT_EQ(Simulate(RtlConfig(), q, {}).why, "the program is empty");
  EXPECT_EQ(Simulate(RtlConfig(), q, {Compute(Opcode::kGemm, 1)}).why, "the program has no FINISH");
  Instruction post = Compute(Opcode::kGemm, 1);
  post.push_next = true;
  std::vector<Instruction> flood(300, post);
  store = Memory(Opcode::kStore, MemoryId::kOut, 1, 40);
  store.pop_prev = true;
  flood.insert(flood.end(), 300, store);
  flood.push_back(Finish());
  EXPECT_EQ(Simulate(RtlConfig(), q, flood).why,
            "more than 255 tokens wait between two units: their counters have 8 bits");
}

// 56 x 56 x 64 to 64 channels, 3 x 3, one pixel and one block of channels a tile, no second
// context: what TVM does with a convolution that it has no schedule for. Its tokens too: the loads
// of a tile wait for its reset, which waits for the store of the tile before.
std::vector<Instruction> UntunedC2() {
  constexpr int kSize = 56, kBlocks = 4;
  std::vector<Instruction> program = {Memory(Opcode::kLoad, MemoryId::kUop, 1, 32)};
  const auto size16 = [](int value) { return static_cast<uint16_t>(value); };
  for (int y = 0; y < kSize; ++y) {
    for (int out = 0; out < kBlocks; ++out) {
      for (int x = 0; x < kSize; ++x) {
        Instruction reset = Compute(Opcode::kGemm, 1);
        reset.pop_next = program.size() > 1;
        reset.push_prev = true;
        program.push_back(reset);
        for (int in = 0; in < kBlocks; ++in) {
          const int top = y == 0, left = x == 0, bottom = y == kSize - 1, right = x == kSize - 1;
          Instruction inputs =
              Memory(Opcode::kLoad, MemoryId::kInp, 3 - top - bottom, 3 - left - right, kSize);
          inputs.y_pad_0 = static_cast<uint8_t>(top);
          inputs.y_pad_1 = static_cast<uint8_t>(bottom);
          inputs.x_pad_0 = static_cast<uint8_t>(left);
          inputs.x_pad_1 = static_cast<uint8_t>(right);
          inputs.dram = size16((in * kSize + y - 1 + top) * kSize + x - 1 + left);
          inputs.pop_next = true;
          Instruction weights = Memory(Opcode::kLoad, MemoryId::kWgt, 1, 9);
          weights.dram = size16((out * kBlocks + in) * 9);
          weights.push_next = true;
          Instruction multiply = Compute(Opcode::kGemm, 9);
          multiply.pop_prev = multiply.push_prev = true;
          program.insert(program.end(), {inputs, weights, multiply});
        }
        Instruction drain = Memory(Opcode::kLoad, MemoryId::kInp, 1, 0);
        drain.pop_next = true;
        program.push_back(drain);
        Instruction bias = Memory(Opcode::kLoad, MemoryId::kAcc, 1, 1);
        bias.dram = size16(out);
        Instruction clip = Compute(Opcode::kAlu, 1);
        Instruction store = Memory(Opcode::kStore, MemoryId::kOut, 1, 1);
        store.dram = size16((out * kSize + y) * kSize + x);
        store.pop_prev = store.push_prev = true;
        program.insert(program.end(), {bias, clip, Compute(Opcode::kAlu, 1, false), clip});
        clip.push_next = true;
        program.insert(program.end(), {clip, store});
      }
    }
  }
  program.push_back(Finish());
  return program;
}

// apache/tvm-vta pull request 32: 97, 58, 39 and 29 million cycles for resnet-18.C2 at 64 to 512
// bits, 192 with the units before it. TVM's benchmark runs a layer five times (one to warm up, four
// samples), with bursts of 16 beats as in its DE10 shell.
TEST(Simulate, PublishedSweepOverMemoryWidth) {
  const std::vector<Instruction> program = UntunedC2();
  Config config = RtlConfig();
  const double published[] = {97e6, 58e6, 39e6, 29e6};
  for (int i = 0; i < 4; ++i) {
    config.bus_bits = config.dpi_data_bits = 64 << i;
    const SimulatedTime time = Simulate(config, MemoryModel::kQueued, program);
    ASSERT_TRUE(time.finished) << time.why;
    std::printf("%d bits: %.2f million cycles, published %.0f\n", config.bus_bits,
                5e-6 * static_cast<double>(time.cycles), 1e-6 * published[i]);
    EXPECT_NEAR(5.0 * static_cast<double>(time.cycles) / published[i], 1, 0.05) << config.bus_bits;
  }
  config.bus_bits = config.dpi_data_bits = 64;
  config.original_fetch = config.original_load_uop = config.original_tensor_load = true;
  config.original_tensor_store = config.original_vme = config.original_queues = true;
  const SimulatedTime old = Simulate(config, MemoryModel::kQueued, program);
  std::printf("64 bits, units before: %.2f million cycles, published 192\n",
              5e-6 * static_cast<double>(old.cycles));
  EXPECT_NEAR(5.0 * static_cast<double>(old.cycles) / 192e6, 1, 0.05);
}

// GEMM and ALU of before the pipelines.
TEST(Simulate, UnpipelinedUnits) {
  SimulateOptions options;
  options.unpipelined_gemm = options.unpipelined_alu = true;
  const auto busy = [&](const Instruction& i) {
    return Simulate(RtlConfig(), MemoryModel::kQueued, {i, Finish()}, options).compute_busy - 1;
  };
  EXPECT_EQ(busy(Compute(Opcode::kGemm, 100)) - busy(Compute(Opcode::kGemm, 50)), 4 * 50);
  EXPECT_EQ(busy(Compute(Opcode::kAlu, 100)) - busy(Compute(Opcode::kAlu, 50)), 5 * 50);
  EXPECT_EQ(busy(Compute(Opcode::kAlu, 9, false)) - busy(Compute(Opcode::kAlu, 8, false)), 6);
}

}  // namespace
}  // namespace rhnas::hw
