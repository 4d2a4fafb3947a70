#include "hw/layer_table.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "hw/chain.h"
#include "hw/layer_table_format.h"
#include "hw/layer_text.h"

namespace rhnas::hw {

using namespace table_format;

namespace table_format {

void StoreEntry(const TableEntry& entry, unsigned char* p) {
  static_assert(sizeof(double) == sizeof(uint64_t), "energies are IEEE 754 doubles");
  uint64_t energy = 0;
  std::memcpy(&energy, &entry.energy_pj, sizeof energy);
  Store64(p, static_cast<uint64_t>(entry.latency_cycles));
  Store64(p + 8, energy);
  Store64(p + 16, static_cast<uint64_t>(entry.dram_bytes));
  Store64(p + 24, entry.tiling_code);
}

TableEntry LoadEntry(const unsigned char* p) {
  TableEntry entry;
  const uint64_t energy = Load64(p + 8);
  entry.latency_cycles = static_cast<int64_t>(Load64(p));
  std::memcpy(&entry.energy_pj, &energy, sizeof energy);
  entry.dram_bytes = static_cast<int64_t>(Load64(p + 16));
  entry.tiling_code = Load64(p + 24);
  return entry;
}

namespace {

uint64_t SumWords(const unsigned char* p, size_t words, uint64_t sum) {
  for (size_t i = 0; i < words; ++i) {
    sum = (sum ^ Load64(p + 8 * i)) * 1099511628211ull;  // FNV-1a's prime
    sum ^= sum >> 32;
  }
  return sum;
}

void AppendText(const std::string& text, std::string* bytes) {
  unsigned char size[4];
  Store32(size, static_cast<uint32_t>(text.size()));
  bytes->append(reinterpret_cast<const char*>(size), sizeof size);
  *bytes += text;
}

uint64_t Padded(uint64_t bytes) { return (bytes + 63) / 64 * 64; }

// For looking up only, never written: a multiply a number.
uint64_t ItemKey(const Layer* layers, int count) {
  uint64_t key = 14695981039346656037ull;
  const auto add = [&key](int low, int high) {
    key =
        (key ^ (static_cast<uint32_t>(low) | static_cast<uint64_t>(high) << 32)) * 1099511628211ull;
    key ^= key >> 29;
  };
  for (int i = 0; i < count; ++i) {
    const Layer& l = layers[i];
    add(l.h, l.w);
    add(l.c, l.k);
    add(l.r, l.s);
    add(l.stride, l.pad);
    add(l.groups, l.n);
    add(static_cast<int>(l.kind), (l.bias ? 1 : 0) + (l.relu ? 2 : 0));
  }
  return key;
}

}  // namespace

uint64_t RowSum(const unsigned char* record, const unsigned char* entries, size_t items) {
  uint64_t sum = SumWords(record + kKeyAt, 1, 14695981039346656037ull);
  sum = SumWords(record + kPointAt, (kRowBytes - kPointAt) / 8, sum);
  sum = SumWords(entries, items * kEntryBytes / 8, sum);
  return sum == 0 ? 1 : sum;
}

uint64_t HeadSum(const unsigned char* head, size_t bytes) {
  const unsigned char none[8] = {};
  Fnv fnv;
  fnv.AddBytes(head, kHeadSumAt);
  fnv.AddBytes(none, sizeof none);
  fnv.AddBytes(head + kHeadSumAt + sizeof none, bytes - kHeadSumAt - sizeof none);
  return fnv.value();
}

std::string HeadBytes(const TableHead& head) {
  std::string text;
  for (const std::string* part :
       {&head.accelerator, &head.space, &head.space_text, &head.networks}) {
    AppendText(*part, &text);
  }
  for (const std::vector<Layer>& item : head.items) AppendText(ChainText(item), &text);
  const uint64_t rows_at = Padded(kFixedBytes + text.size());
  const uint64_t entries_at = rows_at + head.configurations.size() * kRowBytes;

  std::string bytes(static_cast<size_t>(entries_at), '\0');
  unsigned char* p = reinterpret_cast<unsigned char*>(&bytes[0]);
  std::memcpy(p, kMagic, kMagicBytes);
  Store32(p + kVersionAt, kLayerTableVersion);
  Store32(p + kEntryBytesAt, kEntryBytes);
  Store64(p + kFileBytesAt, FileBytes(head, bytes.size()));
  Store64(p + kModelAt, head.model);
  Store64(p + kPricesAt, head.prices);
  Store32(p + kItemsAt, static_cast<uint32_t>(head.items.size()));
  Store32(p + kRowsAt, static_cast<uint32_t>(head.configurations.size()));
  Store32(p + kFlagsAt, head.given ? kGivenFlag : 0);
  Store32(p + kTextBytesAt, static_cast<uint32_t>(text.size()));
  Store64(p + kRowsOffsetAt, rows_at);
  Store64(p + kEntriesOffsetAt, entries_at);
  std::memcpy(p + kFixedBytes, text.data(), text.size());
  for (size_t row = 0; row < head.configurations.size(); ++row) {
    const TableConfiguration& configuration = head.configurations[row];
    unsigned char* record = p + rows_at + row * kRowBytes;
    Store64(record + kKeyAt, configuration.key);
    Store64(record + kPointAt, static_cast<uint64_t>(configuration.point));
    std::memcpy(record + kNameAt, configuration.name.data(),
                std::min(configuration.name.size(), kLongestName));
  }
  // The rows' checksums change while a table is built: they vouch for themselves.
  Store64(p + kHeadSumAt, HeadSum(p, static_cast<size_t>(rows_at)));
  return bytes;
}

}  // namespace table_format

uint64_t PackTiling(const Tiling& t) {
  if (t.th < 1 || t.tw < 1 || t.tco < 1 || t.tci < 1 || t.th > 4095 || t.tw > 4095 ||
      t.tco > 65535 || t.tci > 65535) {
    return 0;
  }
  const auto bits = [](int value, int shift) { return static_cast<uint64_t>(value) << shift; };
  return bits(t.th, 0) | bits(t.tw, 12) | bits(t.tco, 24) | bits(t.tci, 40) |
         bits(t.vthreads > 1 ? 1 : 0, 56) | bits(static_cast<int>(t.stationary), 57) |
         bits(t.on_alu ? 1 : 0, 59) | bits(t.split_rows ? 1 : 0, 60);
}

Tiling UnpackTiling(uint64_t code) {
  const auto field = [code](int shift, int width) {
    return static_cast<int>(code >> shift & ((uint64_t{1} << width) - 1));
  };
  Tiling t;
  t.th = field(0, 12);
  t.tw = field(12, 12);
  t.tco = field(24, 16);
  t.tci = field(40, 16);
  t.vthreads = 1 + field(56, 1);
  t.stationary = static_cast<Stationary>(std::min(field(57, 2), 2));
  t.on_alu = field(59, 1) != 0;
  t.split_rows = field(60, 1) != 0;
  return t;
}

uint64_t PricesFingerprint(const CostTable& table) {
  Fnv fnv;
  for (const TableRow& row : table.rows()) {
    fnv.AddText(row.name);
    uint64_t bits = 0;
    std::memcpy(&bits, &row.value, sizeof bits);
    fnv.Add(static_cast<int64_t>(bits));
  }
  return fnv.value();
}

uint64_t ModelFingerprint(const Accelerator& family) {
  Layer dense;
  dense.h = dense.w = 28;
  dense.c = dense.k = 64;
  dense.r = dense.s = 3;
  dense.pad = 1;
  Layer pointwise = dense;
  pointwise.r = pointwise.s = 1;
  pointwise.pad = 0;
  pointwise.k = 144;
  Layer depthwise = dense;
  depthwise.groups = depthwise.c;
  depthwise.stride = 2;
  Layer add = pointwise;
  add.kind = LayerKind::kAdd;
  add.k = add.c;
  Layer pool = dense;
  pool.kind = LayerKind::kMaxPool;
  pool.stride = 2;
  // An expansion and the depthwise convolution that it fills.
  Layer chain[2] = {pointwise, depthwise};
  chain[1].h = chain[1].w = pointwise.h;
  chain[1].c = chain[1].k = chain[1].groups = pointwise.k;
  chain[1].chained = true;
  Fnv fnv;
  for (const std::string& name : family.PresetNames()) {
    const Result<DesignPtr> design = family.Find(name);
    if (!design.ok()) continue;
    const std::unique_ptr<DesignModel> model = (*design)->Model(DefaultCostTable());
    for (const Layer* layer : {&dense, &pointwise, &depthwise, &add, &pool, &chain[0]}) {
      const int count = layer == &chain[0] ? 2 : 1;
      const std::optional<LayerCost> cost =
          model->EvaluateChain(layer, count, std::numeric_limits<int64_t>::max());
      fnv.Add(cost ? cost->latency_cycles : 0);
      fnv.Add(cost ? cost->dram_bytes : 0);
      // Whole picojoules: the last bits of a logarithm differ between C libraries.
      fnv.Add(cost ? std::llround(cost->energy_pj) : 0);
    }
  }
  return fnv.value();
}

TableEntry LayerTable::Row::operator[](size_t item) const {
  return LoadEntry(entries_ + item * kEntryBytes);
}

Result<LayerTable> LayerTable::Open(const std::string& path) {
  Result<MappedFile> file = MappedFile::Open(path);
  if (!file.ok()) return Error{file.error()};
  return FromFile(std::move(*file), path);
}

Result<LayerTable> LayerTable::FromFile(MappedFile file, const std::string& path) {
  const unsigned char* p = file.data();
  const uint64_t size = file.size();
  const auto damaged = [&path](const std::string& what) {
    return Error{path + ": " + what + "; build it again with rhnas table build"};
  };
  if (size < kMagicBytes || std::memcmp(p, kMagic, kMagicBytes) != 0) {
    return Error{path + ": is not a layer table: it does not begin with \"" + kMagic + "\""};
  }
  if (size < kFixedBytes) return damaged("is cut short: found " + std::to_string(size) + " bytes");
  const uint32_t version = Load32(p + kVersionAt);
  if (version != kLayerTableVersion) {
    return damaged("is a layer table of version " + std::to_string(version) + ", expected " +
                   std::to_string(kLayerTableVersion));
  }
  const uint64_t expected = Load64(p + kFileBytesAt), rows_at = Load64(p + kRowsOffsetAt);
  const uint64_t entries_at = Load64(p + kEntriesOffsetAt);
  const uint64_t items = Load32(p + kItemsAt), rows = Load32(p + kRowsAt);
  const uint64_t text_bytes = Load32(p + kTextBytesAt);
  if (size != expected) {
    return damaged("is cut short or has grown: found " + std::to_string(size) +
                   " bytes, expected " + std::to_string(expected));
  }
  if (rows_at > size || text_bytes > rows_at || rows_at != Padded(kFixedBytes + text_bytes) ||
      HeadSum(p, static_cast<size_t>(rows_at)) != Load64(p + kHeadSumAt)) {
    return damaged("is damaged: its head does not match its checksum");
  }
  // What a wrong writer could still have got wrong.
  if (Load32(p + kEntryBytesAt) != kEntryBytes || entries_at != rows_at + rows * kRowBytes ||
      entries_at > size || (size - entries_at) % kEntryBytes != 0 ||
      (size - entries_at) / kEntryBytes != items * rows) {
    return damaged("is damaged: its sizes contradict each other");
  }
  LayerTable table;
  TableHead& head = table.head_;
  uint64_t at = kFixedBytes;
  bool sound = true;
  const auto text = [&] {
    const uint64_t end = kFixedBytes + text_bytes;
    if (at + 4 > end || at + 4 + Load32(p + at) > end) {
      sound = false;
      return std::string();
    }
    const uint32_t length = Load32(p + at);
    const std::string part(reinterpret_cast<const char*>(p + at + 4), length);
    at += 4 + length;
    return part;
  };
  head.accelerator = text();
  head.space = text();
  head.space_text = text();
  head.networks = text();
  head.model = Load64(p + kModelAt);
  head.prices = Load64(p + kPricesAt);
  head.given = (Load32(p + kFlagsAt) & kGivenFlag) != 0;
  for (uint64_t i = 0; i < items && sound; ++i) {
    std::vector<Layer> chain;
    sound = ParseChainText(text(), &chain, nullptr) && sound;
    head.items.push_back(chain);
    table.by_item_.emplace_back(ItemKey(chain.data(), static_cast<int>(chain.size())),
                                static_cast<int>(i));
  }
  if (!sound) return damaged("is damaged: its texts run out");
  head.configurations.resize(static_cast<size_t>(rows));
  for (size_t row = 0; row < rows; ++row) {
    const unsigned char* record = p + rows_at + row * kRowBytes;
    TableConfiguration& configuration = head.configurations[row];
    configuration.key = Load64(record + kKeyAt);
    configuration.point = static_cast<int64_t>(Load64(record + kPointAt));
    const char* name = reinterpret_cast<const char*>(record + kNameAt);
    configuration.name.assign(name, std::find(name, name + kNameBytes, '\0'));
    table.by_key_.emplace_back(configuration.key, static_cast<int>(row));
  }
  std::sort(table.by_item_.begin(), table.by_item_.end());
  std::sort(table.by_key_.begin(), table.by_key_.end());
  table.rows_at_ = static_cast<size_t>(rows_at);
  table.entries_at_ = static_cast<size_t>(entries_at);
  table.path_ = path;
  table.file_ = std::move(file);
  return table;
}

const unsigned char* LayerTable::RowRecord(size_t row) const {
  return file_.data() + rows_at_ + row * kRowBytes;
}

uint64_t LayerTable::checksum() const {
  Fnv fnv;
  fnv.Add(static_cast<int64_t>(Load64(file_.data() + kHeadSumAt)));
  for (size_t row = 0; row < rows(); ++row) {
    fnv.Add(static_cast<int64_t>(Load64(RowRecord(row) + kRowSumAt)));
  }
  return fnv.value();
}

int LayerTable::FindItem(const Layer* layers, int count) const {
  const uint64_t key = ItemKey(layers, count);
  for (auto at = std::lower_bound(by_item_.begin(), by_item_.end(), std::make_pair(key, 0));
       at != by_item_.end() && at->first == key; ++at) {
    const std::vector<Layer>& item = head_.items[static_cast<size_t>(at->second)];
    if (item.size() == static_cast<size_t>(count) &&
        std::equal(item.begin(), item.end(), layers, SameShape)) {
      return at->second;
    }
  }
  return -1;
}

int64_t LayerTable::FindRow(uint64_t key) const {
  const auto at = std::lower_bound(by_key_.begin(), by_key_.end(), std::make_pair(key, 0));
  return at != by_key_.end() && at->first == key ? at->second : -1;
}

bool LayerTable::CheckRow(size_t row, std::string* why) const {
  const unsigned char* record = RowRecord(row);
  const unsigned char* entries = file_.data() + entries_at_ + row * items() * kEntryBytes;
  const uint64_t sum = Load64(record + kRowSumAt);
  if (sum == RowSum(record, entries, items())) return true;
  if (why != nullptr) {
    *why = path_ + ": the row of configuration " + head_.configurations[row].name +
           (sum == 0 ? " was not written" : " does not match its checksum") +
           "; build the table again with rhnas table build";
  }
  return false;
}

LayerTable::Row LayerTable::At(size_t row) const {
  return Row(file_.data() + entries_at_ + row * items() * kEntryBytes);
}

}  // namespace rhnas::hw
