#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "libs/base/sha256.h"
#include "libs/base/status_macros.h"
#include "libs/data/dataset_kind.h"
#include "libs/data/image_request.h"
#include "libs/data/procedural_faces.h"

namespace gannet::data {
namespace {

// Far more faces than anybody trains on, and far below the 2^48 streams that Philox has.
constexpr int64_t kMaxFaces = int64_t{1} << 40;

static_assert(kMinDatasetImageSize >= kMinFaceSize && kMaxDatasetImageSize <= kMaxFaceSize);

class ProceduralDataset final : public Dataset {
 public:
  ProceduralDataset(const DatasetOptions& options, DatasetFingerprint fingerprint)
      : options_(options), fingerprint_(std::move(fingerprint)) {}

  int64_t size() const override { return options_.count; }
  const DatasetFingerprint& fingerprint() const override { return fingerprint_; }

  std::string NameOf(int64_t index) const override { return absl::StrFormat("face-%06d", index); }

  absl::Status ReadRgb(int64_t index, absl::Span<uint8_t> out) const override {
    GANNET_RETURN_IF_ERROR(CheckImageRequest(index, size(), options_.image_size, out.size()));
    DrawFace(options_.seed, static_cast<uint64_t>(index), options_.image_size, out);
    return absl::OkStatus();
  }

  bool has_labels() const override { return true; }
  std::vector<std::string> label_bits() const override { return FaceLabelNames(); }

  int64_t LabelOf(int64_t index) const override {
    if (index < 0 || index >= size()) return 0;
    return FaceLabels(options_.seed, static_cast<uint64_t>(index));
  }

 private:
  const DatasetOptions options_;
  const DatasetFingerprint fingerprint_;
};

absl::StatusOr<std::unique_ptr<Dataset>> Open(const DatasetOptions& options) {
  if (options.count < 1 || options.count > kMaxFaces) {
    return absl::InvalidArgumentError(absl::StrCat("count of procedural faces must be 1 to ",
                                                   kMaxFaces, ", got ", options.count));
  }
  DatasetFingerprint fingerprint;
  fingerprint.kind = "procedural";
  fingerprint.image_count = options.count;
  fingerprint.digest =
      base::Sha256Hex(absl::StrCat("gannet procedural faces\nversion ", kProceduralFacesVersion,
                                   "\nseed ", options.seed, "\ncount ", options.count, "\n"));
  fingerprint.description = absl::StrCat(options.count, " procedural faces, seed ", options.seed,
                                         ", algorithm version ", kProceduralFacesVersion);
  return std::make_unique<ProceduralDataset>(options, std::move(fingerprint));
}

}  // namespace

// Faces 0..count-1 of `seed` (procedural_faces.h); an image is known by its number. Labels are
// FaceLabel bits. The digest is of the algorithm's version, the seed and the count.
const DatasetKind datasets::procedural = {.open = Open};

}  // namespace gannet::data
