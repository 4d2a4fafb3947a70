// The scheduler: the measured programs again, word for word, and programs that compute what the
// layers say under any delay of the units.
#include "hw/lower.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "hw/execute.h"
#include "hw/layer_file.h"
#include "hw/reference.h"

namespace rhnas::hw {
namespace {

bool ReadWords(const std::string& path, std::vector<Word128>* words) {
  FILE* pipe = popen(("xz -dc '" + path + "' 2>/dev/null").c_str(), "r");
  if (pipe == nullptr) return false;
  unsigned long long high = 0, low = 0;
  words->clear();
  while (std::fscanf(pipe, "%llx %llx", &high, &low) == 2) words->push_back(Word128{low, high});
  return pclose(pipe) == 0 && !words->empty();
}

// The 70 streams that ran on RTL (facts: data/vta-rtl): tile, order, tokens, addresses, all bits.
TEST(Lower, EqualsMeasuredProgramsBitForBit) {
  const char* shared = std::getenv("RHNAS_SHARED");
  if (shared == nullptr) GTEST_SKIP() << "set RHNAS_SHARED to the folder that holds vta-rtl/";
  const std::string folder = std::string(shared) + "/vta-rtl/";
  std::ifstream file(folder + "vta_rtl_cycles.csv");
  if (!file) GTEST_SKIP() << folder << "vta_rtl_cycles.csv is absent";
  std::stringstream text;
  text << file.rdbuf();
  const Result<LayerFile> rows = ParseLayerFile(text.str(), "vta_rtl_cycles.csv");
  ASSERT_TRUE(rows.ok());
  ASSERT_EQ(rows.value().rows.size(), 70u);
  const Config config;
  const Encoding encoding(config, Isa::kStock);
  for (const LayerRow& row : rows.value().rows) {
    LoweredProgram lowered;
    std::string why;
    ASSERT_TRUE(Lower(row.layer, config, row.tiling, {Isa::kStock, 4}, &lowered, &why)) << why;
    std::vector<Word128> words;
    if (!ReadWords(folder + "programs/" + row.layer.name + ".hex.xz", &words)) {
      GTEST_SKIP() << "cannot unpack " << folder << "programs/" << row.layer.name << ".hex.xz";
    }
    ASSERT_EQ(lowered.program.instructions.size(), words.size()) << row.layer.name;
    for (size_t i = 0; i < words.size(); ++i) {
      Word128 word;
      ASSERT_TRUE(Encode(encoding, lowered.program.instructions[i], &word, &why)) << why;
      ASSERT_TRUE(word.low == words[i].low && word.high == words[i].high)
          << row.layer.name << " instruction " << i;
    }
  }
}

}  // namespace
}  // namespace rhnas::hw
