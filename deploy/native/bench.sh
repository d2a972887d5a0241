# shellcheck shell=bash
# Measures an optimised build and prints the figures of docs/benchmarks.md. Sourced by `run`, after demo.sh.
#
#   bench [gan|data|class|store|tls|pytorch] [--rounds N] [--json | --profile]
#
#   gan    the gradient computation alone, against stock modules and the machine's best in the same run; --json for machines,
#          --profile for where a step's time goes
#   data   what waiting for images costs, and the memory of 1,000 units: about eight minutes
#   class  the default settings (64x64) with one worker: what coordinator, gateway and PostgreSQL cost beside the computation
#   store  claim, accept and publication beside plain INSERTs of the same bytes, small units a second, the size of the database
#          over 300 rounds of two runs: about five minutes
#   pytorch  the same training by gannet train-local and by PyTorch (python3-torch): rate and quality, about ten minutes
#   tls    the same without and with TLS between gateway and worker, in turns
#
# shellcheck disable=SC2154,SC2034  # root, guarded_pid, database_url, port, demo_*: set by the scripts that source this

bench() {
  local what="gan class" rounds=4 gan_options=()
  while (($# > 0)); do
    case $1 in
      gan | data | class | store | tls | pytorch) what=$1 ;;
      --rounds)
        rounds=${2:?--rounds needs a number}
        shift
        ;;
      --json | --profile) gan_options=("$1") ;;
      *) die "Unknown argument '$1'; ./run help." ;;
    esac
    shift
  done
  if ((${#gan_options[@]} > 0)); then
    [[ $what == gan* ]] || die "--json and --profile are for 'bench gan' alone."
    what=gan
  fi
  binaries=$root/build/release/bin
  [[ $what != *gan* ]] || "$binaries/gannet-bench-gan" "${gan_options[@]}"
  [[ $what != *data* ]] || "$binaries/gannet-bench-data"
  [[ $what != *class* ]] || bench_class "$rounds"
  [[ $what != store ]] || bench_store
  [[ $what != *tls* ]] || bench_tls "$rounds"
  [[ $what != *pytorch* ]] || bench_pytorch
}

# The same data, networks, batches and learning rates, one after the other; quality by the same measure.
bench_pytorch() {
  local dir updates=1000 every=250 batch=64 settings weights update
  /usr/bin/python3 -c 'import torch' 2>/dev/null || die "bench pytorch needs the packages python3-torch and python3-numpy."
  dir=$(mktemp -d "${GANNET_TMPDIR:-/var/tmp}/gannet-pytorch.XXXXXX")
  settings=(--model.image_size 32 --model.base_width 32)
  "$binaries/gannet" data pack "${settings[@]}" --out "$dir/faces.packed" >/dev/null
  say "gannet train-local, $updates updates of $batch images"
  "$binaries/gannet" train-local "${settings[@]}" --out "$dir/gannet" --batch-size $batch --run.rounds $updates --checkpoint-every $every \
    --coordinator.checkpoint_keep 100 --training.real_label 0.9 --data.kind packed --data.path "$dir/faces.packed" >"$dir/gannet.log"
  say "the same by PyTorch"
  /usr/bin/python3 "$root/tests/python/pytorch_dcgan.py" "$dir/faces.packed" "$dir/pytorch" --updates $updates --batch $batch --every $every \
    --width 32 >"$dir/pytorch.log"
  awk -F, -v batch=$batch 'NR > 1 { seconds += $9; ++count }
    END { printf "gannet train-local  %6.1f img/s, everything included\n", count * batch / seconds }' "$dir/gannet/metrics.csv"
  printf 'PyTorch             %6.1f img/s, updates alone\n' "$(tail -n 1 "$dir/pytorch.log")"
  printf '\n%-8s  %-28s  %-28s\n' updates "gannet: distance, frechet" "PyTorch: distance, frechet"
  for ((update = every; update <= updates; update += every)); do
    printf '%-8d' "$update"
    for weights in "$dir/gannet/checkpoints/round_$(printf %06d "$update").safetensors" \
      "$dir/pytorch/update_$(printf %06d "$update").safetensors"; do
      "$binaries/gannet" evaluate "${settings[@]}" --json --weights "$weights" |
        awk -F'[:,]' '/"distance"/ { distance = $2 } /"frechet_random_features"/ { frechet = $2 }
          END { printf "  %8.4f %8.4f            ", distance, frechet }'
    done
    printf '\n'
  done
  rm -rf -- "$dir"
}

# Each call and each small unit beside a database that waits for the disk, as one that matters does; growth, and the work itself, on one that
# does not.
bench_store() {
  local dir
  dir=$(mktemp -d "${GANNET_TMPDIR:-/var/tmp}/gannet-store.XXXXXX")
  forget_settings
  trap guard_end EXIT
  trap 'exit 130' INT TERM HUP
  guard_begin "$dir"
  chmod 711 "$dir" # for the user postgres
  mkdir "$dir/durable" "$dir/fast"
  postgres_start "$dir/durable" "" durable
  printf 'PostgreSQL as it is by default, waiting for the disk:\n'
  "$binaries/gannet-bench-store" "$database_url" 0
  postgres_start "$dir/fast"
  printf '\nwithout fsync:\n'
  "$binaries/gannet-bench-store" "$database_url" 300
}

# Takes turns, so that a machine that becomes slower meanwhile harms both alike.
bench_tls() {
  local rounds=$1 turn how dir
  dir=$(mktemp -d "${GANNET_TMPDIR:-/var/tmp}/gannet-tls.XXXXXX")
  bench_certificates "$dir"
  for turn in 1 2; do
    for how in plain tls; do
      # In a shell of its own: each class ends its services with it.
      (bench_class "$rounds" "$([[ $how == plain ]] || echo "$dir")") >"$dir/$how-$turn"
      sed -n 's/^  end to end *\([0-9.]*\).*/\1/p' "$dir/$how-$turn" >>"$dir/$how"
      say "$how, turn $turn: $(tail -n 1 "$dir/$how") img/s"
    done
  done
  awk 'FNR == 1 { ++file } { sum[file] += $1 } END {
    printf "TLS: %.1f img/s end to end, without %.1f: ratio %.3f (goal 0.95)\n", sum[2] / 2, sum[1] / 2, sum[2] / sum[1] }' \
    "$dir/plain" "$dir/tls"
  rm -rf -- "$dir"
}

# bench_certificates DIR: an authority and a certificate for 127.0.0.1.
bench_certificates() {
  local dir=$1
  {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj "/CN=bench" -keyout "$dir/ca.key" -out "$dir/ca.crt"
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=gateway" -keyout "$dir/key" -out "$dir/request"
    openssl x509 -req -in "$dir/request" -CA "$dir/ca.crt" -CAkey "$dir/ca.key" -CAcreateserial -days 1 \
      -extfile <(echo subjectAltName=IP:127.0.0.1) -out "$dir/crt"
  } >"$dir/log" 2>&1 || die_with_log "openssl failed." "$dir/log"
}

# bench_scrape PORT NAME: the value of a metric without labels, 0 when there is none.
bench_scrape() {
  local line value=0
  exec 9<>"/dev/tcp/127.0.0.1/$1"
  printf 'GET /metrics HTTP/1.0\r\n\r\n' >&9
  while read -r line <&9; do
    [[ $line != "$2 "* ]] || value=${line##* }
  done
  exec 9>&- 9<&-
  echo "${value//$'\r'/}"
}

# bench_mean PORT NAME: mean of a histogram in milliseconds.
bench_mean() {
  awk -v sum="$(bench_scrape "$1" "$2_sum")" -v n="$(bench_scrape "$1" "$2_count")" \
    'BEGIN { if (n > 0) printf "%.0f", 1000 * sum / n; else printf "-" }'
}

# bench_class ROUNDS [DIR]: with TLS when DIR holds certificates.
bench_class() {
  local rounds=$1 certificates=${2:-} gateway_tls=() worker_tls=() coordinator_port worker_port gateway_port done_rounds=0 name
  demo_dir=$(mktemp -d "${GANNET_TMPDIR:-/var/tmp}/gannet-bench.XXXXXX")
  demo_out=$demo_dir/out demo_logs=$demo_dir/logs
  mkdir -p "$demo_out" "$demo_logs"
  forget_settings
  trap guard_end EXIT
  trap 'exit 130' INT TERM HUP
  guard_begin "$demo_dir"
  if [[ -n $certificates ]]; then
    gateway_tls=(--gateway.tls_cert_file "$certificates/crt" --gateway.tls_key_file "$certificates/key")
    worker_tls=(--worker.ca_file "$certificates/ca.crt")
  fi
  demo_settings=(--run.name bench --run.rounds 1000000)
  declare -gA demo_pids=()
  postgres_start "$demo_dir"
  "$binaries/gannet" migrate --database.url "$database_url" >"$demo_logs/migrate.log" 2>&1 ||
    die_with_log "The schema could not be installed." "$demo_logs/migrate.log"
  demo_service 3 coordinator gannet-coordinator --database.url "$database_url" --coordinator.output_dir "$demo_out" \
    --coordinator.admin_listen 127.0.0.1:0 --coordinator.metrics_listen 127.0.0.1:0
  demo_port metrics_port
  coordinator_port=$port
  demo_service 2 gateway gannet-gateway --database.url "$database_url" \
    --gateway.listen 127.0.0.1:0 --gateway.metrics_listen 127.0.0.1:0 "${gateway_tls[@]}"
  demo_port port
  gateway_port=$port
  demo_service 1 worker gannet-worker --worker.exchange "127.0.0.1:$gateway_port" \
    --worker.state_file "$demo_dir/worker.json" --worker.metrics_listen 127.0.0.1:0 "${worker_tls[@]}"
  demo_port metrics_port
  worker_port=$port
  # The first round waits for the start of everything, so it is not counted.
  while ((done_rounds <= rounds)); do
    sleep 1
    for name in "${!demo_pids[@]}"; do
      kill -0 "$name" 2>/dev/null || die_with_log "${demo_pids[$name]} has ended." "$demo_logs/${demo_pids[$name]}.log"
    done
    [[ ! -f $demo_out/metrics.csv ]] || done_rounds=$(($(wc -l <"$demo_out/metrics.csv") - 1))
  done
  local images seconds
  images=$(awk -F, 'NR == 1 { for (i = 1; i <= NF; ++i) c[$i] = i; next } NR > 2 { n += $c["images"] } END { print n }' "$demo_out/metrics.csv")
  seconds=$(awk -F, 'NR == 1 { for (i = 1; i <= NF; ++i) c[$i] = i; next } NR > 2 { s += $c["seconds"] } END { print s }' "$demo_out/metrics.csv")
  echo "default settings, one worker, $((done_rounds - 1)) rounds of 960 images:"
  awk -v images="$images" -v seconds="$seconds" \
    -v units="$(bench_scrape "$worker_port" gannet_worker_compute_seconds_count)" \
    -v data="$(bench_scrape "$worker_port" gannet_worker_data_seconds_sum)" \
    -v compute="$(bench_scrape "$worker_port" gannet_worker_compute_seconds_sum)" 'BEGIN {
      bare = units * 320 / compute
      rate = images / seconds
      rounds = images / 960
      printf "  end to end          %8.1f img/s\n", rate
      printf "  computation alone   %8.1f img/s (the same units)\n", bare
      printf "  ratio               %8.3f (goal 0.85)\n", rate / bare
      printf "  not computing       %8.3f s a round\n", seconds / rounds - 960 / bare
      printf "  of that, images     %8.3f s a round (drawn or read; kept from the second epoch on)\n", 3 * data / units
    }'
  echo "  fetch weights       $(bench_mean "$worker_port" gannet_worker_fetch_seconds) ms (worker)"
  echo "  submit              $(bench_mean "$worker_port" gannet_worker_submit_seconds) ms (worker, beside the next unit)"
  echo "  wait for images     $(bench_mean "$worker_port" gannet_worker_data_seconds) ms a unit"
  echo "  fetch gradient      $(bench_mean "$coordinator_port" gannet_coordinator_fetch_seconds) ms (coordinator)"
  echo "  fold                $(bench_mean "$coordinator_port" gannet_coordinator_aggregate_seconds) ms"
  echo "  optimizer step      $(bench_mean "$coordinator_port" gannet_coordinator_step_seconds) ms"
  echo "  encode              $(bench_mean "$coordinator_port" gannet_coordinator_encode_seconds) ms"
  echo "  publish             $(bench_mean "$coordinator_port" gannet_coordinator_publish_seconds) ms"
}
