// SourceMachine: what of the binlog is synced, who has acknowledged it, and what may be answered.
// Core.
//
// Semi-synchronous replication, AFTER_SYNC: a transaction is in the binlog, the binlog is synced, N
// replicas have synced it to their relay logs, and only then does any client hear of it. An
// acknowledgement means received, not applied.
//
// Falling back to asynchronous replication is off by default. Where it is on, the change is an
// output of its own that stands before the releases it causes: whoever carries outputs out makes it
// visible before the first degraded answer leaves.
//
// Replicas are counted by the names of their nodes, as promotions count them (failover.h). A node's
// folder may be lost, or replaced by a snapshot: that copy has another id, begins with what it says
// that it holds, and what the one before it had acknowledged counts no more. Counted by folder, one
// node would stand for two.
//
//   Synced(7)        the binlog is on disk through 7
//   Acked(r, 6)      replica r has 1 through 6 in its synced relay log
//   durable() == 6   with N = 1: 6 may be answered, 7 waits
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/instant.h"
#include "common/base/strong_int.h"
#include "compute-node/binlog/log/gtid.h"

namespace sextant::binlog {

// Random 64-bit identity of a replica's folder.
using ReplicaId = StrongInt<struct ReplicaIdTag>;

// One copy that a node has had.
struct ReplicaCopy {
  std::string node;  // its name, the same for all nodes
  ReplicaId folder;
};

struct SemiSyncOptions {
  size_t acks = 0;  // 0: asynchronous
  bool may_fall_back = false;
  absl::Duration fall_back_after = absl::Seconds(10);  // where it may
};

enum class SyncMode {
  kAsync,     // as configured: answers wait for the binlog's sync alone
  kSemiSync,  // answers wait for `acks` replicas too
  kDegraded,  // configured so, but fallen back: answers do not wait
};

class SourceMachine {
 public:
  // In the order in which they are carried out.
  struct Output {
    std::optional<SyncMode> announce;  // the mode has changed: tell everybody first
    TxnSeq release_through;            // then answer whoever waits at or below
  };

  // `history`: what the binlog holds, synced. After a restart nobody has acknowledged anything:
  // what was acknowledged before is so again as soon as replicas return.
  SourceMachine(SemiSyncOptions options, GtidSet history, SourceId tenure);

  // The next transaction's name; it stands in the binlog, not yet synced.
  Gtid Append();
  // The binlog is on disk through `seq`, which was appended.
  void Synced(TxnSeq seq, Instant now);
  // A replica wants what it lacks; it may be sent what is synced, from the seq that is returned
  // on. `received`: what it has synced; it is held to that, whatever it acknowledged before. Once
  // for each of its streams. FAILED_PRECONDITION: it holds transactions that this source does not;
  // it must rewind them first.
  absl::StatusOr<TxnSeq> Join(const ReplicaCopy& replica, const GtidSet& received, Instant now);
  // INVALID_ARGUMENT: from a copy that has not joined, or that its node has replaced since; or for
  // what has not been sent.
  absl::Status Acked(const ReplicaCopy& replica, TxnSeq through, Instant now);
  // One of its streams has ended. Its acknowledgements stand: what it has synced stays so.
  void Leave(const ReplicaCopy& replica);
  void Tick(Instant now) { Judge(now); }
  Output TakeOutput();

  const GtidSet& history() const { return history_; }
  TxnSeq appended() const { return history_.last(); }
  TxnSeq synced() const { return synced_; }
  TxnSeq durable() const { return durable_; }
  SyncMode mode() const { return mode_; }
  const SemiSyncOptions& options() const { return options_; }
  SourceId tenure() const { return tenure_; }
  size_t joined() const;
  // Through which seq at least `options().acks` replicas hold the binlog.
  TxnSeq acknowledged() const;
  // What every replica that is joined holds; all that is synced where none is.
  TxnSeq HeldByJoined() const;
  // Those that have joined since this source began, by name.
  struct Follower {
    std::string node;
    TxnSeq acked;  // by its present copy
    bool is_joined = false;
  };
  std::vector<Follower> followers() const;

 private:
  struct Replica {
    ReplicaId folder;  // of the node's present copy
    TxnSeq acked;
    size_t streams = 0;  // a broken one may end after the next one began
    bool is_joined() const { return streams > 0; }
  };
  struct Wait {
    TxnSeq through;
    Instant since;
  };

  // The node's entry if `replica` is its present copy; else null.
  Replica* Find(const ReplicaCopy& replica);
  // Recomputes mode and durable().
  void Judge(Instant now);
  void SetMode(SyncMode mode);

  const SemiSyncOptions options_;
  const SourceId tenure_;
  GtidSet history_;
  TxnSeq synced_;
  TxnSeq durable_;
  SyncMode mode_;
  std::map<std::string, Replica, std::less<>> replicas_;  // by node
  std::deque<Wait> waits_;                                // synced, not yet durable; oldest first
  std::optional<SyncMode> announce_;
};

}  // namespace sextant::binlog
