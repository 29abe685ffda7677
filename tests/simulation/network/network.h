// Network: links between processes, one per direction, each with its own weather.
//
// Two services, as gRPC gives them. A call is a request and its answer: either may be lost (the
// caller then hears UNAVAILABLE after its time-out), a request may arrive twice. A stream keeps
// order in each direction while it lasts; a reset loses what is under way, mostly. A link that is
// cut lets nothing through until it is joined: calls are lost, streams stall and are given up.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "tests/simulation/engine/sim.h"

namespace sextant::simulation {

// Weather of one direction. Chances are one in so many messages; 0 is never.
struct LinkPlan {
  absl::Duration delay_low = absl::Microseconds(50);
  absl::Duration delay_high = absl::Microseconds(500);
  uint64_t slow_one_in = 0;  // takes twenty times as long, and so overtakes and is overtaken
  uint64_t lose_one_in = 0;
  uint64_t duplicate_one_in = 0;
};

class Network {
 public:
  Network(Sim* sim, size_t max_processes)
      : sim_(*sim), size_(max_processes + 1), links_(size_ * size_) {}

  LinkPlan& plan(ProcessId from, ProcessId to) { return At(from, to).plan; }
  void Cut(ProcessId from, ProcessId to, bool is_cut) { At(from, to).is_cut = is_cut; }
  bool IsCut(ProcessId from, ProcessId to) const {
    return links_[from.value() * size_ + to.value()].is_cut;
  }
  void JoinAll();
  // Weather becomes fair: nothing is lost, doubled or slow any more.
  void Calm();

  // When a message sent now arrives; nullopt: never.
  absl::Duration Delay(ProcessId from, ProcessId to);
  bool Loses(ProcessId from, ProcessId to);

  // One call. `serve` runs at the server with a function that answers it, now or later; `done` runs
  // at the caller, once, while it lives.
  template <typename Reply>
  using Answer = std::function<void(absl::StatusOr<Reply>)>;
  template <typename Reply>
  void Call(ProcessId caller, ProcessId server, absl::Duration timeout,
            std::function<void(Answer<Reply>)> serve, Answer<Reply> done);

 private:
  struct Link {
    LinkPlan plan;
    bool is_cut = false;
  };
  Link& At(ProcessId from, ProcessId to) { return links_[from.value() * size_ + to.value()]; }

  Sim& sim_;
  const size_t size_;
  std::vector<Link> links_;
};

template <typename Reply>
void Network::Call(ProcessId caller, ProcessId server, absl::Duration timeout,
                   std::function<void(Answer<Reply>)> serve, Answer<Reply> done) {
  struct Waiting {
    Answer<Reply> done;
    uint32_t life;
  };
  EventLoop& loop = sim_.loop;
  auto waiting = std::make_shared<Waiting>(Waiting{std::move(done), loop.life(caller)});
  // Whichever of answer and time-out comes first takes `done`.
  auto finish = [waiting](absl::StatusOr<Reply> reply) {
    if (waiting->done) std::exchange(waiting->done, nullptr)(std::move(reply));
  };
  loop.After(timeout, caller,
             [finish] { finish(absl::DeadlineExceededError("simulated time-out")); });
  Answer<Reply> answer = [this, caller, server, waiting, finish](absl::StatusOr<Reply> reply) {
    if (Loses(server, caller)) return;
    sim_.loop.At(sim_.loop.now() + Delay(server, caller), caller, waiting->life,
                 [finish, reply = std::move(reply)]() mutable { finish(std::move(reply)); });
  };
  const bool is_doubled = sim_.Happens(plan(caller, server).duplicate_one_in);
  if (is_doubled) sim_.Count(Fault::kMessageDuplicated);
  for (int copy = 0; copy <= static_cast<int>(is_doubled); ++copy) {
    if (Loses(caller, server)) continue;
    loop.After(Delay(caller, server) * (copy == 0 ? 1 : 10), server,
               [serve, answer] { serve(answer); });
  }
}

}  // namespace sextant::simulation
