#include "libs/tensor/foreign_file.h"

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "libs/base/status_macros.h"
#include "libs/tensor/safetensors.h"

namespace gannet::tensor {
namespace {

constexpr absl::string_view kConvert =
    " of PyTorch; convert it to safetensors where PyTorch is: from safetensors.torch import "
    "save_file; save_file(torch.load(FILE, map_location='cpu'), 'weights.safetensors')";

float HalfValue(uint16_t half) {
  const int exponent = half >> 10 & 0x1f;
  const int fraction = half & 0x3ff;
  float value = exponent == 0 ? std::ldexp(static_cast<float>(fraction), -24)
                              : std::ldexp(static_cast<float>(1024 + fraction), exponent - 25);
  if (exponent == 0x1f) value = fraction == 0 ? HUGE_VALF : std::nanf("");
  return (half & 0x8000) != 0 ? -value : value;
}

// Element i of the tensor, whose type is one with a point.
float ValueAt(const TensorView& view, size_t i) {
  if (view.spec.dtype == Dtype::kF64) {
    double value = 0;
    std::memcpy(&value, view.bytes.data() + i * sizeof value, sizeof value);
    return static_cast<float>(value);
  }
  uint16_t half = 0;
  std::memcpy(&half, view.bytes.data() + i * sizeof half, sizeof half);
  return view.is_bfloat16 ? std::bit_cast<float>(uint32_t{half} << 16) : HalfValue(half);
}

Tensor ToOurs(TensorView view) {
  Tensor tensor{std::move(view.spec), std::string(view.bytes)};
  if (tensor.spec.dtype != Dtype::kF16 && tensor.spec.dtype != Dtype::kF64) return tensor;
  view.spec = tensor.spec;
  std::vector<float> values(static_cast<size_t>(tensor.spec.element_count()));
  for (size_t i = 0; i < values.size(); ++i) values[i] = ValueAt(view, i);
  return Tensor::FromF32(tensor.spec.name, tensor.spec.shape, values);
}

std::string OurName(const std::string& name) {
  std::vector<absl::string_view> parts = absl::StrSplit(name, '.');
  std::erase_if(parts,
                [](absl::string_view part) { return part == "module" || part == "_orig_mod"; });
  return absl::StrJoin(parts, ".");
}

// Adds what is not there to the statistics of every BatchNorm.
void AddBatchCounts(TensorBundle& bundle) {
  std::vector<std::string> missing;
  for (const Tensor& tensor : bundle.tensors()) {
    absl::string_view layer = tensor.spec.name;
    if (!absl::ConsumeSuffix(&layer, "running_var")) continue;
    std::string count = absl::StrCat(layer, "num_batches_tracked");
    if (bundle.Find(count) == nullptr) missing.push_back(std::move(count));
  }
  for (std::string& name : missing) bundle.Add(Tensor::FromI64Scalar(std::move(name), 0));
}

}  // namespace

absl::string_view WhatItIsInstead(absl::string_view bytes) {
  if (absl::StartsWith(bytes, "version https://git-lfs")) {
    return "a pointer of Git LFS and not the file itself; fetch that with: git lfs pull";
  }
  const absl::string_view text = absl::StripLeadingAsciiWhitespace(bytes.substr(0, 1000));
  if (absl::StartsWith(text, "<")) {
    return "a web page; download the file itself (many sites have a button or a link 'raw' for "
           "it)";
  }
  if (absl::StartsWith(text, "{\"")) {
    return "an answer in JSON, perhaps the error of a server; download the file itself";
  }
  static const std::string* const pytorch =
      new std::string(absl::StrCat("a .pth or .pt file", kConvert));
  static const std::string* const pickle = new std::string(absl::StrCat("a pickle", kConvert));
  if (absl::StartsWith(bytes, "PK\x03\x04")) return *pytorch;
  // Protocols 2 to 5 begin with their number.
  if (bytes.size() > 1 && bytes[0] == '\x80' && bytes[1] >= 2 && bytes[1] <= 5) return *pickle;
  if (absl::StartsWith(bytes, "\x1f\x8b")) return "compressed with gzip; unpack it with: gunzip";
  if (absl::StartsWith(bytes, "\x89HDF")) {
    return "an HDF5 file, as Keras saves it; only weights of PyTorch have the form of ours";
  }
  if (absl::StartsWith(bytes, "\x89PNG") || absl::StartsWith(bytes, "\xff\xd8\xff")) {
    return "a picture";
  }
  return "";
}

absl::StatusOr<TensorBundle> DecodeForeignWeights(absl::string_view bytes) {
  GANNET_ASSIGN_OR_RETURN(std::vector<TensorView> views, ParseForeignSafetensors(bytes));
  TensorBundle bundle;
  std::unordered_set<std::string> names;
  for (TensorView& view : views) {
    view.spec.name = OurName(view.spec.name);
    if (!names.insert(view.spec.name).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("two tensors have one name without 'module.': ", view.spec.name));
    }
    bundle.mutable_tensors().push_back(ToOurs(std::move(view)));
  }
  AddBatchCounts(bundle);
  return bundle;
}

}  // namespace gannet::tensor
