// Window updates ride along with the next message instead of leaving alone. See tuned_grpc.h.
#include <dlfcn.h>

#include <cstdint>

#include "common/rpc/tuned_grpc_version.h"

#if SEXTANT_TUNES_GRPC
namespace {

// Given back at once when it is as much: a stream's window is 64 KiB at least (it is smaller only
// under a resource quota, which no process here sets).
constexpr uint32_t kMaxQueuedBytes = 16 << 10;

}  // namespace

// The shapes are those of gRPC 1.51.
namespace grpc_core::chttp2 {

struct FlowControlAction {
  enum class Urgency : uint8_t { kNone, kAtOnce, kWithNextWrite };
  Urgency stream_update;
  Urgency transport_update;
  Urgency initial_window_update;
  Urgency max_frame_update;
  uint32_t initial_window;
  uint32_t max_frame;
};

class StreamFlowControl {
 public:
  FlowControlAction UpdateAction(FlowControlAction action);
  uint32_t DesiredAnnounceSize() const;  // gRPC's: bytes that the peer may be given back
};

// gRPC's, except that a small update waits. What is waited for is smaller than what is left of the
// window, so the peer is never held up by it.
FlowControlAction StreamFlowControl::UpdateAction(FlowControlAction action) {
  using Urgency = FlowControlAction::Urgency;
  using Original = FlowControlAction (*)(StreamFlowControl*, FlowControlAction);
  static const auto original = reinterpret_cast<Original>(dlsym(
      RTLD_NEXT, "_ZN9grpc_core6chttp217StreamFlowControl12UpdateActionENS0_17FlowControlActionE"));
  action = original(this, action);
  if (action.stream_update == Urgency::kAtOnce && DesiredAnnounceSize() < kMaxQueuedBytes) {
    action.stream_update = Urgency::kWithNextWrite;
  }
  return action;
}

}  // namespace grpc_core::chttp2
#endif

namespace sextant::rpc {

void LinkTunedWindows() {}

}  // namespace sextant::rpc
