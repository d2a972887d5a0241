// What the database costs: `./run bench store`. Every figure stands beside a plain INSERT of the
// same bytes in the same run, in turns, because machines are noisy.
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <functional>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "libs/base/clock.h"
#include "libs/base/status_macros.h"
#include "libs/pg/connection_params.h"
#include "libs/pg/pg_bulk_pool.h"
#include "libs/pg/pg_pool.h"
#include "libs/store/pg_backend.h"
#include "libs/store/testing/synthetic_run.h"
#include "libs/telemetry/log.h"
#include "libs/telemetry/metrics.h"

namespace gannet::store {
namespace {

constexpr int kUnitsPerRound = 4;
// Of two runs side by side, for growth.
constexpr int64_t kSlowEvery = 2;   // the slower one publishes every second time
constexpr int64_t kFullAfter = 20;  // rounds until the rings of both are full
constexpr int kGrowthUnits = 2;

constexpr pg::SqlStatement kMakeTable = {
    "make_table", "CREATE TABLE bench_plain (id bigint GENERATED ALWAYS AS IDENTITY, data bytea)"};
constexpr pg::SqlStatement kStoreExternal = {
    "store_external", "ALTER TABLE bench_plain ALTER COLUMN data SET STORAGE EXTERNAL"};
constexpr pg::SqlStatement kPlainInsert = {"plain_insert",
                                           "INSERT INTO bench_plain (data) VALUES ($1::bytea)"};
constexpr pg::SqlStatement kForget = {"forget", "TRUNCATE bench_plain"};
constexpr pg::SqlStatement kSize = {"size", "SELECT pg_database_size(current_database()) AS bytes",
                                    true};

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

class Bench {
 public:
  static absl::StatusOr<std::unique_ptr<Bench>> Create(const std::string& url) {
    auto bench = std::unique_ptr<Bench>(new Bench);
    PgBackendOptions options;
    options.url = url;
    GANNET_RETURN_IF_ERROR(Migrate(options, telemetry::NullLogger()).status());
    GANNET_ASSIGN_OR_RETURN(bench->backend_,
                            PgBackend::Create(options, telemetry::NullLogger(), bench->metrics_));
    pg::PgConnectionOptions connection;
    connection.url = url;
    GANNET_ASSIGN_OR_RETURN(const pg::PgConnectionParams params,
                            pg::MakeConnectionParams(connection));
    bench->plain_ = std::make_unique<pg::PgBulkPool>(params, pg::BoundedPoolOptions{"plain", 1},
                                                     bench->clock_, bench->metrics_);
    bench->statements_ = std::make_unique<pg::PgPool>(
        params, pg::BoundedPoolOptions{"statements", 1}, bench->clock_, bench->metrics_);
    GANNET_RETURN_IF_ERROR(bench->statements_->Execute(kMakeTable, {}).status());
    GANNET_RETURN_IF_ERROR(bench->statements_->Execute(kStoreExternal, {}).status());
    return bench;
  }

  // Seconds that `work` takes.
  absl::StatusOr<double> Time(const std::function<absl::Status()>& work) {
    const absl::Duration start = clock_.Steady();
    GANNET_RETURN_IF_ERROR(work());
    return absl::ToDoubleSeconds(clock_.Steady() - start);
  }

  absl::Status InsertPlainly(const std::string& bytes) {
    pg::SqlParams params;
    params.Bytes(bytes);
    return plain_->Execute(kPlainInsert, params).status();
  }

  // Claim and accept, and publication, beside plain INSERTs of the same bytes.
  absl::Status MeasureSize(const char* label, size_t bytes, int repeats) {
    GANNET_ASSIGN_OR_RETURN(
        const std::unique_ptr<SyntheticRun> run,
        SyntheticRun::Create(backend_->store(), backend_->exchange(), absl::StrCat("size-", bytes),
                             kUnitsPerRound, bytes));
    GANNET_ASSIGN_OR_RETURN(const exchange::WorkerIdentity worker, run->Join());
    std::vector<double> accepts;
    std::vector<double> publications;
    std::vector<double> plain;
    std::vector<double> plain_pairs;
    // The first round warms connections and files.
    for (int round = 0; round <= repeats; ++round) {
      GANNET_RETURN_IF_ERROR(run->PrepareNext());
      for (int unit = 0; unit < kUnitsPerRound; ++unit) {
        GANNET_ASSIGN_OR_RETURN(const double accept,
                                Time([&] { return run->ClaimAndSubmit(worker).status(); }));
        GANNET_ASSIGN_OR_RETURN(const double insert,
                                Time([&] { return InsertPlainly(*run->payload().bytes); }));
        if (round == 0) continue;
        accepts.push_back(accept);
        plain.push_back(insert);
      }
      GANNET_ASSIGN_OR_RETURN(const double publication, Time([&] { return run->Publish(); }));
      GANNET_ASSIGN_OR_RETURN(const double pair, Time([&]() -> absl::Status {
                                GANNET_RETURN_IF_ERROR(InsertPlainly(*run->payload().bytes));
                                return InsertPlainly(*run->payload().bytes);
                              }));
      if (round > 0) {
        publications.push_back(publication);
        plain_pairs.push_back(pair);
      }
      GANNET_RETURN_IF_ERROR(statements_->Execute(kForget, {}).status());
    }
    std::printf("%-8s %14.2f %14.2f %8.2f %14.2f %14.2f %8.2f\n", label, 1e3 * Median(accepts),
                1e3 * Median(plain), Median(plain) / Median(accepts), 1e3 * Median(publications),
                1e3 * Median(plain_pairs), Median(plain_pairs) / Median(publications));
    return absl::OkStatus();
  }

  // Units of 1 KB by several workers at once.
  absl::Status MeasureSmallUnits(int workers, int units) {
    GANNET_ASSIGN_OR_RETURN(const std::unique_ptr<SyntheticRun> run,
                            SyntheticRun::Create(backend_->store(), backend_->exchange(),
                                                 absl::StrCat("small-", workers), units, 1024));
    std::atomic<int> done = 0;
    std::atomic<bool> failed = false;
    std::vector<std::thread> threads;
    threads.reserve(static_cast<size_t>(workers));
    std::vector<exchange::WorkerIdentity> identities;
    identities.reserve(static_cast<size_t>(workers));
    for (int i = 0; i < workers; ++i) {
      GANNET_ASSIGN_OR_RETURN(identities.emplace_back(), run->Join());
    }
    const absl::Duration start = clock_.Steady();
    for (const exchange::WorkerIdentity& identity : identities) {
      threads.emplace_back([&run, &done, &failed, identity] {
        while (true) {
          const absl::StatusOr<bool> more = run->ClaimAndSubmit(identity);
          if (!more.ok()) failed = true;
          if (!more.ok() || !*more) return;
          ++done;
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    const double seconds = absl::ToDoubleSeconds(clock_.Steady() - start);
    if (failed || done != units) return absl::InternalError("not every unit was accepted");
    std::printf("%d workers: %.0f units of 1 KB a second, claim and accept\n", workers,
                units / seconds);
    return absl::OkStatus();
  }

  // Two runs at different speeds for so many rounds: the database must stay as large as it was, and
  // hold everything that is wanted.
  absl::Status MeasureGrowth(int64_t rounds, size_t bytes) {
    GANNET_ASSIGN_OR_RETURN(
        const std::unique_ptr<SyntheticRun> fast,
        SyntheticRun::Create(backend_->store(), backend_->exchange(), "fast", kGrowthUnits, bytes));
    GANNET_ASSIGN_OR_RETURN(
        const std::unique_ptr<SyntheticRun> slow,
        SyntheticRun::Create(backend_->store(), backend_->exchange(), "slow", kGrowthUnits, bytes));
    int64_t when_full = 0;
    int64_t size = 0;
    for (int64_t round = 1; round <= rounds; ++round) {
      for (SyntheticRun* run : {fast.get(), slow.get()}) {
        if (run == slow.get() && round % kSlowEvery != 0) continue;
        GANNET_RETURN_IF_ERROR(run->PrepareNext());
        GANNET_ASSIGN_OR_RETURN(const exchange::WorkerIdentity worker, run->Join());
        for (int unit = 0; unit < kGrowthUnits; ++unit) {
          GANNET_RETURN_IF_ERROR(run->ClaimAndSubmit(worker).status());
        }
        GANNET_RETURN_IF_ERROR(run->CheckPayloads(worker));
        GANNET_RETURN_IF_ERROR(run->Publish());
        GANNET_RETURN_IF_ERROR(run->SaveBest());
      }
      GANNET_ASSIGN_OR_RETURN(const pg::SqlRows rows, statements_->Execute(kSize, {}));
      pg::SqlRow row(rows, 0);
      size = row.Int("bytes");
      if (round == kFullAfter) when_full = size;
      if (round % 60 == 0)
        std::printf("round %4d: %7.1f MB\n", static_cast<int>(round),
                    1e-6 * static_cast<double>(size));
    }
    if (rounds <= kFullAfter) return absl::OkStatus();
    const double growth = static_cast<double>(size) / static_cast<double>(when_full);
    std::printf("database after %d rounds: %.3f of its size after %d; no payload is missing\n",
                static_cast<int>(rounds), growth, static_cast<int>(kFullAfter));
    return growth <= 1.1 ? absl::OkStatus() : absl::InternalError("the database grows");
  }

 private:
  Bench() = default;

  base::RealClock clock_;
  telemetry::Metrics metrics_;
  std::unique_ptr<PgBackend> backend_;
  std::unique_ptr<pg::PgBulkPool> plain_;
  std::unique_ptr<pg::PgPool> statements_;
};

absl::Status Run(const std::string& url, int64_t rounds) {
  GANNET_ASSIGN_OR_RETURN(const std::unique_ptr<Bench> bench, Bench::Create(url));
  std::printf("%-8s %14s %14s %8s %14s %14s %8s\n", "payload", "accept ms", "INSERT ms", "ratio",
              "publish ms", "2 INSERTs ms", "ratio");
  GANNET_RETURN_IF_ERROR(bench->MeasureSize("1 KB", 1 << 10, 40));
  GANNET_RETURN_IF_ERROR(bench->MeasureSize("1 MB", 1 << 20, 20));
  GANNET_RETURN_IF_ERROR(bench->MeasureSize("12.7 MB", 12'700'000, 8));
  GANNET_RETURN_IF_ERROR(bench->MeasureSize("25 MB", 25'000'000, 6));
  for (const int workers : {1, 4, 16}) {
    GANNET_RETURN_IF_ERROR(bench->MeasureSmallUnits(workers, 1500));
  }
  if (rounds == 0) return absl::OkStatus();
  return bench->MeasureGrowth(rounds, 12'700'000);
}

}  // namespace
}  // namespace gannet::store

int main(int argc, char** argv) {
  int64_t rounds = 300;
  if (argc < 2 || argc > 3 || (argc == 3 && !absl::SimpleAtoi(argv[2], &rounds))) {
    std::cerr << "usage: gannet-bench-store DATABASE_URL [ROUNDS]\n";
    return 2;
  }
  const absl::Status status = gannet::store::Run(argv[1], rounds);
  if (status.ok()) return 0;
  std::cerr << "gannet-bench-store: " << status << "\n";
  return 1;
}
