#include "libs/gan/losses.h"

#include <iterator>

#include "libs/base/training_choices.h"

namespace gannet::gan {
namespace {

constexpr const Loss* kLosses[] = {&kBceLoss, &kHingeLoss, &kLsganLoss};
static_assert(std::size(kLosses) == std::size(kLossNames), "name every loss, and have every name");

}  // namespace

const Loss* FindLoss(absl::string_view name) {
  for (const Loss* loss : kLosses) {
    if (loss->name == name) return loss;
  }
  return nullptr;
}

}  // namespace gannet::gan
