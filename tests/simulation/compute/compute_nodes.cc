// The part of ComputeHost (compute_host.h) that deals with storage nodes: streams that come and go,
// acknowledgements, duties carried out.
#include <algorithm>
#include <utility>
#include <variant>

#include "common/base/check.h"
#include "tests/simulation/compute/compute_host.h"

namespace sextant::simulation {

using compute::MemberAddress;
using compute::Opening;

std::optional<size_t> ComputeHost::NodeNamed(const std::string& name) const {
  for (size_t node = 0; node < world_.nodes.size(); ++node) {
    if (world_.nodes[node]->member().node == name) return node;
  }
  return std::nullopt;
}

std::optional<size_t> ComputeHost::NodeOf(MemberAddress member) const {
  const std::string& node = running_->writer->NodeAt(member);
  return node.empty() ? std::nullopt : NodeNamed(node);
}

// `serve(host, answer)` at the node, `done(reply)` here.
template <typename Reply, typename Serve, typename Done>
void ComputeHost::Call(size_t node, Serve serve, Done done) {
  StorageHost* host = world_.nodes[node];
  world_.network->Call<Reply>(
      process_, host->process(), world_.plan->call_timeout,
      [host, serve = std::move(serve)](Network::Answer<Reply> answer) {
        serve(host, std::move(answer));
      },
      std::move(done));
}

// --- streams

void ComputeHost::Connect(size_t node) {
  running_->connections[node].stream = world_.streams->Open(
      process_, world_.nodes[node]->process(),
      {.on_up = [this, node] { NodeUp(node); },
       .on_ack = [this, node](const protocol::AppendAck& ack) { NodeAcked(node, ack); },
       .on_answer = [this,
                     node](const protocol::EpochAnswer& answer) { NodeAnswered(node, answer); },
       .on_down = [this, node] { NodeDown(node); }});
}

void ComputeHost::NodeUp(size_t node) {
  Connection& connection = running_->connections[node];
  connection.is_up = true;
  ++connection.number;
  if (running_->writer) AskForMembers(node);
}

void ComputeHost::NodeDown(size_t node) {
  Connection& connection = running_->connections[node];
  ++connection.number;
  if (std::exchange(connection.is_up, false) && running_->writer) {
    for (PgId pg(0); pg.value() < running_->writer->memberships().size(); pg = pg.Next()) {
      const auto slot = running_->writer->SlotOf(NameOf(node), pg);
      if (slot) running_->writer->MemberDown({pg, *slot});
    }
    Settle();
  }
  const absl::Duration pause =
      sim_.Between(world_.plan->reconnect_low, world_.plan->reconnect_high);
  sim_.loop.After(pause, process_, [this, node] { Connect(node); });
}

void ComputeHost::NodeAcked(size_t node, const protocol::AppendAck& ack) {
  if (ack.segment.volume != running_->opening->volume()) return;
  const PgId pg = ack.segment.pg;
  if (running_->writer) {
    const auto slot = running_->writer->SlotOf(NameOf(node), pg);
    if (!slot) return;
    running_->writer->Acked({pg, *slot}, ack);
  } else if (const auto slot = running_->opening->SlotOf(NameOf(node), pg)) {
    running_->opening->BatchAcked({pg, *slot}, ack, now());
  }
  Settle();
}

void ComputeHost::NodeAnswered(size_t node, const protocol::EpochAnswer& answer) {
  if (!running_->writer) return;
  const PgId pg = answer.segment.pg;
  const auto slot = running_->writer->SlotOf(NameOf(node), pg);
  if (!slot) return;
  running_->writer->EpochAnswered({pg, *slot}, answer);
  Settle();
}

void ComputeHost::AskForMembers(size_t node) {
  Call<protocol::NodeStatus>(
      node, [](StorageHost* host, auto answer) { host->GetStatus(std::move(answer)); },
      [this, node, number = running_->connections[node].number](const auto& reply) {
        MembersAnswered(node, number, reply);
      });
}

void ComputeHost::MembersAnswered(size_t node, uint64_t number,
                                  const absl::StatusOr<protocol::NodeStatus>& reply) {
  const Connection& connection = running_->connections[node];
  if (connection.number != number) return;
  if (!reply.ok()) {
    sim_.loop.After(world_.plan->reconnect_high, process_, [this, node, number] {
      if (running_->connections[node].number == number) AskForMembers(node);
    });
    return;
  }
  compute::Writer& writer = *running_->writer;
  writer.NodeSeen(NameOf(node), reply->directory);
  std::vector<bool> is_there(writer.memberships().size());
  for (const protocol::SegmentStatus& segment : reply->segments) {
    const PgId pg = segment.segment.pg;
    if (segment.segment.volume != running_->recovered.descriptor.volume) continue;
    if (pg.value() < is_there.size()) is_there[pg.value()] = true;
    writer.SegmentSeen(NameOf(node), segment);
  }
  const bool is_well = std::ranges::count(is_there, true) > 0;
  for (PgId pg(0); pg.value() < is_there.size(); pg = pg.Next()) {
    const auto slot = writer.MembershipOf(pg).SlotOf(NameOf(node));
    if (!is_there[pg.value()] && slot) writer.SegmentMissing({pg, *slot}, is_well);
  }
  Settle();
}

void ComputeHost::PerformRaise(const compute::WriterOutput::RaiseEpoch& raise) {
  const MemberAddress member = raise.member;
  const std::optional<size_t> node = NodeNamed(raise.node);
  if (!node) return;
  Call<protocol::SegmentStatus>(
      *node,
      [request = raise.request](StorageHost* host, auto answer) {
        host->RaiseEpoch(request, std::move(answer));
      },
      [this, member](const auto& reply) {
        running_->writer->EpochRaised(member, reply);
        Settle();
      });
}

void ComputeHost::PerformCreate(const compute::WriterOutput::CreateSegment& create) {
  const std::optional<size_t> node = NodeNamed(create.node);
  if (!node) return;
  Call<protocol::SegmentStatus>(
      *node,
      [request = create.request](StorageHost* host, auto answer) {
        host->CreateSegment(request, std::move(answer));
      },
      [this, node = *node, member = create.member](const auto& reply) {
        running_->writer->SegmentCreated(member, reply);
        // Without a stream it is asked when that comes up.
        if (!running_->connections[node].is_up) running_->writer->MemberDown(member);
        Settle();
      });
}

void ComputeHost::PerformDrop(const compute::WriterOutput::DropSegment& drop) {
  const std::optional<size_t> node = NodeNamed(drop.node);
  if (!node) return;
  Call<protocol::DropSegmentReply>(
      *node,
      [request = drop.request](StorageHost* host, auto answer) {
        host->DropSegment(request, std::move(answer));
      },
      [this, node = drop.node, segment = drop.request.segment](const auto& reply) {
        running_->writer->SegmentDropped(node, segment, reply.status());
      });
}

// --- members, as people change them

void ComputeHost::ReplaceSegment(PgId pg, const std::string& from, const std::string& to, bool hold,
                                 DurableDone done) {
  ++running_->replacements;
  Call<protocol::NodeStatus>(
      *NodeNamed(to), [](StorageHost* host, auto answer) { host->GetStatus(std::move(answer)); },
      [this, pg, from, hold, done = std::move(done)](const auto& reply) {
        --running_->replacements;
        if (!reply.ok()) return done(reply.status());
        const absl::Status status = running_->writer->ReplaceMember(pg, from, *reply, hold);
        Settle();
        done(status);
      });
}

absl::Status ComputeHost::UndoReplacement(PgId pg, const std::string& from) {
  absl::Status status = running_->writer->UndoReplacement(pg, from);
  Settle();
  return status;
}

// --- opening's duties

void ComputeHost::Perform(Opening::Duty duty) {
  // Runs `input` on the opening with an answer, then what follows from it.
  const auto answer = [this](auto input) {
    if (running_->writer) return;
    input(*running_->opening, now());
    Settle();
  };
  if (auto* ask = std::get_if<Opening::AskNode>(&duty)) {
    Call<protocol::NodeStatus>(
        *NodeNamed(ask->node),
        [](StorageHost* host, auto reply) { host->GetStatus(std::move(reply)); },
        [answer, node = ask->node](const auto& reply) {
          answer([&](Opening& opening, Instant now) { opening.NodeAnswered(node, reply, now); });
        });
  } else if (auto* create = std::get_if<Opening::CreateSegment>(&duty)) {
    Call<protocol::SegmentStatus>(
        *NodeNamed(create->node),
        [request = create->request](StorageHost* host, auto reply) {
          host->CreateSegment(request, std::move(reply));
        },
        [answer, node = create->node](const auto& reply) {
          answer([&](Opening& opening, Instant now) { opening.SegmentCreated(node, reply, now); });
        });
  } else if (auto* raise = std::get_if<Opening::RaiseEpoch>(&duty)) {
    running_->claimed = raise->duty.request.epoch;
    Call<protocol::SegmentStatus>(
        *NodeNamed(raise->node),
        [request = raise->duty.request](StorageHost* host, auto reply) {
          host->RaiseEpoch(request, std::move(reply));
        },
        [answer, member = raise->duty.member](const auto& reply) {
          answer([&](Opening& opening, Instant now) { opening.EpochRaised(member, reply, now); });
        });
  } else if (auto* read = std::get_if<Opening::ReadLog>(&duty)) {
    protocol::ReadLogRequest request = read->duty.request;
    request.max_bytes = std::min(request.max_bytes, world_.plan->max_log_read_bytes);
    Call<protocol::ReadLogReply>(
        *NodeNamed(read->node),
        [request](StorageHost* host, auto reply) { host->ReadLog(request, std::move(reply)); },
        [answer, member = read->duty.member](const auto& reply) {
          answer([&](Opening& opening, Instant now) { opening.LogRead(member, reply, now); });
        });
  } else if (auto* send = std::get_if<Opening::SendBatch>(&duty)) {
    sim_.Count(Rare::kTailWrittenBack);
    const Connection& connection = running_->connections[*NodeNamed(send->node)];
    if (connection.is_up) return world_.streams->Send(connection.stream, send->duty.batch.bytes);
    const protocol::AppendAck ack{.segment = {send->duty.batch.header.volume, send->duty.member.pg},
                                  .status = absl::UnavailableError("not connected")};
    sim_.loop.After(absl::ZeroDuration(), process_, [answer, ack, member = send->duty.member] {
      answer([&](Opening& opening, Instant now) { opening.BatchAcked(member, ack, now); });
    });
  }
}

}  // namespace sextant::simulation
