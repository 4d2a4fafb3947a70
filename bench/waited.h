// How long this process's threads have been kept from a processor: what tells a clean sample on a
// shared machine.
#pragma once

#include <dirent.h>

#include <cstdio>
#include <string>

namespace rhnas::bench {

// A sample is clean when its threads waited for less than this share of it.
constexpr double kCleanShare = 0.03;

// Seconds that all threads have waited in the run queue so far (Linux schedstat; 0 elsewhere).
inline double WaitedSeconds() {
  DIR* folder = opendir("/proc/self/task");
  if (folder == nullptr) return 0;
  double total = 0;
  while (const dirent* entry = readdir(folder)) {
    if (entry->d_name[0] == '.') continue;
    const std::string path = std::string("/proc/self/task/") + entry->d_name + "/schedstat";
    std::FILE* file = std::fopen(path.c_str(), "r");
    if (file == nullptr) continue;
    double ran = 0, waited = 0;
    if (std::fscanf(file, "%lf %lf", &ran, &waited) == 2) total += waited * 1e-9;
    std::fclose(file);
  }
  closedir(folder);
  return total;
}

}  // namespace rhnas::bench
