// SegmentReader: carries out what a segment planned, outside its lock. Runs on the calling thread.
//
// A page is the newest stored version at or below the read point and the records above it, each
// verified. A stored version that fails its checksum is passed over and the page made from the log,
// if that still reaches so far back; a damaged record has no such substitute here. What cannot be
// made whole is DATA_LOSS, never an older version and never zeros. A read that a round of
// collection overtook (its base was too old, or its records vanished) is planned anew.
// Internal to server/.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage-node/segment/page_fold.h"
#include "storage-node/server/damage_book.h"
#include "storage-node/server/node_counters.h"
#include "storage-node/server/segment_slot.h"
#include "storage-node/store/segment_store.h"

namespace sextant::storage {

class SegmentReader {
 public:
  // `on_write_error` is told when keeping a page version failed. Pointers outlive the reader.
  SegmentReader(SegmentStore* store, NodeCounters* counters, DamageBook* book,
                int store_page_after_records, std::function<void(absl::Status)> on_write_error);

  absl::StatusOr<protocol::ReadPagesReply> ReadPages(SegmentSlot* slot,
                                                     const protocol::ReadPagesRequest& request);
  absl::StatusOr<protocol::ReadLogReply> ReadLog(SegmentSlot* slot,
                                                 const protocol::ReadLogRequest& request);
  // The page as of `through`, for keeping. The log start must not move meanwhile.
  struct Version {
    page::PageImage image;
    bool is_new = false;  // not stored yet, or only damaged
  };
  absl::StatusOr<Version> MakeVersion(SegmentSlot* slot, PageNo page, Lsn through);

 private:
  struct Base {
    std::optional<page::PageImage> image;
    bool is_damaged = false;  // there was a newer one, and it must be replaced
  };
  struct Made {
    page::PageImage image;
    int applied = 0;
  };
  // Reads as long as rounds of collection get in the way.
  template <typename Reply, typename Read>
  absl::StatusOr<Reply> Retrying(SegmentSlot* slot, Read read);
  // ABORTED: the log start is not `log_start` any more.
  absl::StatusOr<protocol::ReadPagesReply> TryReadPages(SegmentSlot* slot,
                                                        const protocol::ReadPagesRequest& request,
                                                        Lsn log_start);
  absl::StatusOr<protocol::ReadLogReply> TryReadLog(SegmentSlot* slot,
                                                    const protocol::ReadLogRequest& request);
  absl::StatusOr<Base> ReadBase(const SegmentSlot& slot, PageNo page, Lsn read_point,
                                Lsn log_start);
  absl::StatusOr<Made> MakePage(SegmentSlot* slot, const PageReadPlan& plan, Base base);
  // Verified; damage is reported.
  absl::StatusOr<log::RecordView> ReadRecord(SegmentSlot* slot, const RecordLocation& at,
                                             std::string* bytes);
  void Keep(const SegmentSlot& slot, PageNo page, const page::PageImage& image);

  SegmentStore* const store_;
  NodeCounters* const counters_;
  DamageBook* const book_;
  const int store_page_after_records_;
  const std::function<void(absl::Status)> on_write_error_;
};

}  // namespace sextant::storage
