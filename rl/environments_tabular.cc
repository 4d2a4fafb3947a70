#include "rl/environments_tabular.h"

#include <algorithm>

#include "engine/check.h"

namespace rhnas::rl {

namespace {

// Gymnasium, envs/toy_text/frozen_lake.py: start S, frozen F, hole H, goal G.
constexpr const char* kLake4 =
    "SFFF"
    "FHFH"
    "FFFH"
    "HFFG";
constexpr const char* kLake8 =
    "SFFFFFFF"
    "FFFFFFFF"
    "FFFHFFFF"
    "FFFFFHFF"
    "FFFHFFFF"
    "FHHFFFHF"
    "FHFFHFHF"
    "FFFHFFFG";

// Gymnasium, envs/toy_text/taxi.py: '|' between two cells is a wall, ':' is not.
constexpr int kTaxiSide = 5, kStands = 4;
constexpr const char* kTaxiMap[kTaxiSide] = {
    "|R: | : :G|",  //
    "| : | : : |",  //
    "| : : : : |",  //
    "| | : | : |",  //
    "|Y| : |B: |",
};
constexpr int kStandRow[kStands] = {0, 0, 4, 4};  // R, G, Y, B
constexpr int kStandColumn[kStands] = {0, 4, 0, 3};
constexpr int kInTaxi = kStands;  // the passenger's fifth place

int TaxiState(int row, int column, int passenger, int destination) {
  return ((row * kTaxiSide + column) * (kStands + 1) + passenger) * kStands + destination;
}

int StandAt(int row, int column) {
  for (int stand = 0; stand < kStands; ++stand) {
    if (kStandRow[stand] == row && kStandColumn[stand] == column) return stand;
  }
  return -1;
}

Outcome TaxiOutcome(int row, int column, int passenger, int destination, int action) {
  const int stand = StandAt(row, column);
  double reward = -1;
  bool terminal = false;
  switch (action) {
    case 0:
      row = std::min(row + 1, kTaxiSide - 1);
      break;
    case 1:
      row = std::max(row - 1, 0);
      break;
    case 2:
      if (kTaxiMap[row][2 * column + 2] == ':') ++column;
      break;
    case 3:
      if (kTaxiMap[row][2 * column] == ':') --column;
      break;
    case 4:
      if (passenger < kInTaxi && stand == passenger) {
        passenger = kInTaxi;
      } else {
        reward = -10;
      }
      break;
    default:
      if (passenger == kInTaxi && stand == destination) {
        passenger = destination;
        reward = 20;
        terminal = true;
      } else if (passenger == kInTaxi && stand >= 0) {
        passenger = stand;
      } else {
        reward = -10;
      }
  }
  return {1, TaxiState(row, column, passenger, destination), reward, terminal};
}

}  // namespace

TabularMdp FrozenLake(int side, bool slippery) {
  RHNAS_CHECK(side == 4 || side == 8, "side %d, expected 4 or 8", side);
  const char* map = side == 4 ? kLake4 : kLake8;
  constexpr int kRowStep[4] = {0, 1, 0, -1}, kColumnStep[4] = {-1, 0, 1, 0};
  TabularMdp mdp(side * side, 4);
  mdp.AddStart(0, 1);
  for (int s = 0; s < side * side; ++s) {
    for (int action = 0; action < 4; ++action) {
      if (map[s] == 'H' || map[s] == 'G') {
        mdp.AddOutcome(s, action, {1, s, 0, true});
        continue;
      }
      for (int turn = slippery ? -1 : 0; turn <= (slippery ? 1 : 0); ++turn) {
        const int direction = (action + turn + 4) % 4;
        const int row = std::clamp(s / side + kRowStep[direction], 0, side - 1);
        const int column = std::clamp(s % side + kColumnStep[direction], 0, side - 1);
        const int next = row * side + column;
        const bool goal = map[next] == 'G';
        mdp.AddOutcome(
            s, action,
            {slippery ? 1.0 / 3.0 : 1.0, next, goal ? 1.0 : 0.0, goal || map[next] == 'H'});
      }
    }
  }
  mdp.CheckComplete();
  return mdp;
}

TabularMdp CliffWalking() {
  constexpr int kRows = 4, kColumns = 12;
  constexpr int kStart = (kRows - 1) * kColumns, kGoal = kRows * kColumns - 1;
  constexpr int kRowStep[4] = {-1, 0, 1, 0}, kColumnStep[4] = {0, 1, 0, -1};
  TabularMdp mdp(kRows * kColumns, 4);
  mdp.AddStart(kStart, 1);
  for (int s = 0; s < kRows * kColumns; ++s) {
    for (int action = 0; action < 4; ++action) {
      if (s == kGoal) {
        mdp.AddOutcome(s, action, {1, s, 0, true});
        continue;
      }
      const int row = std::clamp(s / kColumns + kRowStep[action], 0, kRows - 1);
      const int column = std::clamp(s % kColumns + kColumnStep[action], 0, kColumns - 1);
      const int next = row * kColumns + column;
      const bool cliff = next > kStart && next < kGoal;
      mdp.AddOutcome(s, action, {1, cliff ? kStart : next, cliff ? -100.0 : -1.0, next == kGoal});
    }
  }
  mdp.CheckComplete();
  return mdp;
}

TabularMdp Taxi() {
  constexpr int kActions = 6;
  TabularMdp mdp(kTaxiSide * kTaxiSide * (kStands + 1) * kStands, kActions);
  for (int row = 0; row < kTaxiSide; ++row) {
    for (int column = 0; column < kTaxiSide; ++column) {
      for (int passenger = 0; passenger <= kStands; ++passenger) {
        for (int destination = 0; destination < kStands; ++destination) {
          const int s = TaxiState(row, column, passenger, destination);
          if (passenger < kInTaxi && passenger != destination) mdp.AddStart(s, 1);
          for (int action = 0; action < kActions; ++action) {
            mdp.AddOutcome(s, action, TaxiOutcome(row, column, passenger, destination, action));
          }
        }
      }
    }
  }
  mdp.CheckComplete();
  return mdp;
}

TabularMdp Corridor(int length, double step_reward) {
  RHNAS_CHECK(length >= 2, "length %d", length);
  TabularMdp mdp(length, 2);
  mdp.AddStart(0, 1);
  for (int s = 0; s < length - 1; ++s) {
    if (s > 0) mdp.AddOutcome(s, 0, {1, s - 1, step_reward, false});
    const bool end = s + 1 == length - 1;
    mdp.AddOutcome(s, 1, {1, s + 1, step_reward + (end ? 1 : 0), end});
  }
  mdp.CheckComplete();
  return mdp;
}

}  // namespace rhnas::rl
