#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "libs/data/dataset.h"

namespace gannet::data {

// A data set that remembers decoded images, so that a worker decodes (or draws) each one once. The
// first images that are read stay, up to a limit in bytes, and the others are decoded whenever they
// are read: an epoch visits every image once, in an order that is drawn anew, which is the pattern
// under which a cache that evicts the oldest never has what is asked for.
//
// Thread safety: as any data set's. Two threads that read the same new image at once both decode
// it; one result is kept.
class ImageCache final : public Dataset {
 public:
  // `image_size` is the one that `dataset` was opened with; `byte_limit` counts pixels, 3 bytes
  // each. A limit of 0 keeps nothing.
  ImageCache(std::unique_ptr<Dataset> dataset, int image_size, int64_t byte_limit);
  ~ImageCache() override;

  int64_t size() const override { return dataset_->size(); }
  const DatasetFingerprint& fingerprint() const override { return dataset_->fingerprint(); }
  std::string NameOf(int64_t index) const override { return dataset_->NameOf(index); }
  absl::Status ReadRgb(int64_t index, absl::Span<uint8_t> out) const override;
  int64_t LabelOf(int64_t index) const override { return dataset_->LabelOf(index); }
  bool has_labels() const override { return dataset_->has_labels(); }
  std::vector<std::string> label_bits() const override { return dataset_->label_bits(); }
  std::string labels_problem() const override { return dataset_->labels_problem(); }

  // Bytes of pixels that are held, never above the limit.
  int64_t held_bytes() const;

 private:
  const std::unique_ptr<Dataset> dataset_;
  const int image_size_;
  const int64_t image_bytes_;
  const int64_t image_count_max_;
  // Images that are held or about to be.
  mutable std::atomic<int64_t> claimed_{0};
  mutable std::atomic<int64_t> held_{0};
  // By index; null until the image is held, then constant. Owned.
  mutable std::vector<std::atomic<const uint8_t*>> slots_;
};

}  // namespace gannet::data
