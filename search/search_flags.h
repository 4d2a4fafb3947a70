// Every setting of a joint search as a flag: one table for the command line, the help and
// config.json.
#pragma once

#include "search/flags.h"
#include "search/joint_search.h"

namespace rhnas::search {

// Binds flags to *options, which must outlive them; defaults are those of SearchOptions.
void DeclareSearchFlags(SearchOptions* options, FlagSet* flags);

// What may be given for --bus, --board and --dataset elsewhere too.
std::vector<std::string> BusChoices();   // "64", .., "free"
int BusBits(const std::string& choice);  // 0: free
std::string BusChoice(int bits);
// A data set that is read from files needs --data.
engine::Status CheckDataFlags(const std::string& dataset, const std::string& dir);
void DeclareBoardFlag(std::string* board, FlagSet* flags);
// --invalid: how invalid accelerators are dealt with; the default is what stands in *invalid.
void DeclareInvalidFlag(InvalidHandling* invalid, FlagSet* flags);
// --tensorboard: event files beside log.csv.
void DeclareTensorBoardFlag(bool* tensorboard, FlagSet* flags);

}  // namespace rhnas::search
