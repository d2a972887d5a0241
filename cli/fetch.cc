#include "cli/fetch.h"

#include <curl/curl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <system_error>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "cli/printable.h"
#include "libs/base/hex.h"
#include "libs/base/sha256.h"
#include "libs/base/status_macros.h"
#include "libs/data/cifar_dataset.h"

namespace gannet {
namespace {

namespace fs = std::filesystem;

constexpr long kStallBytesPerSecond = 100;
constexpr long kConnectSeconds = 30;
constexpr long kMaxRedirects = 10;

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using FileHandle = std::unique_ptr<std::FILE, CloseFile>;

struct CleanUpCurl {
  void operator()(CURL* curl) const { curl_easy_cleanup(curl); }
};
using CurlHandle = std::unique_ptr<CURL, CleanUpCurl>;

struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

std::string PartPath(const std::string& out) { return out + ".part"; }
// The server's name for the version that the part is of.
std::string TagPath(const std::string& out) { return out + ".part.etag"; }

std::string ReadLine(const std::string& path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  return line;
}

void RemoveParts(const std::string& out) {
  std::error_code error;
  fs::remove(PartPath(out), error);
  fs::remove(TagPath(out), error);
}

// One attempt, as libcurl's callbacks see it.
struct Transfer {
  const FetchOptions* options = nullptr;
  CURL* curl = nullptr;
  std::FILE* file = nullptr;
  int64_t start = 0;  // bytes that were there already
  std::string tag = {};
  bool body_begun = false;
  bool write_failed = false;
  int write_error = 0;
  bool cancelled = false;
};

size_t OnHeader(char* data, size_t size, size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  absl::string_view line(data, size * count);
  if (absl::StartsWith(line, "HTTP/")) transfer.tag.clear();  // of a redirect
  if (absl::StartsWithIgnoreCase(line, "etag:")) {
    const absl::string_view tag = absl::StripAsciiWhitespace(line.substr(5));
    // A weak tag does not promise equal bytes.
    if (!absl::StartsWith(tag, "W/")) transfer.tag = std::string(tag);
  }
  return size * count;
}

size_t OnBody(char* data, size_t size, size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  if (!transfer.body_begun) {
    transfer.body_begun = true;
    long code = 0;
    curl_easy_getinfo(transfer.curl, CURLINFO_RESPONSE_CODE, &code);
    if (code != 206 && transfer.start > 0) {
      // The server sends everything again, or another version.
      transfer.start = 0;
      if (ftruncate(fileno(transfer.file), 0) != 0 || std::fseek(transfer.file, 0, SEEK_SET) != 0) {
        transfer.write_failed = true;
        transfer.write_error = errno;
        return 0;
      }
    }
    std::ofstream(TagPath(transfer.options->out), std::ios::trunc) << transfer.tag << "\n";
  }
  const size_t written = std::fwrite(data, size, count, transfer.file);
  if (written != count) {
    transfer.write_failed = true;
    transfer.write_error = errno;
  }
  return written * size;
}

int OnProgress(void* user, curl_off_t total, curl_off_t now, curl_off_t /*up_total*/,
               curl_off_t /*up_now*/) {
  auto& transfer = *static_cast<Transfer*>(user);
  if (!transfer.options->on_progress) return 0;
  const int64_t all = total > 0 ? transfer.start + total : 0;
  transfer.cancelled = !transfer.options->on_progress(transfer.start + now, all);
  return transfer.cancelled ? 1 : 0;
}

bool IsPassing(CURLcode code) {
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
  const std::string text = absl::StrCat("the server answered ", code, ": ", Printable(url));
  if (code == 404 || code == 410) return absl::NotFoundError(text);
  if (code == 401 || code == 403) return absl::PermissionDeniedError(text);
  return absl::UnavailableError(text);
}

struct Attempt {
  absl::Status status;
  bool again = false;  // another one may help
};

Attempt TryOnce(const FetchOptions& options) {
  const std::string part = PartPath(options.out);
  FileHandle file(std::fopen(part.c_str(), "ab"));
  if (file == nullptr) {
    return {absl::UnavailableError(
                absl::StrCat("file cannot be written: ", std::strerror(errno), ": ", part)),
            false};
  }
  const CurlHandle curl(curl_easy_init());
  if (curl == nullptr) return {absl::InternalError("libcurl cannot be set up"), false};
  Transfer transfer{.options = &options, .curl = curl.get(), .file = file.get()};
  std::error_code error;
  const std::string tag = ReadLine(TagPath(options.out));
  transfer.start = static_cast<int64_t>(fs::file_size(part, error));
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
  const bool flushed = std::fflush(file.get()) == 0;
  if (transfer.cancelled) return {absl::CancelledError("the transfer was ended"), false};
  if (transfer.write_failed || !flushed) {
    return {absl::UnavailableError(absl::StrCat(
                "file cannot be written: ",
                std::strerror(transfer.write_failed ? transfer.write_error : errno), ": ", part)),
            false};
  }
  if (code == CURLE_OK) return {absl::OkStatus(), false};
  if (code == CURLE_HTTP_RETURNED_ERROR) {
    long response = 0;
    curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &response);
    if (response == 416) {
      // There is nothing beyond what is here: either it is whole, or it is of another version.
      RemoveParts(options.out);
      return {absl::UnavailableError("the part that was here did not fit, beginning anew"), true};
    }
    return {StatusOfResponse(response, options.url), response >= 500 || response == 429};
  }
  const std::string why = message[0] != '\0' ? message : curl_easy_strerror(code);
  return {absl::UnavailableError(absl::StrCat(Printable(why), ": ", Printable(options.url))),
          IsPassing(code)};
}

struct Magic {
  absl::string_view ending;
  absl::string_view bytes;
};
constexpr Magic kMagics[] = {{".zip", "PK\x03\x04"},   {".gz", "\x1f\x8b"},
                             {".tgz", "\x1f\x8b"},     {".png", "\x89PNG"},
                             {".jpg", "\xff\xd8\xff"}, {".jpeg", "\xff\xd8\xff"}};

constexpr size_t kHeadBytes = 1024;

bool IsWebPage(absl::string_view head) {
  absl::ConsumePrefix(&head, "\xEF\xBB\xBF");
  head = absl::StripLeadingAsciiWhitespace(head);
  if (absl::StartsWithIgnoreCase(head, "<!doctype")) return true;
  // Behind a comment or an XML declaration, maybe.
  return absl::StartsWith(head, "<") && absl::StrContains(absl::AsciiStrToLower(head), "<html");
}

// Whether there is nothing in it that text has not.
bool IsText(absl::string_view head) {
  return std::all_of(head.begin(), head.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte >= 0x80 || absl::ascii_isprint(byte) || absl::ascii_isspace(byte);
  });
}

// CIFAR-10's files have nothing to tell them by but their size. The brightest images may look like
// text.
bool MayBeCifar(const std::string& path, absl::string_view head) {
  std::error_code error;
  const std::uintmax_t bytes = fs::file_size(path, error);
  return !error && !head.empty() && bytes % kCifarRecordBytes == 0 &&
         static_cast<unsigned char>(head.front()) < 10;
}

// Whether the file is what its name promises; where that promises nothing, whether it may be data.
absl::Status CheckContent(const std::string& path, const FetchOptions& options) {
  const std::string& name = options.out;
  std::ifstream in(path, std::ios::binary);
  std::string head(kHeadBytes, '\0');
  in.read(head.data(), static_cast<std::streamsize>(head.size()));
  head.resize(static_cast<size_t>(in.gcount()));
  if (IsWebPage(head)) {
    return absl::DataLossError(
        "a web page arrived instead of the file (a limit that is used up, or a question to "
        "answer): "
        "open the address in a browser and save the file from there");
  }
  for (const Magic& magic : kMagics) {
    if (absl::EndsWithIgnoreCase(name, magic.ending) && !absl::StartsWith(head, magic.bytes)) {
      return absl::DataLossError(absl::StrCat("what arrived is no ", magic.ending,
                                              " file, it begins with ",
                                              HexEncode(head.substr(0, 8))));
    }
  }
  // A checksum that fits says more than a look at the content.
  const bool promises_nothing = options.sha256.empty() && !fs::path(name).has_extension();
  if (promises_nothing && IsText(head) && !MayBeCifar(path, head)) {
    return absl::DataLossError(
        "what arrived is text, neither images nor an archive: if that is what it should be, name "
        "the file with --out FILE.txt, or give its checksum with --sha256");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> Sha256OfFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  Sha256Hasher hasher;
  std::vector<char> part(size_t{1} << 20);
  while (in) {
    in.read(part.data(), static_cast<std::streamsize>(part.size()));
    hasher.Update({part.data(), static_cast<size_t>(in.gcount())});
  }
  if (in.bad()) return absl::UnavailableError(absl::StrCat("file cannot be read: ", path));
  return HexEncode(hasher.Finish());
}

absl::Status CheckArrived(const FetchOptions& options) {
  const std::string part = PartPath(options.out);
  GANNET_RETURN_IF_ERROR(CheckContent(part, options));
  if (options.sha256.empty()) return absl::OkStatus();
  GANNET_ASSIGN_OR_RETURN(const std::string digest, Sha256OfFile(part));
  if (digest == absl::AsciiStrToLower(options.sha256)) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat("what arrived has another checksum: expected ",
                                          options.sha256, ", got ", digest));
}

}  // namespace

absl::Status Fetch(const FetchOptions& options) {
  if (!absl::StartsWith(options.url, "http://") && !absl::StartsWith(options.url, "https://")) {
    return absl::InvalidArgumentError(
        absl::StrCat("address must begin with https:// or http://, got ", Printable(options.url)));
  }
  static const CURLcode ready = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (ready != CURLE_OK) return absl::InternalError("libcurl cannot be set up");
  absl::Duration pause = options.pause;
  for (int attempt = 1;; ++attempt) {
    const Attempt result = TryOnce(options);
    if (result.status.ok()) break;
    if (!result.again || attempt >= options.attempts) return result.status;
    absl::SleepFor(pause);
    pause *= 2;
  }
  if (absl::Status good = CheckArrived(options); !good.ok()) {
    RemoveParts(options.out);
    return good;
  }
  if (std::rename(PartPath(options.out).c_str(), options.out.c_str()) != 0) {
    return absl::UnavailableError(
        absl::StrCat("file cannot be named: ", std::strerror(errno), ": ", options.out));
  }
  RemoveParts(options.out);
  return absl::OkStatus();
}

}  // namespace gannet
