// See volume_wire.h.
#include "compute-node/server/volume_wire.h"

#include <utility>

namespace sextant::server {

std::vector<compute::PageEdit> EditsOf(const v1::AppendMtrRequest& request) {
  std::vector<compute::PageEdit> edits;
  edits.reserve(static_cast<size_t>(request.edits_size()));
  for (const v1::PageEdit& in : request.edits()) {
    compute::PageEdit edit;
    edit.page = PageNo(in.page());
    if (in.has_image()) {
      edit.is_image = true;
      edit.image = in.image();
    }
    for (const v1::PageRange& range : in.ranges().ranges()) {
      edit.ranges.push_back({range.offset(), range.bytes()});
    }
    edits.push_back(std::move(edit));
  }
  return edits;
}

absl::Duration TimeoutOf(const v1::AppendMtrRequest& request, absl::Duration otherwise) {
  return request.timeout_ms() == 0 ? otherwise : absl::Milliseconds(request.timeout_ms());
}

void ToProto(log::RedoRecord record, v1::TailRecord* out) {
  out->set_lsn(record.header.lsn.value());
  out->set_page(record.header.page.value());
  out->set_prev_page_lsn(record.header.prev_page_lsn.value());
  out->set_epoch(record.header.epoch.value());
  out->set_is_cpl(record.header.is_cpl);
  out->set_is_full_image(record.header.is_full_image);
  out->set_payload(std::move(record.payload));
}

}  // namespace sextant::server
