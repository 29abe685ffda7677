// Recovery over six scripted members of one protection group, for unit tests. Tests only.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "compute-node/volume/recovery.h"
#include "gtest/gtest.h"

namespace sextant::compute::testing {

inline constexpr VolumeId kVolume{7};
inline constexpr WriterId kMe{3};

inline const std::vector<std::string> kNodes = {"az1-a", "az1-b", "az2-a",
                                                "az2-b", "az3-a", "az3-b"};

inline volume::Membership SixMembers() {
  volume::Membership membership;
  for (const std::string& node : kNodes) membership.members.push_back({node, node.substr(0, 3)});
  return membership;
}

// What a member is and answers; the log is dense LSNs through scl, of one-record transactions.
struct ScriptedMember {
  bool is_up = true;
  VolumeEpoch epoch{4};
  WriterId writer{40};
  std::vector<volume::Truncation> truncations;
  Lsn scl;
  Lsn known_vdl;
  Lsn log_start;
  bool is_damaged = false;
  absl::Status read_error;
  volume::Membership membership = SixMembers();
  uint32_t pg_count = 1;  // as far as it knows
};

class RecoveryStory : public ::testing::Test {
 protected:
  using Phase = Recovery::Phase;

  RecoveryStory() : recovery_(kVolume, kMe, kNodes, {.lal = 1000}), members_(6) {
    for (ScriptedMember& member : members_) member.scl = Lsn(20);
  }

  protocol::SegmentStatus Status(int slot) const {
    const ScriptedMember& m = members_[slot];
    protocol::SegmentStatus status{.segment = {kVolume, PgId(0)},
                                   .incarnation = IncarnationId(slot + 1u),
                                   .descriptor = {.volume = kVolume},
                                   .membership = m.membership,
                                   .slot = static_cast<quorum::Slot>(slot),
                                   .epoch = m.epoch,
                                   .writer = m.writer,
                                   .truncations = m.truncations,
                                   .scl = m.scl,
                                   .known_vdl = m.known_vdl,
                                   .pg_lsn_at_vdl = m.known_vdl,
                                   .log_start = m.log_start,
                                   .is_damaged = m.is_damaged};
    status.descriptor.geometry = status.descriptor.geometry.Grown(m.pg_count);
    return status;
  }

  void Start() {
    recovery_.Start(now_);
    Collect();
  }
  void Collect() {
    for (Recovery::Duty& duty : recovery_.TakeDuties()) duties_.push_back(std::move(duty));
  }
  void Tick(absl::Duration later) {
    now_ = now_ + later;
    recovery_.Tick(now_);
    Collect();
  }

  // Carries out duties in order until none is left or the phase is reached.
  void RunTo(Phase phase) {
    while (recovery_.phase() != phase && !duties_.empty()) {
      Recovery::Duty duty = std::move(duties_.front());
      duties_.erase(duties_.begin());
      std::visit([this](const auto& d) { CarryOut(d); }, duty);
      Collect();
    }
  }

  void CarryOut(const Recovery::AskNode& duty) {
    const int slot = static_cast<int>(std::ranges::find(kNodes, duty.node) - kNodes.begin());
    if (!members_[slot].is_up) return;
    recovery_.NodeAnswered(duty.node, protocol::NodeStatus{.segments = {Status(slot)}}, now_);
  }
  void CarryOut(const Recovery::RaiseEpoch& duty) {
    ScriptedMember& m = members_[duty.member.slot];
    if (!m.is_up) return;
    if (duty.request.epoch < m.epoch ||
        (duty.request.epoch == m.epoch && duty.request.writer != m.writer)) {
      return recovery_.EpochRaised(duty.member, absl::FailedPreconditionError("claimed"), now_);
    }
    m.epoch = duty.request.epoch;
    m.writer = duty.request.writer;
    if (duty.request.membership->epoch > m.membership.epoch) {
      m.membership = *duty.request.membership;
    }
    if (LastTruncationEpoch(duty.request.truncations) > LastTruncationEpoch(m.truncations)) {
      m.truncations = duty.request.truncations;
      m.scl = std::min(m.scl, m.truncations.back().vdl);
    }
    recovery_.EpochRaised(duty.member, Status(duty.member.slot), now_);
  }
  void CarryOut(const Recovery::ReadLog& duty) {
    const ScriptedMember& m = members_[duty.member.slot];
    if (!m.is_up) return;
    if (!m.read_error.ok()) return recovery_.LogRead(duty.member, m.read_error, now_);
    if (duty.request.after < m.log_start) {
      return recovery_.LogRead(duty.member, absl::OutOfRangeError("collected"), now_);
    }
    protocol::ReadLogReply reply{.scl = m.scl};
    const Lsn last = std::min(duty.request.through, m.scl);
    for (Lsn lsn = duty.request.after.Next(); lsn <= last; lsn = lsn.Next()) {
      const Lsn prev(lsn.value() - 1);
      reply.records.push_back(
          {.header = {.lsn = lsn, .prev_volume_lsn = prev, .prev_pg_lsn = prev, .is_cpl = true}});
    }
    recovery_.LogRead(duty.member, reply, now_);
  }
  void CarryOut(const Recovery::SendBatch& duty) {
    ScriptedMember& m = members_[duty.member.slot];
    if (!m.is_up) return;
    EXPECT_EQ(duty.batch.header.epoch, m.epoch);
    EXPECT_LE(duty.batch.first_lsn, m.scl.Next());
    m.scl = std::max(m.scl, duty.batch.last_lsn);
    sent_headers_.push_back(duty.batch.header);
    recovery_.BatchAcked(duty.member,
                         {.segment = {kVolume, PgId(0)},
                          .incarnation = Status(duty.member.slot).incarnation,
                          .epoch = m.epoch,
                          .scl = m.scl},
                         now_);
  }

  Recovery recovery_;
  std::vector<ScriptedMember> members_;
  std::vector<Recovery::Duty> duties_;
  std::vector<log::BatchHeader> sent_headers_;
  Instant now_;
};

}  // namespace sextant::compute::testing
