// log.csv of a run folder (search/run_folder.h).
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "engine/archive.h"
#include "search/run_folder.h"

namespace rhnas::search {

using engine::Result;
using engine::Status;

namespace {

// "epoch,phase," of a row.
std::string RowName(const std::string& row) {
  const size_t first = row.find(',');
  if (first == std::string::npos) return row;
  const size_t second = row.find(',', first + 1);
  return row.substr(0, second == std::string::npos ? row.size() : second + 1);
}

}  // namespace

Result<RunLog> RunLog::Open(const std::string& path, const std::string& header) {
  RunLog log;
  log.path_ = path;
  log.header_ = header;
  std::error_code error;
  if (std::filesystem::exists(std::filesystem::path(path), error)) {
    Result<std::string> text = engine::ReadFile(path);
    if (!text.ok()) return text.status();
    size_t begin = 0;
    for (bool first = true;; first = false) {
      const size_t end = text->find('\n', begin);
      if (end == std::string::npos) break;
      const std::string line = text->substr(begin, end - begin);
      begin = end + 1;
      if (first && line != header) {
        return Status::Error("%s:1: expected the columns \"%s\", found \"%s\"", path.c_str(),
                             header.c_str(), line.c_str());
      }
      if (!first) log.rows_.push_back(line);
    }
  }
  if (Status status = log.Rewrite(); !status.ok()) return status;
  return log;
}

Status RunLog::Rewrite() const {
  std::string text = header_ + "\n";
  for (const std::string& row : rows_) text += row + "\n";
  return engine::WriteFileAtomically(path_, text);
}

Status RunLog::MirrorToTensorBoard() {
  namespace fs = std::filesystem;
  const fs::path folder = fs::path(path_).parent_path();
  bool has_events = false;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    has_events |= at->path().filename().string().rfind("events.out.tfevents.", 0) == 0;
  }
  Result<EventFile> events = EventFile::Create(folder.string());
  if (!events.ok()) return events.status();
  events_ = std::move(*events);
  Status status;
  for (size_t i = 0; !has_events && status.ok() && i < rows_.size(); ++i) {
    status = events_->AddRow(header_, rows_[i]);
  }
  return status;
}

Status RunLog::Add(const std::string& row) {
  const Status written = Write(row);
  if (!events_) return written;
  const Status event = events_->AddRow(header_, row);
  return written.ok() ? event : written;
}

Status RunLog::Write(const std::string& row) {
  const std::string name = RowName(row);
  for (size_t i = 0; i < rows_.size(); ++i) {
    if (RowName(rows_[i]) != name) continue;
    rows_.resize(i);
    rows_.push_back(row);
    return Rewrite();
  }
  rows_.push_back(row);
  // Appended, so that others can follow the file as it grows.
  errno = 0;
  std::FILE* file = std::fopen(path_.c_str(), "ab");
  bool written = file != nullptr;
  if (written) {
    const std::string line = row + "\n";
    written = std::fwrite(line.data(), 1, line.size(), file) == line.size();
    written = std::fclose(file) == 0 && written;
  }
  if (written) return Status::Ok();
  return Status::Error("%s: cannot write: %s", path_.c_str(), std::strerror(errno));
}

}  // namespace rhnas::search
