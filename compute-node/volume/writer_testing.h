// A Writer over a volume of scripted members, for unit tests. Tests only.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "compute-node/volume/writer.h"

namespace sextant::compute::testing {

inline constexpr VolumeId kTestVolume{7};
inline constexpr VolumeEpoch kTestEpoch{5};
inline constexpr WriterId kTestWriter{50};
inline constexpr DirectoryId kTestDirectory{60};  // of every node

// Two groups of ten pages, open at epoch 5 with VDL 40, next LSN 101.
inline RecoveredVolume OpenVolume() {
  RecoveredVolume volume{
      .descriptor = {.volume = kTestVolume,
                     .geometry = {.page_bytes = 512, .pages_per_pg = 10, .pg_count = 2}},
      .epoch = kTestEpoch,
      .writer = kTestWriter,
      .truncations = {{.epoch = kTestEpoch, .vdl = Lsn(40), .upper = Lsn(100)}},
      .vdl = Lsn(40),
      .next_lsn = Lsn(101),
      .pg_tails = {Lsn(40), Lsn(30)}};
  volume::Membership membership;
  for (const char* node : {"az1-a", "az1-b", "az2-a", "az2-b", "az3-a", "az3-b"}) {
    membership.members.push_back({node, std::string(node, 3)});
  }
  volume.memberships = {membership, membership};
  return volume;
}

inline MemberAddress At(uint32_t pg, int slot) {
  return {PgId(pg), static_cast<quorum::Slot>(slot)};
}

// What a member says that has answered for this writer's epoch.
inline protocol::SegmentStatus Ready(MemberAddress member, uint64_t scl) {
  const RecoveredVolume volume = OpenVolume();
  return {.segment = {kTestVolume, member.pg},
          .incarnation = IncarnationId(10 * member.pg.value() + member.slot + 1u),
          .descriptor = volume.descriptor,
          .membership = volume.memberships[0],
          .slot = member.slot,
          .epoch = kTestEpoch,
          .writer = kTestWriter,
          .truncations = volume.truncations,
          .scl = Lsn(scl)};
}

class WriterRig {
 public:
  explicit WriterRig(WriterOptions options = {}, RecoveredVolume volume = OpenVolume())
      : writer(std::move(volume), options) {}

  void AllUp() {
    for (const volume::Member& member : writer.MembershipOf(PgId(0)).members) {
      writer.NodeSeen(member.node, kTestDirectory);
    }
    for (int slot = 0; slot < 6; ++slot) {
      writer.MemberUp(At(0, slot), Ready(At(0, slot), 40));
      writer.MemberUp(At(1, slot), Ready(At(1, slot), 30));
    }
    Take();
    Prove();
  }
  // One change to each page.
  Lsn Append(const std::vector<uint64_t>& pages, size_t bytes = 10) {
    std::vector<page::PageChange> changes;
    for (uint64_t page : pages) {
      changes.push_back({.page = PageNo(page), .payload = std::string(bytes, 'x')});
    }
    const Lsn lsn = writer.Append(changes).commit_lsn;
    Take();
    return lsn;
  }
  void Ack(MemberAddress member, uint64_t scl, absl::Status status = absl::OkStatus(),
           VolumeEpoch epoch = kTestEpoch) {
    writer.Acked(member, {.segment = {kTestVolume, member.pg},
                          .incarnation = Ready(member, 0).incarnation,
                          .epoch = epoch,
                          .scl = Lsn(scl),
                          .status = std::move(status)});
    Take();
  }
  // A read quorum says that it still keeps to this writer's epoch, to whatever it is asked.
  void Prove() {
    for (uint64_t round = 0; round != writer.counters().proof_rounds;) {
      round = writer.counters().proof_rounds;
      for (int slot : {0, 1, 2}) {
        writer.EpochAnswered(At(0, slot), {.segment = {kTestVolume, PgId(0)},
                                           .incarnation = Ready(At(0, slot), 0).incarnation,
                                           .round = round,
                                           .epoch = kTestEpoch});
      }
      Take();  // what was asked for meanwhile is in the next round
    }
  }
  void AckBy(uint32_t pg, std::initializer_list<int> slots, uint64_t scl) {
    for (int slot : slots) Ack(At(pg, slot), scl);
  }
  void Tick(int64_t ms) {
    writer.Tick(Instant::FromNanos(ms * 1'000'000));
    Take();
  }
  void Take() {
    WriterOutput out = writer.TakeOutput();
    for (auto& raise : out.raise_epochs) raises.push_back(std::move(raise));
    for (auto& send : out.sends) sends.push_back(std::move(send));
    for (auto& create : out.creates) creates.push_back(std::move(create));
    for (auto& drop : out.drops) drops.push_back(std::move(drop));
    for (auto& release : out.releases) releases.push_back(std::move(release));
  }
  // Last LSNs of the batches sent to the member since the last call; 0 is a heartbeat.
  std::vector<uint64_t> SentTo(MemberAddress member) {
    std::vector<uint64_t> lsns;
    for (const auto& send : sends) {
      if (send.member == member) lsns.push_back(send.batch.last_lsn.value());
    }
    std::erase_if(sends, [&](const auto& send) { return send.member == member; });
    return lsns;
  }
  MemberState State(MemberAddress member) { return writer.Member(member).state; }

  Writer writer;
  std::vector<WriterOutput::RaiseEpoch> raises;
  std::vector<WriterOutput::CreateSegment> creates;
  std::vector<WriterOutput::DropSegment> drops;
  std::vector<WriterOutput::Send> sends;
  std::vector<WriterOutput::Release> releases;
};

}  // namespace sextant::compute::testing
