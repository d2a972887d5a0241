#!/bin/sh
# Collects what programs need to run: the shared libraries they reach, and nothing of what the packages of these depend on
# besides. An image gets them by `install`.
#
#   collect_libraries.sh collect FOLDER PROGRAM...   FOLDER/lib: the libraries, by the names under which they are looked for;
#                                                    FOLDER/doc, FOLDER/packages: licences and versions of their packages
#   collect_libraries.sh install FOLDER              puts those that this system lacks into /usr/lib/gannet
#
# Half of what apt would install for LibTorch (MPI's tools, drivers for Vulkan, …) is never loaded by a program that computes on
# a processor.
set -eu

collect() {
  folder=$1
  shift
  mkdir -p "$folder/lib" "$folder/doc" "$folder/packages"
  for program in "$@"; do
    if ldd "$program" | grep 'not found' >&2; then exit 1; fi
    ldd "$program"
  done | awk '$2 == "=>" {print $1, $3}' | sort -u >"$folder/list"
  while read -r name path; do
    # A folder of its own stays one: a program tells OpenBLAS from Netlib's slow one by openblas-pthread/libblas.so.3.
    kind=$(basename "$(dirname "$(realpath "$path")")")
    case $kind in *-linux-gnu | lib | lib64) kind=. ;; esac
    mkdir -p "$folder/lib/$kind"
    cp --dereference "$path" "$folder/lib/$kind/$name"
  done <"$folder/list"
  # All at once: each look reads the lists of all packages.
  cut -d ' ' -f 2 "$folder/list" | xargs realpath | sort -u | xargs dpkg-query --search | cut -d : -f 1 | sort -u \
    >"$folder/package-names"
  [ -s "$folder/package-names" ]
  while read -r package; do
    cp --dereference "/usr/share/doc/$package/copyright" "$folder/doc/$package"
  done <"$folder/package-names"
  # In the form in which scanners for known holes look for packages in images without dpkg.
  xargs dpkg-query --status <"$folder/package-names" | grep -vE '^ ?/|^Conffiles:' |
    awk -v folder="$folder/packages/" '/^Package: / {close(file); file = folder $2} {print >file}'
  # Of the authorities that everybody trusts, for gateways with a certificate of one.
  cp --dereference /etc/ssl/certs/ca-certificates.crt "$folder/authorities.crt"
}

install_missing() {
  folder=$1
  mkdir -p /usr/lib/gannet /etc/ssl/certs /var/lib/dpkg/status.d
  known=" $(ldconfig -p | awk '{print $1}' | tr '\n' ' ')"
  (cd "$folder/lib" && find . -type f) | while read -r library; do
    case $known in
      *" $(basename "$library") "*) ;;
      *)
        mkdir -p "/usr/lib/gannet/$(dirname "$library")"
        cp "$folder/lib/$library" "/usr/lib/gannet/$library"
        ;;
    esac
  done
  for package in "$folder"/packages/*; do
    name=$(basename "$package")
    [ ! -e "/usr/share/doc/$name/copyright" ] || continue # it is installed
    mkdir -p "/usr/share/doc/$name"
    cp "$folder/doc/$name" "/usr/share/doc/$name/copyright"
    cp "$package" "/var/lib/dpkg/status.d/$name"
  done
  [ -e /etc/ssl/certs/ca-certificates.crt ] || cp "$folder/authorities.crt" /etc/ssl/certs/ca-certificates.crt
  find /usr/lib/gannet -type d >/etc/ld.so.conf.d/gannet.conf
  ldconfig
}

case ${1:-} in
  collect)
    shift
    collect "$@"
    ;;
  install) install_missing "$2" ;;
  *)
    echo "collect_libraries.sh: unknown word '${1:-}'" >&2
    exit 2
    ;;
esac
