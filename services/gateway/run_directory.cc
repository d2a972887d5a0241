#include "services/gateway/run_directory.h"

#include "libs/domain/model_layout.h"

namespace gannet::gateway {
namespace {

constexpr size_t kMaxRuns = 64;

}  // namespace

std::shared_ptr<const tensor::BundleSpec> RunDirectory::FindGradientSpec(base::RunId run) {
  base::MutexLock lock(mu_);
  const auto found = gradient_specs_.find(run);
  return found == gradient_specs_.end() ? nullptr : found->second;
}

std::shared_ptr<const tensor::BundleSpec> RunDirectory::Learn(base::RunId run,
                                                              const domain::RunConfig& config) {
  // The model of a run never changes.
  if (auto known = FindGradientSpec(run); known != nullptr) return known;
  auto spec = std::make_shared<const tensor::BundleSpec>(domain::GradientSpec(config.model));
  base::MutexLock lock(mu_);
  gradient_specs_.emplace(run, spec);
  if (gradient_specs_.size() > kMaxRuns) gradient_specs_.erase(gradient_specs_.begin());
  return spec;
}

void RunDirectory::Clear() {
  base::MutexLock lock(mu_);
  gradient_specs_.clear();
}

}  // namespace gannet::gateway
