#include "search/joint_search.h"

#include "engine/check.h"
#include "search/joint_state.h"
#include "search/trained.h"

namespace rhnas::search {

using engine::Result;
using engine::Status;

JointSearch::JointSearch() = default;
JointSearch::~JointSearch() = default;

Result<std::unique_ptr<JointSearch>> JointSearch::Create(const SearchOptions& options) {
  std::unique_ptr<JointSearch> search(new JointSearch());
  search->impl_ = std::make_unique<Impl>(options);
  const Status status = search->impl_->Init();
  if (!status.ok()) return status;
  return search;
}

const std::string& JointSearch::note() const { return impl_->note; }

Status JointSearch::Run(ProgressSink& sink, const std::atomic<bool>& stop,
                        const std::string& checkpoint_path) {
  return impl_->Run(sink, stop, checkpoint_path);
}

Status JointSearch::Save(const std::string& checkpoint_path) const {
  return impl_->Save(checkpoint_path);
}

Status JointSearch::Load(const std::string& checkpoint_path) {
  return impl_->Load(checkpoint_path);
}

void JointSearch::SetTrace(TraceSink* sink) { impl_->trace = sink; }

bool JointSearch::finished() const { return impl_->cursor.phase == Phase::kDone; }

const SearchResult& JointSearch::result() const {
  RHNAS_CHECK(finished(), "result() of a search in phase %s", PhaseName(impl_->cursor.phase));
  return impl_->result;
}

Status JointSearch::SaveWeights(const std::string& path) const {
  RHNAS_CHECK(finished(), "SaveWeights of a search in phase %s", PhaseName(impl_->cursor.phase));
  const nn::Network network = {impl_->space, impl_->final_network, ""};
  return SaveTrained(path, network, *impl_->net, impl_->options.dataset, impl_->data.mean,
                     impl_->data.stddev);
}

uint64_t JointSearch::Hash() const { return impl_->Hash(); }

}  // namespace rhnas::search
