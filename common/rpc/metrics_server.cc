// cpp-httplib around prometheus-cpp's registry and text format. See metrics_server.h.
#include "common/rpc/metrics_server.h"

#include <httplib.h>
#include <prometheus/collectable.h>
#include <prometheus/text_serializer.h>

#include <atomic>
#include <iterator>
#include <thread>

#include "common/base/text.h"

namespace sextant::rpc {
namespace {

constexpr int kThreads = 2;  // a scraper and a curious person

class MetricsServerImpl : public MetricsServer {
 public:
  explicit MetricsServerImpl(std::vector<std::shared_ptr<prometheus::Collectable>> collectables)
      : collectables_(std::move(collectables)) {}

  ~MetricsServerImpl() override {
    server_.stop();
    if (thread_.joinable()) thread_.join();
  }

  bool Listen(const std::string& host, int port) {
    server_.new_task_queue = [] { return new httplib::ThreadPool(kThreads); };
    // The library's own choice is SO_REUSEPORT, which lets two processes share a port unseen.
    server_.set_socket_options([](socket_t socket) {
      const int on = 1;
      setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    });
    server_.set_keep_alive_timeout(1);  // seconds; an idle scraper must not hold up a stop
    server_.Get("/metrics", [this](const httplib::Request&, httplib::Response& response) {
      response.set_content(Serialize(), "text/plain; version=0.0.4; charset=utf-8");
    });
    if (port == 0) {
      port_ = server_.bind_to_any_port(host);
    } else {
      port_ = server_.bind_to_port(host, port) ? port : -1;
    }
    if (port_ <= 0) return false;
    thread_ = std::thread([this] {
      server_.listen_after_bind();
      has_ended_ = true;
    });
    // A stop() before the loop runs would be forgotten.
    while (!server_.is_running() && !has_ended_) std::this_thread::yield();
    return !has_ended_;
  }

  int port() const override { return port_; }

 private:
  std::string Serialize() const {
    std::vector<prometheus::MetricFamily> families;
    for (const auto& collectable : collectables_) {
      auto more = collectable->Collect();
      std::move(more.begin(), more.end(), std::back_inserter(families));
    }
    return prometheus::TextSerializer().Serialize(families);
  }

  const std::vector<std::shared_ptr<prometheus::Collectable>> collectables_;
  httplib::Server server_;
  std::thread thread_;
  std::atomic<bool> has_ended_ = false;
  int port_ = -1;
};

// The port of "host:port", or -1.
int PortOf(std::string_view text) {
  int port = 0;
  for (char c : text) {
    if (c < '0' || c > '9') return -1;
    port = port * 10 + (c - '0');
    if (port > 65535) return -1;
  }
  return text.empty() ? -1 : port;
}

// "[::1]" is the host ::1.
std::string HostOf(std::string_view text) {
  if (text.size() > 2 && text.front() == '[' && text.back() == ']') {
    text = text.substr(1, text.size() - 2);
  }
  return std::string(text);
}

}  // namespace

absl::StatusOr<std::unique_ptr<MetricsServer>> MetricsServer::Start(
    const std::string& listen, std::vector<std::shared_ptr<prometheus::Collectable>> collectables) {
  const size_t colon = listen.rfind(':');
  const int port =
      colon == std::string::npos ? -1 : PortOf(std::string_view(listen).substr(colon + 1));
  auto server = std::make_unique<MetricsServerImpl>(std::move(collectables));
  if (port < 0 || !server->Listen(HostOf(std::string_view(listen).substr(0, colon)), port)) {
    return absl::UnavailableError(
        Text("cannot serve metrics on ", listen,
             ": the port is taken, or the address is not HOST:PORT of this host"));
  }
  return std::unique_ptr<MetricsServer>(std::move(server));
}

}  // namespace sextant::rpc
