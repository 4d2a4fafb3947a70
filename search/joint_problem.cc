// The joint problems by name.
#include "search/joint_problem.h"

#include "search/nb201_problem.h"
#include "search/suggest.h"
#include "search/tiny_problem.h"

namespace rhnas::search {

std::vector<std::string> JointProblemNames() {
  return {"nb201:cifar10", "nb201:cifar100", "nb201:imagenet16", "tiny"};
}

engine::Result<std::unique_ptr<JointProblem>> MakeJointProblem(const std::string& name,
                                                               const JointProblemOptions& options,
                                                               engine::ThreadPool& pool) {
  const std::string family = "nb201:";
  for (const std::string& known : JointProblemNames()) {
    if (name != known) continue;
    if (name.compare(0, family.size(), family) == 0) {
      return MakeNb201Problem(name.substr(family.size()), options, pool);
    }
    return MakeTinyProblem(options, pool);
  }
  return engine::Status::Error("%s", UnknownWord("problem", name, JointProblemNames()).c_str());
}

}  // namespace rhnas::search
