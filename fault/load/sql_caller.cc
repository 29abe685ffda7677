// See sql_caller.h.
#include "fault/load/sql_caller.h"

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "common/base/text.h"

namespace sextant::fault {
namespace {

constexpr char kTryToWrite[] = "UPDATE bank SET balance = balance WHERE FALSE";

std::string TextOf(const v1::SqlValue& value) {
  switch (value.kind_case()) {
    case v1::SqlValue::kInteger:
      return std::to_string(value.integer());
    case v1::SqlValue::kText:
      return value.text();
    default:
      return "";
  }
}

void Collect(const v1::SqlResponse& response, SqlAnswer* answer) {
  for (const v1::StatementResult& result : response.results()) {
    if (!result.is_continuation()) answer->results.emplace_back();
    for (const v1::Row& row : result.rows()) {
      SqlAnswer::Row& texts = answer->results.back().emplace_back();
      for (const v1::SqlValue& value : row.values()) texts.push_back(TextOf(value));
    }
  }
}

}  // namespace

v1::SqlStatement SqlCaller::Statement(const std::string& sql,
                                      const std::vector<int64_t>& parameters) {
  v1::SqlStatement statement;
  statement.set_sql(sql);
  for (const int64_t parameter : parameters) statement.add_parameters()->set_integer(parameter);
  return statement;
}

bool SqlCaller::Connect(size_t first) {
  if (session_ != nullptr) return true;
  std::vector<std::string> order = endpoints_;
  std::rotate(order.begin(), order.begin() + static_cast<long>(first % order.size()), order.end());
  const absl::Time deadline = absl::Now() + timeout_;
  for (size_t i = 0; i < order.size(); ++i) {
    // Each endpoint gets an equal part of the time that is left.
    const absl::Duration share = (deadline - absl::Now()) / static_cast<int64_t>(order.size() - i);
    auto session = client::SqlStream::Open(order[i], absl::Now() + share);
    if (!session.ok()) continue;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      session_ = *std::move(session);
    }
    // A node that ceases to be the writer ends its sessions, so once is enough.
    if (!must_write_ || Execute({Statement(kTryToWrite)}, false).ok()) return true;
    Disconnect();
  }
  return false;
}

void SqlCaller::Disconnect() {
  std::unique_ptr<client::SqlStream> session;
  std::lock_guard<std::mutex> lock(mutex_);
  session = std::move(session_);
}

void SqlCaller::Interrupt() {
  std::lock_guard<std::mutex> lock(mutex_);
  if (session_ != nullptr) session_->Cancel();
}

SqlAnswer SqlCaller::Broken(const absl::Status& status) {
  SqlAnswer answer;
  // What a node says that it did not begin is held against it if it shows.
  answer.outcome = session_->is_unanswered_unbegun() ? Outcome::kAborted : Outcome::kUnknown;
  answer.error = status.ToString();
  answer.node = session_->address();
  Disconnect();
  return answer;
}

SqlAnswer SqlCaller::Execute(const std::vector<v1::SqlStatement>& statements, bool atomic,
                             uint64_t min_lsn) {
  v1::SqlRequest request;
  for (const v1::SqlStatement& statement : statements) *request.add_statements() = statement;
  request.set_atomic(atomic);
  request.set_timeout_ms(static_cast<uint32_t>(absl::ToInt64Milliseconds(timeout_)));
  request.set_min_lsn(min_lsn);
  if (!session_->Send(request)) return Broken(session_->end());
  SqlAnswer answer;
  answer.node = session_->address();
  while (true) {
    v1::SqlResponse response;
    if (!session_->Receive(&response)) return Broken(session_->end());
    Collect(response, &answer);
    if (response.has_error()) {
      const bool is_unknown = response.error().outcome() == v1::SqlError::UNKNOWN;
      answer.outcome = is_unknown ? Outcome::kUnknown : Outcome::kAborted;
      answer.error = response.error().message();
    }
    if (!response.is_last()) continue;
    answer.lsn = response.commit_lsn();
    if (!answer.ok()) Disconnect();  // also rolls back what an error left open
    return answer;
  }
}

}  // namespace sextant::fault
