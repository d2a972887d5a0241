#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "libs/data/passed_over.h"

namespace gannet::data {

// Output sides that are allowed, in pixels.
inline constexpr int kMinDatasetImageSize = 8;
inline constexpr int kMaxDatasetImageSize = 1024;

// How a data set is found and read. The kinds are listed in GANNET_DATASETS
// (libs/base/training_choices.h); what each reads is said in its file, libs/data/datasets/KIND.cc.
//
// CelebA is a folder or zip like any other: shorter side to image_size, then the centre cut, is its
// usual preparation (or `crop`), and img_align_celeba/ may be the path, inside it, or doubled as in
// Kaggle's archive. Its attributes, list_attr_celeba.txt or .csv, are read from the archive, or
// from the folder or the one above it (there also below Anno/). A dataset.json as StyleGAN's tools
// write it gives labels too (labels.h). A file of labels that does not fit is no error: then there
// are none, and labels_problem() says why.
//
// Exclusions (kinds whose images are files): images that a first look at their header shows to be
// damaged are left out when the data set is opened. Those whose damage only decoding finds are
// named, one relative path a line, in the file .gannet-exclude in the folder, or ZIP.gannet-exclude
// beside the archive (dataset_check.h writes it), and are left out too. What is left out has no
// index and no part in the fingerprint, so everybody who joins a run needs the same exclusions.
struct DatasetOptions {
  std::string kind = "procedural";  // one of kDatasetNames
  std::string path;                 // unused where images are drawn (IsDrawnDataset)
  // The shorter side of an image is scaled to this many pixels, then the centre square is cut out.
  int image_size = 64;
  // Where images are files only (HasImageFiles): before that, the square of so many pixels in the
  // middle of an image is cut out; an image with a smaller side cannot be used. 0: nothing is cut,
  // and small images are enlarged.
  int crop = 0;
  uint64_t seed = 1;       // of drawn images only
  int64_t count = 10'000;  // of drawn images only
  // May be empty. Called in the calling thread while the content of files is read for the
  // fingerprint, which is once, until they change: with the bytes read and to be read.
  std::function<void(int64_t done_bytes, int64_t total_bytes)> on_reading = nullptr;
};

// What Join compares; kind and digest as in domain's DataFingerprint. The digest is a SHA-256
// of the images' content in their order; of what exactly is said where the kind is defined.
// image_size has no part in it, nor have labels.
//
// The bytes of a folder, an archive or a packed file are read once; while size, times and inode of
// a file are as they were, its SHA-256 is taken from a file in DefaultCacheFolder()
// (content_digest.h).
struct DatasetFingerprint {
  std::string kind;
  int64_t image_count = 0;
  std::string digest;       // 64 hexadecimal digits
  std::string description;  // one line for people
  // The digest of versions that looked at names and sizes only, or at an archive's checksums: a run
  // or checkpoint of theirs goes on with it. Empty for kinds whose digest is the same as ever.
  std::string former_digest = "";
};

// The digest by which whoever knows a data set under `digest` means this one: `digest` itself if it
// is the former one, else the data set's own.
const std::string& DigestKnownAs(const DatasetFingerprint& fingerprint, const std::string& digest);

// In place of the label of an image that has none in a data set that has labels: no class, and with
// no attribute known.
inline constexpr int64_t kNoLabel = -1;

// An ordered set of RGB images. The index of an image is its place in an order that is the same on
// every machine and that its kind defines.
//
// Thread safety: const methods may be called from any thread.
class Dataset {
 public:
  virtual ~Dataset() = default;

  virtual int64_t size() const = 0;
  virtual const DatasetFingerprint& fingerprint() const = 0;

  // Name for people, such as the relative path.
  virtual std::string NameOf(int64_t index) const = 0;

  // Writes image `index` as 8-bit RGB, planar (3 x image_size x image_size).
  // Returns: OUT_OF_RANGE - no such index; DATA_LOSS - the file cannot be read or decoded, or is
  // smaller than the crop, naming it.
  virtual absl::Status ReadRgb(int64_t index, absl::Span<uint8_t> out) const = 0;

  // Class or attribute bits of the image; 0 where there are none, kNoLabel where other images have
  // some.
  virtual int64_t LabelOf(int64_t /*index*/) const { return 0; }

  // Whether labels are known, and what each bit means where labels are bits; empty where they are
  // numbers of classes.
  virtual bool has_labels() const { return false; }
  virtual std::vector<std::string> label_bits() const { return {}; }

  // What lies among the images and is no part of the data set.
  virtual std::vector<PassedOver> passed_over() const { return {}; }
  // Why there are no labels although a file is there that names some; empty: no such file.
  virtual std::string labels_problem() const { return ""; }

  // Whether images are read without decoding, so that there is nothing to gain from keeping them.
  virtual bool is_decoded() const { return false; }
};

// Opens a data set.
// Returns: INVALID_ARGUMENT - an option is wrong; NOT_FOUND - the path does not exist;
// FAILED_PRECONDITION - nothing readable in it, or a file of another format, saying what was
// expected.
absl::StatusOr<std::unique_ptr<Dataset>> OpenDataset(const DatasetOptions& options);

}  // namespace gannet::data
