# shellcheck shell=bash
# The whole of Gannet on one machine: PostgreSQL, coordinator, gateway and two workers. Sourced by `run`.
#
#   demo [--quick|--full] [--out DIR] [-- SETTINGS]     SETTINGS such as --run.rounds 500 go to every program
#
# Nothing is shared between two demos: the kernel picks the ports, PostgreSQL listens on a socket only, and everything else
# lives in a folder of its own. Workers may die, the run goes on; anything else that dies ends the demo.
#
# shellcheck disable=SC2154  # root, caller_dir, guarded_pid, postgres_pid, database_url: set by the scripts that source this

# What differs from demo.yaml.
demo_quick=(--run.rounds 150 --coordinator.sample_every 25)
demo_full=(--model.image_size 64 --model.base_width 64 --run.rounds 50000 --coordinator.sample_every 100)

# What the images must be worth at the end: distance to real images they have never seen, against that of untrained
# weights; spread, against that of the real images. (`gannet evaluate --help`)
demo_goal=(--max-ratio 0.5 --min-spread 0.5)
demo_quick_goal=(--max-ratio 0.9)

demo() {
  local settings=() out=""
  while (($# > 0)); do
    case $1 in
      --quick) settings=("${demo_quick[@]}") demo_goal=("${demo_quick_goal[@]}") ;;
      --full) settings=("${demo_full[@]}") ;;
      --out)
        out=${2:?--out needs a folder}
        [[ $out == /* ]] || out=$caller_dir/$out
        shift
        ;;
      --)
        shift
        settings+=("$@")
        break
        ;;
      *) die "Unknown argument '$1'; ./run help." ;;
    esac
    shift
  done
  if [[ -z $out ]]; then
    mkdir -p out
    out=$(mktemp -d "$root/out/demo-$(date +%Y%m%d-%H%M%S)-XXX")
    chmod 755 "$out"
  fi
  mkdir -p "$out/logs"
  demo_out=$out
  demo_logs=$out/logs

  demo_dir=$(mktemp -d "${GANNET_TMPDIR:-/var/tmp}/gannet-demo.XXXXXX")
  forget_settings
  trap demo_end EXIT
  trap 'say "stopping"; exit 130' INT
  trap 'exit 143' TERM HUP
  guard_begin "$demo_dir"

  demo_need_space "$demo_dir" 3
  demo_settings=(--config "$root/deploy/native/demo.yaml" "${settings[@]}")
  demo_start
  demo_follow
  demo_show
}

# Nothing of the caller's may reach the services: other databases, proxies, settings of services or of `run`.
forget_settings() {
  local name
  unset PGHOST PGHOSTADDR PGPORT PGUSER PGDATABASE PGPASSWORD PGPASSFILE PGSERVICE PGOPTIONS
  unset http_proxy https_proxy grpc_proxy HTTP_PROXY HTTPS_PROXY GRPC_PROXY
  for name in "${!GANNET_@}"; do unset "$name"; done
}

# demo_need_space DIR GIB
demo_need_space() {
  local free_kib
  free_kib=$(df --output=avail "$1" | tail -n 1)
  ((free_kib >= $2 * 1024 * 1024)) ||
    die "Too little disk space in $1: $((free_kib / 1024)) MiB are free, the demo needs $2 GiB." \
      "Set GANNET_TMPDIR to a folder with more room."
}

# demo_service STAGE NAME PROGRAM SETTINGS...: its pid in $guarded_pid, its log in $service_log.
demo_service() {
  local stage=$1 name=$2 program=$3
  shift 3
  service_log=$demo_logs/$name.log
  guarded "$stage" "$name" TERM "${binaries:-$root/build/dev/bin}/$program" "${demo_settings[@]}" "$@" \
    >>"$service_log" 2>&1 </dev/null
  demo_pids[$guarded_pid]=$name
}

# demo_port KEY: the port that the service started last names in its log, in $port.
demo_port() {
  local key=$1 attempt line
  for ((attempt = 0; attempt < 600; ++attempt)); do
    line=$(grep -m 1 -oE "(^| )$key=[0-9]+" "$service_log" 2>/dev/null || true)
    if [[ -n $line ]]; then
      port=${line##*=}
      return
    fi
    kill -0 "$guarded_pid" 2>/dev/null || die_with_log "$(basename "$service_log" .log) ended while it started." "$service_log"
    sleep 0.05
  done
  die_with_log "$(basename "$service_log" .log) does not say its '$key' after 30 s." "$service_log"
}

demo_start() {
  local worker gateway_port
  declare -gA demo_pids=()
  say "PostgreSQL, coordinator, gateway and two workers start; logs in $demo_logs"
  postgres_start "$demo_dir"
  demo_pids[$postgres_pid]=PostgreSQL
  "$root/build/dev/bin/gannet" migrate --database.url "$database_url" >"$demo_logs/migrate.log" 2>&1 ||
    die_with_log "The schema could not be installed." "$demo_logs/migrate.log"

  demo_service 3 coordinator gannet-coordinator --database.url "$database_url" --coordinator.output_dir "$demo_out" \
    --coordinator.admin_listen 127.0.0.1:0 --coordinator.metrics_listen 127.0.0.1:0
  demo_port admin_port
  demo_admin=127.0.0.1:$port
  demo_service 2 gateway gannet-gateway --database.url "$database_url" \
    --gateway.listen 127.0.0.1:0 --gateway.metrics_listen 127.0.0.1:0
  demo_port port
  gateway_port=$port
  for worker in 1 2; do
    demo_service 1 "worker-$worker" gannet-worker --worker.exchange "127.0.0.1:$gateway_port" \
      --worker.name "worker $worker" --worker.state_file "$demo_dir/worker-$worker.json" \
      --worker.metrics_listen 127.0.0.1:0
  done
}

# Shows progress until the run is finished. Returns when it is; ends the demo when it cannot be.
demo_follow() {
  local pid rc watch_pid
  demo_workers=2
  demo_finished=""
  guarded 1 watch TERM "$root/build/dev/bin/gannet" watch --address "$demo_admin" --patience 5s
  watch_pid=$guarded_pid
  demo_pids[$watch_pid]=watch
  # `wait -n` forgets the second of two children that end together, so everybody is looked at. Bash's own words about a
  # killed child are not wanted.
  while [[ -z $demo_finished || -n ${demo_pids[$watch_pid]:-} ]]; do
    { sleep 0.2; } 2>/dev/null
    for pid in "${!demo_pids[@]}"; do
      if ! kill -0 "$pid" 2>/dev/null; then
        rc=0
        { wait "$pid" || rc=$?; } 2>/dev/null
        demo_ended "${demo_pids[$pid]}" "$rc"
        unset "demo_pids[$pid]"
      fi
    done
  done
}

# demo_ended NAME EXIT_CODE: decides what the end of a process means.
demo_ended() {
  case $1:$2 in
    worker-*:0 | watch:0) ;;
    # The coordinator ends with the run. The display has seen it, or gives up within its patience.
    coordinator:0) demo_finished=yes ;;
    watch:*) [[ -n $demo_finished ]] || die "The progress display has ended (exit code $2)." ;;
    worker-*)
      demo_workers=$((demo_workers - 1))
      echo >&2
      ((demo_workers > 0)) || die_with_log "$1 has ended too (exit code $2): no worker is left." "$demo_logs/$1.log"
      say "$1 has ended (exit code $2), see $demo_logs/$1.log. The other one continues and takes over its units."
      ;;
    *)
      echo >&2
      [[ $1 != PostgreSQL ]] || cp "$demo_dir/postgres.log" "$demo_logs/PostgreSQL.log"
      die_with_log "The $1 has ended (exit code $2)." "$demo_logs/$1.log"
      ;;
  esac
}

# What has come of it.
demo_show() {
  local gannet=$root/build/dev/bin/gannet verdict=reached
  cp "$demo_out/samples/latest.png" "$demo_out/samples.png"
  "$gannet" gif --from "$demo_out/samples" --out "$demo_out/training.gif" >"$demo_logs/gif.log" 2>&1 ||
    die_with_log "The GIF could not be made." "$demo_logs/gif.log"
  "$gannet" evaluate "${demo_settings[@]}" --weights "$demo_out/weights.safetensors" --initial "${demo_goal[@]}" \
    >"$demo_out/quality.txt" 2>&1 || verdict=missed
  say "samples  $demo_out/samples.png"
  say "GIF      $demo_out/training.gif"
  say "weights  $demo_out/weights.safetensors (generator.safetensors: as PyTorch's state_dict)"
  say "losses   $demo_out/metrics.csv"
  say "logs     $demo_logs"
  say "quality, 1 being where untrained weights are (the whole of it: $demo_out/quality.txt):"
  sed 's/^/    /' "$demo_out/quality.txt" >&2
  [[ $verdict == reached ]] || die "The images are not what they should be after this training."
  say "The images are as good as they should be."
}

demo_end() {
  [[ ! -f $demo_dir/postgres.log ]] || cp "$demo_dir/postgres.log" "$demo_logs/PostgreSQL.log"
  guard_end
}
