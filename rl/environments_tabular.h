// The classic tabular problems, as explicit MDPs whose optimum is computed exactly: FrozenLake,
// CliffWalking (Sutton and Barto, example 6.6) and Taxi (Dietterich 2000), with the maps, numbering
// and rewards of Gymnasium's FrozenLake-v1, CliffWalking-v0 and Taxi-v3, so that published values
// apply; and a corridor whose value has a closed form.
//
// Wrap one in a TabularEnvironment (rl/tabular_mdp.h) to act on it.
#pragma once

#include "rl/tabular_mdp.h"

namespace rhnas::rl {

// A side x side lake; actions left, down, right, up; reward 1 at the goal; holes and the goal end
// the episode. Slippery: the intended direction and the two beside it, a third each.
// REQUIRES: side is 4 or 8. Gymnasium's time limits: 100 and 200 steps.
TabularMdp FrozenLake(int side, bool slippery);

// 4 x 12 cells, state row * 12 + column, start bottom left, goal bottom right, the cliff between;
// actions up, right, down, left; -1 a step, -100 and back to the start from the cliff.
TabularMdp CliffWalking();

// 5 x 5 cells, 5 passenger places (4 stands and the taxi), 4 destinations: 500 states; actions
// south, north, east, west, pick up, drop off; -1 a step, -10 for a wrong pick-up or drop-off, +20
// for the delivery that ends the episode. 300 start states. Gymnasium's time limit: 200 steps.
TabularMdp Taxi();

// `length` cells in a row, start at the left end; actions left, right; a step costs `step_reward`,
// reaching the right end gives 1 more and ends. Going left from the first cell is forbidden, so the
// mask is used. V*(start) = sum_{t<length-1} gamma^t step_reward + gamma^(length-2).
// REQUIRES: length >= 2.
TabularMdp Corridor(int length, double step_reward);

}  // namespace rhnas::rl
