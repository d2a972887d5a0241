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

const Loss kLsganLoss = {
    .name = "lsgan", .real = Real, .fake = Fake, .generator = Generator, .threshold = 0.5};

}  // namespace gannet::gan
