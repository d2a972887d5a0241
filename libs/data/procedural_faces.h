#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/span.h"

namespace gannet::data {

// Portraits that are computed, not stored: every machine has the same data set without a download.
// Image `index` of seed `seed` is a pure function of the two numbers and the size, with the same
// bits on every machine: it uses only + - * / and square root on IEEE floats (each of them exactly
// rounded; contraction to fused operations is off for this file), and Philox for chance. No
// function of libm other than sqrt is called.
//
// A face is a stack of soft-edged shapes on a background: shoulders, hair behind, neck, ears, head
// (shaded as an egg lit from one side), eyes, nose, mouth, hair in front, hat. Coverage of every
// edge is computed from the distance to it in pixels, so that any size may be drawn directly.

// Part of the fingerprint: raised whenever any pixel of any face changes.
inline constexpr int kProceduralFacesVersion = 1;

inline constexpr int kMinFaceSize = 8;
inline constexpr int kMaxFaceSize = 1024;

// Bits of a face's label.
enum FaceLabel : int64_t {
  kFaceSmiling = 1 << 0,
  kFaceMouthOpen = 1 << 1,
  kFaceGlasses = 1 << 2,
  kFaceSunglasses = 1 << 3,  // kFaceGlasses is set too
  kFaceBeard = 1 << 4,
  kFaceMoustache = 1 << 5,
  kFaceHat = 1 << 6,
  kFaceBald = 1 << 7,
  kFaceLongHair = 1 << 8,
  kFaceFringe = 1 << 9,
  kFaceBun = 1 << 10,
  kFaceAfro = 1 << 11,
  kFaceDarkHair = 1 << 12,    // black or dark brown
  kFaceFairHair = 1 << 13,    // light brown or blond
  kFaceRedHair = 1 << 14,     // ginger
  kFaceGreyHair = 1 << 15,    // grey or white
  kFaceDyedHair = 1 << 16,    // no natural colour
  kFaceDarkSkin = 1 << 17,    // the darker half of the skin tones
  kFaceTurnedLeft = 1 << 18,  // clearly towards the left edge of the picture
  kFaceTurnedRight = 1 << 19,
};

// Draws a face as planar RGB (3 x size x size values). `index` must be below 2^48 and `size` within
// the limits above.
void DrawFace(uint64_t seed, uint64_t index, int size, absl::Span<uint8_t> rgb);

// FaceLabel bits of the same face.
int64_t FaceLabels(uint64_t seed, uint64_t index);

// What each bit of FaceLabel means, from bit 0: "smiling".
std::vector<std::string> FaceLabelNames();

}  // namespace gannet::data
