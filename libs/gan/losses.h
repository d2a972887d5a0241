#pragma once

#include "absl/strings/string_view.h"

// Adversarial losses. One is a file in losses/, its name in libs/base/training_choices.h and a line
// in losses.cc; the tests of gradient_computer_test.cc and losses_test.cc then cover it.

namespace gannet::gan {

// What one image adds to a loss, and its derivative by the logit.
struct LossTerm {
  double value = 0;
  double derivative = 0;
};

// The discriminator's loss is the mean of `real` over real images plus that of `fake` over
// generated ones; the generator's is the mean of `generator` over generated images.
struct Loss {
  absl::string_view name;
  LossTerm (*real)(double logit, double real_label);
  LossTerm (*fake)(double logit);
  LossTerm (*generator)(double fake_logit);
  // Above it an image counts as judged real.
  double threshold = 0;
};

// Binary cross entropy with logits; the generator's is the one that does not saturate (Goodfellow
// et al. 2014, section 3).
extern const Loss kBceLoss;

// Hinge (Lim and Ye 2017; Miyato et al. 2018, equations 16 and 17). Knows no label.
extern const Loss kHingeLoss;

// Least squares (Mao et al. 2017) with targets real_label, 0 and 1, as nn.MSELoss, without the
// paper's factor 1/2.
extern const Loss kLsganLoss;

// The loss of that name, or null.
const Loss* FindLoss(absl::string_view name);

}  // namespace gannet::gan
