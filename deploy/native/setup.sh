# shellcheck shell=bash
# Installs missing Debian packages. Sourced by `run`.
#
#   ensure_packages GROUP...    returns at once when every package of the groups is installed

# Prints the list of this system's packages, or explains why there is none.
package_list() {
  local id="" version="" list
  if [[ -r /etc/os-release ]]; then
    id=$(. /etc/os-release && echo "${ID:-}")
    version=$(. /etc/os-release && echo "${VERSION_ID:-}")
  fi
  list="${root:?}/deploy/native/packages-$id-$version.txt"
  if [[ ! -r $list ]]; then
    die "No package list for this system: '${id:-unknown} ${version:-unknown}'; Debian 12 and 13 are known." \
      "On another system install what deploy/native/packages-debian-13.txt names and set GANNET_SETUP=skip."
  fi
  echo "$list"
}

# Names the packages of the given groups that are not installed.
missing_packages() {
  local list name group wanted=() installed
  list=$(package_list) || exit 1
  while read -r name group; do
    [[ " $* " == *" $group "* ]] && wanted+=("$name")
  done < <(grep -v '^ *\(#\|$\)' "$list")
  installed=" $(dpkg-query --show --showformat='${db:Status-Status}=${Package} ' "${wanted[@]}" 2>/dev/null || true) "
  for name in "${wanted[@]}"; do
    [[ $installed == *" installed=$name "* ]] || echo "$name"
  done
}

ensure_packages() {
  local missing as_root=() createcluster=/etc/postgresql-common/createcluster.conf
  [[ ${GANNET_SETUP:-} != skip ]] || return 0
  missing=$(missing_packages "$@") || exit 1
  [[ -n $missing ]] || return 0
  missing=${missing//$'\n'/ }

  # Debian's PostgreSQL starts a server on port 5432 when it is installed, unless this is said before.
  local keep_quiet=""
  if [[ " $missing " == *" postgresql-"* ]] &&
    ! grep -qsE "^ *create_main_cluster *=? *'?(false|off|no)" "$createcluster"; then
    keep_quiet="mkdir -p ${createcluster%/*} && echo 'create_main_cluster = false # gannet' >> $createcluster"
  fi
  local install="apt-get update && UCF_FORCE_CONFFOLD=1 DEBIAN_FRONTEND=noninteractive apt-get install"
  install+=" -y --no-install-recommends -o DPkg::Lock::Timeout=300 $missing"

  say "These packages are missing:"
  fold -s -w 96 <<<"$missing" | sed 's/^/    /' >&2
  if ((EUID != 0)); then
    if ! command -v sudo >/dev/null; then
      ask_administrator "there is no sudo here" "$keep_quiet" "$install"
    elif sudo -n true 2>/dev/null; then
      as_root=(sudo -n)
    elif [[ -t 0 ]] && sudo -v; then
      as_root=(sudo)
    else
      ask_administrator "sudo is not allowed to you, or wants a password and there is no terminal" \
        "$keep_quiet" "$install"
    fi
  fi
  say "Installing them with apt-get."
  if [[ -n $keep_quiet ]]; then
    say "PostgreSQL gets no server of its own: create_main_cluster = false in $createcluster"
    "${as_root[@]}" sh -c "$keep_quiet" </dev/null || die "Cannot write $createcluster."
  fi
  "${as_root[@]}" sh -c "$install" </dev/null >&2 ||
    die "The packages could not be installed; apt-get's message is above. Repeat after correcting it."
  missing=$(missing_packages "$@") || exit 1
  [[ -z $missing ]] || die "apt-get reported success, but these packages are still missing: ${missing//$'\n'/ }"
}

# ask_administrator WHY COMMAND... : prints what somebody with the right to install must type, and ends.
ask_administrator() {
  local why=$1 command
  shift
  {
    echo "run: Installing needs root, and $why. Ask the administrator of this machine to run this, as root:"
    echo
    for command in "$@"; do
      [[ -z $command ]] || echo "    $command"
    done
    echo
    echo "and then repeat your command."
  } >&2
  exit 1
}
