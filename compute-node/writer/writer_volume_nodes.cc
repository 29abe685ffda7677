// WriterVolume and its storage nodes: streams that come and go, acknowledgements, duties carried
// out.
#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/base/text.h"
#include "common/rpc/clock.h"
#include "common/rpc/logging.h"
#include "compute-node/writer/effects.h"
#include "compute-node/writer/writer_volume.h"
#include "spdlog/spdlog.h"

namespace sextant::compute {
namespace {

// A node that does not answer in so long is taken for absent, and asked again later.
constexpr absl::Duration kCallTimeout = absl::Seconds(3);
constexpr absl::Duration kCreateTimeout = absl::Seconds(15);
constexpr absl::Duration kAskAgain = absl::Milliseconds(500);

}  // namespace

std::optional<NodeIndex> WriterVolume::NodeNamed(const std::string& name) const {
  for (uint32_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i]->member.node == name) return NodeIndex(i);
  }
  return std::nullopt;
}

std::optional<NodeIndex> WriterVolume::NodeOf(MemberAddress member) const {
  const std::string& node = writer_->NodeAt(member);
  return node.empty() ? std::nullopt : NodeNamed(node);
}

void WriterVolume::NodeUp(NodeIndex index) {
  Effects effects(this);
  {
    std::lock_guard lock(mutex_);
    Node& node = *nodes_[index.value()];
    node.is_up = true;
    ++node.connection;
    if (writer_) effects.AskForMembers(index, node.connection);
  }
  spdlog::info("storage node is connected{}",
               rpc::Fields("storage_node", nodes_[index.value()]->member.node));
  effects.Run();
}

void WriterVolume::NodeDown(NodeIndex index, const absl::Status& why) {
  Effects effects(this);
  {
    std::lock_guard lock(mutex_);
    Node& node = *nodes_[index.value()];
    node.is_up = false;
    ++node.connection;
    if (writer_) {
      for (uint32_t pg = 0; pg < writer_->memberships().size(); ++pg) {
        const auto slot = writer_->SlotOf(node.member.node, PgId(pg));
        if (slot) writer_->MemberDown({PgId(pg), *slot});
      }
      Settle(&effects);
    }
  }
  spdlog::warn("storage node is disconnected, reconnecting{}",
               rpc::Fields("storage_node", nodes_[index.value()]->member.node, "error", why));
  effects.Run();
}

void WriterVolume::NodeAcked(NodeIndex index, const protocol::AppendAck& ack) {
  Effects effects(this);
  {
    std::lock_guard lock(mutex_);
    if (is_shut_down_ || ack.segment.volume != opening_->volume()) return;
    const PgId pg = ack.segment.pg;
    if (writer_) {
      const auto slot = writer_->SlotOf(nodes_[index.value()]->member.node, pg);
      if (!slot) return;
      writer_->Acked({pg, *slot}, ack);
    } else if (const auto slot = opening_->SlotOf(nodes_[index.value()]->member.node, pg)) {
      opening_->BatchAcked({pg, *slot}, ack, rpc::SteadyNow());
    }
    Settle(&effects);
  }
  effects.Run();
}

void WriterVolume::NodeAnswered(NodeIndex index, const protocol::EpochAnswer& answer) {
  Effects effects(this);
  {
    std::lock_guard lock(mutex_);
    if (is_shut_down_ || !writer_) return;
    const PgId pg = answer.segment.pg;
    const Node& node = *nodes_[index.value()];
    const auto slot = writer_->SlotOf(node.member.node, pg);
    if (!slot) return;
    writer_->EpochAnswered({pg, *slot}, answer);
    Settle(&effects);
  }
  effects.Run();
}

// A stream is of use once the segments at its end have said where they stand.
void WriterVolume::AskForMembers(NodeIndex index, uint64_t connection) {
  nodes_[index.value()]->peer->GetStatus(
      kCallTimeout, [this, index, connection](const absl::StatusOr<protocol::NodeStatus>& reply) {
        MembersAnswered(index, connection, reply);
      });
}

void WriterVolume::MembersAnswered(NodeIndex index, uint64_t connection,
                                   const absl::StatusOr<protocol::NodeStatus>& reply) {
  Effects effects(this);
  {
    std::lock_guard lock(mutex_);
    Node& node = *nodes_[index.value()];
    if (is_shut_down_ || node.connection != connection) return;
    if (!reply.ok()) {
      timers_.After(kAskAgain, [this, index, connection] {
        {
          std::lock_guard lock(mutex_);
          if (is_shut_down_ || nodes_[index.value()]->connection != connection) return;
        }
        AskForMembers(index, connection);
      });
      return;
    }
    writer_->NodeSeen(node.member.node, reply->directory);
    std::vector<bool> is_there(writer_->memberships().size());
    for (const protocol::SegmentStatus& segment : reply->segments) {
      const PgId pg = segment.segment.pg;
      if (segment.segment.volume != recovered_->descriptor.volume) continue;
      if (pg.value() < is_there.size()) is_there[pg.value()] = true;
      writer_->SegmentSeen(node.member.node, segment);
    }
    const bool is_well = std::ranges::count(is_there, true) > 0;
    for (uint32_t pg = 0; pg < is_there.size(); ++pg) {
      const volume::Membership& membership = writer_->MembershipOf(PgId(pg));
      const auto slot = membership.SlotOf(node.member.node);
      if (is_there[pg] || !slot) continue;
      if (writer_->SegmentMissing({PgId(pg), *slot}, is_well)) continue;
      spdlog::error("storage node lacks its segment: its data directory was lost or exchanged{}",
                    rpc::Fields("storage_node", node.member.node, "volume",
                                FormatVolumeId(recovered_->descriptor.volume), "pg", pg));
    }
    Settle(&effects);
  }
  effects.Run();
}

void WriterVolume::PerformRaise(const WriterOutput::RaiseEpoch& raise) {
  const MemberAddress member = raise.member;
  const auto node = NodeNamed(raise.node);
  if (!node) return;
  nodes_[node->value()]->peer->RaiseEpoch(
      raise.request, kCallTimeout,
      [this, member](const absl::StatusOr<protocol::SegmentStatus>& reply) {
        Effects effects(this);
        {
          std::lock_guard lock(mutex_);
          if (is_shut_down_) return;
          writer_->EpochRaised(member, reply);
          Settle(&effects);
        }
        effects.Run();
      });
}

namespace {

absl::Status UnknownNode(const std::string& node) {
  return absl::UnavailableError(
      Text("no storage node is known to hold this member", node.empty() ? "" : ": ", node));
}

}  // namespace

void WriterVolume::Perform(Opening::Duty duty) {
  // Runs `input` on the opening with an answer, then what follows from it.
  const auto answer = [this](auto input) {
    Effects effects(this);
    {
      std::lock_guard lock(mutex_);
      if (is_shut_down_ || writer_) return;
      input(*opening_, rpc::SteadyNow());
      Settle(&effects);
    }
    effects.Run();
  };
  const auto peer_named = [this](const std::string& name) -> StoragePeer* {
    const auto node = NodeNamed(name);
    return node ? nodes_[node->value()]->peer.get() : nullptr;
  };
  if (auto* ask = std::get_if<Opening::AskNode>(&duty)) {
    peer_named(ask->node)->GetStatus(
        kCallTimeout,
        [answer, node = ask->node](const absl::StatusOr<protocol::NodeStatus>& reply) {
          answer([&](Opening& opening, Instant now) { opening.NodeAnswered(node, reply, now); });
        });
  } else if (auto* create = std::get_if<Opening::CreateSegment>(&duty)) {
    peer_named(create->node)
        ->CreateSegment(
            create->request, kCreateTimeout,
            [answer, node = create->node](const absl::StatusOr<protocol::SegmentStatus>& reply) {
              answer(
                  [&](Opening& opening, Instant now) { opening.SegmentCreated(node, reply, now); });
            });
  } else if (auto* raise = std::get_if<Opening::RaiseEpoch>(&duty)) {
    const auto done = [answer, member = raise->duty.member](
                          const absl::StatusOr<protocol::SegmentStatus>& reply) {
      answer([&](Opening& opening, Instant now) { opening.EpochRaised(member, reply, now); });
    };
    StoragePeer* peer = peer_named(raise->node);
    if (!peer) return done(UnknownNode(raise->node));
    peer->RaiseEpoch(raise->duty.request, kCallTimeout, done);
  } else if (auto* read = std::get_if<Opening::ReadLog>(&duty)) {
    const auto done =
        [answer, member = read->duty.member](const absl::StatusOr<protocol::ReadLogReply>& reply) {
          answer([&](Opening& opening, Instant now) { opening.LogRead(member, reply, now); });
        };
    StoragePeer* peer = peer_named(read->node);
    if (!peer) return done(UnknownNode(read->node));
    peer->ReadLog(read->duty.request, kCallTimeout, done);
  } else if (auto* send = std::get_if<Opening::SendBatch>(&duty)) {
    bool is_up = false;
    {
      std::lock_guard lock(mutex_);
      const auto node = NodeNamed(send->node);
      is_up = node && nodes_[node->value()]->is_up;
    }
    // The answer comes as an acknowledgement on the stream.
    if (is_up) return peer_named(send->node)->SendBatch(send->duty.batch);
    const protocol::AppendAck ack{
        .segment = {send->duty.batch.header.volume, send->duty.member.pg},
        .status = absl::UnavailableError(Text("storage node ", send->node, " is not connected"))};
    answer([&](Opening& opening, Instant now) { opening.BatchAcked(send->duty.member, ack, now); });
  }
}

}  // namespace sextant::compute
