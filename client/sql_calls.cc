// See sql_calls.h.
#include "client/sql_calls.h"

#include <chrono>
#include <thread>
#include <utility>

#include "absl/time/clock.h"
#include "client/directory.h"
#include "client/errors.h"
#include "client/statement_kind.h"
#include "common/base/status.h"
#include "common/base/text.h"

namespace sextant::client {
namespace {

// To connect to a node that is there; one that is not refuses at once, or is silent.
constexpr absl::Duration kConnectTimeout = absl::Seconds(3);

}  // namespace

SqlCalls::SqlCalls(std::shared_ptr<Directory> directory, SessionOptions options, uint64_t seed)
    : directory_(std::move(directory)),
      options_(options),
      token_(options.token),
      backoff_(seed) {}

SqlCalls::~SqlCalls() = default;

void SqlCalls::Start(v1::SqlRequest request) {
  request_ = std::move(request);
  request_.set_id(next_id_++);
  was_in_transaction_ = in_transaction();
  is_sent_ = was_shown_ = false;
  may_change_ = may_commit_ = false;
  bool needs_writer = false;
  for (const v1::SqlStatement& statement : request_.statements()) {
    const StatementKind kind = KindOf(statement.sql(), statement.script());
    may_change_ |= kind.may_change;
    may_commit_ |= kind.may_commit;
    needs_writer |= kind.needs_writer;
  }
  if (was_in_transaction_) {
    place_ = pinned_ == streams_[kHome].get() ? kHome : kWriter;
  } else {
    const bool has_choice = options_.preference != Preference::kOnly;
    place_ = has_choice && (needs_writer || options_.preference == Preference::kWriter) ? kWriter
                                                                                        : kHome;
  }
  give_up_at_ =
      absl::Now() + (address_.empty() ? options_.connect_patience : options_.patience);
  backoff_.Reset();
  is_cancelled_ = false;
  // At once where there is a stream, so that the caller may do other things meanwhile.
  if (streams_[place_] != nullptr) EnsureSent().IgnoreError();
}

absl::Status SqlCalls::EnsureSent() {
  if (is_sent_) return absl::OkStatus();
  std::unique_ptr<SqlStream>& stream = streams_[place_];
  if (stream == nullptr) {
    ASSIGN_OR_RETURN(
        const std::string address,
        directory_->Find(place_ == kWriter ? Preference::kWriter : options_.preference, give_up_at_,
                         [this] { return is_cancelled_.load(); }));
    absl::StatusOr<std::unique_ptr<SqlStream>> opened =
        SqlStream::Open(address, std::min(give_up_at_, absl::Now() + kConnectTimeout));
    if (!opened.ok()) {
      directory_->Suspect(address);
      return opened.status();
    }
    stream = *std::move(opened);
    if (!address_.empty() && address_ != address) ++moves_;
    address_ = address;
  }
  const bool is_time_travel = request_.as_of_lsn() != 0 || request_.as_of_time_us() != 0;
  if (!is_time_travel) request_.set_min_lsn(std::max(request_.min_lsn(), token_));
  if (!stream->Send(request_)) return stream->end();
  is_sent_ = true;
  return absl::OkStatus();
}

bool SqlCalls::NextFromStream(v1::SqlResponse* response) {
  SqlStream* const stream = streams_[place_].get();
  {
    std::lock_guard lock(mutex_);
    waiting_on_ = stream;
  }
  if (is_cancelled_) stream->Cancel();
  const bool ok = stream->Receive(response);
  std::lock_guard lock(mutex_);
  waiting_on_ = nullptr;
  return ok;
}

void SqlCalls::Cancel() {
  std::lock_guard lock(mutex_);
  is_cancelled_ = true;
  if (waiting_on_ != nullptr) waiting_on_->Cancel();
}

absl::Status SqlCalls::Receive(v1::SqlResponse* response) {
  for (;;) {
    if (const absl::Status sent = EnsureSent(); !sent.ok()) {
      RETURN_IF_ERROR(HandleLoss(Setback::Kind::kNotSent, sent));
      continue;
    }
    if (!NextFromStream(response)) {
      SqlStream& stream = *streams_[place_];
      const absl::Status why = stream.end();
      const bool is_unbegun = stream.is_unanswered_unbegun() && !was_shown_;
      RETURN_IF_ERROR(
          HandleLoss(is_unbegun ? Setback::Kind::kNotSent : Setback::Kind::kLost, why));
      continue;
    }
    if (response->has_error() && ShouldRepeat(*response)) continue;
    NoteAnswer(*response);
    was_shown_ = true;
    return absl::OkStatus();
  }
}

void SqlCalls::NoteAnswer(const v1::SqlResponse& response) {
  if (!response.is_last()) return;
  address_ = streams_[place_]->address();
  Observe(response.commit_lsn());
  pinned_ = response.in_transaction() ? streams_[place_].get() : nullptr;
}

void SqlCalls::Drop(Place place) {
  if (streams_[place] == nullptr) return;
  directory_->Suspect(streams_[place]->address());
  if (pinned_ == streams_[place].get()) pinned_ = nullptr;
  streams_[place] = nullptr;
}

bool SqlCalls::IsNothingDone(const v1::SqlError& error) const {
  if (error.is_nothing_done() || request_.atomic()) return true;
  const bool is_script =
      request_.statements_size() > 0 && request_.statements(0).script();
  return error.statement_index() == 0 && !is_script;
}

bool SqlCalls::ShouldRepeat(const v1::SqlResponse& response) {
  const v1::SqlError& error = response.error();
  const Verdict verdict = Judge({
      .kind = Setback::Kind::kAnswered,
      .was_in_transaction = was_in_transaction_,
      .was_shown = was_shown_,
      .may_change = may_change_,
      .may_commit = may_commit_,
      .code = static_cast<absl::StatusCode>(error.code()),
      .is_unknown = error.outcome() == v1::SqlError::UNKNOWN,
      .is_retriable = error.is_retriable(),
      .is_nothing_done = IsNothingDone(error),
  });
  if (verdict != Verdict::kRetry && verdict != Verdict::kRetryElsewhere) return false;
  const bool has_choice = options_.preference != Preference::kOnly;
  if (!has_choice && error.code() == static_cast<uint32_t>(absl::StatusCode::kFailedPrecondition)) {
    return false;
  }
  // A request that leaves a transaction open behind its error is not repeated inside it.
  if (response.in_transaction() || !response.is_last() || !Pause(verdict)) return false;
  Observe(response.commit_lsn());
  if (verdict == Verdict::kRetryElsewhere) {
    directory_->Hint(error.writer_node(), error.writer_address());
    if (error.is_nothing_done() && place_ == kHome) {
      place_ = kWriter;  // the reader is fine, but this is not for readers
    } else {
      Drop(place_);
    }
  }
  is_sent_ = false;
  return true;
}

absl::Status SqlCalls::HandleLoss(Setback::Kind kind, const absl::Status& why) {
  const std::string address = streams_[place_] == nullptr ? "" : streams_[place_]->address();
  const bool was_open = streams_[place_] != nullptr;
  Drop(place_);
  const std::string lost =
      was_open ? Text("lost the session (", View(why.message()), ")") : std::string(View(why.message()));
  if (is_cancelled_) {
    return WithInfo(absl::CancelledError("interrupted"),
                    {.outcome = kind == Setback::Kind::kLost && may_change_
                                    ? Outcome::kUnknown
                                    : Outcome::kNotCommitted});
  }
  const Verdict verdict = Judge({.kind = kind,
                                 .was_in_transaction = was_in_transaction_,
                                 .was_shown = was_shown_,
                                 .may_change = may_change_,
                                 .may_commit = may_commit_});
  const bool is_refused =
      options_.preference == Preference::kOnly && absl::IsFailedPrecondition(why);
  switch (verdict) {
    case Verdict::kReportUnknown:
      return WithInfo(absl::UnavailableError(Text(
                          lost, ": whether the commit took effect is unknown, look before you "
                                "repeat it")),
                      {.outcome = Outcome::kUnknown});
    case Verdict::kReportLostTransaction:
      return WithInfo(absl::AbortedError(Text(
                          lost, ": the open transaction was rolled back, start it over")),
                      {.is_retriable = true});
    case Verdict::kReport:
      return WithInfo(absl::UnavailableError(lost), {.is_retriable = true});
    case Verdict::kRetry:
    case Verdict::kRetryElsewhere:
      break;
  }
  if (is_refused) return why;
  if (!Pause(verdict)) return WithInfo(absl::UnavailableError(lost), {.is_retriable = true});
  is_sent_ = false;
  return absl::OkStatus();
}

// Before another attempt; false: there is no time for one.
bool SqlCalls::Pause(Verdict) {
  const absl::Duration pause = backoff_.Next();
  if (is_cancelled_ || absl::Now() + pause >= give_up_at_) return false;
  std::this_thread::sleep_for(absl::ToChronoMilliseconds(pause));
  return true;
}

}  // namespace sextant::client
