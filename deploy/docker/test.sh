# shellcheck shell=bash
# The containers, tried as a class would use them. Sourced by `run`, after engine.sh.
#
#   docker_test
#
# Starts an engine where none runs, makes sure of the base image, and leaves the rest to tests/deploy/container_test.py.
# Without an engine it says so and succeeds.
#
# shellcheck disable=SC2154  # root, docker, compose, engine_missing: set by the scripts that source this

docker_test() {
  local rc=0
  (($# == 0)) || die "Unknown argument '$1'; ./run help."
  if ! engine_start; then
    echo
    echo "******** THE CONTAINERS WERE NOT TESTED: $engine_missing ********"
    echo
    return
  fi
  trap engine_stop EXIT
  trap 'docker_interrupted 130' INT
  trap 'docker_interrupted 143' TERM HUP
  engine_base_image
  # In the background: a signal that only this shell gets is handled at once, not when the test has ended.
  PYTHONDONTWRITEBYTECODE=1 python3 "$root/tests/deploy/container_test.py" "$docker" "${compose[@]}" &
  docker_test_pid=$!
  wait "$docker_test_pid" || rc=$?
  exit "$rc"
}

docker_test_pid=""

# docker_interrupted CODE: the test removes its containers before it ends.
docker_interrupted() {
  trap '' INT TERM HUP
  if [[ -n $docker_test_pid ]]; then
    kill -TERM "$docker_test_pid" 2>/dev/null || true
    wait "$docker_test_pid" || true
  fi
  exit "$1"
}
