#!/bin/sh
# Makes the secrets of a class, once: the database's password, the admin token, the class code, and a certificate authority with
# the gateway's certificate. What is there is kept; the certificate is renewed a month before it expires, and when
# GANNET_PUBLIC_HOST has changed. Ends with what students need to join.
#
#   gannet-first-start          makes what is missing, then prints the line for students
#   gannet-first-start join     only prints it
#
# GANNET_PUBLIC_HOST   names and addresses by which students reach this machine, separated by commas; the first one is printed
# GANNET_GATEWAY_PORT  the port they reach it at
# GANNET_REGISTRY      the registry from which students get the worker's image; without one it must be on their machines
# GANNET_SECRETS_DIR   where everything is kept; default: /run/gannet
set -eu

dir=${GANNET_SECRETS_DIR:-/run/gannet}
authority=$dir/authority tls=$dir/tls class=$dir/class
hosts=$(printf %s "${GANNET_PUBLIC_HOST:-}" | tr -d ' \t\r')
port=${GANNET_GATEWAY_PORT:-50051}
month=$((30 * 24 * 3600))

say() { echo "setup: $*" >&2; }
die() {
  say "$*"
  exit 1
}

# Writes stdin to a file by renaming, so that nobody ever sees half of it. install_file FILE MODE
install_file() {
  cat >"$1.new"
  [ -s "$1.new" ] || die "$1 could not be written: is the disk full?"
  chmod "$2" "$1.new"
  mv "$1.new" "$1"
}

# random_text CHARACTERS LENGTH
random_text() {
  text=""
  while [ ${#text} -lt "$2" ]; do text=$text$(openssl rand -base64 48 | tr -dc "$1"); done
  printf '%s\n' "$text" | cut -c "-$2"
}

# make_secret FILE CHARACTERS LENGTH: readable in every container it is mounted into, whatever user that runs.
make_secret() {
  [ ! -s "$1" ] || return 0
  random_text "$2" "$3" | install_file "$1" 444
  say "made $1"
}

make_authority() {
  [ ! -s "$authority/ca.key" ] || [ ! -s "$authority/ca.crt" ] || return 0
  openssl ecparam -name prime256v1 -genkey -noout | install_file "$authority/ca.key" 400
  openssl req -x509 -new -key "$authority/ca.key" -sha256 -days 3650 -subj "/CN=Gannet class $(openssl rand -hex 4)" \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign |
    install_file "$authority/ca.crt" 444
  say "made a certificate authority"
}

# The names in the certificate, as openssl's subjectAltName.
names() {
  printf 'DNS:gateway,DNS:localhost,IP:127.0.0.1'
  printf '%s' "$hosts" | tr ',' '\n' | while read -r host || [ -n "$host" ]; do
    case $host in
      "") ;;
      *[!0-9.]*)
        case $host in
          *:*) printf ',IP:%s' "$host" ;;
          *) printf ',DNS:%s' "$host" ;;
        esac
        ;;
      *) printf ',IP:%s' "$host" ;;
    esac
  done
}

check_hosts() {
  printf '%s' "$hosts" | tr ',' '\n' | while read -r host || [ -n "$host" ]; do
    case $host in
      *//* | *[!A-Za-z0-9.:-]*) false ;;
      *:*:*) ;;
      *:*) false ;;
    esac || {
      say "GANNET_PUBLIC_HOST: '$host' is neither a host's name nor an address; give it without scheme and port, for example lab.example.org"
      exit 1
    }
  done
}

make_certificate() {
  if [ -s "$tls/gateway.crt" ] && [ -s "$tls/gateway.key" ] && [ "$(cat "$tls/names" 2>/dev/null)" = "$(names)" ] &&
    openssl x509 -in "$tls/gateway.crt" -checkend $month >/dev/null &&
    openssl verify -CAfile "$authority/ca.crt" "$tls/gateway.crt" >/dev/null 2>&1; then
    return 0
  fi
  [ ! -s "$tls/gateway.crt" ] || renewed=yes
  work=$(mktemp -d)
  openssl ecparam -name prime256v1 -genkey -noout >"$work/key"
  openssl req -new -key "$work/key" -subj "/CN=Gannet gateway" >"$work/request"
  printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth\n' "$(names)" >"$work/extensions"
  if ! openssl x509 -req -in "$work/request" -CA "$authority/ca.crt" -CAkey "$authority/ca.key" -sha256 -days 397 \
    -set_serial "0x$(openssl rand -hex 16)" -extfile "$work/extensions" >"$work/crt" 2>"$work/log"; then
    wrong_hosts="setup: GANNET_PUBLIC_HOST: no certificate can be made for '$hosts' ($(grep -m 1 -o 'value=.*' "$work/log" || head -n 1 "$work/log")); give host names and addresses, separated by commas"
    hosts=""
    renewed=""
    rm -r "$work"
    return
  fi
  install_file "$tls/gateway.key" 400 <"$work/key"
  install_file "$tls/gateway.crt" 444 <"$work/crt"
  names | install_file "$tls/names" 444
  rm -r "$work"
  say "made the gateway's certificate for $(names)"
}

# Double quotes are the same in sh, zsh (which would take [fd00::2] for a pattern), PowerShell and cmd.
print_join() {
  address=$(printf '%s' "${hosts:-THIS-MACHINE}" | cut -d , -f 1)
  case $address in *:*) address="[$address]" ;; esac
  ca=$(openssl x509 -in "$class/ca.crt" -outform DER | base64 -w 0)
  # Without a registry of the class's own the image is there, or there is none: a public registry would give whatever somebody
  # has put there, and the class code with it.
  image=${GANNET_REGISTRY:-localhost}/gannet/worker:${GANNET_TAG:-0.1.0}
  pull="--pull never "
  [ -z "${GANNET_REGISTRY:-}" ] || pull=""
  echo "A student joins with this line, with the student's own name in the place of YOUR-NAME:"
  echo
  echo "docker run ${pull}--rm --init --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges --volume gannet-worker:/var/lib/gannet --env \"GANNET_WORKER_NAME=YOUR-NAME\" --env \"GANNET_WORKER_EXCHANGE=$address:$port\" --env \"GANNET_WORKER_CLASS_CODE=$(cat "$class/code")\" --env \"GANNET_WORKER_CA=$ca\" \"$image\""
  echo
  [ -n "${GANNET_REGISTRY:-}" ] || say "the image $image reaches students as a file (docs/instructor.md), or name a registry as GANNET_REGISTRY in .env"
  [ -z "$renewed" ] || say "a new certificate was made: a gateway that runs shows the old one until it is restarted (docker-compose restart gateway)"
  [ -n "$hosts" ] || say "THIS-MACHINE stands for the name students reach this machine by: set GANNET_PUBLIC_HOST to it in .env, then docker-compose up --detach"
}

renewed=""
# A name that cannot be used keeps nobody from starting: whatever else is wrong with it, the services do not need it. It is not
# in the certificate then, and there is no line to hand out before it is corrected.
wrong_hosts=""
if ! check_hosts 2>/dev/null; then wrong_hosts=$(check_hosts 2>&1 || true) hosts=""; fi
end_without_line() {
  printf '%s\n' "$wrong_hosts" >&2
  say "there is no line for students yet: set GANNET_PUBLIC_HOST in .env, then docker-compose up --detach, and docker-compose logs setup"
}
if [ "${1:-}" = join ]; then
  [ -s "$class/code" ] || die "there are no secrets yet: start the class first"
  if [ -n "$wrong_hosts" ]; then
    end_without_line
    exit 1
  fi
  print_join
  exit
fi
for volume in "$authority" "$dir/database" "$dir/admin" "$tls" "$class"; do
  [ -d "$volume" ] || mkdir -p "$volume"
  [ -w "$volume" ] || die "$volume cannot be written by user $(id -u): its volume belongs to somebody else; remove it (docker volume rm) and start again"
done
make_secret "$dir/database/password" 'A-Za-z0-9' 32
make_secret "$dir/admin/token" 'A-Za-z0-9' 40
# Read aloud and typed: no letters and digits that look alike.
make_secret "$class/code" 'a-hj-km-np-z2-9' 16
make_authority
install_file "$class/ca.crt" 444 <"$authority/ca.crt"
# The one that is there stays for as long as the name is wrong.
if [ -z "$wrong_hosts" ]; then make_certificate; fi
if [ ! -s "$tls/gateway.crt" ]; then make_certificate; fi
if [ -n "$wrong_hosts" ]; then end_without_line; else print_join; fi
