#include <algorithm>
#include <cmath>

#include "libs/gan/losses.h"

namespace gannet::gan {
namespace {

// log(1 + exp(x)) without overflow.
double Softplus(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))); }

double Sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }

LossTerm Real(double logit, double real_label) {
  return {Softplus(logit) - real_label * logit, Sigmoid(logit) - real_label};
}

LossTerm Fake(double logit) { return {Softplus(logit), Sigmoid(logit)}; }

// -Sigmoid(-x) is Sigmoid(x) - 1 without cancellation.
LossTerm Generator(double logit) { return {Softplus(logit) - logit, -Sigmoid(-logit)}; }

}  // namespace

// Binary cross entropy with logits; the generator's is the one that does not saturate (Goodfellow
// et al. 2014, section 3).
const Loss losses::bce = {.real = Real, .fake = Fake, .generator = Generator, .threshold = 0};

}  // namespace gannet::gan
