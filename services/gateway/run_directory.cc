#include "services/gateway/run_directory.h"

#include "libs/domain/model_layout.h"

namespace gannet {
namespace {

constexpr size_t kMaxRuns = 64;

}  // namespace

std::shared_ptr<const BundleSpec> RunDirectory::FindGradientSpec(RunId run) {
  MutexLock lock(mu_);
  const auto found = gradient_specs_.find(run);
  return found == gradient_specs_.end() ? nullptr : found->second;
}

void RunDirectory::Learn(const JoinResult& described) {
  if (FindGradientSpec(described.run) != nullptr) return;  // a run's configuration never changes
  auto spec = std::make_shared<const BundleSpec>(GradientSpec(described.config.model));
  MutexLock lock(mu_);
  gradient_specs_.emplace(described.run, std::move(spec));
  if (gradient_specs_.size() > kMaxRuns) gradient_specs_.erase(gradient_specs_.begin());
}

void RunDirectory::Clear() {
  MutexLock lock(mu_);
  gradient_specs_.clear();
}

}  // namespace gannet
