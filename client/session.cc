// See session.h.
#include "client/session.h"

#include <random>
#include <utility>

#include "absl/time/clock.h"
#include "client/convert.h"
#include "client/directory.h"
#include "client/sql_calls.h"
#include "common/base/status.h"
#include "common/base/text.h"

namespace sextant::client {
namespace {

uint64_t Seed() {
  std::random_device device;
  return uint64_t{device()} << 32 | device();
}

}  // namespace

Session::Session(std::unique_ptr<SqlCalls> calls) : calls_(std::move(calls)) {}
Session::Session(Session&&) noexcept = default;
Session::~Session() = default;

absl::StatusOr<Reply> Session::Execute(Request request) {
  calls_->Start(ToProto(std::move(request)));
  Reply reply;
  v1::SqlResponse response;
  do {
    RETURN_IF_ERROR(calls_->Receive(&response));
    AddTo(&reply, &response);
    if (response.has_error()) {
      // The last response of a request carries its error.
      return StatusOf(response.error());
    }
  } while (!response.is_last());
  return reply;
}

absl::StatusOr<Reply> Session::Execute(std::string sql, std::vector<Value> parameters) {
  Request request;
  request.statements.push_back({std::move(sql), std::move(parameters)});
  return Execute(std::move(request));
}

absl::StatusOr<Value> Session::QueryOne(std::string sql, std::vector<Value> parameters) {
  ASSIGN_OR_RETURN(Reply reply, Execute(std::move(sql), std::move(parameters)));
  if (reply.rows().empty() || reply.rows()[0].empty()) return absl::NotFoundError("no row");
  return reply.rows()[0][0];
}

absl::StatusOr<Reply> Session::Batch(std::vector<Statement> statements) {
  return Execute(Request{.statements = std::move(statements), .is_atomic = true});
}

absl::Status Session::Transaction(const std::function<absl::Status(Session&)>& body,
                                  int attempts) {
  absl::Status status;
  for (int attempt = 0; attempt < attempts; ++attempt) {
    status = Execute("BEGIN IMMEDIATE").status();
    if (status.ok()) status = body(*this);
    if (status.ok()) status = Execute("COMMIT").status();
    if (status.ok()) return status;
    if (in_transaction()) Execute("ROLLBACK").status().IgnoreError();
    if (!InfoOf(status).is_retriable || IsOutcomeUnknown(status)) return status;
  }
  return status;
}

bool Session::in_transaction() const { return calls_->in_transaction(); }
uint64_t Session::token() const { return calls_->token(); }
void Session::Observe(uint64_t token) { calls_->Observe(token); }
const std::string& Session::address() const { return calls_->address(); }
uint64_t Session::moves() const { return calls_->moves(); }
void Session::Cancel() { calls_->Cancel(); }

Client::Client(std::vector<std::string> endpoints)
    : directory_(std::make_shared<Directory>(std::move(endpoints), Seed())) {}

std::unique_ptr<Session> Client::NewSession(const SessionOptions& options) {
  return std::make_unique<Session>(NewCalls(options));
}

std::unique_ptr<SqlCalls> Client::NewCalls(const SessionOptions& options) {
  return std::make_unique<SqlCalls>(directory_, options, Seed());
}

absl::StatusOr<std::string> Client::FindWriter(absl::Duration patience) {
  return directory_->Find(Preference::kWriter, absl::Now() + patience, [] { return false; });
}

}  // namespace sextant::client
