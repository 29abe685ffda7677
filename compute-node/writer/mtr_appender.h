// MtrAppender: mini-transactions given as byte ranges, for engines that do not hold pages
// themselves.
//
// Takes the write ticket, reads the pages that the edits touch as of head(), applies the edits and
// appends. Pages that are not cached are fetched before the ticket is asked for, so that a miss
// does not hold up other writers. Nothing blocks.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/ids.h"
#include "compute-node/writer/write_ticket.h"
#include "compute-node/writer/writer_volume.h"

namespace sextant::compute {

struct PageEdit {
  struct Range {
    uint32_t offset = 0;
    std::string bytes;
  };
  PageNo page;
  // The whole page, or else `ranges`, applied in order.
  bool is_image = false;
  std::string image;
  std::vector<Range> ranges;
};

class MtrAppender {
 public:
  // Called once, with the commit LSN: appended, not yet durable, and gathered with others until
  // the volume's WhenDurable is called (WriterVolume::AppendGathered). An error: nothing was
  // appended.
  // INVALID_ARGUMENT: no edits, a page twice, a range outside its page, an image of another size.
  using Appended = std::function<void(absl::StatusOr<Lsn>)>;

  // Both outlive the appender and every append under way.
  MtrAppender(WriterVolume* volume, WriteTicketQueue* tickets)
      : volume_(*volume), tickets_(*tickets) {}

  // `timeout`: for the ticket. `appended` runs inside the call, on a transport's or a ticket's
  // thread.
  void Append(std::vector<PageEdit> edits, absl::Duration timeout, Appended appended);

 private:
  WriterVolume& volume_;
  WriteTicketQueue& tickets_;
};

}  // namespace sextant::compute
