// gRPC 1.51 with two of its habits replaced, for speed. Both have no setting, so the functions
// behind them are defined here, and the dynamic linker takes a program's definition before a
// library's (docs/decisions/2026-11-23-tuned-grpc.md).
//
// One poller. gRPC polls for its callback API on half as many threads as there are cores, two at
// least; after every event one of them passes the role of poller on to another, a wake-up and a
// context switch for each message. Here it is one thread, which goes on by itself. So no callback
// of gRPC may block in any process: it would hold up every call. What waits for a disk, a lock that
// is held over I/O or another call's answer belongs on a thread of its own.
//
// Window updates ride along. gRPC gives back the flow-control window of every message that is read
// in a packet of its own, at once. Here it waits for the stream's next message the other way, or
// for 16 KiB of messages, a quarter of the smallest window.
#pragma once

#include <functional>

namespace sextant::rpc {

// For whatever makes a channel or a server: the call is what links a program with our definitions,
// and links them is all it does. False: a gRPC whose inside is not known here; it is left alone.
bool TuneGrpc();

// From a callback of gRPC: does `work`, which may take about as long as a callback may, once
// nothing else has come in that waits for its callback, or after 64 more of them; false, and
// nothing is done, on any other thread. What comes in together can so be worked on together.
bool WhenPollerIsIdle(std::function<void()> work);

// From any thread: does `work`, which may take about as long as a callback may, on the poller; here
// and now if this is the poller, or if there is none. For what sends: a send's end wakes the poller
// anyway, so several are told it in one go instead of one by one.
void AtPoller(std::function<void()> work);

}  // namespace sextant::rpc
