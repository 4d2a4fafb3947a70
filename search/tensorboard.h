// Event files that TensorBoard shows, written as a run goes on: the numbers of log.csv as scalars.
//
// A file is TFRecords (TensorFlow, tensorflow/core/lib/io/record_writer.cc): length u64, masked
// CRC-32C of the length u32, bytes, masked CRC-32C of the bytes u32, all little-endian. Each record
// is an Event in Protocol Buffers' wire form (tensorflow/core/util/event.proto and
// framework/summary.proto): wall_time = 1 (double), step = 2 (int64), file_version = 3 (string,
// "brain.Event:2", first record only), summary = 5 {value = 1 {tag = 1, simple_value = 2 (float)}}.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/status.h"

namespace rhnas::search {

// CRC-32C (Castagnoli, reflected polynomial 0x82F63B78): 0xE3069283 for "123456789".
uint32_t Crc32c(const void* data, size_t bytes);

// One TFRecord around `payload`; one Event. For tests and for other writers.
std::string EventRecord(const std::string& payload);
struct Scalar {
  std::string tag;
  double value = 0;
};
std::string ScalarEvent(double wall_time, int64_t step, const std::vector<Scalar>& scalars);

// Not for several threads.
class EventFile {
 public:
  // Starts a new file in `folder`, events.out.tfevents.SECONDS.rhnas[.N], as every process of a
  // resumed run does: TensorBoard reads them as one run.
  static engine::Result<EventFile> Create(const std::string& folder);
  // A row of a CSV log: each column that is a number is a scalar of its name;
  // the column "epoch" is the step.
  engine::Status AddRow(const std::string& header, const std::string& row);
  const std::string& path() const { return path_; }

 private:
  engine::Status Append(const std::string& bytes);
  std::string path_;
};

}  // namespace rhnas::search
