#include "libs/gan/losses.h"

namespace gannet::gan {

const Loss* FindLoss(absl::string_view name) {
#define GANNET_FIND_LOSS(loss, knows_target) \
  if (name == #loss) return &losses::loss;
  GANNET_LOSSES(GANNET_FIND_LOSS)
#undef GANNET_FIND_LOSS
  return nullptr;
}

}  // namespace gannet::gan
