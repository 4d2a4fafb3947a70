// Point numbers, what was seen, and drawing and changing points under masks.
#include "rl/points.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "tests/rl_masked_problem.h"

namespace rhnas::rl {
namespace {

TEST(PointNumber, CountsInMixedRadixAndHashesWhatDoesNotFit) {
  const std::vector<int> sizes = {3, 4, 5};
  uint64_t next = 0;
  for (int a = 0; a < 3; ++a) {
    for (int b = 0; b < 4; ++b) {
      for (int c = 0; c < 5; ++c) {
        const int action[] = {a, b, c};
        EXPECT_EQ(PointNumber(sizes, action), next++);
      }
    }
  }
  // 2^80 points: a product modulo 2^64 would forget the first heads.
  const std::vector<int> many(20, 16);
  std::vector<int> one(20, 0), other(20, 0);
  other[0] = 1;
  EXPECT_NE(PointNumber(many, one.data()), PointNumber(many, other.data()));
}

TEST(SeenPoints, RemembersTheLastReward) {
  SeenPoints seen;
  for (uint64_t point : {9u, 2u, 7u, 2u}) seen.Add(point, static_cast<double>(point));
  seen.Add(7, -1);
  EXPECT_EQ(seen.size(), 3);
  double reward = 0;
  EXPECT_TRUE(seen.Find(7, &reward));
  EXPECT_EQ(reward, -1);
  EXPECT_FALSE(seen.Has(8));
  EXPECT_FALSE(seen.Has(10));
}

TEST(PointStore, KeepsTheBestInOrder) {
  PointStore store(1);
  for (int i = 0; i < 6; ++i) store.Add(&i, i % 3);
  EXPECT_EQ(store.Best(), 2);
  store.KeepBest(3);
  ASSERT_EQ(store.size(), 3);
  EXPECT_EQ(store.action(0)[0], 2);
  EXPECT_EQ(store.action(1)[0], 5);
  EXPECT_EQ(store.action(2)[0], 1);
  store.Remove(0);
  EXPECT_EQ(store.action(0)[0], 5);
  EXPECT_EQ(store.size(), 2);
}

TEST(PointPicker, DrawsAllAllowedPointsAlike) {
  for (Offer offer : {Offer::kAdmissible, Offer::kPrefix}) {
    Masked<InvalidShare> problem(offer, std::vector<int>{4, 5, 3}, 0.8, uint64_t{4});
    const size_t valid = problem.valid_points();
    SeenPoints seen;
    engine::Rng rng(8);
    PointPicker picker(problem, seen, rng);
    std::map<uint64_t, int> count;
    int action[3];
    const int draws = 4000;
    for (int i = 0; i < draws; ++i) {
      ASSERT_TRUE(picker.Draw(action));
      ++count[PointNumber(problem.action_sizes(), action)];
    }
    EXPECT_EQ(count.size(), valid);
    const double expected = draws / static_cast<double>(valid);
    for (const auto& [point, times] : count) {
      EXPECT_NEAR(times, expected, 5 * std::sqrt(expected)) << "point " << point;
    }
  }
}

TEST(PointPicker, MutatesOneHeadToAnUnseenAllowedPointWhileThereIsOne) {
  for (Offer offer : {Offer::kNothing, Offer::kAdmissible, Offer::kStatic, Offer::kPrefix}) {
    Masked<InvalidShare> problem(offer, std::vector<int>{4, 5, 3, 1}, 0.5, uint64_t{4});
    SeenPoints seen;
    engine::Rng rng(8);
    PointPicker picker(problem, seen, rng);
    std::vector<int> start(4), action, rows;
    ASSERT_TRUE(picker.Draw(start.data()));
    picker.Neighbours(start.data(), &rows);
    std::set<uint64_t> neighbours;
    for (size_t row = 0; row < rows.size(); row += 4) {
      EXPECT_TRUE(picker.Allowed(&rows[row]));
      neighbours.insert(PointNumber(problem.action_sizes(), &rows[row]));
    }
    ASSERT_GT(neighbours.size(), 0u);
    for (size_t i = 0; i < neighbours.size(); ++i) {
      action = start;
      ASSERT_TRUE(picker.Mutate(action.data()));
      const uint64_t point = PointNumber(problem.action_sizes(), action.data());
      EXPECT_EQ(neighbours.count(point), 1u) << "offer " << int(offer);
      EXPECT_FALSE(seen.Has(point));
      seen.Add(point, 0);
    }
    action = start;
    if (picker.Mutate(action.data())) {
      EXPECT_TRUE(picker.Allowed(action.data()));
      EXPECT_FALSE(picker.Seen(action.data()));
    }
  }
}

TEST(PointPicker, SettlesOnTheNearestChoiceAllowed) {
  MaskedBandit bandit;  // allows 1, 2 and 4
  SeenPoints seen;
  engine::Rng rng(1);
  PointPicker picker(bandit, seen, rng);
  const int expected[] = {1, 1, 2, 2, 4};
  for (int choice = 0; choice < 5; ++choice) {
    int action = choice;
    picker.Settle(&action);
    EXPECT_EQ(action, expected[choice]) << choice;
  }
}

}  // namespace
}  // namespace rhnas::rl
