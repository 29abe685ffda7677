// Ports for a cluster: nobody else gets them, also while nobody listens there.
#include "cli/cluster/ports.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <set>

#include "common/testing/status_matchers.h"

namespace sextant::cli {
namespace {

constexpr int kMany = 400;  // of 17,000: two draws of so many would have some in common

TEST(PortsTest, NobodyGetsAPortASecondTime) {
  const auto first = PickFreePorts(kMany);
  ASSERT_OK(first);
  std::set<uint16_t> all(first->begin(), first->end());
  EXPECT_EQ(all.size(), size_t{kMany});
  const auto second = PickFreePorts(kMany);
  ASSERT_OK(second);
  all.insert(second->begin(), second->end());
  EXPECT_EQ(all.size(), size_t{2 * kMany});
}

TEST(PortsTest, NorDoesAnotherProcess) {
  const auto ours = PickFreePorts(100);
  ASSERT_OK(ours);
  const std::set<uint16_t> all(ours->begin(), ours->end());
  const pid_t pid = fork();
  if (pid == 0) {
    const auto theirs = PickFreePorts(100);
    int common = 0;
    for (const uint16_t port : theirs.ok() ? *theirs : std::vector<uint16_t>{}) {
      common += static_cast<int>(all.count(port));
    }
    _exit(theirs.ok() && common == 0 ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(pid, &status, 0), pid);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace sextant::cli
