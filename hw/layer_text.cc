#include "hw/layer_text.h"

#include <cstdint>

#include "hw/chain.h"

namespace rhnas::hw {
namespace {

constexpr const char* kKinds[] = {"conv",        "dense", "max-pool", "avg-pool",
                                  "global-pool", "add",   "concat",   "shuffle"};
constexpr int kLargestSize = 1 << 30;

class Cursor {
 public:
  explicit Cursor(const std::string& text) : text_(text) {}
  bool Take(const char* word) {
    const std::string expected(word);
    if (text_.compare(at_, expected.size(), expected) != 0) return false;
    at_ += expected.size();
    return true;
  }
  bool Number(int* value) {
    const size_t begin = at_;
    int64_t number = 0;
    while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9' && number <= kLargestSize) {
      number = number * 10 + (text_[at_++] - '0');
    }
    if (at_ == begin || number > kLargestSize) return false;
    *value = static_cast<int>(number);
    return true;
  }
  bool done() const { return at_ == text_.size(); }
  std::string rest() const { return text_.substr(at_); }

 private:
  const std::string& text_;
  size_t at_ = 0;
};

}  // namespace

std::string LayerText(const Layer& l) {
  const auto text = [](int value) { return std::to_string(value); };
  std::string word = kKinds[static_cast<size_t>(l.kind)];
  word += "-" + text(l.n) + "x" + text(l.h) + "x" + text(l.w) + "x" + text(l.c) + "-k" + text(l.k);
  word += "-" + text(l.r) + "x" + text(l.s) + "-s" + text(l.stride) + "-p" + text(l.pad);
  word += "-g" + text(l.groups);
  if (l.bias) word += "-b";
  if (l.relu) word += "-relu";
  return word;
}

std::string ChainText(const std::vector<Layer>& chain) {
  std::string text;
  for (const Layer& layer : chain) text += (text.empty() ? "" : "+") + LayerText(layer);
  return text;
}

bool ParseLayerText(const std::string& text, Layer* layer, std::string* why) {
  Cursor cursor(text);
  Layer l;
  bool found = false;
  for (size_t kind = 0; kind < sizeof kKinds / sizeof kKinds[0] && !found; ++kind) {
    found = cursor.Take(kKinds[kind]);
    if (found) l.kind = static_cast<LayerKind>(kind);
  }
  const bool sizes =
      found && cursor.Take("-") && cursor.Number(&l.n) && cursor.Take("x") && cursor.Number(&l.h) &&
      cursor.Take("x") && cursor.Number(&l.w) && cursor.Take("x") && cursor.Number(&l.c) &&
      cursor.Take("-k") && cursor.Number(&l.k) && cursor.Take("-") && cursor.Number(&l.r) &&
      cursor.Take("x") && cursor.Number(&l.s) && cursor.Take("-s") && cursor.Number(&l.stride) &&
      cursor.Take("-p") && cursor.Number(&l.pad) && cursor.Take("-g") && cursor.Number(&l.groups);
  if (sizes) {
    l.bias = cursor.Take("-b");
    l.relu = cursor.Take("-relu");
  }
  if (!sizes || !cursor.done()) {
    if (why != nullptr) {
      *why = "found \"" + cursor.rest() + "\" in the layer \"" + text +
             "\", expected the form KIND-NxHxWxC-kK-RxS-sSTRIDE-pPAD-gGROUPS[-b][-relu]";
    }
    return false;
  }
  l.name = text;
  *layer = l;
  return true;
}

bool ParseChainText(const std::string& text, std::vector<Layer>* chain, std::string* why) {
  chain->clear();
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end =
        text.find('+', begin) == std::string::npos ? text.size() : text.find('+', begin);
    Layer layer;
    if (!ParseLayerText(text.substr(begin, end - begin), &layer, why)) return false;
    layer.chained = !chain->empty();
    chain->push_back(layer);
    begin = end + 1;
  }
  if (static_cast<int>(chain->size()) <= kMostChained) return true;
  if (why != nullptr) {
    *why = "a chain of " + std::to_string(chain->size()) + " layers, expected at most " +
           std::to_string(kMostChained);
  }
  return false;
}

}  // namespace rhnas::hw
