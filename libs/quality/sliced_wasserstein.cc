#include "libs/quality/sliced_wasserstein.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/base/philox.h"
#include "libs/base/status_macros.h"

namespace gannet::quality {
namespace {

constexpr size_t kPatchSide = 7;
constexpr uint64_t kPatchesPerImage = 8;
// Images of this side and above are halved.
constexpr size_t kHalvedSide = 32;
constexpr int kMinImageSide = 8;

constexpr int kMaxProjections = 1 << 20;

// Eight sums side by side, so that the order of additions is the same whether or not the compiler
// uses vectors.
double Dot(absl::Span<const float> a, absl::Span<const float> b) {
  std::array<double, 8> sums{};
  size_t i = 0;
  for (; i + 8 <= a.size(); i += 8) {
    for (size_t k = 0; k < 8; ++k) {
      sums[k] += static_cast<double>(a[i + k]) * static_cast<double>(b[i + k]);
    }
  }
  for (; i < a.size(); ++i) sums[0] += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

std::vector<double> Project(absl::Span<const float> vectors, size_t count,
                            absl::Span<const float> direction) {
  std::vector<double> out(count);
  for (size_t i = 0; i < count; ++i) {
    out[i] = Dot(vectors.subspan(i * direction.size(), direction.size()), direction);
  }
  std::sort(out.begin(), out.end());
  return out;
}

bool AllFinite(absl::Span<const float> values) {
  return std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); });
}

// Planar images of a set, one after the other, or the same at a smaller size.
struct ImageSet {
  std::vector<float> values;
  size_t side;
};

// Every plane at half its size.
ImageSet Halve(const ImageSet& in) {
  ImageSet out{std::vector<float>(in.values.size() / 4), in.side / 2};
  float* to = out.values.data();
  for (size_t row = 0; row < in.values.size() / in.side; row += 2) {
    const float* top = in.values.data() + row * in.side;
    const float* bottom = top + in.side;
    for (size_t x = 0; x < in.side; x += 2) {
      *to++ = ((top[x] + top[x + 1]) + (bottom[x] + bottom[x + 1])) * 0.25f;
    }
  }
  return out;
}

// Patches at places that depend on the seed, the image's number and the size only.
std::vector<float> TakePatches(const ImageSet& set, uint64_t seed) {
  const size_t plane = set.side * set.side;
  const size_t count = set.values.size() / (3 * plane);
  const uint64_t places = set.side - kPatchSide + 1;
  std::vector<float> out;
  out.reserve(count * kPatchesPerImage * 3 * kPatchSide * kPatchSide);
  for (size_t i = 0; i < count; ++i) {
    base::PhiloxStream stream(seed, base::RandomPurpose::kPatchPlaces, i, set.side);
    for (uint64_t patch = 0; patch < kPatchesPerImage; ++patch) {
      const size_t left = stream.NextBelow(places);
      const size_t top = stream.NextBelow(places);
      for (size_t c = 0; c < 3; ++c) {
        for (size_t y = top; y < top + kPatchSide; ++y) {
          const float* row = set.values.data() + (i * 3 + c) * plane + y * set.side + left;
          out.insert(out.end(), row, row + kPatchSide);
        }
      }
    }
  }
  return out;
}

// The number of images, which must be whole, finite and at least one.
absl::StatusOr<int64_t> CountImages(absl::Span<const float> images, int image_size) {
  if (image_size < kMinImageSide) {
    return absl::InvalidArgumentError(
        absl::StrCat("images must have a side of at least ", kMinImageSide, ", got ", image_size));
  }
  const size_t values = 3 * static_cast<size_t>(image_size) * static_cast<size_t>(image_size);
  if (images.empty() || images.size() % values != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "whole images of ", values, " values expected, got ", images.size(), " values"));
  }
  if (!AllFinite(images)) return absl::InvalidArgumentError("images need finite values");
  return static_cast<int64_t>(images.size() / values);
}

}  // namespace

absl::StatusOr<double> SlicedWassersteinDistance(absl::Span<const float> a,
                                                 absl::Span<const float> b, int64_t count,
                                                 const SlicedWassersteinOptions& options) {
  if (options.projections < 1 || options.projections > kMaxProjections) {
    return absl::InvalidArgumentError(
        absl::StrCat("projections must be 1 to ", kMaxProjections, ", got ", options.projections));
  }
  if (count < 1 || a.empty() || a.size() != b.size() ||
      a.size() % static_cast<size_t>(count) != 0) {
    return absl::InvalidArgumentError(absl::StrCat("distance needs two sets of equal size, got ",
                                                   a.size(), " and ", b.size(), " values for ",
                                                   count, " vectors each"));
  }
  if (!AllFinite(a) || !AllFinite(b)) {
    return absl::InvalidArgumentError("distance needs finite values");
  }
  const size_t vectors = static_cast<size_t>(count);
  std::vector<float> direction(a.size() / vectors);
  double total = 0;
  for (int p = 0; p < options.projections; ++p) {
    // Normal components make directions uniform on the sphere.
    base::PhiloxStream stream(options.seed, base::RandomPurpose::kProjections,
                              static_cast<uint64_t>(p), 0);
    base::FillNormal(stream, absl::MakeSpan(direction));
    const double length = std::sqrt(Dot(direction, direction));
    const std::vector<double> left = Project(a, vectors, direction);
    const std::vector<double> right = Project(b, vectors, direction);
    double difference = 0;
    for (size_t i = 0; i < vectors; ++i) difference += std::abs(left[i] - right[i]);
    // A normal vector of length 0 has probability 0, and 32-bit draws never make one.
    total += difference / length / static_cast<double>(vectors);
  }
  return total / options.projections;
}

absl::StatusOr<double> ImageSetDistance(absl::Span<const float> a, absl::Span<const float> b,
                                        int image_size, const SlicedWassersteinOptions& options) {
  GANNET_ASSIGN_OR_RETURN(const int64_t count, CountImages(a, image_size));
  GANNET_ASSIGN_OR_RETURN(const int64_t other_count, CountImages(b, image_size));
  if (count != other_count) {
    return absl::InvalidArgumentError(absl::StrCat("distance needs sets of equal size, got ", count,
                                                   " and ", other_count, " images"));
  }
  const size_t side = static_cast<size_t>(image_size);
  ImageSet left{{a.begin(), a.end()}, side};
  ImageSet right{{b.begin(), b.end()}, side};
  double sum = 0;
  int parts = 0;
  while (true) {
    GANNET_ASSIGN_OR_RETURN(
        const double patches,
        SlicedWassersteinDistance(TakePatches(left, options.seed), TakePatches(right, options.seed),
                                  count * static_cast<int64_t>(kPatchesPerImage), options));
    sum += patches;
    ++parts;
    if (left.side < kHalvedSide || left.side % 2 != 0) break;
    left = Halve(left);
    right = Halve(right);
  }
  GANNET_ASSIGN_OR_RETURN(const double whole,
                          SlicedWassersteinDistance(left.values, right.values, count, options));
  return (sum + whole) / (parts + 1);
}

absl::StatusOr<double> PixelSpread(absl::Span<const float> images, int image_size) {
  GANNET_ASSIGN_OR_RETURN(const int64_t count, CountImages(images, image_size));
  const size_t values = images.size() / static_cast<size_t>(count);
  double total = 0;
  for (size_t k = 0; k < values; ++k) {
    double mean = 0;
    for (size_t i = k; i < images.size(); i += values) mean += static_cast<double>(images[i]);
    mean /= static_cast<double>(count);
    double variance = 0;
    for (size_t i = k; i < images.size(); i += values) {
      const double difference = static_cast<double>(images[i]) - mean;
      variance += difference * difference;
    }
    total += std::sqrt(variance / static_cast<double>(count));
  }
  return total / static_cast<double>(values);
}

}  // namespace gannet::quality
