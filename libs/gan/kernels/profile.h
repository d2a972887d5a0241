#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>

// Where a training step spends its time: `gannet-bench-gan --profile` turns it on. Off, a scope
// costs the test of a pointer.

namespace gannet::gan {

struct ProfileEntry {
  int64_t calls = 0;
  double seconds = 0;
  double flops = 0;  // 0: bound by memory
};

// Collects from the scopes of the thread that made it, while it lives. One at a time in a thread.
class Profile {
 public:
  Profile();
  ~Profile();
  Profile(const Profile&) = delete;
  Profile& operator=(const Profile&) = delete;

  // By the names of the scopes.
  const std::map<std::string, ProfileEntry>& entries() const { return entries_; }

 private:
  friend class ProfileScope;
  std::map<std::string, ProfileEntry> entries_;
};

// Counts the time until its end under `what`, with the shape as images x side x side and channels
// on both sides of the operation (0: there is no such number). Scopes do not nest.
class ProfileScope {
 public:
  struct Shape {
    int64_t images = 0, side = 0, channels_in = 0, channels_out = 0;
  };

  ProfileScope(const char* what, const Shape& shape, double flops);
  ~ProfileScope();
  ProfileScope(const ProfileScope&) = delete;
  ProfileScope& operator=(const ProfileScope&) = delete;

 private:
  Profile* const profile_;  // null: off
  const char* const what_;
  const Shape shape_;
  const double flops_;
  std::chrono::steady_clock::time_point start_;
};

}  // namespace gannet::gan
