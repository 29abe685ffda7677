// Process identity: a pid counts only together with its start time.
#include "cli/cluster/process.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

namespace sextant::cli {
namespace {

TEST(ParseProcessStatTest, FindsStateAndStartTimeAfterAHostileCommandName) {
  const auto stat = ParseProcessStat(
      "77 (a) S (x y) T 1 77 77 0 -1 4194304 5 6 7 8 9 10 11 12 20 0 3 0 987654 1 2 3\n");
  ASSERT_TRUE(stat.has_value());
  EXPECT_EQ(stat->state, 'T');
  EXPECT_EQ(stat->start_time, 987654u);
  EXPECT_EQ(stat->cpu_ticks, 9u + 10u);
}

TEST(ParseProcessStatTest, RefusesWhatIsShort) {
  EXPECT_FALSE(ParseProcessStat("").has_value());
  EXPECT_FALSE(ParseProcessStat("77 (a) S 1 2 3").has_value());
}

TEST(ProcessStateTest, OurOwnProcessRuns) {
  const auto stat = ReadProcessStat(getpid());
  ASSERT_TRUE(stat.has_value());
  EXPECT_EQ(StateOf({getpid(), stat->start_time}), ProcessState::kRunning);
}

TEST(ProcessStateTest, APidWithAnotherStartTimeIsAStranger) {
  const auto stat = ReadProcessStat(getpid());
  ASSERT_TRUE(stat.has_value());
  const ProcessId stranger{getpid(), stat->start_time + 1};
  EXPECT_EQ(StateOf(stranger), ProcessState::kStopped);
  EXPECT_TRUE(absl::IsNotFound(Signal(stranger, SIGKILL)));  // or this test would end here
}

TEST(ProcessStateTest, NoProcessIsStopped) { EXPECT_EQ(StateOf({}), ProcessState::kStopped); }

class LaunchTest : public testing::Test {
 protected:
  const std::string log_ =
      (std::filesystem::temp_directory_path() / ("sextant-launch-" + std::to_string(getpid())))
          .string();
  ~LaunchTest() override { std::filesystem::remove(log_); }
  std::string Log() {
    std::ifstream file(log_);
    return std::string(std::istreambuf_iterator<char>(file), {});
  }
};

TEST_F(LaunchTest, PausesResumesAndEnds) {
  const auto process = Launch({{"/bin/sleep", "600"}, log_, {}});
  ASSERT_TRUE(process.ok()) << process.status();
  EXPECT_EQ(getsid(process->pid), process->pid);
  ASSERT_TRUE(Signal(*process, SIGSTOP).ok());
  while (StateOf(*process) != ProcessState::kPaused) {
  }
  ASSERT_TRUE(Signal(*process, SIGCONT).ok());
  while (StateOf(*process) != ProcessState::kRunning) {
  }
  EXPECT_FALSE(WaitForExit(*process, absl::Milliseconds(1)));
  ASSERT_TRUE(Signal(*process, SIGKILL).ok());
  EXPECT_TRUE(WaitForExit(*process, absl::Seconds(60)));
  EXPECT_TRUE(absl::IsNotFound(Signal(*process, SIGKILL)));
}

TEST_F(LaunchTest, WritesOutputToTheLogAndDropsVariables) {
  setenv("SEXTANT_LAUNCH_TEST_A", "a", 1);
  setenv("SEXTANT_LAUNCH_TEST_B", "b", 1);
  const auto process = Launch(
      {{"/bin/sh", "-c", "echo \"$SEXTANT_LAUNCH_TEST_A-$SEXTANT_LAUNCH_TEST_B\"; echo e >&2"},
       log_,
       {"SEXTANT_LAUNCH_TEST_B"}});
  ASSERT_TRUE(process.ok()) << process.status();
  ASSERT_TRUE(WaitForExit(*process, absl::Seconds(60)));
  EXPECT_EQ(Log(), "a-\ne\n");
}

// Its first thread ends long before the other ones: it has not ended, and still holds its files.
TEST_F(LaunchTest, AProcessHasEndedWithItsLastThread) {
  const pid_t pid = fork();
  if (pid == 0) {
    std::thread([] {
      while (true) pause();
    }).detach();
    syscall(SYS_exit, 0);  // of the first thread alone
  }
  std::optional<ProcessStat> stat;
  do {
    stat = ReadProcessStat(pid);
  } while (!stat || stat->state != 'Z');
  const ProcessId process{pid, stat->start_time};
  EXPECT_EQ(StateOf(process), ProcessState::kRunning);
  EXPECT_FALSE(WaitForExit(process, absl::Milliseconds(1)));
  ASSERT_TRUE(Signal(process, SIGKILL).ok());
  EXPECT_TRUE(WaitForExit(process, absl::Seconds(60)));
  EXPECT_FALSE(ReadProcessStat(pid).has_value()) << "it was not reaped";
}

TEST_F(LaunchTest, AMissingBinaryIsAnError) {
  const auto process = Launch({{"/nonexistent/binary"}, log_, {}});
  ASSERT_FALSE(process.ok());
  EXPECT_NE(process.status().ToString().find("/nonexistent/binary"), std::string::npos);
}

}  // namespace
}  // namespace sextant::cli
