// One thread polls for the callback API: the two functions that hand out its completion queue. See
// tuned_grpc.h.

#include <grpc/grpc.h>
#include <grpc/support/time.h>
#include <grpcpp/completion_queue.h>

#include <mutex>
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

void Poll(grpc_completion_queue* queue) {
  is_poller = true;
  int waited_for = 0;  // callbacks
  while (true) {
    const bool is_waited_for = !when_idle.empty();
    const gpr_timespec until =
        is_waited_for ? gpr_inf_past(GPR_CLOCK_REALTIME) : gpr_inf_future(GPR_CLOCK_REALTIME);
    const grpc_event event = grpc_completion_queue_next(queue, until, nullptr);
    const bool is_idle = event.type != GRPC_OP_COMPLETE;
    if (!is_idle) {
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
    shared.poller = std::thread(Poll, shared.queue->cq());
  }
  return shared.queue;
}

void CompletionQueue::ReleaseCallbackAlternativeCQ(CompletionQueue* queue) {
  Shared& shared = TheShared();
  std::lock_guard lock(shared.mutex);
  if (--shared.users > 0) return;
  queue->Shutdown();
  shared.poller.join();
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

bool TuneGrpc() {
  LinkTunedWindows();
  return SEXTANT_TUNES_GRPC;
}

}  // namespace sextant::rpc
