// The part of ComputeHost (compute_host.h) that deals with storage nodes: streams that come and go,
// acknowledgements, duties carried out.
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
    for (uint32_t pg = 0; pg < connection.slots.size(); ++pg) {
      if (connection.slots[pg]) running_->writer->MemberDown({PgId(pg), *connection.slots[pg]});
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
    const Connection& connection = running_->connections[node];
    if (pg.value() >= connection.slots.size() || !connection.slots[pg.value()]) return;
    running_->writer->Acked({pg, *connection.slots[pg.value()]}, ack);
  } else if (const auto slot = running_->opening->SlotOf(world_.nodes[node]->member().node, pg)) {
    running_->opening->BatchAcked({pg, *slot}, ack, now());
  }
  Settle();
}

void ComputeHost::NodeAnswered(size_t node, const protocol::EpochAnswer& answer) {
  if (!running_->writer) return;
  const PgId pg = answer.segment.pg;
  const Connection& connection = running_->connections[node];
  if (pg.value() >= connection.slots.size() || !connection.slots[pg.value()]) return;
  running_->writer->EpochAnswered({pg, *connection.slots[pg.value()]}, answer);
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
  for (const protocol::SegmentStatus& segment : reply->segments) {
    const PgId pg = segment.segment.pg;
    if (segment.segment.volume != running_->recovered.descriptor.volume) continue;
    if (pg.value() >= connection.slots.size() || !connection.slots[pg.value()]) continue;
    running_->writer->MemberUp({pg, *connection.slots[pg.value()]}, segment);
  }
  Settle();
}

void ComputeHost::PerformRaise(const compute::WriterOutput::RaiseEpoch& raise) {
  const MemberAddress member = raise.member;
  Call<protocol::SegmentStatus>(
      running_->members[member.pg.value()][member.slot],
      [request = raise.request](StorageHost* host, auto answer) {
        host->RaiseEpoch(request, std::move(answer));
      },
      [this, member](const auto& reply) {
        running_->writer->EpochRaised(member, reply);
        Settle();
      });
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
