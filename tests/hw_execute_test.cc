// The functional machine: arithmetic of every operation, and every fault found and named.
#include "hw/execute.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <random>

namespace rhnas::hw {
namespace {

Config Small(int log_batch, int log_in, int log_out) {
  Config config;
  config.log_batch = log_batch;
  config.log_block_in = log_in;
  config.log_block_out = log_out;
  config.log_uop_buff = 10;
  config.log_inp_buff = config.log_wgt_buff = config.log_acc_buff = 14;
  return config;
}

Instruction Memory(Opcode op, MemoryId memory, uint32_t sram, uint32_t dram, int count) {
  Instruction in;
  in.op = op;
  in.memory = memory;
  in.sram = sram;
  in.dram = dram;
  in.y_size = 1;
  in.x_size = in.x_stride = static_cast<uint16_t>(count);
  return in;
}

Instruction Loop(Opcode op, uint32_t begin, uint32_t end, int lp1 = 1, uint32_t acc_1 = 0) {
  Instruction in;
  in.op = op;
  in.lp0 = 1;
  in.lp1 = static_cast<uint16_t>(lp1);
  in.uop_begin = begin;
  in.uop_end = end;
  in.acc_1 = acc_1;
  return in;
}

// out[0] = relu(acc[0] + inp[0] * wgt[0]): load inputs and weights, multiply, ALU, store.
struct Fixture {
  explicit Fixture(const Config& config, Isa isa = Isa::kExtended) {
    program.config = config;
    program.isa = isa;
    program.uops = {{0, 0, 0}, {1, 0, 0}, {0, 1, 0}};
    program.elements = {3, 4, 4, 4, 4};
    std::vector<Instruction>& list = program.instructions;
    list.push_back(Memory(Opcode::kLoad, MemoryId::kUop, 0, 0, 3));  // 0
    list.push_back(Memory(Opcode::kLoad, MemoryId::kAcc, 0, 0, 2));  // 1
    list.push_back(Memory(Opcode::kLoad, MemoryId::kInp, 0, 0, 1));  // 2
    list.push_back(Memory(Opcode::kLoad, MemoryId::kWgt, 0, 0, 1));  // 3
    list.back().push_next = true;
    list.push_back(Loop(Opcode::kGemm, 0, 1));  // 4
    list.back().pop_prev = list.back().push_prev = true;
    list.push_back(Loop(Opcode::kAlu, 0, 1));  // 5
    list.back().use_imm = true;
    list.back().alu = AluOp::kMax;
    list.back().push_next = true;
    list.push_back(Memory(Opcode::kStore, MemoryId::kOut, 0, 0, 1));  // 6
    list.back().pop_prev = list.back().push_prev = true;
    Instruction finish;
    finish.pop_next = true;
    list.push_back(Memory(Opcode::kLoad, MemoryId::kInp, 0, 0, 0));  // 7: takes compute's token
    list.back().pop_next = list.back().push_next = true;
    list.push_back(Memory(Opcode::kLoad, MemoryId::kAcc, 0, 0, 0));  // 8
    list.back().pop_prev = true;
    list.push_back(finish);  // 9
    image = EmptyImage(program);
    std::mt19937 random(5);
    for (std::vector<uint8_t>& region : image.region) {
      for (uint8_t& byte : region) byte = static_cast<uint8_t>(random());
    }
  }
  Result<ExecuteReport> Run(const ExecuteOptions& options = {}) {
    return Execute(program, &image, options);
  }
  std::string Error(const ExecuteOptions& options = {}) {
    const Result<ExecuteReport> result = Run(options);
    return result.ok() ? "" : result.error();
  }
  // Makes compute do only this to the accumulators.
  void Replace(const Instruction& alu) { program.instructions[5] = alu; }
  int32_t acc(int element, int lane) const {
    const size_t lanes = static_cast<size_t>(program.config.batch() * program.config.block_out());
    const uint8_t* p =
        &image.region[3][4 * (static_cast<size_t>(element) * lanes + static_cast<size_t>(lane))];
    return static_cast<int32_t>(uint32_t{p[0]} | uint32_t{p[1]} << 8 | uint32_t{p[2]} << 16 |
                                uint32_t{p[3]} << 24);
  }
  Program program;
  DramImage image;
};

const ExecuteOptions::Order kOrders[] = {
    ExecuteOptions::Order::kLoadFirst, ExecuteOptions::Order::kComputeFirst,
    ExecuteOptions::Order::kStoreFirst, ExecuteOptions::Order::kRandom};

TEST(Execute, MultiplyOfEveryBlockShape) {
  for (int batch = 0; batch <= 2; ++batch) {
    for (int in = 1; in <= 6; ++in) {
      for (int out = 2; out <= 6; ++out) {
        Fixture f(Small(batch, in, out));
        const int bi = 1 << in, bo = 1 << out;
        std::vector<uint8_t> expected;
        for (int b = 0; b < 1 << batch; ++b) {
          for (int o = 0; o < bo; ++o) {
            uint32_t sum = static_cast<uint32_t>(f.acc(0, b * bo + o));
            for (int i = 0; i < bi; ++i) {
              const auto inp =
                  static_cast<int8_t>(f.image.region[2][static_cast<size_t>(b * bi + i)]);
              const auto wgt =
                  static_cast<int8_t>(f.image.region[1][static_cast<size_t>(o * bi + i)]);
              sum += static_cast<uint32_t>(inp * wgt);
            }
            const auto value = static_cast<int32_t>(sum);
            expected.push_back(static_cast<uint8_t>(value > 0 ? value & 255 : 0));
          }
        }
        for (const ExecuteOptions::Order order : kOrders) {
          ExecuteOptions options;
          options.order = order;
          const Result<ExecuteReport> report = f.Run(options);
          ASSERT_TRUE(report.ok()) << report.error();
          EXPECT_EQ(report->macs, int64_t{bi} * bo << batch);
          for (size_t i = 0; i < expected.size(); ++i) {
            ASSERT_EQ(int{f.image.region[4][i]}, int{expected[i]})
                << "batch " << batch << " in " << in << " out " << out << " lane " << i;
          }
        }
      }
    }
  }
}

// Each operation with an immediate and with a tensor, against the words of the RTL's data path.
TEST(Execute, EveryAluOperation) {
  const std::function<int64_t(int64_t, int64_t, int)> meaning[] = {
      [](int64_t a, int64_t b, int) { return a < b ? a : b; },
      [](int64_t a, int64_t b, int) { return a < b ? b : a; },
      [](int64_t a, int64_t b, int) { return a + b; },
      [](int64_t a, int64_t b, int imm) {
        return imm < 0 ? a * (int64_t{1} << ((32 - (b & 31)) & 31)) : a >> (b & 31);
      },
      [](int64_t a, int64_t b, int) { return a < -b  ? -b
                                             : a > b ? b
                                                     : a; },
      [](int64_t, int64_t b, int) { return b; },
      [](int64_t a, int64_t b, int) {
        return int64_t{static_cast<int8_t>(a)} * static_cast<int8_t>(b);
      }};
  for (int op = 0; op < 7; ++op) {
    for (const int imm : {0, 1, 4, 127, -1, -5, -127, 300}) {
      for (const bool use_imm : {true, false}) {
        Fixture f(Small(0, 4, 4));
        Instruction alu = f.program.instructions[5];
        alu.alu = static_cast<AluOp>(op);
        alu.use_imm = use_imm;
        alu.imm = static_cast<int16_t>(imm);
        alu.uop_begin = use_imm ? 1 : 2;  // acc 1 from acc 0; acc 0 from acc 1
        alu.uop_end = alu.uop_begin + 1;
        f.program.instructions[4] = Memory(Opcode::kLoad, MemoryId::kAcc, 0, 0, 2);
        f.program.instructions[4].pop_prev = f.program.instructions[4].push_prev = true;
        f.Replace(alu);
        // The accumulator cannot be stored, only its low 8 bits: shift the rest down as well.
        for (const int shift : {0, 8, 16, 24}) {
          Fixture g = f;
          Instruction down = alu;
          down.alu = AluOp::kShr;
          down.use_imm = true;
          down.imm = static_cast<int16_t>(shift);
          down.uop_begin = 3;
          down.uop_end = 4;
          const uint32_t to = use_imm ? 1 : 0;
          g.program.uops.push_back({to, to, 0});
          g.program.elements[0] = 4;
          g.program.instructions[0].x_size = 4;
          g.program.instructions[5].push_next = false;
          g.program.instructions.insert(g.program.instructions.begin() + 6, down);
          g.program.instructions[7].sram = to;
          const Result<ExecuteReport> report = g.Run();
          ASSERT_TRUE(report.ok()) << report.error();
          for (int lane = 0; lane < 16; ++lane) {
            // With an immediate both operands come from the source, acc 0.
            const int64_t a = f.acc(0, lane);
            const int64_t b = use_imm ? imm : f.acc(1, lane);
            const auto y = static_cast<uint32_t>(meaning[op](a, b, imm));
            ASSERT_EQ(int{g.image.region[4][static_cast<size_t>(lane)]},
                      static_cast<int>((y >> shift) & 255))
                << "op " << op << " imm " << imm << " use " << use_imm << " a " << a << " b " << b;
          }
        }
      }
    }
  }
}

TEST(Execute, LoadsPad) {
  for (const bool least : {false, true}) {
    Fixture f(Small(0, 4, 4));
    std::vector<Instruction>& list = f.program.instructions;
    Instruction& load = list[1];  // rows 0 and 1 of 2 elements, stride 2, in a frame of 4 x 5
    load.y_size = load.x_size = load.x_stride = 2;
    load.y_pad_0 = 1;
    load.x_pad_0 = 2;
    load.y_pad_1 = load.x_pad_1 = 1;
    load.min_pad = least;
    list[4] = Memory(Opcode::kLoad, MemoryId::kAcc, 0, 0, 0);
    list[4].pop_prev = list[4].push_prev = true;
    // Every element to the outputs, shifted so that the pad's sign shows.
    list[5].alu = AluOp::kShr;
    list[5].imm = 24;
    list[5].lp1 = 20;
    list[5].acc_1 = list[5].inp_1 = 1;
    list[6].x_size = list[6].x_stride = 20;
    f.program.elements[4] = 20;
    f.image.region[4].resize(20 * 16);
    ASSERT_EQ(f.Error(), "");
    for (int y = 0; y < 4; ++y) {
      for (int x = 0; x < 5; ++x) {
        const bool inside = y >= 1 && y <= 2 && x >= 2 && x <= 3;
        const int expected = inside ? (f.acc((y - 1) * 2 + x - 2, 3) >> 24) & 255 : least ? 128 : 0;
        EXPECT_EQ(int{f.image.region[4][static_cast<size_t>((y * 5 + x) * 16 + 3)]}, expected)
            << y << " " << x << " least " << least;
      }
    }
  }
}

// Every token of the fixture is needed: without it some order would go wrong, and any order shows
// it.
TEST(Execute, AMissingTokenIsFoundInEveryOrder) {
  struct Case {
    int poster, taker;
    bool post_next, take_prev;
    const char* error;
  };
  const Case kCases[] = {
      {3, 4, true, true, "reads inp[0] while instruction 2 may still write it"},
      {5, 6, true, true, "reads out[0] while instruction 5 may still write it"},
      {6, 9, false, false, "does not wait for store, whose instruction 6 may still run"},
  };
  for (const Case& c : kCases) {
    for (const ExecuteOptions::Order order : kOrders) {
      Fixture f(Small(0, 4, 4));
      Instruction& poster = f.program.instructions[static_cast<size_t>(c.poster)];
      Instruction& taker = f.program.instructions[static_cast<size_t>(c.taker)];
      (c.post_next ? poster.push_next : poster.push_prev) = false;
      (c.take_prev ? taker.pop_prev : taker.pop_next) = false;
      ExecuteOptions options;
      options.order = order;
      const std::string error = f.Error(options);
      const bool never = error.find("which nothing has written") != std::string::npos;
      EXPECT_TRUE(never || error.find(c.error) != std::string::npos)
          << c.error << " in order " << static_cast<int>(order) << ", found: " << error;
    }
  }
}

// No-ops may take their tokens after FINISH, as in the streams that ran; a load of data may not.
TEST(Execute, FinishWaitsForData) {
  for (const int size : {0, 1}) {
    Fixture f(Small(0, 4, 4));
    f.program.instructions[7].x_size = static_cast<uint16_t>(size);
    f.program.instructions[7].push_next = f.program.instructions[8].pop_prev = false;
    EXPECT_EQ(f.Error(), size == 0 ? ""
                                   : "instruction 9 (FINISH): does not wait for load, whose "
                                     "instruction 7 may still run");
  }
}

// A load into a buffer that compute may still read.
TEST(Execute, AnOverwriteIsFound) {
  for (const ExecuteOptions::Order order : kOrders) {
    Fixture f(Small(0, 4, 4));
    f.program.instructions[7].x_size = 1;  // ordered: takes compute's token
    ExecuteOptions options;
    options.order = order;
    EXPECT_EQ(f.Error(options), "");
    Instruction early = Memory(Opcode::kLoad, MemoryId::kInp, 0, 0, 1);
    f.program.instructions.insert(f.program.instructions.begin() + 5, early);
    const std::string error = f.Error(options);
    EXPECT_NE(error.find("no token orders them"), std::string::npos)
        << static_cast<int>(order) << ": " << error;
  }
}

TEST(Execute, FaultsAreNamed) {
  const Config config = Small(0, 4, 4);  // depths: uop 256, inp 1024, wgt 64, acc 256
  const auto fault = [&](const std::function<void(Program*)>& change) {
    Fixture f(config);
    change(&f.program);
    return f.Error();
  };
  EXPECT_EQ(fault([](Program*) {}), "");
  EXPECT_EQ(fault([](Program* p) { p->instructions[3].push_next = false; }),
            "deadlock: load waits at instruction 7 for a token from compute; compute waits at "
            "instruction 4 for a token from load; store waits at instruction 6 for a token from "
            "compute");
  EXPECT_EQ(fault([](Program* p) { p->instructions[4].lp1 = 0; }),
            "instruction 4 (GEMM): loops: need at least 1 iteration, have none");
  EXPECT_EQ(fault([](Program* p) { p->uops[0].inp = 1; }),
            "instruction 4 (GEMM): reads inp[1], which nothing has written");
  EXPECT_EQ(fault([](Program* p) { p->uops[0].wgt = 64; }),
            "instruction 4 (GEMM): index wgt[64]: the scratchpad has 64 elements");
  EXPECT_EQ(fault([](Program* p) { p->instructions[4].uop_end = 257; }),
            "instruction 4 (GEMM): micro-op scratchpad: need 257 words, have 256");
  EXPECT_EQ(fault([](Program* p) { p->instructions[4].uop_end = 4; }),
            "instruction 4 (GEMM): reads uop[3], which nothing has written");
  EXPECT_EQ(fault([](Program* p) { p->instructions[2].sram = 1024; }),
            "instruction 2 (LOAD): scratchpad inp: need 1025 elements, have 1024");
  EXPECT_EQ(fault([](Program* p) { p->instructions[2].dram = 4; }),
            "instruction 2 (LOAD): region inp of DRAM: need 5 elements, have 4");
  EXPECT_EQ(fault([](Program* p) { p->instructions[6].dram = 4; }),
            "instruction 6 (STORE): region out of DRAM: need 5 elements, have 4");
  EXPECT_EQ(fault([](Program* p) { p->instructions[6].sram = 1; }),
            "instruction 6 (STORE): reads out[1], which nothing has written");
  EXPECT_EQ(fault([](Program* p) { p->instructions[2].pop_prev = true; }),
            "instruction 2 (LOAD): a token on the side where load has no neighbour");
  EXPECT_EQ(fault([](Program* p) { p->instructions[8].push_prev = true; }),
            "1 tokens from compute to load are left when the program ends, expected none");
  EXPECT_EQ(fault([](Program* p) { p->instructions.pop_back(); }),
            "the program does not end with FINISH: have 9 instructions");
  EXPECT_EQ(fault([](Program* p) { p->instructions.push_back(p->instructions.back()); }),
            "instruction 9 (FINISH): 1 instructions follow it");
  EXPECT_EQ(fault([](Program* p) {
              p->instructions[5].lp1 = 2;  // the same destination twice running
            }),
            "instruction 5 (ALU): writes acc[0] right after the micro-op that wrote it: the "
            "pipelined ALU has no bypass");
  EXPECT_EQ(fault([](Program* p) {
              p->uops = {{0, 0, 0}, {1, 1, 0}, {0, 1, 0}};
              p->instructions[5].use_imm = false;
              p->instructions[5].uop_begin = 1;
              p->instructions[5].uop_end = 3;
            }),
            "instruction 5 (ALU): reads acc[1] right after the micro-op that wrote it: the "
            "pipelined ALU has no bypass");
}

TEST(Execute, TokenCountersHaveEightBits) {
  for (const int count : {254, 255}) {
    Fixture f(Small(0, 4, 4));
    std::vector<Instruction>& list = f.program.instructions;
    Instruction post = Memory(Opcode::kLoad, MemoryId::kInp, 0, 0, 0);
    post.push_next = true;
    Instruction take = Memory(Opcode::kLoad, MemoryId::kAcc, 0, 0, 0);
    take.pop_prev = true;
    // The load unit runs ahead: with the fixture's own token, `count` + 1 at once.
    list.insert(list.begin() + 4, static_cast<size_t>(count), post);
    list.insert(list.end() - 1, static_cast<size_t>(count), take);
    const std::string error = f.Error();
    if (count == 254) {
      EXPECT_EQ(error, "");
    } else {
      EXPECT_NE(error.find("token counter from load to compute: need 256, have 255"),
                std::string::npos)
          << error;
    }
  }
}

// An instruction queue that is full holds up fetch for the other units.
TEST(Execute, QueuesHave512Entries) {
  for (const int count : {511, 512}) {
    Fixture f(Small(0, 4, 4));
    std::vector<Instruction>& list = f.program.instructions;
    // Loads behind one that waits for the multiply, which comes later in the program.
    Instruction wait = list[7];
    list.erase(list.begin() + 7);
    wait.push_next = false;
    list.insert(list.begin() + 4, wait);
    list.insert(list.begin() + 5, static_cast<size_t>(count),
                Memory(Opcode::kLoad, MemoryId::kInp, 0, 0, 0));
    list[5 + static_cast<size_t>(count) - 1].push_next = true;
    const std::string error = f.Error();
    if (count == 511) {
      EXPECT_EQ(error, "");
    } else {
      EXPECT_NE(error.find("for room in the queue of load (512 instructions)"), std::string::npos)
          << error;
    }
  }
}

}  // namespace
}  // namespace rhnas::hw
