// The text form of networks (see nn/space.h).
#include <cstddef>
#include <utility>

#include "engine/check.h"
#include "nn/nasbench201.h"
#include "nn/space.h"
#include "nn/space_catalogue.h"
#include "nn/text.h"

namespace rhnas::nn {

namespace {

using engine::Format;
using engine::Result;
using engine::Status;

std::vector<std::string> CandidateNames(const Slot& slot) {
  std::vector<std::string> names;
  for (const Block& block : slot.candidates) names.push_back(block.name);
  return names;
}

// "slot03 (24 to 32 channels, 32x32, stride 2)"
std::string Describe(const Space& space, int index) {
  const Slot& slot = space.slots[static_cast<size_t>(index)];
  return Format("%s (%d to %d channels, %dx%d, stride %d)", SlotPrefix(space, index).c_str(),
                slot.cin, slot.cout, slot.h, slot.w, slot.stride);
}

Result<Genotype> ParseChoices(const Space& space, const std::string& text) {
  const std::vector<int> searchable = space.searchable();
  const std::vector<std::string> words = SplitText(text, ',');
  Genotype genotype;
  for (size_t i = 0; i < words.size() && i < searchable.size(); ++i) {
    const std::string word = Trim(words[i]);
    const std::vector<std::string> names =
        CandidateNames(space.slots[static_cast<size_t>(searchable[i])]);
    size_t choice = 0;
    while (choice < names.size() && names[choice] != word) ++choice;
    if (choice == names.size()) {
      return Status::Error("%s: '%s' in %s: did you mean %s? Candidates: %s", space.name.c_str(),
                           word.c_str(), Describe(space, searchable[i]).c_str(),
                           Nearest(word, names).c_str(), JoinText(names, ", ").c_str());
    }
    genotype.choice.push_back(static_cast<int>(choice));
  }
  if (words.size() > searchable.size()) {
    return Status::Error("%s: %d blocks named for %d searchable slots; '%s' has no slot",
                         space.name.c_str(), static_cast<int>(words.size()),
                         static_cast<int>(searchable.size()),
                         Trim(words[searchable.size()]).c_str());
  }
  if (words.size() < searchable.size()) {
    const int first = searchable[words.size()];
    return Status::Error(
        "%s: %d blocks named for %d searchable slots; %s has none, expected one "
        "of %s",
        space.name.c_str(), static_cast<int>(words.size()), static_cast<int>(searchable.size()),
        Describe(space, first).c_str(),
        JoinText(CandidateNames(space.slots[static_cast<size_t>(first)]), ", ").c_str());
  }
  return genotype;
}

// fbnet-a, fbnet-b, fbnet-c; `place` is what stands after '@'.
Result<Network> Published(const PublishedRow& row, const std::string& text,
                          const std::string& place, const SpaceOptions& options) {
  std::vector<std::string> words = SplitText(place, ',');
  SpaceOptions merged = options;
  std::string space_name = "fbnet-imagenet";
  const bool named = words[0] == "cifar" || words[0] == "imagenet";
  if (words[0] == "cifar") {
    space_name = "fbnet-cifar";
  } else if (merged.head == 0) {
    merged.head = row.imagenet_head;
  }
  if (named) words.erase(words.begin());
  if (!words.empty() && !(words.size() == 1 && words[0].empty())) {
    space_name += "@" + JoinText(words, ",");
  }
  Result<Space> space = FindSpace(space_name, merged);
  if (!space.ok()) {
    return Status::Error("%s: %s; after '@' stands cifar or imagenet, then options", text.c_str(),
                         space.status().message().c_str());
  }
  Network network;
  network.space = std::move(*space);
  network.genotype.choice.assign(row.choice, row.choice + 22);
  network.name = text;
  return network;
}

}  // namespace

std::vector<std::string> NetworkNames() {
  int count = 0;
  const PublishedRow* published = PublishedNetworks(&count);
  std::vector<std::string> names;
  for (int i = 0; i < count; ++i) {
    for (const char* place : {"", "@cifar", "@imagenet"}) {
      names.push_back(std::string(published[i].name) + place);
    }
  }
  const SpaceTable* tables = SpaceTables(&count);
  for (int i = 0; i < count; ++i) {
    if (tables[i].candidates == nullptr) names.push_back(tables[i].name);
  }
  return names;
}

Result<Network> ParseNetwork(const std::string& text, const SpaceOptions& options) {
  const std::string trimmed = Trim(text);
  const size_t colon = trimmed.find(':');
  const std::string head = Trim(trimmed.substr(0, colon));
  const size_t at = head.find('@');
  const std::string base = head.substr(0, at);
  if (IsCellNetwork(trimmed)) return ParseCellNetwork(trimmed, options);
  int count = 0;
  const PublishedRow* published = PublishedNetworks(&count);
  for (int i = 0; i < count; ++i) {
    if (base != published[i].name) continue;
    if (colon != std::string::npos) {
      return Status::Error("%s is a published network and takes no blocks after ':'", base.c_str());
    }
    return Published(published[i], trimmed, at == std::string::npos ? "" : head.substr(at + 1),
                     options);
  }
  std::vector<std::string> known = SpaceNames();
  bool is_space = false;
  for (const std::string& name : known) is_space = is_space || name == base;
  if (!is_space) {
    for (const std::string& name : NetworkNames()) known.push_back(name);
    return Status::Error(
        "unknown network '%s': did you mean %s? A network is one of %s, or a space with its blocks "
        "(tiny:k3_e3,skip,..., nasbench201:|none~0|+|..)",
        head.c_str(), Nearest(head, known).c_str(), JoinText(NetworkNames(), ", ").c_str());
  }
  Result<Space> space = FindSpace(head, options);
  if (!space.ok()) return space.status();
  Network network;
  network.space = std::move(*space);
  const std::vector<int> searchable = network.space.searchable();
  if (searchable.empty()) {
    if (colon != std::string::npos) {
      return Status::Error("%s is a fixed network and takes no blocks after ':'", head.c_str());
    }
    network.name = trimmed;
    return network;
  }
  if (colon == std::string::npos) {
    return Status::Error(
        "%s is a space, not a network: add ':' and a block for each of its %d "
        "slots, for example %s",
        head.c_str(), static_cast<int>(searchable.size()),
        ToText(network.space, Genotype{std::vector<int>(searchable.size(), 0)}).c_str());
  }
  Result<Genotype> genotype = ParseChoices(network.space, trimmed.substr(colon + 1));
  if (!genotype.ok()) return genotype.status();
  network.genotype = std::move(*genotype);
  network.name = ToText(network.space, network.genotype);
  return network;
}

std::string ToText(const Space& space, const Genotype& genotype) {
  const std::vector<const Block*> blocks = BlocksOf(space, genotype);
  std::vector<std::string> words;
  for (size_t i = 0; i < blocks.size(); ++i) {
    if (space.slots[i].searchable()) words.push_back(blocks[i]->name);
  }
  return words.empty() ? space.name : space.name + ":" + JoinText(words, ",");
}

}  // namespace rhnas::nn
