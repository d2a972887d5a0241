#include "libs/data/image_cache.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "libs/base/status_macros.h"
#include "libs/data/image_request.h"

namespace gannet::data {

ImageCache::ImageCache(std::unique_ptr<Dataset> dataset, int image_size, int64_t byte_limit)
    : dataset_(std::move(dataset)),
      image_size_(image_size),
      image_bytes_(int64_t{3} * image_size * image_size),
      image_count_max_(std::max<int64_t>(0, byte_limit) / image_bytes_),
      // Without room for an image there is no need for slots.
      slots_(image_count_max_ == 0 ? 0 : static_cast<size_t>(dataset_->size())) {}

ImageCache::~ImageCache() {
  for (const std::atomic<const uint8_t*>& slot : slots_) delete[] slot.load();
}

absl::Status ImageCache::ReadRgb(int64_t index, absl::Span<uint8_t> out) const {
  GANNET_RETURN_IF_ERROR(CheckImageRequest(index, size(), image_size_, out.size()));
  if (slots_.empty()) return dataset_->ReadRgb(index, out);
  std::atomic<const uint8_t*>& slot = slots_[static_cast<size_t>(index)];
  if (const uint8_t* image = slot.load(std::memory_order_acquire); image != nullptr) {
    std::memcpy(out.data(), image, out.size());
    return absl::OkStatus();
  }
  GANNET_RETURN_IF_ERROR(dataset_->ReadRgb(index, out));
  if (claimed_.load(std::memory_order_relaxed) >= image_count_max_) return absl::OkStatus();
  if (claimed_.fetch_add(1) >= image_count_max_) {
    claimed_.fetch_sub(1);
    return absl::OkStatus();
  }
  auto copy = std::make_unique<uint8_t[]>(out.size());
  std::memcpy(copy.get(), out.data(), out.size());
  const uint8_t* expected = nullptr;
  if (slot.compare_exchange_strong(expected, copy.get(), std::memory_order_acq_rel)) {
    copy.release();
    held_.fetch_add(1);
  } else {
    claimed_.fetch_sub(1);
  }
  return absl::OkStatus();
}

int64_t ImageCache::held_bytes() const { return held_.load() * image_bytes_; }

}  // namespace gannet::data
