#pragma once

// The only file that knows libpqxx, and the differences between its versions 6 (Debian 12) and 7
// (Debian 13).

#include <poll.h>

#include <memory>
#include <pqxx/pqxx>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/hex.h"
#include "libs/pg/pg_pool.h"
#include "libs/pg/sql_status.h"
#include "libs/pg/sql_values.h"

namespace gannet::pg {

// What an exception of libpqxx means.
struct PqxxFailure {
  absl::Status status;
  bool rerunnable = false;
  bool connection_lost = false;
};

// The first line of a message of PostgreSQL, without its "ERROR:" and without the name of the
// statement that version 7.10 puts before it.
inline std::string PrimaryMessage(const char* what) {
  std::string line = what;
  line.resize(std::min(line.find('\n'), line.size()));
  for (const std::string prefix : {"ERROR:", "FATAL:"}) {
    const size_t at = line.find(prefix);
    if (at == 0 || (at != std::string::npos && absl::StartsWith(line, "Failure during '"))) {
      line.erase(0, at + prefix.size());
    }
  }
  absl::StripAsciiWhitespace(&line);
  return line;
}

// Converts the exception in flight. Call it in a handler.
inline PqxxFailure CurrentPqxxFailure() {
  try {
    throw;
  } catch (const pqxx::in_doubt_error& e) {
    return {InDoubt("commit", PrimaryMessage(e.what())), false, true};
  } catch (const pqxx::broken_connection& e) {
    return {absl::UnavailableError(
                absl::StrCat("the connection to PostgreSQL was lost: ", PrimaryMessage(e.what()))),
            false, true};
#if PQXX_VERSION_MAJOR < 7
    // Version 6 forgets the SQLSTATE of these.
  } catch (const pqxx::statement_completion_unknown& e) {
    return {StatusFromSqlState("40003", PrimaryMessage(e.what())), false, false};
  } catch (const pqxx::transaction_rollback& e) {
    return {StatusFromSqlState("40001", PrimaryMessage(e.what())), true, false};
#endif
    // Version 7.10 still forgets it of this one.
  } catch (const pqxx::insufficient_privilege& e) {
    return {StatusFromSqlState("42501", PrimaryMessage(e.what())), false, false};
  } catch (const pqxx::sql_error& e) {
    return {StatusFromSqlState(e.sqlstate(), PrimaryMessage(e.what())), IsRerunnable(e.sqlstate()),
            false};
  } catch (const std::exception& e) {
    return {absl::InternalError(absl::StrCat("libpqxx: ", PrimaryMessage(e.what()))), false, false};
  }
}

// A connection of the pool.
//
// Thread safety: none.
class PgSession {
 public:
  explicit PgSession(const std::string& conninfo)
#if PQXX_VERSION_MAJOR > 7 || (PQXX_VERSION_MAJOR == 7 && PQXX_VERSION_MINOR >= 10)
      : connection_(conninfo) {
    connection_.set_notice_handler([](pqxx::zview) {});
  }
#else
      : connection_(conninfo), silence_(connection_) {
  }
#endif

  // A server that went away has closed the socket, which makes it readable; an idle connection has
  // nothing to read.
  bool Usable() {
    if (lost_ || transaction_ != nullptr || !connection_.is_open()) return false;
    pollfd socket = {connection_.sock(), POLLIN, 0};
    return ::poll(&socket, 1, 0) == 0;
  }

  void MarkLost() { lost_ = true; }

  // The following throw what libpqxx throws.

  void BeginAutocommit() { transaction_ = std::make_unique<pqxx::nontransaction>(connection_); }

  void Begin(SqlIsolation isolation) {
    if (isolation == SqlIsolation::kRepeatableRead) {
      transaction_ =
          std::make_unique<pqxx::transaction<pqxx::isolation_level::repeatable_read>>(connection_);
    } else {
      transaction_ = std::make_unique<pqxx::work>(connection_);
    }
  }

  void Commit() {
    transaction_->commit();
    transaction_.reset();
  }

  // Rolls back what has not been committed.
  void End() { transaction_.reset(); }

  SqlRows Execute(const SqlStatement& statement, const SqlParams& params) {
    if (prepared_.count(statement.name) == 0) {
      connection_.prepare(statement.name, statement.text);
      prepared_.insert(statement.name);
    }
    return ToRows(ExecutePrepared(statement.name, params));
  }

  void ExecuteScript(const std::string& script) { transaction_->exec(script); }

 private:
#if PQXX_VERSION_MAJOR < 7
  pqxx::result ExecutePrepared(const std::string& name, const SqlParams& params) {
    std::vector<std::string> texts;
    texts.reserve(params.values().size());
    std::vector<const char*> pointers;
    for (const SqlParams::Value& value : params.values()) {
      texts.push_back(TextOf(value));
      pointers.push_back(value.null ? nullptr : texts.back().c_str());
    }
    return transaction_->exec_prepared(name, pqxx::prepare::make_dynamic_params(pointers));
  }
#else
  pqxx::result ExecutePrepared(const std::string& name, const SqlParams& params) {
    pqxx::params converted;
    for (const SqlParams::Value& value : params.values()) {
      if (value.null) {
        converted.append();
      } else {
        converted.append(TextOf(value));
      }
    }
#if PQXX_VERSION_MAJOR == 7 && PQXX_VERSION_MINOR < 10
    return transaction_->exec_prepared(name, converted);
#else
    return transaction_->exec(pqxx::prepped{name}, converted);
#endif
  }
#endif

  static std::string TextOf(const SqlParams::Value& value) {
    if (!value.binary) return value.text;
    return absl::StrCat("\\x", base::HexEncode(value.bytes));
  }

  static SqlRows ToRows(const pqxx::result& result) {
    SqlRows rows;
    const auto columns = result.columns();
    for (pqxx::row::size_type c = 0; c < columns; ++c)
      rows.columns.push_back(result.column_name(c));
    for (const auto& row : result) {
      std::vector<std::optional<std::string>>& cells = rows.rows.emplace_back();
      for (pqxx::row::size_type c = 0; c < columns; ++c) {
        if (row[c].is_null()) {
          cells.emplace_back();
        } else {
          cells.emplace_back(std::in_place, row[c].c_str(), row[c].size());
        }
      }
    }
    return rows;
  }

  pqxx::connection connection_;
#if PQXX_VERSION_MAJOR < 7 || (PQXX_VERSION_MAJOR == 7 && PQXX_VERSION_MINOR < 10)
  pqxx::quiet_errorhandler silence_;  // libpqxx would write notices to stderr
#endif
  std::unique_ptr<pqxx::transaction_base> transaction_;
  std::set<std::string> prepared_;
  bool lost_ = false;
};

}  // namespace gannet::pg
