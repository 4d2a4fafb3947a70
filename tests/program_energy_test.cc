// The program: tables by node, spaces of the user's own, boards; every mistake is one clear line.
#include <map>

#include "tests/program_cli.h"

namespace rhnas {
namespace {

class EnergyCli : public Cli {
 protected:
  void Write(const std::string& name, const std::string& text) {
    std::ofstream(dir_ + "/" + name, std::ios::binary) << text;
  }
  hw::Json Json(const std::vector<std::string>& words) {
    const Outcome outcome = Run(words);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    const hw::Result<hw::Json> json = hw::ParseJson(outcome.out, "output");
    EXPECT_TRUE(json.ok()) << json.error();
    return *json;
  }
  // One line, this exit code, this text in it, nothing on standard output.
  void ExpectError(const std::vector<std::string>& words, int code, const std::string& text) {
    const Outcome outcome = Run(words);
    EXPECT_EQ(outcome.code, code) << outcome.err;
    EXPECT_EQ(outcome.out, "");
    EXPECT_NE(outcome.err.find(text), std::string::npos) << outcome.err;
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
  }
};

TEST_F(EnergyCli, TablesByNode) {
  const auto energy = [this](const std::vector<std::string>& flags) {
    std::vector<std::string> words = {"cost", "--network", "fbnet-a", "--json"};
    words.insert(words.end(), flags.begin(), flags.end());
    return Json(words);
  };
  const hw::Json standard = energy({});
  const auto part = [](const hw::Json& json, const char* name) {
    return json.Find("energy_parts")->Find(name)->number;
  };
  const hw::Json small = energy({"--node", "28"});
  EXPECT_LT(part(small, "mac_pj"), part(standard, "mac_pj"));
  EXPECT_LT(small.Find("area_um2")->number, standard.Find("area_um2")->number);
  EXPECT_EQ(small.Find("latency_cycles")->number, standard.Find("latency_cycles")->number);
  const hw::Json leaky = energy({"--process", "hp"});
  EXPECT_GT(part(leaky, "leakage_pj"), part(standard, "leakage_pj"));
  const hw::Json hbm = energy({"--dram", "hbm2", "--clock", "200"});
  EXPECT_NEAR(part(hbm, "dram_pj") / part(standard, "dram_pj"), 31.2 / 64, 1e-12);
  EXPECT_NEAR(part(hbm, "leakage_pj") / part(standard, "leakage_pj"), 0.5, 1e-12);
}

TEST_F(EnergyCli, WrongTablesAreTold) {
  const auto cost = [](const std::vector<std::string>& flags) {
    std::vector<std::string> words = {"cost", "--network", "fbnet-a"};
    words.insert(words.end(), flags.begin(), flags.end());
    return words;
  };
  ExpectError(cost({"--node", "12"}), 2, "--node: 12 is outside 16..65");
  ExpectError(cost({"--process", "hq"}), 2, "did you mean \"hp\"?");
  ExpectError(cost({"--dram", "ddr4"}), 2, "did you mean \"ddr3\"?");
  ExpectError(cost({"--clock", "0"}), 2, "--clock: 0 is outside");
  ExpectError(cost({"--clock", "nan"}), 2, "--clock: expected a number");
  ExpectError(cost({"--energy-table", "no.csv"}), 1, "no.csv");
  const std::string csv = Run({"cost", "--print-table", "--node", "28"}).out;
  Write("t.csv", csv);
  EXPECT_EQ(Run(cost({"--energy-table", "t.csv"})).out, Run(cost({"--node", "28"})).out);
  ExpectError(cost({"--energy-table", "t.csv", "--node", "28"}), 2, "does not go with --node");
  ExpectError({"search", "--energy-table", "t.csv", "--dram", "ddr3", "--out", "run"}, 2,
              "does not go with --node");
  EXPECT_FALSE(fs::exists(dir_ + "/run"));
  const auto with = [&csv](const std::string& from, const std::string& to) {
    std::string text = csv;
    return text.replace(text.find(from), from.size(), to);
  };
  Write("bad.csv", with("dram_read_pj_per_byte,64", "dram_read_pj_per_byte,-64"));
  ExpectError(cost({"--energy-table", "bad.csv"}), 1,
              "dram_read_pj_per_byte: found -64, expected a number of at least 0");
  Write("bad.csv", with("dram_read_pj_per_byte,64", "dram_read_pj_per_byte,inf"));
  ExpectError(cost({"--energy-table", "bad.csv"}), 1, "found \"inf\", expected a finite number");
  Write("bad.csv", with("alu_op_pj,", "alu_opp_pj,"));
  ExpectError(cost({"--energy-table", "bad.csv"}), 1,
              "bad.csv:3: unknown row \"alu_opp_pj\", did you mean \"alu_op_pj\"?");
  Write("bad.csv", csv.substr(0, csv.size() / 2));
  EXPECT_EQ(Run(cost({"--energy-table", "bad.csv"})).code, 1);
  Write("bad.csv", with("alu_op_pj,", "mac_pj,"));
  ExpectError(cost({"--energy-table", "bad.csv"}), 1, "bad.csv:3: row \"mac_pj\" appears twice");
}

TEST_F(EnergyCli, SpacesOfOnesOwn) {
  Write("my.space",
        "# mine\nLOG_BLOCK_IN: 3..5\nLOG_BLOCK_OUT: 3..5\nLOG_INP_BUFF_SIZE: 14..16\n"
        "LOG_WGT_BUFF_SIZE: 16..18\nLOG_ACC_BUFF_SIZE: 16, 17\n");
  const hw::Json mine = Json({"space", "--hw-space", "my.space", "--count", "--json"});
  const hw::Json small = Json({"space", "--hw-space", "vta-small", "--count", "--json"});
  EXPECT_EQ(mine.Find("points")->integer_value, 162);
  for (const char* key : {"points", "valid", "valid_encoding"}) {
    EXPECT_EQ(mine.Find(key)->integer_value, small.Find(key)->integer_value) << key;
  }
  // What is printed is a file again.
  Write("wide.space", Run({"space", "--hw-space", "vta-wide"}).out);
  EXPECT_EQ(
      Json({"space", "--hw-space", "wide.space", "--count", "--json"}).Find("valid")->integer_value,
      352047);
  const Outcome check = Run({"space", "--hw-space", "my.space", "--check", "default"});
  EXPECT_EQ(check.code, 0) << check.err;
  EXPECT_NE(check.out.find("in space my.space"), std::string::npos) << check.out;
  const Outcome table =
      Run({"table", "build", "--space", "tiny", "--hw-space", "my.space", "--out", "t.table"});
  EXPECT_EQ(table.code, 0) << table.err;

  Write("bad.space", "LOG_BATCH: 0\nLOG_BACH: 1\n");
  const std::string message =
      "bad.space:2: unknown parameter \"LOG_BACH\", did you mean \"LOG_BATCH\"?";
  ExpectError({"space", "--hw-space", "bad.space", "--count"}, 1, message);
  ExpectError({"search", "--hw-space", "bad.space", "--out", "run"}, 1, message);
  EXPECT_FALSE(fs::exists(dir_ + "/run"));
  EXPECT_NE(Run({"table", "build", "--hw-space", "bad.space", "--out", "b.table"}).code, 0);
  EXPECT_FALSE(fs::exists(dir_ + "/b.table"));
  ExpectError({"space", "--hw-space", "no/such.space", "--count"}, 1,
              "no/such.space: no such file");
  ExpectError({"space", "--hw-space", "vta-smal", "--count"}, 2, "did you mean \"vta-small\"?");
}

TEST_F(EnergyCli, CountsUnderChosenRules) {
  const hw::Json json =
      Json({"space", "--hw-space", "vta", "--count", "--json", "--rules", "R1,R6"});
  EXPECT_EQ(json.Find("valid_chosen")->integer_value, 8736);
  EXPECT_EQ(json.Find("valid_encoding")->integer_value, 8280);
  EXPECT_EQ(json.Find("valid")->integer_value, 6472);
  ExpectError({"space", "--hw-space", "vta", "--count", "--rules", "R1,R66"}, 2,
              "--rules: unknown rule \"R66\"");
  ExpectError({"space", "--hw-space", "vta", "--rules", "R1"}, 2, "--rules needs --count");
}

TEST_F(EnergyCli, BoardsLimitSpaces) {
  int64_t before = 0;
  for (const char* board : {"xc7z020", "xczu3eg", "xczu7ev"}) {  // growing
    const int64_t valid =
        Json({"space", "--hw-space", "vta", "--count", "--json", "--board", board})
            .Find("valid")
            ->integer_value;
    EXPECT_GT(valid, before) << board;
    before = valid;
  }
  EXPECT_LT(before, 6472);
  ExpectError({"space", "--hw-space", "vta", "--count", "--board", "xc7z02"}, 2, "xc7z020");
}

// Every line is a product, lines sum to parts, parts to totals: bit for bit.
TEST_F(EnergyCli, ExplainSumsToTheTotals) {
  for (const char* hw : {"default", "vta_config_be_huge", "4x8x8_11_16_16_18"}) {
    for (const char* network : {"fbnet-a", "resnet20"}) {
      for (const char* node : {"45", "28", "19"}) {
        const std::string where = std::string(hw) + " " + network + " " + node;
        const hw::Json json =
            Json({"cost", "--network", network, "--hw", hw, "--node", node, "--explain", "--json"});
        const hw::Json& explain = *json.Find("explain");
        std::map<std::string, double> parts;
        for (const hw::Json& line : explain.Find("energy")->items) {
          const double count = line.Find("count")->number;
          EXPECT_EQ(count * line.Find("pj_each")->number, line.Find("pj")->number) << where;
          EXPECT_GE(count, 0) << where;
          parts[line.Find("part")->string] += line.Find("pj")->number;
          if (const hw::Json* by = line.Find("by")) {
            double sum = 0;
            for (const auto& share : by->members) {
              EXPECT_GE(share.second.number, 0)
                  << where << " " << line.Find("what")->string << " by " << share.first;
              sum += share.second.number;
            }
            EXPECT_EQ(sum, count) << where << " " << line.Find("what")->string;
          }
        }
        const hw::Json& totals = *json.Find("energy_parts");
        const std::vector<std::pair<const char*, const char*>> names = {
            {"MAC", "mac_pj"},   {"ALU", "alu_pj"},         {"SRAM", "sram_pj"},
            {"DRAM", "dram_pj"}, {"control", "control_pj"}, {"leakage", "leakage_pj"}};
        double total = 0;
        for (const auto& [name, key] : names) {
          EXPECT_EQ(parts[name], totals.Find(key)->number) << where << " " << name;
          total += parts[name];
        }
        EXPECT_EQ(total, json.Find("energy_pj")->number) << where;
        double area = 0;
        for (const hw::Json& part : explain.Find("area")->items) {
          EXPECT_EQ(part.Find("count")->number * part.Find("um2_each")->number,
                    part.Find("um2")->number);
          area += part.Find("um2")->number;
        }
        EXPECT_EQ(area, json.Find("area_um2")->number) << where;
        int64_t cycles = 0;
        for (const hw::Json& program : explain.Find("programs")->items) {
          cycles += program.Find("latency_cycles")->integer_value;
        }
        EXPECT_EQ(cycles, json.Find("latency_cycles")->integer_value) << where;
        for (const hw::Json& row : explain.Find("table_rows")->items) {
          for (const char* key : {"unit", "node_nm", "voltage_v", "source"}) {
            EXPECT_FALSE(row.Find(key)->string.empty()) << where << " " << key;
          }
        }
        EXPECT_EQ(explain.Find("boards")->items.size(), 4u);
      }
    }
  }
}

// One layer with its tiling: what a reader can count along. 7x14 tiles of two output blocks, two
// contexts: 196 pixels x 4 output x 4 input blocks x 9 taps = 28,224 vectors.
TEST_F(EnergyCli, OneLayerByHand) {
  const hw::Json json = Json({"cost", "--layer", "conv 64x14x14 -> 64 k3 s1 p1", "--tiling",
                              "7x14 co2 ci1 vt2", "--hw", "rtl", "--explain", "--json"});
  EXPECT_EQ(json.Find("tiling")->string, "7x14 co2 ci1 vt2");
  double total = 0;
  std::map<std::string, int64_t> counts;
  for (const hw::Json& line : json.Find("explain")->Find("energy")->items) {
    total += line.Find("pj")->number;
    counts[line.Find("what")->string] = line.Find("count")->integer_value;
  }
  EXPECT_NEAR(total, json.Find("energy_pj")->number, 1e-6);
  EXPECT_EQ(counts["weights read"], 28224 * 256);
  EXPECT_EQ(counts["inputs read"], 28224 * 16);
  // Weights: 64 x 64 x 9 for each of the two row tiles. Outputs: each byte once.
  EXPECT_EQ(counts["DRAM weights read"], 2 * 64 * 64 * 9);
  EXPECT_EQ(counts["DRAM outputs written"], 64 * 196);
  // Bias: 64 accumulators of 4 bytes for each row tile; inputs: 64 channels, 2 x 8 rows of 14, for
  // each of the two pairs of output blocks.
  EXPECT_EQ(counts["DRAM biases read"], 2 * 64 * 4);
  EXPECT_EQ(counts["DRAM inputs read"], 2 * 64 * 16 * 14);
  EXPECT_EQ(counts["DRAM instructions read"], 16 * counts["instructions fetched and decoded"]);

  ExpectError({"cost", "--layer", "convx 64x14x14", "--explain"}, 2, "did you mean \"conv\"?");
  ExpectError({"cost", "--layer", "conv 64x14x14", "--tiling", "7x14 cox"}, 2, "--tiling: found");
  ExpectError({"cost", "--layer", "conv 64x56x56 -> 64 k3 p1", "--tiling", "56x56 co1 ci1 vt1"}, 1,
              "accumulator scratchpad elements: need");
  ExpectError({"cost", "--network", "resnet20", "--tiling", "7x14"}, 2, "--tiling needs --layer");
  ExpectError({"cost", "--network", "resnet20", "--layer", "conv 64x14x14"}, 2, "does not go with");
}

TEST_F(EnergyCli, CalibrationNeedsNoNetwork) {
  const hw::Json json = Json({"cost", "--calibration", "--json"});
  EXPECT_EQ(json.Find("compared_report_mw")->number, 508);
  EXPECT_EQ(json.Find("factor")->number, 508 / json.Find("compared_model_mw")->number);
  EXPECT_NE(Run({"cost", "--calibration"}).out.find("28 nm hp"), std::string::npos);
  EXPECT_NE(Run({"cost", "--calibration", "--process", "lop"}).out.find("28 nm lop"),
            std::string::npos);
}

TEST_F(EnergyCli, ExplainReadsByHand) {
  const Outcome outcome = Run({"cost", "--network", "resnet20", "--explain"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  for (const char* text :
       {"GEMM of N vectors", "7 + N", "weights read", "x 0.395", "32 of 8 KB; GEMM",
        "[sram_8kb_read_pj_per_byte] 0.395 pJ/B, 45 nm, 0.7 V: CACTI 7 sweep", "mac_pj] 0.3 pJ",
        "xc7z020        fits          19058 of 53200 LUT  22258 of 106400 flip-flops  220 of 220",
        "MAC array                     256 MAC             419.000        107,264.000"}) {
    EXPECT_NE(outcome.out.find(text), std::string::npos) << text << " in " << outcome.out;
  }
  ExpectError({"cost", "--network", "resnet20", "--explain", "--layer-table", "t"}, 2,
              "does not go with --layer-table");
}

}  // namespace
}  // namespace rhnas
