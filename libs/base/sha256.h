#pragma once

#include <memory>
#include <string>

#include "absl/strings/string_view.h"

namespace gannet::base {

// SHA-256 (FIPS 180-4) of `bytes`: 32 raw bytes.
std::string Sha256(absl::string_view bytes);

// SHA-256 of `bytes` as 64 hexadecimal digits.
std::string Sha256Hex(absl::string_view bytes);

// SHA-256 of bytes that come in pieces.
//
// Thread safety: none.
class Sha256Hasher {
 public:
  Sha256Hasher();
  ~Sha256Hasher();
  Sha256Hasher(Sha256Hasher&&) noexcept;
  Sha256Hasher& operator=(Sha256Hasher&&) noexcept;

  void Update(absl::string_view bytes);

  // The 32 raw bytes. Call once, last.
  std::string Finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace gannet::base
