#include "libs/rpc/channel.h"

#include <chrono>
#include <cstdlib>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/support/channel_arguments.h"
#include "libs/base/status_macros.h"
#include "libs/rpc/address.h"

namespace gannet::rpc {
namespace {

std::string Getenv(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// "http://user:password@host:1" without what is secret, for messages.
std::string MaskCredentials(absl::string_view url) {
  const size_t at = url.rfind('@');
  if (at == absl::string_view::npos) return std::string(url);
  const size_t scheme_end = url.find("://");
  const absl::string_view scheme =
      scheme_end == absl::string_view::npos ? "" : url.substr(0, scheme_end + 3);
  return absl::StrCat(scheme, "***", url.substr(at));
}

// As gRPC does it: an entry matches every host that ends with it.
bool IsExempt(const std::string& host, const ProxyEnvironment& environment) {
  const std::string& list =
      environment.no_grpc_proxy.empty() ? environment.no_proxy : environment.no_grpc_proxy;
  for (absl::string_view entry : absl::StrSplit(list, ',', absl::SkipWhitespace())) {
    if (absl::EndsWithIgnoreCase(host, absl::StripAsciiWhitespace(entry))) return true;
  }
  return false;
}

struct Variable {
  const char* name;
  absl::string_view value;
};

// The variable that gRPC takes: the first that is set; with an empty value where none is.
Variable FirstSet(const ProxyEnvironment& environment) {
  for (const Variable& variable : {Variable{"grpc_proxy", environment.grpc_proxy},
                                   Variable{"https_proxy", environment.https_proxy},
                                   Variable{"http_proxy", environment.http_proxy}}) {
    if (!variable.value.empty()) return variable;
  }
  return {"", ""};
}

int Milliseconds(absl::Duration duration) {
  return static_cast<int>(absl::ToInt64Milliseconds(duration));
}

}  // namespace

ProxyEnvironment ProxyEnvironment::FromProcess() {
  return {.grpc_proxy = Getenv("grpc_proxy"),
          .https_proxy = Getenv("https_proxy"),
          .http_proxy = Getenv("http_proxy"),
          .no_grpc_proxy = Getenv("no_grpc_proxy"),
          .no_proxy = Getenv("no_proxy")};
}

absl::Status CheckProxy(const std::string& target, const ProxyEnvironment& environment) {
  GANNET_ASSIGN_OR_RETURN(const Address address, ParseAddress(target));
  const Variable variable = FirstSet(environment);
  absl::string_view rest = variable.value;
  const bool usable = absl::ConsumePrefix(&rest, "http://") && !rest.empty() && rest[0] != '/';
  if (variable.value.empty() || usable || IsExempt(address.host, environment)) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "a proxy of this kind cannot be used and would be passed over in silence: gRPC needs "
      "http://HOST:PORT (it tunnels TLS through it with CONNECT). Set grpc_proxy to such a URL, "
      "or list the server's host in no_proxy to connect directly; got ",
      variable.name, "=", MaskCredentials(variable.value), " for ", target));
}

std::string ProxyFor(const std::string& target, const ProxyEnvironment& environment) {
  const absl::StatusOr<Address> address = ParseAddress(target);
  const Variable variable = FirstSet(environment);
  if (!address.ok() || variable.value.empty() || IsExempt(address->host, environment)) return "";
  return absl::StrCat(MaskCredentials(variable.value), " (", variable.name, ")");
}

absl::StatusOr<std::shared_ptr<grpc::Channel>> MakeChannel(const ChannelOptions& options,
                                                           ChannelUse use) {
  GANNET_RETURN_IF_ERROR(CheckProxy(options.target, ProxyEnvironment::FromProcess()));
  grpc::ChannelArguments arguments;
  // Channels whose arguments differ do not share connections.
  arguments.SetString("gannet.channel_use", use == ChannelUse::kControl ? "control" : "bulk");
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, Milliseconds(options.keepalive_interval));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, Milliseconds(options.keepalive_timeout));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);  // no limit
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 200);
  // In spite of its name the time an attempt to connect may take. gRPC's own 20 s would be waited
  // out whenever a machine or container is gone and nobody refuses the connection.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, Milliseconds(options.connect_limit));
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, Milliseconds(options.max_reconnect_pause));
  arguments.SetMaxReceiveMessageSize(options.max_receive_message_bytes);
  return grpc::CreateCustomChannel(
      options.target,
      options.credentials == nullptr ? grpc::InsecureChannelCredentials() : options.credentials,
      arguments);
}

void SetDeadline(grpc::ClientContext& context, absl::Duration limit) {
  context.set_deadline(std::chrono::system_clock::now() +
                       std::chrono::milliseconds(absl::ToInt64Milliseconds(limit)));
}

}  // namespace gannet::rpc
