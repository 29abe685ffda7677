// Start and stop of the gRPC and metrics ports, the ready file, signals. See server.h.
#include "common/rpc/server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <prometheus/registry.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <fstream>
#include <mutex>
#include <nlohmann/json.hpp>

#include "absl/synchronization/mutex.h"
#include "common/base/status.h"
#include "common/base/text.h"
#include "common/rpc/channel.h"
#include "common/rpc/metrics_server.h"
#include "common/rpc/tuned_grpc.h"

namespace sextant::rpc {
namespace {

// "host:port" with its port replaced by the one that was bound.
std::string WithPort(const std::string& address, int port) {
  return Text(address.substr(0, address.rfind(':') + 1), port);
}

absl::Status CheckAddress(const std::string& flag, const std::string& address) {
  const size_t colon = address.rfind(':');
  if (colon != std::string::npos && colon + 1 < address.size() && colon > 0) return {};
  return absl::InvalidArgumentError(
      Text(flag, " \"", address, "\" is not HOST:PORT, for example 127.0.0.1:7001"));
}

// Written aside and renamed: whoever sees the file sees all of it.
absl::Status WriteReadyFile(const std::string& path, const std::string& listen,
                            const std::string& metrics) {
  const nlohmann::json ready = {{"listen", listen}, {"metrics", metrics}, {"pid", getpid()}};
  const std::string aside = Text(path, ".", getpid());
  std::ofstream file(aside);
  file << ready.dump() << "\n";
  file.close();
  if (!file || std::rename(aside.c_str(), path.c_str()) != 0) {
    std::remove(aside.c_str());
    return absl::UnavailableError(
        Text("cannot write the ready file ", path, ": does its folder exist, is it writable?"));
  }
  return absl::OkStatus();
}

class ServerImpl : public Server {
 public:
  ~ServerImpl() override { Stop(); }

  absl::Status Listen(const ServerOptions& options, const std::vector<grpc::Service*>& services) {
    TuneGrpc();
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort(options.listen, grpc::InsecureServerCredentials(), &port);
    builder.SetMaxReceiveMessageSize(kMaxMessageBytes);
    builder.SetMaxSendMessageSize(kMaxMessageBytes);
    // Without this two servers may share one port, each with half of the connections.
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    // Accept the keepalive pings that MakeChannel's clients send, however often.
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
    builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 100);
    builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PING_STRIKES, 0);
    for (grpc::Service* service : services) builder.RegisterService(service);
    server_ = builder.BuildAndStart();
    if (server_ == nullptr || port == 0) {
      return absl::UnavailableError(
          Text("cannot listen on ", options.listen,
               ": the port is taken, or the address is not of this host"));
    }
    address_ = WithPort(options.listen, port);
    SetReady(false);
    return absl::OkStatus();
  }

  absl::Status ExposeMetrics(const std::string& listen,
                             std::shared_ptr<prometheus::Registry> metrics,
                             std::vector<std::shared_ptr<prometheus::Collectable>> collectables) {
    if (metrics != nullptr) collectables.push_back(std::move(metrics));
    ASSIGN_OR_RETURN(metrics_, MetricsServer::Start(listen, std::move(collectables)));
    metrics_address_ = WithPort(listen, metrics_->port());
    return absl::OkStatus();
  }

  const std::string& address() const override { return address_; }
  const std::string& metrics_address() const override { return metrics_address_; }

  void SetReady(bool is_ready) override {
    server_->GetHealthCheckService()->SetServingStatus(is_ready);
  }

  void Stop(int grace_ms) override {
    std::lock_guard lock(stop_mutex_);
    if (is_stopped_) return;
    is_stopped_ = true;
    if (server_ != nullptr) {
      server_->GetHealthCheckService()->Shutdown();
      server_->Shutdown(std::chrono::system_clock::now() + std::chrono::milliseconds(grace_ms));
      server_->Wait();
    }
    metrics_.reset();
  }
  void Stop() { Stop(kDefaultGraceMs); }

 private:
  static constexpr int kDefaultGraceMs = 3000;

  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<MetricsServer> metrics_;
  std::string address_;
  std::string metrics_address_;
  std::mutex stop_mutex_;
  bool is_stopped_ = false;
};

sigset_t StopSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  return signals;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Server>> Server::Start(
    const ServerOptions& options, const std::vector<grpc::Service*>& services,
    std::shared_ptr<prometheus::Registry> metrics,
    std::vector<std::shared_ptr<prometheus::Collectable>> collectables) {
  RETURN_IF_ERROR(CheckAddress("listen address", options.listen));
  // A file left by an earlier process would name ports that nobody serves.
  if (!options.ready_file.empty()) std::remove(options.ready_file.c_str());
  auto server = std::make_unique<ServerImpl>();
  RETURN_IF_ERROR(server->Listen(options, services));
  if (!options.metrics_listen.empty()) {
    RETURN_IF_ERROR(CheckAddress("metrics address", options.metrics_listen));
    RETURN_IF_ERROR(
        server->ExposeMetrics(options.metrics_listen, std::move(metrics), std::move(collectables)));
  }
  if (!options.ready_file.empty()) {
    RETURN_IF_ERROR(
        WriteReadyFile(options.ready_file, server->address(), server->metrics_address()));
  }
  return std::unique_ptr<Server>(std::move(server));
}

void PrepareServerProcess() {
  const sigset_t signals = StopSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);  // a peer that hangs up is an error of that call, not of the process
  // Debian builds Abseil with its lock-order checker on; gRPC's locks pay for it on every message.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
}

int WaitForStopSignal() {
  const sigset_t signals = StopSignals();
  int received = 0;
  while (sigwait(&signals, &received) != 0) {
  }
  return received;
}

}  // namespace sextant::rpc
