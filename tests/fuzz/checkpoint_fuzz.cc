// A hostile checkpoint is refused; one that is read can be written and read again, and trained on.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "libs/checkpoint/checkpoint.h"
#include "libs/exchange/testing/test_values.h"
#include "libs/tensor/codec.h"

namespace {

// A small one that is good, from which the fuzzer's bytes are read as changes: at random bytes
// alone it would never come past the header.
const std::string& GoodCheckpoint() {
  static const auto& bytes = *[] {
    gannet::checkpoint::Checkpoint checkpoint;
    checkpoint.config = gannet::exchange::TinyRunConfig("fuzz");
    checkpoint.config.model.latent_dim = 1;
    checkpoint.version = gannet::base::WeightsVersion(3);
    const gannet::exchange::Payload weights = gannet::exchange::TestWeights(checkpoint.config, 1);
    const gannet::exchange::Payload adam = gannet::exchange::TestAdamState(checkpoint.config, 2);
    checkpoint.weights = *gannet::tensor::DecodeBundle(*weights.bytes, weights.codec);
    checkpoint.adam_state = *gannet::tensor::DecodeBundle(*adam.bytes, adam.codec);
    checkpoint.history.resize(1);
    checkpoint.history[0].round = gannet::base::Round(3);
    return new std::string(gannet::checkpoint::EncodeCheckpoint(checkpoint));
  }();
  return bytes;
}

// Three bytes a change: a place (most of them in the header) and a new value; the rest is cut off
// or appended.
std::string Changed(const uint8_t* data, size_t size) {
  std::string bytes = GoodCheckpoint();
  size_t i = 0;
  for (; i + 3 <= size; i += 3) {
    const size_t place = (size_t{data[i]} << 8 | data[i + 1]) % bytes.size();
    bytes[place] = static_cast<char>(data[i + 2]);
  }
  if (i < size) bytes.resize(bytes.size() - data[i] % 64);
  return bytes;
}

void Try(absl::string_view bytes) {
  const absl::StatusOr<gannet::checkpoint::Checkpoint> checkpoint =
      gannet::checkpoint::DecodeCheckpoint(bytes);
  if (!checkpoint.ok()) return;
  const auto again =
      gannet::checkpoint::DecodeCheckpoint(gannet::checkpoint::EncodeCheckpoint(*checkpoint));
  if (!again.ok() || again->config != checkpoint->config || again->version != checkpoint->version ||
      again->history != checkpoint->history) {
    std::abort();
  }
  if (checkpoint->config.images_per_unit > 1000 || checkpoint->config.units_per_round > 100 ||
      checkpoint->config.data.image_count > 1'000'000) {
    return;
  }
  gannet::checkpoint::RunFromCheckpoint(*checkpoint, checkpoint->config).status().IgnoreError();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Try({reinterpret_cast<const char*>(data), size});
  Try(Changed(data, size));
  return 0;
}
