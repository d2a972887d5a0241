# shellcheck shell=bash
# Ends processes and removes their directory, whatever happens to the script that started them.
#
# Sourced by scripts that start processes:
#   guard_begin DIR                      DIR is removed at the end
#   guarded STAGE NAME SIGNAL COMMAND…   starts COMMAND in the background, pid in $guarded_pid; its output goes to the
#                                        caller's redirections
#   guard_end                            ends everything, highest stage last; idempotent
#
# A watchdog, this same file run as a program in a session of its own, waits at the other end of a pipe that only the
# starting script holds open. When that script ends, even by kill -9, the watchdog stops the processes stage by stage
# (SIGNAL, then KILL after some seconds) and removes DIR. Until the watchdog knows of a process the kernel's
# parent-death signal covers it.

guard_begin() {
  guard_dir=$1
  : >"$guard_dir/guard.pids"
  exec {guard_fd}> >(
    trap '' INT TERM HUP
    exec setsid bash "${root:?}/deploy/native/guard.sh" "$guard_dir"
  )
  guard_watchdog=$!
}

guarded() {
  local stage=$1 name=$2 signal=$3 fd=$guard_fd
  shift 3
  # Not in the terminal's foreground group: Ctrl-C is for the script, which then stops everything in order.
  setsid setpriv --pdeathsig "$signal" "$@" {fd}>&- &
  guarded_pid=$!
  echo "$stage $signal $guarded_pid $(guard_start_time "$guarded_pid") $name" >>"$guard_dir/guard.pids"
}

guard_end() {
  [[ -n ${guard_fd:-} ]] || return 0
  exec {guard_fd}>&-
  unset guard_fd
  wait "$guard_watchdog" 2>/dev/null || true
  # The watchdog itself may have been killed.
  [[ ! -d $guard_dir ]] || guard_clean "$guard_dir"
}

# Start of the process in clock ticks since boot: with the pid it names one process and no later one.
guard_start_time() {
  local stat
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 0
  # The name in parentheses may hold spaces; field 22 is the 20th behind it. A zombie counts as ended.
  local fields
  read -r -a fields <<<"${stat##*) }"
  [[ ${fields[0]} == Z ]] || echo "${fields[19]}"
}

guard_clean() {
  local dir=$1 stage signal left
  for stage in 1 2 3 4; do
    # Everybody has 5 s for a decent end, and what was killed as long to be gone.
    guard_signal "$dir" "$stage" "" || continue
    ! guard_await "$dir" "$stage" || continue
    ! guard_signal "$dir" "$stage" KILL || guard_await "$dir" "$stage" || true
  done
  # A PostgreSQL that was killed leaves the small segment that guards its data directory; the seventh line of its pid
  # file names it.
  signal=$(sed -n '7s/.* //p' "$dir/postgres/data/postmaster.pid" 2>/dev/null || true)
  [[ -z $signal ]] || ipcrm --shmem-id "$signal" 2>/dev/null || true
  # Its last children may still be writing.
  for ((left = 100; left > 0; --left)); do
    ! rm -rf -- "$dir" 2>/dev/null || return 0
    sleep 0.05
  done
}

# guard_signal DIR STAGE SIGNAL: sends it, or to each its own, to those of the stage that live. Fails when none does.
guard_signal() {
  local stage own pid started _ found=1
  while read -r stage own pid started _; do
    if [[ $stage == "$2" && -n $started && $(guard_start_time "$pid") == "$started" ]]; then
      kill -s "${3:-$own}" "$pid" 2>/dev/null || true
      found=0
    fi
  done <"$1/guard.pids"
  return "$found"
}

# guard_await DIR STAGE: whether all of the stage have ended within 5 s.
guard_await() {
  local deadline=$((SECONDS + 5))
  while guard_signal "$1" "$2" 0; do
    ((SECONDS < deadline)) || return 1
    sleep 0.05
  done
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
  set -u
  trap '' INT TERM HUP
  read -r _ || true
  guard_clean "$1"
fi
