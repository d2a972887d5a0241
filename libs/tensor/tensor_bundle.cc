#include "libs/tensor/tensor_bundle.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <unordered_map>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/base/check.h"

namespace gannet::tensor {

// Tensors are little-endian in memory and on the wire; a big-endian machine would need swaps.
static_assert(std::endian::native == std::endian::little);

namespace {

constexpr size_t kNamedDifferences = 3;
constexpr size_t kMaxShownNameBytes = 100;

// A name, which a peer may have chosen, for a message: short and printable.
std::string ShowName(const std::string& name) {
  return absl::StrCat("'", absl::CHexEscape(name.substr(0, kMaxShownNameBytes)), "'");
}

const char* DtypeName(Dtype dtype) {
  switch (dtype) {
    case Dtype::kF32:
      return "F32";
    case Dtype::kF16:
      return "F16";
    case Dtype::kI64:
      return "I64";
    case Dtype::kF64:
      return "F64";
  }
  return "?";
}

std::string DescribeForm(const TensorSpec& spec) {
  return absl::StrCat(DtypeName(spec.dtype), "[", absl::StrJoin(spec.shape, ","), "]");
}

size_t SpecBytes(const TensorSpec& spec) {
  return static_cast<size_t>(spec.element_count()) * DtypeBytes(spec.dtype);
}

// The position of the first word whose exponent bits are all set, which is what NaN and infinity
// have in common; `count` when there is none. Blocks are tested without a branch inside, so that
// the compiler uses vectors.
template <typename Word>
size_t FindNonFinite(const char* bytes, size_t count, Word exponent_mask) {
  constexpr size_t kBlock = 4096;
  Word block[kBlock];
  for (size_t begin = 0; begin < count; begin += kBlock) {
    const size_t size = std::min(kBlock, count - begin);
    std::memcpy(block, bytes + begin * sizeof(Word), size * sizeof(Word));
    Word found = 0;
    for (size_t i = 0; i < size; ++i) {
      found |= static_cast<Word>((block[i] & exponent_mask) == exponent_mask);
    }
    if (found == 0) continue;
    for (size_t i = 0; i < size; ++i) {
      if ((block[i] & exponent_mask) == exponent_mask) return begin + i;
    }
  }
  return count;
}

}  // namespace

size_t DtypeBytes(Dtype dtype) {
  switch (dtype) {
    case Dtype::kF32:
      return 4;
    case Dtype::kF16:
      return 2;
    case Dtype::kI64:
    case Dtype::kF64:
      return 8;
  }
  base::CheckFailed(__FILE__, __LINE__, "dtype is one of the enumerators");
}

int64_t TensorSpec::element_count() const {
  int64_t count = 1;
  for (const int64_t size : shape) {
    GANNET_CHECK(size >= 0);
    GANNET_CHECK(size == 0 || count <= std::numeric_limits<int64_t>::max() / size);
    count *= size;
  }
  return count;
}

absl::Span<const float> Tensor::f32() const {
  GANNET_CHECK(spec.dtype == Dtype::kF32);
  return {reinterpret_cast<const float*>(bytes.data()), bytes.size() / sizeof(float)};
}

absl::Span<float> Tensor::mutable_f32() {
  GANNET_CHECK(spec.dtype == Dtype::kF32);
  return {reinterpret_cast<float*>(bytes.data()), bytes.size() / sizeof(float)};
}

absl::Span<const double> Tensor::f64() const {
  GANNET_CHECK(spec.dtype == Dtype::kF64);
  return {reinterpret_cast<const double*>(bytes.data()), bytes.size() / sizeof(double)};
}

int64_t Tensor::i64_scalar() const {
  GANNET_CHECK(spec.dtype == Dtype::kI64 && bytes.size() == sizeof(int64_t));
  int64_t value = 0;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

Tensor Tensor::Zeros(TensorSpec spec) {
  const size_t size = SpecBytes(spec);
  return Tensor{std::move(spec), std::string(size, '\0')};
}

Tensor Tensor::FromF32(std::string name, std::vector<int64_t> shape,
                       absl::Span<const float> values) {
  Tensor tensor{{std::move(name), Dtype::kF32, std::move(shape)}, {}};
  GANNET_CHECK(static_cast<size_t>(tensor.spec.element_count()) == values.size());
  tensor.bytes.assign(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
  return tensor;
}

Tensor Tensor::FromF64(std::string name, std::vector<int64_t> shape,
                       absl::Span<const double> values) {
  Tensor tensor{{std::move(name), Dtype::kF64, std::move(shape)}, {}};
  GANNET_CHECK(static_cast<size_t>(tensor.spec.element_count()) == values.size());
  tensor.bytes.assign(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(double));
  return tensor;
}

Tensor Tensor::FromI64Scalar(std::string name, int64_t value) {
  Tensor tensor{{std::move(name), Dtype::kI64, {}}, {}};
  tensor.bytes.assign(reinterpret_cast<const char*>(&value), sizeof value);
  return tensor;
}

void TensorBundle::Add(Tensor tensor) {
  GANNET_CHECK(Find(tensor.spec.name) == nullptr);
  GANNET_CHECK(tensor.bytes.size() == SpecBytes(tensor.spec));
  tensors_.push_back(std::move(tensor));
}

const Tensor* TensorBundle::Find(absl::string_view name) const {
  for (const Tensor& tensor : tensors_) {
    if (tensor.spec.name == name) return &tensor;
  }
  return nullptr;
}

Tensor* TensorBundle::Find(absl::string_view name) {
  return const_cast<Tensor*>(std::as_const(*this).Find(name));
}

absl::Status TensorBundle::CheckSpec(const BundleSpec& spec) const {
  std::unordered_map<std::string, const TensorSpec*> expected;
  for (const TensorSpec& wanted : spec) expected.emplace(wanted.name, &wanted);

  size_t difference_count = 0;
  std::vector<std::string> differences;
  const auto add_difference = [&](std::string text) {
    if (++difference_count <= kNamedDifferences) differences.push_back(std::move(text));
  };
  for (const Tensor& tensor : tensors_) {
    const auto it = expected.find(tensor.spec.name);
    if (it == expected.end()) {
      add_difference(absl::StrCat("surplus or repeated ", ShowName(tensor.spec.name)));
      continue;
    }
    if (tensor.spec != *it->second) {
      add_difference(absl::StrCat(ShowName(tensor.spec.name), " expected ",
                                  DescribeForm(*it->second), " got ", DescribeForm(tensor.spec)));
    }
    expected.erase(it);
  }
  for (const TensorSpec& wanted : spec) {
    if (expected.count(wanted.name) > 0) {
      add_difference(
          absl::StrCat("missing ", ShowName(wanted.name), " expected ", DescribeForm(wanted)));
    }
  }
  if (difference_count == 0) return absl::OkStatus();
  if (difference_count > kNamedDifferences) {
    differences.push_back(absl::StrCat(difference_count - kNamedDifferences, " more"));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("tensors differ from the layout expected: ", absl::StrJoin(differences, "; ")));
}

absl::Status TensorBundle::CheckFinite() const {
  for (const Tensor& tensor : tensors_) {
    size_t count = 0;
    size_t position = 0;
    if (tensor.spec.dtype == Dtype::kF32) {
      count = tensor.bytes.size() / sizeof(uint32_t);
      position = FindNonFinite<uint32_t>(tensor.bytes.data(), count, 0x7F800000u);
    } else if (tensor.spec.dtype == Dtype::kF16) {
      count = tensor.bytes.size() / sizeof(uint16_t);
      position = FindNonFinite<uint16_t>(tensor.bytes.data(), count, 0x7C00u);
    }
    if (position < count) {
      return absl::InvalidArgumentError(absl::StrCat("value is NaN or infinite: tensor ",
                                                     ShowName(tensor.spec.name), ", position ",
                                                     position));
    }
  }
  return absl::OkStatus();
}

}  // namespace gannet::tensor
