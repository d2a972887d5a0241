#!/usr/bin/env bash
# Makes the secrets that deploy/k8s/base refers to: password of the database, admin token, class code, and a certificate
# for the gateway from an authority (CA) of the class's own. What exists is kept, so it may be repeated.
#
#   deploy/k8s/make_secrets.sh [--namespace NAME] [--print] [HOST...]
#
#   HOST...           names and addresses by which workers outside the cluster reach the gateway; those of its Service,
#                     and localhost for port-forward, are always in the certificate
#   --namespace NAME  default: the current one of kubectl
#   --print           writes all secrets, freshly made, as YAML to stdout; needs no cluster and no kubectl
#
# Secrets (keys): gannet-database (password), gannet-admin (token), gannet-class (code, ca.crt: what a student needs),
# gannet-gateway-tls (tls.crt, tls.key, ca.crt), gannet-ca (ca.crt, ca.key: mounted nowhere, signs the next one).
# A certificate of your own: create gannet-gateway-tls with these three keys first. KUBECTL names another kubectl.
set -euo pipefail
export LC_ALL=C
umask 077

readonly ca_days=1825 certificate_days=397

say() { echo "make_secrets: $*" >&2; }

die() {
  local line
  for line in "$@"; do say "$line"; done
  exit 1
}

usage() { sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; }

# ---- Kubernetes

cluster() { "${KUBECTL:-kubectl}" "${namespace_option[@]}" "$@"; }

exists() {
  local found
  [[ -z $print ]] || return 1
  found=$(cluster get secret "$1" --ignore-not-found --output=name) ||
    die "kubectl cannot look for secret $1; its message is above. Does \`kubectl get secrets\` work?"
  [[ -n $found ]]
}

# fetch SECRET KEY FILE
fetch() {
  cluster get secret "$1" --output="jsonpath={.data.${2//./\\.}}" | base64 -d >"$3" || die "Secret $1 cannot be read."
  [[ -s $3 ]] || die "Secret $1 has no key '$2': \`kubectl delete secret $1\`, then run this again."
}

# store SECRET TYPE KEY FILE [KEY FILE]...: the values reach kubectl by stdin, never by its command line.
store() {
  local name=$1 type=$2 manifest
  shift 2
  manifest=$(
    printf '%s\n' --- 'apiVersion: v1' 'kind: Secret' 'metadata:' "  name: $name" \
      ${namespace:+"  namespace: $namespace"} '  labels:' '    app.kubernetes.io/name: gannet' \
      '    app.kubernetes.io/part-of: gannet' "type: $type" 'data:'
    while (($# > 0)); do
      printf '  %s: %s\n' "$1" "$(base64 -w 0 <"$2")"
      shift 2
    done
  )
  if [[ -n $print ]]; then
    printf '%s\n' "$manifest"
  else
    # Not apply: it would repeat the values in an annotation.
    cluster create --filename=- <<<"$manifest" >/dev/null || die "Secret $name could not be created."
    say "$name made"
  fi
}

# ---- openssl

quietly() { "$@" 2>"$dir/openssl.log" || die "$1 $2 failed:" "$(<"$dir/openssl.log")"; }

# random_text CHARACTERS LENGTH
random_text() {
  local text=""
  while ((${#text} < $2)); do text+=$(openssl rand -base64 64 | tr -dc "$1"); done
  printf '%s\n' "${text:0:$2}"
}

make_key() { quietly openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1"; }

make_ca() {
  cat >"$dir/ca.cnf" <<'CNF'
[req]
prompt = no
distinguished_name = subject
x509_extensions = extensions
[subject]
CN = Gannet class CA
[extensions]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
CNF
  make_key "$dir/ca.key"
  quietly openssl req -x509 -new -sha256 -days "$ca_days" -config "$dir/ca.cnf" -key "$dir/ca.key" -out "$dir/ca.crt"
}

# One "DNS:NAME" or "IP:ADDRESS" a line.
alternative_names() {
  local host service=gannet-gateway
  printf 'DNS:%s\n' "$service" "$service.$service_namespace" "$service.$service_namespace.svc" \
    "$service.$service_namespace.svc.cluster.local" localhost
  printf 'IP:%s\n' 127.0.0.1 ::1
  for host in "${hosts[@]}"; do
    if [[ $host == *:* || $host =~ ^[0-9]+(\.[0-9]+){3}$ ]]; then echo "IP:$host"; else echo "DNS:$host"; fi
  done
}

make_certificate() {
  cat >"$dir/tls.cnf" <<CNF
[req]
prompt = no
distinguished_name = subject
[subject]
CN = gannet-gateway
[extensions]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = $(alternative_names | awk '!seen[$0]++' | paste -sd,)
CNF
  make_key "$dir/tls.key"
  quietly openssl req -new -sha256 -config "$dir/tls.cnf" -key "$dir/tls.key" -out "$dir/tls.csr"
  quietly openssl x509 -req -sha256 -days "$certificate_days" -in "$dir/tls.csr" \
    -CA "$dir/ca.crt" -CAkey "$dir/ca.key" -set_serial "0x$(openssl rand -hex 15)" \
    -extfile "$dir/tls.cnf" -extensions extensions -out "$dir/tls.crt"
  quietly openssl verify -purpose sslserver -CAfile "$dir/ca.crt" "$dir/tls.crt" >/dev/null
}

# ---- The secrets

make_simple_secret() {
  local name=$1 key=$2
  if exists "$name"; then
    say "$name exists, kept"
    return
  fi
  random_text A-Za-z0-9 40 >"$dir/value"
  store "$name" Opaque "$key" "$dir/value"
}

make_gateway_secret() {
  local host check
  if exists gannet-gateway-tls; then
    say "gannet-gateway-tls exists, kept"
    fetch gannet-gateway-tls ca.crt "$dir/ca.crt"
    fetch gannet-gateway-tls tls.crt "$dir/tls.crt"
    for host in "${hosts[@]}"; do
      check=-checkhost
      [[ $host != *:* && ! $host =~ ^[0-9]+(\.[0-9]+){3}$ ]] || check=-checkip
      # x509 says "does match" or "does NOT match", and ends with 0 either way.
      [[ $(openssl x509 -in "$dir/tls.crt" -noout "$check" "$host") == *"does match"* ]] || stale+=("$host")
    done
    openssl x509 -in "$dir/tls.crt" -noout -checkend $((14 * 86400)) >/dev/null || stale+=("two weeks from now")
    return
  fi
  if exists gannet-ca; then
    say "gannet-ca exists, kept"
    fetch gannet-ca ca.crt "$dir/ca.crt"
    fetch gannet-ca ca.key "$dir/ca.key"
  else
    make_ca
    store gannet-ca Opaque ca.crt "$dir/ca.crt" ca.key "$dir/ca.key"
  fi
  make_certificate
  store gannet-gateway-tls kubernetes.io/tls tls.crt "$dir/tls.crt" tls.key "$dir/tls.key" ca.crt "$dir/ca.crt"
}

make_class_secret() {
  if exists gannet-class; then
    say "gannet-class exists, kept"
    fetch gannet-class ca.crt "$dir/class-ca.crt"
    cmp -s "$dir/ca.crt" "$dir/class-ca.crt" ||
      die "gannet-class holds another ca.crt than gannet-gateway-tls: workers would refuse the gateway." \
        "\`kubectl delete secret gannet-class\`, run this again, restart the workers and give students the new file."
    return
  fi
  # Typed by people: no letter that looks like another.
  random_text a-hjkmnp-z2-9 16 >"$dir/code"
  store gannet-class Opaque code "$dir/code" ca.crt "$dir/ca.crt"
}

namespace=""
print=""
hosts=()
while (($# > 0)); do
  case $1 in
    --namespace | -n)
      namespace=${2:?--namespace needs a name}
      shift
      ;;
    --print) print=yes ;;
    --help | -h)
      usage
      exit 0
      ;;
    -*) die "Unknown option '$1'; --help lists them." ;;
    *)
      [[ $1 =~ ^[A-Za-z0-9*:]([A-Za-z0-9.:-]*[A-Za-z0-9:])?$ ]] ||
        die "'$1' is neither a host's name nor an address: without scheme and port, for example gannet.example.org."
      [[ ! $1 =~ ^[^:]*:[^:]*$ ]] || die "'$1' has a port: give the host alone."
      hosts+=("$1")
      ;;
  esac
  shift
done
[[ -z $namespace || $namespace =~ ^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$ ]] ||
  die "'$namespace' is no name of a namespace."
command -v openssl >/dev/null || die "openssl is missing: install package openssl."
[[ -n $print ]] || command -v "${KUBECTL:-kubectl}" >/dev/null ||
  die "kubectl is missing: install package kubernetes-client (Debian 13), or set KUBECTL."

namespace_option=()
[[ -z $namespace ]] || namespace_option=(--namespace "$namespace")
service_namespace=$namespace
if [[ -z $service_namespace && -z $print ]]; then
  service_namespace=$(cluster config view --minify --output='jsonpath={..namespace}')
fi
service_namespace=${service_namespace:-default}

dir=$(mktemp -d)
trap 'rm -rf -- "$dir"' EXIT
stale=()
make_simple_secret gannet-database password
make_simple_secret gannet-admin token
make_gateway_secret
make_class_secret
if ((${#stale[@]} > 0)); then
  die "The certificate in gannet-gateway-tls is not valid for: ${stale[*]}." \
    "\`kubectl delete secret gannet-gateway-tls\`, run this again with all hosts, then" \
    "\`kubectl rollout restart deployment gannet-gateway\`."
fi
