// The procedural data set. See data_synth.h. Sizes and ranges below are ours, set so that the
// shapes stay legible at half resolution while a linear model finds nothing to hold on to.
#include "nn/data_synth.h"

#include <algorithm>
#include <cmath>

#include "engine/check.h"

namespace rhnas::nn {

namespace {

using engine::Rng;

constexpr int kSide = 32, kClasses = 10;
constexpr int kMaxClutter = 4;
constexpr float kNoise = 12;           // bytes, to either side
constexpr float kLeastContrast = 130;  // bytes, distance between shape and background colours

constexpr float kMaxTilt = 0.5f;  // tangent of the largest rotation, 27 degrees

struct Point {
  float x, y;
};

struct Colour {
  float rgb[3];
};

float Between(Rng& rng, float low, float high) { return low + (high - low) * rng.Uniform(); }

float Length(Point p) { return std::sqrt(p.x * p.x + p.y * p.y); }

// Uniform on the circle: a point of the disc, normalised (no sine, no cosine).
Point Direction(Rng& rng) {
  for (;;) {
    const Point p{Between(rng, -1, 1), Between(rng, -1, 1)};
    const float length = Length(p);
    if (length > 0.1f && length <= 1) return {p.x / length, p.y / length};
  }
}

// Up to kMaxTilt to either side of upright.
Point Tilt(Rng& rng) {
  const Point p{1, Between(rng, -kMaxTilt, kMaxTilt)};
  const float length = Length(p);
  return {p.x / length, p.y / length};
}

Colour RandomColour(Rng& rng) {
  Colour colour;
  for (float& channel : colour.rgb) channel = Between(rng, 15, 240);
  return colour;
}

float Distance(const Colour& a, const Colour& b) {
  float sum = 0;
  for (int i = 0; i < 3; ++i) sum += (a.rgb[i] - b.rgb[i]) * (a.rgb[i] - b.rgb[i]);
  return std::sqrt(sum);
}

float Box(Point p, float half_width, float half_height) {
  return std::max(std::fabs(p.x) - half_width, std::fabs(p.y) - half_height);
}

// Signed distance (inside negative) to the outline of a class's shape of radius about 1.
float Outline(int label, Point p) {
  switch (label) {
    case 0:
      return Length(p) - 0.85f;
    case 1:
      return std::fabs(Length(p) - 0.72f) - 0.17f;
    case 2:
      return Box(p, 0.7f, 0.7f);
    case 3:
      return std::fabs(Box(p, 0.62f, 0.62f)) - 0.15f;
    case 4: {
      const float side = 0.8660254f * std::fabs(p.x) - 0.5f * p.y;  // cos and sin of 30 degrees
      return std::max(side, p.y) - 0.5f;
    }
    case 5:
      return std::min(Box(p, 0.92f, 0.26f), Box(p, 0.26f, 0.92f));
    case 6:
      return Box(p, 0.98f, 0.24f);
    case 7:
      return Length({std::fabs(p.x) - 0.58f, p.y}) - 0.38f;
    case 8:
      return std::max(Length({p.x, p.y - 0.4f}) - 0.92f, p.y - 0.4f);
    default:
      return std::min(Box({p.x + 0.5f, p.y}, 0.24f, 0.85f), Box({p.x, p.y - 0.6f}, 0.74f, 0.25f));
  }
}

// A stroke from a to b, or a dot where they are the same.
struct Stroke {
  Point a, along;
  float inverse_square, radius;
  Colour colour;
  bool in_front;

  float DistanceTo(Point p) const {
    const Point d{p.x - a.x, p.y - a.y};
    const float t =
        std::min(std::max((d.x * along.x + d.y * along.y) * inverse_square, 0.0f), 1.0f);
    return Length({d.x - t * along.x, d.y - t * along.y}) - radius;
  }
};

Stroke RandomStroke(Rng& rng) {
  Stroke stroke;
  stroke.a = {Between(rng, 0, kSide), Between(rng, 0, kSide)};
  const Point direction = Direction(rng);
  const float length = rng.Below(2) == 0 ? 0 : Between(rng, 4, 14);
  stroke.along = {direction.x * length, direction.y * length};
  stroke.inverse_square = length > 0 ? 1 / (length * length) : 0;
  stroke.radius = length > 0 ? Between(rng, 0.3f, 0.8f) : Between(rng, 0.8f, 1.8f);
  stroke.colour = RandomColour(rng);
  stroke.in_front = rng.Below(3) == 0;
  return stroke;
}

// Lays `colour` over the pixel where the distance is below half a pixel (a soft edge of one).
void Cover(float distance, const Colour& colour, Colour* pixel) {
  const float share = std::min(std::max(0.5f - distance, 0.0f), 1.0f);
  for (int i = 0; i < 3; ++i) pixel->rgb[i] += share * (colour.rgb[i] - pixel->rgb[i]);
}

// -1..1 from a hash of the pixel's number: cheaper than a draw for each of 3,072 bytes.
float Noise(uint32_t seed, uint32_t index) {
  uint32_t x = seed + index * 0x9e3779b9u;  // golden ratio; then Wellons' lowbias32 mixer
  x ^= x >> 16;
  x *= 0x7feb352du;
  x ^= x >> 15;
  x *= 0x846ca68bu;
  x ^= x >> 16;
  return static_cast<float>(x >> 8) * (2.0f / 16777216.0f) - 1;
}

}  // namespace

SynthDataSet::SynthDataSet(uint64_t seed, uint64_t part, int size)
    : rng_(Rng(seed).Split(part)), size_(size) {
  name_ = "synth";
  h_ = w_ = kSide;
  c_ = 3;
  classes_ = kClasses;
}

int SynthDataSet::Get(int index, uint8_t* pixels) const {
  RHNAS_CHECK(index >= 0 && index < size_, "image %d of %d", index, size_);
  Rng rng = rng_.Split(static_cast<uint64_t>(index));
  const int label = index % kClasses;

  const Colour background = RandomColour(rng);
  Colour shape = RandomColour(rng);
  while (Distance(background, shape) < kLeastContrast) shape = RandomColour(rng);
  const Point turn = Tilt(rng), shade = Direction(rng);
  const float background_slope = Between(rng, 0, 2.5f), shape_slope = Between(rng, 0, 2.5f);
  const float radius = Between(rng, 9, 13);
  const float reach = 0.5f * kSide - 0.85f * radius;
  const Point centre{0.5f * kSide + Between(rng, -reach, reach),
                     0.5f * kSide + Between(rng, -reach, reach)};
  Stroke strokes[kMaxClutter];
  const int stroke_count = static_cast<int>(rng.Below(kMaxClutter + 1));
  for (int i = 0; i < stroke_count; ++i) strokes[i] = RandomStroke(rng);
  const uint32_t noise_seed = rng.NextU32();

  for (int y = 0; y < kSide; ++y) {
    for (int x = 0; x < kSide; ++x) {
      const Point p{static_cast<float>(x) + 0.5f, static_cast<float>(y) + 0.5f};
      const Point q{p.x - centre.x, p.y - centre.y};
      const float lightness = q.x * shade.x + q.y * shade.y;
      Colour pixel = background;
      for (float& channel : pixel.rgb) channel += background_slope * lightness;
      for (int i = 0; i < stroke_count; ++i) {
        if (!strokes[i].in_front) Cover(strokes[i].DistanceTo(p), strokes[i].colour, &pixel);
      }
      const Point turned{(q.x * turn.x + q.y * turn.y) / radius,
                         (q.y * turn.x - q.x * turn.y) / radius};
      Colour lit = shape;
      for (float& channel : lit.rgb) channel -= shape_slope * lightness;
      Cover(Outline(label, turned) * radius, lit, &pixel);
      for (int i = 0; i < stroke_count; ++i) {
        if (strokes[i].in_front) Cover(strokes[i].DistanceTo(p), strokes[i].colour, &pixel);
      }
      const int at = (y * kSide + x) * 3;
      for (int i = 0; i < 3; ++i) {
        const float value =
            pixel.rgb[i] + kNoise * Noise(noise_seed, static_cast<uint32_t>(at + i)) + 0.5f;
        pixels[at + i] = static_cast<uint8_t>(std::min(std::max(value, 0.0f), 255.0f));
      }
    }
  }
  return label;
}

}  // namespace rhnas::nn
