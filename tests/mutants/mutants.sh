# shellcheck shell=bash
# Deliberate mistakes in the code, each of which a test must notice: `./run mutants`. Those in the SQL are in
# libs/store/pg_random_operations_test.cc, where a mutant costs no compilation.

# mutant NAME FILE TEST SED...: the mistake, made by sed scripts in a file, each of which changes something there, and the test
# that fails with it.
list_mutants() {
  mutant no_buffer_reset libs/gan/engines/cpu_networks.cc gan_gradient_computer_test \
    's/BeginUnit() override { sums_ =/BeginUnit() override { if (!begun_++) sums_ =/' \
    's/^  UnitSums sums_;/&\n  int begun_ = 0;/'
  mutant no_slot_order services/coordinator/round_collector.cc coordination_round_collector_test \
    '/GANNET_RETURN_IF_ERROR(aggregator_->Add(/d' \
    's/^  held_.emplace(info.slot, Held/  GANNET_RETURN_IF_ERROR(aggregator_->Add(*gradient, info.stats.image_count));\n&/'
  mutant stale_adam_moment libs/gan/adam.cc gan_round_update_test \
    '/^    exp_avg\[i\] = m;$/d'
  mutant stale_moments_are_published services/coordinator/leader_term.cc coordinator_coordinator_test \
    's/request.adam_state = std::move(state->adam_state);/request.adam_state = published_.adam_state;/'
  mutant no_fence libs/domain/unit_state.cc exchange_state_space_test \
    's/  if (attempt != unit.attempt || unit.state == UnitState::kDone || unit.holder != worker) {/  if (unit.state == UnitState::kDone) {/'
  mutant any_holder_renews libs/domain/unit_state.cc domain_unit_state_test \
    's/  if (unit.holder != worker) return/  if (unit.holder != worker \&\& worker.value().empty()) return/'
  mutant ids_come_again libs/store/migrations/V0007__ids_that_never_come_again.sql store_pg_lost_commits_test \
    's/ | floor(random() \* (1 << 24))::bigint//'
  mutant lost_gradients_are_folded services/coordinator/round_collector.cc coordination_round_collector_test \
    's/^  return absl::c_all_of(folded_, has) &&/  return absl::c_all_of(folded_, [](const auto\&) { return true; }) \&\&/'
  mutant weights_are_known_by_number services/worker/worker.cc worker_worker_test \
    's/^  if (weights_ == wanted) return true;/  if (weights_.has_value() \&\& weights_->first == wanted.first) return true;/'
  mutant a_forgotten_worker_ends services/worker/worker.cc worker_worker_test \
    's/^    if (!IsForgotten(status)) return status;/    if (!IsForgotten(status) || status.ok() == false) return status;/'
  mutant no_compare_and_swap libs/exchange/memory/memory_store.cc exchange_memory_contract_test \
    's/  if (run->version != request.expected_version) {/    if (false) {/'
  mutant any_leader libs/exchange/memory/memory_state.cc exchange_state_space_test \
    's/run->leader_term != leadership.term || run->leader_until <= clock.Now()/false/' \
    's/run->leader != leadership.leader ||/false ||/'
  mutant not_weighted_by_images libs/aggregate/rules/weighted_mean.cc aggregate_weighted_mean_test \
    's/weight_ + weight;/weight_ + 1;/'
  mutant stale_gradients_count_in_full services/coordinator/round_collector.cc coordination_round_collector_test \
    's/ \* domain::StaleWeight(stale_weight_, info.stale_rounds)//'
  mutant stale_copies_count_twice libs/exchange/memory/memory_state.cc exchange_memory_contract_test \
    's/const Unit\*& most_recent = by_slot\[unit.slot\];/const Unit*\& most_recent = by_slot[base::Slot(unit.slot.value() * 100 + static_cast<int>(by_slot.size()))];/'
  mutant nan_is_a_gradient services/coordinator/round_collector.cc coordination_round_collector_test \
    '/GANNET_RETURN_IF_ERROR(domain::CheckGradientValues(gradient));/d'
  mutant two_copies_of_a_unit libs/exchange/memory/memory_state.cc exchange_memory_contract_test \
    's/!helped.contains(unit.slot) &&$/true;/' \
    '/open_units\[unit.slot\] < domain::kMaxOpenUnitsOfSlot;/d'
  mutant made_up_progress_counts libs/exchange/memory/memory_state.cc exchange_memory_contract_test \
    's/^      std::min(progress.micro_batches_done,/      std::max(progress.micro_batches_done,/'
  mutant lost_answer_is_a_failure services/coordinator/leader_term.cc coordinator_coordinator_test \
    's/    const bool in_doubt =$/    const bool in_doubt = false;/' \
    '/ telemetry::RetryingCaller::IsTransient(status) && !absl::IsAborted(status);/d'
}

# mutants [NAME...]: all, or those named. Works in a copy, build/mutants, of what git knows or would add.
mutants() {
  local copy=${root:?}/build/mutants wanted=("$@") found=() missed=()
  ensure_packages build run
  copy_sources
  export CCACHE_BASEDIR=$copy
  (cd -- "$copy" && cmake --preset dev >/dev/null) || die "The copy does not configure."
  list_mutants
  say "${#found[@]} mutants found by their tests${missed[*]:+, NOT FOUND: ${missed[*]}}"
  ((${#missed[@]} == 0)) || exit 1
  ((${#found[@]} > 0)) || die "No mutant has such a name."
}

# Fails and names every mutant of which a part would change nothing, because its code looks different now. Compiles nothing.
check_mutants() {
  local stale=()
  mutant() {
    local expression
    for expression in "${@:4}"; do
      ! sed -e "$expression" -- "$2" | cmp --quiet -- - "$2" || stale+=("$1 ($2)")
    done
  }
  list_mutants
  unset -f mutant
  ((${#stale[@]} == 0)) || die "These mutants change nothing, their code looks different now: ${stale[*]}"
}

mutant() {
  local name=$1 file=$copy/$2 target=$3 log=$copy/build/$1.log expression
  if ((${#wanted[@]} > 0)) && [[ " ${wanted[*]} " != *" $name "* ]]; then
    return
  fi
  # Without the mistake the test must pass, or its failure would say nothing.
  mutant_test "$target" "$log" || die_with_log "$target fails without a mutant." "$log"
  for expression in "${@:4}"; do
    cp -- "$file" "$file.before"
    sed -i -e "$expression" -- "$file"
    ! cmp --quiet -- "$file" "$file.before" || die "Mutant $name is not what it was: $2 looks different now."
    rm -- "$file.before"
  done
  cmake --build "$copy/build/dev" --target "$target" -j "$(jobs)" >"$log" 2>&1 || die_with_log "Mutant $name does not compile." "$log"
  if mutant_test "$target" "$log"; then
    missed+=("$name")
    say "mutant $name: NOT FOUND by $target"
  else
    found+=("$name")
    say "mutant $name: found by $target: $(grep -m 1 -oE '^\[  FAILED  \] [A-Za-z0-9_./]+|Segmentation fault' "$log" || echo "it ended")"
  fi
  cp -- "$root/$2" "$file"
}

# Only what differs, so that only that is compiled again.
copy_sources() {
  local file
  while read -r -d '' file; do
    [[ -f $root/$file ]] || continue
    ! cmp --quiet -- "$root/$file" "$copy/$file" || continue
    mkdir -p -- "$(dirname -- "$copy/$file")"
    cp -- "$root/$file" "$copy/$file"
  done < <(git -C "$root" ls-files -z --cached --others --exclude-standard)
}

# mutant_test TARGET LOG
mutant_test() {
  cmake --build "$copy/build/dev" --target "$1" -j "$(jobs)" >"$2" 2>&1 || die_with_log "$1 does not build." "$2"
  (cd -- "$copy/build/dev" && ctest --output-on-failure -R "^$1\$") >"$2" 2>&1
}
