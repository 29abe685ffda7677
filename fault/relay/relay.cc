// See relay.h.
#include "fault/relay/relay.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "common/base/check.h"
#include "common/base/text.h"

namespace sextant::fault {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kChunkBytes = 64 << 10;
// Held back in one direction of one connection; beyond it the sender's own buffers fill.
constexpr size_t kMaxHeldBytes = 1 << 20;

absl::Status Failed(const char* what) {
  return absl::UnavailableError(Text("relay: ", what, ": ", std::strerror(errno)));
}

sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

int PortOf(const std::string& address) {
  const size_t colon = address.rfind(':');
  return colon == std::string::npos ? 0 : std::atoi(address.c_str() + colon + 1);
}

void CloseWithReset(int fd) {
  const linger now = {.l_onoff = 1, .l_linger = 0};
  ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  ::close(fd);
}

struct Link {
  std::string from, to;
  int target_port = 0;
  int listener = -1;
  LinkFault fault;
};

// Bytes on their way from one socket to the other.
struct Pipe {
  struct Chunk {
    Clock::time_point due;
    std::string bytes;
  };
  int in = -1, out = -1;
  std::deque<Chunk> chunks;
  size_t held_bytes = 0;
  size_t sent_of_first = 0;
  bool has_ended = false;  // the sender has closed
  bool has_told = false;   // ... and the receiver knows
  bool is_broken =
      false;  // the sender has gone while it was stalled: the receiver must not know yet
};

struct Connection {
  Link* link = nullptr;
  Pipe there, back;
  bool is_connecting = true;
};

}  // namespace

class Relay::Loop {
 public:
  Loop()
      : epoll_(::epoll_create1(EPOLL_CLOEXEC)), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
  ~Loop() {
    if (thread_.joinable()) {
      is_stopping_ = true;
      Wake();
      thread_.join();
    }
    while (!connections_.empty()) Reset(connections_.begin()->second.get());
    for (const auto& [name, link] : links_) ::close(link->listener);
    ::close(epoll_);
    ::close(wake_);
  }

  absl::Status Start() {
    if (epoll_ < 0 || wake_ < 0) return Failed("epoll");
    Watch(wake_, EPOLLIN);
    thread_ = std::thread([this] { Run(); });
    return absl::OkStatus();
  }

  absl::StatusOr<int> AddLink(const std::string& from, const std::string& to, int target_port) {
    const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener < 0) return Failed("socket");
    sockaddr_in address = Loopback(0);
    socklen_t length = sizeof address;
    if (::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(listener, 64) != 0 ||
        ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length) != 0) {
      ::close(listener);
      return Failed("listen");
    }
    std::lock_guard lock(mutex_);
    auto link = std::make_unique<Link>(Link{from, to, target_port, listener, {}});
    const auto [place, is_new] = links_.emplace(std::pair(from, to), std::move(link));
    if (!is_new) {
      ::close(listener);
      return absl::AlreadyExistsError(Text("relay: there is a link from ", from, " to ", to));
    }
    listeners_[listener] = place->second.get();
    Watch(listener, EPOLLIN);
    return ntohs(address.sin_port);
  }

  absl::Status Set(const std::string& from, const std::string& to, const LinkFault& fault) {
    std::lock_guard lock(mutex_);
    const auto link = links_.find({from, to});
    if (link == links_.end()) {
      return absl::NotFoundError(Text("relay: no link from ", from, " to ", to));
    }
    link->second->fault = fault;
    Wake();
    return absl::OkStatus();
  }

  void HealAll() {
    std::lock_guard lock(mutex_);
    for (const auto& [name, link] : links_) link->fault = {};
    Wake();
  }

  uint64_t passed_bytes() const { return passed_bytes_; }

 private:
  void Wake() {
    const uint64_t one = 1;
    // Full means that it is awake anyway.
    [[maybe_unused]] const ssize_t written = ::write(wake_, &one, sizeof one);
  }

  void Watch(int fd, uint32_t events) {
    epoll_event event{.events = events, .data = {.fd = fd}};
    SEXTANT_CHECK(::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) == 0) << std::strerror(errno);
  }
  void Rewatch(int fd, uint32_t events) {
    epoll_event event{.events = events, .data = {.fd = fd}};
    SEXTANT_CHECK(::epoll_ctl(epoll_, EPOLL_CTL_MOD, fd, &event) == 0) << std::strerror(errno);
  }

  void Run() {
    std::vector<epoll_event> events(64);
    while (!is_stopping_) {
      const int count =
          ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), TimeoutMs());
      std::lock_guard lock(mutex_);
      for (int i = 0; i < count; ++i) Handle(events[i].data.fd, events[i].events);
      Pump();
    }
  }

  void Handle(int fd, uint32_t events) {
    if (fd == wake_) {
      uint64_t ignored;
      [[maybe_unused]] const ssize_t got = ::read(wake_, &ignored, sizeof ignored);
    } else if (const auto listener = listeners_.find(fd); listener != listeners_.end()) {
      Accept(listener->second);
    } else if (const auto connection = sockets_.find(fd); connection != sockets_.end()) {
      if ((events & EPOLLOUT) != 0) connection->second->is_connecting = false;
      if ((events & (EPOLLERR | EPOLLHUP)) != 0) Broke(fd, connection->second);
    }
  }

  // Reading tells what it is, once the direction is not stalled.
  void Broke(int fd, Connection* connection) {
    const bool is_there = connection->there.in == fd;
    Pipe& pipe = is_there ? connection->there : connection->back;
    const LinkFault& fault = connection->link->fault;
    if (!(is_there ? fault.there : fault.back).is_stalled || pipe.is_broken) return;
    pipe.is_broken = true;
    ::epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr);  // or it would be told of for ever
  }

  void Accept(Link* link) {
    while (true) {
      const int from = ::accept4(link->listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
      if (from < 0) return;
      const int to = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
      const sockaddr_in address = Loopback(link->target_port);
      if (link->fault.is_cut || to < 0 ||
          (::connect(to, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 &&
           errno != EINPROGRESS)) {
        CloseWithReset(from);
        if (to >= 0) ::close(to);
        continue;
      }
      const int on = 1;
      ::setsockopt(from, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      ::setsockopt(to, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      auto connection = std::make_unique<Connection>();
      connection->link = link;
      connection->there.in = connection->back.out = from;
      connection->there.out = connection->back.in = to;
      sockets_[from] = sockets_[to] = connection.get();
      Watch(from, EPOLLIN | EPOLLRDHUP);
      Watch(to, EPOLLIN | EPOLLOUT | EPOLLRDHUP);
      Connection* const key = connection.get();
      connections_.emplace(key, std::move(connection));
    }
  }

  // Moves what may move, on every connection: links are few, and a test's load is small.
  void Pump() {
    std::vector<Connection*> open;
    for (const auto& [connection, owned] : connections_) open.push_back(connection);
    for (Connection* const connection : open) {
      const LinkFault& fault = connection->link->fault;
      if (fault.is_cut || !Move(connection, &connection->there, fault.there) ||
          !Move(connection, &connection->back, fault.back)) {
        Reset(connection);
      } else if (connection->there.has_told && connection->back.has_told) {
        Reset(connection);
      } else {
        SetInterest(*connection);
      }
    }
  }

  // False: the connection is broken.
  bool Move(Connection* connection, Pipe* pipe, const Direction& direction) {
    if (direction.is_stalled) return true;
    if (pipe->is_broken) return false;
    const Clock::time_point now = Clock::now();
    char buffer[kChunkBytes];
    while (!pipe->has_ended && pipe->held_bytes < kMaxHeldBytes) {
      const ssize_t got = ::recv(pipe->in, buffer, sizeof buffer, MSG_DONTWAIT);
      if (got < 0 && (errno == EAGAIN || errno == ENOTCONN)) break;
      if (got < 0) return false;
      if (got == 0) {
        pipe->has_ended = true;
        break;
      }
      pipe->chunks.push_back({now + absl::ToChronoNanoseconds(direction.delay),
                              std::string(buffer, static_cast<size_t>(got))});
      pipe->held_bytes += static_cast<size_t>(got);
    }
    return Deliver(*connection, pipe, now);
  }

  bool Deliver(const Connection& connection, Pipe* pipe, Clock::time_point now) {
    if (pipe == &connection.there && connection.is_connecting) return true;
    while (!pipe->chunks.empty() && pipe->chunks.front().due <= now) {
      const std::string& bytes = pipe->chunks.front().bytes;
      const ssize_t sent = ::send(pipe->out, bytes.data() + pipe->sent_of_first,
                                  bytes.size() - pipe->sent_of_first, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (sent < 0) return errno == EAGAIN;
      passed_bytes_ += static_cast<uint64_t>(sent);
      pipe->sent_of_first += static_cast<size_t>(sent);
      if (pipe->sent_of_first < bytes.size()) return true;
      pipe->held_bytes -= bytes.size();
      pipe->sent_of_first = 0;
      pipe->chunks.pop_front();
    }
    if (pipe->has_ended && !pipe->has_told && pipe->chunks.empty()) {
      pipe->has_told = true;
      ::shutdown(pipe->out, SHUT_WR);
    }
    return true;
  }

  void SetInterest(const Connection& connection) {
    const LinkFault& fault = connection.link->fault;
    const Pipe &there = connection.there, &back = connection.back;
    if (!there.is_broken) Rewatch(there.in, Interest(there, fault.there, back, fault.back));
    if (!back.is_broken) {
      Rewatch(back.in, Interest(back, fault.back, there, fault.there) |
                           (connection.is_connecting ? EPOLLOUT : 0u));
    }
  }

  // Of the socket that `in` reads from and `out` writes to.
  uint32_t Interest(const Pipe& in, const Direction& inward, const Pipe& out,
                    const Direction& outward) const {
    uint32_t events = 0;
    if (!inward.is_stalled && !in.has_ended && in.held_bytes < kMaxHeldBytes) events |= EPOLLIN;
    const bool is_due = !out.chunks.empty() && out.chunks.front().due <= Clock::now();
    if (!outward.is_stalled && is_due) events |= EPOLLOUT;
    return events;
  }

  int TimeoutMs() {
    std::lock_guard lock(mutex_);
    Clock::time_point next = Clock::time_point::max();
    for (const auto& [connection, owned] : connections_) {
      const LinkFault& fault = connection->link->fault;
      if (!fault.there.is_stalled && !connection->there.chunks.empty()) {
        next = std::min(next, connection->there.chunks.front().due);
      }
      if (!fault.back.is_stalled && !connection->back.chunks.empty()) {
        next = std::min(next, connection->back.chunks.front().due);
      }
    }
    if (next == Clock::time_point::max()) return -1;
    const auto now = Clock::now();
    // Due and not gone: its receiver takes nothing, and epoll tells when it does.
    if (next <= now) return 1000;
    return static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(next - now).count());
  }

  void Reset(Connection* connection) {
    for (const int fd : {connection->there.in, connection->back.in}) {
      sockets_.erase(fd);
      ::epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr);
      CloseWithReset(fd);
    }
    connections_.erase(connection);
  }

  const int epoll_, wake_;
  std::atomic<bool> is_stopping_{false};
  std::atomic<uint64_t> passed_bytes_{0};
  std::mutex mutex_;                                                            // of all below
  std::map<std::pair<std::string, std::string>, std::unique_ptr<Link>> links_;  // from, to
  std::map<int, Link*> listeners_;                                              // by descriptor
  std::map<Connection*, std::unique_ptr<Connection>> connections_;
  std::map<int, Connection*> sockets_;  // both of each
  std::thread thread_;
};

Relay::Relay(std::unique_ptr<Loop> loop) : loop_(std::move(loop)) {}
Relay::~Relay() = default;

absl::StatusOr<std::unique_ptr<Relay>> Relay::Start() {
  auto loop = std::make_unique<Loop>();
  if (const absl::Status started = loop->Start(); !started.ok()) return started;
  return std::unique_ptr<Relay>(new Relay(std::move(loop)));
}

absl::StatusOr<int> Relay::AddLink(const std::string& from, const std::string& to,
                                   const std::string& target) {
  return loop_->AddLink(from, to, PortOf(target));
}

absl::Status Relay::Set(const std::string& from, const std::string& to, const LinkFault& fault) {
  return loop_->Set(from, to, fault);
}

void Relay::HealAll() { loop_->HealAll(); }

uint64_t Relay::passed_bytes() const { return loop_->passed_bytes(); }

}  // namespace sextant::fault
