#!/usr/bin/env bash
# What a program reads from ./run stands alone on standard output, whatever a build says before.
#
#   run_output_test.sh SOURCE_DIR GANNET
#
# The script is tried in a copy of what it consists of, with a cmake that only talks and a bench that only answers; the
# database is a real one.
set -euo pipefail
source_dir=$1 gannet=$2
place=$(mktemp -d "${GANNET_TMPDIR:-/var/tmp}/gannet-run-output.XXXXXX")
# User postgres must reach the database below it.
chmod 711 "$place"
db_pid=""
cleanup() {
  [[ -z $db_pid ]] || kill -TERM "$db_pid" 2>/dev/null || true
  [[ -z $db_pid ]] || wait "$db_pid" 2>/dev/null || true
  rm -rf -- "$place"
}
trap cleanup EXIT

mkdir -p "$place/deploy" "$place/stub" "$place/databases" "$place/build/dev/bin" "$place/build/release/bin"
chmod 711 "$place/databases"
cp "$source_dir/run" "$place/run"
cp -r "$source_dir/deploy/native" "$place/deploy/native"
ln -s "$gannet" "$place/build/dev/bin/gannet"
printf '#!/bin/sh\necho "[1/2] Building CXX object"\n' >"$place/stub/cmake"
printf '#!/bin/sh\necho "{\\"images_per_second\\": 1}"\n' >"$place/build/release/bin/gannet-bench-gan"
chmod +x "$place/stub/cmake" "$place/build/release/bin/gannet-bench-gan"
export PATH=$place/stub:$PATH GANNET_SETUP=skip GANNET_TMPDIR=$place/databases

fail() {
  echo "FAILED: $*" >&2
  exit 1
}

out=$("$place/run" bench gan --json 2>"$place/err")
[[ $out == '{"images_per_second": 1}' ]] || fail "bench gan --json printed: $out"
grep -q Building "$place/err" || fail "the build did not speak on stderr"

out=$("$place/run" build 2>/dev/null)
[[ -z $out ]] || fail "build printed: $out"

mkfifo "$place/out"
"$place/run" db >"$place/out" 2>"$place/err" &
db_pid=$!
exec 3<"$place/out"
IFS= read -r -t 60 first <&3 || fail "db printed nothing: $(cat "$place/err")"
[[ $first == postgres://* ]] || fail "the first line of db is: $first"
[[ $("$gannet" migrate --database.url "$first" 2>/dev/null) == "The database has schema version "* ]] ||
  fail "nobody answers at $first"
kill -TERM "$db_pid"
wait "$db_pid" || true
db_pid=""
rest=$(cat <&3)
[[ -z $rest ]] || fail "after the URL, db printed: $rest"
echo "passed"
