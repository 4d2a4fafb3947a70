// The text form of networks: round trips, and errors that name the slot.
#include <gtest/gtest.h>

#include "engine/random.h"
#include "nn/space.h"

namespace rhnas::nn {
namespace {

std::string MessageOf(const std::string& text) {
  engine::Result<Network> network = ParseNetwork(text);
  return network.ok() ? "" : network.status().message();
}

bool Contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(NnGenotype, RoundTripOfRandomNetworks) {
  engine::Rng rng(11);
  const char* spaces[] = {"tiny", "fbnet-cifar", "fbnet-imagenet", "fbnet-cifar@w0.5",
                          "fbnet-cifar@w0.125,nopw,28x28x1,n26"};
  for (const char* name : spaces) {
    engine::Result<Space> space = FindSpace(name);
    ASSERT_TRUE(space.ok()) << space.status().message();
    for (int i = 0; i < 20; ++i) {
      Genotype genotype;
      for (int slot : space->searchable()) {
        const size_t count = space->slots[static_cast<size_t>(slot)].candidates.size();
        genotype.choice.push_back(static_cast<int>(rng.Below(static_cast<uint32_t>(count))));
      }
      const std::string text = ToText(*space, genotype);
      EXPECT_EQ(text.rfind(std::string(name) + ":", 0), 0u) << text;
      engine::Result<Network> network = ParseNetwork(text);
      ASSERT_TRUE(network.ok()) << network.status().message();
      EXPECT_TRUE(network->genotype == genotype);
      EXPECT_EQ(network->space.name, space->name);
      EXPECT_EQ(network->name, text);
      EXPECT_EQ(Macs(network->space, network->genotype), Macs(*space, genotype));
      EXPECT_EQ(Params(network->space, network->genotype), Params(*space, genotype));
    }
  }
}

TEST(NnGenotype, EveryNamedNetworkRoundTrips) {
  for (const std::string& name : NetworkNames()) {
    engine::Result<Network> network = ParseNetwork(name);
    ASSERT_TRUE(network.ok()) << network.status().message();
    EXPECT_EQ(network->name, name);
    const std::string text = ToText(network->space, network->genotype);
    engine::Result<Network> again = ParseNetwork(text);
    ASSERT_TRUE(again.ok()) << again.status().message();
    EXPECT_EQ(Macs(again->space, again->genotype), Macs(network->space, network->genotype)) << text;
  }
}

TEST(NnGenotype, SpacesAndLineEndsAreTolerated) {
  engine::Result<Network> network = ParseNetwork(" tiny: k3_e3, skip,k3_e6,k5_e3,skip,skip\r\n");
  ASSERT_TRUE(network.ok()) << network.status().message();
  EXPECT_EQ(network->name, "tiny:k3_e3,skip,k3_e6,k5_e3,skip,skip");
}

TEST(NnGenotype, ErrorsNameTheSlot) {
  const std::string unknown = MessageOf("tiny:k3_e3,skip,k3_e7,k5_e3,skip,skip");
  EXPECT_TRUE(Contains(unknown, "'k3_e7' in slot02 (32 to 32 channels")) << unknown;
  EXPECT_TRUE(Contains(unknown, "k3_e1_g2, k3_e3, k3_e6, k5_e1, k5_e3, skip")) << unknown;
  const std::string few = MessageOf("tiny:k3_e3,skip");
  EXPECT_TRUE(Contains(few, "slot02")) << few;
  const std::string many = MessageOf("tiny:skip,skip,skip,skip,skip,skip,k5_e3");
  EXPECT_TRUE(Contains(many, "7 blocks named for 6") && Contains(many, "'k5_e3'")) << many;
  EXPECT_TRUE(Contains(MessageOf("tiny:"), "'' in slot00")) << MessageOf("tiny:");
  EXPECT_TRUE(Contains(MessageOf("tiny"), "is a space, not a network")) << MessageOf("tiny");
  EXPECT_TRUE(Contains(MessageOf("resnet19"), "did you mean resnet18?")) << MessageOf("resnet19");
  EXPECT_TRUE(Contains(MessageOf("fbnet-d"), "did you mean fbnet-a?")) << MessageOf("fbnet-d");
  EXPECT_TRUE(Contains(MessageOf("resnet18:skip"), "takes no blocks"));
  EXPECT_TRUE(Contains(MessageOf("fbnet-a:skip"), "takes no blocks"));
  EXPECT_TRUE(Contains(MessageOf("fbnet-a@mars"), "'mars'")) << MessageOf("fbnet-a@mars");
  EXPECT_FALSE(MessageOf("").empty());
}

}  // namespace
}  // namespace rhnas::nn
