#include "cli/dataset_source.h"

namespace gannet {

DatasetOptions DatasetOptionsFrom(const Config& config) {
  return {.kind = config.data.kind,
          .path = config.data.path,
          .image_size = config.model.image_size,
          .crop = config.data.crop,
          .seed = config.data.seed,
          .count = config.data.count};
}

}  // namespace gannet
