# shellcheck shell=bash
# shellcheck disable=SC2034  # compose, engine_missing: for the script that sources this
# A container engine for tests. Sourced by `run`.
#
#   engine_installed       whether a client with BuildKit, a compose and an engine are there, running or not
#   engine_start           sets $docker (a client with BuildKit) and $compose (docker-compose or docker compose); starts dockerd
#                          when no engine answers. Returns 1, with the reason in $engine_missing, when there is none to be had
#   engine_base_image      makes sure of debian:trixie-slim: pulled, or else built by debootstrap
#   engine_stop            stops the dockerd that engine_start started, if any

engine_home=${XDG_CACHE_HOME:-${HOME:-/var/tmp}/.cache}/gannet/docker
engine_pid=""
engine_missing=""

# The first client in PATH that can build with BuildKit: version 20.10 to 22 has it built in, later ones need buildx.
engine_client() {
  local client version
  for client in $(type -ap docker) /usr/bin/docker; do
    [[ -x $client ]] || continue
    version=$("$client" version --format '{{.Client.Version}}' 2>/dev/null) || version=${version:-}
    version=${version%%.*}
    if [[ $version =~ ^[0-9]+$ ]] && ((version >= 20)) && { ((version < 23)) || "$client" buildx version >/dev/null 2>&1; }; then
      echo "$client"
      return
    fi
  done
}

engine_installed() {
  local client
  client=$(engine_client)
  [[ -n $client ]] && { command -v docker-compose >/dev/null || "$client" compose version >/dev/null 2>&1; } &&
    { command -v dockerd >/dev/null || "$client" info >/dev/null 2>&1; }
}

engine_start() {
  local attempt
  docker=$(engine_client)
  if [[ -z $docker ]]; then
    engine_missing="no docker client with BuildKit: install docker.io"
    return 1
  fi
  export DOCKER_BUILDKIT=1 COMPOSE_DOCKER_CLI_BUILD=1
  if command -v docker-compose >/dev/null; then
    compose=(docker-compose)
  elif "$docker" compose version >/dev/null 2>&1; then
    compose=("$docker" compose)
  else
    engine_missing="neither docker-compose nor docker compose"
    return 1
  fi
  if ! "$docker" info >/dev/null 2>&1; then
    if ((EUID != 0)); then
      engine_missing="no engine answers, and only root can start one"
      return 1
    fi
    say "no engine answers: starting dockerd for this test"
    # Outside the clone, as the compiler's cache is: base image, layers and build cache serve the next clone, too.
    mkdir -p "$engine_home"
    dockerd --data-root "$engine_home/data" --pidfile "$engine_home/dockerd.pid" >"$engine_home/dockerd.log" 2>&1 </dev/null &
    engine_pid=$!
    for ((attempt = 0; attempt < 300; ++attempt)); do
      if "$docker" info >/dev/null 2>&1; then break; fi
      if ! kill -0 "$engine_pid" 2>/dev/null; then
        engine_missing="dockerd does not run here: $(grep -v '^$' "$engine_home/dockerd.log" | tail -n 1)"
        engine_pid=""
        return 1
      fi
      sleep 0.1
    done
  fi
  if ! "$docker" info >/dev/null 2>&1; then
    engine_missing="dockerd does not answer after 30 s, see $engine_home/dockerd.log"
    engine_stop
    return 1
  fi
}

engine_base_image() {
  local dir
  if "$docker" image inspect debian:trixie-slim >/dev/null 2>&1; then return; fi
  if timeout 60 "$docker" pull --quiet debian:trixie-slim >/dev/null 2>&1; then return; fi
  say "no registry can be reached: debian:trixie-slim is made by debootstrap"
  dir=$(mktemp -d "${GANNET_TMPDIR:-/var/tmp}/gannet-base.XXXXXX")
  debootstrap --variant=minbase trixie "$dir/root" >"$dir/log" 2>&1 || die_with_log "debootstrap failed." "$dir/log"
  # As slim as the official one: licences stay, manuals and translations go. Links stay, too: many a package has its licence by one
  # (libstdc++6 in gcc-14-base).
  find "$dir/root/usr/share/doc" ! -type d ! -type l ! -name copyright -delete
  tar --directory="$dir/root" --exclude=./var/cache/apt/*.bin --exclude=./var/cache/apt/archives/*.deb --exclude=./var/lib/apt/lists/* \
    --exclude=./usr/share/man/* --exclude=./usr/share/info/* --exclude=./usr/share/locale/* --create . |
    "$docker" import --change 'CMD ["bash"]' - debian:trixie-slim >/dev/null
  rm -rf -- "$dir"
}

engine_stop() {
  [[ -n $engine_pid ]] || return 0
  kill "$engine_pid" 2>/dev/null || true
  wait "$engine_pid" 2>/dev/null || true
  engine_pid=""
}
