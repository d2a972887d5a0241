#include "cli/fetch.h"

#include <curl/curl.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "cli/fetch_part.h"
#include "cli/fetched_content.h"
#include "cli/printable.h"
#include "libs/base/hex.h"
#include "libs/base/sha256.h"
#include "libs/base/status_macros.h"

namespace gannet::cli {
namespace {

constexpr long kStallBytesPerSecond = 100;
constexpr long kConnectSeconds = 30;
constexpr long kMaxRedirects = 10;

struct CleanUpCurl {
  void operator()(CURL* curl) const { curl_easy_cleanup(curl); }
};
using CurlHandle = std::unique_ptr<CURL, CleanUpCurl>;

struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

// One attempt, as libcurl's callbacks see it.
struct Transfer {
  const FetchOptions* options = nullptr;
  CURL* curl = nullptr;
  FetchPart* part = nullptr;
  int64_t start = 0;  // bytes that were there already
  std::string tag = {};
  std::string changed = {};        // Last-Modified
  std::string content_range = {};  // where a 206 says that it begins
  bool body_begun = false;
  bool does_not_fit = false;  // to the part
  absl::Status write_status = {};
  bool cancelled = false;

  // What If-Range may name. A weak tag does not promise equal bytes, a date is better than nothing.
  const std::string& version() const { return tag.empty() ? changed : tag; }
};

// The value of the header if it has that name.
bool TakeHeader(absl::string_view line, absl::string_view name, std::string& value) {
  if (!absl::StartsWithIgnoreCase(line, name)) return false;
  value = std::string(absl::StripAsciiWhitespace(line.substr(name.size())));
  return true;
}

size_t OnHeader(char* data, size_t size, size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const absl::string_view line(data, size * count);
  if (absl::StartsWith(line, "HTTP/")) {  // of a redirect
    transfer.tag.clear();
    transfer.changed.clear();
    transfer.content_range.clear();
  }
  if (TakeHeader(line, "etag:", transfer.tag) && absl::StartsWith(transfer.tag, "W/")) {
    transfer.tag.clear();
  }
  TakeHeader(line, "last-modified:", transfer.changed);
  TakeHeader(line, "content-range:", transfer.content_range);
  return size * count;
}

// Whether the rest that a 206 brings is the rest of what is here.
bool Fits(const Transfer& transfer) {
  const std::string& before = transfer.part->version();
  // Like with like: some servers leave one of both out of a rest.
  const std::string& now = absl::StartsWith(before, "\"") ? transfer.tag : transfer.changed;
  return (before.empty() || now.empty() || before == now) &&
         absl::StartsWith(transfer.content_range, absl::StrCat("bytes ", transfer.start, "-"));
}

// Before the first byte, and at the end of an answer without any.
absl::Status BeginBody(Transfer& transfer) {
  transfer.body_begun = true;
  long code = 0;
  curl_easy_getinfo(transfer.curl, CURLINFO_RESPONSE_CODE, &code);
  if (code == 206 && !Fits(transfer)) {
    transfer.does_not_fit = true;
    return absl::UnavailableError("the partial file did not fit, starting over");
  }
  if (code != 206 && transfer.start > 0) {
    // The server sends everything again, or another version.
    transfer.start = 0;
    GANNET_RETURN_IF_ERROR(transfer.part->Empty());
  }
  // A rest is of the version that is known, or of none.
  if (transfer.start > 0 && !transfer.part->version().empty()) return absl::OkStatus();
  return transfer.part->SetVersion(transfer.version());
}

size_t OnBody(char* data, size_t size, size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  if (!transfer.body_begun) transfer.write_status = BeginBody(transfer);
  if (transfer.write_status.ok()) {
    transfer.write_status = transfer.part->Append({data, size * count});
  }
  return transfer.write_status.ok() ? size * count : 0;
}

int OnProgress(void* user, curl_off_t total, curl_off_t now, curl_off_t /*up_total*/,
               curl_off_t /*up_now*/) {
  auto& transfer = *static_cast<Transfer*>(user);
  if (!transfer.options->on_progress) return 0;
  const int64_t all = total > 0 ? transfer.start + total : 0;
  transfer.cancelled = !transfer.options->on_progress(transfer.start + now, all);
  return transfer.cancelled ? 1 : 0;
}

bool IsTransient(CURLcode code) {
  switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
      return true;
    default:
      return false;
  }
}

absl::Status StatusOfResponse(long code, const std::string& url) {
  const std::string text = absl::StrCat("the server answered ", code, ": ", base::Printable(url));
  if (code == 404 || code == 410) return absl::NotFoundError(text);
  if (code == 401 || code == 403) return absl::PermissionDeniedError(text);
  return absl::UnavailableError(text);
}

struct Attempt {
  absl::Status status;
  bool again = false;  // another one may help
};

// With nothing here, because what is here is of another version.
Attempt Anew(FetchPart& part) {
  if (absl::Status emptied = part.Empty(); !emptied.ok()) return {std::move(emptied), false};
  return {absl::UnavailableError("the partial file did not fit, starting over"), true};
}

Attempt TryOnce(const FetchOptions& options, FetchPart& part) {
  const CurlHandle curl(curl_easy_init());
  if (curl == nullptr) return {absl::InternalError("libcurl cannot be set up"), false};
  Transfer transfer{.options = &options, .curl = curl.get(), .part = &part};
  const std::string tag = part.version();
  transfer.start = part.size();
  std::unique_ptr<curl_slist, FreeList> headers;
  if (transfer.start > 0) {
    // As headers of our own: libcurl takes it for an error when a server sends everything again.
    headers.reset(
        curl_slist_append(nullptr, absl::StrCat("Range: bytes=", transfer.start, "-").c_str()));
    // Without a tag only the checksum shows whether both halves are of one version.
    if (!tag.empty()) {
      curl_slist_append(headers.get(), absl::StrCat("If-Range: ", tag).c_str());
    }
    curl_easy_setopt(curl.get(), CURLOPT_HTTPHEADER, headers.get());
  }
  char message[CURL_ERROR_SIZE] = "";
  curl_easy_setopt(curl.get(), CURLOPT_URL, options.url.c_str());
  curl_easy_setopt(curl.get(), CURLOPT_ERRORBUFFER, message);
  curl_easy_setopt(curl.get(), CURLOPT_FOLLOWLOCATION, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_MAXREDIRS, kMaxRedirects);
  curl_easy_setopt(curl.get(), CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl.get(), CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl.get(), CURLOPT_FAILONERROR, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
  curl_easy_setopt(curl.get(), CURLOPT_LOW_SPEED_LIMIT, kStallBytesPerSecond);
  curl_easy_setopt(curl.get(), CURLOPT_LOW_SPEED_TIME,
                   std::max(1L, static_cast<long>(absl::ToInt64Seconds(options.stall_limit))));
  curl_easy_setopt(curl.get(), CURLOPT_USERAGENT, "gannet");
  curl_easy_setopt(curl.get(), CURLOPT_HEADERFUNCTION, &OnHeader);
  curl_easy_setopt(curl.get(), CURLOPT_HEADERDATA, &transfer);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, &OnBody);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(curl.get(), CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(curl.get(), CURLOPT_XFERINFOFUNCTION, &OnProgress);
  curl_easy_setopt(curl.get(), CURLOPT_XFERINFODATA, &transfer);
  const CURLcode code = curl_easy_perform(curl.get());
  if (transfer.cancelled) return {absl::CancelledError("the transfer was ended"), false};
  if (transfer.does_not_fit) return Anew(part);
  if (!transfer.write_status.ok()) return {transfer.write_status, false};
  if (code == CURLE_OK) {
    long response = 0;
    curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &response);
    // 204, say: an answer, and no file.
    if (response != 200 && response != 206) {
      return {StatusOfResponse(response, options.url), false};
    }
    // What is here is no part of an answer that is empty.
    if (!transfer.body_begun) return {BeginBody(transfer), false};
    return {absl::OkStatus(), false};
  }
  if (code == CURLE_HTTP_RETURNED_ERROR) {
    long response = 0;
    curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &response);
    if (response == 416) {
      // There is nothing beyond what is here: either it is whole, or it is of another version.
      return Anew(part);
    }
    return {StatusOfResponse(response, options.url), response >= 500 || response == 429};
  }
  const std::string why = message[0] != '\0' ? message : curl_easy_strerror(code);
  return {absl::UnavailableError(
              absl::StrCat(base::Printable(why), ": ", base::Printable(options.url))),
          IsTransient(code)};
}

absl::StatusOr<std::string> Sha256OfFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  base::Sha256Hasher hasher;
  std::vector<char> part(size_t{1} << 20);
  while (in) {
    in.read(part.data(), static_cast<std::streamsize>(part.size()));
    hasher.Update({part.data(), static_cast<size_t>(in.gcount())});
  }
  if (in.bad()) return absl::UnavailableError(absl::StrCat("file cannot be read: ", path));
  return base::HexEncode(hasher.Finish());
}

absl::Status CheckArrived(const FetchOptions& options, const std::string& path) {
  GANNET_RETURN_IF_ERROR(CheckFetchedContent(path, options.out, !options.sha256.empty()));
  if (options.sha256.empty()) return absl::OkStatus();
  GANNET_ASSIGN_OR_RETURN(const std::string digest, Sha256OfFile(path));
  if (digest == absl::AsciiStrToLower(options.sha256)) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat("what arrived has another checksum: expected ",
                                          options.sha256, ", got ", digest));
}

}  // namespace

absl::Status Fetch(const FetchOptions& options) {
  if (!absl::StartsWithIgnoreCase(options.url, "http://") &&
      !absl::StartsWithIgnoreCase(options.url, "https://")) {
    return absl::InvalidArgumentError(absl::StrCat(
        "address must begin with https:// or http://, got ", base::Printable(options.url)));
  }
  static const CURLcode ready = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (ready != CURLE_OK) return absl::InternalError("libcurl cannot be set up");
  GANNET_ASSIGN_OR_RETURN(FetchPart part, FetchPart::Open(options.out, options.url));
  absl::Duration pause = options.pause;
  for (int attempt = 1;; ++attempt) {
    const Attempt result = TryOnce(options, part);
    if (result.status.ok()) break;
    if (!result.again || attempt >= options.attempts) return result.status;
    absl::SleepFor(pause);
    pause *= 2;
  }
  if (absl::Status good = CheckArrived(options, part.path()); !good.ok()) {
    part.Remove();
    return good;
  }
  return part.Finish();
}

}  // namespace gannet::cli
