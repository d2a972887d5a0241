# shellcheck shell=bash
# A private, throw-away PostgreSQL. Sourced after guard.sh.
#
#   postgres_start DIR [PORT [durable]]   starts a server in DIR/postgres with an empty database "gannet"; sets $database_url
#
# It listens on a Unix socket inside DIR that only its owner and root can reach, so no port is taken. With PORT it
# listens on 127.0.0.1 too, where the password in DIR/postgres/password is asked for. It is tuned for data nobody will miss: a
# crash of the machine may leave it unreadable (fsync, synchronous_commit and full_page_writes are off). Never use these
# settings for a database that matters. One that is "durable" waits for the disk as PostgreSQL does unless told otherwise.

# Prints the directory with initdb and postgres.
postgres_programs() {
  local dir
  for dir in "${PG_BINDIR:-}" $(printf '%s\n' /usr/lib/postgresql/*/bin | sort -rV); do
    if [[ -n $dir && -x $dir/initdb && -x $dir/postgres ]]; then
      echo "$dir"
      return
    fi
  done
  die "No PostgreSQL server programs in /usr/lib/postgresql/*/bin: install package postgresql, or set PG_BINDIR."
}

postgres_start() {
  local dir=$1/postgres port=${2:-} durable=${3:-} programs as_owner=() options log=$1/postgres.log attempt
  programs=$(postgres_programs) || exit 1
  mkdir -m 700 "$dir"
  if ((EUID == 0)); then
    # PostgreSQL refuses root; user postgres must be able to reach the directory.
    id postgres >/dev/null 2>&1 || die "PostgreSQL refuses to run as root, and there is no user postgres to run it as."
    chmod 711 "$1"
    chown postgres: "$dir"
    # The kernel forgets the parent-death signal at a change of user, so it is asked for again.
    as_owner=(setpriv --reuid=postgres --regid=postgres --init-groups --pdeathsig INT)
  fi
  local clean=(env -i PATH=/usr/bin:/bin LC_ALL=C TZ=UTC)
  (umask 077 && head -c 24 /dev/urandom | base64 >"$dir/password")
  ((EUID != 0)) || chown postgres: "$dir/password"
  (
    cd /
    "${as_owner[@]}" "${clean[@]}" "$programs/initdb" --pgdata="$dir/data" --username=gannet --encoding=UTF8 --locale=C \
      --auth-local=trust --auth-host=scram-sha-256 --pwfile="$dir/password" --no-sync
  ) >"$log" 2>&1 || die_with_log "PostgreSQL's initdb failed." "$log"
  options=(
    listen_addresses="${port:+127.0.0.1}" port="${port:-5432}" unix_socket_directories="$dir"
    shared_buffers=256MB dynamic_shared_memory_type=mmap max_wal_size=4GB autovacuum_naptime=5s timezone=UTC log_timezone=UTC
  )
  if [[ $durable != durable ]]; then
    options+=(fsync=off synchronous_commit=off full_page_writes=off wal_level=minimal max_wal_senders=0)
  fi
  guarded 4 PostgreSQL INT "${as_owner[@]}" "${clean[@]}" "$programs/postgres" -D "$dir/data" "${options[@]/#/--}" \
    >>"$log" 2>&1 </dev/null
  postgres_pid=${guarded_pid:?}
  for ((attempt = 0; attempt < 600; ++attempt)); do
    if "$programs/pg_isready" --quiet --host="$dir" --port="${port:-5432}"; then
      "$programs/psql" --host="$dir" --port="${port:-5432}" --username=gannet --dbname=postgres --quiet --no-psqlrc \
        --command="CREATE DATABASE gannet" >>"$log" 2>&1 || die_with_log "The database could not be created." "$log"
      # shellcheck disable=SC2034  # for the caller
      database_url="postgres://gannet@/gannet?host=$dir${port:+&port=$port}"
      return
    fi
    kill -0 "$postgres_pid" 2>/dev/null || die_with_log "PostgreSQL ended while it started." "$log"
    sleep 0.05
  done
  die_with_log "PostgreSQL does not answer after 30 s." "$log"
}
