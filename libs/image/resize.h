#pragma once

#include <cstdint>

#include "absl/types/span.h"
#include "libs/image/image_io.h"

namespace gannet::image {

// Scales `image` so that its shorter side becomes `image_size`, cuts the centre square out and
// writes it planar (3 x image_size x image_size). The longer side and the cut are rounded as
// torchvision's Resize and CenterCrop do.
//
// Downscaling averages over the area that an output pixel stands for, with weights that fall off
// linearly (the antialiased bilinear filter of Pillow); upscaling is bilinear. Weights are rounded
// to 22-bit integers and summed as integers, so that equal pictures give equal bits on every
// machine.
void ResizeAndCrop(const RgbImage& image, int image_size, absl::Span<uint8_t> planar);

}  // namespace gannet::image
