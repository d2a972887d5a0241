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

// Hinge (Lim and Ye 2017; Miyato et al. 2018, equations 16 and 17).
const Loss losses::hinge = {.real = Real, .fake = Fake, .generator = Generator, .threshold = 0};

}  // namespace gannet::gan
