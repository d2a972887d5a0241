#include "libs/gan/engines/device_tensors.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <cstring>

#include "libs/base/check.h"
#include "libs/domain/network_architecture.h"

namespace gannet::gan {

at::Tensor CopyToDevice(const tensor::Tensor& tensor, at::Device device) {
  // from_blob takes a mutable pointer; the copy only reads it.
  auto* data = const_cast<float*>(tensor.f32().data());
  return at::from_blob(data, tensor.spec.shape, at::kFloat).clone().to(device);
}

void CopyToBundle(const at::Tensor& value, const std::string& name, tensor::TensorBundle& bundle) {
  const at::Tensor plain = value.detach().to(at::kCPU, at::kFloat).contiguous();
  tensor::Tensor* tensor = bundle.Find(name);
  GANNET_CHECK(tensor != nullptr &&
               static_cast<size_t>(plain.numel()) * sizeof(float) == tensor->bytes.size());
  std::memcpy(tensor->bytes.data(), plain.data_ptr<float>(), tensor->bytes.size());
}

BatchMoments MomentsOf(const at::Tensor& mean, const at::Tensor& inverse_std, int64_t rows) {
  const auto count = static_cast<double>(rows);
  return {mean.detach().to(at::kDouble),
          (inverse_std.detach().to(at::kDouble).pow(-2) - domain::kBatchNormEpsilon) *
              (count / (count - 1))};
}

at::Tensor NewHostImages(int64_t count, int64_t side, at::Device device) {
  return at::empty({count, 3, side, side}, at::TensorOptions(at::kFloat)
                                               .memory_format(at::MemoryFormat::ChannelsLast)
                                               .pinned_memory(device.is_cuda()));
}

}  // namespace gannet::gan
