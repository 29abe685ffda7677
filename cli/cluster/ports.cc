// Free ports: tried by binding.
#include "cli/cluster/ports.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <random>
#include <string>

#include "common/base/prng.h"
#include "common/base/text.h"

namespace sextant::cli {
namespace {

constexpr uint16_t kLowest = 15000;
constexpr uint16_t kHighest = 31999;  // Linux hands out 32768 and above by itself

bool IsFree(uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  const int on = 1;  // as gRPC does: a port in TIME_WAIT counts as free
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  const bool is_bound =
      bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 && listen(fd, 1) == 0;
  close(fd);
  return is_bound;
}

// Two that look for ports at the same time, or one while a node of the other is down, would find
// the same ones free. So whoever picks a port first takes its name among the abstract sockets,
// which the kernel gives back when the process ends; nothing is ever sent there. Returns the
// descriptor that holds it, or -1: somebody has it.
int Reserve(uint16_t port) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  const std::string name = Text("sextant-port-", port);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  name.copy(address.sun_path + 1, sizeof address.sun_path - 1);  // the zero before it: abstract
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0) return fd;
  close(fd);
  return -1;
}

}  // namespace

absl::StatusOr<std::vector<uint16_t>> PickFreePorts(int count) {
  Prng prng((uint64_t{std::random_device{}()} << 32) | std::random_device{}());
  std::vector<uint16_t> ports;
  for (int tries = 0; tries < 1000 && static_cast<int>(ports.size()) < count; ++tries) {
    const auto port = static_cast<uint16_t>(prng.Between(kLowest, kHighest));
    const int reservation = Reserve(port);  // before it is tried: that would be in a node's way
    if (reservation < 0) continue;
    if (IsFree(port)) {
      ports.push_back(port);  // and the reservation stays open
    } else {
      close(reservation);
    }
  }
  if (static_cast<int>(ports.size()) < count) {
    return absl::UnavailableError(Text("found no ", count, " free ports on 127.0.0.1 between ",
                                       kLowest, " and ", kHighest, "; stop what listens there"));
  }
  return ports;
}

}  // namespace sextant::cli
