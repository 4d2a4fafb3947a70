// What a search knows of an accelerator: families of designs behind four small interfaces, so that
// another accelerator needs no change outside of hw/.
//
//   Accelerator   a family: its name, rules, spaces, presets, file form
//   DesignSpace   parameters with values; a point (one index a parameter) is a design
//   Design        one accelerator: verdicts, area, file form, and its cost model
//   DesignModel   latency, energy, traffic of layers on one design (hw/cost.h)
//
// VTA (hw/vta_accelerator.h) and a systolic array (hw/systolic.h) are the families compiled in. A
// program of one's own hands its family to the search by pointer (SearchOptions::accelerator).
// docs/ARCHITECTURE.md tells how to add one. All functions are const and thread-safe; every virtual
// function is pure or inline, so families may be built with or without run-time type information.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "hw/cost.h"
#include "hw/fnv.h"
#include "hw/result.h"
#include "hw/space.h"
#include "hw/tables.h"
#include "hw/validity.h"

namespace rhnas::hw {

struct RuleInfo {
  const char* name;         // "R3"
  const char* description;  // one line, with where it comes from
};

// A rule that a design breaks.
struct BrokenRule {
  int rule = 0;           // index into the family's rules
  const char* name = "";  // of the rule
  const char* what = "";  // what is counted, unit included: "ALU factor bits i+a"
  double need = 0, have = 0;
  double severity = 0;           // how far it is missed: >= 0, at most 8, comparable between rules
  std::string ToString() const;  // "R3: ALU factor bits i+a: need 23, have 22"
};

// One accelerator. Never changes.
class Design {
 public:
  virtual ~Design() = default;
  virtual std::string ShortName() const = 0;  // of no blanks, the same for equal designs
  // The family's file form; Accelerator::Parse reads it back. Equal designs have equal text.
  virtual std::string ToJson() const = 0;
  // What tables of costs find a design by: equal for designs that cost the same because they differ
  // in nothing that any cost sees.
  virtual uint64_t Key() const {
    Fnv fnv;
    fnv.AddText(ToJson());
    return fnv.value();
  }
  // Every broken rule (one entry a rule, the worst); empty when it can be built under the limits.
  virtual std::vector<BrokenRule> CheckAll(const Limits& limits) const = 0;
  virtual bool Valid(const Limits& limits) const { return CheckAll(limits).empty(); }
  // What its model's RunsNetworks says, without a model: a rule that is known before any cost is.
  // REQUIRES: overridden wherever that is.
  virtual bool RunsNetworks() const { return true; }
  virtual double AreaUm2(const CostTable& table) const = 0;
  virtual int64_t macs_per_cycle() const = 0;
  virtual int bus_bits() const = 0;  // of the platform it sits on
  // Its costs; the table's values are copied. Of an invalid design every answer is empty.
  virtual std::unique_ptr<DesignModel> Model(const CostTable& table) const = 0;
};
using DesignPtr = std::shared_ptr<const Design>;

inline bool SameDesign(const Design& a, const Design& b) { return a.ToJson() == b.ToJson(); }

// Parameters with their values. Some points may be impossible to build: that is for
// Design::CheckAll to say.
class DesignSpace {
 public:
  virtual ~DesignSpace() = default;
  virtual const std::string& name() const = 0;
  virtual const std::vector<SpaceParameter>& parameters() const = 0;
  // REQUIRES: one index a parameter, each below its number of values.
  virtual DesignPtr At(const std::vector<int>& index) const = 0;
  // The family's default on this space's platform: what designs are compared with. It need not lie
  // in the space.
  virtual DesignPtr Reference() const = 0;
  // Numbers of the points that can be built, in order.
  virtual std::vector<int64_t> ValidPoints(const Limits& limits) const {
    return WalkValidPoints(limits);
  }
  // Those of them that run networks (Design::RunsNetworks).
  virtual std::vector<int64_t> NetworkPoints(const Limits& limits) const {
    return RunningPoints(ValidPoints(limits));
  }

  int64_t points() const;
  std::vector<int> sizes() const;  // values a parameter
  // The last parameter runs fastest.
  DesignPtr AtPoint(int64_t point) const;

 private:
  std::vector<int64_t> WalkValidPoints(const Limits& limits) const;
  std::vector<int64_t> RunningPoints(std::vector<int64_t> points) const;
};

class Accelerator {
 public:
  virtual ~Accelerator() = default;
  virtual const char* name() const = 0;     // "vta"
  virtual const char* summary() const = 0;  // one line
  virtual const std::vector<RuleInfo>& rules() const = 0;
  // The first is the one that a search takes unless told otherwise.
  virtual std::vector<std::string> SpaceNames() const = 0;
  virtual Result<std::unique_ptr<DesignSpace>> FindSpace(const std::string& name,
                                                         const SpaceOptions& options) const = 0;
  // Designs known by name; "default" is one of them.
  virtual std::vector<std::string> PresetNames() const = 0;
  // A preset's name or a path of a file. Unknown: lists the presets and the nearest.
  virtual Result<DesignPtr> Find(const std::string& name_or_path) const = 0;
  virtual Result<DesignPtr> Parse(const std::string& text, const std::string& path) const = 0;
  virtual const char* file_name() const = 0;  // of a design in a run folder: "vta_config.json"
  // Whether files of this family have such a key: tells whose file one is.
  virtual bool OwnsKey(const std::string& key) const = 0;
  // The same design on a platform with another bus; 0: its own.
  virtual DesignPtr OnBus(const Design& design, int bus_bits) const = 0;
  // The default on the platform of `other`, to compare it with.
  virtual DesignPtr DefaultBeside(const Design& other) const = 0;
  // Whether resources of the boards (hw/validity.h) can be estimated.
  virtual bool fits_boards() const { return false; }
};

// Families compiled in: "vta" (the first), "systolic".
std::vector<const Accelerator*> Accelerators();
// Null when unknown.
const Accelerator* FindAccelerator(const std::string& name);
// The family that has a space of this name; null when none has. A path of a file that describes a
// space is none of these: files are VTA's (hw/space.h).
const Accelerator* FindAcceleratorOfSpace(const std::string& space);

// What a space holds, in numbers.
struct DesignCount {
  int64_t points = 0, valid = 0;
  std::vector<int64_t> by_rule;  // points that break each of the family's rules
  std::vector<std::pair<int64_t, MacBucket>> by_macs;  // by multiply-accumulates a cycle, growing
};
DesignCount CountDesigns(const DesignSpace& space, const Accelerator& accelerator,
                         const Limits& limits);

}  // namespace rhnas::hw
