#include "libs/gan/kernels/profile.h"

#include "absl/strings/str_cat.h"
#include "libs/base/check.h"

namespace gannet::gan {
namespace {

thread_local Profile* current = nullptr;

}  // namespace

Profile::Profile() {
  GANNET_CHECK(current == nullptr);
  current = this;
}

Profile::~Profile() { current = nullptr; }

ProfileScope::ProfileScope(const char* what, const Shape& shape, double flops)
    : profile_(current), what_(what), shape_(shape), flops_(flops) {
  if (profile_ != nullptr) start_ = std::chrono::steady_clock::now();
}

ProfileScope::~ProfileScope() {
  if (profile_ == nullptr) return;
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start_;
  std::string name = absl::StrCat(what_, " ", shape_.images);
  if (shape_.side > 0) absl::StrAppend(&name, " x ", shape_.side, "x", shape_.side);
  absl::StrAppend(&name, " x ", shape_.channels_in);
  if (shape_.channels_out > 0) absl::StrAppend(&name, ", ", shape_.channels_out);
  ProfileEntry& entry = profile_->entries_[name];
  ++entry.calls;
  entry.seconds += taken.count();
  entry.flops += flops_;
}

}  // namespace gannet::gan
