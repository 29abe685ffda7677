// LocalData: a node's folder in binlog mode: a full copy of the data, the binlog, and who it is.
//
//   data.sqlite    the data, in WAL mode; its position table says through which transaction
//   binlog/        all transactions (until purged): written here, or relayed from the source
//   node.state     text: the node's id, the tenure that it began or follows, its pledges
//
// A source's and a replica's folders are alike, so that either can become the other. Opening brings
// the data up to the binlog's end: the WAL is not synced at each commit, the binlog is.
//
// Thread-safety: store() as BinlogStore, what says so; everything else from one thread at a time.
#pragma once

#include <sqlite3.h>

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "absl/status/statusor.h"
#include "compute-node/binlog/engine/row_apply.h"
#include "compute-node/binlog/files/binlog_store.h"
#include "compute-node/binlog/replication/pledge.h"
#include "compute-node/binlog/replication/source_machine.h"

namespace sextant::binlog {

// A connection to a plain file, closed with it.
struct CloseDatabase {
  void operator()(sqlite3* db) const { sqlite3_close(db); }
};
using DatabasePtr = std::unique_ptr<sqlite3, CloseDatabase>;
// WAL mode, synchronous=NORMAL: synced at checkpoints, which are made by hand, and never by
// closing: the data file must not get ahead of the binlog, and the last connection to a copy that
// was replaced would delete the WAL of the new one, which has the same name.
absl::StatusOr<DatabasePtr> OpenDatabase(const std::string& path);

struct NodeState {
  ReplicaId id;         // drawn when the folder was made
  uint64_t tenure = 0;  // the highest that this node has begun or followed
  uint64_t held = 0;    // the highest whose beginning it holds
  SourceId source;      // of this node's own tenure; 0: it was never the source, or no longer is
  TxnSeq begun;         // where its own tenure began
  // Whether it has held all that a source had synced since the folder was made. Before that it may
  // lack what an earlier copy of this node acknowledged.
  bool is_whole = false;
  Pledges pledges;  // to those that are being promoted
};

class LocalData {
 public:
  // `id`: for a new folder. DATA_LOSS: data and binlog do not belong together, or are damaged.
  static absl::StatusOr<std::unique_ptr<LocalData>> Open(const std::string& folder, ReplicaId id,
                                                         BinlogStoreOptions options);

  const std::string& database_path() const { return database_path_; }
  BinlogStore& store() { return *store_; }
  // Both from any thread.
  NodeState state() const;
  // Durable when it returns; `edit` is called once, and nobody else changes the state meanwhile.
  absl::Status UpdateState(const std::function<void(NodeState*)>& edit);
  TxnSeq position() const { return position_; }
  // Others may see the data through it by now, and not beyond: set before a batch commits, while
  // position() moves after it. Any thread.
  TxnSeq shown() const { return TxnSeq(shown_.load(std::memory_order_acquire)); }

  struct Applied {
    TxnSeq through;
    uint64_t commit_micros = 0;  // of the last
  };
  // Applies transactions of the binlog behind position(), through `through` or a few MiB of them,
  // in one local transaction.
  absl::StatusOr<Applied> ApplyThrough(TxnSeq through);
  // Undoes, in data and binlog, what comes after `keep`. FAILED_PRECONDITION: schema changes among
  // it.
  absl::Status Rewind(TxnSeq keep);
  // Copies the WAL into the data file and syncs both; nobody may be writing.
  absl::Status Checkpoint();
  // Pages in the WAL that this object wrote, or found there at its last checkpoint, about.
  int wal_pages() const { return wal_pages_; }

  // Through which transaction the data file itself holds all, synced; of what this object applied.
  // Any thread.
  TxnSeq checkpointed() const { return TxnSeq(checkpointed_.load()); }

  // A copy of the data as of position(), made without stopping readers: for seeding.
  absl::Status CopyTo(const std::string& path);
  // Makes a new folder from such a copy, whose history is `history`. Only the old one's
  // pledges stay.
  static absl::Status Seed(const std::string& folder, const std::string& copy,
                           const GtidSet& history, const NodeState& state);

 private:
  LocalData(std::string folder)
      : folder_(std::move(folder)), database_path_(folder_ + "/data.sqlite") {}
  absl::Status LoadState(ReplicaId id);
  absl::Status DropHalfASeed(BinlogStoreOptions options);
  absl::Status CatchUp();

  const std::string folder_;
  const std::string database_path_;
  mutable std::mutex state_mutex_;
  NodeState state_;
  std::unique_ptr<BinlogStore> store_;
  DatabasePtr db_;
  std::unique_ptr<RowApply> apply_;  // before db_ is closed
  TxnSeq position_;
  std::atomic<uint64_t> shown_{0};
  std::optional<BinlogReader> reader_;
  int wal_pages_ = 0;
  std::atomic<uint64_t> checkpointed_{0};
};

}  // namespace sextant::binlog
