// rhnas space: what can be searched, which accelerators can be built.
#include <algorithm>

#include "hw/json.h"
#include "hw/space.h"
#include "hw/vta_accelerator.h"
#include "nn/nasbench201.h"
#include "search/arguments.h"
#include "search/command.h"
#include "search/report_json.h"
#include "search/report_text.h"
#include "search/search_flags.h"
#include "search/space_designs.h"
#include "search/suggest.h"
#include "search/table_flags.h"

namespace rhnas::search {

using engine::Format;
using engine::Result;
using engine::Status;

namespace {

// One file or preset of --check.
struct Checked {
  std::string file, error;  // error: could not be read
  hw::Config config;
  bool in_space = false;
  std::vector<hw::Verdict> verdicts;
  bool valid() const { return error.empty() && verdicts.empty(); }
};

class SpaceCommand : public Command {
 public:
  const char* name() const override { return "space"; }
  const char* summary() const override { return "describe a space, count or check accelerators"; }
  const char* usage() const override {
    return "[--space NAME | --hw-space NAME [--count] [--check FILE...]] [FLAGS]";
  }
  const char* notes() const override {
    return "Without flags it lists all spaces, presets and boards. --check prints one verdict a "
           "file, with\n"
           "every broken rule, and ends with exit code 1 if one is invalid or unreadable; whether "
           "a "
           "file lies\n"
           "in the space is told, but does not make it invalid. JSON of --count: hw_space, points, "
           "valid,\n"
           "valid_encoding, by_rule (a point may break several), by_macs; of --check: files (file, "
           "valid, "
           "verdicts, "
           "..).";
  }
  const char* examples() const override {
    return "  rhnas space --hw-space vta --count --rules R1,R6\n"
           "  rhnas space --hw-space vta --check my_config.json vta_config.json --board xc7z020";
  }

  void Declare(FlagSet* flags) override {
    flags->Group("Network space");
    std::vector<std::string>& spaces =
        flags->Text("space", "NAME", &space_, "describe this network space").choices;
    spaces = nn::SpaceNames();
    spaces.emplace_back("nasbench201");
    flags->Group("Accelerator space");
    flags
        ->Text("hw-space", "NAME|FILE", &hw_space_,
               "describe this accelerator space, or that of a file (lines of PARAMETER: values; "
               "what is printed is such a file)")
        .choices = AllHwSpaces();
    flags->Switch("count", &count_, "count its points and the valid ones");
    flags->Text("rules", "R1,R2,..", &rules_,
                "with --count: one more column, the share valid under these rules alone");
    flags->List("check", "FILE", &files_, "check these files (or presets)");
    flags->Choice("bus", &bus_, BusChoices(),
                  "the platform's memory bus in bits; free searches it, as vta-wide always does");
    flags->Switch("derived-tags", &derived_tags_,
                  "as many VME tag bits (R7) as each point needs, as rhnas search has them; off: "
                  "21, as in the published counts");
    flags->Number("area-max", &area_max_, 0, 1000,
                  "area cap relative to the default accelerator's area; 0: none");
    DeclareBoardFlag(&board_, flags);
    DeclareTableFlags(&table_, flags);
  }

  int Run(FlagSet* flags, const std::vector<std::string>& /*words*/, Console* console) override {
    const bool hardware = !hw_space_.empty() || count_ || !files_.empty();
    if (hardware && !space_.empty()) {
      return console->Fail(kExitUsage,
                           "--space describes a network space, it does not go with "
                           "--hw-space, --count or --check");
    }
    if (count_ && !files_.empty()) {
      return console->Fail(kExitUsage, "--count and --check are two questions, ask one at a time");
    }
    if (!space_.empty()) return DescribeNetworks(console);
    if (!hardware) {
      if (flags->given("bus") || flags->given("derived-tags") || flags->given("area-max") ||
          flags->given("board") || flags->given("rules")) {
        return console->Fail(
            kExitUsage,
            "--bus, --derived-tags, --area-max, --board and --rules need --hw-space with "
            "--count or --check");
      }
      return ListAll(console);
    }
    if (hw_space_.empty()) {
      return console->Fail(kExitUsage, "--hw-space is needed: " + JoinWords(AllHwSpaces()));
    }
    const hw::Accelerator* family = hw::FindAcceleratorOfSpace(hw_space_);
    if (family != nullptr && family != &hw::Vta()) return OtherFamily(*family, *flags, console);
    const Argument<hw::HwSpace> space = ResolveHwSpace(hw_space_, OptionsFor(BusBits(bus_)));
    if (!space.value.ok()) return console->Fail(space.exit_code, space.value.status().message());
    if (flags->given("rules") && !count_) {
      return console->Fail(kExitUsage, "--rules needs --count");
    }
    uint32_t rules = hw::kEncodingRules;
    if (Status status = ParseRules(&rules); !status.ok()) {
      return console->Fail(kExitUsage, status.message());
    }

    hw::Limits limits;
    const Result<hw::CostTable> table = LoadCostTable(table_);
    if (!table.ok()) return console->Fail(TableExitCode(table_), table.status().message());
    limits.area_table = &*table;
    if (area_max_ > 0) {
      const hw::Result<hw::Config> base = hw::FindConfig("default");
      if (!base.ok()) return console->Fail(kExitFailure, base.error());
      limits.area_max_um2 = area_max_ * hw::AreaUm2(*base, *table);
    }
    if (!board_.empty()) {
      const hw::Result<hw::Board> board = hw::FindBoard(board_);
      if (!board.ok()) return console->Fail(kExitUsage, board.error());
      limits.board = *board;
    }
    if (!files_.empty()) return CheckFiles(limits, console);
    return count_ ? CountPoints(*space.value, limits, rules, console)
                  : DescribeHardware(*space.value, console);
  }

 private:
  int OtherFamily(const hw::Accelerator& family, const FlagSet& flags, Console* console) const {
    for (const char* name : {"rules", "derived-tags", "board"}) {
      if (!flags.given(name)) continue;
      return console->Fail(kExitUsage, Format("--%s is for spaces of accelerator vta, %s is of %s",
                                              name, hw_space_.c_str(), family.name()));
    }
    const Result<hw::CostTable> table = LoadCostTable(table_);
    if (!table.ok()) return console->Fail(TableExitCode(table_), table.status().message());
    DesignSpaceQuestion question;
    question.family = &family;
    question.space = hw_space_;
    question.options.bus_bits = BusBits(bus_);
    question.area_max = area_max_;
    question.table = &*table;
    question.count = count_;
    question.files = files_;
    return AnswerAboutDesigns(question, console);
  }

  // "R1,R6" into a set; an empty text leaves it as it is.
  Status ParseRules(uint32_t* rules) const {
    if (rules_.empty()) return Status::Ok();
    std::vector<std::string> names;
    for (int i = 0; i < hw::kRuleCount; ++i)
      names.emplace_back(hw::RuleName(static_cast<hw::Rule>(i)));
    *rules = 0;
    for (size_t begin = 0; begin <= rules_.size();) {
      const size_t end = std::min(rules_.find(',', begin), rules_.size());
      const std::string name = rules_.substr(begin, end - begin);
      begin = end + 1;
      uint32_t bit = 0;
      for (size_t i = 0; i < names.size(); ++i) {
        if (names[i] == name) bit = 1u << i;
      }
      if (bit == 0) return Status::Error("--rules: %s", UnknownWord("rule", name, names).c_str());
      *rules |= bit;
    }
    return Status::Ok();
  }

  hw::SpaceOptions OptionsFor(int bus_bits) const {
    hw::SpaceOptions options;
    options.bus_bits = bus_bits;
    options.derived_tags = derived_tags_;
    return options;
  }

  static int ListAll(Console* console) {
    std::vector<std::pair<std::string, std::vector<std::string>>> lists = {
        {"spaces", nn::SpaceNames()},     {"cell_spaces", {"nasbench201"}},
        {"networks", nn::NetworkNames()}, {"hw_spaces", AllHwSpaces()},
        {"presets", hw::PresetNames()},   {"boards", hw::BoardNames()}};
    for (const hw::Accelerator* family : hw::Accelerators()) {
      if (family != &hw::Vta()) {
        lists.emplace_back(std::string("presets_") + family->name(), family->PresetNames());
      }
    }
    hw::JsonWriter json;
    std::string text;
    json.BeginObject();
    for (const auto& [title, names] : lists) {
      json.Key(title).BeginArray();
      text += title + ":\n";
      for (const std::string& entry : names) {
        json.String(entry);
        text += "  " + entry + "\n";
      }
      json.EndArray();
    }
    json.EndObject();
    console->Print(console->json() ? json.text() + "\n" : text);
    return kExitOk;
  }

  static int DescribeCells(Console* console) {
    hw::JsonWriter json;
    json.BeginObject().Key("space").String("nasbench201").Key("networks").Int(nn::kCellCount);
    std::string names;
    json.Key("edges").BeginArray();
    for (const char* edge : {"0-1", "0-2", "1-2", "0-3", "1-3", "2-3"}) json.String(edge);
    json.EndArray().Key("operations").BeginArray();
    for (int i = 0; i < nn::kCellOperations; ++i) {
      json.String(nn::CellOperationName(i));
      names += std::string(i == 0 ? "" : " ") + nn::CellOperationName(i);
    }
    json.EndArray().Key("data").BeginArray();
    std::string data;
    for (int i = 0; i < nn::kCellDataCount; ++i) {
      const nn::CellData& each = nn::CellDataOf(i);
      json.BeginObject().Key("name").String(each.name);
      json.Key("resolution").Int(each.resolution).Key("classes").Int(each.classes).EndObject();
      data += Format("  @%-11s input %dx%dx3, %d classes\n", each.name, each.resolution,
                     each.resolution, each.classes);
    }
    json.EndArray().EndObject();
    const std::string text = Format(
        "space nasbench201: %d networks: one cell of 4 nodes, an operation on each of its 6 edges "
        "(0-1, 0-2, 1-2,\n0-3, 1-3, 2-3), the same in 15 places: stem to 16 channels, 5 cells, "
        "reduction to 32, 5 cells,\nreduction to 64, 5 cells, batch norm, ReLU, global pool, "
        "classifier\n\noperations  %s\ndata sets\n%sa network  nasbench201:%s\n"
        "on an accelerator only the edges run that the output sees; all with "
        "nasbench201@dead:.. or @DATA,dead\n",
        nn::kCellCount, names.c_str(), data.c_str(), nn::CellText({3, 3, 3, 1, 3, 3}).c_str());
    console->Print(console->json() ? json.text() + "\n" : text);
    return kExitOk;
  }

  int DescribeNetworks(Console* console) const {
    if (space_ == "nasbench201") return DescribeCells(console);
    const Result<nn::Space> found = nn::FindSpace(space_);
    if (!found.ok()) return console->Fail(kExitUsage, found.status().message());
    const nn::Space& space = *found;
    hw::JsonWriter json;
    json.BeginObject();
    json.Key("space").String(space.name);
    json.Key("input").BeginArray().Int(space.h).Int(space.w).Int(space.c).EndArray();
    json.Key("classes").Int(space.classes);
    json.Key("networks").Double(space.size());
    json.Key("slots").BeginArray();
    std::string text = Format(
        "space %s: input %dx%dx%d, %d classes, %.6g networks, %zu slots of "
        "which %zu are searched\n\n%4s %12s %6s %6s  %s\n",
        space.name.c_str(), space.h, space.w, space.c, space.classes, space.size(),
        space.slots.size(), space.searchable().size(), "slot", "input", "out", "stride",
        "candidates");
    for (size_t i = 0; i < space.slots.size(); ++i) {
      const nn::Slot& slot = space.slots[i];
      json.BeginObject();
      json.Key("height").Int(slot.h).Key("width").Int(slot.w);
      json.Key("cin").Int(slot.cin).Key("cout").Int(slot.cout).Key("stride").Int(slot.stride);
      json.Key("candidates").BeginArray();
      std::string names;
      for (const nn::Block& block : slot.candidates) {
        json.String(block.name);
        names += (names.empty() ? "" : " ") + block.name;
      }
      json.EndArray().EndObject();
      text +=
          Format("%4zu %12s %6d %6d  %s\n", i, Format("%dx%dx%d", slot.h, slot.w, slot.cin).c_str(),
                 slot.cout, slot.stride, names.c_str());
    }
    json.EndArray().EndObject();
    console->Print(console->json() ? json.text() + "\n" : text);
    return kExitOk;
  }

  static int DescribeHardware(const hw::HwSpace& space, Console* console) {
    hw::JsonWriter json;
    json.BeginObject();
    json.Key("hw_space").String(space.name).Key("points").Int(space.points());
    json.Key("parameters").BeginObject();
    std::string text = Format("# accelerator space %s: %s points\n", space.name.c_str(),
                              Grouped(space.points()).c_str());
    text += "# The rest is as in " + hw::ShortName(space.base) + ".\n" + hw::HwSpaceText(space);
    for (const hw::SpaceParameter& parameter : space.parameters) {
      json.Key(parameter.key).BeginArray();
      for (int value : parameter.values) json.Int(value);
      json.EndArray();
    }
    json.EndObject().EndObject();
    console->Print(console->json() ? json.text() + "\n" : text);
    return kExitOk;
  }

  int CountPoints(const hw::HwSpace& space, const hw::Limits& limits, uint32_t rules,
                  Console* console) const {
    const hw::SpaceCount count = hw::Count(space, limits, rules);
    if (count.by_rule[static_cast<size_t>(hw::Rule::kR7)] == count.points) {
      console->Note(
          Format("rhnas space: R7 breaks every point: %d VME tag bits are too few for this "
                 "bus; --derived-tags gives each point as many as it needs",
                 space.At(0).vme_tag_bits));
    }
    console->Print(console->json() ? CountJson(space, count) : CountText(space, count));
    return kExitOk;
  }

  std::string CountJson(const hw::HwSpace& space, const hw::SpaceCount& count) const {
    hw::JsonWriter json;
    const auto add = [&](int64_t points, int64_t valid, int64_t encoding, int64_t chosen) {
      json.Key("points").Int(points).Key("valid").Int(valid);
      json.Key("valid_encoding").Int(encoding);
      if (!rules_.empty()) json.Key("valid_chosen").Int(chosen);
    };
    json.BeginObject();
    json.Key("hw_space").String(space.name);
    if (!rules_.empty()) json.Key("rules").String(rules_);
    add(count.points, count.valid, count.encoding_valid, count.chosen_valid);
    AddByRule(hw::Vta(), count.by_rule.data(), &json);
    json.Key("r7_memories").Int(count.tag_memories);
    json.Key("by_macs").BeginArray();
    for (size_t i = 0; i < count.by_log_macs.size(); ++i) {
      const hw::MacBucket& bucket = count.by_log_macs[i];
      if (bucket.points == 0) continue;
      json.BeginObject().Key("macs_per_cycle").Int(int64_t{1} << i);
      add(bucket.points, bucket.valid, bucket.encoding_valid, bucket.chosen_valid);
      json.EndObject();
    }
    json.EndArray().EndObject();
    return json.text() + "\n";
  }

  std::string CountText(const hw::HwSpace& space, const hw::SpaceCount& count) const {
    const auto percent = [](int64_t part, int64_t whole) {
      return whole == 0 ? 0.0 : 100 * static_cast<double>(part) / static_cast<double>(whole);
    };
    std::string text = Format(
        "accelerator space %s: %s points\n"
        "valid under all rules: %s (%.2f%%); under the encoding rules alone (R1 to R6, address): "
        "%s (%.2f%%)\n",
        space.name.c_str(), Grouped(count.points).c_str(), Grouped(count.valid).c_str(),
        percent(count.valid, count.points), Grouped(count.encoding_valid).c_str(),
        percent(count.encoding_valid, count.points));
    if (!rules_.empty()) {
      text +=
          Format("under %s alone: %s (%.2f%%)\n", rules_.c_str(),
                 Grouped(count.chosen_valid).c_str(), percent(count.chosen_valid, count.points));
    }
    text += "\npoints that break each rule (a point may break several):\n";
    for (int i = 0; i < hw::kRuleCount; ++i) {
      const int64_t broken = count.by_rule[static_cast<size_t>(i)];
      if (broken == 0) continue;
      const hw::Rule rule = static_cast<hw::Rule>(i);
      text += Format("  %-8s %10s %7.2f%%  %s", hw::RuleName(rule), Grouped(broken).c_str(),
                     percent(broken, count.points), hw::RuleDescription(rule));
      if (rule == hw::Rule::kR7 && count.tag_memories != broken) {
        text += Format("; %s memories", Grouped(count.tag_memories).c_str());
      }
      text += "\n";
    }
    text += Format("\n%12s %10s %10s %8s %10s %8s", "MACs a cycle", "points", "valid", "share",
                   "encoding", "share");
    if (!rules_.empty()) text += Format(" %10s %8s", "chosen", "share");
    text += "\n";
    for (size_t i = 0; i < count.by_log_macs.size(); ++i) {
      const hw::MacBucket& bucket = count.by_log_macs[i];
      if (bucket.points == 0) continue;
      text += Format("%12s %10s", Grouped(int64_t{1} << i).c_str(), Grouped(bucket.points).c_str());
      const auto add = [&](int64_t valid) {
        text += Format(" %10s %7.2f%%", Grouped(valid).c_str(), percent(valid, bucket.points));
      };
      add(bucket.valid);
      add(bucket.encoding_valid);
      if (!rules_.empty()) add(bucket.chosen_valid);
      text += "\n";
    }
    return text;
  }

  int CheckFiles(const hw::Limits& limits, Console* console) const {
    std::vector<Checked> all;
    for (const std::string& file : files_) {
      Checked checked;
      checked.file = file;
      const Argument<hw::Config> config = ResolveHardware(file, 0);
      if (config.value.ok()) {
        checked.config = *config.value;
        checked.verdicts = hw::CheckAll(checked.config, limits);
        // The bus is the platform's: the file's own counts here.
        const hw::Result<hw::HwSpace> space =
            hw::FindHwSpace(hw_space_, OptionsFor(checked.config.bus_bits));
        std::vector<int> index;
        checked.in_space = space.ok() && space->Find(checked.config, &index);
      } else {
        checked.error = config.value.status().message();
      }
      all.push_back(std::move(checked));
    }
    int64_t valid = 0;
    for (const Checked& checked : all) valid += checked.valid() ? 1 : 0;
    if (console->json()) {
      console->Print(CheckedJson(all, valid));
    } else {
      for (const Checked& checked : all) console->Print(CheckedLine(checked));
    }
    return valid == static_cast<int64_t>(all.size()) ? kExitOk : kExitFailure;
  }

  std::string CheckedLine(const Checked& checked) const {
    // Messages about a file start with its name already.
    const bool named = checked.error.compare(0, checked.file.size(), checked.file) == 0;
    if (!checked.error.empty()) {
      return Format("%s%s%s\n", named ? "" : checked.file.c_str(),
                    named ? "" : ": unreadable: ", checked.error.c_str());
    }
    std::string text = checked.file + ": " + (checked.valid() ? "valid" : "invalid") + ": " +
                       hw::ShortName(checked.config);
    text += Format(", %s space %s", checked.in_space ? "in" : "outside", hw_space_.c_str());
    for (size_t i = 0; i < checked.verdicts.size(); ++i) {
      text += "; " + checked.verdicts[i].ToString();
    }
    return text + "\n";
  }

  std::string CheckedJson(const std::vector<Checked>& all, int64_t valid) const {
    hw::JsonWriter json;
    json.BeginObject();
    json.Key("hw_space").String(hw_space_);
    json.Key("checked").Int(static_cast<int64_t>(all.size())).Key("valid").Int(valid);
    json.Key("files").BeginArray();
    for (const Checked& checked : all) {
      json.BeginObject();
      json.Key("file").String(checked.file).Key("valid").Bool(checked.valid());
      if (checked.error.empty()) {
        json.Key("hw_name").String(hw::ShortName(checked.config));
        json.Key("in_space").Bool(checked.in_space);
        AddVerdicts(hw::ToBrokenRules(checked.verdicts), &json);
      } else {
        json.Key("error").String(checked.error);
      }
      json.EndObject();
    }
    json.EndArray().EndObject();
    return json.text() + "\n";
  }

  std::string space_, hw_space_, board_, bus_ = "64", rules_;
  TableChoice table_;
  bool count_ = false, derived_tags_ = false;
  std::vector<std::string> files_;
  double area_max_ = 0;
};

}  // namespace

std::unique_ptr<Command> MakeSpaceCommand() { return std::make_unique<SpaceCommand>(); }

}  // namespace rhnas::search
