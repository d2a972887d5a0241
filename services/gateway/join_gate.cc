#include "services/gateway/join_gate.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "libs/base/sha256.h"

namespace gannet::gateway {
namespace {

constexpr size_t kMaxRuns = 64;

// The text before the last colon.
absl::string_view WithoutPort(absl::string_view text) { return text.substr(0, text.rfind(':')); }

}  // namespace

std::string JoinAddressOf(absl::string_view peer) {
  if (absl::ConsumePrefix(&peer, "ipv4:")) return std::string(WithoutPort(peer));
  if (!absl::ConsumePrefix(&peer, "ipv6:")) return std::string(peer);
  // gRPC writes brackets and the sign of a zone in percent encoding, depending on its version.
  std::string host =
      absl::StrReplaceAll(WithoutPort(peer), {{"%5B", ""}, {"%5D", ""}, {"[", ""}, {"]", ""}});
  host = host.substr(0, host.find('%'));
  in6_addr address{};
  if (inet_pton(AF_INET6, host.c_str(), &address) != 1) return host;
  if (IN6_IS_ADDR_V4MAPPED(&address)) {
    char text[INET_ADDRSTRLEN] = {};
    inet_ntop(AF_INET, &address.s6_addr[12], text, sizeof(text));
    return text;
  }
  // One network, whatever its hosts call themselves.
  std::memset(&address.s6_addr[8], 0, 8);
  char text[INET6_ADDRSTRLEN] = {};
  inet_ntop(AF_INET6, &address, text, sizeof(text));
  return absl::StrCat(text, "/64");
}

bool JoinGate::HasJoined(const exchange::WorkerIdentity& worker) {
  const std::string secret_sha256 = base::Sha256(worker.secret);
  base::MutexLock lock(mu_);
  const auto found = known_.find(worker.id);
  if (found == known_.end() || found->second.secret_sha256 != secret_sha256) return false;
  MarkUsed(worker.id, found->second);
  return true;
}

absl::Status JoinGate::Admit(const std::string& address) {
  const absl::Duration now = clock_.Steady();
  base::MutexLock lock(mu_);
  Bucket& bucket = BucketOf(address, now);
  bucket.last_join = now;
  Fill(bucket, now, options_.address_burst, options_.address_per_second);
  Fill(total_, now, options_.total_burst, options_.total_per_second);
  if (bucket.tokens < 1) {
    return refusals_.Refuse(
        domain::RefusalReason::kJoinsOfAddress,
        absl::ResourceExhaustedError("too many new workers join from this address, repeat later"));
  }
  if (total_.tokens < 1) {
    return refusals_.Refuse(
        domain::RefusalReason::kJoins,
        absl::ResourceExhaustedError("too many new workers join at this gateway, repeat later"));
  }
  bucket.tokens -= 1;
  total_.tokens -= 1;
  return absl::OkStatus();
}

void JoinGate::Refund(const std::string& address) {
  const absl::Duration now = clock_.Steady();
  base::MutexLock lock(mu_);
  Bucket& bucket = BucketOf(address, now);
  bucket.tokens = std::min(bucket.tokens + 1, options_.address_burst);
  total_.tokens = std::min(total_.tokens + 1, options_.total_burst);
}

absl::StatusOr<bool> JoinGate::Enter(base::RunId run, const base::WorkerId& worker) {
  const absl::Duration now = clock_.Steady();
  base::MutexLock lock(mu_);
  std::map<base::WorkerId, absl::Duration>& workers = runs_[run];
  if (const auto found = workers.find(worker); found != workers.end()) {
    found->second = now;
    return false;
  }
  if (workers.size() >= options_.max_workers_per_run) {
    std::erase_if(workers,
                  [&](const auto& place) { return now - place.second >= options_.max_silence; });
  }
  if (workers.size() >= options_.max_workers_per_run) {
    return refusals_.Refuse(domain::RefusalReason::kWorkersOfRun,
                            absl::ResourceExhaustedError(absl::StrCat(
                                "the run has all the workers that this gateway lets in: limit ",
                                options_.max_workers_per_run)));
  }
  workers[worker] = now;
  // The oldest runs have ended long ago.
  if (runs_.size() > kMaxRuns) runs_.erase(runs_.begin());
  return true;
}

void JoinGate::Touch(base::RunId run, const base::WorkerId& worker) {
  const absl::Duration now = clock_.Steady();
  base::MutexLock lock(mu_);
  const auto workers = runs_.find(run);
  if (workers == runs_.end()) return;
  const auto place = workers->second.find(worker);
  if (place != workers->second.end()) place->second = now;
}

void JoinGate::Leave(base::RunId run, const base::WorkerId& worker) {
  base::MutexLock lock(mu_);
  if (const auto found = runs_.find(run); found != runs_.end()) found->second.erase(worker);
}

void JoinGate::MarkJoined(const exchange::WorkerIdentity& worker) {
  std::string secret_sha256 = base::Sha256(worker.secret);
  base::MutexLock lock(mu_);
  Known& known = known_[worker.id];
  known.secret_sha256 = std::move(secret_sha256);
  MarkUsed(worker.id, known);
  // Whoever is forgotten is a new one again, nothing worse.
  if (known_.size() > options_.max_known_workers) {
    known_.erase(known_by_use_.begin()->second);
    known_by_use_.erase(known_by_use_.begin());
  }
}

void JoinGate::MarkUsed(const base::WorkerId& worker, Known& known) {
  known_by_use_.erase(known.used);
  known.used = ++last_use_;
  known_by_use_.emplace(known.used, worker);
}

void JoinGate::Fill(Bucket& bucket, absl::Duration now, double burst, double per_second) {
  const double seconds = absl::ToDoubleSeconds(now - bucket.filled_at);
  bucket.tokens = std::min(burst, bucket.tokens + seconds * per_second);
  bucket.filled_at = now;
}

JoinGate::Bucket& JoinGate::BucketOf(const std::string& address, absl::Duration now) {
  if (const auto found = addresses_.find(address); found != addresses_.end()) {
    return found->second;
  }
  if (addresses_.size() >= options_.max_addresses) {
    // A bucket that is full again tells nothing.
    for (auto it = addresses_.begin(); it != addresses_.end();) {
      Fill(it->second, now, options_.address_burst, options_.address_per_second);
      it = it->second.tokens >= options_.address_burst ? addresses_.erase(it) : std::next(it);
    }
    if (addresses_.size() >= options_.max_addresses) {
      addresses_.erase(std::min_element(addresses_.begin(), addresses_.end(),
                                        [](const auto& one, const auto& other) {
                                          return one.second.last_join < other.second.last_join;
                                        }));
    }
  }
  return addresses_.emplace(address, Bucket{options_.address_burst, now, now}).first->second;
}

}  // namespace gannet::gateway
