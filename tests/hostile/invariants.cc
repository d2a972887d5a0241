#include "tests/hostile/invariants.h"

#include "absl/strings/str_cat.h"

namespace gannet::hostile {

// NOLINTNEXTLINE(readability-function-size): a table, one row per invariant.
const std::vector<Invariant>& Invariants() {
  static const auto& all = *new std::vector<Invariant>{
      {"one gradient is kept for each slot of a round",
       "SELECT count(*) FROM (SELECT FROM gannet.gradient GROUP BY run_id, round, slot "
       "HAVING count(*) > 1) AS twice"},
      {"a lease belongs to a worker of the run, under an attempt, and ends",
       "SELECT count(*) FROM gannet.work_unit u WHERE u.state = 'leased' AND ("
       "u.attempt < 1 OR u.lease_until IS NULL OR u.claim_request IS NULL OR NOT EXISTS ("
       "SELECT FROM gannet.worker w WHERE w.run_id = u.run_id AND w.worker_id = u.holder))"},
      {"a worker holds two leases at most",
       "SELECT count(*) FROM (SELECT FROM gannet.work_unit WHERE state = 'leased' "
       "AND stale_rounds = 0 GROUP BY run_id, holder HAVING count(*) > 2) AS greedy"},
      {"a unit is done when, and only when, its gradient is kept",
       "SELECT count(*) FROM gannet.work_unit u LEFT JOIN gannet.gradient g USING (unit_id) "
       "WHERE (u.state = 'done') <> (g.unit_id IS NOT NULL)"},
      {"a gradient is kept under the last attempt of its unit, from its holder, in its place",
       "SELECT count(*) FROM gannet.gradient g JOIN gannet.work_unit u USING (unit_id) "
       "WHERE g.attempt <> u.attempt OR g.worker_id IS DISTINCT FROM u.holder "
       "OR g.run_id <> u.run_id OR g.round <> u.round OR g.slot <> u.slot "
       "OR g.image_count <> u.image_count"},
      {"what is consumed was kept, in a round that is published",
       "SELECT count(*) FROM gannet.work_unit u JOIN gannet.run r USING (run_id) "
       "WHERE u.consumed AND (u.state <> 'done' OR u.round > r.weights_version)"},
      {"nothing of a published round is open",
       "SELECT count(*) FROM gannet.work_unit u JOIN gannet.run r USING (run_id) "
       "WHERE u.round <= r.weights_version AND u.state IN ('ready', 'leased', 'failed')"},
      {"the units of the open round alone are of a round to come",
       "SELECT count(*) FROM gannet.work_unit u JOIN gannet.run r USING (run_id) "
       "WHERE u.round > r.weights_version + 1 AND u.state <> 'ready'"},
      {"progress is between nothing and the whole unit",
       "SELECT count(*) FROM gannet.work_unit u JOIN gannet.run r USING (run_id) "
       "WHERE u.micro_batches_done < 0 "
       "OR u.micro_batches_done > greatest(1, u.image_count / r.micro_batch)"},
      {"a unit has at most five failures, and with five it has failed",
       "SELECT count(*) FROM gannet.work_unit WHERE failures < 0 OR failures > 5 "
       "OR (failures = 5 AND state IN ('ready', 'leased'))"},
      {"what a worker is credited with is what is kept of it",
       "SELECT count(*) FROM gannet.worker w LEFT JOIN ("
       "SELECT run_id, worker_id, count(*) AS units, sum(image_count) AS images "
       "FROM gannet.gradient GROUP BY run_id, worker_id) AS kept USING (run_id, worker_id) "
       "WHERE w.accepted_unit_count <> coalesce(kept.units, 0) "
       "OR w.accepted_image_count <> coalesce(kept.images, 0)"},
      {"no worker is credited with less than nothing",
       "SELECT count(*) FROM gannet.worker WHERE accepted_unit_count < 0 "
       "OR accepted_image_count < 0 OR wasted_image_count < 0 OR duplicate_unit_count < 0"},
      {"the ledger knows one kept submission of an attempt, of a worker of the run",
       "SELECT (SELECT count(*) FROM (SELECT FROM gannet.ledger WHERE outcome IN (1, 2) "
       "GROUP BY unit_id, attempt HAVING count(*) > 1) AS twice) + "
       "(SELECT count(*) FROM gannet.ledger l WHERE NOT EXISTS (SELECT FROM gannet.worker w "
       "WHERE w.run_id = l.run_id AND w.worker_id = l.worker_id))"},
      {"what became of a submission is noted once",
       "SELECT count(*) FROM (SELECT FROM gannet.ledger WHERE outcome < 100 "
       "GROUP BY run_id, round, unit_id, attempt, worker_id, outcome HAVING count(*) > 1) AS "
       "again"},
      {"every published round is summed up, with numbers that are some",
       "SELECT (SELECT count(*) FROM gannet.run r WHERE r.weights_version <> ("
       "SELECT count(*) FROM gannet.round_summary s WHERE s.run_id = r.run_id "
       "AND s.round BETWEEN 1 AND r.weights_version)) + "
       "(SELECT count(*) FROM gannet.round_summary WHERE NOT ("
       "abs(discriminator_loss) < 'infinity' AND abs(generator_loss) < 'infinity' "
       "AND abs(real_accuracy) < 'infinity' AND abs(fake_accuracy) < 'infinity' "
       "AND seconds < 'infinity' AND gradient_count >= 0))"},
      {"a gradient whose bytes are kept has all of them",
       "SELECT count(*) FROM gannet.gradient g WHERE g.has_bytes AND g.payload_bytes <> ("
       "SELECT coalesce(sum(octet_length(b.data)), 0) FROM gannet.gradient_blob b "
       "WHERE b.run_id = g.run_id AND b.round = g.round AND b.unit_id = g.unit_id "
       "AND b.attempt = g.attempt)"},
      {"the current weights are there",
       "SELECT count(*) FROM gannet.run r WHERE NOT EXISTS (SELECT FROM gannet.weights w "
       "WHERE w.run_id = r.run_id AND w.version = r.weights_version)"},
      {"names are short, and without control characters",
       "SELECT count(*) FROM gannet.worker WHERE char_length(display_name) > 64 "
       "OR char_length(hardware) > 200 OR display_name ~ '[[:cntrl:]]' "
       "OR hardware ~ '[[:cntrl:]]' OR worker_id !~ '^[0-9a-f]{32}$' OR incarnation < 1"}};
  return all;
}

std::vector<std::string> BrokenInvariants(const std::function<int64_t(const std::string&)>& count) {
  std::vector<std::string> broken;
  for (const Invariant& invariant : Invariants()) {
    const int64_t offenders = count(invariant.offenders);
    if (offenders != 0) broken.push_back(absl::StrCat(invariant.claim, ": ", offenders));
  }
  return broken;
}

}  // namespace gannet::hostile
