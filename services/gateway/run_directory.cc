#include "services/gateway/run_directory.h"

#include "libs/domain/model_layout.h"

namespace gannet::gateway {
namespace {

constexpr size_t kMaxRuns = 64;

}  // namespace

std::shared_ptr<const BundleSpec> RunDirectory::FindGradientSpec(RunId run) {
  MutexLock lock(mu_);
  const auto found = gradient_specs_.find(run);
  return found == gradient_specs_.end() ? nullptr : found->second;
}

std::shared_ptr<const BundleSpec> RunDirectory::Learn(RunId run, const RunConfig& config) {
  // The model of a run never changes.
  if (auto known = FindGradientSpec(run); known != nullptr) return known;
  auto spec = std::make_shared<const BundleSpec>(GradientSpec(config.model));
  MutexLock lock(mu_);
  gradient_specs_.emplace(run, spec);
  if (gradient_specs_.size() > kMaxRuns) gradient_specs_.erase(gradient_specs_.begin());
  return spec;
}

void RunDirectory::Clear() {
  MutexLock lock(mu_);
  gradient_specs_.clear();
}

}  // namespace gannet::gateway
