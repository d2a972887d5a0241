#include "services/worker/read_ahead.h"

#include <algorithm>
#include <utility>

namespace gannet::worker {

void ReadAhead::Begin(std::vector<int64_t> indices, size_t image_bytes) {
  std::sort(indices.begin(), indices.end());
  auto batch = std::make_shared<Batch>();
  batch->indices = indices;
  batch->images = std::async(std::launch::async, [&dataset = dataset_, wanted = std::move(indices),
                                                  image_bytes] {
                    std::vector<std::vector<uint8_t>> images(wanted.size());
                    for (size_t i = 0; i < wanted.size(); ++i) {
                      std::vector<uint8_t> image(image_bytes);
                      if (dataset.ReadRgb(wanted[i], absl::MakeSpan(image)).ok()) {
                        images[i] = std::move(image);
                      }
                    }
                    return images;
                  }).share();
  std::shared_ptr<const Batch> before;
  {
    const base::MutexLock lock(mu_);
    before = std::exchange(batch_, std::move(batch));
  }
  // Here, outside the lock, the last reference to what was read before may go.
}

absl::Status ReadAhead::Read(int64_t index, absl::Span<uint8_t> out) const {
  std::shared_ptr<const Batch> batch;
  {
    const base::MutexLock lock(mu_);
    batch = batch_;
  }
  if (batch != nullptr) {
    const auto found = std::lower_bound(batch->indices.begin(), batch->indices.end(), index);
    if (found != batch->indices.end() && *found == index) {
      const std::vector<uint8_t>& image =
          batch->images.get()[static_cast<size_t>(found - batch->indices.begin())];
      if (image.size() == out.size()) {
        std::copy(image.begin(), image.end(), out.begin());
        return absl::OkStatus();
      }
    }
  }
  return dataset_.ReadRgb(index, out);
}

}  // namespace gannet::worker
