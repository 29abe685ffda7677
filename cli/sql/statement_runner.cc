// Groups of statements on a session, one group under way at a time.
#include "cli/sql/statement_runner.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "cli/sql/statement_splitter.h"
#include "cli/sql/value_text.h"
#include "client/errors.h"
#include "common/base/status.h"
#include "common/base/text.h"
#include "common/rpc/channel.h"

namespace sextant::cli {
namespace {

std::vector<std::string> ColumnNames(const v1::StatementResult& result) {
  std::vector<std::string> names;
  for (const v1::ColumnInfo& column : result.columns()) names.push_back(column.name());
  return names;
}

// What a request cannot carry would end the session for all that follows.
absl::Status CheckSendable(const v1::SqlStatement& statement) {
  if (statement.ByteSizeLong() > rpc::kMaxMessageBytes - 1024) {
    return absl::OutOfRangeError(Text("the statement is longer than ", rpc::kMaxMessageBytes >> 20,
                                      " MiB: load large values in parts"));
  }
  bool is_text = IsUtf8(statement.sql());
  for (const v1::SqlValue& value : statement.parameters())
    is_text = is_text && IsUtf8(value.text());
  if (is_text) return absl::OkStatus();
  return absl::OutOfRangeError("the statement is not valid UTF-8: write such bytes as x'...'");
}

}  // namespace

StatementRunner::StatementRunner(Connect connect, RunOptions* options, std::ostream* out,
                                 std::ostream* err)
    : connect_(std::move(connect)), options_(options), out_(out), err_(err) {}

StatementRunner::~StatementRunner() = default;

absl::Status StatementRunner::EnsureSession() {
  if (session_ != nullptr) return absl::OkStatus();
  ASSIGN_OR_RETURN(session_, connect_());
  return absl::OkStatus();
}

void StatementRunner::Start(v1::SqlRequest request) {
  request.set_timeout_ms(options_->timeout_ms);
  // An open transaction stays where it began.
  if (!in_transaction_) {
    request.set_as_of_lsn(options_->as_of_lsn);
    request.set_as_of_time_us(options_->as_of_time_us);
  }
  session_->Start(std::move(request));
}

absl::Status StatementRunner::Receive(v1::SqlResponse* response) {
  const auto set_waiting = [this](bool is_waiting) {
    const std::lock_guard lock(interrupt_mutex_);
    is_waiting_ = is_waiting;
  };
  set_waiting(true);
  absl::Status status = session_->Receive(response);
  set_waiting(false);
  return status;
}

bool StatementRunner::Interrupt() {
  const std::lock_guard lock(interrupt_mutex_);
  if (is_waiting_) session_->Cancel();
  return is_waiting_;
}

void StatementRunner::Add(QueuedStatement statement) {
  if (is_stopped_) return;
  if (const absl::Status status = CheckSendable(statement.sql); !status.ok()) {
    Flush();
    Report(&statement, std::string(View(status.message())));
    Worsen(status);
    ++counters_.statements;
    is_stopped_ = options_->bail;
    return;
  }
  collecting_.bytes += statement.sql.sql().size();
  collecting_.statements.push_back(std::move(statement));
  const bool one_by_one = options_->show_lsn || options_->show_time;
  if (one_by_one) {
    Flush();
  } else if (collecting_.statements.size() >= options_->group_statements ||
             collecting_.bytes >= options_->group_bytes) {
    Wait();
    if (!is_stopped_) Send(std::move(collecting_));
    collecting_ = {};
  }
}

void StatementRunner::Flush() {
  Wait();
  if (!is_stopped_ && !collecting_.statements.empty()) {
    Send(std::move(collecting_));
    collecting_ = {};
    Wait();
  }
  collecting_ = {};
  out_->flush();
}

void StatementRunner::Send(Group group) {
  under_way_ = std::move(group);
  absl::Status status = EnsureSession();
  if (!status.ok()) {  // nothing was sent: no outcome is in doubt
    Report(nullptr, std::string(View(status.message())));
    Worsen(status);
    is_stopped_ = true;
    return;
  }
  v1::SqlRequest request;
  for (const QueuedStatement& statement : under_way_.statements) {
    *request.add_statements() = statement.sql;
  }
  Start(std::move(request));
  is_under_way_ = true;
}

void StatementRunner::Wait() {
  while (is_under_way_) {
    is_under_way_ = false;
    const absl::Time start = absl::Now();
    v1::SqlError error;
    bool has_error = false;
    const absl::Status status = ReadResponses(&error, &has_error);
    if (!status.ok()) {
      HandleLostSession(status);
    } else if (has_error) {
      HandleError(error);
    } else {
      counters_.statements += under_way_.statements.size();
      counters_.bytes += under_way_.bytes;
    }
    if (options_->show_lsn && status.ok()) *err_ << "-- lsn " << last_lsn_ << std::endl;
    if (options_->show_time) {
      *out_ << "Run Time: real "
            << absl::StrFormat("%.3f", absl::ToDoubleSeconds(absl::Now() - start)) << "\n";
    }
    if (on_progress_) on_progress_(counters_);
  }
}

absl::Status StatementRunner::ReadResponses(v1::SqlError* error, bool* has_error) {
  v1::SqlResponse response;
  printer_ = nullptr;
  do {
    RETURN_IF_ERROR(Receive(&response));
    PrintResults(response);
    if (response.has_error()) {
      *error = response.error();
      *has_error = true;
    }
  } while (!response.is_last());
  if (printer_ != nullptr) printer_->End();
  printer_ = nullptr;
  in_transaction_ = response.in_transaction();
  if (response.commit_lsn() != 0) last_lsn_ = response.commit_lsn();
  return absl::OkStatus();
}

void StatementRunner::PrintResults(const v1::SqlResponse& response) {
  for (const v1::StatementResult& result : response.results()) {
    if (!result.is_continuation()) {
      if (printer_ != nullptr) printer_->End();
      printer_ = nullptr;
      if (result.columns().empty()) continue;
      absl::StatusOr<std::unique_ptr<RowPrinter>> printer = MakeRowPrinter(options_->print, out_);
      printer_ = printer.ok() ? *std::move(printer) : MakeTablePrinter(options_->print, out_);
      printer_->Begin(ColumnNames(result));
    }
    if (printer_ == nullptr) continue;
    for (const v1::Row& row : result.rows()) printer_->Row(row);
  }
}

void StatementRunner::HandleError(const v1::SqlError& error) {
  std::vector<QueuedStatement>& statements = under_way_.statements;
  const size_t failed = std::min<size_t>(error.statement_index(), statements.size() - 1);
  const bool is_unknown = error.outcome() == v1::SqlError::UNKNOWN;
  std::string message = error.message();
  if (is_unknown) message += " (outcome UNKNOWN)";  // the server has said the rest
  Report(&statements[failed], message);
  const auto code = static_cast<absl::StatusCode>(error.code());
  Worsen(is_unknown ? absl::DeadlineExceededError(message)
         // Too late, and nothing was done: it may succeed later.
         : code == absl::StatusCode::kDeadlineExceeded ? absl::UnavailableError(message)
         // The statement was wrong, not the way this command was called.
         : code == absl::StatusCode::kInvalidArgument ? absl::UnknownError(message)
                                                      : absl::Status(code, message));
  counters_.statements += failed + 1;
  for (size_t i = 0; i <= failed; ++i) {
    counters_.bytes += statements[i].sql.sql().size();
    under_way_.bytes -= statements[i].sql.sql().size();
  }
  statements.erase(statements.begin(),
                   std::next(statements.begin(), static_cast<long>(failed) + 1));
  if (options_->bail || is_unknown) {
    is_stopped_ = true;
  } else if (!statements.empty()) {
    Group rest = std::move(under_way_);
    Send(std::move(rest));
  }
}

void StatementRunner::HandleLostSession(const absl::Status& status) {
  in_transaction_ = false;
  const auto& statements = under_way_.statements;
  const bool is_in_doubt = client::IsOutcomeUnknown(status);
  std::string message(View(status.message()));
  if (is_in_doubt && statements.size() > 1) {
    message += Text(" (outcome UNKNOWN of up to ", statements.size(), " statements from here on)");
  } else if (is_in_doubt) {
    message += " (outcome UNKNOWN)";
  }
  const bool has_place = is_in_doubt || absl::IsAborted(status);
  Report(has_place && !statements.empty() ? &statements.front() : nullptr, message);
  Worsen(is_in_doubt ? absl::DeadlineExceededError(message) : absl::UnavailableError(message));
  is_stopped_ = true;
}

void StatementRunner::Report(const QueuedStatement* statement, const std::string& message) {
  ++counters_.errors;
  out_->flush();
  const bool has_place = statement != nullptr && !statement->place.empty();
  *err_ << "Error: " << (has_place ? statement->place + ": " : "") << message << std::endl;
}

void StatementRunner::Worsen(const absl::Status& status) {
  // Unknown outcome outweighs unavailable, which outweighs a plain failure.
  const auto weight = [](const absl::Status& s) {
    return s.ok() ? 0 : absl::IsDeadlineExceeded(s) ? 3 : absl::IsUnavailable(s) ? 2 : 1;
  };
  if (weight(status) > weight(worst_)) worst_ = status;
}

absl::Status StatementRunner::Query(
    const std::string& sql, const std::vector<std::string>& text_parameters,
    const std::function<void(const std::vector<std::string>& columns)>& on_columns,
    const std::function<void(const v1::Row&)>& on_row) {
  Flush();
  RETURN_IF_ERROR(EnsureSession());
  v1::SqlRequest request;
  v1::SqlStatement* statement = request.add_statements();
  statement->set_sql(sql);
  for (const std::string& text : text_parameters) statement->add_parameters()->set_text(text);
  Start(std::move(request));
  v1::SqlResponse response;
  do {
    if (const absl::Status status = Receive(&response); !status.ok()) {
      in_transaction_ = false;
      return absl::UnavailableError(status.message());
    }
    for (const v1::StatementResult& result : response.results()) {
      if (!result.is_continuation() && on_columns) on_columns(ColumnNames(result));
      for (const v1::Row& row : result.rows()) on_row(row);
    }
    in_transaction_ = response.in_transaction();
  } while (!response.is_last());
  if (!response.has_error()) return absl::OkStatus();
  return absl::Status(static_cast<absl::StatusCode>(response.error().code()),
                      response.error().message());
}

}  // namespace sextant::cli
