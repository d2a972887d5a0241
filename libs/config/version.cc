#include "libs/config/version.h"

namespace gannet::config {

const char* GannetVersion() { return GANNET_VERSION; }

}  // namespace gannet::config
