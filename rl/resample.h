// Drawing again what the rules forbid: for agents that draw whole actions. Asking is free, so it
// costs no evaluation; an environment that wants the agent to learn from penalties instead says yes
// to everything.
#pragma once

#include "rl/environment.h"

namespace rhnas::rl {

// Where one draw in a thousand is allowed, this gives up on one proposal in three.
inline constexpr int kMostRedraws = 1024;

// Calls draw(), which fills `action`, until the environment admits it; false: the last of
// kMostRedraws draws is still forbidden (an agent that proposes it all the same pays).
template <class Draw>
bool DrawAdmissible(const Environment& environment, const int* action, Draw draw) {
  for (int i = 0; i < kMostRedraws; ++i) {
    draw();
    if (environment.Admissible(action)) return true;
  }
  return false;
}

}  // namespace rhnas::rl
