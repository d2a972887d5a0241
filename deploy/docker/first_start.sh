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
# GANNET_SECRETS_DIR   where everything is kept; default: /run/gannet
set -eu

dir=${GANNET_SECRETS_DIR:-/run/gannet}
authority=$dir/authority tls=$dir/tls class=$dir/class
hosts=$(printf %s "${GANNET_PUBLIC_HOST:-}" | tr -d ' \t\r')
port=${GANNET_GATEWAY_PORT:-50051}
month=$((30 * 24 * 3600))

say() { echo "setup: $*" >&2; }
die() { say "$*"; exit 1; }

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
    esac || die "GANNET_PUBLIC_HOST: '$host' is neither a host's name nor an address; give it without scheme and port, for example lab.example.org"
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
  openssl x509 -req -in "$work/request" -CA "$authority/ca.crt" -CAkey "$authority/ca.key" -sha256 -days 397 \
    -set_serial "0x$(openssl rand -hex 16)" -extfile "$work/extensions" >"$work/crt" 2>"$work/log" ||
    die "$(tr '\n' ' ' <"$work/log"); the certificate could not be made for '$(names)': is GANNET_PUBLIC_HOST a list of host names and addresses?"
  install_file "$tls/gateway.key" 400 <"$work/key"
  install_file "$tls/gateway.crt" 444 <"$work/crt"
  names | install_file "$tls/names" 444
  rm -r "$work"
  say "made the gateway's certificate for $(names)"
}

print_join() {
  address=$(printf '%s' "${hosts:-THIS-MACHINE}" | cut -d , -f 1)
  case $address in *:*) address="[$address]" ;; esac
  ca=$(openssl x509 -in "$class/ca.crt" -outform DER | base64 -w 0)
  echo "A student joins with this line:"
  echo
  echo "docker run --rm --init --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges --volume gannet-worker:/var/lib/gannet --env GANNET_WORKER_EXCHANGE=$address:$port --env GANNET_WORKER_CLASS_CODE=$(cat "$class/code") --env GANNET_WORKER_CA=$ca gannet/worker:${GANNET_TAG:-0.1.0}"
  echo
  [ -z "$renewed" ] || say "a new certificate was made: a gateway that runs shows the old one until it is restarted (docker-compose restart gateway)"
  [ -n "$hosts" ] || say "THIS-MACHINE stands for the name students reach this machine by: set GANNET_PUBLIC_HOST to it in .env"
}

renewed=""
check_hosts
if [ "${1:-}" = join ]; then
  [ -s "$class/code" ] || die "there are no secrets yet: start the class first"
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
make_certificate
print_join
