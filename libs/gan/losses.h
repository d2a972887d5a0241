#pragma once

#include "absl/strings/string_view.h"
#include "libs/base/training_choices.h"

// Adversarial losses. One is a file in losses/ and its line in GANNET_LOSSES
// (libs/base/training_choices.h); losses_test.cc and gradient_computer_test.cc then cover it.

namespace gannet::gan {

// What one image adds to a loss, and its derivative by the logit.
struct LossTerm {
  double value = 0;
  double derivative = 0;
};

// The discriminator's loss is the mean of `real` over real images plus that of `fake` over
// generated ones; the generator's is the mean of `generator` over generated images.
struct Loss {
  LossTerm (*real)(double logit, double real_label);
  LossTerm (*fake)(double logit);
  LossTerm (*generator)(double fake_logit);
  // Above it an image counts as judged real.
  double threshold = 0;
};

// Each is defined in the file of its name.
namespace losses {
#define GANNET_DECLARE_LOSS(name, knows_target) extern const Loss name;
GANNET_LOSSES(GANNET_DECLARE_LOSS)
#undef GANNET_DECLARE_LOSS
}  // namespace losses

// The loss of that name, or null.
const Loss* FindLoss(absl::string_view name);

}  // namespace gannet::gan
