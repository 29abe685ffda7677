// See commit_checker.h.
#include "tests/simulation/check/commit_checker.h"

#include <algorithm>

namespace sextant::simulation {

void CommitChecker::VdlMoved(ComputeNo compute, VolumeEpoch epoch, Lsn vdl) {
  Lsn& last = vdls_[epoch];
  if (vdl < last) sim_.Violate("I2", "VDL of epoch ", epoch, " fell from ", last, " to ", vdl);
  last = vdl;
}

void CommitChecker::CommitAcked(ComputeNo compute, VolumeEpoch epoch, Lsn commit) {
  if (vdls_[epoch] < commit) {
    sim_.Violate("I1", "commit ", commit, " acknowledged above VDL ", vdls_[epoch]);
  }
  const auto mtr = facts_.history.mtrs().find(commit);
  if (mtr == facts_.history.mtrs().end()) return;
  for (Lsn lsn = mtr->second.first; lsn <= commit; lsn = lsn.Next()) {
    const PgId pg = facts_.geometry.PgOf(facts_.history.Find(lsn)->page);
    // By the members in effect, and by those that this writer has proposed.
    for (const volume::Membership* members :
         {&facts_.index.InEffect(pg), &facts_.index.Newest(pg, epoch)}) {
      if (IsDurable(pg, *members, lsn)) continue;
      const quorum::SlotSet holders = facts_.index.Holders(pg, *members, lsn);
      sim_.Violate(members->changes.empty() ? "I1" : "I10", "commit ", commit,
                   " acknowledged with LSN ", lsn, " durable on ", holders.size(),
                   " members of pg ", pg, ", no write quorum of membership ",
                   volume::FormatMembershipEpoch(members->epoch));
    }
    if (!facts_.index.InEffect(pg).changes.empty()) sim_.Count(Rare::kCommitDuringChange);
    if (pg.value() >= facts_.geometry.pg_count) sim_.Count(Rare::kCommitInAddedGroup);
  }
}

// On a write quorum of every set; of one, where it was durable before the others were thought of:
// whoever recovers reads a quorum of each.
bool CommitChecker::IsDurable(PgId pg, const volume::Membership& members, Lsn lsn) const {
  const quorum::SlotSet holders = facts_.index.Holders(pg, members, lsn);
  if (HasOfEverySet(members, holders, quorum::kWriteQuorum)) return true;
  const auto before = durable_before_.find({pg, members.epoch});
  if (before == durable_before_.end() || lsn > before->second) return false;
  const quorum::QuorumSets quorums = members.Sets();
  return std::ranges::any_of(quorums.sets(), [&](quorum::SlotSet set) {
    return set.Intersect(holders).size() >= quorum::kWriteQuorum;
  });
}

Lsn CommitChecker::DurableThrough(PgId pg) const {
  const volume::Membership& members = facts_.index.InEffect(pg);
  const auto before = durable_before_.find({pg, members.epoch});
  Lsn through = before == durable_before_.end() ? Lsn() : before->second;
  const auto& records = facts_.history.records();
  for (auto it = records.upper_bound(through); it != records.end(); ++it) {
    const auto& [lsn, record] = *it;
    if (facts_.geometry.PgOf(record.page) != pg) continue;
    if (facts_.history.IsAnnulled(lsn, record.epoch)) continue;
    if (!IsDurable(pg, members, lsn)) break;
    through = lsn;
  }
  return through;
}

void CommitChecker::Opened(ComputeNo compute, const compute::RecoveredVolume& volume) {
  vdls_[volume.epoch] = volume.vdl;
  // Every earlier outcome is settled now: what survived, and what did not, whole in both cases.
  bool is_annulled_any = false;
  for (const auto& [commit, mtr] : facts_.history.mtrs()) {
    if (mtr.epoch >= volume.epoch) continue;
    const bool is_head_annulled = facts_.history.IsAnnulled(mtr.first, mtr.epoch);
    const bool is_annulled = facts_.history.IsAnnulled(commit, mtr.epoch);
    is_annulled_any |= commit > volume.vdl;
    if (is_head_annulled != is_annulled) {
      sim_.Violate("I1", "part of the mini-transaction ", mtr.first, " to ", commit,
                   " survived the opening of epoch ", volume.epoch);
    }
    if (is_annulled && mtr.outcome == History::Outcome::kAcked) {
      sim_.Violate("I1", "commit ", commit, " was acknowledged and epoch ", volume.epoch,
                   " annulled it");
    }
    if (commit > volume.vdl) CountPartOfMtr(mtr.first, commit);
    if (mtr.outcome != History::Outcome::kUnknown) continue;
    sim_.Count(is_annulled ? Rare::kUnknownCommitAnnulled : Rare::kUnknownCommitSurvived);
  }
  if (is_annulled_any) sim_.Count(Rare::kRecordsAnnulled);
}

// Some of it had reached a disk, some had not: recovery had to drop the part.
void CommitChecker::CountPartOfMtr(Lsn first, Lsn commit) {
  int held = 0, missing = 0;
  for (Lsn lsn = first; lsn <= commit; lsn = lsn.Next()) {
    const PgId pg = facts_.geometry.PgOf(facts_.history.Find(lsn)->page);
    ++(facts_.index.CountEver(pg, lsn) > 0 ? held : missing);
  }
  if (held > 0 && missing > 0) sim_.Count(Rare::kPartOfMtrAnnulled);
}

void CommitChecker::WriterStepped(ComputeNo compute, const compute::Writer& writer) {
  const auto opening = facts_.history.openings().find(writer.epoch());
  const Lsn base = std::max(writer.vdl(), opening->second.upper);
  if (writer.head() > base + facts_.lal) {
    sim_.Violate("I16", "LSN ", writer.head(), " allocated, VDL ", writer.vdl(), ", U ",
                 opening->second.upper, ", LAL ", facts_.lal);
  }
  for (PgId pg(0); pg.value() < writer.memberships().size(); pg = pg.Next()) {
    const MembershipEpoch proposed = writer.MembershipOf(pg).epoch;
    if (durable_before_.contains({pg, proposed})) continue;
    durable_before_[{pg, proposed}] = DurableThrough(pg);
  }
}

}  // namespace sextant::simulation
