// See traffic_meter.h.
#include "cli/compare/traffic_meter.h"

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <utility>

#include "cli/cluster/process.h"
#include "common/base/status.h"
#include "common/base/text.h"

namespace sextant::cli {
namespace {

struct TcpSocket {
  uint64_t inode = 0;
  std::pair<uint16_t, uint16_t> ports;  // here, there
  uint64_t bytes_sent = 0, segments_sent = 0;
};

class Netlink {
 public:
  Netlink() : fd_(::socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG)) {}
  ~Netlink() {
    if (fd_ >= 0) ::close(fd_);
  }
  Netlink(const Netlink&) = delete;

  // All TCP sockets of an address family, AF_INET or AF_INET6.
  absl::Status Dump(uint8_t family, std::vector<TcpSocket>* sockets) {
    struct {
      nlmsghdr header;
      inet_diag_req_v2 request;
    } message{};
    message.header.nlmsg_len = sizeof message;
    message.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
    message.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    message.request.sdiag_family = family;
    message.request.sdiag_protocol = IPPROTO_TCP;
    message.request.idiag_states = ~0u;
    message.request.idiag_ext = 1 << (INET_DIAG_INFO - 1);
    if (::send(fd_, &message, sizeof message, 0) < 0) return Failed();
    for (;;) {
      const ssize_t got = ::recv(fd_, buffer_.data(), buffer_.size(), 0);
      if (got < 0) return Failed();
      auto length = static_cast<unsigned>(got);
      for (auto* at = reinterpret_cast<nlmsghdr*>(buffer_.data()); NLMSG_OK(at, length);
           at = NLMSG_NEXT(at, length)) {
        if (at->nlmsg_type == NLMSG_DONE) return absl::OkStatus();
        if (at->nlmsg_type == NLMSG_ERROR) return Failed();
        sockets->push_back(Parse(at));
      }
    }
  }

 private:
  static absl::Status Failed() {
    return absl::UnavailableError(Text("the kernel does not list sockets: ", std::strerror(errno)));
  }

  static TcpSocket Parse(nlmsghdr* message) {
    auto* const socket = static_cast<inet_diag_msg*>(NLMSG_DATA(message));
    TcpSocket parsed{.inode = socket->idiag_inode,
                     .ports = {ntohs(socket->id.idiag_sport), ntohs(socket->id.idiag_dport)}};
    auto length = static_cast<int>(message->nlmsg_len - NLMSG_LENGTH(sizeof *socket));
    for (auto* at = reinterpret_cast<rtattr*>(socket + 1); RTA_OK(at, length);
         at = RTA_NEXT(at, length)) {
      if (at->rta_type != INET_DIAG_INFO) continue;
      tcp_info info{};
      std::memcpy(&info, RTA_DATA(at), std::min<size_t>(sizeof info, RTA_PAYLOAD(at)));
      parsed.bytes_sent = info.tcpi_bytes_sent;
      parsed.segments_sent = info.tcpi_data_segs_out;
    }
    return parsed;
  }

  const int fd_;
  alignas(nlmsghdr) std::array<char, 1 << 16> buffer_;
};

// Inodes of the sockets that a process has open.
std::set<uint64_t> SocketsOf(pid_t pid) {
  std::set<uint64_t> inodes;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(Text("/proc/", pid, "/fd"), error)) {
    const std::string target = std::filesystem::read_symlink(entry.path(), error).string();
    constexpr std::string_view kSocket = "socket:[";
    if (!error && target.rfind(kSocket, 0) == 0) {
      inodes.insert(std::strtoull(target.c_str() + kSocket.size(), nullptr, 10));
    }
    error.clear();
  }
  return inodes;
}

absl::StatusOr<uint64_t> DiskBytes(pid_t pid) {
  std::ifstream file(Text("/proc/", pid, "/io"));
  std::string key;
  uint64_t value = 0;
  while (file >> key >> value) {
    if (key == "write_bytes:") return value;
  }
  return absl::UnavailableError(Text("/proc/", pid, "/io does not say what was written"));
}

absl::StatusOr<double> CpuSeconds(pid_t pid) {
  const std::optional<ProcessStat> stat = ReadProcessStat(pid);
  if (!stat) return absl::UnavailableError(Text("process ", pid, " is gone"));
  return static_cast<double>(stat->cpu_ticks) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

void AddSwitches(pid_t pid, std::map<pid_t, uint64_t>* switches) {
  std::error_code error;
  for (const auto& task :
       std::filesystem::directory_iterator(Text("/proc/", pid, "/task"), error)) {
    std::ifstream file(task.path() / "status");
    uint64_t total = 0;
    for (std::string line; std::getline(file, line);) {
      if (line.find("voluntary_ctxt_switches:") != std::string::npos) {  // nonvoluntary_, too
        total += std::strtoull(line.c_str() + line.find(':') + 1, nullptr, 10);
      }
    }
    (*switches)[static_cast<pid_t>(std::atol(task.path().filename().c_str()))] = total;
  }
}

}  // namespace

absl::StatusOr<TrafficMeter::Sample> TrafficMeter::Take() const {
  Sample sample;
  std::set<uint64_t> inodes;
  for (const pid_t pid : processes_) {
    ASSIGN_OR_RETURN(const uint64_t bytes, DiskBytes(pid));
    sample.disk_bytes += bytes;
    ASSIGN_OR_RETURN(const double cpu_seconds, CpuSeconds(pid));
    sample.cpu_seconds += cpu_seconds;
    AddSwitches(pid, &sample.switches);
    inodes.merge(SocketsOf(pid));
  }
  std::vector<TcpSocket> sockets;
  Netlink netlink;
  RETURN_IF_ERROR(netlink.Dump(AF_INET, &sockets));
  RETURN_IF_ERROR(netlink.Dump(AF_INET6, &sockets));
  std::set<std::pair<uint16_t, uint16_t>> ends;
  for (const TcpSocket& socket : sockets) {
    if (inodes.contains(socket.inode)) ends.insert(socket.ports);
  }
  for (const TcpSocket& socket : sockets) {
    if (!inodes.contains(socket.inode)) continue;
    if (!ends.contains({socket.ports.second, socket.ports.first})) continue;
    sample.sockets[socket.inode] = {socket.bytes_sent, socket.segments_sent};
  }
  return sample;
}

absl::Status TrafficMeter::Begin() {
  ASSIGN_OR_RETURN(begin_, Take());
  return absl::OkStatus();
}

absl::StatusOr<Traffic> TrafficMeter::Read() const {
  ASSIGN_OR_RETURN(const Sample now, Take());
  Traffic traffic{.disk_bytes = now.disk_bytes - begin_.disk_bytes,
                  .cpu_seconds = now.cpu_seconds - begin_.cpu_seconds};
  for (const auto& [thread, count] : now.switches) {
    const auto before = begin_.switches.find(thread);
    if (before != begin_.switches.end()) traffic.context_switches += count - before->second;
  }
  for (const auto& [inode, sent] : now.sockets) {
    const auto before = begin_.sockets.find(inode);
    const Sent from = before == begin_.sockets.end() ? Sent{} : before->second;
    traffic.network_bytes += sent.bytes - from.bytes;
    traffic.network_writes += sent.segments - from.segments;
  }
  return traffic;
}

}  // namespace sextant::cli
