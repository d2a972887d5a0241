#include "libs/gan/augment.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/str_split.h"
#include "libs/base/philox.h"

// Compiled without contraction (see CMakeLists.txt): the bits are the same on every CPU.

namespace gannet::gan {
namespace {

constexpr int64_t kColours = 3;

// As a share of the side: the farthest shift, and the side of the square that is cut out.
constexpr double kShiftShare = 0.125;
constexpr double kCutShare = 0.5;

int RoundedShare(int image_size, double share) {
  return static_cast<int>(std::floor(image_size * share + 0.5));
}

// All numbers are drawn, also those not in use, so that one part of a policy does not change what
// another one does.
ImageAugmentation Draw(base::PhiloxStream& stream, const AugmentPolicy& policy, int image_size) {
  const float brightness = stream.NextUniform() - 0.5f;
  const float saturation = stream.NextUniform() * 2;
  const float contrast = stream.NextUniform() + 0.5f;
  const int most = RoundedShare(image_size, kShiftShare);
  const auto shifts = 2 * static_cast<uint64_t>(most) + 1;
  const int shift_x = static_cast<int>(stream.NextBelow(shifts)) - most;
  const int shift_y = static_cast<int>(stream.NextBelow(shifts)) - most;
  const int cut = RoundedShare(image_size, kCutShare);
  const auto places = static_cast<uint64_t>(image_size + 1 - cut % 2);
  const int left = static_cast<int>(stream.NextBelow(places)) - cut / 2;
  const int top = static_cast<int>(stream.NextBelow(places)) - cut / 2;

  ImageAugmentation image;
  if (policy.color) {
    image.brightness = brightness;
    image.saturation = saturation;
    image.contrast = contrast;
  }
  if (policy.translation) {
    image.shift_x = shift_x;
    image.shift_y = shift_y;
  }
  if (policy.cutout) {
    image.cut_left = std::max(left, 0);
    image.cut_right = std::min(left + cut, image_size);
    image.cut_top = std::max(top, 0);
    image.cut_bottom = std::min(top + cut, image_size);
  }
  return image;
}

// out = contrast saturation x + contrast (1 - saturation) grey(x) + (1 - contrast) mean(x) +
// brightness, which is brightness, saturation and contrast one after the other. Its linear part is
// its own adjoint.
void Recolour(const ImageAugmentation& image, float brightness, int64_t pixels, const float* x,
              float* out) {
  double sum = 0;
  for (int64_t i = 0; i < kColours * pixels; ++i) sum += x[i];
  const float mean = static_cast<float>(sum / static_cast<double>(kColours * pixels));
  const float own = image.contrast * image.saturation;
  const float grey_share = image.contrast * (1 - image.saturation) / 3;
  const float rest = (1 - image.contrast) * mean + brightness;
  for (int64_t p = 0; p < pixels; ++p) {
    const float* in = x + kColours * p;
    const float shared = grey_share * (in[0] + in[1] + in[2]) + rest;
    for (int64_t c = 0; c < kColours; ++c) out[kColours * p + c] = own * in[c] + shared;
  }
}

// Calls body(output pixel, input pixel) for every pixel that is neither cut out nor shifted in from
// outside.
template <typename Body>
void ForEachKept(const ImageAugmentation& image, int64_t side, const Body& body) {
  for (int64_t y = std::max<int64_t>(0, -image.shift_y);
       y < side - std::max<int64_t>(0, image.shift_y); ++y) {
    const bool row_is_cut = y >= image.cut_top && y < image.cut_bottom;
    for (int64_t x = std::max<int64_t>(0, -image.shift_x);
         x < side - std::max<int64_t>(0, image.shift_x); ++x) {
      if (row_is_cut && x >= image.cut_left && x < image.cut_right) continue;
      body(y * side + x, (y + image.shift_y) * side + x + image.shift_x);
    }
  }
}

bool ChangesColour(const ImageAugmentation& image) {
  return image.brightness != 0 || image.saturation != 1 || image.contrast != 1;
}

// Moves and cuts `x` into `out`; the adjoint with `back`.
void Move(const ImageAugmentation& image, int64_t side, bool back, const float* x, float* out) {
  std::fill_n(out, kColours * side * side, 0.0f);
  ForEachKept(image, side, [&](int64_t to, int64_t from) {
    if (back) std::swap(to, from);
    for (int64_t c = 0; c < kColours; ++c) out[kColours * to + c] = x[kColours * from + c];
  });
}

}  // namespace

AugmentPolicy ParseAugmentPolicy(absl::string_view list) {
  AugmentPolicy policy;
  for (const absl::string_view name : absl::StrSplit(list, ',')) {
    if (name == "color") policy.color = true;
    if (name == "translation") policy.translation = true;
    if (name == "cutout") policy.cutout = true;
  }
  return policy;
}

ImageVariation DrawVariation(uint64_t seed, uint64_t round, uint64_t slot_and_position, bool flip,
                             const AugmentPolicy& policy, int image_size) {
  base::PhiloxStream stream(seed, base::RandomPurpose::kVariation, round, slot_and_position);
  ImageVariation variation;
  variation.flip = stream.NextUniform() < 0.5f && flip;
  variation.real = Draw(stream, policy, image_size);
  variation.fake = Draw(stream, policy, image_size);
  return variation;
}

void Augment(absl::Span<const ImageAugmentation> images, int64_t side, const float* x, float* y) {
  const int64_t pixels = side * side;
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < static_cast<int64_t>(images.size()); ++i) {
    const ImageAugmentation& image = images[static_cast<size_t>(i)];
    const float* in = x + i * kColours * pixels;
    float* out = y + i * kColours * pixels;
    if (!ChangesColour(image)) {
      Move(image, side, /*back=*/false, in, out);
      continue;
    }
    std::vector<float> coloured(static_cast<size_t>(kColours * pixels));
    Recolour(image, image.brightness, pixels, in, coloured.data());
    Move(image, side, /*back=*/false, coloured.data(), out);
  }
}

void AugmentBackward(absl::Span<const ImageAugmentation> images, int64_t side,
                     const float* y_gradient, float* x_gradient) {
  const int64_t pixels = side * side;
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < static_cast<int64_t>(images.size()); ++i) {
    const ImageAugmentation& image = images[static_cast<size_t>(i)];
    const float* in = y_gradient + i * kColours * pixels;
    float* out = x_gradient + i * kColours * pixels;
    Move(image, side, /*back=*/true, in, out);
    if (!ChangesColour(image)) continue;
    const std::vector<float> moved(out, out + kColours * pixels);
    Recolour(image, /*brightness=*/0, pixels, moved.data(), out);
  }
}

}  // namespace gannet::gan
