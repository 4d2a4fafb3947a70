#include "search/run_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "engine/archive.h"

namespace rhnas::search {

using engine::Result;
using engine::Status;
namespace fs = std::filesystem;

RunFolder::~RunFolder() {
  if (lock_ >= 0) close(lock_);
}

RunFolder::RunFolder(RunFolder&& other) noexcept { *this = std::move(other); }

RunFolder& RunFolder::operator=(RunFolder&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(fresh_, other.fresh_);
  std::swap(made_, other.made_);
  std::swap(lock_, other.lock_);
  return *this;
}

Status RunFolder::Lock() {
  lock_ = open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (lock_ < 0) {
    return Status::Error("%s: cannot open the run folder: %s", path_.c_str(), std::strerror(errno));
  }
  // Some network file systems cannot lock; only a lock that another process holds is an error.
  if (flock(lock_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    return Status::Error("%s: another run is writing in this folder, give another --out",
                         path_.c_str());
  }
  return Status::Ok();
}

Status RunFolder::TryWriting() const {
  // One page reaches the disk: a full disk, a quota or a size limit shows here, not after hours.
  constexpr size_t kProbeBytes = 4096;
  const std::string probe = File(".probe");
  const std::string bytes(kProbeBytes, 'x');
  Status status = engine::WriteFileAtomically(probe, bytes);
  std::error_code ignored;
  fs::remove(probe, ignored);
  if (status.ok()) return status;
  return Status::Error("%s: cannot write in the run folder (%s); give another --out", path_.c_str(),
                       status.message().c_str());
}

Result<RunFolder> RunFolder::Create(const std::string& path) {
  RunFolder folder;
  folder.path_ = path;
  while (folder.path_.size() > 1 && folder.path_.back() == '/') folder.path_.pop_back();
  if (folder.path_.empty()) return Status::Error("--out: the folder's name is empty");

  folder.fresh_ = true;
  std::error_code error;
  const fs::path target(folder.path_);
  if (fs::exists(target, error)) {
    if (!fs::is_directory(target, error)) {
      return Status::Error("%s: is a file, expected a folder or a free name; give another --out",
                           folder.path_.c_str());
    }
    const bool empty = fs::is_empty(target, error);
    if (error) {
      return Status::Error("%s: cannot read the folder: %s", folder.path_.c_str(),
                           error.message().c_str());
    }
    if (!empty) {
      return Status::Error(
          "%s: is not empty; go on with its run by --resume %s, or give another --out",
          folder.path_.c_str(), folder.path_.c_str());
    }
  } else {
    for (fs::path part = target; !part.empty() && !fs::exists(part, error);
         part = part.parent_path()) {
      folder.made_.insert(folder.made_.begin(), part.string());
    }
    error.clear();
    fs::create_directories(target, error);
    if (error) {
      const std::string message = error.message();
      folder.Discard();
      return Status::Error("%s: cannot make the run folder: %s; give another --out",
                           folder.path_.c_str(), message.c_str());
    }
  }
  Status status = folder.Lock();
  if (status.ok()) status = folder.TryWriting();
  if (!status.ok()) {
    folder.Discard();
    return status;
  }
  return folder;
}

Result<RunFolder> RunFolder::Open(const std::string& path) {
  RunFolder folder;
  folder.path_ = path;
  while (folder.path_.size() > 1 && folder.path_.back() == '/') folder.path_.pop_back();
  std::error_code error;
  if (!fs::is_directory(fs::path(folder.path_), error)) {
    return Status::Error("%s: no such run folder to resume", path.c_str());
  }
  if (!folder.Has(kConfig)) {
    return Status::Error("%s: holds no config.json, so it is not a run folder", path.c_str());
  }
  if (!folder.Has(kCheckpoint) && !folder.Has(std::string(kCheckpoint) + ".prev")) {
    return Status::Error("%s: holds no checkpoint to go on from; start the run again with --out",
                         path.c_str());
  }
  if (Status status = folder.Lock(); !status.ok()) return status;
  if (Status status = folder.TryWriting(); !status.ok()) return status;
  return folder;
}

std::string RunFolder::FirstFree(const std::string& base) {
  std::error_code error;
  std::string path = base;
  for (int i = 2; fs::exists(fs::path(path), error); ++i) path = base + "-" + std::to_string(i);
  return path;
}

bool RunFolder::Has(const std::string& name) const {
  std::error_code error;
  return fs::exists(fs::path(File(name)), error);
}

Status RunFolder::Write(const std::string& name, const std::string& text) const {
  return engine::WriteFileAtomically(File(name), text);
}

Status RunFolder::RequireSpace(uint64_t bytes) const {
  std::error_code error;
  const fs::space_info space = fs::space(fs::path(path_), error);
  // A file system that does not tell is not a reason to stop.
  if (error || space.available >= bytes) return Status::Ok();
  constexpr double kMegabyte = 1e6;
  return Status::Error(
      "%s: the disk has %.1f MB left, this run needs %.1f MB; free some or give another --out",
      path_.c_str(), static_cast<double>(space.available) / kMegabyte,
      static_cast<double>(bytes) / kMegabyte);
}

uint64_t RunFolder::FileSize(const std::string& name) const {
  std::error_code error;
  const uintmax_t size = fs::file_size(fs::path(File(name)), error);
  return error ? 0 : static_cast<uint64_t>(size);
}

void RunFolder::Discard() {
  if (!fresh_) return;
  std::error_code ignored;
  const std::string checkpoint = kCheckpoint;
  for (const std::string& name :
       {std::string(kConfig), std::string(kLog), checkpoint, checkpoint + ".prev",
        std::string(kEnergyTable), std::string(kFixedHardware), std::string(kHwSpace),
        std::string(".probe")}) {
    fs::remove(fs::path(File(name)), ignored);
  }
  // remove() leaves a folder that is not empty alone.
  for (size_t i = made_.size(); i > 0; --i) fs::remove(fs::path(made_[i - 1]), ignored);
  made_.clear();
  fresh_ = false;
}

}  // namespace rhnas::search
