// Relay: loopback TCP links between nodes, each direction of which can be stalled, delayed or cut.
//
// One thread for all links. Bytes are never reordered or altered. A stalled direction is not read
// any more, so its sender fills its own buffers and learns nothing, as with packets that are
// dropped; when the stall ends, everything flows on, as after TCP's retransmission.
//
// Thread-safety: all methods from any thread.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace sextant::fault {

// What becomes of the bytes of one direction.
struct Direction {
  bool is_stalled = false;
  absl::Duration delay;
};

struct LinkFault {
  Direction there, back;  // from who connected to who listens, and the other way
  // Connections are reset, and new ones as soon as they are made.
  bool is_cut = false;
};

class Relay {
 public:
  // UNAVAILABLE: no thread or descriptors left.
  static absl::StatusOr<std::unique_ptr<Relay>> Start();
  ~Relay();  // cuts everything
  Relay(const Relay&) = delete;

  // A port of loopback on which `from` reaches `target` ("127.0.0.1:PORT"), which listens for `to`.
  // ALREADY_EXISTS: that link is there; UNAVAILABLE: no port is left.
  absl::StatusOr<int> AddLink(const std::string& from, const std::string& to,
                              const std::string& target);

  // From now on, also for connections that are open. NOT_FOUND: there is no such link.
  absl::Status Set(const std::string& from, const std::string& to, const LinkFault& fault);
  // Everything passes again.
  void HealAll();

  // Bytes passed on since the start, both directions. For what a run reports.
  uint64_t passed_bytes() const;

 private:
  class Loop;
  explicit Relay(std::unique_ptr<Loop> loop);
  std::unique_ptr<Loop> loop_;
};

}  // namespace sextant::fault
