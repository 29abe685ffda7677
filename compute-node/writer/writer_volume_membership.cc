// WriterVolume and members that change: what people ask for, and the writer's duties about it.
#include <utility>

#include "common/base/text.h"
#include "common/rpc/logging.h"
#include "compute-node/writer/effects.h"
#include "compute-node/writer/writer_volume.h"
#include "spdlog/spdlog.h"

namespace sextant::compute {
namespace {

constexpr absl::Duration kCallTimeout = absl::Seconds(3);
constexpr absl::Duration kChangeTimeout = absl::Seconds(15);  // waits for a disk

}  // namespace

void WriterVolume::ReplaceSegment(PgId pg, const std::string& from, const std::string& to,
                                  bool hold, std::function<void(absl::Status)> done) {
  if (absl::Status open = CheckOpen(); !open.ok()) return done(std::move(open));
  const std::optional<NodeIndex> node = NodeNamed(to);
  if (!node) {
    return done(absl::NotFoundError(Text("no storage node ", to,
                                         ": the compute node knows those that --storage-node and "
                                         "--spare-node name")));
  }
  const auto answered = [this, pg, from, to, hold, done = std::move(done)](
                            const absl::StatusOr<protocol::NodeStatus>& reply) {
    if (!reply.ok()) return done(reply.status());
    if (reply->node != to) {
      return done(absl::InvalidArgumentError(
          Text("storage node ", to, " calls itself ", reply->node, ": correct its --node")));
    }
    Effects effects(this);
    absl::Status status;
    {
      std::lock_guard lock(mutex_);
      if (is_shut_down_) {
        status = absl::UnavailableError(WhyNotOpen());
      } else {
        status = writer_->ReplaceMember(pg, from, *reply, hold);
        Settle(&effects);
      }
    }
    effects.Run();
    if (status.ok()) {
      spdlog::info("segment is being replaced{}", rpc::Fields("pg", pg, "from", from, "to", to));
    }
    done(std::move(status));
  };
  nodes_[node->value()]->peer->GetStatus(kCallTimeout, answered);
}

absl::Status WriterVolume::UndoReplacement(PgId pg, const std::string& from) {
  if (absl::Status open = CheckOpen(); !open.ok()) return open;
  Effects effects(this);
  absl::Status status;
  {
    std::lock_guard lock(mutex_);
    if (is_shut_down_) return absl::UnavailableError(WhyNotOpen());
    status = writer_->UndoReplacement(pg, from);
    Settle(&effects);
  }
  effects.Run();
  return status;
}

void WriterVolume::PerformCreate(const WriterOutput::CreateSegment& create) {
  const std::optional<NodeIndex> node = NodeNamed(create.node);
  if (!node) return;
  nodes_[node->value()]->peer->CreateSegment(
      create.request, kChangeTimeout,
      [this, index = *node,
       member = create.member](const absl::StatusOr<protocol::SegmentStatus>& reply) {
        Effects effects(this);
        {
          std::lock_guard lock(mutex_);
          if (is_shut_down_) return;
          writer_->SegmentCreated(member, reply);
          // Without a stream it is asked when that comes up.
          if (!nodes_[index.value()]->is_up) writer_->MemberDown(member);
          Settle(&effects);
        }
        effects.Run();
        if (reply.ok()) return;
        spdlog::warn("a new member's segment is not made yet{}",
                     rpc::Fields("storage_node", nodes_[index.value()]->member.node, "pg",
                                 member.pg, "error", reply.status()));
      });
}

void WriterVolume::PerformDrop(const WriterOutput::DropSegment& drop) {
  const std::optional<NodeIndex> node = NodeNamed(drop.node);
  if (!node) return;
  nodes_[node->value()]->peer->DropSegment(
      drop.request, kChangeTimeout,
      [this, node = drop.node,
       segment = drop.request.segment](const absl::StatusOr<protocol::DropSegmentReply>& reply) {
        if (reply.ok()) {
          spdlog::info("a segment that was replaced is dropped{}",
                       rpc::Fields("storage_node", node, "pg", segment.pg));
        }
        std::lock_guard lock(mutex_);
        if (!is_shut_down_) writer_->SegmentDropped(node, segment, reply.status());
      });
}

}  // namespace sextant::compute
