#include "cli/frame_choice.h"

namespace gannet::cli {

std::vector<size_t> ChooseFrames(size_t count, size_t max) {
  std::vector<size_t> chosen;
  if (count <= max) {
    for (size_t i = 0; i < count; ++i) chosen.push_back(i);
  } else if (max == 1) {
    chosen.push_back(count - 1);
  } else {
    for (size_t i = 0; i < max; ++i) chosen.push_back(i * (count - 1) / (max - 1));
  }
  return chosen;
}

}  // namespace gannet::cli
