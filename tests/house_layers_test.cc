// The picture of the folders stays true: includes run one way only. Reads the sources of the clone
// it is started in (the repository root); skips elsewhere.

#include <dirent.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace {

const std::map<std::string, std::set<std::string>> kMayInclude = {
    {"engine", {"engine"}},
    {"nn", {"nn", "engine"}},
    {"hw", {"hw"}},
    {"rl", {"rl", "engine"}},
    {"search", {"search", "nn", "hw", "rl", "engine"}},
};

std::vector<std::string> SourcesIn(const std::string& folder) {
  std::vector<std::string> files;
  DIR* dir = opendir(folder.c_str());
  if (dir == nullptr) return files;
  while (const dirent* entry = readdir(dir)) {
    const std::string name = entry->d_name;
    const size_t dot = name.rfind('.');
    const std::string ending = dot == std::string::npos ? "" : name.substr(dot);
    if (ending == ".h" || ending == ".cc" || ending == ".inl") files.push_back(folder + "/" + name);
  }
  closedir(dir);
  return files;
}

// Rooms that a file includes: the first part of each #include "room/...".
std::vector<std::string> Includes(const std::string& file) {
  std::vector<std::string> result;
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    const std::string start = "#include \"";
    if (line.compare(0, start.size(), start) != 0) continue;
    const size_t end = line.find('"', start.size());
    result.push_back(line.substr(start.size(), end - start.size()));
  }
  return result;
}

TEST(HouseLayers, IncludesRunOneWay) {
  for (const auto& [room, allowed] : kMayInclude) {
    std::vector<std::string> files = SourcesIn(room);
    for (const std::string& file : SourcesIn(room + "/simd")) files.push_back(file);
    if (files.empty())
      GTEST_SKIP() << "no folder " << room << " here: start the tests in the repository root";
    for (const std::string& file : files) {
      for (const std::string& include : Includes(file)) {
        const size_t slash = include.find('/');
        ASSERT_NE(slash, std::string::npos)
            << file << " includes \"" << include << "\": write it from the repository root";
        const std::string target = include.substr(0, slash);
        EXPECT_TRUE(allowed.count(target)) << file << " includes " << include << ", but " << room
                                           << "/ may not know " << target << "/";
      }
    }
  }
}

}  // namespace
