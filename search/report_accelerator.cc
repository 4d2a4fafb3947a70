// The accelerator in a report: both dies as blocks to one scale, their parts, what differs.
#include <algorithm>
#include <cmath>

#include "search/report_page.h"
#include "search/report_text.h"

namespace rhnas::search {

using engine::Format;

namespace {

struct Box {
  double x, y, width, height;
};

// "256 KB", "256 MACs".
std::string Amount(const hw::AreaPart& part) {
  if (part.bytes > 0) {
    const double bytes = part.bytes * part.count;
    return bytes < 1024 ? ShortNumber(bytes) + " B" : ShortNumber(bytes / 1024) + " KB";
  }
  return ShortNumber(part.count) + " " + part.unit + (part.count == 1 ? "" : "s");
}

const char* Kind(const hw::AreaPart& part) {
  const std::string unit = part.unit;
  if (part.bytes > 0) return "mem";
  if (unit == "MAC" || unit == "element") return "mac";
  return unit == "lane" ? "alu" : "ctl";
}

void DrawBlock(const hw::AreaPart& part, double total, const Box& box, Plot* plot) {
  const double share = 100 * part.um2() / total;
  plot->Rect(box.x, box.y, box.width, box.height, std::string("blk ") + Kind(part),
             std::string(part.name) + ": " + Amount(part) + "\n" + SquareMillimetres(part.um2()) +
                 Format(" mm², %.1f%% of the die\nleaks %.3g mW", share, part.leakage_mw));
  // A letter is about so wide.
  constexpr double kLetter = 7.4;
  std::string label = part.name;
  const double letters = box.width / kLetter;
  if (static_cast<double>(label.size()) > letters) label = label.substr(0, label.find(' '));
  const bool upright = static_cast<double>(label.size()) > letters;
  if (upright && (box.width < 12 || static_cast<double>(label.size()) > box.height / kLetter))
    return;
  if (box.height < 13 && !upright) return;
  const double x = box.x + box.width / 2, y = box.y + box.height / 2;
  if (upright) {
    plot->Raw("<text transform=\"translate(" + Coordinate(x + 3.5) + " " + Coordinate(y) +
              ") rotate(-90)\" class=\"tm in\">" + Escaped(label) + "</text>");
    return;
  }
  const std::string amount = Amount(part);
  const bool two = box.height > 28 && static_cast<double>(amount.size()) <= letters;
  plot->Text(x, y + (two ? -2 : 4), "tm in", label);
  if (two) plot->Text(x, y + 11, "tm in", amount);
}

// Blocks [first, last) of falling area fill the box: cut in two halves of about equal area across
// the longer side, again and again.
void DrawBlocks(const std::vector<hw::AreaPart>& parts, size_t first, size_t last, double total,
                const Box& box, Plot* plot) {
  if (last - first == 1) return DrawBlock(parts[first], total, box, plot);
  double sum = 0, head = 0;
  for (size_t i = first; i < last; ++i) sum += parts[i].um2();
  size_t cut = first;
  while (cut == first || (cut + 1 < last && head + parts[cut].um2() / 2 < sum / 2)) {
    head += parts[cut++].um2();
  }
  Box a = box, b = box;
  if (box.width > box.height) {
    a.width = box.width * head / sum;
    b.x += a.width;
    b.width -= a.width;
  } else {
    a.height = box.height * head / sum;
    b.y += a.height;
    b.height -= a.height;
  }
  DrawBlocks(parts, first, cut, total, a, plot);
  DrawBlocks(parts, cut, last, total, b, plot);
}

double Die(std::vector<hw::AreaPart> parts, const char* title, double x, double ground,
           double scale, Plot* plot) {
  parts.erase(std::remove_if(parts.begin(), parts.end(),
                             [](const hw::AreaPart& part) { return !(part.um2() > 0); }),
              parts.end());
  std::sort(parts.begin(), parts.end(),
            [](const hw::AreaPart& a, const hw::AreaPart& b) { return a.um2() > b.um2(); });
  double total = 0;
  for (const hw::AreaPart& part : parts) total += part.um2();
  if (parts.empty()) return 0;
  const double side = std::sqrt(total) * scale;
  DrawBlocks(parts, 0, parts.size(), total, {x, ground - side, side, side}, plot);
  plot->Rect(x, ground - side, side, side, "die", "");
  plot->Text(x, ground - side - 18, "lab", title);
  plot->Text(x, ground - side - 5, "", SquareMillimetres(total) + " mm²");
  return side;
}

}  // namespace

std::string Floorplan(const ReportRun& run, DataTable* data) {
  const std::vector<hw::AreaPart> found = run.design->AreaPartsOf(run.table);
  const std::vector<hw::AreaPart> base = run.reference->AreaPartsOf(run.table);
  *data = ParseDataTable(
      "part,unit,found_count,found_bytes,found_um2,default_count,default_bytes,default_um2\n");
  for (size_t i = 0; i < found.size() && i < base.size(); ++i) {
    data->rows.push_back({found[i].name, found[i].unit});
    for (const hw::AreaPart* part : {&found[i], &base[i]}) {
      for (const double value : {part->count, part->bytes * part->count, part->um2()}) {
        data->rows.back().push_back(NumberText(value));
      }
    }
  }
  const double a = std::sqrt(run.design->AreaUm2(run.table));
  const double b = std::sqrt(run.reference->AreaUm2(run.table));
  constexpr int kWidth = 480, kMostHeight = 300, kTop = 36, kGap = 24;
  const double scale = std::min((kWidth - kGap - 4.0) / (a + b), kMostHeight / std::max(a, b));
  const double ground = kTop + scale * std::max(a, b);
  Plot plot("Floor plan", "Blocks of the found and of the default accelerator, areas to one scale",
            kWidth, static_cast<int>(ground) + 34);
  const double side = Die(found, "found", 2, ground, scale, &plot);
  Die(base, "default", 2 + side + kGap, ground, scale, &plot);
  // A scale bar of 1, 0.5, 0.2 .. mm, at most a third of the wider die.
  double bar = 1e3;
  for (int i = 0; bar > std::max(a, b) / 3 && i < 9; ++i) bar *= i % 3 == 1 ? 0.4 : 0.5;
  plot.Raw(Format("<path class=\"axis\" d=\"M2 %.1fv5h%.1fv-5\"/>", ground + 10, bar * scale));
  plot.Text(2 + bar * scale + 6, ground + 17, "", ShortNumber(bar / 1000) + " mm");
  return plot.Finish();
}

void AddAccelerator(const ReportRun& run, ReportPage* page) {
  if (run.design == nullptr || run.reference == nullptr) return;
  page->Begin("Accelerator");
  std::string& body = page->body;
  body += "<p class=\"muted\"><b>" + Escaped(run.design->ShortName()) + "</b>, " +
          Grouped(run.design->macs_per_cycle()) + " multiply-accumulates a cycle, bus of " +
          std::to_string(run.design->bus_bits()) + " bits; the default is " +
          Escaped(run.reference->ShortName()) + ", " + Grouped(run.reference->macs_per_cycle()) +
          " a cycle, " + std::to_string(run.reference->bus_bits()) +
          " bits.</p><div class=\"two\">";
  DataTable data;
  const std::string picture = Floorplan(run, &data);
  page->Figure("Blocks to scale", picture,
               "Each block's area is that of the part, both dies to one scale. Where blocks lie is "
               "not known: nothing is placed and routed.",
               "area", data);
  body += "<div>";
  const std::vector<hw::AreaPart> found = run.design->AreaPartsOf(run.table);
  const std::vector<hw::AreaPart> base = run.reference->AreaPartsOf(run.table);
  std::vector<std::vector<std::string>> rows;
  for (size_t i = 0; i < found.size() && i < base.size(); ++i) {
    rows.push_back({found[i].name, Amount(found[i]), SquareMillimetres(found[i].um2()),
                    Amount(base[i]), SquareMillimetres(base[i].um2())});
  }
  page->Table({"part", "found", "mm²", "default", "mm²"}, rows);
  // The file's keys that differ.
  const hw::Result<hw::Json> ours = hw::ParseJson(run.design->ToJson(), "");
  const hw::Result<hw::Json> theirs = hw::ParseJson(run.reference->ToJson(), "");
  rows.clear();
  for (const auto& [key, value] : ours->members) {
    const hw::Json* other = theirs->Find(key);
    if (other == nullptr || value.type != hw::Json::Type::kNumber ||
        value.number == other->number) {
      continue;
    }
    rows.push_back({Escaped(key), NumberText(value.number), NumberText(other->number)});
  }
  if (rows.empty()) {
    body += "<p>Every parameter is the default's.</p>";
  } else {
    page->Table({std::string(run.family->file_name()) + ", what differs", "found", "default"},
                rows);
  }
  body += "</div></div>";
  page->End();
}

}  // namespace rhnas::search
