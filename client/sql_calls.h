// SqlCalls: one session's requests, answered wherever the right node is now. Protobuf messages in
// and out, for callers that stream rows (the shell); session.h is the comfortable form.
//
// Requests go one at a time: Start, then Receive until the last response. In between, a node may
// refuse, fail, be promoted or demoted: what is safe is sent again, to the node that is right by
// then (retry.h), within options.patience. Every request carries the session's LSN token, so that
// no node answers from before what this session has seen or done. A session's temporary tables and
// settings stay behind when it moves.
//
// Not thread-safe, but for Cancel().
#pragma once

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/options.h"
#include "client/retry.h"
#include "client/sql_stream.h"
#include "sextant/v1/sql.pb.h"

namespace sextant::client {

class Directory;

class SqlCalls {
 public:
  SqlCalls(std::shared_ptr<Directory> directory, SessionOptions options, uint64_t seed);
  ~SqlCalls();

  // Takes a request; its id is filled in. What goes wrong comes from Receive.
  void Start(v1::SqlRequest request);
  // The next response to it; the last has is_last, and may hold an error that the node answered. A
  // status: the session broke and the request is over; errors.h says what became of it. Afterwards
  // the session goes on as a new one.
  absl::Status Receive(v1::SqlResponse* response);
  // Ends the request under way with CANCELLED; from any thread.
  void Cancel();

  bool in_transaction() const { return pinned_ != nullptr; }
  uint64_t token() const { return token_; }
  void Observe(uint64_t token) { token_ = std::max(token_, token); }
  // Of the node that answered last; empty: none yet.
  const std::string& address() const { return address_; }
  uint64_t moves() const { return moves_; }  // how often the session had to go on elsewhere

 private:
  // Streams to a writer and to a node for reads; the same one where the preference is the writer.
  enum Place { kHome, kWriter };

  absl::Status EnsureSent();
  bool NextFromStream(v1::SqlResponse* response);
  // What to do about a setback: OK, go on and try again; otherwise what the caller is told.
  absl::Status HandleLoss(Setback::Kind kind, const absl::Status& why);
  bool ShouldRepeat(const v1::SqlResponse& response);
  bool Pause(Verdict verdict);
  void Drop(Place place);
  void NoteAnswer(const v1::SqlResponse& response);
  bool IsNothingDone(const v1::SqlError& error) const;

  const std::shared_ptr<Directory> directory_;
  const SessionOptions options_;
  std::unique_ptr<SqlStream> streams_[2];
  SqlStream* pinned_ = nullptr;  // has an open transaction
  uint64_t token_;
  uint64_t next_id_ = 1;
  std::string address_;
  uint64_t moves_ = 0;

  // --- the request under way
  v1::SqlRequest request_;
  Place place_ = kWriter;
  bool is_sent_ = false;
  bool was_shown_ = false;
  bool was_in_transaction_ = false;
  bool may_change_ = true, may_commit_ = true;
  absl::Time give_up_at_;
  Backoff backoff_;

  std::mutex mutex_;  // of what follows
  SqlStream* waiting_on_ = nullptr;
  std::atomic<bool> is_cancelled_{false};
};

}  // namespace sextant::client
