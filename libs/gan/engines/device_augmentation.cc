#include "libs/gan/engines/device_augmentation.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

namespace gannet::gan {

DeviceAugmentation::DeviceAugmentation(absl::Span<const ImageAugmentation> images, int64_t side,
                                       at::Device device) {
  const auto count = static_cast<int64_t>(images.size());
  at::Tensor source = at::zeros({count, 1, side * side}, at::kLong);
  at::Tensor kept = at::zeros({count, 1, side * side}, at::kFloat);
  at::Tensor colours = at::empty({4, count}, at::kFloat);
  for (int64_t i = 0; i < count; ++i) {
    const ImageAugmentation& image = images[static_cast<size_t>(i)];
    float* colour = colours.data_ptr<float>() + i;
    colour[0] = image.contrast * image.saturation;
    colour[count] = image.contrast * (1 - image.saturation);
    colour[2 * count] = 1 - image.contrast;
    colour[3 * count] = image.brightness;
    int64_t* from = source.data_ptr<int64_t>() + i * side * side;
    float* keep = kept.data_ptr<float>() + i * side * side;
    for (int64_t y = 0; y < side; ++y) {
      for (int64_t x = 0; x < side; ++x) {
        const int64_t sx = x + image.shift_x, sy = y + image.shift_y;
        const bool inside = sx >= 0 && sx < side && sy >= 0 && sy < side;
        const bool cut = y >= image.cut_top && y < image.cut_bottom && x >= image.cut_left &&
                         x < image.cut_right;
        if (!inside || cut) continue;
        from[y * side + x] = sy * side + sx;
        keep[y * side + x] = 1;
      }
    }
  }
  source_ = source.to(device).expand({count, 3, side * side});
  kept_ = kept.to(device);
  colours_ = colours.to(device);
}

at::Tensor DeviceAugmentation::Apply(const at::Tensor& images) const {
  const at::Tensor x = Recolour(images) + Factor(3);
  return (x.flatten(2).gather(2, source_) * kept_)
      .view(images.sizes())
      .contiguous(at::MemoryFormat::ChannelsLast);
}

at::Tensor DeviceAugmentation::Backward(const at::Tensor& gradient) const {
  const at::Tensor flat = gradient.flatten(2) * kept_;
  const at::Tensor moved =
      at::zeros_like(flat, at::MemoryFormat::Contiguous).scatter_add_(2, source_, flat);
  return Recolour(moved.view(gradient.sizes())).contiguous(at::MemoryFormat::ChannelsLast);
}

at::Tensor DeviceAugmentation::Factor(int64_t which) const {
  return colours_.select(0, which).view({-1, 1, 1, 1});
}

at::Tensor DeviceAugmentation::Recolour(const at::Tensor& x) const {
  return Factor(0) * x + Factor(1) * x.mean(at::IntArrayRef{1}, true) +
         Factor(2) * x.mean(at::IntArrayRef{1, 2, 3}, true);
}

}  // namespace gannet::gan
