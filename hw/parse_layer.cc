#include "hw/parse_layer.h"

#include <algorithm>

#include "hw/layer_text.h"
#include "hw/number.h"

namespace rhnas::hw {
namespace {

constexpr int kMost = 1 << 20;  // beyond it no size means anything, and products stay in 64 bits

const char* const kKindWords[] = {"conv",        "depthwise", "dense",  "max-pool", "avg-pool",
                                  "global-pool", "add",       "concat", "shuffle"};
constexpr LayerKind kKinds[] = {LayerKind::kConv,    LayerKind::kConv,    LayerKind::kDense,
                                LayerKind::kMaxPool, LayerKind::kAvgPool, LayerKind::kGlobalAvgPool,
                                LayerKind::kAdd,     LayerKind::kConcat,  LayerKind::kShuffle};
constexpr int kDepthwise = 1;

bool Fail(std::string* why, const std::string& what) {
  if (why != nullptr) *why = what;
  return false;
}

std::vector<std::string> Words(const std::string& text, const char* apart) {
  std::vector<std::string> words;
  for (size_t at = text.find_first_not_of(apart); at != std::string::npos;) {
    const size_t end = std::min(text.find_first_of(apart, at), text.size());
    words.push_back(text.substr(at, end - at));
    at = text.find_first_not_of(apart, end);
  }
  return words;
}

bool Number(const std::string& word, int* value) {
  if (word.empty() || word.size() > 7) return false;
  int number = 0;
  for (const char c : word) {
    if (c < '0' || c > '9') return false;
    number = number * 10 + (c - '0');
  }
  *value = number;
  return number <= kMost;
}

// "3x5" to {3, 5}; an empty vector when a part is no number.
std::vector<int> Numbers(const std::string& word) {
  std::vector<int> values;
  size_t at = 0;
  for (;;) {
    const size_t end = std::min(word.find('x', at), word.size());
    int value = 0;
    if (!Number(word.substr(at, end - at), &value)) return {};
    values.push_back(value);
    if (end == word.size()) return values;
    at = end + 1;
  }
}

// What was said of a layer; -1: not said.
struct Said {
  int kind = -1, n = -1, c = -1, h = -1, w = -1, k = -1, r = -1, s = -1, stride = -1, pad = -1,
      groups = -1, relu = -1, bias = -1;
};

struct Field {
  const char* key;    // of key=value
  const char* brief;  // of the short form, null: none
  int Said::*value;
};
const Field kFields[] = {
    {"n", "n", &Said::n},           {"c", nullptr, &Said::c},       {"h", nullptr, &Said::h},
    {"w", nullptr, &Said::w},       {"k", nullptr, &Said::k},       {"r", nullptr, &Said::r},
    {"s", nullptr, &Said::s},       {"stride", "s", &Said::stride}, {"pad", "p", &Said::pad},
    {"groups", "g", &Said::groups}, {"relu", nullptr, &Said::relu}, {"bias", nullptr, &Said::bias}};

bool Say(const std::string& word, int* field, int value, std::string* why) {
  if (*field >= 0 && *field != value) {
    return Fail(why, "\"" + word + "\" says a second time what was said before, once is enough");
  }
  *field = value;
  return true;
}

bool SayKind(const std::string& word, Said* said, std::string* why) {
  for (size_t i = 0; i < std::size(kKindWords); ++i) {
    if (word == kKindWords[i]) return Say(word, &said->kind, static_cast<int>(i), why);
  }
  std::string words[std::size(kKindWords)];
  for (size_t i = 0; i < std::size(kKindWords); ++i) words[i] = kKindWords[i];
  const std::string near = Nearest(word, words, static_cast<int>(std::size(words)));
  std::string all;
  for (const std::string& known : words) all += (all.empty() ? "" : ", ") + known;
  return Fail(why, "\"" + word + "\" is no kind of layer" +
                       (near.empty() ? "" : ", did you mean \"" + near + "\"?") + " (" + all + ")");
}

bool SayKey(const std::string& word, size_t equals, Said* said, std::string* why) {
  const std::string key = word.substr(0, equals), text = word.substr(equals + 1);
  if (key == "kind") return SayKind(text, said, why);
  for (const Field& field : kFields) {
    if (key != field.key) continue;
    int value = 0;
    const bool flag = key == "relu" || key == "bias";
    if (!Number(text, &value) || (flag && value > 1)) {
      return Fail(why, "\"" + word + "\": found \"" + text + "\", expected " +
                           (flag ? "0 or 1" : "a number"));
    }
    return Say(word, &(said->*field.value), value, why);
  }
  return Fail(why, "\"" + key +
                       "\" is no property of a layer (kind, n, c, h, w, k, r, s, stride, "
                       "pad, groups, relu, bias)");
}

// One word that is neither key=value nor what follows "->".
bool SayWord(const std::string& word, Said* said, std::string* why) {
  if (word == "relu" || word == "bias") {
    return Say(word, word == "relu" ? &said->relu : &said->bias, 1, why);
  }
  if (word == "no-relu" || word == "no-bias") {
    return Say(word, word == "no-relu" ? &said->relu : &said->bias, 0, why);
  }
  const std::vector<int> shape = Numbers(word);
  if (shape.size() == 1 || shape.size() == 3) {
    const bool map = shape.size() == 3;
    return Say(word, &said->c, shape[0], why) && Say(word, &said->h, map ? shape[1] : 1, why) &&
           Say(word, &said->w, map ? shape[2] : 1, why);
  }
  if (!shape.empty()) {
    return Fail(why, "\"" + word + "\": found " + std::to_string(shape.size()) +
                         " sizes, expected CHANNELSxHEIGHTxWIDTH");
  }
  const std::vector<int> rest = Numbers(word.substr(1));
  if (!rest.empty()) {
    if (word[0] == 'k' && rest.size() <= 2) {
      return Say(word, &said->r, rest[0], why) && Say(word, &said->s, rest.back(), why);
    }
    for (const Field& field : kFields) {
      if (field.brief != nullptr && word[0] == field.brief[0] && rest.size() == 1) {
        return Say(word, &(said->*field.value), rest[0], why);
      }
    }
  }
  if (said->kind < 0) return SayKind(word, said, why);
  return Fail(why, "\"" + word +
                       "\" says nothing of a layer, expected CxHxW, -> K, kR, kRxS, sN, "
                       "pN, gN, nN, relu, no-relu, bias, no-bias or KEY=VALUE");
}

bool Complete(const Said& said, Layer* layer, std::string* why) {
  if (said.kind < 0) return Fail(why, "the kind of layer is missing: begin with conv, dense, ..");
  const auto kind = static_cast<size_t>(said.kind);
  if (said.c < 0) return Fail(why, "the input is missing: CHANNELSxHEIGHTxWIDTH, such as 64x14x14");
  const auto either = [](int value, int fallback) { return value >= 0 ? value : fallback; };
  layer->kind = kKinds[kind];
  layer->n = either(said.n, 1);
  layer->c = said.c;
  layer->h = either(said.h, 1);
  layer->w = either(said.w, said.h >= 0 ? said.h : 1);
  layer->k = either(said.k, said.c);
  layer->r = either(said.r, either(said.s, 1));
  layer->s = either(said.s, layer->r);
  layer->stride = either(said.stride, 1);
  layer->pad = either(said.pad, 0);
  layer->groups = either(said.groups, said.kind == kDepthwise ? said.c : 1);
  layer->relu = either(said.relu, 1) != 0;
  layer->bias = either(said.bias, 1) != 0;
  if (said.kind == kDepthwise && (layer->groups != layer->c || layer->k != layer->c)) {
    return Fail(why, "depthwise has as many groups and output channels as inputs: found " +
                         std::to_string(layer->groups) + " groups, " + std::to_string(layer->k) +
                         " outputs, expected " + std::to_string(layer->c));
  }
  const bool window = layer->kind == LayerKind::kConv || layer->kind == LayerKind::kMaxPool ||
                      layer->kind == LayerKind::kAvgPool;
  if (!window && (layer->r > 1 || layer->s > 1 || layer->stride > 1 || layer->pad > 0)) {
    return Fail(why, std::string(kKindWords[kind]) + " has no filter, stride or padding");
  }
  const bool weighted = layer->kind == LayerKind::kConv || layer->kind == LayerKind::kDense;
  if (!weighted && layer->k != layer->c) {
    return Fail(why, std::string(kKindWords[kind]) + " keeps its channels: found " +
                         std::to_string(layer->k) + " outputs, expected " +
                         std::to_string(layer->c));
  }
  return true;
}

}  // namespace

std::vector<std::string> LayerKindWords() {
  return std::vector<std::string>(std::begin(kKindWords), std::end(kKindWords));
}

bool ParseLayer(const std::string& text, Layer* layer, std::string* why) {
  if (ParseLayerText(text, layer, nullptr)) return true;
  Said said;
  const std::vector<std::string> words = Words(text, " \t,");
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (word.compare(0, 2, "->") == 0) {
      const std::string outputs = word.size() > 2        ? word.substr(2)
                                  : i + 1 < words.size() ? words[++i]
                                                         : "";
      int value = 0;
      if (!Number(outputs, &value)) {
        return Fail(
            why, "after \"->\": found \"" + outputs + "\", expected the number of output channels");
      }
      if (!Say("-> " + outputs, &said.k, value, why)) return false;
      continue;
    }
    const size_t equals = word.find('=');
    if (equals != std::string::npos ? !SayKey(word, equals, &said, why)
                                    : !SayWord(word, &said, why)) {
      return false;
    }
  }
  *layer = Layer();
  for (const std::string& word : words) layer->name += (layer->name.empty() ? "" : " ") + word;
  return Complete(said, layer, why);
}

bool ParseLayers(const std::string& text, std::vector<Layer>* chain, std::string* why) {
  chain->clear();
  for (size_t at = 0;;) {
    const size_t plus = text.find('+', at);
    Layer layer;
    if (!ParseLayer(text.substr(at, plus == std::string::npos ? plus : plus - at), &layer, why)) {
      return false;
    }
    layer.chained = !chain->empty();
    chain->push_back(layer);
    if (plus == std::string::npos) return true;
    at = plus + 1;
  }
}

bool ParseTiling(const std::string& text, Tiling* tiling, std::string* why) {
  Tiling parsed;
  bool seen[4] = {};  // pixels, co, ci, vt
  for (const std::string& word : Words(text, " \t")) {
    const std::vector<int> pixels = Numbers(word);
    const std::vector<int> count = Numbers(word.size() > 2 ? word.substr(2) : "");
    const std::string key = word.substr(0, 2);
    const int which = pixels.size() == 2                  ? 0
                      : count.size() != 1 || count[0] < 1 ? -1
                      : key == "co"                       ? 1
                      : key == "ci"                       ? 2
                      : key == "vt"                       ? 3
                                                          : -1;
    if (which >= 0 && seen[which]) return Fail(why, "tiling: \"" + word + "\" comes twice");
    if (which >= 0) seen[which] = true;
    if (which == 0 && pixels[0] > 0 && pixels[1] > 0) {
      parsed.th = pixels[0];
      parsed.tw = pixels[1];
    } else if (which == 1) {
      parsed.tco = count[0];
    } else if (which == 2) {
      parsed.tci = count[0];
    } else if (which == 3 && count[0] <= 2) {
      parsed.vthreads = count[0];
    } else if (word == "ws") {
      parsed.stationary = Stationary::kWeights;
    } else if (word == "is") {
      parsed.stationary = Stationary::kInputs;
    } else if (word == "alu") {
      parsed.on_alu = true;
    } else if (word == "rows") {
      parsed.split_rows = true;
    } else {
      return Fail(why, "tiling: found \"" + word +
                           "\", expected HxW, coN, ciN, vt1, vt2, ws, is, "
                           "alu or rows, as in \"7x14 co2 ci1 vt2 ws\"");
    }
  }
  if (!seen[0]) return Fail(why, "tiling: the tile's HEIGHTxWIDTH in output pixels is missing");
  *tiling = parsed;
  return true;
}

}  // namespace rhnas::hw
