#include "libs/config/version.h"

namespace gannet {

const char* GannetVersion() { return GANNET_VERSION; }

}  // namespace gannet
