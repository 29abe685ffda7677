// See sql_client.h.
#include "tests/integration/sql_client.h"

#include <utility>

#include "common/base/status.h"

namespace sextant::testing {

absl::StatusOr<SqlReply> RunScript(client::Session& session, const std::string& sql, bool atomic,
                                   absl::Duration timeout) {
  client::Request request{.is_atomic = atomic, .timeout = timeout};
  request.statements.push_back({.sql = sql, .is_script = true});
  ASSIGN_OR_RETURN(const client::Reply answer, session.Execute(std::move(request)));
  SqlReply reply{.commit_lsn = answer.lsn};
  if (!answer.results.empty()) reply.changes = answer.results.back().changes;
  for (const client::Row& row : answer.rows()) {
    TextRow& text = reply.rows.emplace_back();
    for (const client::Value& value : row) text.push_back(client::ToText(value));
  }
  return reply;
}

SqlClient::SqlClient(const std::string& endpoint)
    : session_(client::Client({endpoint})
                   .NewSession({.preference = client::Preference::kOnly,
                                .patience = absl::ZeroDuration()})) {}

absl::StatusOr<std::string> SqlClient::QueryOne(const std::string& sql) {
  ASSIGN_OR_RETURN(SqlReply reply, Execute(sql));
  if (reply.rows.empty() || reply.rows[0].empty()) return absl::InternalError("no row");
  return reply.rows[0][0];
}

}  // namespace sextant::testing
