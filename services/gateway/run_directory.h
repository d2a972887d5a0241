#pragma once

#include <map>
#include <memory>

#include "libs/base/mutex.h"
#include "libs/base/typed_id.h"
#include "libs/domain/run_config.h"
#include "libs/tensor/tensor_bundle.h"

namespace gannet::gateway {

// What gradients of a run must look like, learnt from what the database says of it.
//
// Thread safety: all methods may be called from any thread.
class RunDirectory {
 public:
  // Names and shapes of a gradient of the run, or null when the run is not known here.
  std::shared_ptr<const tensor::BundleSpec> FindGradientSpec(base::RunId run);

  // Takes note of a run that the database described, and returns its layout. Keeps the 64 newest.
  std::shared_ptr<const tensor::BundleSpec> Learn(base::RunId run, const domain::RunConfig& config);

  // Forgets everything.
  void Clear();

 private:
  base::Mutex mu_;
  std::map<base::RunId, std::shared_ptr<const tensor::BundleSpec>> gradient_specs_
      ABSL_GUARDED_BY(mu_);
};

}  // namespace gannet::gateway
