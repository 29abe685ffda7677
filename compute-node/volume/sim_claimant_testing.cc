// See sim_claimant_testing.h.
#include "compute-node/volume/sim_claimant_testing.h"

#include <algorithm>
#include <string>
#include <variant>

namespace sextant::compute::testing {

void Claimant::Tick() {
  if (writer_) {
    writer_->Tick(cluster_->now());
    Write();
    Ask();
  } else {
    recovery_->Tick(cluster_->now());
  }
  Drain();
  cluster_->After(absl::Milliseconds(2), IfAlive([this] { Tick(); }));
}

void Claimant::Write() {
  if (!is_writing) return;
  for (uint64_t n = cluster_->rng.Below(3); n > 0; --n) {
    std::vector<page::PageChange> changes;
    std::vector<PageNo> pages;
    for (uint64_t i = cluster_->rng.Between(1, 6); i > 0; --i) {
      const uint64_t beyond = cluster_->rng.OneIn(20) ? 2 * kPagesPerPg : 0;
      const PageNo page(cluster_->rng.Below(writer_->geometry().PageCount() + beyond));
      pages.push_back(page);
      changes.push_back({.page = page,
                         .payload = std::string(cluster_->rng.Between(1, 300),
                                                static_cast<char>('a' + id_.value() % 26))});
    }
    if (!writer_->CheckAppend(1, pages).ok()) return;
    const Writer::Appended done = writer_->Append(changes);
    for (size_t i = 0; i < changes.size(); ++i) {
      const History::Record record{done.commit_lsn,
                                   PgId(static_cast<uint32_t>(pages[i].value() / kPagesPerPg)),
                                   writer_->epoch(), changes[i].payload};
      EXPECT_TRUE(history_->appended.emplace(done.first_lsn + i, record).second)
          << "LSN given out twice: " << done.first_lsn + i;
      history_->used_groups = std::max(history_->used_groups, record.pg.value() + 1);
    }
    writer_->WaitDurable(done.commit_lsn, WaitToken(done.commit_lsn.value()),
                         cluster_->now() + absl::Milliseconds(200));
  }
}

void Claimant::Ask() {
  if (!cluster_->rng.OneIn(2)) return;
  asked_at_.push_back(history_->opened.rbegin()->first);
  writer_->WhenCurrent(WaitToken(kFirstProof + asked_at_.size() - 1),
                       cluster_->now() + absl::Milliseconds(200));
}

void Claimant::ProofReleased(uint64_t index, const absl::Status& status) {
  const VolumeEpoch newest = asked_at_[index];
  if (status.ok()) {
    EXPECT_EQ(newest, writer_->epoch()) << "told to be the writer, and was not";
  }
  ++(status.ok() ? history_->proofs : history_->disproofs);
}

void Claimant::Drain() {
  if (writer_) return DrainWriter();
  for (Recovery::Duty& duty : recovery_->TakeDuties()) {
    std::visit([this](auto& d) { CarryOut(d); }, duty);
  }
  if (recovery_->phase() == Recovery::Phase::kOpen) Open();
}

void Claimant::Open() {
  const RecoveredVolume& volume = recovery_->result();
  history_->Opened(volume);
  writer_ = std::make_unique<Writer>(volume, options_);
  pg_count_ = volume.descriptor.geometry.pg_count;
  for (uint64_t& stream : streams_) cluster_->CloseStream(std::exchange(stream, 0));
  for (int node = 0; node < quorum::kMembers; ++node) Connect(node);
}

void Claimant::CarryOut(const Recovery::AskNode& duty) {
  const int node = SimCluster::IndexOf(duty.node);
  const auto answer =
      IfAlive([this, name = duty.node](const absl::StatusOr<protocol::NodeStatus>& reply) {
        recovery_->NodeAnswered(name, reply, cluster_->now());
        Drain();
      });
  if (!IsLost(node, answer)) cluster_->GetStatus(node, answer);
}

void Claimant::CarryOut(const Recovery::RaiseEpoch& duty) {
  EXPECT_EQ(recovery_->NodeOf(duty.member), SimCluster::Names()[duty.member.slot]);
  const auto answer =
      IfAlive([this, member = duty.member](const absl::StatusOr<protocol::SegmentStatus>& reply) {
        recovery_->EpochRaised(member, reply, cluster_->now());
        Drain();
      });
  if (IsLost(duty.member.slot, answer)) return;
  cluster_->RaiseEpoch(duty.member.slot, duty.request, answer);
}

void Claimant::CarryOut(const Recovery::ReadLog& duty) {
  protocol::ReadLogRequest request = duty.request;
  request.max_bytes = 500;  // several chunks
  const auto answer =
      IfAlive([this, member = duty.member](const absl::StatusOr<protocol::ReadLogReply>& reply) {
        recovery_->LogRead(member, reply, cluster_->now());
        Drain();
      });
  if (!IsLost(duty.member.slot, answer)) cluster_->ReadLog(duty.member.slot, request, answer);
}

void Claimant::CarryOut(const Recovery::SendBatch& duty) {
  uint64_t& stream = streams_[duty.member.slot];
  if (stream == 0) {
    stream = cluster_->OpenStream(
        duty.member.slot, IfAlive([this](MemberAddress member, const protocol::AppendAck& ack) {
          recovery_->BatchAcked(member, ack, cluster_->now());
          Drain();
        }),
        IfAlive([this, slot = duty.member.slot] { streams_[slot] = 0; }));
  }
  cluster_->SendBatch(stream, duty.member, duty.batch);
}

void Claimant::Connect(int node) {
  if (cut_off_.Contains(static_cast<quorum::Slot>(node))) return;
  const uint64_t stream = cluster_->OpenStream(
      node, IfAlive([this](MemberAddress member, const protocol::AppendAck& ack) {
        writer_->Acked(member, ack);
        Drain();
      }),
      IfAlive([this, node] { Disconnected(node); }),
      IfAlive([this](MemberAddress member, const protocol::EpochAnswer& answer) {
        writer_->EpochAnswered(member, answer);
        Drain();
      }));
  if (stream == 0) return Reconnect(node);
  streams_[node] = stream;
  cluster_->GetStatus(node,
                      IfAlive([this, node, stream](absl::StatusOr<protocol::NodeStatus> reply) {
                        if (streams_[node] != stream) return;
                        if (!reply.ok()) {
                          cluster_->CloseStream(std::exchange(streams_[node], 0));
                          return Reconnect(node);
                        }
                        MembersUp(node, *reply);
                        Drain();
                      }));
}

void Claimant::MembersUp(int node, const protocol::NodeStatus& reply) {
  std::set<PgId> present;
  writer_->NodeSeen(reply.node, reply.directory);
  for (const protocol::SegmentStatus& status : reply.segments) {
    const PgId pg = status.segment.pg;
    if (pg.value() >= writer_->geometry().pg_count) continue;
    present.insert(pg);
    writer_->MemberUp({pg, static_cast<quorum::Slot>(node)}, status);
  }
  for (uint32_t pg = 0; pg < writer_->geometry().pg_count; ++pg) {
    const MemberAddress member{PgId(pg), static_cast<quorum::Slot>(node)};
    if (present.contains(PgId(pg)) || writer_->SegmentMissing(member)) continue;
    lost_.insert(member);
  }
}

void Claimant::Disconnected(int node) {
  streams_[node] = 0;
  for (uint32_t pg = 0; pg < writer_->geometry().pg_count; ++pg) {
    writer_->MemberDown({PgId(pg), static_cast<quorum::Slot>(node)});
  }
  Reconnect(node);
}

void Claimant::Reconnect(int node) {
  cluster_->After(absl::Milliseconds(10), IfAlive([this, node] { Connect(node); }));
}

void Claimant::FollowGrowth() {
  for (; pg_count_ < writer_->geometry().pg_count; ++pg_count_) {
    for (int node = 0; node < quorum::kMembers; ++node) {
      const MemberAddress member{PgId(pg_count_), static_cast<quorum::Slot>(node)};
      if (streams_[node] == 0) writer_->MemberDown(member);
    }
  }
}

void Claimant::DrainWriter() {
  FollowGrowth();
  WriterOutput out = writer_->TakeOutput();
  for (const auto& create : out.creates) {
    EXPECT_EQ(create.node, SimCluster::Names()[create.member.slot]);
    cluster_->CreateSegment(create.member.slot, create.request,
                            IfAlive([this, member = create.member](auto reply) {
                              writer_->SegmentCreated(member, reply);
                              Drain();
                            }));
  }
  for (const auto& raise : out.raise_epochs) {
    cluster_->RaiseEpoch(raise.member.slot, raise.request,
                         IfAlive([this, member = raise.member](auto reply) {
                           writer_->EpochRaised(member, reply);
                           Drain();
                         }));
  }
  for (const WriterOutput::Send& send : out.sends) {
    if (streams_[send.member.slot] != 0) {
      cluster_->SendBatch(streams_[send.member.slot], send.member, send.batch);
    }
  }
  for (const WriterOutput::Probe& probe : out.probes) {
    cluster_->SendProbe(streams_[probe.member.slot], probe.member, probe.probe);
  }
  for (const WriterOutput::Release& release : out.releases) {
    if (release.wait.value() >= kFirstProof) {
      EXPECT_FALSE(absl::IsResourceExhausted(release.status)) << release.status;
      ProofReleased(release.wait.value() - kFirstProof, release.status);
      continue;
    }
    const Lsn lsn(release.wait.value());
    if (!release.status.ok()) {
      EXPECT_TRUE(absl::IsDeadlineExceeded(release.status) ||
                  absl::IsFailedPrecondition(release.status))
          << release.status;
      continue;
    }
    EXPECT_GE(writer_->vdl(), lsn);
    CheckCopies(lsn);
    history_->acked.insert(lsn);
    ++acked_;
  }
  history_->Durable(writer_->epoch(), writer_->vdl());
}

void Claimant::CheckCopies(Lsn commit) const {
  for (auto it = history_->appended.find(commit);
       it->second.mtr == commit && it->second.epoch == writer_->epoch();) {
    int copies = 0;
    for (int node = 0; node < quorum::kMembers; ++node) {
      if (!cluster_->HasSegment(node, it->second.pg)) continue;
      copies += cluster_->segment(node, it->second.pg).Status().scl >= it->first;
    }
    EXPECT_GE(copies, quorum::kWriteQuorum) << "LSN " << it->first << " of commit " << commit;
    if (it == history_->appended.begin()) break;
    --it;
  }
}

}  // namespace sextant::compute::testing
