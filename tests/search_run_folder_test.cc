// The run folder and its faults, log.csv across resumes, and the progress line.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "engine/archive.h"
#include "search/progress.h"
#include "search/run_folder.h"

namespace rhnas::search {
namespace {

namespace fs = std::filesystem;

class RunFolderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string name = ::testing::UnitTest::GetInstance()->current_test_info()->name();
    base_ = ::testing::TempDir() + "rhnas_run_folder_" + name + "_" + std::to_string(getpid());
    fs::remove_all(base_);
    fs::create_directories(base_);
  }
  void TearDown() override { fs::remove_all(base_); }
  std::string At(const std::string& name) const { return base_ + "/" + name; }
  static void Put(const std::string& path, const std::string& text) { std::ofstream(path) << text; }
  static std::string Read(const std::string& path) {
    const engine::Result<std::string> text = engine::ReadFile(path);
    return text.ok() ? *text : "unreadable: " + text.status().message();
  }
  std::string base_;
};

TEST_F(RunFolderTest, MakesParentsAndTakesAnEmptyFolder) {
  const auto made = RunFolder::Create(At("a/b/c/"));
  ASSERT_TRUE(made.ok()) << made.status().message();
  EXPECT_TRUE(fs::is_directory(At("a/b/c")));
  EXPECT_TRUE(fs::is_empty(At("a/b/c"))) << "the probe must be gone";
  EXPECT_EQ(made->File("x"), At("a/b/c/x"));
  fs::create_directory(At("empty"));
  EXPECT_TRUE(RunFolder::Create(At("empty")).ok());
}

TEST_F(RunFolderTest, ANonEmptyFolderNamesResume) {
  fs::create_directory(At("full"));
  Put(At("full/x"), "x");
  const auto made = RunFolder::Create(At("full"));
  ASSERT_FALSE(made.ok());
  EXPECT_NE(made.status().message().find("--resume"), std::string::npos);
  EXPECT_NE(made.status().message().find("not empty"), std::string::npos);
  EXPECT_EQ(Read(At("full/x")), "x");
}

TEST_F(RunFolderTest, AFileInPlaceOfTheFolderOrOfAParent) {
  Put(At("file"), "x");
  for (const char* path : {"file", "file/run", "file/a/b"}) {
    const auto made = RunFolder::Create(At(path));
    ASSERT_FALSE(made.ok()) << path;
    EXPECT_NE(made.status().message().find("--out"), std::string::npos) << made.status().message();
  }
  EXPECT_FALSE(RunFolder::Create("").ok());
  EXPECT_EQ(Read(At("file")), "x");
}

TEST_F(RunFolderTest, UnwritableFolderIsFoundBeforeTheWork) {
  if (geteuid() == 0) {
    // Root writes anywhere but in the kernel's own file systems.
    if (!fs::is_directory("/proc/self")) GTEST_SKIP() << "runs as root and there is no /proc";
    EXPECT_FALSE(RunFolder::Create("/proc/self/rhnas-run").ok());
    return;
  }
  fs::create_directory(At("closed"));
  chmod(At("closed").c_str(), 0500);
  EXPECT_FALSE(RunFolder::Create(At("closed")).ok());
  EXPECT_FALSE(RunFolder::Create(At("closed/run")).ok());
  chmod(At("closed").c_str(), 0700);
}

// A size limit of zero makes every write fail as a full disk does.
TEST_F(RunFolderTest, AFullDiskIsFoundBeforeTheWork) {
  struct rlimit before = {};
  getrlimit(RLIMIT_FSIZE, &before);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  struct rlimit none = before;
  none.rlim_cur = 0;
  setrlimit(RLIMIT_FSIZE, &none);
  const auto made = RunFolder::Create(At("a/b"));
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  ASSERT_FALSE(made.ok());
  EXPECT_NE(made.status().message().find("cannot write"), std::string::npos)
      << made.status().message();
  EXPECT_FALSE(fs::exists(At("a"))) << "what was made must be removed again";
}

TEST_F(RunFolderTest, SpaceIsAskedFor) {
  const auto made = RunFolder::Create(At("a"));
  ASSERT_TRUE(made.ok());
  EXPECT_TRUE(made->RequireSpace(1).ok());
  const engine::Status status = made->RequireSpace(uint64_t{1} << 62);
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.message().find("MB left"), std::string::npos);
}

TEST_F(RunFolderTest, TwoRunsDoNotShareAFolder) {
  const auto first = RunFolder::Create(At("a"));
  ASSERT_TRUE(first.ok());
  const auto second = RunFolder::Create(At("a"));
  ASSERT_FALSE(second.ok());
  EXPECT_NE(second.status().message().find("another run"), std::string::npos);
}

TEST_F(RunFolderTest, DiscardRemovesOnlyWhatTheRunMade) {
  fs::create_directory(At("mine"));
  {
    auto made = RunFolder::Create(At("mine/a/b"));
    ASSERT_TRUE(made.ok());
    ASSERT_TRUE(made->Write(RunFolder::kConfig, "{}").ok());
    ASSERT_TRUE(made->Write(RunFolder::kCheckpoint, "x").ok());
    made->Discard();
  }
  EXPECT_TRUE(fs::exists(At("mine")));
  EXPECT_FALSE(fs::exists(At("mine/a")));

  fs::create_directory(At("run"));
  Put(At("run/config.json"), "{}");
  Put(At("run/checkpoint"), "x");
  auto opened = RunFolder::Open(At("run"));
  ASSERT_TRUE(opened.ok()) << opened.status().message();
  opened->Discard();
  EXPECT_EQ(Read(At("run/config.json")), "{}");
}

TEST_F(RunFolderTest, OpenNeedsARun) {
  EXPECT_FALSE(RunFolder::Open(At("none")).ok());
  fs::create_directory(At("empty"));
  EXPECT_FALSE(RunFolder::Open(At("empty")).ok());
  Put(At("empty/config.json"), "{}");
  const auto no_checkpoint = RunFolder::Open(At("empty"));
  ASSERT_FALSE(no_checkpoint.ok());
  EXPECT_NE(no_checkpoint.status().message().find("no checkpoint"), std::string::npos);
  Put(At("empty/checkpoint.prev"), "x");
  EXPECT_TRUE(RunFolder::Open(At("empty")).ok());
}

TEST_F(RunFolderTest, FirstFreeName) {
  EXPECT_EQ(RunFolder::FirstFree(At("r")), At("r"));
  fs::create_directory(At("r"));
  EXPECT_EQ(RunFolder::FirstFree(At("r")), At("r-2"));
  fs::create_directory(At("r-2"));
  EXPECT_EQ(RunFolder::FirstFree(At("r")), At("r-3"));
}

TEST_F(RunFolderTest, LogKeepsStepWithTheCheckpoint) {
  const std::string path = At("log.csv"), header = "epoch,phase,loss";
  {
    auto log = RunLog::Open(path, header);
    ASSERT_TRUE(log.ok());
    for (const char* row : {"1,warm-up,3", "2,search,2", "3,search,1"}) {
      ASSERT_TRUE(log->Add(row).ok());
    }
  }
  EXPECT_EQ(Read(path), "epoch,phase,loss\n1,warm-up,3\n2,search,2\n3,search,1\n");
  Put(path, Read(path) + "4,sea");  // cut off by a crash
  {
    auto log = RunLog::Open(path, header);
    ASSERT_TRUE(log.ok());
    EXPECT_EQ(log->rows().size(), 3u);
    // Resumed from the end of epoch 1: rows 2 and 3 come again.
    ASSERT_TRUE(log->Add("2,search,2").ok());
    EXPECT_EQ(Read(path), "epoch,phase,loss\n1,warm-up,3\n2,search,2\n");
    ASSERT_TRUE(log->Add("3,search,1").ok());
    ASSERT_TRUE(log->Add("4,training,0.5").ok());
  }
  EXPECT_EQ(Read(path), "epoch,phase,loss\n1,warm-up,3\n2,search,2\n3,search,1\n4,training,0.5\n");
  const auto other = RunLog::Open(path, "epoch,phase,other");
  ASSERT_FALSE(other.ok());
  EXPECT_EQ(other.status().message().compare(0, path.size() + 2, path + ":1"), 0);
}

TEST_F(RunFolderTest, LogTellsAFullDisk) {
  if (!fs::exists("/dev/full")) GTEST_SKIP() << "no /dev/full here";
  auto log = RunLog::Open(At("log.csv"), "epoch,phase");
  ASSERT_TRUE(log.ok());
  fs::remove(At("log.csv"));
  fs::create_symlink("/dev/full", At("log.csv"));
  const engine::Status status = log->Add("1,search");
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.message().find("log.csv"), std::string::npos);
}

struct Screen {
  std::string text;
  double now = 0;
  ProgressPrinter::Options Options(bool terminal) {
    ProgressPrinter::Options options;
    options.write = [this](const std::string& part) { text += part; };
    options.now = [this] { return now; };
    options.terminal = terminal;
    options.columns = 60;
    return options;
  }
};

TEST(Progress, PlainLinesAreFew) {
  Screen screen;
  ProgressPrinter printer(screen.Options(false));
  Progress progress;
  progress.phase = "search";
  progress.total = 1000;
  progress.loss = 1.5;
  for (int i = 1; i <= 100; ++i) {
    screen.now = 0.1 * i;  // ten steps a second for ten seconds
    progress.done = i;
    progress.epoch_end = i == 50;
    progress.epoch = 1;
    printer.Report(progress);
  }
  printer.Finish();
  // The first, after five seconds (the end of the epoch), and after ten.
  EXPECT_EQ(std::count(screen.text.begin(), screen.text.end(), '\n'), 3) << screen.text;
  EXPECT_EQ(screen.text.find('\r'), std::string::npos);
  EXPECT_NE(screen.text.find("10 steps/s"), std::string::npos) << screen.text;
  EXPECT_NE(screen.text.find("1:30 left"), std::string::npos) << screen.text;
  EXPECT_NE(screen.text.find("epoch 1"), std::string::npos) << screen.text;
}

TEST(Progress, TerminalRefreshesOneLine) {
  Screen screen;
  ProgressPrinter::Options options = screen.Options(true);
  options.refresh_seconds = 0.25;
  ProgressPrinter printer(options);
  Progress progress;
  progress.phase = "search";
  progress.total = 1000;
  progress.loss = 1.5;
  progress.accuracy = 0.5;
  progress.share_valid = 0.25;
  for (int i = 1; i <= 100; ++i) {
    screen.now = 0.0625 * i;  // exact in binary
    progress.done = i;
    printer.Report(progress);
  }
  EXPECT_EQ(screen.text.find('\n'), std::string::npos);
  EXPECT_EQ(std::count(screen.text.begin(), screen.text.end(), '\r'), 25) << screen.text;
  for (size_t begin = 0; begin < screen.text.size();) {
    size_t end = screen.text.find("\x1b[K", begin);
    ASSERT_NE(end, std::string::npos);
    EXPECT_LE(end - begin, 60u);  // the return and one column less than the width
    begin = end + 3;
  }
  printer.Finish();
  EXPECT_EQ(screen.text.back(), '\n');
}

TEST(Progress, ClockText) {
  EXPECT_EQ(ClockText(0), "0:00");
  EXPECT_EQ(ClockText(65.4), "1:05");
  EXPECT_EQ(ClockText(3723), "1:02:03");
  EXPECT_EQ(ClockText(-1), "?");
}

}  // namespace
}  // namespace rhnas::search
