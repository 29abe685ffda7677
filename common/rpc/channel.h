// Client channels: how every Sextant process connects to another.
//
// A paused process, a dropped network and a dead host all look like silence. Keepalive pings end a
// connection that stays silent, so that calls fail with UNAVAILABLE instead of waiting for TCP.
// Retries are the caller's business (it knows what is safe to repeat), so gRPC's own are off.
#pragma once

#include <memory>
#include <string>

namespace grpc {
class Channel;
}

namespace sextant::rpc {

// Largest gRPC message either way: above the largest batch (log::kMaxBatchBytes) and page reply.
inline constexpr int kMaxMessageBytes = 16 * 1024 * 1024;

struct ChannelOptions {
  int keepalive_interval_ms = 2000;  // ping a connection that has been silent for so long
  int keepalive_timeout_ms = 3000;   // and close it when the ping is not answered in so long
  int connect_timeout_ms = 2000;
  int reconnect_min_ms = 50;    // first back-off after a failed connection; grows and is jittered
  int reconnect_max_ms = 2000;  // its bound
  // Own TCP connection, not shared with other channels of the process to the same address: bulk
  // transfers of one then do not delay the small messages of another.
  bool own_connection = true;
};

// A channel to "host:port". Connects lazily and reconnects for ever; never fails by itself.
std::shared_ptr<grpc::Channel> MakeChannel(const std::string& address,
                                           const ChannelOptions& options = {});

}  // namespace sextant::rpc
