#include "libs/gan/losses.h"

namespace gannet::gan {
namespace {

LossTerm Real(double logit, double /*real_label*/) {
  if (logit >= 1) return {};
  return {1 - logit, -1};
}

LossTerm Fake(double logit) {
  if (logit <= -1) return {};
  return {1 + logit, 1};
}

LossTerm Generator(double logit) { return {-logit, -1}; }

}  // namespace

const Loss kHingeLoss = {
    .name = "hinge", .real = Real, .fake = Fake, .generator = Generator, .threshold = 0};

}  // namespace gannet::gan
