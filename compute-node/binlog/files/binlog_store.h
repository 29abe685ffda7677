// BinlogStore: a folder of binlog files; the source's binlog, or a replica's relay log.
//
// Files are binlog.000001 and on: Format, transactions, Rotate (docs/FORMATS.md, "Binlog"). A
// transaction is appended with one write and is durable after the next Sync. Opening reads the last
// file and cuts off what a crash left half written, which nothing whole can follow: where something
// does, it is damage, and nothing is cut. Older files were synced whole before the next one began.
//
// Thread-safety: all methods from any thread; one appender at a time. Readers use files of their
// own.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "compute-node/binlog/log/gtid.h"
#include "compute-node/binlog/log/transaction.h"

namespace sextant::binlog {

struct BinlogFile {
  uint64_t number = 0;
  std::string path;
  GtidSet before;  // all transactions of the history before this file
  uint64_t bytes = 0;
  bool is_closed = false;
};

struct BinlogStoreOptions {
  uint64_t max_file_bytes = 64 << 20;  // a new file begins behind the transaction that passes it
};

class BinlogStore {
 public:
  // `history`: where a new folder begins, as when a copy was seeded by a snapshot. DATA_LOSS:
  // damaged, with the file and the byte. UNAVAILABLE: the disk does not do what it is asked.
  static absl::StatusOr<std::unique_ptr<BinlogStore>> Open(const std::string& folder,
                                                           const GtidSet& history,
                                                           BinlogStoreOptions options);
  ~BinlogStore();
  BinlogStore(const BinlogStore&) = delete;

  // Appends one encoded transaction, the next of the history. After an error the store is broken:
  // it must be opened anew.
  absl::Status Append(Gtid gtid, std::string_view bytes);
  // Makes all that was appended before this call durable.
  absl::Status Sync();
  // Closes the present file and begins another.
  absl::Status Rotate();
  // Drops what comes after `seq`: files and ends of files. For a node that rewinds.
  absl::Status TruncateAfter(TxnSeq seq);
  // Deletes closed files whose every transaction is at or below `through`; how many.
  absl::StatusOr<size_t> Purge(TxnSeq through);

  GtidSet history() const;
  std::vector<BinlogFile> files() const;
  uint64_t bytes_written() const;  // since it was opened
  // How many bytes of a torn tail were cut off when it was opened.
  uint64_t torn_bytes() const { return torn_bytes_; }

 private:
  friend class BinlogReader;
  BinlogStore(std::string folder, BinlogStoreOptions options)
      : folder_(std::move(folder)), options_(options) {}
  absl::Status Load(const GtidSet& history);
  absl::Status LoadLast(BinlogFile* file);
  absl::Status Create(uint64_t number);
  absl::Status Write(std::string_view bytes);
  absl::Status RotateLocked();

  const std::string folder_;
  const BinlogStoreOptions options_;
  uint64_t torn_bytes_ = 0;

  mutable std::mutex mutex_;
  std::vector<BinlogFile> files_;  // ascending; the last is being written
  GtidSet history_;
  std::shared_ptr<int> fd_;  // of the last file; kept open by whoever syncs it
  uint64_t bytes_written_ = 0;
  absl::Status broken_;
};

// Reads transactions in order, from one on.
class BinlogReader {
 public:
  // `from`: the first to be read, at most one beyond the history's end. OUT_OF_RANGE: purged.
  static absl::StatusOr<BinlogReader> At(const BinlogStore* store, TxnSeq from);

  // Up to `max_bytes` of whole transactions (at least one), none above `through`, which the store
  // holds. Empty: nothing there yet. Views into the answer.
  struct Piece {
    std::string bytes;
    TxnSeq first, last;
  };
  absl::StatusOr<Piece> Next(TxnSeq through, size_t max_bytes);
  TxnSeq next() const { return next_; }

 private:
  BinlogReader(const BinlogStore* store, TxnSeq from) : store_(store), next_(from) {}
  absl::Status OpenFile();
  // The encoded transaction at the front of buffer_, reading more where needed; its size.
  absl::StatusOr<size_t> Measure(GtidEvent* header);
  absl::Status Fill(size_t bytes);

  const BinlogStore* store_;
  TxnSeq next_;
  std::shared_ptr<int> fd_;
  uint64_t file_number_ = 0;
  uint64_t offset_ = 0;  // in the file, of what follows buffer_
  std::string buffer_;
};

}  // namespace sextant::binlog
