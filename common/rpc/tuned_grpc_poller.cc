// One thread polls for the callback API: the two functions that hand out its completion queue. See
// tuned_grpc.h.

#include <grpc/grpc.h>
#include <grpc/support/time.h>
#include <grpcpp/alarm.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/impl/codegen/completion_queue_tag.h>

#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "common/rpc/tuned_grpc.h"
#include "common/rpc/tuned_grpc_version.h"

#if SEXTANT_TUNES_GRPC
namespace {

// The queue of all channels and servers, while there are any.
struct Shared {
  std::mutex mutex;
  int users = 0;
  grpc::CompletionQueue* queue = nullptr;
  std::thread poller;

  // Wakes the poller for what is handed to it. An alarm that has gone off is an event of a kind of
  // its own; its tag is not told, but always the same.
  std::optional<grpc::Alarm> alarm;
  void* alarm_tag = nullptr;

  std::mutex handed_mutex;  // of what follows; the poller never waits for the other one
  bool has_poller = false;
  std::vector<std::function<void()>> handed;
};

// Not destroyed: channels may outlive everything.
Shared& TheShared() {
  static auto* const shared = new Shared;
  return *shared;
}

// What waits for an idle poller waits for so many callbacks at most.
constexpr int kPatience = 64;

thread_local bool is_poller = false;
thread_local std::vector<std::function<void()>> when_idle;

void Ring(Shared* shared) {
  shared->alarm->Set(shared->queue, gpr_inf_past(GPR_CLOCK_REALTIME), nullptr);
}

// The alarm may be set again.
void FinishRinging(const grpc_event& event) {
  void* tag = nullptr;
  bool ok = event.success != 0;
  static_cast<grpc::internal::CompletionQueueTag*>(event.tag)->FinalizeResult(&tag, &ok);
}

void RunHanded(Shared* shared) {
  std::vector<std::function<void()>> handed;
  {
    std::lock_guard lock(shared->handed_mutex);
    handed.swap(shared->handed);
  }
  for (const auto& work : handed) work();
}

void Poll(Shared* shared) {
  is_poller = true;
  int waited_for = 0;  // callbacks
  while (true) {
    const bool is_waited_for = !when_idle.empty();
    const gpr_timespec until =
        is_waited_for ? gpr_inf_past(GPR_CLOCK_REALTIME) : gpr_inf_future(GPR_CLOCK_REALTIME);
    const grpc_event event = grpc_completion_queue_next(shared->queue->cq(), until, nullptr);
    const bool is_idle = event.type != GRPC_OP_COMPLETE;
    if (!is_idle && event.tag == shared->alarm_tag) {
      FinishRinging(event);
      RunHanded(shared);
    } else if (!is_idle) {
      auto* const callback = static_cast<grpc_completion_queue_functor*>(event.tag);
      callback->functor_run(callback, event.success);
    }
    if (is_idle || (is_waited_for && ++waited_for >= kPatience)) {
      waited_for = 0;
      for (const auto& work : std::exchange(when_idle, {})) work();
    }
    if (event.type == GRPC_QUEUE_SHUTDOWN) return;
  }
}

}  // namespace

namespace grpc {

CompletionQueue* CompletionQueue::CallbackAlternativeCQ() {
  Shared& shared = TheShared();
  std::lock_guard lock(shared.mutex);
  if (shared.users++ == 0) {
    shared.queue = new CompletionQueue;
    shared.alarm.emplace();
    Ring(&shared);
    const grpc_event rung =
        grpc_completion_queue_next(shared.queue->cq(), gpr_inf_future(GPR_CLOCK_REALTIME), nullptr);
    shared.alarm_tag = rung.tag;
    FinishRinging(rung);
    shared.poller = std::thread(Poll, &shared);
    std::lock_guard handed_lock(shared.handed_mutex);
    shared.has_poller = true;
  }
  return shared.queue;
}

void CompletionQueue::ReleaseCallbackAlternativeCQ(CompletionQueue* queue) {
  Shared& shared = TheShared();
  std::lock_guard lock(shared.mutex);
  if (--shared.users > 0) return;
  {
    std::lock_guard handed_lock(shared.handed_mutex);
    shared.has_poller = false;
  }
  queue->Shutdown();  // what was handed over, and rung for, comes before the end
  shared.poller.join();
  shared.alarm.reset();
  delete queue;
  shared.queue = nullptr;
}

}  // namespace grpc
#endif

namespace sextant::rpc {

void LinkTunedWindows();  // tuned_grpc_windows.cc

bool WhenPollerIsIdle([[maybe_unused]] std::function<void()> work) {
#if SEXTANT_TUNES_GRPC
  if (is_poller) when_idle.push_back(std::move(work));
  return is_poller;
#else
  return false;
#endif
}

void AtPoller(std::function<void()> work) {
#if SEXTANT_TUNES_GRPC
  if (!is_poller) {
    Shared& shared = TheShared();
    std::lock_guard lock(shared.handed_mutex);
    if (shared.has_poller) {
      shared.handed.push_back(std::move(work));
      if (shared.handed.size() == 1) Ring(&shared);
      return;
    }
  }
#endif
  work();
}

bool TuneGrpc() {
  LinkTunedWindows();
  return SEXTANT_TUNES_GRPC;
}

}  // namespace sextant::rpc
