# shellcheck shell=bash
# The containers, tried as a class would use them. Sourced by `run`, after engine.sh.
#
#   docker_test
#
# Builds the images (their build runs the unit tests on Debian 13), starts the class with docker-compose, and looks: TLS and
# class code, a student's own line, a killed worker and a killed gateway, metrics and every panel of the dashboard, samples and
# results, a dump, what runs as whom, and that nothing is left. Without an engine it says so and succeeds.
#
# shellcheck disable=SC2154  # root, docker, compose, engine_missing: set by the scripts that source this

docker_test() {
  local began=$SECONDS
  (($# == 0)) || die "Unknown argument '$1'; ./run help."
  if ! engine_start; then
    echo
    echo "******** THE CONTAINERS WERE NOT TESTED: $engine_missing ********"
    echo
    return
  fi
  trap docker_test_end EXIT
  # A command that fails where none is expected to is named.
  set -o errtrace
  trap 'docker_unexpected $? "$BASH_COMMAND" "${FUNCNAME[0]:-}" $LINENO' ERR
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  docker_work=$(mktemp -d "${GANNET_TMPDIR:-/var/tmp}/gannet-docker-test.XXXXXX")
  docker_project=gannet-test-$$
  : >"$docker_work/empty.env" # instead of an .env that lies there
  engine_base_image
  docker_build_all
  docker_say "images are built after $((SECONDS - began)) s"
  docker_checks
  docker_up
  docker_student
  docker_strangers
  docker_faults
  docker_metrics
  docker_results
  docker_copies
  docker_dump
  docker_wrong_host
  docker_rights
  docker_broken_settings
  docker_down
  docker_say "passed in $((SECONDS - began)) s"
}

docker_say() { echo "docker-test: $*"; }

# docker_shows TEXT COMMAND...: whether the text is in what the command prints. Not by a pipe into grep -q: grep ends at the
# first match, the command dies of SIGPIPE, and under pipefail a match then counts as none.
docker_shows() { [[ $("${@:2}" 2>&1) == *"$1"* ]]; }

docker_fail() {
  echo "docker-test: FAILED: $1" >&2
  [[ -z ${2:-} ]] || tail -n 30 <<<"$2" | awk '{ print "    " $0 }' >&2
  exit 1
}

# In a subshell a failure may be one that the caller deals with.
docker_unexpected() { ((BASH_SUBSHELL > 0)) || echo "docker-test: exit code $1 of '$2' ($3, line $4)" >&2; }

# await SECONDS WHAT COMMAND...: until the command succeeds.
docker_await() {
  local limit=$1 what=$2 began=$SECONDS
  shift 2
  until "$@" >"$docker_work/await.log" 2>&1; do
    ((SECONDS - began < limit)) || docker_fail "$what does not come within $limit s" "$(cat "$docker_work/await.log")"
    sleep 0.5
  done
}

# Of its own: an instructor's images stay what they are.
docker_tag=docker-test
docker_images=localhost/gannet # without a registry

# Packed, as it is carried to thirty laptops.
docker_worker_limit=200000000

docker_build_all() {
  local target packed
  for target in build gateway coordinator worker cli setup postgres prometheus check; do
    docker_say "building $target"
    "$docker" build --network host --file "$root/deploy/docker/Dockerfile" --target "$target" \
      --tag "$docker_images/$target:$docker_tag" "$root" >"$docker_work/build.log" 2>&1 ||
      docker_fail "image $target could not be built" "$(tail -n 40 "$docker_work/build.log")"
    if [[ $target == build ]]; then
      grep -oE '[0-9]+% tests passed, [0-9]+ tests failed out of [0-9]+' "$docker_work/build.log" | tail -n 1 |
        sed 's/^/docker-test: unit tests on Debian 13: /' || true
    fi
  done
  for target in gateway coordinator worker cli setup; do
    docker_say "size of $target: $("$docker" image inspect --format '{{.Size}}' "$docker_images/$target:$docker_tag" | numfmt --to=iec)"
  done
  packed=$("$docker" save "$docker_images/worker:$docker_tag" | gzip | wc -c)
  docker_say "worker, packed: $(numfmt --to=si "$packed") (limit $(numfmt --to=si $docker_worker_limit))"
  ((packed <= docker_worker_limit)) || docker_fail "the worker's image is too large for a class: $packed bytes packed"
  if docker_shows libtorch "$docker" run --rm --entrypoint ls "$docker_images/gateway:$docker_tag" /usr/lib/gannet; then
    docker_fail "LibTorch is in the gateway's image, where nobody needs it"
  fi
}

# What can be seen without a class: manifests, alerts, dashboard.
docker_checks() {
  local script schemas=(--schemas /schemas)
  mkdir "$docker_work/schemas" "$docker_work/npm"
  cp "$root"/tests/deploy/kubernetes_schemas/* "$root"/tests/deploy/kubernetes_schemas/.npmrc "$docker_work/npm"
  # The authorities that this machine trusts: some networks sign again what passes.
  "$docker" run --rm --network host --volume "$docker_work:/scratch" --workdir /scratch/npm \
    --volume /etc/ssl/certs/ca-certificates.crt:/etc/host-authorities.crt:ro --env NODE_EXTRA_CA_CERTS=/etc/host-authorities.crt \
    "$docker_images/check:$docker_tag" sh -c 'npm ci --no-audit --no-fund && node dump.mjs /scratch/schemas' >"$docker_work/npm.log" 2>&1 || {
    echo "******** KUBERNETES' SCHEMAS CANNOT BE FETCHED, THE MANIFESTS ARE NOT CHECKED AGAINST THEM: $(tail -n 1 "$docker_work/npm.log")"
    schemas=(--without-schemas)
  }
  # Debian 13's docker compose 2 reads the same files.
  for script in "docker-compose.yml" "docker-compose.yml:grafana.yml" "student.yml"; do
    docker_check_tool --workdir /src/deploy/docker --env COMPOSE_FILE="$script" --env GANNET_WORKER_NAME=n --env GANNET_WORKER_EXCHANGE=h:1 --env GANNET_WORKER_CLASS_CODE=c --env GANNET_WORKER_CA=a -- \
      docker-compose --profile demo config --quiet >"$docker_work/check.log" 2>&1 ||
      docker_fail "docker compose 2 refuses $script" "$(cat "$docker_work/check.log")"
  done
  docker_say "compose files are valid for $(docker_check_tool -- docker-compose version --short) too"
  for script in "check_monitoring.py" "check_kubernetes.py --bin /usr/bin ${schemas[*]}"; do
    # shellcheck disable=SC2086  # words are wanted
    docker_check_tool --volume "$docker_work/schemas:/schemas:ro" -- python3 tests/deploy/$script >"$docker_work/check.log" 2>&1 ||
      docker_fail "tests/deploy/$script" "$(cat "$docker_work/check.log")"
    tail -n 1 "$docker_work/check.log" | sed "s/^/docker-test: ${script%% *}: /"
  done
}

# docker_check_tool [OPTIONS...] -- COMMAND...
docker_check_tool() {
  local options=()
  while [[ $1 != -- ]]; do
    options+=("$1")
    shift
  done
  shift
  "$docker" run --rm --network host --volume "$root:/src:ro" --workdir /src --env PYTHONDONTWRITEBYTECODE=1 "${options[@]}" \
    "$docker_images/check:$docker_tag" "$@"
}

docker_compose() {
  (cd "$root/deploy/docker" && PATH=$(dirname -- "$docker"):$PATH "${compose[@]}" --env-file "$docker_work/empty.env" --project-name "$docker_project" --file docker-compose.yml "$@")
}

docker_free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

docker_up() {
  local began service
  unset "${!GANNET_@}"
  docker_gateway_port=$(docker_free_port)
  docker_prometheus_port=$(docker_free_port)
  export GANNET_TAG=$docker_tag GANNET_POSTGRES_IMAGE=$docker_images/postgres:$docker_tag GANNET_PROMETHEUS_IMAGE=$docker_images/prometheus:$docker_tag \
    GANNET_GATEWAY_BIND=127.0.0.1 GANNET_GATEWAY_PORT=$docker_gateway_port GANNET_PUBLIC_HOST=127.0.0.1 \
    GANNET_PROMETHEUS_PORT=$docker_prometheus_port
  # As the pages tell people to. With the network of docker_build_all: another one is another cache, and compiles again.
  {
    echo "services:"
    for service in setup migrate coordinator gateway worker; do
      printf '  %s:\n    build:\n      network: host\n' "$service"
    done
  } >"$docker_work/network.yml"
  docker_compose --file "$docker_work/network.yml" --profile demo build >"$docker_work/up.log" 2>&1 || docker_fail "docker-compose build" "$(cat "$docker_work/up.log")"
  began=$SECONDS
  docker_compose --profile demo up --detach --no-build >"$docker_work/up.log" 2>&1 ||
    docker_fail "docker-compose up" "$(
      cat "$docker_work/up.log"
      docker_compose logs --tail 5 2>&1
    )"
  docker_await 180 "the first published round" docker_rounds_at_least 1
  # The promise is 60 s; a machine that does other things gets three times as long.
  docker_say "first published round $((SECONDS - began)) s after up (promised: 60 s)"
}

docker_rounds() { docker_compose exec -T coordinator gannet rounds --csv 2>/dev/null | tail -n 1 | cut -d , -f 1; }

docker_rounds_at_least() {
  local rounds
  rounds=$(docker_rounds) && [[ $rounds =~ ^[0-9]+$ ]] && ((rounds >= $1))
}

# Rounds go on being published.
docker_goes_on() {
  local rounds
  docker_await 180 "the coordinator's answer $1" docker_rounds_at_least 0
  rounds=$(docker_rounds) || rounds=0
  docker_await 180 "another round $1" docker_rounds_at_least $((rounds + 2))
  docker_say "rounds go on $1"
}

# The line that a student is given, as it is printed; its name is still a placeholder.
docker_student_line() {
  local line
  line=$(docker_compose run --rm -T --no-deps setup join 2>/dev/null | grep '^docker run') || docker_fail "setup prints no line for students"
  line=${line%$'\r'}
  [[ $line == *" --pull never "* ]] || docker_fail "the student's line would take an image from anywhere: $line"
  # Host network only because this student sits on the same machine, where the gateway keeps to loopback.
  line=${line/#docker run/$docker run --network host --name $docker_project-student}
  echo "${line/gannet-worker:/$docker_project-student:}"
}

docker_student() {
  local line first second rc=0
  line=$(docker_student_line)
  refusal=$(eval "$line" 2>&1) || rc=$?
  refusal_code=$rc
  docker_expect_refusal "the line with the placeholder for a name" 2 "YOUR-NAME"
  line=${line/YOUR-NAME/Ada}
  first=$(docker_student_stays "$line")
  second=$(docker_student_stays "$line")
  [[ -n $first && $first == "$second" ]] || docker_fail "the second start is another person: '$first', then '$second'"
  docker_shows Ada docker_compose exec -T coordinator gannet workers || docker_fail "the student's name is not in the list"
  [[ $("$docker" logs "$(docker_compose ps -q worker | head -n 1)" 2>&1) != *"reference BLAS"* ]] || docker_fail "the worker's image has the slow BLAS"
  docker_say "a student joined by TLS with the printed line, left, came back and was the same one"
}

# A student who stays until there is work done; prints the identity.
docker_student_stays() {
  eval "${1/docker run/docker run --detach}" >/dev/null || docker_fail "the student's line: $1"
  docker_await 120 "the student's work" docker_shows " working" "$docker" logs "$docker_project-student"
  "$docker" logs "$docker_project-student" 2>&1 | grep -oE 'joined.* worker=[0-9a-f]{32}' | grep -oE '[0-9a-f]{32}$' | head -n 1
  # The line says --rm.
  "$docker" stop --time 30 "$docker_project-student" >/dev/null
  docker_await 30 "the end of the student's container" docker_gone "$docker_project-student"
}

docker_gone() { ! "$docker" container inspect "$1" >/dev/null 2>&1; }

docker_student_gone() {
  "$docker" rm --force --volumes "$docker_project-student" >/dev/null 2>&1 || true
  "$docker" volume rm --force "$docker_project-student" >/dev/null 2>&1 || true
}

# docker_worker OPTIONS...: a worker in the class's network that is expected to be refused; its output in $refusal.
docker_worker() {
  local rc=0
  refusal=$("$docker" run --rm --network "${docker_project}_default" --volume "${docker_project}_class-secret:/run/gannet/class:ro" \
    --env GANNET_WORKER_EXCHANGE=gateway:50051 --env GANNET_WORKER_CA_FILE=/run/gannet/class/ca.crt \
    --env GANNET_WORKER_CLASS_CODE_FILE=/run/gannet/class/code "$@" "$docker_images/worker:$docker_tag" 2>&1) || rc=$?
  refusal_code=$rc
}

docker_expect_refusal() {
  local what=$1 code=$2 text=$3
  if ((refusal_code != code)) || [[ $(tail -n 1 <<<"$refusal") != *"$text"* ]]; then
    docker_fail "$what: expected exit code $code and '$text' at the end, got $refusal_code and" "$refusal"
  fi
  docker_say "$what is refused: ...$text..."
}

docker_strangers() {
  docker_worker --env GANNET_WORKER_CLASS_CODE_FILE= --env GANNET_WORKER_CLASS_CODE=guess
  docker_expect_refusal "a wrong class code" 1 "the class code is wrong"
  docker_worker --env GANNET_WORKER_CLASS_CODE_FILE=
  docker_expect_refusal "no class code" 1 "asks for a class code"
  docker_worker --env GANNET_WORKER_CA_FILE=
  docker_expect_refusal "a worker without the class's certificate" 1 "not signed by the certificate authority"
  docker_worker --env GANNET_WORKER_CA_FILE=/run/gannet/class/nothing
  docker_expect_refusal "a missing certificate file" 2 "cannot read the file of worker.ca_file"
}

# The container's first process ends as if the machine had killed it; docker kill would not be restarted.
docker_kill() { kill -KILL "$("$docker" inspect --format '{{.State.Pid}}' "$1")"; }

docker_running() { [[ $("$docker" inspect --format '{{.State.Running}} {{.RestartCount}}' "$1") == "true 1" ]]; }

docker_faults() {
  local container
  container=$(docker_compose ps -q worker)
  container=${container%%$'\n'*}
  docker_kill "$container"
  docker_await 60 "the killed worker's return" docker_running "$container"
  docker_goes_on "after a worker was killed"
  container=$(docker_compose ps -q gateway)
  docker_kill "$container"
  docker_await 60 "the killed gateway's return" docker_running "$container"
  docker_goes_on "after the gateway was killed"
  container=$(docker_compose ps -q postgres)
  docker_compose stop postgres >/dev/null 2>&1 || docker_fail "postgres cannot be stopped"
  [[ $("$docker" inspect --format '{{.State.ExitCode}}' "$container") == 0 ]] ||
    docker_fail "postgres was killed: clients that stay kept it from ending"
  docker_compose start postgres >/dev/null 2>&1 || docker_fail "postgres cannot be started again"
  docker_goes_on "after the database was restarted"
}

docker_metrics() {
  docker_check_tool -- python3 tests/deploy/check_monitoring.py --prometheus "http://127.0.0.1:$docker_prometheus_port" --patience 180 \
    >"$docker_work/check.log" 2>&1 || docker_fail "the dashboard's queries" "$(cat "$docker_work/check.log")"
  tail -n 1 "$docker_work/check.log" | sed 's/^/docker-test: dashboard: /'
}

docker_results() {
  local code logs
  docker_await 120 "the first sample grid" docker_sample
  docker_say "sample grid fetched: $(stat --format %s "$docker_work/sample.png") bytes"
  code=$(docker_compose run --rm -T --no-deps --entrypoint cat setup /run/gannet/class/code 2>/dev/null)
  logs=$(docker_compose logs 2>/dev/null | grep -v "^[^|]*setup") || true
  [[ -n $code && $logs == *"leading the run"* ]] || docker_fail "neither the class code nor the logs can be read"
  [[ $logs != *"$code"* ]] || docker_fail "the class code is in a log"
}

# The line of docs/instructor.md, twice: the second copy takes the place of the first.
docker_copies() {
  local container rounds
  container=$(docker_compose ps -a -q coordinator)
  "$docker" cp "$container:/var/lib/gannet/out/." "$docker_work/results" >/dev/null || docker_fail "the results cannot be copied"
  rounds=$(wc -l <"$docker_work/results/metrics.csv")
  docker_goes_on "after results were copied"
  "$docker" cp "$container:/var/lib/gannet/out/." "$docker_work/results" >/dev/null || docker_fail "the results cannot be copied again"
  [[ ! -e $docker_work/results/out ]] || docker_fail "the second copy lies in the first"
  (($(wc -l <"$docker_work/results/metrics.csv") > rounds)) || docker_fail "the second copy shows what the first did"
  [[ -s $docker_work/results/samples/latest.png ]] || docker_fail "no samples in the results"
  docker_say "results copied twice, $rounds and then $(wc -l <"$docker_work/results/metrics.csv") lines of metrics.csv"
}

# The line of docs/operations.md, but as text.
docker_dump() {
  docker_compose exec -T postgres pg_dump --username gannet --schema=gannet --no-owner --no-privileges gannet >"$docker_work/dump.sql" || docker_fail "pg_dump"
  grep -q 'CREATE TABLE gannet.run' "$docker_work/dump.sql" || docker_fail "the dump has no runs"
  docker_say "pg_dump in the container: $(stat --format %s "$docker_work/dump.sql") bytes"
}

# A wrong name keeps nothing from starting, and is said where the line for students would be.
docker_wrong_host() {
  local text rc=0
  text=$(GANNET_PUBLIC_HOST=http://lab:50051 docker_compose run --rm -T --no-deps setup 2>&1) || docker_fail "a wrong GANNET_PUBLIC_HOST keeps the class from starting" "$text"
  [[ $text == *"GANNET_PUBLIC_HOST: 'http://lab:50051' is neither"* && $text != *"docker run"* ]] ||
    docker_fail "a wrong GANNET_PUBLIC_HOST is not named" "$text"
  text=$(GANNET_PUBLIC_HOST=http://lab:50051 docker_compose run --rm -T --no-deps setup join 2>&1) || rc=$?
  ((rc == 1)) || docker_fail "a line for students in spite of a wrong GANNET_PUBLIC_HOST" "$text"
  docker_say "a wrong GANNET_PUBLIC_HOST is named, and the class goes on"
}

docker_sample() {
  docker_compose exec -T coordinator cat /var/lib/gannet/out/samples/latest.png >"$docker_work/sample.png" &&
    [[ $(head -c 4 "$docker_work/sample.png" | tail -c 3) == PNG ]]
}

# Who runs, and what they could do.
docker_rights() {
  local container name pid uid
  for container in $(docker_compose ps -q); do
    name=$("$docker" inspect --format '{{.Name}}' "$container")
    [[ $("$docker" inspect --format '{{.State.Running}}' "$container") == true ]] || continue
    for pid in $("$docker" top "$container" -eo pid | tail -n +2); do
      # A health check's process may have ended since.
      uid=$(awk '/^Uid:/ {print $2}' "/proc/$pid/status" 2>/dev/null) || continue
      [[ $uid != 0 ]] || docker_fail "$name runs as root: $(tr '\0' ' ' <"/proc/$pid/cmdline")"
    done
    case $name in
      *postgres*) ;;
      *) [[ $("$docker" inspect --format '{{.HostConfig.ReadonlyRootfs}}' "$container") == true ]] || docker_fail "$name may write to its root file system" ;;
    esac
    [[ $("$docker" inspect --format '{{.HostConfig.RestartPolicy.MaximumRetryCount}}' "$container") == 0 ]] ||
      docker_fail "$name gives up after so many failures in its whole life"
    [[ ! $("$docker" inspect --format '{{json .Config}}' "$container") =~ PASSWORD=|CLASS_CODE=|TOKEN= ]] ||
      docker_fail "$name has a secret in its environment"
  done
  docker_say "nothing runs as root, root file systems are read-only, no secret in any environment"
}

# Programs that cannot start.
docker_broken_settings() {
  local rc=0 container
  refusal=$("$docker" run --rm "$docker_images/gateway:$docker_tag" --gateway.listen 0.0.0.0:50051 2>&1) || rc=$?
  refusal_code=$rc
  docker_expect_refusal "a gateway without certificate" 2 "gateway.class_code_file must name a file"
  rc=0
  refusal=$("$docker" run --rm --env GANNET_GATEWAY_TLS_CERT_FILE=/nowhere --env GANNET_GATEWAY_TLS_KEY_FILE=/nowhere \
    "$docker_images/gateway:$docker_tag" 2>&1) || rc=$?
  refusal_code=$rc
  docker_expect_refusal "a missing certificate" 2 "cannot read the file of gateway.tls_cert_file"
  # Whatever cannot start says why in its last line, however often it is tried.
  container=$("$docker" run --detach --restart on-failure:2 "$docker_images/coordinator:$docker_tag" --run.rounds many)
  docker_await 60 "the end of a coordinator that cannot start" docker_given_up "$container" 2
  refusal=$("$docker" logs "$container" 2>&1)
  "$docker" rm --force --volumes "$container" >/dev/null
  [[ $refusal == *"run.rounds must be an integer"* ]] || docker_fail "a wrong setting is not named" "$refusal"
  docker_say "a coordinator with a wrong setting gives up and says why"
}

docker_given_up() { [[ $("$docker" inspect --format '{{.State.Status}} {{.State.ExitCode}} {{.RestartCount}}' "$1") == "exited $2 2" ]]; }

docker_down() {
  local left began=$SECONDS
  docker_compose --profile demo down --volumes --timeout 60 >"$docker_work/down.log" 2>&1 ||
    docker_fail "docker-compose down" "$(cat "$docker_work/down.log")"
  docker_say "down after $((SECONDS - began)) s"
  docker_student_gone
  left=$(
    "$docker" ps --all --quiet --filter "label=com.docker.compose.project=$docker_project"
    "$docker" volume ls --quiet --filter "label=com.docker.compose.project=$docker_project"
    "$docker" network ls --quiet --filter "label=com.docker.compose.project=$docker_project"
  )
  [[ -z $left ]] || docker_fail "down leaves something behind" "$left"
  docker_say "down leaves no container, volume or network"
}

docker_test_end() {
  local rc=$?
  trap - EXIT
  if ((rc != 0)) && [[ -d $docker_work ]]; then
    docker_compose logs --tail 15 >&2 2>/dev/null || true
  fi
  docker_compose --profile demo down --volumes --timeout 10 >/dev/null 2>&1 || true
  docker_student_gone
  rm -rf -- "$docker_work"
  engine_stop
  exit "$rc"
}
