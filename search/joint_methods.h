// Methods that choose a network and an accelerator together, behind one interface and one counter
// of evaluations (JointEnvironment): RHNAS and its rivals. docs/COMPARE.md, "Joint methods", tells
// how each one works here.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/archive.h"
#include "engine/status.h"
#include "engine/threads.h"
#include "search/joint_environment.h"

namespace rhnas::search {

class JointMethod {
 public:
  virtual ~JointMethod() = default;
  // Some work, at most max_evaluations (>= 1) more evaluations of its environment. It may use none
  // where it only asked what it knew; Run gives up after many of those in a row.
  virtual void Step(int64_t max_evaluations) = 0;
  // What the method's own model would build now (rl::Agent::Proposal), whether or not it can be,
  // and for which network. False: it has no model of accelerators, or proposes nothing yet.
  virtual bool Proposal(std::vector<int>* /*network*/, int64_t* /*point*/) { return false; }
  // Everything but the environment, which the caller saves, and loads first.
  virtual void Save(engine::ArchiveWriter& archive, const std::string& prefix) const = 0;
  // Errors are in the archive's status.
  virtual void Load(engine::ArchiveReader& archive, const std::string& prefix) = 0;
};

struct JointMethodOptions {
  std::string name = "rhnas";
  // The agent that searches accelerators: of rhnas, hw-fixed, sequential and heads. Empty: the
  // best.
  std::string agent;
  int64_t budget = 0;  // evaluations that the whole search may take; at least the method's minimum
  uint64_t seed = 1;
};

// Errors: an unknown name (lists the methods, suggests the nearest) or agent, a budget below the
// method's minimum, an accuracy floor that no known network reaches. The environment must outlive
// the method.
engine::Result<std::unique_ptr<JointMethod>> MakeJointMethod(const JointMethodOptions& options,
                                                             JointEnvironment& environment,
                                                             engine::ThreadPool& pool);

struct JointMethodInfo {
  const char* name;
  const char* summary;    // one line
  int64_t minimum;        // evaluations
  bool proposes = false;  // its model proposes designs that are not checked (JointMethod::Proposal)
};
// agent: as JointMethodOptions::agent.
std::vector<JointMethodInfo> JointMethods(const std::string& agent = "");
std::vector<std::string> JointMethodNames();

// Steps until the environment has counted `evaluations`, or the method asks nothing new for
// 50 steps in a row.
void RunJointMethod(JointMethod& method, JointEnvironment& environment, int64_t evaluations);

}  // namespace rhnas::search
