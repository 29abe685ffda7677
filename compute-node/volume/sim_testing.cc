// See sim_testing.h.
#include "compute-node/volume/sim_testing.h"

#include <algorithm>

#include "common/base/check.h"
#include "common/base/text.h"

namespace sextant::compute::testing {
namespace {

constexpr absl::Duration kRequestTimeout = absl::Milliseconds(20);

}  // namespace

SimCluster::SimCluster(uint64_t seed, uint32_t pg_count) : rng(seed) {
  volume::Membership membership;
  for (const std::string& name : Names()) membership.members.push_back({name, name.substr(0, 3)});
  for (int i = 0; i < quorum::kMembers; ++i) {
    nodes_.emplace_back();
    for (uint32_t pg = 0; pg < pg_count; ++pg) {
      storage::SegmentState state{.segment = {kVolume, PgId(pg)},
                                  .descriptor = {.volume = kVolume},
                                  .membership = membership,
                                  .slot = static_cast<quorum::Slot>(i)};
      state.descriptor.geometry = {
          .page_bytes = 512, .pages_per_pg = kPagesPerPg, .pg_count = pg_count};
      AddHost(i, std::move(state));
    }
  }
}

void SimCluster::AddHost(int node, storage::SegmentState state) {
  const PgId pg = state.segment.pg;
  std::deque<Host>& hosts = nodes_[node].hosts;
  while (hosts.size() <= pg.value()) hosts.emplace_back();
  Host& host = hosts[pg.value()];
  state.incarnation = IncarnationId(next_incarnation_++);
  host.disk.state = std::move(state);
  host.segment = storage::testing::Load(host.disk);
  host.gossip = storage::Gossip({}, Prng(rng.Next()));
  After(SomeDelay(), [this, node, pg] { Gossip(node, pg); });
}

void SimCluster::CreateSegment(int node, const protocol::CreateSegmentRequest& request,
                               std::function<void(absl::StatusOr<protocol::SegmentStatus>)> done) {
  auto lost = [done] { done(absl::UnavailableError("no answer")); };
  Request(
      node,
      [this, node, request, done, lost] {
        absl::StatusOr<protocol::SegmentStatus> reply;
        if (!HasSegment(node, request.pg)) {
          AddHost(node, {.segment = {kVolume, request.pg},
                         .descriptor = request.descriptor,
                         .membership = request.membership,
                         .slot = request.slot});
        }
        const storage::Segment& segment = this->segment(node, request.pg);
        const absl::Status checked = segment.CheckCreate(request);
        reply = checked.ok() ? absl::StatusOr<protocol::SegmentStatus>(segment.Status()) : checked;
        if (Happens(faults.lose_one_in)) return After(kRequestTimeout, lost);
        After(SomeDelay(), [done, reply] { done(reply); });
      },
      lost);
}

std::vector<std::string> SimCluster::Names() {
  return {"az1-a", "az1-b", "az2-a", "az2-b", "az3-a", "az3-b"};
}

int SimCluster::IndexOf(const std::string& node) {
  const std::vector<std::string> names = Names();
  return static_cast<int>(std::ranges::find(names, node) - names.begin());
}

void SimCluster::After(absl::Duration delay, std::function<void()> event) {
  events_.emplace(now_ + delay, std::move(event));
}

void SimCluster::RunFor(absl::Duration time) {
  RunUntil([] { return false; }, time);
}

bool SimCluster::RunUntil(const std::function<bool()>& is_done, absl::Duration limit) {
  const Instant end = now_ + limit;
  while (!is_done()) {
    if (events_.empty() || events_.begin()->first > end) {
      now_ = end;
      return false;
    }
    auto event = events_.extract(events_.begin());
    now_ = event.key();
    event.mapped()();
  }
  return true;
}

void SimCluster::Crash(int node) {
  Node& n = nodes_[node];
  if (!n.is_up) return;
  n.is_up = false;
  ++n.generation;
  for (Host& host : n.hosts) {
    host.unsynced.clear();
    host.raises.clear();
  }
  std::vector<uint64_t> broken;
  for (const auto& [id, stream] : streams_) {
    if (stream.node == node) broken.push_back(id);
  }
  for (uint64_t id : broken) BreakStream(id);
}

void SimCluster::Restart(int node) {
  Node& n = nodes_[node];
  if (n.is_up) return;
  n.is_up = true;
  for (Host& host : n.hosts) {
    if (!host.segment) continue;
    host.segment = storage::testing::Load(host.disk);
    host.gossip = storage::Gossip({}, Prng(rng.Next()));
  }
}

std::vector<log::RedoRecord> SimCluster::ReadAll(int node, PgId pg) {
  Host& host = nodes_[node].hosts[pg.value()];
  auto plan = host.segment->PlanLogRead(
      {.segment = {kVolume, pg}, .epoch = host.segment->Status().epoch, .max_bytes = UINT64_MAX});
  SEXTANT_CHECK(plan.ok()) << plan.status().ToString();
  return CarryOutRead(&host, *plan).records;
}

void SimCluster::Request(int node, std::function<void()> request, std::function<void()> lost) {
  const int generation = nodes_[node].generation;
  if (!nodes_[node].is_up || Happens(faults.lose_one_in)) {
    After(kRequestTimeout, std::move(lost));
    return;
  }
  auto arrive = [this, node, generation, request = std::move(request), lost = std::move(lost)] {
    if (nodes_[node].is_up && nodes_[node].generation == generation) return request();
    After(kRequestTimeout, lost);
  };
  if (Happens(faults.duplicate_one_in)) After(SomeDelay() * 10, arrive);
  After(SomeDelay(), std::move(arrive));
}

void SimCluster::GetStatus(int node,
                           std::function<void(absl::StatusOr<protocol::NodeStatus>)> done) {
  auto lost = [done] { done(absl::UnavailableError("no answer")); };
  Request(
      node,
      [this, node, done, lost] {
        protocol::NodeStatus status{.node = Names()[node]};
        for (Host& host : nodes_[node].hosts) {
          if (host.segment) status.segments.push_back(host.segment->Status());
        }
        if (Happens(faults.lose_one_in)) return After(kRequestTimeout, lost);
        After(SomeDelay(), [done, status] { done(status); });
      },
      lost);
}

void SimCluster::RaiseEpoch(int node, const protocol::RaiseEpochRequest& request,
                            std::function<void(absl::StatusOr<protocol::SegmentStatus>)> done) {
  auto lost = [done] { done(absl::UnavailableError("no answer")); };
  Request(
      node,
      [this, node, request, done, lost] {
        const storage::ReplyToken token(next_token_++);
        const PgId pg = request.segment.pg;
        if (!HasSegment(node, pg)) return done(absl::NotFoundError("no such segment"));
        Host& host = nodes_[node].hosts[pg.value()];
        host.raises[token] = [this, done, lost](absl::StatusOr<protocol::SegmentStatus> reply) {
          // Invalid only where the protocol is broken: a truncation of what was announced durable.
          SEXTANT_CHECK(!absl::IsInvalidArgument(reply.status())) << reply.status().ToString();
          SEXTANT_CHECK(!absl::IsAborted(reply.status())) << reply.status().ToString();
          if (Happens(faults.lose_one_in)) return After(kRequestTimeout, lost);
          After(SomeDelay(), [done, reply] { done(reply); });
        };
        host.segment->RaiseEpoch(request, token);
        Pump(node, pg);
      },
      lost);
}

void SimCluster::ReadLog(int node, const protocol::ReadLogRequest& request,
                         std::function<void(absl::StatusOr<protocol::ReadLogReply>)> done) {
  auto lost = [done] { done(absl::UnavailableError("no answer")); };
  Request(
      node,
      [this, node, request, done, lost] {
        if (!HasSegment(node, request.segment.pg)) {
          return done(absl::NotFoundError("no such segment"));
        }
        Host& host = nodes_[node].hosts[request.segment.pg.value()];
        auto plan = host.segment->PlanLogRead(request);
        absl::StatusOr<protocol::ReadLogReply> reply = protocol::ReadLogReply{};
        if (plan.ok()) {
          reply = CarryOutRead(&host, *plan);
        } else {
          reply = plan.status();
        }
        if (Happens(faults.lose_one_in)) return After(kRequestTimeout, lost);
        After(SomeDelay(), [done, reply] { done(reply); });
      },
      lost);
}

protocol::ReadLogReply SimCluster::CarryOutRead(Host* host, const storage::LogReadPlan& plan) {
  protocol::ReadLogReply reply{.scl = plan.scl, .is_last = plan.is_last};
  for (const storage::RecordLocation& at : plan.records) {
    std::string_view bytes =
        std::string_view(*host->disk.log.at(at.position)).substr(at.offset, at.size);
    auto record = log::DecodeRecord(kVolume, host->disk.state.segment.pg, &bytes);
    SEXTANT_CHECK(record.ok() && record->header.lsn == at.lsn) << at.lsn;
    reply.records.push_back({record->header, std::string(record->payload)});
  }
  return reply;
}

uint64_t SimCluster::OpenStream(int node, AckSink on_ack, std::function<void()> on_down,
                                AnswerSink on_answer) {
  if (!nodes_[node].is_up) return 0;
  const uint64_t id = next_token_++;
  streams_[id] = {node, std::move(on_ack), std::move(on_down), std::move(on_answer), now_, now_};
  return id;
}

void SimCluster::CloseStream(uint64_t stream) { streams_.erase(stream); }

void SimCluster::BreakStream(uint64_t stream) {
  const auto it = streams_.find(stream);
  if (it == streams_.end()) return;
  const std::function<void()> on_down = std::move(it->second.on_down);
  streams_.erase(it);
  on_down();
}

void SimCluster::SendBatch(uint64_t stream, MemberAddress member, const log::EncodedBatch& batch) {
  const auto it = streams_.find(stream);
  if (it == streams_.end()) return;
  if (Happens(faults.break_stream_one_in)) {
    After(absl::ZeroDuration(), [this, stream] { BreakStream(stream); });
    return;
  }
  Stream& s = it->second;
  s.last_down = std::max(s.last_down, now_ + SomeDelay());
  After(s.last_down - now_, [this, stream, member, bytes = batch.bytes] {
    const auto to = streams_.find(stream);
    if (to == streams_.end()) return;
    if (!HasSegment(to->second.node, member.pg)) {
      return SendAck(stream, member,
                     {.segment = {kVolume, member.pg}, .status = absl::NotFoundError("none")});
    }
    storage::Segment& segment = this->segment(to->second.node, member.pg);
    if (Happens(faults.damage_one_in)) {
      const protocol::SegmentStatus status = segment.Status();
      return SendAck(stream, member,
                     {.segment = status.segment,
                      .incarnation = status.incarnation,
                      .epoch = status.epoch,
                      .scl = status.scl,
                      .status = absl::DataLossError("damaged on the way")});
    }
    const auto view = log::DecodeBatch(*bytes);
    SEXTANT_CHECK(view.ok()) << view.status().ToString();
    segment.Append(*view, bytes, storage::ReplyToken(stream));
    Pump(to->second.node, member.pg);
  });
}

void SimCluster::SendProbe(uint64_t stream, MemberAddress member,
                           const protocol::EpochProbe& probe) {
  After(SomeDelay(), [this, stream, member, probe] {
    const auto to = streams_.find(stream);
    if (to == streams_.end()) return;
    const protocol::EpochAnswer answer = segment(to->second.node, member.pg).Answer(probe);
    After(SomeDelay(), [this, stream, member, answer] {
      const auto from = streams_.find(stream);
      if (from == streams_.end() || !from->second.on_answer) return;
      const AnswerSink on_answer = from->second.on_answer;  // it may close the stream
      on_answer(member, answer);
    });
  });
}

void SimCluster::SendAck(uint64_t stream, MemberAddress member, const protocol::AppendAck& ack) {
  const auto it = streams_.find(stream);
  if (it == streams_.end()) return;
  it->second.last_up = std::max(it->second.last_up, now_ + SomeDelay());
  After(it->second.last_up - now_, [this, stream, member, ack] {
    const auto to = streams_.find(stream);
    if (to == streams_.end()) return;
    const AckSink on_ack = to->second.on_ack;  // it may close the stream
    on_ack(member, ack);
  });
}

void SimCluster::Pump(int node, PgId pg) {
  Host& host = nodes_[node].hosts[pg.value()];
  storage::SegmentOutput out = host.segment->TakeOutput();
  const MemberAddress member{pg, static_cast<quorum::Slot>(node)};
  for (const auto& ack : out.acks) SendAck(ack.to.value(), member, ack.ack);
  for (auto& reply : out.epoch_replies) {
    auto raise = host.raises.extract(reply.to);
    if (!raise.empty()) raise.mapped()(std::move(reply.reply));
  }
  if (out.persist.empty()) return;
  host.unsynced.emplace_back(out.ticket, std::move(out.persist));
  if (host.unsynced.size() > 1) return;
  After(SomeDelay(),
        [this, node, pg, generation = nodes_[node].generation] { Sync(node, pg, generation); });
}

void SimCluster::Gossip(int node, PgId pg) {
  After(absl::Milliseconds(10), [this, node, pg] { Gossip(node, pg); });
  if (!nodes_[node].is_up) return;
  Host& host = nodes_[node].hosts[pg.value()];
  std::vector<quorum::Slot> peers;
  for (int peer = 0; peer < quorum::kMembers; ++peer) {
    if (peer != node) peers.push_back(static_cast<quorum::Slot>(peer));
  }
  const auto ask = host.gossip.Next(host.segment->Status(), peers, now_);
  if (!ask.has_value()) return;
  // A repeated answer is one too many for Gossip: the node's runner lets one through.
  auto is_over = std::make_shared<bool>(false);
  ReadLog(ask->peer, ask->request,
          [this, node, pg, is_over, ask = *ask,
           generation = nodes_[node].generation](const auto& reply) {
            if (nodes_[node].generation != generation || std::exchange(*is_over, true)) return;
            GossipAnswered(node, pg, ask, reply);
          });
}

void SimCluster::GossipAnswered(int node, PgId pg, const storage::Gossip::Ask& ask,
                                const absl::StatusOr<protocol::ReadLogReply>& reply) {
  Host& host = nodes_[node].hosts[pg.value()];
  const protocol::SegmentStatus status = host.segment->Status();
  if (reply.ok() && status.epoch == ask.request.epoch) {
    const auto batches = storage::GossipBatches(status, ask.request, *reply);
    SEXTANT_CHECK(batches.ok()) << batches.status().ToString();
    for (const log::EncodedBatch& batch : *batches) {
      const auto view = log::DecodeBatch(*batch.bytes);
      SEXTANT_CHECK(view.ok());
      host.segment->Append(*view, batch.bytes, storage::ReplyToken(next_token_));
    }
    ++next_token_;
    Pump(node, pg);
  }
  // Once what came is durable, which takes two syncs at most.
  After(absl::Milliseconds(8), [this, node, pg, generation = nodes_[node].generation] {
    Host& host = nodes_[node].hosts[pg.value()];
    if (nodes_[node].generation == generation) {
      host.gossip.Finished(host.segment->Status().scl, now_);
    }
  });
}

void SimCluster::Sync(int node, PgId pg, int generation) {
  Host& host = nodes_[node].hosts[pg.value()];
  if (nodes_[node].generation != generation || host.unsynced.empty()) return;
  host.disk.Write(host.unsynced.front().second);
  host.segment->Persisted(host.unsynced.front().first);
  host.unsynced.pop_front();
  if (!host.unsynced.empty()) {
    After(SomeDelay(), [this, node, pg, generation] { Sync(node, pg, generation); });
  }
  Pump(node, pg);
}

}  // namespace sextant::compute::testing
