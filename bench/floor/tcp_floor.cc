// The raw floor: one TCP connection a replica, one thread each, nothing but bytes and counts.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "bench/floor/floor.h"
#include "bench/floor/synced_file.h"
#include "common/base/check.h"

namespace sextant::bench {
namespace {

constexpr size_t kFileBytes = 64 << 20;
constexpr size_t kBufferBytes = 1 << 20;

void SetNoDelay(int fd) {
  const int on = 1;
  SEXTANT_CHECK(::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0);
}

sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

int Connect(int port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = Loopback(port);
  SEXTANT_CHECK(::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0)
      << "connect to port " << port << ": " << std::strerror(errno);
  SetNoDelay(fd);
  return fd;
}

// Everything that has arrived is written and synced together, then acknowledged with one count.
void ServeConnection(int fd, SyncedFile* file) {
  std::vector<char> buffer(kBufferBytes);
  uint64_t received = 0;
  for (ssize_t got; (got = ::read(fd, buffer.data(), buffer.size())) > 0;) {
    file->Append(buffer.data(), static_cast<size_t>(got));
    received += static_cast<uint64_t>(got);
    const uint64_t durable = received / kRecordBytes;
    if (::write(fd, &durable, sizeof durable) != sizeof durable) return;
  }
}

class TcpDriver {
 public:
  explicit TcpDriver(const std::vector<int>& ports) : zeros_(kBufferBytes, 'x') {
    for (const int port : ports) links_.push_back({.fd = Connect(port)});
  }
  ~TcpDriver() {
    for (const Link& link : links_) ::close(link.fd);
  }

  FloorResult Run(const FloorLoad& load) {
    const auto begin = QuorumWindow::Clock::now();
    auto measured_from = begin;
    uint64_t completed_before = 0;
    bool is_measuring = false;
    Send(load.depth);
    while (true) {
      const uint64_t completed = AwaitAcks();
      const auto now = QuorumWindow::Clock::now();
      if (!is_measuring && now - begin >= load.warm_up) {
        is_measuring = true;
        measured_from = now;
        completed_before = window_.completed();
        window_.Restart();
      }
      if (is_measuring && now - measured_from >= load.measured) {
        return {window_.completed() - completed_before,
                std::chrono::duration<double>(now - measured_from).count(), window_.latency_ns()};
      }
      Send(completed);
    }
  }

 private:
  struct Link {
    int fd;
    uint64_t unsent_bytes = 0;
    char ack[sizeof(uint64_t)];
    size_t ack_bytes = 0;  // of an acknowledgement that has arrived in part
  };

  void Send(uint64_t records) {
    if (records == 0) return;
    window_.Sent(records);
    for (Link& link : links_) {
      link.unsent_bytes += records * kRecordBytes;
      Flush(&link);
    }
  }

  void Flush(Link* link) {
    while (link->unsent_bytes > 0) {
      const size_t bytes = std::min<uint64_t>(link->unsent_bytes, zeros_.size());
      const ssize_t sent = ::send(link->fd, zeros_.data(), bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
      SEXTANT_CHECK(sent > 0) << "send: " << std::strerror(errno);
      link->unsent_bytes -= static_cast<uint64_t>(sent);
    }
  }

  uint64_t AwaitAcks() {
    std::array<pollfd, kReplicas> polled{};
    for (size_t i = 0; i < links_.size(); ++i) {
      polled[i].fd = links_[i].fd;
      polled[i].events = static_cast<short>(POLLIN | (links_[i].unsent_bytes > 0 ? POLLOUT : 0));
    }
    SEXTANT_CHECK(::poll(polled.data(), polled.size(), 10'000) > 0) << "no replica answers";
    uint64_t completed = 0;
    for (size_t i = 0; i < links_.size(); ++i) {
      if ((polled[i].revents & POLLOUT) != 0) Flush(&links_[i]);
      if ((polled[i].revents & POLLIN) != 0) completed += ReadAcks(static_cast<int>(i));
    }
    return completed;
  }

  uint64_t ReadAcks(int replica) {
    Link& link = links_[replica];
    char buffer[4096];
    const ssize_t got = ::recv(link.fd, buffer, sizeof buffer, MSG_DONTWAIT);
    SEXTANT_CHECK(got > 0) << "replica " << replica << " is gone";
    uint64_t durable = 0;
    bool has_ack = false;
    for (ssize_t i = 0; i < got; ++i) {
      link.ack[link.ack_bytes++] = buffer[i];
      if (link.ack_bytes < sizeof durable) continue;
      std::memcpy(&durable, link.ack, sizeof durable);
      link.ack_bytes = 0;
      has_ack = true;
    }
    return has_ack ? window_.Acknowledged(replica, durable) : 0;
  }

  const std::vector<char> zeros_;
  std::vector<Link> links_;
  QuorumWindow window_;
};

}  // namespace

void ServeTcpReplica(const std::string& path, int ready_fd) {
  SyncedFile file(path, kFileBytes);
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = Loopback(0);
  socklen_t length = sizeof address;
  SEXTANT_CHECK(::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
                ::listen(listener, 4) == 0 &&
                ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length) == 0)
      << std::strerror(errno);
  ::dprintf(ready_fd, "%d\n", ntohs(address.sin_port));
  while (true) {
    const int fd = ::accept(listener, nullptr, nullptr);
    SEXTANT_CHECK(fd >= 0) << "accept: " << std::strerror(errno);
    SetNoDelay(fd);
    ServeConnection(fd, &file);
    ::close(fd);
  }
}

FloorResult LoadTcp(const std::vector<int>& ports, const FloorLoad& load) {
  return TcpDriver(ports).Run(load);
}

}  // namespace sextant::bench
