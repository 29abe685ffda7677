// The part of storage_wire.h that reads: log, pages, and pages for a rebuild.
#include <algorithm>

#include "common/base/check.h"
#include "common/base/coding.h"
#include "common/base/crc32c.h"
#include "common/base/status.h"
#include "common/base/text.h"
#include "common/rpc/storage_wire.h"

namespace sextant::rpc {
namespace {

uint32_t PageCrc(PageNo page, Lsn lsn, std::string_view image) {
  std::string identity;
  PutFixed64(&identity, page.value());
  PutFixed64(&identity, lsn.value());
  return Crc32c(image, Crc32c(identity));
}

}  // namespace

void ToProto(const protocol::ReadLogRequest& request, v1::ReadLogRequest* out) {
  ToProto(request.segment, out->mutable_segment());
  out->set_epoch(request.epoch.value());
  out->set_after(request.after.value());
  out->set_through(request.through.value());
  out->set_max_bytes(request.max_bytes);
}

absl::StatusOr<protocol::ReadLogRequest> FromProto(const v1::ReadLogRequest& in) {
  return protocol::ReadLogRequest{
      .segment = FromProto(in.segment()),
      .epoch = VolumeEpoch(in.epoch()),
      .after = Lsn(in.after()),
      .through = Lsn(in.through()),
      .max_bytes = std::min<uint64_t>(in.max_bytes(), log::kMaxBatchBytes / 2)};
}

void ToProto(const protocol::ReadLogReply& reply, const SegmentId& segment,
             v1::ReadLogResponse* out) {
  log::BatchBuilder builder(segment.volume, segment.pg);
  size_t taken = 0;
  for (const log::RedoRecord& record : reply.records) {
    if (!builder.HasRoomFor(record.payload.size())) break;
    builder.Add(record.header, record.payload);
    ++taken;
  }
  out->set_batch(*builder.Seal({}).bytes);
  out->set_scl(reply.scl.value());
  out->set_is_last(reply.is_last && taken == reply.records.size());
}

absl::StatusOr<protocol::ReadLogReply> FromProto(const v1::ReadLogResponse& in,
                                                 const SegmentId& segment) {
  ASSIGN_OR_RETURN(log::BatchView batch, log::DecodeBatch(in.batch()));
  if (batch.header.volume != segment.volume || batch.header.pg != segment.pg) {
    return absl::DataLossError("log records of another segment than the one asked");
  }
  protocol::ReadLogReply reply{.records = {}, .scl = Lsn(in.scl()), .is_last = in.is_last()};
  reply.records.reserve(batch.entries.size());
  for (const log::BatchView::Entry& entry : batch.entries) {
    reply.records.push_back({entry.record.header, std::string(entry.record.payload)});
  }
  return reply;
}

void ToProto(const protocol::ReadPagesRequest& request, v1::ReadPagesRequest* out) {
  ToProto(request.segment, out->mutable_segment());
  out->set_epoch(request.epoch.value());
  out->set_read_point(request.read_point.value());
  if (request.pg_lsn.has_value()) out->set_pg_lsn(request.pg_lsn->value());
  for (PageNo page : request.pages) out->add_pages(page.value());
}

absl::StatusOr<protocol::ReadPagesRequest> FromProto(const v1::ReadPagesRequest& in) {
  if (in.pages_size() > kMaxPagesPerRead) {
    return Malformed(Text(in.pages_size(), " pages asked for, at most ", kMaxPagesPerRead));
  }
  protocol::ReadPagesRequest request{.segment = FromProto(in.segment()),
                                     .epoch = VolumeEpoch(in.epoch()),
                                     .read_point = Lsn(in.read_point()),
                                     .pg_lsn = std::nullopt,
                                     .pages = {}};
  if (in.has_pg_lsn()) request.pg_lsn = Lsn(in.pg_lsn());
  for (uint64_t page : in.pages()) request.pages.push_back(PageNo(page));
  return request;
}

void ToProto(const protocol::ReadPagesReply& reply, const protocol::ReadPagesRequest& request,
             v1::ReadPagesResponse* out) {
  SEXTANT_CHECK(reply.pages.size() == request.pages.size())
      << reply.pages.size() << " pages for " << request.pages.size();
  for (size_t i = 0; i < reply.pages.size(); ++i) {
    const page::PageImage& page = reply.pages[i];
    v1::ReadPagesResponse::Page* p = out->add_pages();
    p->set_lsn(page.lsn.value());
    p->set_image(page.bytes);
    p->set_crc(PageCrc(request.pages[i], page.lsn, page.bytes));
  }
}

absl::StatusOr<protocol::ReadPagesReply> FromProto(const v1::ReadPagesResponse& in,
                                                   const protocol::ReadPagesRequest& request) {
  if (static_cast<size_t>(in.pages_size()) != request.pages.size()) {
    return absl::DataLossError(
        Text(in.pages_size(), " pages came for ", request.pages.size(), " asked"));
  }
  protocol::ReadPagesReply reply;
  reply.pages.reserve(request.pages.size());
  for (int i = 0; i < in.pages_size(); ++i) {
    const v1::ReadPagesResponse::Page& p = in.pages(i);
    const PageNo page = request.pages[static_cast<size_t>(i)];
    if (PageCrc(page, Lsn(p.lsn()), p.image()) != p.crc()) {
      return absl::DataLossError(Text("page ", page, " at lsn ", p.lsn(),
                                      ": checksum mismatch, damaged between the nodes"));
    }
    reply.pages.push_back({Lsn(p.lsn()), p.image()});
  }
  return reply;
}

void ToProto(const protocol::CopyPagesRequest& request, v1::CopyPagesRequest* out) {
  ToProto(request.segment, out->mutable_segment());
  out->set_epoch(request.epoch.value());
  out->set_from(request.from.value());
  out->set_changed_after(request.changed_after.value());
  out->set_max_bytes(request.max_bytes);
}

absl::StatusOr<protocol::CopyPagesRequest> FromProto(const v1::CopyPagesRequest& in) {
  return protocol::CopyPagesRequest{
      .segment = FromProto(in.segment()),
      .epoch = VolumeEpoch(in.epoch()),
      .from = PageNo(in.from()),
      .changed_after = Lsn(in.changed_after()),
      .max_bytes = std::min<uint64_t>(in.max_bytes(), log::kMaxBatchBytes / 2)};
}

void ToProto(const protocol::CopyPagesReply& reply, v1::CopyPagesResponse* out) {
  for (const protocol::CopyPagesReply::Page& page : reply.pages) {
    v1::CopyPagesResponse::Page* p = out->add_pages();
    p->set_page(page.page.value());
    p->set_lsn(page.image.lsn.value());
    p->set_image(page.image.bytes);
    p->set_crc(PageCrc(page.page, page.image.lsn, page.image.bytes));
  }
  out->set_read_point(reply.read_point.value());
  out->set_pg_lsn(reply.pg_lsn.value());
  out->set_next(reply.next.value());
  out->set_is_last(reply.is_last);
}

absl::StatusOr<protocol::CopyPagesReply> FromProto(const v1::CopyPagesResponse& in) {
  protocol::CopyPagesReply reply{.pages = {},
                                 .read_point = Lsn(in.read_point()),
                                 .pg_lsn = Lsn(in.pg_lsn()),
                                 .next = PageNo(in.next()),
                                 .is_last = in.is_last()};
  if (reply.pg_lsn > reply.read_point) return Malformed("a group's last LSN above the read point");
  reply.pages.reserve(static_cast<size_t>(in.pages_size()));
  for (const v1::CopyPagesResponse::Page& p : in.pages()) {
    if (PageCrc(PageNo(p.page()), Lsn(p.lsn()), p.image()) != p.crc()) {
      return absl::DataLossError(Text("page ", p.page(), " at lsn ", p.lsn(),
                                      ": checksum mismatch, damaged between the nodes"));
    }
    if (p.lsn() > in.read_point()) return Malformed("a page newer than the read point");
    reply.pages.push_back({PageNo(p.page()), {Lsn(p.lsn()), p.image()}});
  }
  return reply;
}

}  // namespace sextant::rpc
