// The folder a run leaves: config.json (every setting), log.csv (a row an epoch), checkpoint,
// result.json, vta_config.json, network.txt, and copies of the files that its settings name. What
// can be wrong with it (not writable, not empty, disk full, in use) is found before the work
// starts.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/status.h"
#include "search/flags.h"
#include "search/tensorboard.h"

namespace rhnas::search {

class RunFolder {
 public:
  static constexpr char kConfig[] = "config.json";
  static constexpr char kLog[] = "log.csv";
  static constexpr char kResult[] = "result.json";
  static constexpr char kHardware[] = "vta_config.json";
  static constexpr char kNetwork[] = "network.txt";
  static constexpr char kCheckpoint[] = "checkpoint";
  // Copies of the files that settings name: those may be edited or moved, a run may not change.
  static constexpr char kEnergyTable[] = "energy_table.csv";
  static constexpr char kFixedHardware[] = "hw_config.json";
  static constexpr char kHwSpace[] = "hw_space.txt";

  RunFolder() = default;
  ~RunFolder();
  RunFolder(RunFolder&& other) noexcept;
  RunFolder& operator=(RunFolder&& other) noexcept;

  // Makes a new folder with its parents, or takes an empty one; tries to write in it.
  static engine::Result<RunFolder> Create(const std::string& path);
  // Opens the folder of a run for going on; it must hold config.json and a checkpoint.
  static engine::Result<RunFolder> Open(const std::string& path);
  // The first of `base`, `base`-2, `base`-3, .. that does not exist.
  static std::string FirstFree(const std::string& base);

  const std::string& path() const { return path_; }
  std::string File(const std::string& name) const { return path_ + "/" + name; }
  bool Has(const std::string& name) const;
  engine::Status Write(const std::string& name, const std::string& text) const;
  // An error when the disk has fewer bytes left.
  engine::Status RequireSpace(uint64_t bytes) const;
  uint64_t FileSize(const std::string& name) const;  // 0: none
  // After a start that failed: removes the run's files and the folders that Create made. Does
  // nothing to a folder that Open opened.
  void Discard();

 private:
  engine::Status Lock();
  engine::Status TryWriting() const;
  std::string path_;
  bool fresh_ = false;             // Create found it empty
  std::vector<std::string> made_;  // folders that Create made, innermost last
  int lock_ = -1;                  // open while this process owns the folder
};

// log.csv: kept in step with the checkpoint. A row's first two fields (epoch, phase) name it; when
// a resumed run writes a row that is already there, that one and all behind it are replaced.
class RunLog {
 public:
  // Reads what is there; a last line without its end (a crash) is dropped.
  static engine::Result<RunLog> Open(const std::string& path, const std::string& header);
  // From here on every row goes into an event file beside the log as well (search/tensorboard.h);
  // where the folder has none yet, the rows so far too.
  engine::Status MirrorToTensorBoard();
  engine::Status Add(const std::string& row);
  const std::vector<std::string>& rows() const { return rows_; }

 private:
  engine::Status Rewrite() const;
  engine::Status Write(const std::string& row);
  std::string path_, header_;
  std::optional<EventFile> events_;
  std::vector<std::string> rows_;
};

// config.json of a run: version, commit, command, command line, seed, and all stored flags.
std::string ConfigText(const FlagSet& flags, const std::string& command,
                       const std::vector<std::string>& command_line, uint64_t seed);
// Sets the flags as config.json says. A fixed flag that was given on this command line with another
// value is an error, a usage one (*misuse); *warning tells when another version wrote the file.
engine::Status ApplyConfig(const std::string& text, const std::string& path,
                           const std::string& command, FlagSet* flags, std::string* warning,
                           bool* misuse);

// Opens a run to go on with it: its folder, and the flags as its config.json says.
engine::Result<RunFolder> OpenRun(const std::string& path, const std::string& command,
                                  FlagSet* flags, std::string* warning, bool* misuse);

}  // namespace rhnas::search
