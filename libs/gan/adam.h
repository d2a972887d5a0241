#pragma once

#include <cstdint>

#include "libs/domain/run_config.h"
#include "libs/tensor/tensor_bundle.h"

namespace gannet::gan {

// Step `step`, from 1, of torch.optim.Adam (single-tensor form, amsgrad off, no weight decay;
// Kingma and Ba 2014), in place: the parameters in `weights`, each network at its own learning
// rate, and the moments NAME.exp_avg and NAME.exp_avg_sq in `adam_state`. Nothing else of the
// bundles is touched. Each operation is rounded to float in PyTorch's order, so no thread count and
// no CPU changes a bit.
//
// `gradient`, `weights` and `adam_state` have every tensor of ParameterSpec(model), or its moments.
void AdamStep(const domain::ModelConfig& model, const domain::AdamConfig& adam, int64_t step,
              const tensor::TensorBundle& gradient, tensor::TensorBundle& weights,
              tensor::TensorBundle& adam_state);

}  // namespace gannet::gan
