#include "search/space_designs.h"

#include "hw/json.h"
#include "search/arguments.h"
#include "search/report_json.h"
#include "search/report_text.h"

namespace rhnas::search {

using engine::Format;

namespace {

double Percent(int64_t part, int64_t whole) {
  return whole == 0 ? 0.0 : 100 * static_cast<double>(part) / static_cast<double>(whole);
}

int Describe(const hw::DesignSpace& space, Console* console) {
  hw::JsonWriter json;
  json.BeginObject();
  json.Key("hw_space").String(space.name()).Key("points").Int(space.points());
  json.Key("parameters").BeginObject();
  std::string text =
      Format("# accelerator space %s: %s points\n# The rest is as in %s.\n", space.name().c_str(),
             Grouped(space.points()).c_str(), space.Reference()->ShortName().c_str());
  for (const hw::SpaceParameter& parameter : space.parameters()) {
    json.Key(parameter.key).BeginArray();
    text += parameter.key + ":";
    for (const int value : parameter.values) {
      json.Int(value);
      text += Format(" %d", value);
    }
    json.EndArray();
    text += "\n";
  }
  json.EndObject().EndObject();
  console->Print(console->json() ? json.text() + "\n" : text);
  return kExitOk;
}

int Count(const hw::Accelerator& family, const hw::DesignSpace& space, const hw::Limits& limits,
          Console* console) {
  const hw::DesignCount count = hw::CountDesigns(space, family, limits);
  hw::JsonWriter json;
  json.BeginObject().Key("hw_space").String(space.name());
  json.Key("points").Int(count.points).Key("valid").Int(count.valid);
  AddByRule(family, count.by_rule.data(), &json);
  std::string text = Format("accelerator space %s: %s points\nvalid under all rules: %s (%.2f%%)\n",
                            space.name().c_str(), Grouped(count.points).c_str(),
                            Grouped(count.valid).c_str(), Percent(count.valid, count.points));
  text += "\npoints that break each rule (a point may break several):\n";
  for (size_t i = 0; i < count.by_rule.size(); ++i) {
    if (count.by_rule[i] == 0) continue;
    text += Format("  %-12s %10s %7.2f%%  %s\n", family.rules()[i].name,
                   Grouped(count.by_rule[i]).c_str(), Percent(count.by_rule[i], count.points),
                   family.rules()[i].description);
  }
  text += Format("\n%12s %10s %10s %8s\n", "MACs a cycle", "points", "valid", "share");
  json.Key("by_macs").BeginArray();
  for (const auto& [macs, bucket] : count.by_macs) {
    json.BeginObject().Key("macs_per_cycle").Int(macs);
    json.Key("points").Int(bucket.points).Key("valid").Int(bucket.valid).EndObject();
    text +=
        Format("%12s %10s %10s %7.2f%%\n", Grouped(macs).c_str(), Grouped(bucket.points).c_str(),
               Grouped(bucket.valid).c_str(), Percent(bucket.valid, bucket.points));
  }
  json.EndArray().EndObject();
  console->Print(console->json() ? json.text() + "\n" : text);
  return kExitOk;
}

bool Holds(const hw::DesignSpace& space, const hw::Design& design) {
  const std::string name = design.ShortName();
  for (int64_t point = 0; point < space.points(); ++point) {
    const hw::DesignPtr here = space.AtPoint(point);
    if (here->ShortName() == name && hw::SameDesign(*here, design)) return true;
  }
  return false;
}

int Check(const DesignSpaceQuestion& question, const hw::Limits& limits, Console* console) {
  hw::JsonWriter json;
  json.BeginObject().Key("hw_space").String(question.space).Key("files").BeginArray();
  std::string text;
  int64_t valid = 0;
  for (const std::string& file : question.files) {
    json.BeginObject().Key("file").String(file);
    const Argument<hw::DesignPtr> found = ResolveDesign(*question.family, file, 0);
    if (!found.value.ok()) {
      const std::string error = found.value.status().message();
      json.Key("valid").Bool(false).Key("error").String(error).EndObject();
      // Messages about a file start with its name already.
      text += (error.compare(0, file.size(), file) == 0 ? "" : file + ": unreadable: ") + error;
      text += "\n";
      continue;
    }
    const hw::Design& design = **found.value;
    const std::vector<hw::BrokenRule> broken = design.CheckAll(limits);
    // The bus is the platform's: the file's own counts here.
    hw::SpaceOptions options = question.options;
    options.bus_bits = design.bus_bits();
    const hw::Result<std::unique_ptr<hw::DesignSpace>> space =
        question.family->FindSpace(question.space, options);
    const bool inside = space.ok() && Holds(**space, design);
    valid += broken.empty() ? 1 : 0;
    json.Key("valid").Bool(broken.empty()).Key("hw_name").String(design.ShortName());
    json.Key("in_space").Bool(inside);
    AddVerdicts(broken, &json);
    json.EndObject();
    text += file + (broken.empty() ? ": valid: " : ": invalid: ") + design.ShortName();
    text += Format(", %s space %s", inside ? "in" : "outside", question.space.c_str());
    for (const hw::BrokenRule& rule : broken) text += "; " + rule.ToString();
    text += "\n";
  }
  const int64_t checked = static_cast<int64_t>(question.files.size());
  json.EndArray().Key("checked").Int(checked).Key("valid").Int(valid).EndObject();
  console->Print(console->json() ? json.text() + "\n" : text);
  return valid == checked ? kExitOk : kExitFailure;
}

}  // namespace

int AnswerAboutDesigns(const DesignSpaceQuestion& question, Console* console) {
  const hw::Result<std::unique_ptr<hw::DesignSpace>> space =
      question.family->FindSpace(question.space, question.options);
  if (!space.ok()) return console->Fail(kExitUsage, space.error());
  hw::Limits limits;
  limits.area_table = question.table;
  if (question.area_max > 0) {
    limits.area_max_um2 = question.area_max * (*space)->Reference()->AreaUm2(*question.table);
  }
  if (!question.files.empty()) return Check(question, limits, console);
  return question.count ? Count(*question.family, **space, limits, console)
                        : Describe(**space, console);
}

}  // namespace rhnas::search
