// What a joint search leaves for its report.
#include "search/joint_state.h"
#include "search/report_json.h"

namespace rhnas::search {

// Of the epoch that just ended.
void JointSearch::Impl::RecordEpoch(const nn::Genotype& network) {
  RecordedEpoch record;
  record.epoch = progress.epoch;
  record.phase = cursor.phase == Phase::kTraining ? 2 : cursor.phase == Phase::kWarmup ? 0 : 1;
  record.accuracy = progress.accuracy;
  record.cost = progress.current;
  std::vector<float> probabilities;
  for (size_t slot = 0; slot < network.choice.size(); ++slot) {
    for (const double p : net->Probabilities(static_cast<int>(slot))) {
      probabilities.push_back(static_cast<float>(p));
    }
  }
  epochs.Add(record, network, current_hw->ShortName(), probabilities);
}

std::vector<RecordFile> JointSearch::Impl::Records() const {
  const nn::Genotype network = final_network.choice.empty() ? net->Argmax() : final_network;
  hw::JsonWriter json;
  json.BeginObject().Key("phase").String(PhaseName(cursor.phase));
  json.Key("epoch").Int(progress.epoch);
  json.Key("done").Int(cursor.units_done).Key("total").Int(total_units());
  json.Key("network").String(nn::ToText(space, network));
  json.Key("accelerator").String(accelerator->name());
  json.Key("hw").Raw(current_hw->ToJson());
  json.Key("accuracy").Double(progress.accuracy);
  AddProposals(environment->proposals(), *accelerator, &json);
  json.EndObject();
  return {{"designs.csv", designs.DesignsCsv(environment->space(), *accelerator)},
          {"proposals.csv", designs.ProposalsCsv(*accelerator)},
          {"epochs.csv", epochs.EpochsCsv(space)},
          {"arch.csv", epochs.ArchCsv(space)},
          {"state.json", json.text() + "\n"}};
}

}  // namespace rhnas::search
