#pragma once

#include <memory>
#include <string>

#include "libs/exchange/testing/backend_fixture.h"
#include "libs/pg/pg_pool.h"
#include "libs/store/pg_backend.h"
#include "libs/telemetry/metrics.h"

namespace gannet::store {

// The PostgreSQL backend over a database of its own, dropped with the fixture. gannet.clock_now()
// is replaced there by a clock that only AdvanceTime moves. Exchange and store log in as roles that
// are members of gannet_worker and of gannet_coordinator only, so every test also shows that these
// rights suffice.
class PgFixture final : public exchange::BackendFixture {
 public:
  // `sql` is run after the migrations: a mutant of them, for instance.
  explicit PgFixture(const std::string& sql = "");
  ~PgFixture() override;

  exchange::Store& store() override { return coordinator_->store(); }
  exchange::Exchange& exchange() override { return worker_->exchange(); }
  void AdvanceTime(absl::Duration by) override;
  exchange::RunDump Dump(base::RunId run) override;

  // Claims a unit, which must be there, without waiting; the test fails and the unit is empty when
  // none is.
  exchange::WorkUnit Claim(const exchange::WorkerIdentity& worker, base::RunId run);

  // Lets workers 10 and up claim every unit, so long ago that whoever claims next is given a
  // speculative copy.
  void LetEveryUnitBeSlow(const domain::RunConfig& config, base::RunId run);

  // Of the superuser.
  const std::string& url() const { return url_; }

 private:
  pg::SqlRows Query(const pg::SqlStatement& statement, const pg::SqlParams& params);

  const std::string url_;
  telemetry::Metrics metrics_;
  std::unique_ptr<pg::PgPool> superuser_;
  std::unique_ptr<PgBackend> coordinator_;
  std::unique_ptr<PgBackend> worker_;
};

std::unique_ptr<exchange::BackendFixture> MakePgFixture();

}  // namespace gannet::store
