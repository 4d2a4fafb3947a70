// Choosing the instruction set: by what the machine has, by name, by environment variable; wrong
// names are errors that list the choice.
#include "engine/cpu.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "engine/simd/conv_kernels.h"

namespace rhnas::engine {
namespace {

class CpuTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* value = std::getenv("RHNAS_TARGET");
    if (value != nullptr) before_ = value;
  }
  void TearDown() override {
    if (before_.empty()) {
      unsetenv("RHNAS_TARGET");
    } else {
      setenv("RHNAS_TARGET", before_.c_str(), 1);
    }
    ASSERT_TRUE(InitTargetFromEnvironment().ok());
  }
  std::string before_;
};

TEST_F(CpuTest, BaselineIsAlwaysThereAndFirst) {
  const std::vector<Target> targets = SupportedTargets();
  ASSERT_FALSE(targets.empty());
  EXPECT_EQ(targets.front(), Target::kBaseline);
}

TEST_F(CpuTest, EverySupportedTargetCanBeForcedAndHasKernels) {
  for (Target target : SupportedTargets()) {
    EXPECT_TRUE(SetTarget(TargetName(target)).ok());
    EXPECT_EQ(ActiveTarget(), target);
    const simd::ConvKernels& kernels = simd::ConvKernelsFor(target);
    EXPECT_GE(kernels.lanes, 4);
    EXPECT_NE(kernels.tile[1][0], nullptr);
  }
}

TEST_F(CpuTest, WrongNamesAreErrorsThatListTheChoice) {
  const Target active = ActiveTarget();
  const Status unknown = SetTarget("avx1024");
  EXPECT_FALSE(unknown.ok());
  EXPECT_NE(unknown.message().find("unknown"), std::string::npos) << unknown.message();
  EXPECT_NE(unknown.message().find("baseline"), std::string::npos) << unknown.message();
#if defined(__x86_64__)
  const Status foreign = SetTarget("neon");
  EXPECT_NE(foreign.message().find("not supported"), std::string::npos) << foreign.message();
#else
  const Status foreign = SetTarget("avx2");
  EXPECT_NE(foreign.message().find("not supported"), std::string::npos) << foreign.message();
#endif
  EXPECT_EQ(ActiveTarget(), active) << "an error changed the target";
}

TEST_F(CpuTest, EnvironmentVariableChoosesOrFails) {
  setenv("RHNAS_TARGET", "baseline", 1);
  EXPECT_TRUE(InitTargetFromEnvironment().ok());
  EXPECT_EQ(ActiveTarget(), Target::kBaseline);
  setenv("RHNAS_TARGET", "fastest", 1);
  const Status status = InitTargetFromEnvironment();
  EXPECT_FALSE(status.ok());
  EXPECT_NE(status.message().find("RHNAS_TARGET"), std::string::npos) << status.message();
  unsetenv("RHNAS_TARGET");
  EXPECT_TRUE(InitTargetFromEnvironment().ok());
  EXPECT_EQ(ActiveTarget(), SupportedTargets().back());
}

}  // namespace
}  // namespace rhnas::engine
