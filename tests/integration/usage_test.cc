// What the server binaries say to a wrong command line: exit code 2, and which flag is wrong.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/rpc/flags.h"
#include "tests/integration/command.h"

namespace sextant::testing {
namespace {

using ::testing::HasSubstr;

TEST(StorageNodeUsage, APeerThatIsNoAddressIsAUsageError) {
  const std::string command = BinaryPath("sextant-storage-node") +
                              " --node-name az1-a --zone az1 --data-dir /nonexistent/data --peer ";
  for (const char* peer : {"az1-b", "az1-b=", "az1-b=host", "a=h:1 --peer a=h:2"}) {
    const CommandResult result = RunCommand(command + peer);
    EXPECT_EQ(result.exit_code, rpc::kExitUsage) << peer;
    EXPECT_THAT(result.errors, HasSubstr("--peer")) << peer;
  }
}

TEST(StorageNodeUsage, ADirectoryThatCannotBeMadeIsAFailure) {
  const CommandResult result =
      RunCommand(BinaryPath("sextant-storage-node") +
                 " --node-name az1-a --zone az1 --data-dir /proc/nonexistent/data --peer a=h:1");
  EXPECT_EQ(result.exit_code, rpc::kExitFailure);
}

}  // namespace
}  // namespace sextant::testing
