#pragma once

#include <memory>
#include <string>

#include "libs/exchange/testing/backend_fixture.h"
#include "libs/pg/pg_pool.h"
#include "libs/store/pg_backend.h"
#include "libs/telemetry/metrics.h"

namespace gannet {

// The PostgreSQL backend over a database of its own, dropped with the fixture. gannet.clock_now()
// is replaced there by a clock that only AdvanceTime moves. Exchange and store log in as roles that
// are members of gannet_worker and of gannet_coordinator only, so every test also shows that these
// rights suffice.
class PgFixture final : public BackendFixture {
 public:
  // `sql` is run after the migrations: a mutant of them, for instance.
  explicit PgFixture(const std::string& sql = "");
  ~PgFixture() override;

  Store& store() override { return coordinator_->store(); }
  Exchange& exchange() override { return worker_->exchange(); }
  void AdvanceTime(absl::Duration by) override;
  RunDump Dump(RunId run) override;

  // Claims a unit, which must be there, without waiting; the test fails and the unit is empty when
  // none is.
  WorkUnit Claim(const WorkerIdentity& worker, RunId run);

  // Lets workers 10 and up claim every unit, so long ago that whoever claims next is given a spare.
  void LetEveryUnitBeSlow(const RunConfig& config, RunId run);

  // Of the superuser.
  const std::string& url() const { return url_; }

 private:
  SqlRows Query(const SqlStatement& statement, const SqlParams& params);

  const std::string url_;
  Metrics metrics_;
  std::unique_ptr<PgPool> superuser_;
  std::unique_ptr<PgBackend> coordinator_;
  std::unique_ptr<PgBackend> worker_;
};

std::unique_ptr<BackendFixture> MakePgFixture();

}  // namespace gannet
