// A writer's status. See writer_report.h.
#include "compute-node/server/writer_report.h"

namespace sextant::server {
namespace {

using compute::MemberState;

const char* StateName(MemberState state) {
  switch (state) {
    case MemberState::kDown:
      return "down";
    case MemberState::kRaisingEpoch:
      return "raising-epoch";
    case MemberState::kStreaming:
      return "streaming";
    case MemberState::kBehind:
      return "behind";
    case MemberState::kDamaged:
      return "damaged";
    case MemberState::kNoSpace:
      return "no-space";
  }
  return "unknown";
}

void AddPg(uint32_t pg, const compute::WriterProgress& writer, const volume::Membership& membership,
           v1::ComputeStatus* out) {
  const compute::PgProgress& progress = writer.pgs[pg];
  v1::PgProgress* shown = out->add_pgs();
  shown->set_pg(pg);
  shown->set_last_lsn(progress.last_lsn.value());
  shown->set_pgcl(progress.pgcl.value());
  for (size_t slot = 0; slot < progress.members.size(); ++slot) {
    if (membership.members[slot].node.empty()) continue;
    const compute::MemberProgress& member = progress.members[slot];
    v1::MemberProgress* row = shown->add_members();
    row->set_node(membership.members[slot].node);
    row->set_zone(membership.members[slot].zone);
    row->set_state(StateName(member.state));
    row->set_scl(member.scl.value());
    row->set_lag_records(writer.Lag(member.scl, progress.last_lsn));
  }
  shown->set_membership(volume::FormatMembershipEpoch(membership.epoch));
  shown->set_is_in_effect(progress.is_in_effect);
  for (const compute::ChangeProgress& change : progress.changes) {
    v1::ChangeProgress* row = shown->add_changes();
    row->set_from(membership.members[change.from].node);
    row->set_to(membership.members[change.to].node);
    row->set_scl(change.scl.value());
    row->set_target(change.target.value());
    row->set_is_held(change.is_held);
  }
}

const char* StateOf(const compute::FollowerStatus& reader) {
  constexpr absl::Duration kSilence = absl::Seconds(3);
  if (!reader.is_connected) return reader.is_holding ? "silent" : "gone";
  if (reader.silent_for > kSilence) return "silent";
  return reader.is_behind ? "behind" : "following";
}

}  // namespace

void FillWriterStatus(const compute::VolumeStatus& status, v1::ComputeStatus* out) {
  out->set_phase(compute::PhaseName(status.phase));
  out->set_detail(status.detail);
  out->set_volume(status.volume.value());
  out->set_epoch(status.progress.epoch.value());
  out->set_head(status.progress.head.value());
  out->set_vcl(status.progress.vcl.value());
  out->set_vdl(status.progress.vdl.value());
  out->set_pgmrpl(status.progress.pgmrpl.value());
  out->set_page_bytes(status.geometry.page_bytes);
  out->set_segment_bytes(status.geometry.page_bytes * status.geometry.pages_per_pg);
  for (uint32_t pg = 0; pg < status.progress.pgs.size(); ++pg) {
    AddPg(pg, status.progress, status.memberships[pg], out);
  }
  out->set_waits(status.progress.waits);
  out->set_unacked_bytes(status.progress.unacked_bytes);
  out->set_commits(status.counters.mtrs);
  out->set_redo_records(status.counters.records);
  out->set_redo_bytes(status.counters.redo_bytes);
  out->set_batches(status.counters.batches);
  out->set_sends(status.counters.sends);
  out->set_sent_bytes(status.counters.sent_bytes);
  for (const compute::FollowerStatus& reader : status.readers) {
    v1::FollowerProgress* row = out->add_followers();
    row->set_node(reader.node);
    row->set_state(StateOf(reader));
    row->set_published(reader.published.value());
    row->set_read_point(reader.is_holding ? reader.lowest_read_point.value() : 0);
    row->set_silent_seconds(absl::ToDoubleSeconds(reader.silent_for));
  }
  out->set_oldest_lsn(status.oldest.vdl.value());
  out->set_recovery_seconds(absl::ToDoubleSeconds(status.opening_time));
}

}  // namespace sextant::server
