// Checkpoint files: round trips, damage of every kind, the previous file.
#include "engine/archive.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>

namespace rhnas::engine {
namespace {

class Archive : public testing::Test {
 protected:
  void SetUp() override {
    const std::string test = testing::UnitTest::GetInstance()->current_test_info()->name();
    path = testing::TempDir() + "rhnas_archive_" + test;
    TearDown();
  }
  void TearDown() override {
    for (const char* end : {"", ".prev", ".tmp"}) std::remove((path + end).c_str());
  }
  void Save(int value) {
    ArchiveWriter writer;
    writer.Put("value", value);
    const Status status = writer.Save(path);
    ASSERT_TRUE(status.ok()) << status.message();
  }
  void Overwrite(const std::string& at, const std::string& text) {
    std::ofstream(at, std::ios::binary) << text;
  }
  std::string path;
};

TEST_F(Archive, RoundTrip) {
  ArchiveWriter writer;
  writer.Put("pi", 3.25);
  writer.PutVector("list", std::vector<int32_t>{1, -2, 3});
  writer.PutVector("empty", std::vector<float>());
  writer.PutString("text", std::string("a\0b", 3));
  Buffer buffer(3);
  buffer[1] = 7;
  writer.PutBuffer("buffer", buffer);
  ASSERT_TRUE(writer.Save(path).ok());

  auto reader = ArchiveReader::Open(path);
  ASSERT_TRUE(reader.ok()) << reader.status().message();
  EXPECT_FALSE(reader->used_previous());
  double pi = 0;
  std::vector<int32_t> list;
  std::vector<float> empty{1};
  std::string text;
  Buffer loaded(3);
  reader->Get("pi", &pi);
  reader->GetVector("list", &list);
  reader->GetVector("empty", &empty);
  reader->GetString("text", &text);
  reader->GetBuffer("buffer", &loaded);
  EXPECT_TRUE(reader->status().ok()) << reader->status().message();
  EXPECT_EQ(pi, 3.25);
  EXPECT_EQ(list, (std::vector<int32_t>{1, -2, 3}));
  EXPECT_TRUE(empty.empty());
  EXPECT_EQ(text, std::string("a\0b", 3));
  EXPECT_EQ(loaded[1], 7);
  EXPECT_TRUE(reader->Has("pi"));
  EXPECT_FALSE(reader->Has("tau"));
}

TEST_F(Archive, NamesAreUnique) {
  ArchiveWriter writer;
  writer.Put("pi", 3.25);
  EXPECT_DEATH(writer.Put("pi", 3.5), "pi");
}

// The bytes themselves, so that another machine reads them.
TEST_F(Archive, Format) {
  ArchiveWriter writer;
  writer.PutString("ab", "xyz");
  ASSERT_TRUE(writer.Save(path).ok());
  const auto text = ReadFile(path);
  ASSERT_TRUE(text.ok());
  const char want[] = "RHNASCKP\1\0\0\0\1\0\0\0\2\0\0\0ab\3\0\0\0\0\0\0\0xyz";
  ASSERT_EQ(text->size(), sizeof want - 1 + 8);
  EXPECT_EQ(text->substr(0, sizeof want - 1), std::string(want, sizeof want - 1));
  uint64_t hash = 14695981039346656037u;
  for (size_t i = 0; i < sizeof want - 1; ++i) {
    hash = (hash ^ static_cast<unsigned char>(want[i])) * 1099511628211u;
  }
  for (size_t i = 0; i < 8; ++i) {
    EXPECT_EQ(static_cast<unsigned char>((*text)[sizeof want - 1 + i]), hash >> (8 * i) & 0xff);
  }
}

TEST_F(Archive, EveryTruncationAndEveryFlippedByteIsFound) {
  Save(42);
  const std::string whole = *ReadFile(path);
  for (size_t size = 0; size < whole.size(); ++size) {
    Overwrite(path, whole.substr(0, size));
    const auto reader = ArchiveReader::Open(path);
    ASSERT_FALSE(reader.ok()) << size;
    EXPECT_NE(reader.status().message().find(path), std::string::npos);
    EXPECT_EQ(reader.status().message().find('\n'), std::string::npos);
  }
  for (size_t i = 0; i < whole.size(); ++i) {
    std::string bad = whole;
    bad[i] = static_cast<char>(bad[i] ^ 0x10);
    Overwrite(path, bad);
    EXPECT_FALSE(ArchiveReader::Open(path).ok()) << i;
  }
  Overwrite(path, whole + "x");
  EXPECT_FALSE(ArchiveReader::Open(path).ok());
}

TEST_F(Archive, MessagesSayWhatIsWrong) {
  EXPECT_NE(ArchiveReader::Open(path).status().message().find("cannot open"), std::string::npos);
  Overwrite(path, "this is some other kind of file");
  EXPECT_NE(ArchiveReader::Open(path).status().message().find("not a checkpoint"),
            std::string::npos);
  Save(1);
  std::string text = *ReadFile(path);
  text[8] = 9;
  Overwrite(path, text);
  EXPECT_NE(ArchiveReader::Open(path).status().message().find("version 9"), std::string::npos);
}

// Sizes inside a file with a right checksum still never lead past its end.
TEST_F(Archive, LyingSizesAreFound) {
  struct Lie {
    size_t at;
    int byte;
  };
  // Count too high and too low, name length, byte count low and high.
  for (const Lie& lie : {Lie{12, 0xf7}, {12, 0}, {16, 0xf7}, {25, 0xf7}, {32, 0xf7}}) {
    Save(42);
    std::string text = *ReadFile(path);
    text.resize(text.size() - 8);
    text[lie.at] = static_cast<char>(lie.byte);
    uint64_t hash = 14695981039346656037u;
    for (char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
    for (int i = 0; i < 8; ++i) text.push_back(static_cast<char>(hash >> (8 * i) & 0xff));
    Overwrite(path, text);
    std::remove((path + ".prev").c_str());
    EXPECT_FALSE(ArchiveReader::Open(path).ok()) << lie.at << " " << lie.byte;
  }
}

TEST_F(Archive, ThePreviousFileIsKeptAndUsed) {
  Save(1);
  Save(2);
  int value = 0;
  auto reader = ArchiveReader::Open(path);
  reader->Get("value", &value);
  EXPECT_EQ(value, 2);
  Overwrite(path, "damaged");
  reader = ArchiveReader::Open(path);
  ASSERT_TRUE(reader.ok()) << reader.status().message();
  EXPECT_TRUE(reader->used_previous());
  reader->Get("value", &value);
  EXPECT_EQ(value, 1);
  // A damaged file does not push out the good one before it.
  Save(3);
  Overwrite(path, "damaged again");
  reader = ArchiveReader::Open(path);
  ASSERT_TRUE(reader.ok());
  reader->Get("value", &value);
  EXPECT_EQ(value, 1);
  // The stop between the two renames: only .prev is there.
  std::remove(path.c_str());
  reader = ArchiveReader::Open(path);
  ASSERT_TRUE(reader.ok());
  EXPECT_TRUE(reader->used_previous());
}

TEST_F(Archive, GettersStopAtTheFirstError) {
  Save(42);
  auto reader = ArchiveReader::Open(path);
  double wrong = 5;
  reader->Get("value", &wrong);
  EXPECT_EQ(wrong, 5);
  EXPECT_NE(reader->status().message().find("4 bytes, expected 8"), std::string::npos);
  int value = 0;
  reader->Get("value", &value);
  EXPECT_EQ(value, 0);
  auto again = ArchiveReader::Open(path);
  again->Get("missing", &value);
  EXPECT_NE(again->status().message().find("no entry \"missing\""), std::string::npos);
  auto vector = ArchiveReader::Open(path);
  std::vector<double> doubles;
  vector->GetVector("value", &doubles);
  EXPECT_NE(vector->status().message().find("not a multiple of 8"), std::string::npos);
}

TEST_F(Archive, UnwritablePlacesSayWhy) {
  const Status status = WriteFileAtomically(path + ".no/such/folder", "text");
  EXPECT_NE(status.message().find("cannot write: "), std::string::npos) << status.message();
  EXPECT_FALSE(ArchiveWriter().Save(path + ".no/such/folder").ok());
#if defined(__linux__)
  // A full disk: the failure is said, nothing is left aside.
  std::ofstream full("/dev/full");
  if (full.good()) {
    ASSERT_EQ(std::system(("ln -sf /dev/full " + path + ".tmp").c_str()), 0);
    const Status no_space = WriteFileAtomically(path, std::string(100000, 'x'));
    EXPECT_NE(no_space.message().find("No space left"), std::string::npos) << no_space.message();
  }
#endif
}

TEST_F(Archive, WriteFileReplacesWhole) {
  ASSERT_TRUE(WriteFileAtomically(path, "first").ok());
  ASSERT_TRUE(WriteFileAtomically(path, "2").ok());
  EXPECT_EQ(*ReadFile(path), "2");
  ASSERT_TRUE(WriteFileAtomically(path, "").ok());
  EXPECT_EQ(*ReadFile(path), "");
}

TEST_F(Archive, OutputsAreFilesOfTheirOwn) {
  EXPECT_NE(WriteFileAtomically("/dev/null", "x").message().find("a device or pipe"),
            std::string::npos);
  EXPECT_NE(CheckOutput("/").message().find("a folder"), std::string::npos);
  EXPECT_TRUE(CheckOutput(path, path).ok());  // not there yet
  ASSERT_TRUE(WriteFileAtomically(path, "x").ok());
  EXPECT_TRUE(CheckOutput(path).ok());
  EXPECT_NE(CheckOutput(path, path).message().find("is the input"), std::string::npos);
}

TEST_F(Archive, AnEndlessFileIsRefused) {
  EXPECT_NE(ReadFile("/dev/zero").status().message().find("MiB"), std::string::npos);
}

}  // namespace
}  // namespace rhnas::engine
