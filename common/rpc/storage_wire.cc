// Field by field, both ways; every check of what came from the network. See storage_wire.h. Reads:
// storage_wire_reads.cc.
#include "common/rpc/storage_wire.h"

#include <utility>

#include "common/base/status.h"
#include "common/base/text.h"

namespace sextant::rpc {
namespace {

void ToProto(const std::vector<volume::Truncation>& truncations,
             google::protobuf::RepeatedPtrField<v1::Truncation>* out) {
  for (const volume::Truncation& truncation : truncations) {
    v1::Truncation* t = out->Add();
    t->set_epoch(truncation.epoch.value());
    t->set_vdl(truncation.vdl.value());
    t->set_upper(truncation.upper.value());
  }
}

absl::StatusOr<std::vector<volume::Truncation>> FromProto(
    const google::protobuf::RepeatedPtrField<v1::Truncation>& in) {
  std::vector<volume::Truncation> truncations;
  for (const v1::Truncation& t : in) {
    volume::Truncation truncation{VolumeEpoch(t.epoch()), Lsn(t.vdl()), Lsn(t.upper())};
    if (truncation.vdl > truncation.upper) return Malformed("a truncation ends before it starts");
    if (!truncations.empty() && truncation.epoch <= truncations.back().epoch) {
      return Malformed("truncations do not ascend by epoch");
    }
    truncations.push_back(truncation);
  }
  return truncations;
}

absl::StatusOr<quorum::Slot> SlotFromProto(uint32_t slot) {
  // A segment that was replaced keeps its slot, which is nobody's then.
  if (slot >= quorum::kMaxSlots) return Malformed("a slot beyond the last");
  return static_cast<quorum::Slot>(slot);
}

}  // namespace

absl::Status Malformed(std::string_view what) {
  return absl::InvalidArgumentError(Text("malformed message: ", what));
}

void ToProto(const SegmentId& segment, v1::SegmentKey* out) {
  out->set_volume(segment.volume.value());
  out->set_pg(segment.pg.value());
}

SegmentId FromProto(const v1::SegmentKey& in) { return {VolumeId(in.volume()), PgId(in.pg())}; }

void ToProto(const protocol::AppendAck& ack, v1::AppendAck* out) {
  out->set_volume(ack.segment.volume.value());
  out->set_pg(ack.segment.pg.value());
  out->set_epoch(ack.epoch.value());
  out->set_scl(ack.scl.value());
  out->set_code(static_cast<uint32_t>(ack.status.code()));
  if (!ack.status.ok()) out->set_message(std::string(View(ack.status.message())));
  out->set_incarnation(ack.incarnation.value());
}

protocol::AppendAck FromProto(const v1::AppendAck& in) {
  const bool is_known = in.code() <= static_cast<uint32_t>(absl::StatusCode::kUnauthenticated);
  const auto code =
      is_known ? static_cast<absl::StatusCode>(in.code()) : absl::StatusCode::kUnknown;
  return {.segment = {VolumeId(in.volume()), PgId(in.pg())},
          .incarnation = IncarnationId(in.incarnation()),
          .epoch = VolumeEpoch(in.epoch()),
          .scl = Lsn(in.scl()),
          .status = absl::Status(code, in.message())};
}

void ToProto(const protocol::EpochProbe& probe, v1::EpochProbe* out) {
  out->set_volume(probe.segment.volume.value());
  out->set_pg(probe.segment.pg.value());
  out->set_round(probe.round);
}

protocol::EpochProbe FromProto(const v1::EpochProbe& in) {
  return {.segment = {VolumeId(in.volume()), PgId(in.pg())}, .round = in.round()};
}

void ToProto(const protocol::EpochAnswer& answer, v1::EpochAnswer* out) {
  out->set_volume(answer.segment.volume.value());
  out->set_pg(answer.segment.pg.value());
  out->set_round(answer.round);
  out->set_epoch(answer.epoch.value());
  out->set_incarnation(answer.incarnation.value());
}

protocol::EpochAnswer FromProto(const v1::EpochAnswer& in) {
  return {.segment = {VolumeId(in.volume()), PgId(in.pg())},
          .incarnation = IncarnationId(in.incarnation()),
          .round = in.round(),
          .epoch = VolumeEpoch(in.epoch())};
}

void ToProto(const volume::Descriptor& descriptor, v1::Descriptor* out) {
  out->set_volume(descriptor.volume.value());
  v1::Geometry* geometry = out->mutable_geometry();
  geometry->set_page_bytes(descriptor.geometry.page_bytes);
  geometry->set_pages_per_pg(descriptor.geometry.pages_per_pg);
  geometry->set_pg_count(descriptor.geometry.pg_count);
  geometry->set_epoch(descriptor.geometry.epoch.value());
}

absl::StatusOr<volume::Descriptor> FromProto(const v1::Descriptor& in) {
  const v1::Geometry& g = in.geometry();
  if (g.page_bytes() != 0 && g.pages_per_pg() > UINT64_MAX / g.page_bytes()) {
    return Malformed("a segment longer than 2^64 bytes");
  }
  RETURN_IF_ERROR(
      volume::ValidateGeometry(g.page_bytes(), g.pages_per_pg() * g.page_bytes(), g.pg_count()));
  return volume::Descriptor{.volume = VolumeId(in.volume()),
                            .geometry = {.page_bytes = g.page_bytes(),
                                         .pages_per_pg = g.pages_per_pg(),
                                         .pg_count = g.pg_count(),
                                         .epoch = GeometryEpoch(g.epoch())}};
}

void ToProto(const volume::Membership& membership, v1::Membership* out) {
  out->set_epoch(membership.epoch.value());
  for (const volume::Member& member : membership.members) {
    v1::Member* m = out->add_members();
    m->set_node(member.node);
    m->set_zone(member.zone);
  }
  out->set_base(membership.base.bits());
  for (const volume::MemberChange& change : membership.changes) {
    v1::MemberChange* c = out->add_changes();
    c->set_from(change.from);
    c->set_to(change.to);
  }
}

absl::StatusOr<volume::Membership> FromProto(const v1::Membership& in) {
  volume::Membership membership{.epoch = MembershipEpoch(in.epoch()), .members = {}};
  for (const v1::Member& m : in.members()) membership.members.push_back({m.node(), m.zone()});
  if (in.base() > UINT8_MAX) return Malformed("members beyond the last slot");
  membership.base = quorum::SlotSet::FromBits(in.base());
  for (const v1::MemberChange& c : in.changes()) {
    if (c.from() >= quorum::kMaxSlots || c.to() >= quorum::kMaxSlots) {
      return Malformed("a change of a slot beyond the last");
    }
    membership.changes.push_back(
        {static_cast<quorum::Slot>(c.from()), static_cast<quorum::Slot>(c.to())});
  }
  RETURN_IF_ERROR(volume::ValidateMembership(membership));
  return membership;
}

void ToProto(const protocol::SegmentStatus& status, v1::SegmentStatus* out) {
  ToProto(status.segment, out->mutable_segment());
  out->set_incarnation(status.incarnation.value());
  ToProto(status.descriptor, out->mutable_descriptor_());
  ToProto(status.membership, out->mutable_membership());
  out->set_slot(status.slot);
  out->set_epoch(status.epoch.value());
  out->set_writer(status.writer.value());
  ToProto(status.truncations, out->mutable_truncations());
  out->set_scl(status.scl.value());
  out->set_known_vdl(status.known_vdl.value());
  out->set_pg_lsn_at_vdl(status.pg_lsn_at_vdl.value());
  out->set_pgmrpl(status.pgmrpl.value());
  out->set_log_bytes(status.log_bytes);
  out->set_records_ahead(status.records_ahead);
  out->set_is_damaged(status.is_damaged);
  out->set_log_start(status.log_start.value());
  out->set_read_floor(status.read_floor.value());
  if (!status.rebuild.has_value()) return;
  out->mutable_rebuild()->set_peer(status.rebuild->peer);
  out->mutable_rebuild()->set_pages_copied(status.rebuild->pages_copied);
  out->mutable_rebuild()->set_bytes_copied(status.rebuild->bytes_copied);
  out->mutable_rebuild()->set_next(status.rebuild->next.value());
}

absl::StatusOr<protocol::SegmentStatus> FromProto(const v1::SegmentStatus& in) {
  protocol::SegmentStatus status;
  status.segment = FromProto(in.segment());
  status.incarnation = IncarnationId(in.incarnation());
  ASSIGN_OR_RETURN(status.descriptor, FromProto(in.descriptor_()));
  ASSIGN_OR_RETURN(status.membership, FromProto(in.membership()));
  ASSIGN_OR_RETURN(status.slot, SlotFromProto(in.slot()));
  status.epoch = VolumeEpoch(in.epoch());
  status.writer = WriterId(in.writer());
  ASSIGN_OR_RETURN(status.truncations, FromProto(in.truncations()));
  status.scl = Lsn(in.scl());
  status.known_vdl = Lsn(in.known_vdl());
  status.pg_lsn_at_vdl = Lsn(in.pg_lsn_at_vdl());
  status.pgmrpl = Lsn(in.pgmrpl());
  status.log_bytes = in.log_bytes();
  status.records_ahead = in.records_ahead();
  status.is_damaged = in.is_damaged();
  status.log_start = Lsn(in.log_start());
  status.read_floor = Lsn(in.read_floor());
  if (in.has_rebuild()) {
    status.rebuild = {.peer = in.rebuild().peer(),
                      .pages_copied = in.rebuild().pages_copied(),
                      .bytes_copied = in.rebuild().bytes_copied(),
                      .next = PageNo(in.rebuild().next())};
  }
  return status;
}

void ToProto(const protocol::NodeStatus& status, v1::NodeStatus* out) {
  out->set_node(status.node);
  out->set_zone(status.zone);
  for (const protocol::SegmentStatus& segment : status.segments) {
    ToProto(segment, out->add_segments());
  }
  out->set_directory(status.directory.value());
}

absl::StatusOr<protocol::NodeStatus> FromProto(const v1::NodeStatus& in) {
  protocol::NodeStatus status{.node = in.node(),
                              .zone = in.zone(),
                              .segments = {},
                              .directory = DirectoryId(in.directory())};
  for (const v1::SegmentStatus& s : in.segments()) {
    ASSIGN_OR_RETURN(protocol::SegmentStatus segment, FromProto(s));
    status.segments.push_back(std::move(segment));
  }
  return status;
}

void ToProto(const protocol::CreateSegmentRequest& request, v1::CreateSegmentRequest* out) {
  ToProto(request.descriptor, out->mutable_descriptor_());
  out->set_pg(request.pg.value());
  ToProto(request.membership, out->mutable_membership());
  out->set_slot(request.slot);
  out->set_directory(request.directory.value());
}

absl::StatusOr<protocol::CreateSegmentRequest> FromProto(const v1::CreateSegmentRequest& in) {
  protocol::CreateSegmentRequest request;
  ASSIGN_OR_RETURN(request.descriptor, FromProto(in.descriptor_()));
  request.pg = PgId(in.pg());
  if (in.pg() >= request.descriptor.geometry.pg_count) {
    return Malformed("a protection group beyond the volume");
  }
  ASSIGN_OR_RETURN(request.membership, FromProto(in.membership()));
  ASSIGN_OR_RETURN(request.slot, SlotFromProto(in.slot()));
  if (!request.membership.IsActive(request.slot)) return Malformed("a slot that is no member's");
  request.directory = DirectoryId(in.directory());
  return request;
}

void ToProto(const protocol::RaiseEpochRequest& request, v1::RaiseEpochRequest* out) {
  ToProto(request.segment, out->mutable_segment());
  out->set_epoch(request.epoch.value());
  out->set_writer(request.writer.value());
  ToProto(request.truncations, out->mutable_truncations());
  if (request.descriptor.has_value()) ToProto(*request.descriptor, out->mutable_descriptor_());
  if (request.membership.has_value()) ToProto(*request.membership, out->mutable_membership());
}

absl::StatusOr<protocol::RaiseEpochRequest> FromProto(const v1::RaiseEpochRequest& in) {
  protocol::RaiseEpochRequest request{.segment = FromProto(in.segment()),
                                      .epoch = VolumeEpoch(in.epoch()),
                                      .writer = WriterId(in.writer()),
                                      .truncations = {},
                                      .descriptor = std::nullopt,
                                      .membership = std::nullopt};
  ASSIGN_OR_RETURN(request.truncations, FromProto(in.truncations()));
  if (in.has_descriptor_()) {
    ASSIGN_OR_RETURN(request.descriptor, FromProto(in.descriptor_()));
  }
  if (in.has_membership()) {
    ASSIGN_OR_RETURN(request.membership, FromProto(in.membership()));
  }
  return request;
}

void ToProto(const protocol::DropSegmentRequest& request, v1::DropSegmentRequest* out) {
  ToProto(request.segment, out->mutable_segment());
  out->set_epoch(request.epoch.value());
  out->set_writer(request.writer.value());
  ToProto(request.membership, out->mutable_membership());
}

absl::StatusOr<protocol::DropSegmentRequest> FromProto(const v1::DropSegmentRequest& in) {
  protocol::DropSegmentRequest request{.segment = FromProto(in.segment()),
                                       .epoch = VolumeEpoch(in.epoch()),
                                       .writer = WriterId(in.writer()),
                                       .membership = {}};
  ASSIGN_OR_RETURN(request.membership, FromProto(in.membership()));
  return request;
}

}  // namespace sextant::rpc
