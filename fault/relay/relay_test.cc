// The relay against plain sockets: what passes, what is held back, who is told.
#include "fault/relay/relay.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>
#include <utility>

namespace sextant::fault {
namespace {

constexpr int kGenerousMs = 20'000;

sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

// One listener behind the relay, and connections through it.
class RelayTest : public ::testing::Test {
 protected:
  RelayTest() : relay_(*Relay::Start()) {
    listener_ = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address = Loopback(0);
    socklen_t length = sizeof address;
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(listener_, 8), 0);
    EXPECT_EQ(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length), 0);
    const auto port =
        relay_->AddLink("a", "b", "127.0.0.1:" + std::to_string(ntohs(address.sin_port)));
    EXPECT_TRUE(port.ok()) << port.status();
    port_ = *port;
  }
  ~RelayTest() override {
    for (const int fd : {listener_, client_, server_}) {
      if (fd >= 0) ::close(fd);
    }
  }

  void Connect() {
    client_ = ::socket(AF_INET, SOCK_STREAM, 0);
    const sockaddr_in address = Loopback(port_);
    ASSERT_EQ(::connect(client_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  }
  void Open() {
    Connect();
    ASSERT_TRUE(IsReadable(listener_));
    server_ = ::accept(listener_, nullptr, nullptr);
    ASSERT_GE(server_, 0);
  }

  static bool IsReadable(int fd, int timeout_ms = kGenerousMs) {
    pollfd polled{.fd = fd, .events = POLLIN, .revents = 0};
    return ::poll(&polled, 1, timeout_ms) == 1;
  }
  static void Send(int fd, const std::string& text) {
    ASSERT_EQ(::send(fd, text.data(), text.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(text.size()));
  }
  static std::string Receive(int fd, size_t bytes) {
    std::string text;
    while (text.size() < bytes && IsReadable(fd)) {
      char buffer[4096];
      const ssize_t got = ::recv(fd, buffer, std::min(sizeof buffer, bytes - text.size()), 0);
      if (got <= 0) break;
      text.append(buffer, static_cast<size_t>(got));
    }
    return text;
  }
  // True: reset or closed.
  static bool HasEnded(int fd) {
    char byte;
    return IsReadable(fd) && ::recv(fd, &byte, 1, 0) <= 0;
  }

  std::unique_ptr<Relay> relay_;
  int port_ = 0;
  int listener_ = -1, client_ = -1, server_ = -1;
};

TEST_F(RelayTest, PassesBytesBothWaysInOrder) {
  Open();
  std::string large(3 << 20, 'x');
  for (size_t i = 0; i < large.size(); i += 1000) large[i] = static_cast<char>('a' + i % 23);
  Send(client_, "there");
  EXPECT_EQ(Receive(server_, 5), "there");
  std::thread sender([&] { Send(server_, large); });
  EXPECT_EQ(Receive(client_, large.size()), large);
  sender.join();
  EXPECT_EQ(relay_->passed_bytes(), 5 + large.size());
}

TEST_F(RelayTest, AStalledDirectionHoldsItsBytesUntilItHeals) {
  Open();
  ASSERT_TRUE(relay_->Set("a", "b", {.there = {.is_stalled = true}}).ok());
  Send(client_, "held");
  Send(server_, "passes");  // proof that the relay has been at work since
  EXPECT_EQ(Receive(client_, 6), "passes");
  EXPECT_FALSE(IsReadable(server_, 0));
  relay_->HealAll();
  EXPECT_EQ(Receive(server_, 4), "held");
}

TEST_F(RelayTest, AConnectionThroughAStalledLinkOpensAndHearsNothing) {
  ASSERT_TRUE(
      relay_->Set("a", "b", {.there = {.is_stalled = true}, .back = {.is_stalled = true}}).ok());
  Open();
  Send(client_, "question");
  Send(server_, "answer");
  EXPECT_FALSE(IsReadable(client_, 50));
  EXPECT_FALSE(IsReadable(server_, 0));
  relay_->HealAll();
  EXPECT_EQ(Receive(server_, 8), "question");
  EXPECT_EQ(Receive(client_, 6), "answer");
}

TEST_F(RelayTest, NobodyIsToldOfADeathBehindAStall) {
  Open();
  ASSERT_TRUE(
      relay_->Set("a", "b", {.there = {.is_stalled = true}, .back = {.is_stalled = true}}).ok());
  const linger reset = {.l_onoff = 1, .l_linger = 0};
  ::setsockopt(server_, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  ::close(std::exchange(server_, -1));
  EXPECT_FALSE(IsReadable(client_, 50));
  relay_->HealAll();
  EXPECT_TRUE(HasEnded(client_));
}

TEST_F(RelayTest, ADelayKeepsTheOrder) {
  Open();
  ASSERT_TRUE(relay_->Set("a", "b", {.there = {.delay = absl::Milliseconds(30)}}).ok());
  const absl::Time before = absl::Now();
  Send(client_, "first ");
  Send(client_, "second");
  EXPECT_EQ(Receive(server_, 12), "first second");
  EXPECT_GE(absl::Now() - before, absl::Milliseconds(30));
}

TEST_F(RelayTest, ACutResetsWhatIsOpenAndWhatIsMade) {
  Open();
  ASSERT_TRUE(relay_->Set("a", "b", {.is_cut = true}).ok());
  EXPECT_TRUE(HasEnded(client_));
  EXPECT_TRUE(HasEnded(server_));
  ::close(client_);
  Connect();
  EXPECT_TRUE(HasEnded(client_));
  relay_->HealAll();
  ::close(client_);
  ::close(server_);
  Open();
  Send(client_, "again");
  EXPECT_EQ(Receive(server_, 5), "again");
}

TEST_F(RelayTest, AnEndIsPassedOn) {
  Open();
  Send(client_, "bye");
  ::shutdown(client_, SHUT_WR);
  EXPECT_EQ(Receive(server_, 3), "bye");
  EXPECT_TRUE(HasEnded(server_));
  Send(server_, "reply");  // the other direction lives on
  EXPECT_EQ(Receive(client_, 5), "reply");
}

TEST_F(RelayTest, TellsOfLinksThatAreNotThere) {
  EXPECT_TRUE(absl::IsNotFound(relay_->Set("b", "a", {})));
  EXPECT_TRUE(absl::IsAlreadyExists(relay_->AddLink("a", "b", "127.0.0.1:1").status()));
}

TEST_F(RelayTest, RefusesWhereNobodyListens) {
  const auto port = relay_->AddLink("a", "nobody", "127.0.0.1:1");
  ASSERT_TRUE(port.ok());
  port_ = *port;
  Connect();
  EXPECT_TRUE(HasEnded(client_));
}

}  // namespace
}  // namespace sextant::fault
