// Event files: the records against known numbers and an independent reader, written during a run.
#include "search/tensorboard.h"

#include <gtest/gtest.h>

#include "tests/program_cli.h"

namespace rhnas {
namespace {

// RFC 3720, B.4: CRC-32C of 32 zeros, 32 ones and 0..31.
TEST(TensorBoard, ChecksumIsTheCastagnoliOne) {
  EXPECT_EQ(search::Crc32c("123456789", 9), 0xe3069283U);
  EXPECT_EQ(search::Crc32c("", 0), 0U);
  std::string bytes(32, '\0');
  EXPECT_EQ(search::Crc32c(bytes.data(), 32), 0x8a9136aaU);
  for (char& c : bytes) c = static_cast<char>(0xff);
  EXPECT_EQ(search::Crc32c(bytes.data(), 32), 0x62a8ab43U);
  for (int i = 0; i < 32; ++i) bytes[static_cast<size_t>(i)] = static_cast<char>(i);
  EXPECT_EQ(search::Crc32c(bytes.data(), 32), 0x46dd794eU);
}

// By hand from event.proto and summary.proto.
TEST(TensorBoard, EventIsProtobuf) {
  const std::string event = search::ScalarEvent(1.0, 300, {{"ab", 0.5}});
  const unsigned char expected[] = {
      0x09, 0,    0,    0,   0,    0, 0, 0xf0, 0x3f,  // 1: 1.0
      0x10, 0xac, 0x02,                               // 2: 300
      0x2a, 0x0b,                                     // 5: 11 bytes
      0x0a, 0x09,                                     //   1: 9 bytes
      0x0a, 0x02, 'a',  'b', 0x15, 0, 0, 0,    0x3f,  //     1: "ab", 2: 0.5
  };
  EXPECT_EQ(event, std::string(reinterpret_cast<const char*>(expected), sizeof expected));
}

// Reads every *.tfevents.* of a folder with nothing of ours: TFRecord and Protocol Buffers in
// Python, checksums by a table. Prints "file step tag value" a line.
constexpr char kReader[] = R"PY(
import glob, os, struct, sys
table = []
for i in range(256):
    c = i
    for _ in range(8):
        c = (c >> 1) ^ 0x82F63B78 if c & 1 else c >> 1
    table.append(c)
def masked(data):
    c = 0xFFFFFFFF
    for b in data:
        c = table[(c ^ b) & 255] ^ (c >> 8)
    c ^= 0xFFFFFFFF
    return (((c >> 15) | (c << 17)) + 0xA282EAD8) & 0xFFFFFFFF
def varint(d, i):
    v = s = 0
    while True:
        b = d[i]; i += 1
        v |= (b & 127) << s; s += 7
        if b < 128: return v, i
def fields(d):
    i = 0
    while i < len(d):
        k, i = varint(d, i)
        if k & 7 == 0: v, i = varint(d, i)
        elif k & 7 == 1: v, i = d[i:i+8], i + 8
        elif k & 7 == 5: v, i = d[i:i+4], i + 4
        elif k & 7 == 2:
            n, i = varint(d, i)
            v, i = d[i:i+n], i + n
            assert len(v) == n
        else: raise SystemExit('wire type %d' % (k & 7))
        yield k >> 3, v
for number, path in enumerate(sorted(glob.glob(sys.argv[1] + '/events.out.tfevents.*'))):
    data, at, first = open(path, 'rb').read(), 0, True
    while at < len(data):
        head = data[at:at+8]
        n, = struct.unpack('<Q', head)
        crc, = struct.unpack('<I', data[at+8:at+12])
        assert crc == masked(head), 'crc of a length in ' + path
        body = data[at+12:at+12+n]
        crc, = struct.unpack('<I', data[at+12+n:at+16+n])
        assert len(body) == n and crc == masked(body), 'crc of a record in ' + path
        at += 16 + n
        event = dict(fields(body))
        wall, = struct.unpack('<d', event[1])
        assert 1.6e9 < wall < 1e10, wall
        if first: assert event[3] == b'brain.Event:2', event
        first = False
        for f, v in fields(event.get(5, b'')):
            value = dict(fields(v))
            print(number, event.get(2, 0), value[1].decode(), '%.9g' % struct.unpack('<f', value[2]))
)PY";

class EventsOfRuns : public Cli {
 protected:
  bool HasPython() const { return std::system("/usr/bin/python3 -c 1 >/dev/null 2>&1") == 0; }
  std::vector<std::string> Read(const std::string& folder) {
    std::ofstream(dir_ + "/reader.py") << kReader;
    const int status = std::system(("/usr/bin/python3 " + dir_ + "/reader.py " + folder + " >" +
                                    dir_ + "/events.txt 2>" + dir_ + "/reader.err")
                                       .c_str());
    EXPECT_EQ(status, 0) << ReadAll(dir_ + "/reader.err");
    std::vector<std::string> lines;
    std::ifstream in(dir_ + "/events.txt");
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
  }
  // What the reader should print of log.csv's rows [first, end).
  static std::vector<std::string> Expected(const std::string& log, int file, size_t first) {
    std::vector<std::string> lines, names;
    std::stringstream in(log);
    std::string line, field;
    std::getline(in, line);
    for (std::stringstream fields(line); std::getline(fields, field, ',');) names.push_back(field);
    for (size_t row = 0; std::getline(in, line); ++row) {
      if (row < first) continue;
      std::vector<std::string> values;
      for (std::stringstream fields(line); std::getline(fields, field, ',');) {
        values.push_back(field);
      }
      EXPECT_EQ(names.size(), values.size()) << line;
      for (size_t i = 0; i < values.size(); ++i) {
        if (names[i] == "epoch" || names[i] == "phase") continue;
        char text[64];
        std::snprintf(text, sizeof text, "%.9g",
                      static_cast<double>(std::strtof(values[i].c_str(), nullptr)));
        lines.push_back(std::to_string(file) + " " + values[0] + " " + names[i] + " " + text);
      }
    }
    return lines;
  }
};

TEST_F(EventsOfRuns, HoldTheNumbersOfTheLog) {
  if (!HasPython()) GTEST_SKIP() << "no /usr/bin/python3 to read the files with";
  // Training, begun without event files and gone on with: the first file holds the earlier rows
  // too.
  const std::vector<std::string> train = {"train",
                                          "--network",
                                          "tiny:k5_e1,k5_e3,skip,k3_e3,skip,skip",
                                          "--train-size",
                                          "256",
                                          "--test-size",
                                          "64",
                                          "--epochs",
                                          "3",
                                          "--threads",
                                          "2",
                                          "--out",
                                          "t"};
  const pid_t pid = Start(train);
  const bool under_way = WaitForLines(pid, dir_ + "/t/log.csv", 2);
  if (under_way) kill(pid, SIGINT);
  const Outcome stopped = Wait(pid);
  if (stopped.code == 130) {
    const Outcome resumed = Run({"train", "--resume", "t", "--tensorboard"});
    ASSERT_EQ(resumed.code, 0) << resumed.err;
    const std::vector<std::string> lines = Read(dir_ + "/t");
    EXPECT_EQ(lines, Expected(ReadAll(dir_ + "/t/log.csv"), 0, 0));
    EXPECT_FALSE(lines.empty());
  } else {
    EXPECT_EQ(stopped.code, 0) << stopped.err;  // it was done before the signal
  }

  const Outcome search = Run(With(TinySearch("s"), {"--tensorboard"}));
  ASSERT_EQ(search.code, 0) << search.err;
  const std::string log = ReadAll(dir_ + "/s/log.csv");
  const std::vector<std::string> lines = Read(dir_ + "/s");
  EXPECT_EQ(lines, Expected(log, 0, 0));
  EXPECT_EQ(lines.size(), 12u * 4u) << "twelve numbers a row, four epochs";
}

// A second process of a run writes a file of its own, without what the first one holds.
TEST(TensorBoard, FilesOfOneFolderDoNotMix) {
  const std::string folder = ::testing::TempDir() + "rhnas_events_" + std::to_string(getpid());
  fs::create_directories(folder);
  engine::Result<search::EventFile> first = search::EventFile::Create(folder);
  engine::Result<search::EventFile> second = search::EventFile::Create(folder);
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_NE(first->path(), second->path());
  EXPECT_LT(first->path(), second->path()) << "TensorBoard reads them in the order of names";
  const auto size = fs::file_size(second->path());
  EXPECT_TRUE(first->AddRow("epoch,phase,loss,odd", "1,search,0.5,").ok());
  EXPECT_EQ(fs::file_size(second->path()), size);
  // "loss" alone: no number, no scalar.
  const std::string text = ReadAll(first->path());
  EXPECT_NE(text.find("loss"), std::string::npos);
  EXPECT_EQ(text.find("odd"), std::string::npos);
  EXPECT_EQ(text.find("phase"), std::string::npos);
  fs::remove_all(folder);
  EXPECT_FALSE(search::EventFile::Create(folder).ok());
  EXPECT_FALSE(first->AddRow("epoch,loss", "2,1").ok());
}

}  // namespace
}  // namespace rhnas
