#pragma once

#include <cstdint>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

// How images are varied before the discriminator sees them: horizontal flips of real images, and
// DiffAugment (Zhao et al. 2020, "Differentiable augmentation for data-efficient GAN training"),
// which is applied to real and generated images alike and through which the generator's gradient
// passes. Each operation is linear in the image, so its gradient is its adjoint.
//
// Every image draws its own numbers from a stream named by its round, slot and position: they do
// not depend on micro-batch, attempt or worker. Nothing here includes torch.

namespace gannet::gan {

// Which parts of DiffAugment are in use.
struct AugmentPolicy {
  bool color = false;
  bool translation = false;
  bool cutout = false;

  bool any() const { return color || translation || cutout; }
};

// Of a list that CheckAugmentList finds nothing wrong with.
AugmentPolicy ParseAugmentPolicy(absl::string_view list);

// The operations on one image, in this order.
struct ImageAugmentation {
  float brightness = 0;  // added
  float saturation = 1;  // times the distance of a pixel from its grey
  float contrast = 1;    // times the distance of a pixel from the image's mean
  // Output pixel (x, y) is input pixel (x + shift_x, y + shift_y), or 0 where there is none.
  int shift_x = 0;
  int shift_y = 0;
  // Rows top to bottom - 1 and columns left to right - 1 are 0.
  int cut_top = 0;
  int cut_bottom = 0;
  int cut_left = 0;
  int cut_right = 0;
};

struct ImageVariation {
  bool flip = false;  // of the real image
  ImageAugmentation real, fake;
};

// The variation of the image whose stream is (seed, kVariation, round, slot_and_position); what is
// not in use stays as it is by default.
ImageVariation DrawVariation(uint64_t seed, uint64_t round, uint64_t slot_and_position, bool flip,
                             const AugmentPolicy& policy, int image_size);

// y = the augmented images. NHWC, images x side x side x 3; `x` and `y` do not overlap.
void Augment(absl::Span<const ImageAugmentation> images, int64_t side, const float* x, float* y);

// From the gradient by y the gradient by x.
void AugmentBackward(absl::Span<const ImageAugmentation> images, int64_t side,
                     const float* y_gradient, float* x_gradient);

}  // namespace gannet::gan
