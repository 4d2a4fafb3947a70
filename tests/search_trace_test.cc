// --trace: tells one whole iteration, true numbers, and leaves the search's bits alone.
#include "search/trace.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <cstdlib>
#include <sstream>

#include "search/joint_search.h"

namespace rhnas::search {
namespace {

class Lines : public TraceSink, public ProgressSink {
 public:
  void Line(const std::string& text) override { lines.push_back(text); }
  void Report(const Progress& progress) override { last = progress; }
  // The lines of an equation.
  std::vector<std::string> Of(int equation) const {
    std::vector<std::string> found;
    const std::string start = engine::Format("(%2d)", equation);
    for (const std::string& line : lines) {
      if (line.compare(0, start.size(), start) == 0) found.push_back(line);
    }
    return found;
  }
  std::vector<std::string> lines;
  Progress last;
};

SearchOptions Short() {
  SearchOptions o;
  o.train_size = 640;
  o.test_size = 64;
  o.batch = 32;
  o.warmup_epochs = 1;
  o.search_epochs = 2;
  o.final_epochs = 1;
  o.hw_evaluations = 48;
  o.hw_final_evaluations = 48;
  o.threads = 2;
  o.seed = 5;
  return o;
}

uint64_t RunOnce(const SearchOptions& options, bool told, Lines* lines) {
  engine::Result<std::unique_ptr<JointSearch>> search = JointSearch::Create(options);
  EXPECT_TRUE(search.ok()) << search.status().message();
  if (!search.ok()) return 0;
  if (told) (*search)->SetTrace(lines);
  const std::atomic<bool> stop{false};
  const engine::Status status = (*search)->Run(*lines, stop, "");
  EXPECT_TRUE(status.ok()) << status.message();
  return (*search)->Hash();
}

// The numbers after `key` in a line.
std::vector<double> NumbersAfter(const std::string& line, const std::string& key) {
  std::vector<double> numbers;
  const size_t at = line.find(key);
  if (at == std::string::npos) return numbers;
  const char* text = line.c_str() + at + key.size();
  for (;;) {
    char* end = nullptr;
    const double number = std::strtod(text, &end);
    if (end == text) return numbers;
    numbers.push_back(number);
    text = end;
  }
}

TEST(Trace, SameBitsAndOneWholeIteration) {
  Lines told, untold;
  const uint64_t hash = RunOnce(Short(), false, &untold);
  EXPECT_EQ(RunOnce(Short(), true, &told), hash) << "telling moved the search";
  EXPECT_TRUE(untold.lines.empty());
  for (int equation :
       {1, 2, 3, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 30, 31}) {
    EXPECT_FALSE(told.Of(equation).empty()) << "nothing of equation " << equation;
  }
  EXPECT_EQ(told.Of(9).size(), 1u) << "one weight step";
  EXPECT_EQ(told.Of(18).size(), 1u) << "one architecture step";
  EXPECT_EQ(told.Of(19).size(), 1u) << "one round";
  EXPECT_EQ(told.Of(21).size(), 16u) << "a batch of proposals";

  // L = CE + lambda C, and C = l e.
  const std::string loss = told.Of(15)[0];
  const double task = NumbersAfter(loss, "cross-entropy")[0], c = NumbersAfter(loss, " C ")[0];
  EXPECT_NEAR(NumbersAfter(loss, "x C " + engine::Format("%.4f", c) + " =")[0],
              task + Short().lambda * c, 2e-4);
  const auto last_of = [](const std::string& line) {
    return std::strtod(line.c_str() + line.rfind(": ") + 2, nullptr);
  };
  ASSERT_EQ(told.Of(14).size(), 2u);
  EXPECT_NEAR(last_of(told.Of(14)[0]) * last_of(told.Of(14)[1]), c, 5e-4);

  // The pair is the two largest of a / T + g, drawn again from the copy of the generator.
  const std::vector<std::string> draws = told.Of(11);
  const std::vector<double> score = NumbersAfter(draws[1], "a / T + g");
  std::stringstream names(told.Of(10)[0].substr(told.Of(10)[0].find("candidates") + 10));
  std::vector<std::string> candidates;
  for (std::string name; candidates.size() < score.size() && names >> name;) {
    candidates.push_back(name);
  }
  ASSERT_EQ(candidates.size(), score.size());
  ASSERT_GE(score.size(), 2u);
  size_t first = 0, second = 1;
  for (size_t i = 0; i < score.size(); ++i) {
    if (score[i] > score[first]) first = i;
  }
  second = first == 0 ? 1 : 0;
  for (size_t i = 0; i < score.size(); ++i) {
    if (i != first && score[i] > score[second]) second = i;
  }
  EXPECT_NE(draws[2].find(candidates[first] + " " + candidates[second] + " "), std::string::npos)
      << draws[1] << "\n"
      << draws[2];

  // RestoreMass: probabilities of candidates that were not active stay.
  const std::vector<double> before = NumbersAfter(told.Of(10)[2], "softmax(a)");
  const std::vector<double> after = NumbersAfter(told.Of(10)[3], "softmax(a)");
  ASSERT_EQ(before.size(), candidates.size());
  ASSERT_EQ(after.size(), candidates.size());
  double moved = 0;
  for (size_t i = 0; i < before.size(); ++i) {
    if (i == first || i == second) {
      moved += std::fabs(after[i] - before[i]);
    } else {
      EXPECT_NEAR(after[i], before[i], 2e-4) << candidates[i];
    }
  }
  EXPECT_GT(moved, 1e-3) << "the step moved nothing";
}

TEST(Trace, OtherAgentsAndFixedAcceleratorsAreToldToo) {
  SearchOptions options = Short();
  options.agent = "genetic";
  options.arch_gradient = nn::ArchGradient::kStraightThrough;
  Lines told, untold;
  const uint64_t hash = RunOnce(options, false, &untold);
  EXPECT_EQ(RunOnce(options, true, &told), hash);
  EXPECT_TRUE(told.Of(20).empty()) << "a black box has no policy to look into";
  EXPECT_FALSE(told.Of(21).empty());
  options = Short();
  options.fixed_hw = "default";
  Lines fixed;
  RunOnce(options, true, &fixed);
  EXPECT_FALSE(fixed.Of(18).empty());
  EXPECT_TRUE(fixed.Of(19).empty()) << "no round: the accelerator is given";
}

}  // namespace
}  // namespace rhnas::search
