#include "services/coordinator/sample_writer.h"

#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "libs/base/atomic_file.h"
#include "libs/base/status_macros.h"
#include "libs/data/own_output.h"
#include "libs/gan/gan.h"
#include "libs/image/image_grid.h"
#include "libs/image/image_io.h"
#include "libs/tensor/codec.h"

namespace gannet::coordinator {
namespace {

// Beyond these, required grids push out older ones; there are two of them in a run, the first and
// the last.
constexpr size_t kMaxWaiting = 3;

// Small images are shown larger.
constexpr int kSmallImageSize = 32;

absl::StatusOr<image::RgbImage> MakeGrid(const gan::ImageBatch& batch) {
  const std::vector<float> values = gan::Flattened(batch);
  image::ImageGridOptions options;
  options.columns =
      static_cast<int>(std::ceil(std::sqrt(static_cast<double>(batch.images.size()))));
  options.scale = batch.image_size <= kSmallImageSize ? 2 : 1;
  return image::MakeImageGrid(absl::MakeConstSpan(values), batch.image_size, options);
}

}  // namespace

std::string SamplePath(const std::string& directory, base::WeightsVersion version) {
  return absl::StrFormat("%s/round_%06d.png", directory, version.value());
}

SampleWriter::SampleWriter(std::string directory, const domain::RunConfig& config, int image_count,
                           base::Clock& clock, telemetry::Logger& log, CoordinatorMetrics& metrics)
    : directory_(std::move(directory)),
      config_(config),
      image_count_(image_count),
      clock_(clock),
      log_(log),
      metrics_(metrics),
      queue_(kMaxWaiting,
             [this](const exchange::Store::Snapshot& snapshot) { DrawOffered(snapshot); }) {}

absl::StatusOr<tensor::TensorBundle> WeightsToShow(const domain::RunConfig& config,
                                                   const exchange::Store::Snapshot& snapshot) {
  GANNET_ASSIGN_OR_RETURN(tensor::TensorBundle weights,
                          DecodeBundle(*snapshot.weights.bytes, snapshot.weights.codec));
  // The moments are twice as large as the weights.
  if (!config.adam.keeps_average()) return weights;
  GANNET_ASSIGN_OR_RETURN(const tensor::TensorBundle adam_state,
                          DecodeBundle(*snapshot.adam_state.bytes, snapshot.adam_state.codec));
  return gan::AveragedWeights(weights, adam_state);
}

void SampleWriter::Offer(const exchange::Store::Snapshot& snapshot, SampleNeed need) {
  if (need == SampleNeed::kRequired) {
    queue_.Push(snapshot);
  } else if (!queue_.PushIfIdle(snapshot)) {
    metrics_.samples_skipped.Increment();
  }
}

std::string SampleWriter::latest_path() {
  base::MutexLock lock(mu_);
  return latest_path_;
}

void SampleWriter::DrawOffered(const exchange::Store::Snapshot& snapshot) {
  const absl::Duration start = clock_.Steady();
  std::string path;
  if (const absl::Status status = Draw(snapshot, path); !status.ok()) {
    log_.Warning("sample grid could not be drawn",
                 {{"version", snapshot.version.value()}, {"reason", status}});
    return;
  }
  metrics_.sample_seconds.Observe(absl::ToDoubleSeconds(clock_.Steady() - start));
  base::MutexLock lock(mu_);
  latest_path_ = path;
}

absl::Status SampleWriter::Draw(const exchange::Store::Snapshot& snapshot, std::string& path) {
  GANNET_ASSIGN_OR_RETURN(const tensor::TensorBundle weights, WeightsToShow(config_, snapshot));
  GANNET_ASSIGN_OR_RETURN(const gan::ImageBatch batch,
                          gan::GenerateImages(config_.model, weights, config_.seed, image_count_));
  GANNET_ASSIGN_OR_RETURN(const image::RgbImage grid, MakeGrid(batch));
  GANNET_ASSIGN_OR_RETURN(const std::string png, data::EncodeGridPng(grid));
  path = SamplePath(directory_, snapshot.version);
  GANNET_RETURN_IF_ERROR(base::WriteFileAtomically(path, png));
  return base::WriteFileAtomically(absl::StrCat(directory_, "/latest.png"), png);
}

}  // namespace gannet::coordinator
