# shellcheck shell=bash
# The formatters, and what of the text a script can check. Sourced by `run`, in the root of the repository.
#
#   ensure_formatters           installs deploy/native/formatters.txt where that has not been done yet
#   format_language NAME MODE   formats the files of a language in place, or with MODE check says which are not formatted
#   check_migration_names       refuses migrations that are not called Vnnnn__verb_noun.sql
#   check_paths_in_docs         refuses pages that name a file of this repository which does not exist
#   check_commit_subjects BASE  refuses commits behind BASE whose subject is longer than 72 characters

format_languages=(c++ proto cmake sql shell python markdown)

# The environment lies outside the clone, as the compiler's cache does, so that the next clone finds it. A list of its own has
# a folder of its own, and so has each Python.
formatters_home() {
  local key
  key=$({ cat deploy/native/formatters.txt && python3 --version; } | sha256sum)
  echo "${XDG_CACHE_HOME:-${HOME:-/var/tmp}/.cache}/gannet/formatters/${key:0:16}"
}

ensure_formatters() {
  local home
  home=$(formatters_home)
  formatters=$home/bin
  [[ ! -e $home/complete ]] || return 0
  [[ ${GANNET_SETUP:-} != skip ]] ||
    die "The formatters of deploy/native/formatters.txt are not installed in $home." "Without GANNET_SETUP=skip this command installs them."
  say "Installing the formatters of deploy/native/formatters.txt in $home."
  mkdir -p -- "$home"
  # Two clones may come here at the same time.
  (
    flock 9
    [[ ! -e $home/complete ]] || exit 0
    python3 -m venv --clear "$home/venv" &&
      "$home/venv/bin/python3" -m pip install --quiet --disable-pip-version-check --requirement deploy/native/formatters.txt &&
      ln -sfn venv/bin "$home/bin" && touch "$home/complete"
  ) 9>"$home/lock" >"$home/log" 2>&1 || die_with_log "The formatters could not be installed in $home." "$home/log"
}

# format_files LANGUAGE: the files of a language, each ended by a zero byte.
format_files() {
  local ours=(-not -path './build/*' -not -path './out/*' -not -path './.git/*' -not -path './.cache/*' -not -path '*/node_modules/*')
  case $1 in
    c++) find libs services cli tests -name '*.h' -o -name '*.cc' ;;
    proto) find proto -name '*.proto' ;;
    cmake) find . -type f \( -name CMakeLists.txt -o -name '*.cmake' \) "${ours[@]}" ;;
    # Versioned migrations stay as they landed: a checksum guards them. What is applied again with each change does not.
    sql) find libs/store/migrations -name '[ABR]__*.sql' ;;
    shell) find . -type f \( -name '*.sh' -o -path ./run -o -path ./.ci/run \) "${ours[@]}" ;;
    python) find . -type f -name '*.py' "${ours[@]}" ;;
    # The page of the settings is written by a program, and a test compares it.
    markdown) find . -type f -name '*.md' -not -path ./docs/configuration.md "${ours[@]}" ;;
    *) die "No formatter for '$1'; known are: ${format_languages[*]}." ;;
  esac | sort | tr '\n' '\0'
}

# format_language NAME apply|check
format_language() {
  local tool
  case $1-$2 in
    c++-apply | proto-apply) tool=(clang-format -i) ;;
    c++-check | proto-check) tool=(clang-format --dry-run -Werror) ;;
    cmake-apply) tool=("$formatters/gersemi" --in-place --quiet) ;;
    cmake-check) tool=("$formatters/gersemi" --check --diff) ;;
    sql-apply) tool=("$formatters/sqlfluff" fix --quiet --disable-progress-bar) ;;
    sql-check) tool=("$formatters/sqlfluff" lint --disable-progress-bar) ;;
    shell-apply) tool=("$formatters/shfmt" --indent 2 --case-indent --write) ;;
    shell-check) tool=("$formatters/shfmt" --indent 2 --case-indent --diff) ;;
    python-apply) tool=("$formatters/ruff" format --quiet) ;;
    python-check) tool=("$formatters/ruff" format --quiet --diff) ;;
    markdown-apply) tool=("$formatters/mdformat") ;;
    markdown-check) tool=("$formatters/mdformat" --check) ;;
  esac
  format_files "$1" | xargs -0 --no-run-if-empty "${tool[@]}"
}

# What a migration's name may begin with: it does something. A verb that is missing is added here.
migration_verbs="add|allow|alter|bound|change|create|drop|fill|grant|index|keep|limit|make|move|record|remember|remove|rename|replace|revoke|set|split|store"
# Landed before the rule was checked; a migration is never renamed.
migrations_without_verb="V0002__spares_and_changes V0003__return_delay V0004__best_weights V0005__settings_version V0006__ledger
  V0007__ids_that_never_come_again V0008__stale_work V0009__removed_workers V0010__locks_that_nobody_names"

check_migration_names() {
  local file name number=0
  for file in libs/store/migrations/*.sql; do
    name=$(basename -- "$file" .sql)
    if [[ $name =~ ^[ABR]__[a-z0-9]+(_[a-z0-9]+)+$ ]]; then continue; fi
    number=$((number + 1))
    [[ $name == "$(printf 'V%04d__' "$number")"* ]] ||
      die "Migrations are numbered one after the other: expected $(printf 'V%04d' "$number")__verb_noun.sql, got $name.sql."
    [[ " ${migrations_without_verb//$'\n'/ } " == *" $name "* ]] || [[ $name =~ ^V[0-9]{4}__($migration_verbs)(_[a-z0-9]+)+$ ]] ||
      die "A migration is called Vnnnn__verb_noun.sql, got $name.sql." "The verbs are in migration_verbs of deploy/native/format.sh."
  done
}

# Of the pages that say how things are. Decisions and the list of changes say how they were.
check_paths_in_docs() {
  local page path missing=() pattern
  # shellcheck disable=SC2016  # the backquotes are those of Markdown
  pattern='`(\.ci|cli|cmake|deploy|docs|libs|proto|services|tests)/[A-Za-z0-9_./-]+`'
  while IFS=: read -r page path; do
    path=${path//\`/}
    # NAME and nnnn stand for what a reader chooses.
    [[ -e $path || $path == *NAME* || $path == *nnnn* ]] || missing+=("$page names $path, which does not exist.")
  done < <(grep -oE "$pattern" README.md CONTRIBUTING.md docs/*.md)
  ((${#missing[@]} == 0)) || die "${missing[@]}"
}

# check_commit_subjects BASE
check_commit_subjects() {
  local hash subject
  while read -r hash subject; do
    ((${#subject} <= 72)) || die "A subject has at most 72 characters, that of $hash has ${#subject}: $subject"
  done < <(git -c "safe.directory=${root:?}" log --no-merges --format='%h %s' "$1..HEAD")
}
