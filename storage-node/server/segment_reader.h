// SegmentReader: carries out what a segment planned, outside its lock. Runs on the calling thread.
//
// A page is the newest stored version at or below the read point and the records above it, each
// verified. A stored version that fails its checksum is passed over and the page made from the log,
// which is whole; a damaged record has no such substitute here and is an error (DATA_LOSS).
// Internal to server/.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage-node/segment/page_fold.h"
#include "storage-node/server/node_counters.h"
#include "storage-node/server/segment_slot.h"
#include "storage-node/store/segment_store.h"

namespace sextant::storage {

class SegmentReader {
 public:
  // `on_write_error` is told when keeping a page version failed. Pointers outlive the reader.
  SegmentReader(SegmentStore* store, NodeCounters* counters, int store_page_after_records,
                std::function<void(absl::Status)> on_write_error);

  absl::StatusOr<protocol::ReadPagesReply> ReadPages(SegmentSlot* slot,
                                                     const protocol::ReadPagesRequest& request);
  absl::StatusOr<protocol::ReadLogReply> ReadLog(SegmentSlot* slot,
                                                 const protocol::ReadLogRequest& request);

 private:
  struct Base {
    std::optional<page::PageImage> image;
    bool is_damaged = false;  // there was one, and it must be replaced
  };
  absl::StatusOr<Base> ReadBase(const SegmentSlot& slot, PageNo page, Lsn read_point);
  absl::StatusOr<page::PageImage> MakePage(const SegmentSlot& slot, const PageReadPlan& plan,
                                           Base base);
  void Keep(const SegmentSlot& slot, PageNo page, const page::PageImage& image);

  SegmentStore* const store_;
  NodeCounters* const counters_;
  const int store_page_after_records_;
  const std::function<void(absl::Status)> on_write_error_;
};

}  // namespace sextant::storage
