#include "libs/data/procedural_faces.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <vector>

#include "libs/base/check.h"
#include "libs/base/philox.h"

// Every arithmetic operation below is exactly rounded by IEEE 754, provided that the compiler
// neither fuses nor reorders them (CMakeLists.txt: -ffp-contract=off; -ffast-math is off by
// default) and evaluates floats as floats.
static_assert(__FLT_EVAL_METHOD__ == 0, "floats must be evaluated as floats");
#ifdef __FAST_MATH__
#error "procedural faces need exact IEEE arithmetic"
#endif

namespace gannet::data {
namespace {

struct Rgb {
  float r = 0;
  float g = 0;
  float b = 0;
};

Rgb operator*(Rgb c, float k) { return {c.r * k, c.g * k, c.b * k}; }
Rgb operator*(Rgb a, Rgb b) { return {a.r * b.r, a.g * b.g, a.b * b.b}; }
Rgb operator+(Rgb a, Rgb b) { return {a.r + b.r, a.g + b.g, a.b + b.b}; }

Rgb Mix(Rgb from, Rgb to, float t) { return from * (1.0f - t) + to * t; }

float Clamp01(float v) { return std::min(1.0f, std::max(0.0f, v)); }
float Square(float v) { return v * v; }
float Luminance(Rgb c) { return 0.3f * c.r + 0.59f * c.g + 0.11f * c.b; }

// 0 below `from`, 1 above `to`, smooth between.
float SmoothStep(float from, float to, float v) {
  const float t = Clamp01((v - from) / (to - from));
  return t * t * (3.0f - 2.0f * t);
}

// Random choices of one face. Every face draws in the order of DrawChoices, so that a face is the
// same whatever is asked about it.
class Dice {
 public:
  Dice(uint64_t seed, uint64_t index) : stream_(seed, base::RandomPurpose::kFaces, index, 0) {}

  float Uniform(float from, float to) { return from + (to - from) * stream_.NextUniform(); }
  bool Chance(float probability) { return stream_.NextUniform() < probability; }
  // Between -1 and 1, most often near 0.
  float Centred() { return stream_.NextUniform() + stream_.NextUniform() - 1.0f; }
  // Index into weights that sum to 1.
  template <size_t kCount>
  size_t Pick(const std::array<float, kCount>& weights) {
    float left = stream_.NextUniform();
    for (size_t i = 0; i + 1 < kCount; ++i) {
      if (left < weights[i]) return i;
      left = left - weights[i];
    }
    return kCount - 1;
  }

 private:
  base::PhiloxStream stream_;
};

enum class HairStyle { kBald, kCropped, kSidePart, kFringe, kLong, kLongFringe, kBob, kBun, kAfro };
enum class Hat { kNone, kBeanie, kCap };
enum class Beard { kNone, kStubble, kFull, kGoatee, kMoustache };
enum class Glasses { kNone, kRound, kWide, kSun };

struct Face {
  int64_t labels = 0;

  // Where the head is: centre and scale in units of half a picture, tilt as a rotation.
  float centre_x = 0;
  float centre_y = 0;
  float scale = 1;
  float tilt_cos = 1;
  float tilt_sin = 0;
  float turn = 0;  // -1..1: features move sideways on the head

  float head_rx = 0.45f;
  float head_ry = 0.6f;
  float jaw = 0.2f;  // how much narrower the chin is than the temples

  // Light direction, unit length, x to the right, y down, z to the viewer.
  float light_x = 0;
  float light_y = 0;
  float light_z = 1;
  float ambient = 0.7f;

  Rgb skin, hair, iris, lips, clothes, background_top, background_bottom, background_glow,
      hat_colour, frame;
  float background_slant = 0;
  float blush = 0;

  float eye_x = 0.2f;
  float eye_y = -0.03f;
  float eye_rx = 0.09f;
  float eye_ry = 0.05f;
  float gaze = 0;
  float brow_height = 0.12f;
  float brow_tilt = 0;
  float brow_thickness = 0.025f;
  float nose_length = 0.16f;
  float nose_width = 0.06f;
  float mouth_y = 0.32f;
  float mouth_width = 0.15f;
  float smile = 0;
  float mouth_open = 0;
  bool teeth = false;
  float lip_thickness = 0.025f;

  HairStyle style = HairStyle::kCropped;
  float hair_volume = 0;  // 0..1
  float hairline = 0;     // -1..1
  float parting = 0;      // -1..1
  Hat hat = Hat::kNone;
  Beard beard = Beard::kNone;
  Glasses glasses = Glasses::kNone;
  float grain = 0.02f;
};

// From light to dark, after the range of human skin under neutral light.
constexpr std::array<Rgb, 8> kSkins = {{{0.97f, 0.84f, 0.76f},
                                        {0.95f, 0.79f, 0.68f},
                                        {0.90f, 0.71f, 0.57f},
                                        {0.83f, 0.63f, 0.47f},
                                        {0.72f, 0.52f, 0.37f},
                                        {0.59f, 0.41f, 0.29f},
                                        {0.46f, 0.31f, 0.22f},
                                        {0.36f, 0.24f, 0.17f}}};

struct HairColour {
  Rgb colour;
  int64_t label;
};
constexpr std::array<HairColour, 12> kHairs = {{{{0.09f, 0.07f, 0.07f}, kFaceDarkHair},
                                                {{0.18f, 0.12f, 0.09f}, kFaceDarkHair},
                                                {{0.32f, 0.20f, 0.12f}, kFaceDarkHair},
                                                {{0.50f, 0.34f, 0.20f}, kFaceFairHair},
                                                {{0.70f, 0.53f, 0.31f}, kFaceFairHair},
                                                {{0.85f, 0.72f, 0.48f}, kFaceFairHair},
                                                {{0.62f, 0.28f, 0.12f}, kFaceRedHair},
                                                {{0.56f, 0.54f, 0.53f}, kFaceGreyHair},
                                                {{0.84f, 0.83f, 0.81f}, kFaceGreyHair},
                                                {{0.72f, 0.33f, 0.48f}, kFaceDyedHair},
                                                {{0.25f, 0.42f, 0.62f}, kFaceDyedHair},
                                                {{0.43f, 0.28f, 0.55f}, kFaceDyedHair}}};
// Weights for light skins and for dark ones.
constexpr std::array<float, 12> kLightSkinHair = {0.13f, 0.16f, 0.17f, 0.14f, 0.10f, 0.09f,
                                                  0.07f, 0.05f, 0.04f, 0.02f, 0.02f, 0.01f};
constexpr std::array<float, 12> kDarkSkinHair = {0.50f, 0.26f, 0.08f, 0.02f, 0.01f, 0.01f,
                                                 0.01f, 0.05f, 0.03f, 0.01f, 0.01f, 0.01f};

// A colour of the given hue (0..6 around the circle), saturation and value.
Rgb FromHue(float hue, float saturation, float value) {
  const auto channel = [&](float offset) {
    float h = hue + offset;
    if (h >= 6.0f) h = h - 6.0f;
    const float distance = h < 3.0f ? 3.0f - h : h - 3.0f;  // from the complement of the channel
    return value * (1.0f - saturation * (1.0f - Clamp01(distance - 1.0f)));
  };
  return {channel(0.0f), channel(4.0f), channel(2.0f)};
}

struct Range {
  float from, to;
};

// Draws in statements of its own: the order in which arguments of a call are evaluated is the
// compiler's choice.
Rgb RandomHue(Dice& dice, Range saturations, Range values) {
  const float hue = dice.Uniform(0.0f, 6.0f);
  const float saturation = dice.Uniform(saturations.from, saturations.to);
  const float value = dice.Uniform(values.from, values.to);
  return FromHue(hue, saturation, value);
}

Rgb Jitter(Dice& dice, Rgb colour, float amount) {
  const float all = 1.0f + amount * dice.Centred();
  return {Clamp01(colour.r * all * (1.0f + 0.4f * amount * dice.Centred())),
          Clamp01(colour.g * all * (1.0f + 0.4f * amount * dice.Centred())),
          Clamp01(colour.b * all * (1.0f + 0.4f * amount * dice.Centred()))};
}

void ChooseBackground(Dice& dice, Face& face) {
  // Muted, and mostly cool: skin and hair are warm, so the head stands out.
  const bool cool = dice.Chance(0.7f);
  const float hue = cool ? dice.Uniform(2.0f, 4.6f) : dice.Uniform(0.0f, 6.0f);
  const float saturation = dice.Uniform(0.04f, cool ? 0.36f : 0.26f);
  float value = dice.Uniform(0.22f, 0.9f);
  // Neither as light nor as dark as the skin.
  const float skin = Luminance(face.skin);
  const float near = value * (1.0f - 0.5f * saturation) - skin;
  if (near > -0.14f && near < 0.14f) value = near < 0.0f ? skin - 0.22f : skin + 0.24f;
  value = std::min(0.88f, std::max(0.16f, value));
  const Rgb base = FromHue(hue, saturation, value);
  face.background_top = base * dice.Uniform(0.85f, 1.1f);
  face.background_bottom = base * dice.Uniform(0.6f, 0.95f);
  face.background_slant = dice.Uniform(-0.5f, 0.5f);
  face.background_glow = base * dice.Uniform(0.0f, 0.16f);
}

void ChooseColours(Dice& dice, Face& face) {
  const float tone = dice.Uniform(0.0f, 6.999f);
  const size_t step = static_cast<size_t>(tone);
  face.skin =
      Jitter(dice, Mix(kSkins[step], kSkins[step + 1], tone - static_cast<float>(step)), 0.06f);
  const bool dark_skin = tone > 3.5f;
  if (dark_skin) face.labels |= kFaceDarkSkin;
  const HairColour& hair = kHairs[dice.Pick(dark_skin ? kDarkSkinHair : kLightSkinHair)];
  face.hair = Jitter(dice, hair.colour, 0.16f);
  face.labels |= hair.label;

  constexpr std::array<Rgb, 5> kIris = {{{0.24f, 0.14f, 0.08f},
                                         {0.36f, 0.22f, 0.10f},
                                         {0.34f, 0.42f, 0.24f},
                                         {0.28f, 0.46f, 0.62f},
                                         {0.42f, 0.48f, 0.50f}}};
  const std::array<float, 5> light = {0.25f, 0.25f, 0.18f, 0.22f, 0.10f};
  const std::array<float, 5> dark = {0.66f, 0.28f, 0.03f, 0.02f, 0.01f};
  face.iris = kIris[dice.Pick(dark_skin ? dark : light)];

  const float red = dice.Uniform(0.0f, 1.0f);
  face.lips = Mix(face.skin * Rgb{0.82f, 0.62f, 0.58f}, Rgb{0.70f, 0.22f, 0.26f}, 0.6f * red * red);
  face.blush = dice.Uniform(0.05f, 0.35f);
  face.clothes = RandomHue(dice, {0.05f, 0.55f}, {0.15f, 0.8f});
  face.hat_colour = RandomHue(dice, {0.1f, 0.6f}, {0.2f, 0.7f});
  face.frame = dice.Chance(0.7f) ? Rgb{0.10f, 0.09f, 0.10f} : Rgb{0.42f, 0.26f, 0.14f};
  ChooseBackground(dice, face);
}

void ChoosePose(Dice& dice, Face& face) {
  face.centre_x = 0.11f * dice.Centred();
  face.centre_y = 0.02f + 0.08f * dice.Centred();
  face.scale = 1.17f + 0.12f * dice.Centred();
  // Rotation from the tangent of half its angle: needs no sine.
  const float half = 0.085f * dice.Centred();
  face.tilt_cos = (1.0f - half * half) / (1.0f + half * half);
  face.tilt_sin = 2.0f * half / (1.0f + half * half);
  face.turn = dice.Centred();
  if (face.turn < -0.35f) face.labels |= kFaceTurnedLeft;
  if (face.turn > 0.35f) face.labels |= kFaceTurnedRight;
  const float x = dice.Uniform(-0.75f, 0.75f);
  const float y = dice.Uniform(-0.75f, -0.15f);
  const float z = 0.75f;
  const float length = std::sqrt(x * x + y * y + z * z);
  face.light_x = x / length;
  face.light_y = y / length;
  face.light_z = z / length;
  face.ambient = dice.Uniform(0.52f, 0.72f);
  face.grain = dice.Uniform(0.01f, 0.025f);
}

void ChooseFeatures(Dice& dice, Face& face) {
  face.head_rx = dice.Uniform(0.42f, 0.51f);
  face.head_ry = dice.Uniform(0.56f, 0.66f);
  face.jaw = dice.Uniform(0.08f, 0.32f);
  face.eye_x = face.head_rx * dice.Uniform(0.40f, 0.47f);
  face.eye_y = dice.Uniform(-0.06f, 0.01f);
  face.eye_rx = dice.Uniform(0.082f, 0.105f);
  face.eye_ry = dice.Uniform(0.042f, 0.062f);
  face.gaze = 0.03f * dice.Centred();
  face.brow_height = dice.Uniform(0.105f, 0.15f);
  face.brow_tilt = 0.25f * dice.Centred();
  face.brow_thickness = dice.Uniform(0.018f, 0.036f);
  face.nose_length = dice.Uniform(0.13f, 0.2f);
  face.nose_width = dice.Uniform(0.05f, 0.085f);
  face.mouth_y = dice.Uniform(0.29f, 0.35f);
  face.mouth_width = dice.Uniform(0.13f, 0.2f);
  face.lip_thickness = dice.Uniform(0.018f, 0.034f);
  face.smile = dice.Uniform(-0.25f, 1.0f);
  if (face.smile > 0.35f) face.labels |= kFaceSmiling;
  const bool open = dice.Chance(0.4f);
  const float opening = dice.Uniform(0.03f, 0.08f);
  face.teeth = face.smile > 0.2f || dice.Chance(0.3f);
  if (open) {
    face.mouth_open = opening;
    face.labels |= kFaceMouthOpen;
    if (face.smile > 0.35f) face.mouth_width = face.mouth_width * 1.12f;
  }
}

void ChooseHair(Dice& dice, Face& face) {
  constexpr std::array<HairStyle, 9> kStyles = {
      HairStyle::kBald,   HairStyle::kCropped, HairStyle::kSidePart,
      HairStyle::kFringe, HairStyle::kLong,    HairStyle::kLongFringe,
      HairStyle::kBob,    HairStyle::kBun,     HairStyle::kAfro};
  face.style = kStyles[dice.Pick(
      std::array<float, 9>{0.07f, 0.2f, 0.15f, 0.1f, 0.17f, 0.08f, 0.1f, 0.06f, 0.07f})];
  face.hair_volume = dice.Uniform(0.0f, 1.0f);
  face.hairline = dice.Uniform(-1.0f, 1.0f);
  face.parting = dice.Uniform(-1.0f, 1.0f);
  const bool bearded = dice.Chance(0.42f);
  const size_t beard = dice.Pick(std::array<float, 4>{0.3f, 0.4f, 0.15f, 0.15f});
  const size_t hat = dice.Pick(std::array<float, 3>{0.9f, 0.06f, 0.04f});
  const size_t glasses = dice.Pick(std::array<float, 4>{0.82f, 0.08f, 0.07f, 0.03f});

  bool short_hair = false;
  switch (face.style) {
    case HairStyle::kBald:
      face.labels |= kFaceBald;
      short_hair = true;
      break;
    case HairStyle::kCropped:
    case HairStyle::kSidePart:
      short_hair = true;
      break;
    case HairStyle::kFringe:
      face.labels |= kFaceFringe;
      short_hair = true;
      break;
    case HairStyle::kLongFringe:
      face.labels |= kFaceFringe | kFaceLongHair;
      break;
    case HairStyle::kLong:
    case HairStyle::kBob:
      face.labels |= kFaceLongHair;
      break;
    case HairStyle::kBun:
      face.labels |= kFaceBun;
      break;
    case HairStyle::kAfro:
      face.labels |= kFaceAfro;
      short_hair = true;
      break;
  }
  if (bearded && short_hair) {
    face.beard = std::array<Beard, 4>{Beard::kStubble, Beard::kFull, Beard::kGoatee,
                                      Beard::kMoustache}[beard];
    face.labels |= face.beard == Beard::kMoustache ? kFaceMoustache : kFaceBeard;
    if (face.beard == Beard::kFull || face.beard == Beard::kGoatee) face.labels |= kFaceMoustache;
  }
  if (face.style != HairStyle::kBun && face.style != HairStyle::kAfro) {
    face.hat = std::array<Hat, 3>{Hat::kNone, Hat::kBeanie, Hat::kCap}[hat];
    if (face.hat != Hat::kNone) face.labels |= kFaceHat;
  }
  face.glasses = std::array<Glasses, 4>{Glasses::kNone, Glasses::kRound, Glasses::kWide,
                                        Glasses::kSun}[glasses];
  if (face.glasses != Glasses::kNone) face.labels |= kFaceGlasses;
  if (face.glasses == Glasses::kSun) face.labels |= kFaceSunglasses;
}

Face DrawChoices(uint64_t seed, uint64_t index) {
  Dice dice(seed, index);
  Face face;
  ChooseColours(dice, face);
  ChoosePose(dice, face);
  ChooseFeatures(dice, face);
  ChooseHair(dice, face);
  return face;
}

struct Box {
  float left, top, right, bottom;
};

struct Ellipse {
  float x, y, rx, ry;

  // Signed distance to the edge, negative inside; exact to first order at the edge.
  float Distance(float px, float py) const {
    const float a = (px - x) / rx;
    const float b = (py - y) / ry;
    const float slope = std::sqrt(Square(a / rx) + Square(b / ry));
    return (a * a + b * b - 1.0f) / (2.0f * slope + 1e-3f);
  }
  Box Around(float margin) const {
    return {x - rx - margin, y - ry - margin, x + rx + margin, y + ry + margin};
  }
};

// A picture under construction: positions are in head coordinates (origin in the middle of the
// head, x to the right, y down, 1 = half a picture at scale 1), so that every shape tilts, moves
// and grows with the head.
class Canvas {
 public:
  Canvas(const Face& face, int size)
      : face_(face),
        size_(size),
        step_(2.0f / static_cast<float>(size)),
        pixel_(step_ / face.scale),
        colours_(static_cast<size_t>(size) * static_cast<size_t>(size)) {}

  // Share of a pixel that a shape covers whose edge is `distance` away. `softness` widens the edge.
  float Cover(float distance, float softness = 0.0f) const {
    const float half = std::max(softness, 0.75f * pixel_);
    return SmoothStep(-half, half, -distance);
  }

  // Side of a pixel in head coordinates.
  float pixel() const { return pixel_; }

  // Calls paint(x, y, colour) for the pixels of `box`.
  template <typename Paint>
  void ForEach(const Box& box, Paint paint) {
    const float margin = 2.0f * pixel_;
    const float mid_x = 0.5f * (box.left + box.right);
    const float mid_y = 0.5f * (box.top + box.bottom);
    const float half_x = 0.5f * (box.right - box.left) + margin;
    const float half_y = 0.5f * (box.bottom - box.top) + margin;
    const float c = face_.tilt_cos * face_.scale;
    const float s = face_.tilt_sin * face_.scale;
    const float reach_x = std::abs(c) * half_x + std::abs(s) * half_y;
    const float reach_y = std::abs(s) * half_x + std::abs(c) * half_y;
    const float at_x = face_.centre_x + c * mid_x - s * mid_y;
    const float at_y = face_.centre_y + s * mid_x + c * mid_y;
    const int left = ToPixel(at_x - reach_x);
    const int right = ToPixel(at_x + reach_x);
    const int top = ToPixel(at_y - reach_y);
    const int bottom = ToPixel(at_y + reach_y);
    for (int row = top; row < bottom; ++row) {
      const float dy = (static_cast<float>(row) + 0.5f) * step_ - 1.0f - face_.centre_y;
      Rgb* colours = &colours_[static_cast<size_t>(row) * static_cast<size_t>(size_)];
      for (int column = left; column < right; ++column) {
        const float dx = (static_cast<float>(column) + 0.5f) * step_ - 1.0f - face_.centre_x;
        const float x = (face_.tilt_cos * dx + face_.tilt_sin * dy) / face_.scale;
        const float y = (face_.tilt_cos * dy - face_.tilt_sin * dx) / face_.scale;
        paint(x, y, colours[column]);
      }
    }
  }

  void FillEllipse(const Ellipse& shape, Rgb colour, float strength = 1.0f, float softness = 0.0f) {
    ForEach(shape.Around(softness), [&](float x, float y, Rgb& out) {
      out = Mix(out, colour, strength * Cover(shape.Distance(x, y), softness));
    });
  }

  // Multiplies what is there by `tint` within the shape: shadow, blush, light.
  void TintEllipse(const Ellipse& shape, Rgb tint, float strength, float softness) {
    ForEach(shape.Around(softness), [&](float x, float y, Rgb& out) {
      out = Mix(out, out * tint, strength * Cover(shape.Distance(x, y), softness));
    });
  }

  const std::vector<Rgb>& colours() const { return colours_; }

 private:
  int ToPixel(float at) const {
    const float position = (at + 1.0f) / step_ + 0.5f;
    return static_cast<int>(std::min(static_cast<float>(size_), std::max(0.0f, position)));
  }

  const Face& face_;
  const int size_;
  const float step_;
  const float pixel_;
  std::vector<Rgb> colours_;
};

constexpr Box kEverywhere = {-4, -4, 4, 4};

// The outline of the head, an egg: an ellipse whose width shrinks towards the chin.
struct Egg {
  float rx, ry, jaw;

  explicit Egg(const Face& face, float grow_x = 0.0f, float grow_y = 0.0f)
      : rx(face.head_rx + grow_x), ry(face.head_ry + grow_y), jaw(face.jaw) {}

  float WidthAt(float y) const {
    const float t = y / ry;
    return rx * (1.0f - (t > 0.0f ? jaw * t * t : 0.06f * t * t));
  }
  float Distance(float x, float y) const { return Ellipse{0, 0, WidthAt(y), ry}.Distance(x, y); }
  Box Around(float margin) const { return {-rx - margin, -ry - margin, rx + margin, ry + margin}; }
};

// How bright a surface of normal (x, y, z) is, about 1 in full light.
float Lambert(const Face& face, float x, float y, float z) {
  const float facing = x * face.light_x + y * face.light_y + z * face.light_z;
  return face.ambient + (1.12f - face.ambient) * std::max(0.0f, facing);
}

// Shadows on skin turn warm, not grey.
Rgb Lit(Rgb colour, float light) {
  const float shade = 1.0f - std::min(1.0f, light);
  return colour * light * Rgb{1.0f + 0.06f * shade, 1.0f - 0.10f * shade, 1.0f - 0.16f * shade};
}

void PaintBackground(const Face& face, Canvas& canvas) {
  canvas.ForEach(kEverywhere, [&](float x, float y, Rgb& out) {
    const float t = Clamp01(0.5f + 0.5f * (y + face.background_slant * x));
    const float glow = Clamp01(1.0f - 0.55f * (x * x + y * y));
    out = Mix(face.background_top, face.background_bottom, t) + face.background_glow * glow;
  });
}

void PaintBody(const Face& face, Canvas& canvas) {
  const Ellipse shoulders = {0.0f, 1.22f, 0.86f, 0.52f};
  canvas.ForEach(shoulders.Around(0.1f), [&](float x, float y, Rgb& out) {
    const float light = Lambert(face, 0.9f * x, -0.2f, 0.8f) * (0.82f + 0.25f * (1.0f - y));
    out = Mix(out, face.clothes * light, canvas.Cover(shoulders.Distance(x, y), 0.03f));
  });
}

void PaintNeck(const Face& face, Canvas& canvas) {
  const float half = face.head_rx * 0.5f;
  canvas.ForEach({-half - 0.2f, 0.3f, half + 0.2f, 1.0f}, [&](float x, float y, Rgb& out) {
    const float width = half * (1.0f + 0.35f * SmoothStep(0.55f, 0.95f, y));
    const float distance = std::max(std::abs(x) - width, y - 0.84f - 0.35f * (half - std::abs(x)));
    // The chin throws a shadow.
    const float under_chin = 1.0f - 0.3f * SmoothStep(0.9f, 0.5f, y);
    const float light = Lambert(face, x / (1.3f * half), 0.1f, 0.75f) * under_chin;
    out = Mix(out, Lit(face.skin, light), canvas.Cover(distance, 0.02f));
  });
}

void PaintEars(const Face& face, Canvas& canvas) {
  for (const float side : {-1.0f, 1.0f}) {
    const float shown = 0.03f - 0.035f * side * face.turn;
    const Ellipse ear = {side * (face.head_rx - 0.02f + std::max(0.0f, shown)), 0.04f, 0.065f,
                         0.115f};
    canvas.FillEllipse(ear, Lit(face.skin, 0.9f * Lambert(face, side * 0.8f, 0.0f, 0.5f)));
    canvas.FillEllipse({ear.x + 0.008f * side, ear.y, 0.03f, 0.06f}, Lit(face.skin, 0.62f), 0.6f,
                       0.02f);
  }
}

void PaintHead(const Face& face, Canvas& canvas) {
  const Egg egg(face);
  canvas.ForEach(egg.Around(0.05f), [&](float x, float y, Rgb& out) {
    const float cover = canvas.Cover(egg.Distance(x, y));
    if (cover <= 0.0f) return;
    // Normals of the egg; the turn of the head moves its most forward point.
    const float nx = (x - 0.06f * face.turn) / egg.WidthAt(y);
    const float ny = y / egg.ry;
    const float nz = std::sqrt(std::max(0.05f, 1.0f - 0.85f * (nx * nx + ny * ny)));
    out = Mix(out, Lit(face.skin, Lambert(face, 0.85f * nx, 0.7f * ny, nz)), cover);
  });
}

// Moves a feature sideways with the turn of the head; the more forward, the further.
float Turned(const Face& face, float depth) { return face.turn * depth; }

void PaintModelling(const Face& face, Canvas& canvas) {
  const float x0 = Turned(face, 0.07f);
  const Rgb shadow = {0.72f, 0.6f, 0.56f};
  const Rgb blush = {1.02f, 0.74f, 0.72f};
  const float shady = face.light_x > 0.0f ? -1.0f : 1.0f;
  canvas.TintEllipse({x0, -0.3f, face.head_rx * 0.6f, 0.17f}, {1.09f, 1.08f, 1.07f}, 0.6f, 0.12f);
  for (const float side : {-1.0f, 1.0f}) {
    canvas.TintEllipse({x0 + side * face.eye_x, face.eye_y - 0.015f, face.eye_rx * 1.5f, 0.1f},
                       shadow, 0.4f, 0.05f);
    canvas.TintEllipse({x0 + side * face.head_rx * 0.52f, 0.17f, 0.13f, 0.1f}, blush, face.blush,
                       0.08f);
  }
  // Nose: the side away from the light, the bridge, the tip, the nostrils.
  const float nose_x = Turned(face, 0.1f);
  const float bottom = face.eye_y + face.nose_length + 0.03f;
  canvas.TintEllipse(
      {nose_x + shady * face.nose_width * 0.8f, bottom - 0.09f, face.nose_width * 0.55f, 0.11f},
      shadow, 0.45f, 0.035f);
  canvas.TintEllipse({nose_x - shady * 0.012f, bottom - 0.1f, 0.026f, 0.1f}, {1.12f, 1.11f, 1.1f},
                     0.7f, 0.03f);
  canvas.TintEllipse({nose_x, bottom + 0.012f, face.nose_width * 1.05f, 0.026f},
                     {0.56f, 0.42f, 0.4f}, 0.65f, 0.02f);
  canvas.TintEllipse({nose_x - shady * 0.008f, bottom - 0.025f, face.nose_width * 0.55f, 0.035f},
                     {1.13f, 1.1f, 1.09f}, 0.6f, 0.025f);
  // Under the lower lip, and the chin below it.
  const float mouth_x = Turned(face, 0.08f);
  canvas.TintEllipse({mouth_x, face.mouth_y + 0.085f + face.mouth_open, 0.1f, 0.025f}, shadow, 0.4f,
                     0.03f);
  canvas.TintEllipse({mouth_x, face.mouth_y + 0.16f + face.mouth_open * 0.5f, 0.1f, 0.05f},
                     {1.06f, 1.05f, 1.05f}, 0.6f, 0.05f);
}

void PaintEyes(const Face& face, Canvas& canvas) {
  for (const float side : {-1.0f, 1.0f}) {
    // The eye on the far side of a turned head is narrower.
    const float rx = face.eye_rx * (1.0f + 0.12f * side * -face.turn);
    const float x = side * face.eye_x + Turned(face, 0.08f);
    const float y = face.eye_y;
    const float ry = face.eye_ry * (1.0f - 0.12f * std::max(0.0f, face.smile));
    const Ellipse white = {x, y, rx, ry};
    const float iris_x = x + face.gaze + Turned(face, 0.012f);
    const Ellipse iris = {iris_x, y - 0.004f, face.eye_ry * 0.98f, face.eye_ry * 0.98f};
    const Ellipse pupil = {iris_x, y - 0.004f, face.eye_ry * 0.45f, face.eye_ry * 0.45f};
    const Ellipse spark = {iris_x + 0.018f * (face.light_x > 0.0f ? 1.0f : -1.0f), y - 0.022f,
                           0.014f, 0.014f};
    canvas.ForEach(
        {x - rx - 0.06f, y - ry - 0.06f, x + rx + 0.06f, y + ry + 0.06f},
        [&](float px, float py, Rgb& out) {
          const float inside = canvas.Cover(white.Distance(px, py));
          // The lid shades the upper half of the eyeball.
          const float lid = 0.86f + 0.12f * SmoothStep(y - ry, y + 0.3f * ry, py);
          Rgb eye = Rgb{0.96f, 0.95f, 0.94f} * lid;
          eye = Mix(eye, face.iris, canvas.Cover(iris.Distance(px, py)));
          eye = Mix(eye, {0.03f, 0.03f, 0.04f}, canvas.Cover(pupil.Distance(px, py)));
          eye = Mix(eye, {1.0f, 1.0f, 1.0f}, 0.85f * canvas.Cover(spark.Distance(px, py)));
          out = Mix(out, eye, inside);
          // Lash line along the upper edge.
          const float edge = std::abs(white.Distance(px, py)) - 0.011f;
          const float upper = SmoothStep(y + 0.2f * ry, y - 0.5f * ry, py);
          out = Mix(out, Rgb{0.10f, 0.07f, 0.06f}, 0.75f * upper * canvas.Cover(edge));
        });
  }
}

void PaintBrows(const Face& face, Canvas& canvas) {
  const Rgb colour = Mix(face.hair * 0.7f, face.skin * 0.45f, 0.35f);
  for (const float side : {-1.0f, 1.0f}) {
    const float x = side * face.eye_x + Turned(face, 0.075f);
    const float y = face.eye_y - face.brow_height;
    const float half = face.eye_rx * 1.28f;
    canvas.ForEach({x - half - 0.02f, y - 0.1f, x + half + 0.02f, y + 0.1f}, [&](float px, float py,
                                                                                 Rgb& out) {
      const float t = (px - x) / half;
      const float middle = y + (side * face.brow_tilt * 0.12f) * t + 0.028f * t * t;
      const float thickness = face.brow_thickness * (1.0f - 0.55f * t * t);
      const float distance = std::max(std::abs(py - middle) - thickness, std::abs(px - x) - half);
      out = Mix(out, colour, 0.88f * canvas.Cover(distance));
    });
  }
}

void PaintMouth(const Face& face, Canvas& canvas) {
  const float x0 = Turned(face, 0.085f);
  const float half = face.mouth_width;
  const float lift = face.smile * 0.075f;
  canvas.ForEach(
      {x0 - half - 0.05f, face.mouth_y - 0.15f, x0 + half + 0.05f, face.mouth_y + 0.22f},
      [&](float px, float py, Rgb& out) {
        const float t = (px - x0) / half;
        const float arch = 1.0f - t * t;
        // Corners go up when the mouth smiles.
        const float line = face.mouth_y + lift * (0.35f - t * t);
        const float gap = face.mouth_open * arch;
        // Cupid's bow: the upper lip is thinner in the middle.
        const float upper_lip = face.lip_thickness * arch * (0.85f + 0.5f * t * t);
        const float lower_lip = face.lip_thickness * arch * 1.35f;
        const float top = line - 0.35f * gap;
        const float bottom = line + 0.65f * gap;
        const float ends = std::abs(px - x0) - half;
        const float lips = std::max(std::max(top - upper_lip - py, py - bottom - lower_lip), ends);
        const float light = py < line ? 0.86f : 1.06f;
        out = Mix(out, face.lips * light, 0.92f * canvas.Cover(lips, 0.012f));
        // The line between closed lips, or what is seen between open ones.
        const float inner = std::max(std::max(top - py, py - bottom) - 0.007f, ends + 0.02f);
        Rgb inside = face.lips * Rgb{0.30f, 0.22f, 0.24f};
        if (face.teeth) {
          const float below = py - (top + 0.62f * gap);
          inside = Mix(inside, {0.93f, 0.91f, 0.88f},
                       canvas.Cover(below) * SmoothStep(0.012f, 0.03f, gap));
        }
        out = Mix(out, inside, 0.9f * canvas.Cover(inner));
      });
}

void PaintBeard(const Face& face, Canvas& canvas) {
  if (face.beard == Beard::kNone) return;
  const Rgb colour = face.hair * 0.85f;
  const float x0 = Turned(face, 0.08f);
  const bool stubble = face.beard == Beard::kStubble;
  const float strength = stubble ? 0.3f : 0.93f;
  const float lip_y = face.mouth_y - 0.075f;
  if (face.beard == Beard::kFull || stubble) {
    const float grow = stubble ? 0.0f : 0.02f + 0.07f * face.hair_volume;
    const Egg egg(face, 0.3f * grow, grow);
    const Ellipse around_mouth = {x0, face.mouth_y + 0.01f, face.mouth_width * 0.95f, 0.075f};
    canvas.ForEach(egg.Around(0.05f), [&](float x, float y, Rgb& out) {
      const float t = (x - 0.5f * x0) / face.head_rx;
      // From the upper lip in the middle up to the ears.
      const float start = lip_y - 0.02f - 0.3f * t * t * t * t;
      const float distance =
          std::max(std::max(egg.Distance(x, y), start - y), -around_mouth.Distance(x, y));
      const float light = Lambert(face, x / face.head_rx, 0.4f, 0.7f);
      out = Mix(out, colour * light, strength * canvas.Cover(distance, 0.03f));
    });
  }
  if (face.beard == Beard::kGoatee) {
    canvas.FillEllipse({x0, face.mouth_y + 0.2f + face.mouth_open * 0.5f, 0.12f, 0.12f}, colour,
                       strength, 0.03f);
  }
  if (!stubble) {
    canvas.ForEach({x0 - 0.25f, lip_y - 0.1f, x0 + 0.25f, lip_y + 0.15f},
                   [&](float x, float y, Rgb& out) {
                     const float t = (x - x0) / (face.mouth_width * 1.08f);
                     const float middle = lip_y + 0.05f * t * t;
                     const float distance = std::abs(y - middle) - 0.04f * (1.0f - t * t);
                     out = Mix(out, colour, strength * canvas.Cover(distance, 0.015f));
                   });
  }
}

void PaintGlasses(const Face& face, Canvas& canvas) {
  if (face.glasses == Glasses::kNone) return;
  const bool sun = face.glasses == Glasses::kSun;
  const float rx = face.glasses == Glasses::kRound ? 0.135f : 0.155f;
  const float ry = face.glasses == Glasses::kWide ? 0.09f : 0.115f;
  const float x0 = Turned(face, 0.085f);
  const float y0 = face.eye_y + 0.012f;
  for (const float side : {-1.0f, 1.0f}) {
    const Ellipse lens = {x0 + side * face.eye_x * 1.04f, y0, rx, ry};
    canvas.ForEach(lens.Around(0.06f), [&](float x, float y, Rgb& out) {
      const float distance = lens.Distance(x, y);
      const Rgb glass = sun ? Rgb{0.07f, 0.07f, 0.09f} * (1.5f - 3.0f * (y - y0))
                            : Mix(out, {0.9f, 0.95f, 1.0f}, 0.06f);
      out = Mix(out, glass, (sun ? 0.94f : 1.0f) * canvas.Cover(distance));
      out = Mix(out, face.frame, 0.9f * canvas.Cover(std::abs(distance) - 0.014f));
    });
    // Temple, from the lens to the edge of the head.
    const float from = lens.x + side * rx;
    const float to = side * face.head_rx;
    canvas.ForEach({std::min(from, to), y0 - 0.05f, std::max(from, to), y0 + 0.02f},
                   [&](float x, float y, Rgb& out) {
                     const float distance = std::max(std::abs(y - y0 + 0.02f) - 0.012f,
                                                     std::max((from - x) * side, (x - to) * side));
                     out = Mix(out, face.frame, 0.8f * canvas.Cover(distance));
                   });
  }
  const float gap = face.eye_x * 1.04f - rx;
  canvas.ForEach({x0 - gap - 0.02f, y0 - 0.06f, x0 + gap + 0.02f, y0 + 0.03f}, [&](float x, float y,
                                                                                   Rgb& out) {
    const float distance = std::max(std::abs(y - y0 + 0.02f) - 0.013f, std::abs(x - x0) - gap);
    out = Mix(out, face.frame, 0.9f * canvas.Cover(distance));
  });
}

// Hair catches the light in a band across its crown, and falls in strands too fine to draw: a
// slight waviness stands for them.
Rgb HairAt(const Face& face, float x, float y) {
  const float nx = x / (face.head_rx * 1.25f);
  const float ny = y / (face.head_ry * 1.2f);
  const float nz = std::sqrt(std::max(0.1f, 1.0f - 0.7f * (nx * nx + ny * ny)));
  const float light = Lambert(face, 0.8f * nx, 0.7f * ny, nz);
  const float band = Clamp01(1.0f - Square((ny + 0.62f - 0.25f * nx * nx) / 0.24f));
  const float side = Clamp01(0.6f + 0.9f * nx * face.light_x);
  // A triangle wave along x, wider than a pixel of the smallest picture.
  const float phase = (x + 0.3f * face.parting + 0.15f * y * y) * 5.0f;
  const float fraction = phase - static_cast<float>(static_cast<int>(phase + 64.0f) - 64);
  const float strand = std::abs(fraction - 0.5f) - 0.25f;
  const float bright = 0.78f * light + 0.16f + 0.12f * strand;
  return face.hair * bright +
         (face.hair * 0.55f + Rgb{0.05f, 0.05f, 0.05f}) * (0.55f * band * side);
}

void PaintHairBehind(const Face& face, Canvas& canvas) {
  const float volume = face.hair_volume;
  const auto paint = [&](const Box& box, auto distance, float softness) {
    canvas.ForEach(box, [&](float x, float y, Rgb& out) {
      const float cover = canvas.Cover(distance(x, y), softness);
      // Behind the neck it is dark.
      const float depth =
          1.0f - 0.35f * SmoothStep(0.2f, 0.7f, y) * Clamp01(1.2f - 2.0f * std::abs(x));
      out = Mix(out, HairAt(face, x, y) * (0.88f * depth), cover);
    });
  };
  switch (face.style) {
    case HairStyle::kLong:
    case HairStyle::kLongFringe:
    case HairStyle::kBob: {
      const bool bob = face.style == HairStyle::kBob;
      const float rx = face.head_rx + 0.08f + 0.09f * volume;
      const float end = bob ? 0.42f + 0.12f * volume : 0.78f + 0.2f * volume;
      const Ellipse crown = {0.0f, -0.1f, rx, face.head_ry * 0.98f + 0.03f * volume};
      paint(
          {-rx - 0.15f, -1.0f, rx + 0.15f, end + 0.1f},
          [&](float x, float y) {
            if (y < crown.y) return crown.Distance(x, y);
            const float t = (y - crown.y) / (end - crown.y);
            const float width = rx * (1.0f + (bob ? 0.10f : 0.07f) * t * (bob ? 1.0f : 1.5f - t));
            const float corner = 0.12f * Square(x / rx);
            return std::max(std::abs(x) - width, y - end + corner);
          },
          0.03f);
      break;
    }
    case HairStyle::kAfro: {
      const Ellipse ball = {0.0f, -0.2f, face.head_rx + 0.18f + 0.14f * volume,
                            face.head_ry * 0.9f + 0.1f * volume};
      paint(
          ball.Around(0.1f), [&](float x, float y) { return ball.Distance(x, y); }, 0.05f);
      break;
    }
    case HairStyle::kBun: {
      const Ellipse knot = {0.15f * face.parting, -face.head_ry - 0.1f, 0.17f + 0.05f * volume,
                            0.15f + 0.04f * volume};
      paint(
          knot.Around(0.1f), [&](float x, float y) { return knot.Distance(x, y); }, 0.02f);
      break;
    }
    case HairStyle::kBald:
    case HairStyle::kCropped:
    case HairStyle::kSidePart:
    case HairStyle::kFringe:
      break;
  }
}

// The lower edge of the hair in front: y as a function of x, for each style.
struct Hairline {
  float middle;      // y in the middle of the forehead
  float slope;       // of a side parting
  float drop;        // how far it comes down at the sides
  float drop_start;  // where the sides begin, as a share of half the head's width
};

Hairline HairlineOf(const Face& face) {
  const float high = -0.34f * face.head_ry / 0.6f;
  const float vary = 0.05f * face.hairline;
  switch (face.style) {
    case HairStyle::kBald:
    case HairStyle::kCropped:
      return {high + vary, 0.04f * face.parting, 0.34f, 0.55f};
    case HairStyle::kSidePart:
      return {high + 0.04f + vary, 0.3f * (face.parting > 0.0f ? 1.0f : -1.0f), 0.36f, 0.55f};
    case HairStyle::kFringe:
      return {-0.235f + 0.4f * vary, 0.10f * face.parting, 0.25f, 0.7f};
    case HairStyle::kLong:
      return {high - 0.06f + vary, 0.35f * face.parting, 1.5f, 0.5f};
    case HairStyle::kLongFringe:
      return {-0.225f + 0.3f * vary, 0.06f * face.parting, 1.6f, 0.66f};
    case HairStyle::kBob:
      return {high + vary, 0.36f * face.parting, 1.2f, 0.55f};
    case HairStyle::kBun:
      return {high - 0.02f + vary, 0.0f, 0.3f, 0.45f};
    case HairStyle::kAfro:
      return {high + vary, 0.0f, 0.42f, 0.55f};
  }
  return {high, 0, 0, 0.5f};
}

void PaintHairInFront(const Face& face, Canvas& canvas) {
  if (face.style == HairStyle::kBald) {
    // A shine on the crown.
    canvas.TintEllipse({0.35f * face.light_x, -face.head_ry * 0.62f, face.head_rx * 0.35f, 0.09f},
                       {1.16f, 1.16f, 1.16f}, 0.8f, 0.08f);
    return;
  }
  const Hairline line = HairlineOf(face);
  const float grow = 0.04f + 0.08f * face.hair_volume;
  const Egg cap(face, 0.03f + 0.4f * grow, grow);
  const float x0 = Turned(face, 0.05f);
  canvas.ForEach(
      {-cap.rx - 0.1f, -cap.ry - 0.1f, cap.rx + 0.1f, 0.75f}, [&](float x, float y, Rgb& out) {
        const float t = std::abs(x - x0) / face.head_rx;
        const float beyond = std::max(0.0f, t - line.drop_start) / (1.0f - line.drop_start);
        const float edge = line.middle + line.slope * (x - x0) + line.drop * beyond * beyond;
        const float steep = line.slope * (x > x0 ? 1.0f : -1.0f) +
                            2.0f * line.drop * beyond / (face.head_rx * (1.0f - line.drop_start));
        const float below = (y - edge) / std::sqrt(1.0f + steep * steep);
        const float cover = canvas.Cover(std::max(cap.Distance(x, y), below), 0.022f);
        out = Mix(out, HairAt(face, x, y), cover);
        // A thin shadow on the forehead under the hair.
        const float shadow = canvas.Cover(std::max(below - 0.05f, -below), 0.03f) *
                             canvas.Cover(cap.Distance(x, y) + 0.04f, 0.03f);
        out = Mix(out, out * Rgb{0.78f, 0.68f, 0.64f}, 0.5f * shadow * (1.0f - cover));
      });
}

void PaintHat(const Face& face, Canvas& canvas) {
  if (face.hat == Hat::kNone) return;
  const Egg cap(face, 0.07f, 0.14f);
  const float edge = -0.27f;
  const float arch = face.hat == Hat::kBeanie ? 0.12f : 0.2f;
  canvas.ForEach(cap.Around(0.08f), [&](float x, float y, Rgb& out) {
    const float below = y - (edge + arch * Square(x / face.head_rx));
    const float nx = x / cap.rx;
    const float ny = y / cap.ry;
    const float nz = std::sqrt(std::max(0.1f, 1.0f - 0.7f * (nx * nx + ny * ny)));
    const float band = face.hat == Hat::kBeanie ? canvas.Cover(-below - 0.16f, 0.01f) : 0.0f;
    const float light = Lambert(face, 0.8f * nx, 0.7f * ny, nz) * (1.0f - 0.25f * band);
    out = Mix(out, face.hat_colour * light,
              canvas.Cover(std::max(cap.Distance(x, y), below), 0.012f));
  });
  if (face.hat == Hat::kCap) {
    const float x0 = Turned(face, 0.16f);
    const Ellipse brim = {x0, edge + 0.01f, face.head_rx * 0.98f, 0.085f};
    canvas.FillEllipse(brim, face.hat_colour * 0.62f, 1.0f, 0.01f);
    canvas.TintEllipse({x0, edge + 0.13f, face.head_rx * 0.8f, 0.06f}, {0.7f, 0.62f, 0.6f}, 0.6f,
                       0.05f);
  }
}

// Film grain: triangular noise around zero, mostly common to the three channels.
void AddGrainAndStore(uint64_t seed, uint64_t index, const Face& face, const Canvas& canvas,
                      absl::Span<uint8_t> rgb) {
  base::PhiloxStream stream(seed, base::RandomPurpose::kFaces, index, 1);
  const size_t plane = canvas.colours().size();
  // A difference of two bytes is a triangle of 255 to either side.
  const float unit = face.grain * 2.0f / 255.0f;
  const auto store = [](float v) { return static_cast<uint8_t>(Clamp01(v) * 255.0f + 0.5f); };
  for (size_t i = 0; i < plane; ++i) {
    const uint32_t bits = stream.Next32();
    const auto byte = [&](int at) { return static_cast<float>(bits >> (8 * at) & 0xff); };
    const float grey = (byte(0) - byte(1)) * unit;
    const float tint = (byte(2) - byte(3)) * unit * 0.35f;
    const Rgb c = canvas.colours()[i];
    rgb[i] = store(c.r + grey + tint);
    rgb[plane + i] = store(c.g + grey);
    rgb[2 * plane + i] = store(c.b + grey - tint);
  }
}

}  // namespace

void DrawFace(uint64_t seed, uint64_t index, int size, absl::Span<uint8_t> rgb) {
  GANNET_CHECK(size >= kMinFaceSize && size <= kMaxFaceSize);
  GANNET_CHECK(rgb.size() == 3 * static_cast<size_t>(size) * static_cast<size_t>(size));
  const Face face = DrawChoices(seed, index);
  Canvas canvas(face, size);
  PaintBackground(face, canvas);
  PaintBody(face, canvas);
  PaintHairBehind(face, canvas);
  PaintNeck(face, canvas);
  PaintEars(face, canvas);
  PaintHead(face, canvas);
  PaintModelling(face, canvas);
  PaintBeard(face, canvas);
  PaintMouth(face, canvas);
  PaintEyes(face, canvas);
  PaintBrows(face, canvas);
  PaintHairInFront(face, canvas);
  PaintGlasses(face, canvas);
  PaintHat(face, canvas);
  AddGrainAndStore(seed, index, face, canvas, rgb);
}

int64_t FaceLabels(uint64_t seed, uint64_t index) { return DrawChoices(seed, index).labels; }

std::vector<std::string> FaceLabelNames() {
  return {"smiling",   "mouth open", "glasses",   "sunglasses",  "beard",
          "moustache", "hat",        "bald",      "long hair",   "fringe",
          "bun",       "afro",       "dark hair", "fair hair",   "red hair",
          "grey hair", "dyed hair",  "dark skin", "turned left", "turned right"};
}

}  // namespace gannet::data
