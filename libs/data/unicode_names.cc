#include <utf8proc.h>

#include <cstdlib>
#include <memory>

#include "absl/strings/ascii.h"
#include "libs/data/image_names.h"

namespace gannet::data {
namespace {

struct FreeBytes {
  void operator()(utf8proc_uint8_t* bytes) const { std::free(bytes); }
};

}  // namespace

std::string NormalizedName(absl::string_view name) {
  bool is_ascii = true;
  for (const char c : name)
    is_ascii = is_ascii && absl::ascii_isascii(static_cast<unsigned char>(c));
  if (is_ascii) return std::string(name);
  utf8proc_uint8_t* raw = nullptr;
  const utf8proc_ssize_t bytes =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(name.data()),
                   static_cast<utf8proc_ssize_t>(name.size()), &raw,
                   static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  const std::unique_ptr<utf8proc_uint8_t, FreeBytes> normalized(raw);
  // It fails for bytes that are not UTF-8.
  if (bytes < 0) return std::string(name);
  return std::string(reinterpret_cast<const char*>(normalized.get()), static_cast<size_t>(bytes));
}

}  // namespace gannet::data
