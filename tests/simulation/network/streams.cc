// See streams.h.
#include "tests/simulation/network/streams.h"

#include <algorithm>

namespace sextant::simulation {
namespace {

constexpr absl::Duration kPoll = absl::Milliseconds(5);  // of a link that is cut

}  // namespace

Streams::Stream* Streams::Find(StreamId stream) {
  const auto it = streams_.find(stream);
  return it == streams_.end() ? nullptr : &it->second;
}

StreamId Streams::Open(ProcessId client, ProcessId server, Client callbacks) {
  const StreamId id = last_ = last_.Next();
  streams_[id] = {.client = client,
                  .server = server,
                  .client_life = sim_.loop.life(client),
                  .callbacks = std::move(callbacks)};
  if (network_.Loses(client, server)) {
    sim_.loop.After(plan.keepalive, kWorld, [this, id] { Break(id); });
  } else {
    sim_.loop.After(network_.Delay(client, server), kWorld, [this, id] { Arrived(id); });
  }
  return id;
}

void Streams::Arrived(StreamId id) {
  Stream* stream = Find(id);
  if (stream == nullptr || stream->is_broken) return;
  // A process that is down refuses at once; one that is paused has a kernel that accepts for it.
  if (!sim_.loop.IsUp(stream->server)) return Break(id);
  stream->server_life = sim_.loop.life(stream->server);
  stream->is_server_side_up = true;
  StreamServer* server = servers_.at(stream->server);
  sim_.loop.After(absl::ZeroDuration(), stream->server, [server, id] { server->StreamOpened(id); });
  sim_.loop.At(sim_.loop.now() + network_.Delay(stream->server, stream->client), stream->client,
               stream->client_life, [this, id] {
                 Stream* s = Find(id);
                 if (s == nullptr || s->is_broken) return;
                 s->is_up = true;
                 s->callbacks.on_up();
               });
}

void Streams::Send(StreamId id, std::shared_ptr<const std::string> batch) {
  Stream* stream = Find(id);
  if (stream == nullptr || stream->is_broken) return;
  if (sim_.Happens(plan.reset_one_in)) {
    sim_.Count(Fault::kStreamReset);
    sim_.loop.After(absl::ZeroDuration(), kWorld, [this, id] { Break(id); });
  }
  if (sim_.Happens(plan.damage_one_in)) batch = Damage(*batch);
  SendDown(id, stream, std::move(batch));
}

void Streams::Send(StreamId id, const protocol::EpochProbe& probe) {
  Stream* stream = Find(id);
  if (stream == nullptr || stream->is_broken) return;
  auto& under_way = stream->down.under_way;
  if (under_way.empty() || sim_.rng.OneIn(2)) return SendDown(id, stream, probe);
  under_way.emplace_front(under_way.front().first, probe);
}

void Streams::SendDown(StreamId id, Stream* stream, Down message) {
  auto& down = stream->down;
  down.last_due =
      std::max(down.last_due, sim_.loop.now() + network_.Delay(stream->client, stream->server));
  down.under_way.emplace_back(down.last_due, std::move(message));
  if (!std::exchange(down.is_pumping, true)) {
    sim_.loop.After(down.last_due - sim_.loop.now(), kWorld, [this, id] { PumpDown(id); });
  }
}

std::shared_ptr<const std::string> Streams::Damage(const std::string& bytes) {
  sim_.Count(Fault::kMessageDamaged);
  std::string damaged = bytes;
  damaged[sim_.rng.Below(damaged.size())] ^= static_cast<char>(1 << sim_.rng.Below(8));
  return std::make_shared<const std::string>(std::move(damaged));
}

void Streams::PumpDown(StreamId id) {
  Stream* stream = Find(id);
  if (stream == nullptr) return;
  auto& down = stream->down;
  const bool is_cut = network_.IsCut(stream->client, stream->server);
  if (is_cut && IsGivenUp(id, stream, stream->client, stream->server)) return;
  StreamServer* server = servers_.at(stream->server);
  while (!is_cut && !down.under_way.empty() && down.under_way.front().first <= sim_.loop.now()) {
    stream->stalled_since = Instant::Max();
    sim_.loop.At(sim_.loop.now(), stream->server, stream->server_life,
                 [server, id, message = std::move(down.under_way.front().second)] {
                   if (const auto* probe = std::get_if<protocol::EpochProbe>(&message)) {
                     server->ProbeArrived(id, *probe);
                   } else {
                     server->BatchArrived(id, std::get<0>(message));
                   }
                 });
    down.under_way.pop_front();
  }
  down.is_pumping = !down.under_way.empty();
  if (!down.is_pumping) return;
  const absl::Duration wait = down.under_way.front().first - sim_.loop.now();
  sim_.loop.After(is_cut ? std::max(wait, kPoll) : wait, kWorld, [this, id] { PumpDown(id); });
}

bool Streams::IsGivenUp(StreamId id, Stream* stream, ProcessId from, ProcessId to) {
  if (stream->stalled_since == Instant::Max()) stream->stalled_since = sim_.loop.now();
  if (sim_.loop.now() - stream->stalled_since < plan.keepalive) return false;
  sim_.Tell("stream ", id, " given up: link ", from, " to ", to, " is cut");
  Break(id);
  return true;
}

void Streams::SendUp(StreamId id, Up message) {
  Stream* stream = Find(id);
  if (stream == nullptr || stream->is_broken) return;
  auto& up = stream->up;
  up.last_due =
      std::max(up.last_due, sim_.loop.now() + network_.Delay(stream->server, stream->client));
  up.under_way.emplace_back(up.last_due, std::move(message));
  if (!std::exchange(up.is_pumping, true)) {
    sim_.loop.After(up.last_due - sim_.loop.now(), kWorld, [this, id] { PumpUp(id); });
  }
}

void Streams::PumpUp(StreamId id) {
  Stream* stream = Find(id);
  if (stream == nullptr || stream->is_broken) return;
  auto& up = stream->up;
  const bool is_cut = network_.IsCut(stream->server, stream->client);
  if (is_cut && IsGivenUp(id, stream, stream->server, stream->client)) return;
  while (!is_cut && !up.under_way.empty() && up.under_way.front().first <= sim_.loop.now()) {
    stream->stalled_since = Instant::Max();
    sim_.loop.At(sim_.loop.now(), stream->client, stream->client_life,
                 [this, id, message = std::move(up.under_way.front().second)] {
                   Stream* s = Find(id);
                   if (s == nullptr || s->is_broken) return;
                   if (const auto* answer = std::get_if<protocol::EpochAnswer>(&message)) {
                     s->callbacks.on_answer(*answer);
                   } else {
                     s->callbacks.on_ack(std::get<0>(message));
                   }
                 });
    up.under_way.pop_front();
  }
  up.is_pumping = !up.under_way.empty();
  if (!up.is_pumping) return;
  const absl::Duration wait = up.under_way.front().first - sim_.loop.now();
  sim_.loop.After(is_cut ? std::max(wait, kPoll) : wait, kWorld, [this, id] { PumpUp(id); });
}

// The client stops using it now, and is told; the server keeps what had arrived, and in one break
// of two what is still under way too.
void Streams::Break(StreamId id) {
  Stream* stream = Find(id);
  if (stream == nullptr || std::exchange(stream->is_broken, true)) return;
  stream->is_up = false;
  if (sim_.rng.OneIn(2)) stream->down.under_way.clear();
  sim_.loop.At(sim_.loop.now(), stream->client, stream->client_life, [this, id] {
    if (Stream* s = Find(id)) s->callbacks.on_down();
  });
  StreamServer* server = servers_.at(stream->server);
  const absl::Duration linger = sim_.Between(absl::ZeroDuration(), 2 * plan.keepalive);
  sim_.loop.After(linger, kWorld, [this, id, server] {
    Stream* s = Find(id);
    if (s == nullptr) return;
    if (s->is_server_side_up) {
      sim_.loop.At(sim_.loop.now(), s->server, s->server_life,
                   [server, id] { server->StreamEnded(id); });
    }
    sim_.loop.After(absl::Seconds(30), kWorld, [this, id] { streams_.erase(id); });
  });
}

void Streams::ProcessDied(ProcessId process) {
  for (const auto& [id, stream] : streams_) {
    if (stream.is_broken || (stream.client != process && stream.server != process)) continue;
    const absl::Duration notice = sim_.Between(absl::ZeroDuration(), plan.keepalive);
    sim_.loop.After(notice, kWorld, [this, id = id] { Break(id); });
  }
}

void Streams::ResetOne() {
  std::vector<StreamId> up;
  for (const auto& [id, stream] : streams_) {
    if (stream.is_up) up.push_back(id);
  }
  if (up.empty()) return;
  sim_.Count(Fault::kStreamReset);
  Break(up[sim_.rng.Below(up.size())]);
}

}  // namespace sextant::simulation
