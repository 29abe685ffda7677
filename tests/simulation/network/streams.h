// Streams: batches and epoch probes from compute nodes to storage nodes, in order, and
// acknowledgements and answers back. A probe may overtake batches.
//
// A stream lives from Open, through a handshake, to its break; the client then opens another. Each
// side hears of the break by itself: in the meantime the server may yet take in what was under way
// (late writes), and the client may wait for acknowledgements that will never come.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "common/base/strong_int.h"
#include "common/protocol/storage_messages.h"
#include "tests/simulation/network/network.h"

namespace sextant::simulation {

using StreamId = StrongInt<struct StreamIdTag>;  // 0 is none

struct StreamPlan {
  uint64_t reset_one_in = 0;   // messages
  uint64_t damage_one_in = 0;  // of batches on their way
  absl::Duration keepalive = absl::Milliseconds(200);
};

// A storage node's end of all streams.
class StreamServer {
 public:
  virtual ~StreamServer() = default;
  virtual void StreamOpened(StreamId stream) = 0;
  virtual void BatchArrived(StreamId stream, std::shared_ptr<const std::string> bytes) = 0;
  virtual void ProbeArrived(StreamId stream, const protocol::EpochProbe& probe) = 0;
  virtual void StreamEnded(StreamId stream) = 0;
};

class Streams {
 public:
  struct Client {
    std::function<void()> on_up;
    std::function<void(const protocol::AppendAck&)> on_ack;
    std::function<void(const protocol::EpochAnswer&)> on_answer;
    std::function<void()> on_down;  // last; also when it never came up
  };

  Streams(Sim* sim, Network* network) : sim_(*sim), network_(*network) {}

  StreamPlan plan;

  void AddServer(ProcessId process, StreamServer* server) { servers_[process] = server; }

  // --- the client's side
  StreamId Open(ProcessId client, ProcessId server, Client callbacks);
  void Send(StreamId stream, std::shared_ptr<const std::string> batch);
  void Send(StreamId stream, const protocol::EpochProbe& probe);
  // --- the server's side
  void Ack(StreamId stream, const protocol::AppendAck& ack) { SendUp(stream, ack); }
  void Answer(StreamId stream, const protocol::EpochAnswer& answer) { SendUp(stream, answer); }

  // The process is gone: the other end of each of its streams hears of it in a while.
  void ProcessDied(ProcessId process);
  // Breaks one of the streams that are up, if there is any.
  void ResetOne();

 private:
  using Down = std::variant<std::shared_ptr<const std::string>, protocol::EpochProbe>;
  using Up = std::variant<protocol::AppendAck, protocol::EpochAnswer>;

  template <typename Message>
  struct Direction {
    std::deque<std::pair<Instant, Message>> under_way;  // with when it is due
    Instant last_due;
    bool is_pumping = false;
  };
  struct Stream {
    ProcessId client, server;
    uint32_t client_life = 0, server_life = 0;
    Client callbacks;
    bool is_up = false;  // the client's view
    bool is_server_side_up = false;
    bool is_broken = false;
    Direction<Down> down;
    Direction<Up> up;
    Instant stalled_since = Instant::Max();
  };

  Stream* Find(StreamId stream);
  void SendDown(StreamId id, Stream* stream, Down message);
  void SendUp(StreamId id, Up message);
  void Arrived(StreamId stream);  // the handshake at the server
  void PumpDown(StreamId id);
  void PumpUp(StreamId id);
  // Whether a stalled direction has waited too long; breaks the stream then.
  bool IsGivenUp(StreamId id, Stream* stream, ProcessId from, ProcessId to);
  std::shared_ptr<const std::string> Damage(const std::string& bytes);
  void Break(StreamId id);

  Sim& sim_;
  Network& network_;
  std::map<ProcessId, StreamServer*> servers_;
  std::map<StreamId, Stream> streams_;
  StreamId last_;
};

}  // namespace sextant::simulation
