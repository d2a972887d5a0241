#include "libs/gan/losses.h"

namespace gannet::gan {
namespace {

LossTerm Towards(double logit, double target) {
  const double difference = logit - target;
  return {difference * difference, 2 * difference};
}

LossTerm Real(double logit, double real_label) { return Towards(logit, real_label); }
LossTerm Fake(double logit) { return Towards(logit, 0); }
LossTerm Generator(double logit) { return Towards(logit, 1); }

}  // namespace

// Least squares (Mao et al. 2017) with targets real_label, 0 and 1, as nn.MSELoss, without the
// paper's factor 1/2.
const Loss losses::lsgan = {.real = Real, .fake = Fake, .generator = Generator, .threshold = 0.5};

}  // namespace gannet::gan
