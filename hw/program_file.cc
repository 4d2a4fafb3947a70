#include "hw/program_file.h"

#include <algorithm>
#include <cstring>

#include "hw/fnv.h"
#include "hw/json.h"
#include "hw/layer_text.h"
#include "hw/validity.h"

namespace rhnas::hw {
namespace {

constexpr char kMagic[] = "RHNASVTA";
constexpr uint32_t kVersion = 1;
constexpr size_t kHeader = 96, kChecksumAt = 88, kRegionsAt = 48;
constexpr uint64_t kMostText = 1 << 20;
const char* const kMemoryNames[] = {"uop", "wgt", "inp", "acc", "out"};

void Put(uint64_t value, int bytes, std::string* out) {
  for (int i = 0; i < bytes; ++i) out->push_back(static_cast<char>(value >> (8 * i) & 255));
}

uint64_t Get(const std::string& bytes, size_t at, int count) {
  uint64_t value = 0;
  for (int i = count - 1; i >= 0; --i) {
    value = value << 8 | static_cast<unsigned char>(bytes[at + static_cast<size_t>(i)]);
  }
  return value;
}

uint64_t Checksum(const std::string& bytes) {
  Fnv fnv;
  fnv.AddBytes(bytes.data(), kChecksumAt);
  fnv.AddBytes(bytes.data() + kChecksumAt + 8, bytes.size() - kChecksumAt - 8);
  return fnv.value();
}

std::string Describe(const ProgramFile& file) {
  JsonWriter json;
  json.BeginObject();
  json.Key("title").String(file.program.title);
  json.Key("layers").String(file.layers.empty() ? "" : ChainText(file.layers));
  json.Key("tiling").String(file.tiling);
  json.Key("shift").Int(file.shift);
  json.Key("tensors").BeginArray();
  for (const DramTensor& tensor : file.program.tensors) {
    json.BeginObject();
    json.Key("name").String(tensor.name);
    json.Key("memory").String(kMemoryNames[static_cast<size_t>(tensor.memory)]);
    json.Key("offset").Int(tensor.offset);
    json.Key("elements").Int(tensor.elements);
    json.Key("layout").String(tensor.layout);
    json.EndObject();
  }
  json.EndArray();
  json.EndObject();
  return json.text() + "\n";
}

// Reads one file; the first thing wrong ends it.
class Reader {
 public:
  Reader(const std::string& bytes, const std::string& path) : bytes_(bytes), path_(path) {}

  Result<ProgramFile> Run() {
    if (!Header() || !Texts() || !Code()) return Error{error_};
    return std::move(file_);
  }

 private:
  bool Fail(size_t offset, const std::string& what) {
    error_ = path_ + ": offset " + std::to_string(offset) + ": " + what;
    return false;
  }

  bool Header() {
    if (bytes_.size() < kHeader || bytes_.compare(0, 8, kMagic) != 0) {
      if (bytes_.compare(0, std::min<size_t>(bytes_.size(), 8), kMagic, 0,
                         std::min<size_t>(bytes_.size(), 8)) != 0) {
        return Fail(0, "not a program file: it does not begin with RHNASVTA");
      }
      return Fail(bytes_.size(), "the file ends within its header, found " +
                                     std::to_string(bytes_.size()) +
                                     " bytes, expected at least 96: it was cut short");
    }
    const uint64_t version = Get(bytes_, 8, 4);
    if (version != kVersion) {
      return Fail(8, "found version " + std::to_string(version) + ", expected " +
                         std::to_string(kVersion) + ": written by another release of rhnas");
    }
    config_bytes_ = Get(bytes_, 16, 4);
    info_bytes_ = Get(bytes_, 20, 4);
    instructions_ = Get(bytes_, 24, 8);
    uops_ = Get(bytes_, 32, 8);
    uop_bytes_ = Get(bytes_, 40, 4);
    const uint64_t most = bytes_.size();
    if (config_bytes_ > kMostText || info_bytes_ > kMostText ||
        instructions_ > (uint64_t{1} << 40) || uops_ > (uint64_t{1} << 40) ||
        (uop_bytes_ != 4 && uop_bytes_ != 8)) {
      return Fail(16, "the sizes in the header are impossible: the file is damaged");
    }
    code_at_ = (kHeader + config_bytes_ + info_bytes_ + 15) / 16 * 16;
    const uint64_t need = code_at_ + 16 * instructions_ + uop_bytes_ * uops_;
    if (need != most) {
      return Fail(bytes_.size(), "found " + std::to_string(most) + " bytes, expected " +
                                     std::to_string(need) +
                                     (most < need ? ": it was cut short" : ": it is too long"));
    }
    if (Checksum(bytes_) != Get(bytes_, kChecksumAt, 8)) {
      return Fail(kChecksumAt, "the checksum does not match: the file is damaged, write it again");
    }
    const uint64_t isa = Get(bytes_, 12, 4);
    if (isa > 1) {
      return Fail(12, "found instruction set " + std::to_string(isa) +
                          ", expected 0 (stock) or 1 (extended)");
    }
    file_.program.isa = static_cast<Isa>(isa);
    if (Get(bytes_, 44, 4) != 0) return Fail(44, "found something, expected 0");
    return true;
  }

  bool Texts() {
    Program& program = file_.program;
    const Result<Config> config =
        ParseConfig(bytes_.substr(kHeader, config_bytes_), path_ + " (configuration)");
    if (!config.ok()) {
      error_ = config.error();
      return false;
    }
    program.config = *config;
    const Verdict verdict = Check(program.config);
    if (!verdict.ok) {
      return Fail(kHeader, "the configuration cannot be built: " + verdict.ToString());
    }
    if (uop_bytes_ != static_cast<uint64_t>(ElementBytes(program.config, MemoryId::kUop))) {
      return Fail(40, "found micro-ops of " + std::to_string(uop_bytes_) +
                          " bytes, the configuration's have " +
                          std::to_string(ElementBytes(program.config, MemoryId::kUop)));
    }
    for (size_t i = 0; i < 5; ++i) {
      const MemoryId memory = static_cast<MemoryId>(i);
      const uint64_t elements = Get(bytes_, kRegionsAt + 8 * i, 8);
      const auto most =
          static_cast<uint64_t>(kMostRegionBytes / ElementBytes(program.config, memory));
      const bool uops = memory == MemoryId::kUop;
      if (uops ? elements != uops_ : elements > most) {
        return Fail(kRegionsAt + 8 * i, std::string("region ") + kMemoryNames[i] + ": found " +
                                            std::to_string(elements) + " elements, expected " +
                                            (uops ? "" : "at most ") +
                                            std::to_string(uops ? uops_ : most));
      }
      program.elements[i] = static_cast<int64_t>(elements);
    }
    const Result<Json> info =
        ParseJson(bytes_.substr(kHeader + config_bytes_, info_bytes_), path_ + " (description)");
    if (!info.ok()) {
      error_ = info.error();
      return false;
    }
    return Description(*info);
  }

  bool Description(const Json& info) {
    const size_t at = kHeader + config_bytes_;
    std::string layers;
    int64_t shift = 0;
    if (!Text(info, "title", &file_.program.title) || !Text(info, "layers", &layers) ||
        !Text(info, "tiling", &file_.tiling) || !Int(info, "shift", 31, &shift)) {
      return false;
    }
    file_.shift = static_cast<int>(shift);
    std::string why;
    if (!layers.empty() && !ParseChainText(layers, &file_.layers, &why)) {
      return Fail(at, "layers: " + why);
    }
    for (size_t i = 1; i < file_.layers.size(); ++i) file_.layers[i].chained = true;
    const Json* tensors = info.Find("tensors");
    if (tensors == nullptr || tensors->type != Json::Type::kArray) {
      return Fail(at, "the description lacks the list \"tensors\"");
    }
    for (const Json& item : tensors->items) {
      DramTensor tensor;
      std::string memory;
      if (!Text(item, "name", &tensor.name) || !Text(item, "memory", &memory) ||
          !Text(item, "layout", &tensor.layout) ||
          !Int(item, "offset", kMostRegionBytes, &tensor.offset) ||
          !Int(item, "elements", kMostRegionBytes, &tensor.elements)) {
        return false;
      }
      size_t which = 0;
      while (which < 5 && memory != kMemoryNames[which]) ++which;
      if (which == 5) {
        return Fail(at, "tensor \"" + tensor.name + "\" lies in \"" + memory +
                            "\", expected uop, wgt, inp, acc or out");
      }
      tensor.memory = static_cast<MemoryId>(which);
      if (tensor.offset + tensor.elements > file_.program.elements[which]) {
        return Fail(at, "tensor \"" + tensor.name + "\": need " +
                            std::to_string(tensor.offset + tensor.elements) +
                            " elements of region " + memory + ", have " +
                            std::to_string(file_.program.elements[which]));
      }
      file_.program.tensors.push_back(tensor);
    }
    return true;
  }

  bool Text(const Json& object, const char* key, std::string* text) {
    const Json* value = object.Find(key);
    if (value == nullptr || value->type != Json::Type::kString) {
      return Fail(kHeader + config_bytes_,
                  std::string("the description lacks the text \"") + key + "\"");
    }
    *text = value->string;
    return true;
  }

  bool Int(const Json& object, const char* key, int64_t most, int64_t* number) {
    const Json* value = object.Find(key);
    if (value == nullptr || !value->integer || value->integer_value < 0 ||
        value->integer_value > most) {
      return Fail(kHeader + config_bytes_, std::string("the description lacks the number \"") +
                                               key + "\" between 0 and " + std::to_string(most));
    }
    *number = value->integer_value;
    return true;
  }

  bool Code() {
    Program& program = file_.program;
    const Encoding encoding(program.config, program.isa);
    size_t at = static_cast<size_t>(code_at_);
    std::string why;
    program.instructions.resize(static_cast<size_t>(instructions_));
    for (Instruction& instruction : program.instructions) {
      const Word128 word{Get(bytes_, at, 8), Get(bytes_, at + 8, 8)};
      if (!Decode(encoding, word, &instruction, &why)) {
        return Fail(at, "illegal instruction " +
                            std::to_string(&instruction - program.instructions.data()) + ": " +
                            why);
      }
      at += 16;
    }
    program.uops.resize(static_cast<size_t>(uops_));
    for (MicroOp& uop : program.uops) {
      const uint64_t word = Get(bytes_, at, static_cast<int>(uop_bytes_));
      uop = DecodeMicroOp(encoding, word);
      uint64_t back = 0;
      if (!EncodeMicroOp(encoding, uop, &back, &why) || back != word) {
        return Fail(at, "illegal micro-op " + std::to_string(&uop - program.uops.data()) +
                            ": bits are set that belong to no field");
      }
      at += static_cast<size_t>(uop_bytes_);
    }
    return true;
  }

  const std::string& bytes_;
  const std::string& path_;
  uint64_t config_bytes_ = 0, info_bytes_ = 0, instructions_ = 0, uops_ = 0, uop_bytes_ = 4;
  uint64_t code_at_ = 0;
  std::string error_;
  ProgramFile file_;
};

bool EncodeAll(const Program& program, std::vector<Word128>* words, std::vector<uint64_t>* uops,
               std::string* why) {
  const Encoding encoding(program.config, program.isa);
  std::string reason;
  for (size_t i = 0; i < program.instructions.size(); ++i) {
    Word128 word;
    if (!Encode(encoding, program.instructions[i], &word, &reason)) {
      if (why != nullptr) *why = "instruction " + std::to_string(i) + ": " + reason;
      return false;
    }
    words->push_back(word);
  }
  for (size_t i = 0; i < program.uops.size(); ++i) {
    uint64_t word = 0;
    if (!EncodeMicroOp(encoding, program.uops[i], &word, &reason)) {
      if (why != nullptr) *why = "micro-op " + std::to_string(i) + ": " + reason;
      return false;
    }
    uops->push_back(word);
  }
  return true;
}

void PutHex(uint64_t value, int digits, std::string* out) {
  for (int i = digits - 1; i >= 0; --i) out->push_back("0123456789abcdef"[value >> (4 * i) & 15]);
}

// The next word of hex digits on the line; false: none, or too long.
bool TakeHex(const std::string& text, size_t* at, size_t end, size_t most, uint64_t* value) {
  while (*at < end && (text[*at] == ' ' || text[*at] == '\t')) ++*at;
  size_t digits = 0;
  *value = 0;
  for (; *at < end; ++*at, ++digits) {
    const char c = text[*at];
    const int digit = c >= '0' && c <= '9'   ? c - '0'
                      : c >= 'a' && c <= 'f' ? c - 'a' + 10
                      : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                             : -1;
    if (digit < 0) break;
    *value = *value << 4 | static_cast<uint64_t>(digit);
  }
  return digits > 0 && digits <= most;
}

}  // namespace

bool FitsMemory(const Program& program, std::string* why) {
  for (size_t i = 1; i < 5; ++i) {
    const int64_t most = kMostRegionBytes / ElementBytes(program.config, static_cast<MemoryId>(i));
    if (program.elements[i] <= most) continue;
    if (why != nullptr) {
      *why = std::string("region ") + kMemoryNames[i] + ": need " +
             std::to_string(program.elements[i]) + " elements, have at most " +
             std::to_string(most) + " (256 MiB)";
    }
    return false;
  }
  return true;
}

bool EncodeProgramFile(const ProgramFile& file, std::string* bytes, std::string* why) {
  const Program& program = file.program;
  if (!FitsMemory(program, why)) return false;
  std::vector<Word128> words;
  std::vector<uint64_t> uops;
  if (!EncodeAll(program, &words, &uops, why)) return false;
  const std::string config = ToJson(program.config), info = Describe(file);
  const int uop_bytes = static_cast<int>(ElementBytes(program.config, MemoryId::kUop));
  std::string out = kMagic;
  Put(kVersion, 4, &out);
  Put(static_cast<uint64_t>(program.isa), 4, &out);
  Put(config.size(), 4, &out);
  Put(info.size(), 4, &out);
  Put(words.size(), 8, &out);
  Put(uops.size(), 8, &out);
  Put(static_cast<uint64_t>(uop_bytes), 4, &out);
  Put(0, 4, &out);
  for (size_t i = 0; i < 5; ++i) {
    Put(i == 0 ? uops.size() : static_cast<uint64_t>(program.elements[i]), 8, &out);
  }
  Put(0, 8, &out);
  out += config + info;
  out.resize((out.size() + 15) / 16 * 16);
  for (const Word128& word : words) {
    Put(word.low, 8, &out);
    Put(word.high, 8, &out);
  }
  for (const uint64_t uop : uops) Put(uop, uop_bytes, &out);
  std::string checksum;
  Put(Checksum(out), 8, &checksum);
  out.replace(kChecksumAt, 8, checksum);
  *bytes = std::move(out);
  return true;
}

Result<ProgramFile> DecodeProgramFile(const std::string& bytes, const std::string& path) {
  return Reader(bytes, path).Run();
}

bool EncodeHex(const Program& program, std::string* instructions, std::string* uops,
               std::string* why) {
  std::vector<Word128> words;
  std::vector<uint64_t> uop_words;
  if (!EncodeAll(program, &words, &uop_words, why)) return false;
  instructions->clear();
  uops->clear();
  for (const Word128& word : words) {
    PutHex(word.high, 16, instructions);
    instructions->push_back(' ');
    PutHex(word.low, 16, instructions);
    instructions->push_back('\n');
  }
  for (const uint64_t word : uop_words) {
    PutHex(word, program.config.uop_bits() / 4, uops);
    uops->push_back('\n');
  }
  return true;
}

Result<Program> DecodeHex(const std::string& instructions, const std::string& uops,
                          const Config& config, Isa isa, const std::string& path) {
  Program program;
  program.config = config;
  program.isa = isa;
  const Encoding encoding(config, isa);
  for (const bool code : {true, false}) {
    const std::string& text = code ? instructions : uops;
    int line = 0;
    for (size_t at = 0; at < text.size();) {
      ++line;
      const size_t begin = at, end = std::min(text.find('\n', at), text.size());
      const size_t digits = code ? 16 : static_cast<size_t>(config.uop_bits() / 4);
      Word128 word;
      const bool read = code ? TakeHex(text, &at, end, digits, &word.high) &&
                                   TakeHex(text, &at, end, digits, &word.low)
                             : TakeHex(text, &at, end, digits, &word.low);
      while (at < end && (text[at] == ' ' || text[at] == '\t' || text[at] == '\r')) ++at;
      const std::string where =
          path + (code ? "" : " (micro-ops)") + ":" + std::to_string(line) + ": ";
      if (!read || at != end) {
        return Error{where + "found \"" + text.substr(begin, std::min<size_t>(end - begin, 40)) +
                     "\", expected " +
                     (code ? "the high and the low word of an instruction, 16 hex digits each"
                           : "a micro-op of " + std::to_string(digits) + " hex digits")};
      }
      at = end + 1;
      if (!code) {
        program.uops.push_back(DecodeMicroOp(encoding, word.low));
        continue;
      }
      std::string why;
      Instruction in;
      if (!Decode(encoding, word, &in, &why)) return Error{where + "illegal instruction: " + why};
      program.instructions.push_back(in);
      if ((in.op == Opcode::kLoad || in.op == Opcode::kStore) && in.x_size > 0 && in.y_size > 0) {
        int64_t& region = program.region(in.memory);
        region = std::max(region, in.dram + int64_t{in.y_size - 1} * in.x_stride + in.x_size);
        if (region * ElementBytes(config, in.memory) > kMostRegionBytes) {
          return Error{where + "an address beyond 256 MiB of its region"};
        }
      }
    }
  }
  program.region(MemoryId::kUop) = static_cast<int64_t>(program.uops.size());
  program.title = path;
  return program;
}

}  // namespace rhnas::hw
