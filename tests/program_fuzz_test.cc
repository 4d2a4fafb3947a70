// Whatever a file, a flag or a genotype says, the answer is a value or one line: no crash, no hang,
// no message of several lines. Mutations of valid inputs, from a fixed seed; the sanitizers of CI
// watch.

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <functional>

#include "engine/archive.h"
#include "engine/random.h"
#include "hw/config.h"
#include "hw/json.h"
#include "hw/layer_file.h"
#include "hw/layer_table_csv.h"
#include "hw/layer_table_write.h"
#include "hw/layer_text.h"
#include "hw/space.h"
#include "hw/tables.h"
#include "nn/data.h"
#include "nn/space.h"
#include "search/flags.h"
#include "search/joint_search.h"
#include "search/search_flags.h"

namespace rhnas {
namespace {

// A copy of `text` with one to four edits: a byte changed, a span removed, doubled or moved, the
// end cut.
std::string Mutated(const std::string& text, engine::Rng& rng) {
  std::string result = text;
  const uint32_t edits = 1 + rng.Below(4);
  for (uint32_t edit = 0; edit < edits && !result.empty(); ++edit) {
    const uint32_t size = static_cast<uint32_t>(result.size());
    const size_t at = rng.Below(size);
    const size_t length = 1 + rng.Below(std::min(size, 16u));
    switch (rng.Below(6)) {
      case 0:
        result[at] = static_cast<char>(rng.Below(256));
        break;
      case 1:
        result.erase(at, length);
        break;
      case 2:
        result.insert(at, result.substr(at, length));
        break;
      case 3:
        result.insert(rng.Below(size), result.substr(at, length));
        break;
      case 4:
        result.resize(at);
        break;
      default:
        result.insert(at, std::string(1 + rng.Below(3), "0-9.e\"{}[],:\n%"[rng.Below(14)]));
    }
  }
  return result;
}

void ExpectOneLine(const std::string& message) {
  ASSERT_FALSE(message.empty());
  ASSERT_EQ(message.find('\n'), std::string::npos) << message;
  ASSERT_LT(message.size(), 2000u) << message;
}

// Calls `parse` on mutations of `seed_text`; it returns the error, or "" when the text was
// accepted.
void Fuzz(const std::string& seed_text, int rounds,
          const std::function<std::string(const std::string&)>& parse) {
  ASSERT_EQ(parse(seed_text), "") << "the unchanged text must be accepted";
  engine::Rng rng(20261123);
  int refused = 0;
  for (int round = 0; round < rounds; ++round) {
    const std::string text = Mutated(seed_text, rng);
    const std::string error = parse(text);
    if (error.empty()) continue;
    ++refused;
    ExpectOneLine(error);
    if (testing::Test::HasFatalFailure()) {
      FAIL() << "round " << round << ", input: " << text.substr(0, 400);
    }
  }
  EXPECT_GT(refused, rounds / 20) << "the mutations hardly break anything";
}

TEST(Fuzz, HardwareConfiguration) {
  Fuzz(hw::ToJson(*hw::FindConfig("default")), 4000, [](const std::string& text) {
    const hw::Result<hw::Config> parsed = hw::ParseConfig(text, "x.json");
    if (!parsed.ok()) return parsed.error();
    // Whatever was accepted can be checked and printed.
    for (const hw::Verdict& verdict : hw::CheckAll(*parsed)) verdict.ToString();
    EXPECT_TRUE(hw::ParseConfig(hw::ToJson(*parsed), "again").ok());
    return std::string();
  });
}

TEST(Fuzz, LayerFile) {
  Fuzz(
      "id,kind,c_in,c_out,height,width,kernel,stride,pad,tile_h,tile_w,tile_co,tile_ci,vthreads,"
      "mem_latency,mem_model,cycles\n"
      "000,conv,192,672,4,4,1,1,0,4,4,3,1,2,16,tsim,34182\n"
      "# a comment\n"
      "001,depthwise,64,64,14,14,5,1,2,,,,,,80,pipelined,\n",
      3000, [](const std::string& text) {
        const hw::Result<hw::LayerFile> parsed = hw::ParseLayerFile(text, "x.csv");
        return parsed.ok() ? std::string() : parsed.error();
      });
}

TEST(Fuzz, CostTable) {
  Fuzz(hw::DefaultCostTableCsv(), 1500, [](const std::string& text) {
    const hw::Result<hw::CostTable> parsed = hw::ParseCostTable(text, "x.csv");
    return parsed.ok() ? std::string() : parsed.error();
  });
}

TEST(Fuzz, LayerText) {
  Fuzz("conv-1x16x16x24-k144-1x1-s1-p0-g1-b-relu+conv-1x16x16x144-k144-3x3-s1-p1-g144-b-relu", 4000,
       [](const std::string& text) {
         std::vector<hw::Layer> chain;
         std::string why;
         if (!hw::ParseChainText(text, &chain, &why)) {
           return text.find('\n') == std::string::npos ? why : std::string("refused");
         }
         std::vector<hw::Layer> again;
         EXPECT_TRUE(hw::ParseChainText(hw::ChainText(chain), &again, &why)) << why;
         return std::string();
       });
}

// Two layers on two configurations.
hw::TableHead FuzzedTableHead() {
  hw::TableHead head;
  head.space = "two";
  head.networks = "two";
  head.configurations = {{11, 0, "1x16x16_15_15_18_17_64"}, {22, 7, "1x8x8_15_14_16_16_64"}};
  for (const char* text : {"conv-1x8x8x16-k32-3x3-s1-p1-g1-b", "add-1x8x8x32-k32-1x1-s1-p0-g1"}) {
    std::vector<hw::Layer> chain;
    EXPECT_TRUE(hw::ParseChainText(text, &chain, nullptr));
    head.items.push_back(chain);
  }
  return head;
}

TEST(Fuzz, LayerTable) {
  const hw::TableHead head = FuzzedTableHead();
  const hw::MappedFile file =
      hw::LayerTableBytes(head, std::vector<hw::TableEntry>(4, {100, 2.5, 64, 0}));
  const std::string bytes(reinterpret_cast<const char*>(file.data()), file.size());
  Fuzz(bytes, 4000, [](const std::string& text) {
    unsigned char* copy = new unsigned char[text.size() + 1];
    std::copy(text.begin(), text.end(), copy);
    const hw::Result<hw::LayerTable> table =
        hw::LayerTable::FromFile(hw::MappedFile::Own(copy, text.size()), "x.table");
    if (!table.ok()) return table.error();
    std::string why;
    hw::CheckLayerTable(*table, &why);
    return why;
  });
}

TEST(Fuzz, LayerTableCsv) {
  const hw::TableHead head = FuzzedTableHead();
  const std::string path = testing::TempDir() + "rhnas_fuzz_csv_" + std::to_string(getpid());
  std::string csv = "# mine\nlayer,configuration,cycles,energy_pj\n";
  for (const std::vector<hw::Layer>& item : head.items) {
    for (const hw::TableConfiguration& configuration : head.configurations) {
      csv += hw::ChainText(item) + "," + configuration.name + ",1200,3.5e4\n";
    }
  }
  Fuzz(csv, 2000, [&](const std::string& text) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
    const hw::Result<hw::LayerTable> table = hw::ReadLayerTableCsv(path, head);
    return table.ok() ? std::string() : table.error();
  });
  std::remove(path.c_str());
}

TEST(Fuzz, HardwareSpace) {
  Fuzz("# mine\nbase: default\nLOG_BLOCK_IN: 3..5\nLOG_WGT_BUFF_SIZE: 16, 18\nBUS: 64, 128\n", 4000,
       [](const std::string& text) {
         const hw::Result<hw::HwSpace> parsed = hw::ParseHwSpace(text, "x.space");
         if (!parsed.ok()) return parsed.error();
         // Whatever was accepted has points, can be printed and reads back.
         EXPECT_GT(parsed->points(), 0);
         hw::CheckAll(parsed->At(parsed->points() - 1));
         EXPECT_TRUE(hw::ParseHwSpace(hw::HwSpaceText(*parsed), "again").ok());
         return std::string();
       });
}

TEST(Fuzz, Genotype) {
  Fuzz("tiny:k3_e3,k5_e1,skip,k3_e6,k5_e3,k3_e1_g2", 4000, [](const std::string& text) {
    const engine::Result<nn::Network> parsed = nn::ParseNetwork(text);
    if (!parsed.ok()) return parsed.status().message();
    EXPECT_GT(nn::Macs(parsed->space, parsed->genotype), 0);
    return std::string();
  });
  Fuzz("fbnet-cifar@w0.5", 4000, [](const std::string& text) {
    const engine::Result<nn::Space> found = nn::FindSpace(text);
    return found.ok() ? std::string() : found.status().message();
  });
}

TEST(Fuzz, Flags) {
  Fuzz("--space=tiny --width=0.5 --bus=free --lambda=0.1 --epochs=3 --seed=7", 3000,
       [](const std::string& text) {
         search::SearchOptions options;
         search::FlagSet flags;
         search::DeclareSearchFlags(&options, &flags);
         std::vector<std::string> words;
         for (size_t at = 0; at <= text.size();) {
           const size_t end = std::min(text.find(' ', at), text.size());
           words.push_back(text.substr(at, end - at));
           at = end + 1;
         }
         std::string message = flags.Parse(words).message();
         // A flag's own text may hold a line break; it is the user's.
         if (text.find('\n') != std::string::npos && !message.empty()) message = "refused";
         return message;
       });
}

TEST(Fuzz, Checkpoint) {
  const std::string path = testing::TempDir() + "rhnas_fuzz_" + std::to_string(getpid());
  engine::ArchiveWriter archive;
  archive.PutString("options", "a=1");
  archive.PutVector("values", std::vector<float>{1, 2, 3});
  ASSERT_TRUE(archive.Save(path).ok());
  const engine::Result<std::string> bytes = engine::ReadFile(path);
  ASSERT_TRUE(bytes.ok());
  Fuzz(*bytes, 1500, [&path](const std::string& text) {
    std::ofstream(path, std::ios::binary) << text;
    engine::Result<engine::ArchiveReader> opened = engine::ArchiveReader::Open(path);
    if (!opened.ok()) return opened.status().message();
    std::vector<float> values;
    opened->GetVector("values", &values);
    return opened->status().message();
  });
  unlink(path.c_str());
}

TEST(Fuzz, ImageFiles) {
  const std::string dir = testing::TempDir() + "rhnas_fuzz_idx_" + std::to_string(getpid());
  ASSERT_EQ(system(("mkdir -p " + dir).c_str()), 0);
  auto put = [&dir](const std::string& name, const std::string& bytes) {
    std::ofstream(dir + "/" + name, std::ios::binary) << bytes;
  };
  const std::string images =
      std::string("\0\0\x08\x03\0\0\0\x02\0\0\0\x1c\0\0\0\x1c", 16) + std::string(2 * 28 * 28, 'x');
  const std::string labels = std::string("\0\0\x08\x01\0\0\0\x02\x03\x04", 10);
  for (const char* part : {"train", "t10k"}) {
    put(std::string(part) + "-images-idx3-ubyte", images);
    put(std::string(part) + "-labels-idx1-ubyte", labels);
  }
  nn::DataOptions options;
  options.name = "mnist";
  options.dir = dir;
  auto open = [&options] {
    const engine::Result<nn::DataPair> opened = nn::OpenData(options);
    return opened.ok() ? std::string() : opened.status().message();
  };
  ASSERT_EQ(open(), "");
  engine::Rng rng(5);
  for (int round = 0; round < 400; ++round) {
    const std::string header = Mutated(images.substr(0, 16), rng);
    put("train-images-idx3-ubyte", header + images.substr(16));
    const std::string error = open();
    if (!error.empty()) ExpectOneLine(error);
  }
  put("train-images-idx3-ubyte", images);
  for (int round = 0; round < 400; ++round) {
    put("train-labels-idx1-ubyte", Mutated(labels, rng));
    const std::string error = open();
    if (!error.empty()) ExpectOneLine(error);
  }
  ASSERT_EQ(system(("rm -r " + dir).c_str()), 0);
}

}  // namespace
}  // namespace rhnas
