#include "search/tensorboard.h"

#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>

namespace rhnas::search {

using engine::Format;
using engine::Result;
using engine::Status;

namespace {

void PutLittle(uint64_t value, int bytes, std::string* out) {
  for (int i = 0; i < bytes; ++i) *out += static_cast<char>(value >> (8 * i) & 0xff);
}

void PutVarint(uint64_t value, std::string* out) {
  for (; value >= 0x80; value >>= 7) *out += static_cast<char>((value & 0x7f) | 0x80);
  *out += static_cast<char>(value);
}

// Wire types of Protocol Buffers: 0 varint, 1 eight bytes, 2 length and bytes, 5 four bytes.
void PutKey(int field, int wire_type, std::string* out) {
  PutVarint(static_cast<uint64_t>(field << 3 | wire_type), out);
}

void PutBytes(int field, const std::string& bytes, std::string* out) {
  PutKey(field, 2, out);
  PutVarint(bytes.size(), out);
  *out += bytes;
}

void PutDouble(int field, double value, std::string* out) {
  PutKey(field, 1, out);
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof bits);
  PutLittle(bits, 8, out);
}

// A checksum that stands next to its data is masked, for CRCs of data that hold CRCs are weak
// (record_writer.cc, MaskedCrc).
uint32_t MaskedCrc(const std::string& bytes) {
  const uint32_t crc = Crc32c(bytes.data(), bytes.size());
  return (crc >> 15 | crc << 17) + 0xa282ead8U;
}

double WallTime() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::vector<std::string> Fields(const std::string& line) {
  std::vector<std::string> fields;
  size_t begin = 0;
  for (size_t end; (end = line.find(',', begin)) != std::string::npos; begin = end + 1) {
    fields.push_back(line.substr(begin, end - begin));
  }
  fields.push_back(line.substr(begin));
  return fields;
}

}  // namespace

uint32_t Crc32c(const void* data, size_t bytes) {
  uint32_t crc = 0xffffffffU;
  const unsigned char* at = static_cast<const unsigned char*>(data);
  for (size_t i = 0; i < bytes; ++i) {
    crc ^= at[i];
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82f63b78U : 0U);
  }
  return ~crc;
}

std::string EventRecord(const std::string& payload) {
  std::string length, record;
  PutLittle(payload.size(), 8, &length);
  record = length;
  PutLittle(MaskedCrc(length), 4, &record);
  record += payload;
  PutLittle(MaskedCrc(payload), 4, &record);
  return record;
}

std::string ScalarEvent(double wall_time, int64_t step, const std::vector<Scalar>& scalars) {
  std::string summary;
  for (const Scalar& scalar : scalars) {
    std::string value;
    PutBytes(1, scalar.tag, &value);
    PutKey(2, 5, &value);
    const float number = static_cast<float>(scalar.value);
    uint32_t bits = 0;
    std::memcpy(&bits, &number, sizeof bits);
    PutLittle(bits, 4, &value);
    PutBytes(1, value, &summary);
  }
  std::string event;
  PutDouble(1, wall_time, &event);
  PutKey(2, 0, &event);
  PutVarint(static_cast<uint64_t>(step), &event);
  PutBytes(5, summary, &event);
  return event;
}

Result<EventFile> EventFile::Create(const std::string& folder) {
  EventFile file;
  const double now = WallTime();
  // Files of a folder are read in the order of their names.
  const std::string base =
      Format("%s/events.out.tfevents.%010lld.rhnas", folder.c_str(), static_cast<long long>(now));
  file.path_ = base;
  std::error_code error;
  for (int n = 2; std::filesystem::exists(file.path_, error); ++n) {
    file.path_ = base + Format(".%d", n);
  }
  std::string event;
  PutDouble(1, now, &event);
  PutBytes(3, "brain.Event:2", &event);
  if (Status status = file.Append(EventRecord(event)); !status.ok()) return status;
  return file;
}

Status EventFile::AddRow(const std::string& header, const std::string& row) {
  const std::vector<std::string> names = Fields(header), values = Fields(row);
  std::vector<Scalar> scalars;
  int64_t step = 0;
  for (size_t i = 0; i < names.size() && i < values.size(); ++i) {
    char* end = nullptr;
    const double value = std::strtod(values[i].c_str(), &end);
    if (values[i].empty() || *end != '\0' || !std::isfinite(value)) continue;
    if (names[i] == "epoch") {
      step = static_cast<int64_t>(value);
    } else {
      scalars.push_back({names[i], value});
    }
  }
  return Append(EventRecord(ScalarEvent(WallTime(), step, scalars)));
}

// Appended whole and closed again, so that TensorBoard sees it and a crash leaves no open record.
Status EventFile::Append(const std::string& bytes) {
  errno = 0;
  std::FILE* file = std::fopen(path_.c_str(), "ab");
  bool written = file != nullptr;
  if (written) {
    written = std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size();
    written = std::fclose(file) == 0 && written;
  }
  if (written) return Status::Ok();
  return Status::Error("%s: cannot write: %s", path_.c_str(), std::strerror(errno));
}

}  // namespace rhnas::search
