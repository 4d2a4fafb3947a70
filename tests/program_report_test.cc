// Reports as a reader gets them: well-formed pages without a network address, whose numbers are
// those of result.json, and which a browser shows without a complaint.

#include <map>
#include <set>

#include "tests/program_cli.h"

namespace rhnas {
namespace {

class SlowReport : public Cli {};

struct Element {
  std::string name, text;  // text: directly inside
  std::map<std::string, std::string> attributes;
};

std::string Unescaped(std::string text) {
  for (const auto& [entity, c] :
       {std::pair("&lt;", "<"), std::pair("&gt;", ">"), std::pair("&quot;", "\""),
        std::pair("&#10;", "\n"), std::pair("&amp;", "&")}) {
    for (size_t at = 0; (at = text.find(entity, at)) != std::string::npos; ++at) {
      text.replace(at, std::string(entity).size(), c);
    }
  }
  return text;
}

// Every element of a well-formed page; a failure, and what was read so far, of another.
std::vector<Element> ParsePage(const std::string& page) {
  std::vector<Element> elements;
  std::vector<size_t> open;
  size_t at = page.find("<html");
  EXPECT_NE(at, std::string::npos);
  while (at < page.size()) {
    const size_t tag = page.find('<', at);
    if (tag == std::string::npos) break;
    if (!open.empty()) elements[open.back()].text += page.substr(at, tag - at);
    const size_t end = page.find('>', tag);
    if (end == std::string::npos) {
      ADD_FAILURE() << "a tag without an end: " << page.substr(tag, 80);
      break;
    }
    at = end + 1;
    std::string inside = page.substr(tag + 1, end - tag - 1);
    if (inside[0] == '/') {
      if (open.empty() || elements[open.back()].name != inside.substr(1)) {
        ADD_FAILURE() << "</" << inside.substr(1) << "> closes "
                      << (open.empty() ? "nothing" : elements[open.back()].name) << " before "
                      << page.substr(at, 80);
        break;
      }
      open.pop_back();
      continue;
    }
    const bool closed = inside.back() == '/';
    if (closed) inside.pop_back();
    Element element;
    element.name = inside.substr(0, inside.find(' '));
    size_t from = element.name.size();
    while (from < inside.size()) {
      const size_t equals = inside.find("=\"", from);
      if (equals == std::string::npos) break;
      const size_t stop = inside.find('"', equals + 2);
      if (stop == std::string::npos) {
        ADD_FAILURE() << "an attribute without an end: " << inside;
        return elements;
      }
      const std::string name = inside.substr(from + 1, equals - from - 1);
      EXPECT_EQ(name.find_first_of(" <>&\"'"), std::string::npos) << inside;
      EXPECT_TRUE(
          element.attributes.emplace(name, inside.substr(equals + 2, stop - equals - 2)).second)
          << "twice: " << name << " in " << inside;
      from = stop + 1;
    }
    EXPECT_EQ(inside.find_first_not_of(" ", from), std::string::npos) << inside;
    elements.push_back(element);
    if (!closed) open.push_back(elements.size() - 1);
  }
  EXPECT_TRUE(open.empty()) << "not closed: " << elements[open.empty() ? 0 : open.back()].name;
  return elements;
}

// All that holds for any page of one run.
std::vector<Element> CheckPage(const std::string& folder, size_t least_numbers) {
  const std::string page = ReadAll(folder + "/report.html");
  EXPECT_EQ(page.compare(0, 15, "<!DOCTYPE html>"), 0) << page.substr(0, 100);
  for (const char* address : {"http", "//cdn", "@import", "url(", "nan", "inf\"", "NaN"}) {
    EXPECT_EQ(page.find(address), std::string::npos)
        << address << ": " << page.substr(page.find(address), 80);
  }
  // Entities are the five of XML alone.
  for (size_t at = 0; (at = page.find('&', at)) != std::string::npos; ++at) {
    const std::string entity = page.substr(at, page.find(';', at) - at + 1);
    EXPECT_EQ(std::set<std::string>({"&amp;", "&lt;", "&gt;", "&quot;", "&#10;"}).count(entity), 1u)
        << entity.substr(0, 60);
  }
  const std::vector<Element> elements = ParsePage(page);
  const hw::Json result = ParseOrFail(ReadAll(folder + "/result.json"));
  size_t numbers = 0;
  std::set<std::string> ids;
  for (const Element& e : elements) {
    if (const auto id = e.attributes.find("id"); id != e.attributes.end()) {
      EXPECT_TRUE(ids.insert(id->second).second) << "twice: " << id->second;
    }
    if (e.name == "svg" && e.attributes.count("role") != 0) {
      EXPECT_FALSE(e.attributes.at("aria-label").empty());
    }
    if (e.name == "a") {
      const std::string link = Unescaped(e.attributes.at("href"));
      EXPECT_TRUE(link[0] == '#' || fs::exists(folder + "/" + link)) << link;
    }
    if (e.name != "data") continue;
    ++numbers;
    const hw::Json* value = &result;
    std::istringstream keys(e.attributes.at("data-key"));
    for (std::string key; std::getline(keys, key, '.');) {
      value = value->Find(key);
      if (value == nullptr) break;
    }
    if (value == nullptr) {
      ADD_FAILURE() << e.attributes.at("data-key") << " is not in result.json";
      continue;
    }
    EXPECT_EQ(std::strtod(e.attributes.at("value").c_str(), nullptr), value->number)
        << e.attributes.at("data-key");
    EXPECT_FALSE(e.text.empty());
  }
  EXPECT_GE(numbers, least_numbers);
  for (const auto& entry : fs::directory_iterator(folder + "/report")) {
    if (entry.path().extension() != ".json") continue;
    ParseOrFail(ReadAll(entry.path().string()));
    EXPECT_TRUE(fs::exists(fs::path(entry.path()).replace_extension(".csv")));
  }
  return elements;
}

size_t Count(const std::vector<Element>& elements, const char* name) {
  size_t count = 0;
  for (const Element& e : elements) count += e.name == name;
  return count;
}

TEST_F(Cli, ReportOfASearchInAFolderWithAHostileName) {
  const std::string name = "r<b>&\"x'";
  const Outcome outcome = Run(TinySearch(name));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const std::vector<Element> page = CheckPage(dir_ + "/" + name, 12);
  EXPECT_EQ(Count(page, "b") + Count(page, "script"), Count(page, "b") + 1);
  EXPECT_GE(Count(page, "figure"), 8u);
  for (const char* file : {"designs", "epochs", "arch", "log", "layers", "area", "proposals"}) {
    EXPECT_TRUE(fs::exists(dir_ + "/" + name + "/report/" + file + ".csv")) << file;
  }
  // Proposals by rule sum to those of the result.
  const hw::Json result = ParseOrFail(ReadAll(dir_ + "/" + name + "/result.json"));
  std::istringstream csv(ReadAll(dir_ + "/" + name + "/proposals.csv"));
  std::string line;
  std::getline(csv, line);
  std::vector<std::string> columns;
  std::istringstream head(line);
  for (std::string column; std::getline(head, column, ',');) columns.push_back(column);
  std::vector<double> sums(columns.size(), 0);
  while (std::getline(csv, line)) {
    std::istringstream fields(line);
    std::string field;
    for (size_t i = 0; std::getline(fields, field, ','); ++i) sums[i] += std::stod(field);
  }
  const hw::Json* by_rule = result.Find("proposals")->Find("by_rule");
  for (size_t i = 4; i < columns.size(); ++i) {
    EXPECT_EQ(sums[i], NumberAt(*by_rule, columns[i])) << columns[i];
  }
  EXPECT_EQ(sums[2], NumberAt(*result.Find("proposals"), "valid"));
  // Made anew it is the same page.
  const std::string before = ReadAll(dir_ + "/" + name + "/report.html");
  ASSERT_EQ(Run({"report", name}).code, 0);
  EXPECT_EQ(ReadAll(dir_ + "/" + name + "/report.html"), before);
}

TEST_F(Cli, ReportsOfTheOtherCommandsAndSideBySide) {
  ASSERT_EQ(Run({"hw", "--network", "tiny:k5_e1,k5_e3,skip,k3_e3,skip,skip", "--agent", "random",
                 "--evaluations", "20", "--out", "hw"})
                .code,
            0);
  ASSERT_EQ(Run({"train", "--network", "tiny:skip,skip,skip,k3_e3,skip,skip", "--train-size", "200",
                 "--test-size", "50", "--epochs", "2", "--batch", "20", "--out", "train"})
                .code,
            0);
  ASSERT_EQ(Run({"compare", "--problem", "tiny", "--methods", "random,nsga2", "--seeds", "2",
                 "--budget", "40", "--out", "compare"})
                .code,
            0);
  EXPECT_GE(Count(CheckPage(dir_ + "/hw", 9), "figure"), 6u);
  EXPECT_GE(Count(CheckPage(dir_ + "/train", 4), "figure"), 3u);
  EXPECT_GE(Count(CheckPage(dir_ + "/compare", 3), "figure"), 2u);
  const Outcome both = Run({"report", "hw", "train/", "compare", "--out", "all.html", "--json"});
  ASSERT_EQ(both.code, 0) << both.err;
  const hw::Json json = ParseOrFail(both.out);
  EXPECT_EQ(json.Find("page")->string, "all.html");
  for (const hw::Json& path : json.Find("data")->items) {
    EXPECT_TRUE(fs::exists(dir_ + "/" + path.string)) << path.string;
  }
  ParsePage(ReadAll(dir_ + "/all.html"));
}

TEST_F(Cli, ReportRefusesWhatIsNoRun) {
  fs::create_directory(dir_ + "/empty");
  fs::create_directory(dir_ + "/broken");
  fs::create_directory(dir_ + "/run");
  std::ofstream(dir_ + "/broken/config.json") << "{";
  std::ofstream(dir_ + "/run/config.json")
      << "{\"command\": \"train\", \"settings\": {\"a\": \"<&\"}}";
  std::ofstream(dir_ + "/mine.html") << "<p>a page of somebody's</p>";
  const std::vector<std::pair<std::vector<std::string>, int>> cases = {
      {{"report"}, 2},
      {{"report", "missing"}, 1},
      {{"report", "empty"}, 1},
      {{"report", "broken"}, 1},
      {{"report", "run", "--out", "mine.html"}, 1},
      {{"report", "run", "--out", "empty"}, 1}};
  for (const auto& [words, code] : cases) {
    const Outcome outcome = Run(words);
    EXPECT_EQ(outcome.code, code) << words.back() << outcome.err;
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
  }
  EXPECT_EQ(ReadAll(dir_ + "/mine.html"), "<p>a page of somebody's</p>");
  // A run that has nothing yet but its settings.
  ASSERT_EQ(Run({"report", "run"}).code, 0);
  const std::string page = ReadAll(dir_ + "/run/report.html");
  EXPECT_NE(page.find("Not finished"), std::string::npos);
  EXPECT_NE(page.find("&lt;&amp;"), std::string::npos);
  ParsePage(page);
}

TEST_F(Cli, ReportOfAStoppedSearch) {
  const pid_t pid =
      Start(With(TinySearch("run"), {"--warmup-epochs", "2", "--final-epochs", "400"}));
  ASSERT_TRUE(WaitForLines(pid, dir_ + "/run/log.csv", 6));
  kill(pid, SIGINT);
  ASSERT_EQ(Wait(pid).code, 130);
  const Outcome outcome = Run({"report", "run"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const std::string page = ReadAll(dir_ + "/run/report.html");
  EXPECT_NE(page.find("Not finished"), std::string::npos);
  EXPECT_NE(page.find("rhnas search --resume run"), std::string::npos);
  EXPECT_GE(Count(ParsePage(page), "figure"), 7u) << "all that is known is drawn";
}

// In a browser: no complaint, no scroll bar at a phone's width, another theme at a click, a text at
// a hover and at an arrow key.
TEST_F(SlowReport, ABrowserShowsIt) {
  if (std::system("command -v chromium >/dev/null 2>&1") != 0) {
    GTEST_SKIP() << "no chromium in the path";
  }
  ASSERT_EQ(Run(TinySearch("run")).code, 0);
  std::string page = ReadAll(dir_ + "/run/report.html");
  const std::string probe = R"(<script>window.onload=function(){
var d=document,s=[d.documentElement.scrollWidth-innerWidth],before=getComputedStyle(d.body).backgroundColor;
d.getElementById("theme").click();s.push(before==getComputedStyle(d.body).backgroundColor?0:1);
var m=d.querySelector("rect[data-t]");m.dispatchEvent(new PointerEvent("pointermove",{bubbles:true,clientX:5,clientY:5}));
var t=d.getElementById("tip");s.push(getComputedStyle(t).visibility=="visible"?1:0,t.textContent==m.dataset.t?1:0);
var v=d.querySelectorAll("svg[tabindex]")[1];v.focus();v.dispatchEvent(new KeyboardEvent("keydown",{bubbles:true,key:"ArrowRight"}));
s.push(t.textContent==v.querySelector("[data-t]").dataset.t?1:0);
d.title="PROBE "+s.join(" ")}</script></body>)";
  page.replace(page.rfind("</body>"), 7, probe);
  std::ofstream(dir_ + "/probe.html") << page;
  for (const char* size : {"390,800", "1280,900"}) {
    const std::string command =
        "cd '" + dir_ +
        "' && timeout 120 chromium --headless --no-sandbox --disable-gpu "
        "--disable-quic --no-first-run --disable-background-networking --disable-component-update "
        "--disable-sync --user-data-dir='" +
        dir_ +
        "/profile' --enable-logging=stderr "
        "--virtual-time-budget=4000 --window-size=" +
        size +
        " --dump-dom probe.html >dom.txt "
        "2>console.txt";
    ASSERT_EQ(std::system(command.c_str()), 0) << ReadAll(dir_ + "/console.txt");
    const std::string dom = ReadAll(dir_ + "/dom.txt"), console = ReadAll(dir_ + "/console.txt");
    EXPECT_EQ(console.find("CONSOLE"), std::string::npos) << console;
    const size_t at = dom.find("<title>PROBE ");
    ASSERT_NE(at, std::string::npos) << dom.substr(0, 400) << console;
    std::istringstream probed(dom.substr(at + 13, 40));
    int beyond = 99, other = 0, shown = 0, text = 0, key = 0;
    probed >> beyond >> other >> shown >> text >> key;
    EXPECT_LE(beyond, 0) << "wider than the window at " << size;
    EXPECT_EQ(other + shown + text + key, 4) << dom.substr(at, 60);
  }
}

}  // namespace
}  // namespace rhnas
