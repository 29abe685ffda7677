// See history.h. It also sees to the rules that need nothing but itself: one epoch opens once, LSNs
// are never given twice (I2, I4).
#include "tests/simulation/check/history.h"

#include <algorithm>

namespace sextant::simulation {

const History::Record* History::Find(Lsn lsn) const {
  const auto it = records_.find(lsn);
  return it == records_.end() ? nullptr : &it->second;
}

bool History::IsAnnulled(Lsn lsn, VolumeEpoch epoch, VolumeEpoch view) const {
  for (auto it = openings_.upper_bound(epoch); it != openings_.end() && it->first <= view; ++it) {
    if (lsn > it->second.vdl && lsn <= it->second.upper) return true;
  }
  return false;
}

History::Version History::PageAt(PageNo page, VolumeEpoch view, Lsn at) const {
  const auto versions = versions_.find(page);
  if (versions == versions_.end()) return {};
  const std::vector<Lsn>& lsns = versions->second;
  for (auto it = std::upper_bound(lsns.begin(), lsns.end(), at); it != lsns.begin();) {
    const Lsn lsn = *--it;
    const Record& record = records_.at(lsn);
    if (record.epoch > view || IsAnnulled(lsn, record.epoch, view)) continue;
    return {lsn, &record.image};
  }
  return {};
}

void History::Opened(ComputeNo compute, const compute::RecoveredVolume& volume) {
  ++sim_.report.recoveries;
  const volume::Truncation& own = volume.truncations.back();
  sim_.Tell("writer ", compute, " opens epoch ", volume.epoch, " at VDL ", volume.vdl, ", cuts to ",
            own.upper);
  if (!openings_.emplace(volume.epoch, Opening{volume.vdl, own.upper}).second) {
    sim_.Violate("I2", "epoch ", volume.epoch, " opened twice");
  }
  if (own.epoch != volume.epoch || own.vdl != volume.vdl || volume.next_lsn <= own.upper) {
    sim_.Violate("I4", "epoch ", volume.epoch, " opens with a truncation that is not its own");
  }
  for (const volume::Truncation& t : volume.truncations) {
    if (volume.next_lsn <= t.upper) {
      sim_.Violate("I4", "first LSN ", volume.next_lsn, " lies in the range of epoch ", t.epoch);
    }
  }
  // One that was paused may find itself open when later epochs are: it is fenced, and harmless.
  for (const auto& [epoch, vdl] : published_) {
    if (epoch < volume.epoch && vdl > volume.vdl) {
      sim_.Violate("I2", "epoch ", volume.epoch, " opens at VDL ", volume.vdl, ", epoch ", epoch,
                   " published ", vdl);
    }
  }
  VdlMoved(compute, volume.epoch, volume.vdl);
}

void History::Appended(ComputeNo compute, VolumeEpoch epoch,
                       const compute::Writer::Appended& appended,
                       const std::vector<page::PageChange>& changes,
                       const std::vector<std::string>& images) {
  mtrs_[appended.commit_lsn] = {.epoch = epoch, .first = appended.first_lsn};
  for (size_t i = 0; i < changes.size(); ++i) {
    const Lsn lsn = appended.first_lsn + i;
    const bool is_new = records_
                            .try_emplace(lsn, Record{appended.commit_lsn, epoch, changes[i].page,
                                                     changes[i].payload, images[i]})
                            .second;
    if (!is_new) sim_.Violate("I4", "LSN ", lsn, " was given twice, again in epoch ", epoch);
    std::vector<Lsn>& versions = versions_[changes[i].page];
    versions.insert(std::upper_bound(versions.begin(), versions.end(), lsn), lsn);
  }
  if (appended.first_lsn <= openings_.at(epoch).upper) {
    sim_.Violate("I4", "LSN ", appended.first_lsn, " lies in the range that epoch ", epoch,
                 " annulled");
  }
  for (auto later = openings_.upper_bound(epoch); later != openings_.end(); ++later) {
    if (appended.commit_lsn > later->second.upper) {
      sim_.Violate("I4", "LSN ", appended.commit_lsn, " of epoch ", epoch,
                   " lies above what epoch ", later->first, " annulled");
    }
  }
}

void History::VdlMoved(ComputeNo compute, VolumeEpoch epoch, Lsn vdl) {
  for (auto later = openings_.upper_bound(epoch); later != openings_.end(); ++later) {
    if (later->second.vdl < vdl) {
      sim_.Violate("I2", "LSN ", vdl, " was durable in epoch ", epoch, ", epoch ", later->first,
                   " opened at ", later->second.vdl);
    }
  }
  published_[epoch] = std::max(published_[epoch], vdl);
  highest_vdl_ = std::max(highest_vdl_, vdl);
}

void History::CommitAcked(ComputeNo compute, VolumeEpoch epoch, Lsn commit) {
  const auto mtr = mtrs_.find(commit);
  if (mtr == mtrs_.end()) return;  // a wait for somebody else's LSN
  mtr->second.outcome = Outcome::kAcked;
  ++sim_.report.commits_acked;
}

void History::CommitUnknown(ComputeNo compute, VolumeEpoch epoch, Lsn commit) {
  const auto mtr = mtrs_.find(commit);
  if (mtr == mtrs_.end() || mtr->second.outcome != Outcome::kPending) return;
  mtr->second.outcome = Outcome::kUnknown;
  ++sim_.report.commits_unknown;
}

}  // namespace sextant::simulation
