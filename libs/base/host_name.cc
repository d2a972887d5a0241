#include "libs/base/host_name.h"

#include <unistd.h>

namespace gannet::base {

std::string HostName() {
  char name[65] = {};
  if (gethostname(name, sizeof(name) - 1) != 0 || name[0] == '\0') return "host";
  return name;
}

}  // namespace gannet::base
