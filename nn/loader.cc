// The loader: one batch ahead on its own thread. See data.h.
//
// Two buffers take turns: the caller reads one while the thread fills the other, and Next hands the
// first back. All that a batch holds follows from (seed, epoch, position), through streams split
// from the seed, so nothing of the loader but its position needs saving.
#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <numeric>
#include <thread>
#include <utility>

#include "engine/check.h"
#include "engine/math.h"
#include "engine/random.h"
#include "nn/data.h"

namespace rhnas::nn {

namespace {

using engine::Rng;

// Streams under the seed: the order of an epoch, the augmentation of an image, the mix of a batch.
enum Stream : uint64_t { kOrder = 1, kAugment = 2, kMix = 3 };

struct Buffers {
  std::vector<float> images;
  std::vector<int32_t> labels, mixed_labels;
  float mix = 1;
};

// Beta(a, a) for 0 < a <= 1, by Johnk's rejection (Devroye, "Non-uniform random variate
// generation", 1986, section IX.3.5), in logarithms: u^(1/a) may be too small for a float.
float DrawBeta(float a, Rng rng) {
  for (;;) {
    const auto log_open = [&rng] {  // of a uniform number that is not 0
      return engine::Log((static_cast<float>(rng.NextU32() >> 8) + 0.5f) * 0x1p-24f);
    };
    const float x = log_open() / a, y = log_open() / a;
    if (engine::Exp(x) + engine::Exp(y) > 1) continue;
    const float smaller = engine::Exp(-(x < y ? y - x : x - y));
    return x < y ? smaller / (1 + smaller) : 1 / (1 + smaller);
  }
}

// Each image with the one at the mirrored place of the batch.
void Mix(int64_t count, int64_t floats, Buffers* out) {
  const float mix = out->mix, rest = 1 - mix;
  for (int64_t i = 0; i < count / 2; ++i) {
    float* a = out->images.data() + i * floats;
    float* b = out->images.data() + (count - 1 - i) * floats;
    for (int64_t j = 0; j < floats; ++j) {
      const float first = a[j], second = b[j];
      a[j] = mix * first + rest * second;
      b[j] = mix * second + rest * first;
    }
  }
  out->mixed_labels.assign(out->labels.rbegin(), out->labels.rend());
}

}  // namespace

struct Loader::Impl {
  Impl(const DataSet& d, const std::vector<float>& m, const std::vector<float>& s, Options o);

  int batches_per_epoch() const {
    const size_t batch = static_cast<size_t>(options.batch);
    const size_t n = options.indices.size();
    return static_cast<int>(options.drop_last ? n / batch : (n + batch - 1) / batch);
  }
  void Fill(int64_t position, Buffers* out);
  void FillImage(Rng rng, float* out);
  void Work();

  const DataSet& data;
  Options options;
  // Normalised value of each byte of each channel.
  std::vector<float> table;
  // The thread's own.
  std::vector<int> order;
  int64_t order_epoch = -1;
  std::vector<uint8_t> pixels;

  std::mutex mutex;
  std::condition_variable wake, filled;
  Buffers buffers[2];
  int64_t wanted = -1;  // position to fill next into buffers[wanted % 2]; -1: nothing to do
  int64_t ready = -1;   // position that was filled last
  bool busy = false, stop = false;
  int64_t next = 0;  // position that Next hands out
  std::thread thread;
};

Loader::Impl::Impl(const DataSet& d, const std::vector<float>& m, const std::vector<float>& s,
                   Options o)
    : data(d), options(std::move(o)) {
  const auto channels = static_cast<size_t>(data.channels());
  RHNAS_CHECK(m.size() == channels && s.size() == channels,
              "%zu means and %zu deviations for %zu channels", m.size(), s.size(), channels);
  RHNAS_CHECK(options.batch > 0, "batches of %d", options.batch);
  RHNAS_CHECK(batches_per_epoch() > 0, "%zu images do not fill a batch of %d",
              options.indices.size(), options.batch);
  const Augmentation& a = options.augmentation;
  RHNAS_CHECK(a.pad_crop >= 0 && a.cutout >= 0, "padding %d, cutout %d", a.pad_crop, a.cutout);
  RHNAS_CHECK(a.mixup >= 0 && a.mixup <= 1, "mixup of %g", double{a.mixup});
  for (int index : options.indices) {
    RHNAS_CHECK(index >= 0 && index < data.size(), "image %d of %d", index, data.size());
  }
  table.resize(256 * channels);
  for (size_t byte = 0; byte < 256; ++byte) {
    for (size_t c = 0; c < channels; ++c) {
      table[byte * channels + c] = (static_cast<float>(byte) / 255 - m[c]) / s[c];
    }
  }
  pixels.resize(static_cast<size_t>(data.height() * data.width() * data.channels()));
}

// Crop from the zero-padded image, mirror, cut out, normalise. Padding is black before
// normalising; the cut-out square is 0 after it, the mean colour (DeVries and Taylor 2017).
void Loader::Impl::FillImage(Rng rng, float* out) {
  const int h = data.height(), w = data.width(), c = data.channels();
  const Augmentation& a = options.augmentation;
  int dy = 0, dx = 0;
  bool mirrored = false;
  if (a.pad_crop > 0) {
    const auto choices = static_cast<uint32_t>(2 * a.pad_crop + 1);
    dy = static_cast<int>(rng.Below(choices)) - a.pad_crop;
    dx = static_cast<int>(rng.Below(choices)) - a.pad_crop;
  }
  if (a.flip) mirrored = rng.Below(2) == 1;
  for (int y = 0; y < h; ++y) {
    for (int x = 0; x < w; ++x, out += c) {
      const int from_y = y + dy, from_x = (mirrored ? w - 1 - x : x) + dx;
      const bool inside = from_y >= 0 && from_y < h && from_x >= 0 && from_x < w;
      const uint8_t* in = inside ? pixels.data() + (from_y * w + from_x) * c : nullptr;
      for (int i = 0; i < c; ++i) out[i] = table[static_cast<size_t>((inside ? in[i] : 0) * c + i)];
    }
  }
  if (a.cutout > 0) {
    out -= static_cast<ptrdiff_t>(h) * w * c;
    const int top = static_cast<int>(rng.Below(static_cast<uint32_t>(h))) - a.cutout / 2;
    const int left = static_cast<int>(rng.Below(static_cast<uint32_t>(w))) - a.cutout / 2;
    for (int y = std::max(top, 0); y < std::min(top + a.cutout, h); ++y) {
      const int begin = std::max(left, 0), end = std::min(left + a.cutout, w);
      std::fill(out + (y * w + begin) * c, out + (y * w + end) * c, 0.0f);
    }
  }
}

void Loader::Impl::Fill(int64_t position, Buffers* out) {
  const int64_t epoch = position / batches_per_epoch();
  const int64_t begin = position % batches_per_epoch() * options.batch;
  const int64_t size = static_cast<int64_t>(options.indices.size());
  const int count = static_cast<int>(std::min<int64_t>(options.batch, size - begin));
  const Rng rng = Rng(options.seed).Split(static_cast<uint64_t>(epoch));
  if (order_epoch != epoch) {
    order.resize(options.indices.size());
    std::iota(order.begin(), order.end(), 0);
    if (options.shuffle) rng.Split(kOrder).Permutation(static_cast<int>(size), order.data());
    order_epoch = epoch;
  }
  const size_t floats = pixels.size();
  out->images.resize(static_cast<size_t>(count) * floats);
  out->labels.resize(static_cast<size_t>(count));
  const Rng augment = rng.Split(kAugment);
  for (int i = 0; i < count; ++i) {
    const int64_t place = begin + i;
    const int index = options.indices[static_cast<size_t>(order[static_cast<size_t>(place)])];
    out->labels[static_cast<size_t>(i)] = data.Get(index, pixels.data());
    FillImage(augment.Split(static_cast<uint64_t>(place)),
              out->images.data() + static_cast<size_t>(i) * floats);
  }
  if (options.augmentation.mixup > 0) {
    out->mix =
        DrawBeta(options.augmentation.mixup, rng.Split(kMix).Split(static_cast<uint64_t>(begin)));
    Mix(count, static_cast<int64_t>(floats), out);
  }
}

void Loader::Impl::Work() {
  std::unique_lock<std::mutex> lock(mutex);
  for (;;) {
    wake.wait(lock, [this] { return stop || wanted >= 0; });
    if (stop) return;
    const int64_t position = wanted;
    wanted = -1;
    busy = true;
    lock.unlock();
    Fill(position, &buffers[position % 2]);
    lock.lock();
    busy = false;
    ready = position;
    filled.notify_one();
  }
}

Loader::Loader(const DataSet& data, const std::vector<float>& mean,
               const std::vector<float>& stddev, Options options)
    : impl_(std::make_unique<Impl>(data, mean, stddev, std::move(options))) {
  impl_->thread = std::thread([impl = impl_.get()] { impl->Work(); });
}

Loader::~Loader() {
  {
    std::lock_guard<std::mutex> lock(impl_->mutex);
    impl_->stop = true;
  }
  impl_->wake.notify_one();
  impl_->thread.join();
}

int Loader::batches_per_epoch() const { return impl_->batches_per_epoch(); }

int64_t Loader::position() const { return impl_->next; }

void Loader::Seek(int64_t position) {
  RHNAS_CHECK(position >= 0, "a seek to batch %lld", static_cast<long long>(position));
  impl_->next = position;  // Next sees whether what stands ready is it
}

Batch Loader::Next() {
  Impl& impl = *impl_;
  std::unique_lock<std::mutex> lock(impl.mutex);
  const int64_t position = impl.next++;
  impl.filled.wait(lock, [&] { return !impl.busy && impl.wanted < 0; });
  if (impl.ready != position) {  // the first batch, or after a Seek
    impl.wanted = position;
    impl.wake.notify_one();
    impl.filled.wait(lock, [&] { return impl.ready == position; });
  }
  impl.wanted = position + 1;  // into the other buffer, while the caller works on this one
  impl.wake.notify_one();
  lock.unlock();
  const Buffers& filled = impl.buffers[position % 2];
  Batch batch;
  batch.shape = engine::Shape(static_cast<int>(filled.labels.size()), impl.data.height(),
                              impl.data.width(), impl.data.channels());
  batch.images = filled.images.data();
  batch.labels = filled.labels.data();
  if (impl.options.augmentation.mixup > 0) {
    batch.mixed_labels = filled.mixed_labels.data();
    batch.mix = filled.mix;
  }
  return batch;
}

}  // namespace rhnas::nn
