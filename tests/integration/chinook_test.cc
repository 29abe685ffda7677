// Chinook on real binaries: the sample database loads through `sextant sql` and twenty queries
// answer, byte for byte, as the sqlite3 shell does on the same file; also after every process was
// killed and restarted, and when two storage nodes die during the load.
#include <gtest/gtest.h>

#include <filesystem>
#include <thread>

#include "common/base/text.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temporary_folder.h"
#include "tests/integration/cluster.h"
#include "tests/integration/command.h"

namespace sextant::testing {
namespace {

class ChinookTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(SEXTANT_CHINOOK)) {
      GTEST_SKIP() << "the sample data is not beside the checkout: " << SEXTANT_CHINOOK;
    }
    directory_ = folder_.path() + "/cluster";
    // Small segments: the database spans several protection groups.
    cluster_ = MakeProcessCluster(
        {.directory = directory_, .segment_bytes = 256 << 10, .protection_groups = 16});
    ASSERT_OK(cluster_->Up());
  }

  void TearDown() override {
    if (HasFailure()) folder_.Keep();
  }

  CommandResult Sql(const std::string& file) {
    return RunCommand(
        Text(BinaryPath("sextant"), " sql --dir ", directory_, " --mode list ", file));
  }

  void LoadBoth() {
    const CommandResult loaded = Sql(SEXTANT_CHINOOK);
    ASSERT_EQ(loaded.exit_code, 0) << loaded.output << loaded.errors;
    const CommandResult prepared = Sql(kSetup);
    ASSERT_EQ(prepared.exit_code, 0) << prepared.output << prepared.errors;
    for (const std::string& file : {std::string(SEXTANT_CHINOOK), kSetup}) {
      ASSERT_EQ(RunCommand(Text("sqlite3 ", reference(), " < ", file)).exit_code, 0);
    }
  }

  void ExpectSameAnswers() {
    const CommandResult expected = RunCommand(Text("sqlite3 ", reference(), " < ", kQueries));
    ASSERT_EQ(expected.exit_code, 0) << expected.errors;
    ASSERT_GT(expected.output.size(), 10000u);
    const CommandResult actual = Sql(kQueries);
    EXPECT_EQ(actual.exit_code, 0) << actual.errors;
    EXPECT_EQ(actual.output, expected.output);
  }

  std::string reference() const { return folder_.path() + "/reference.db"; }

  const std::string kSetup = SEXTANT_SOURCE_DIR "/tests/integration/chinook/setup.sql";
  const std::string kQueries = SEXTANT_SOURCE_DIR "/tests/integration/chinook/queries.sql";
  TemporaryFolder folder_;
  std::string directory_;
  std::unique_ptr<Cluster> cluster_;
};

TEST_F(ChinookTest, AnswersAsTheSqliteShellDoesAlsoAfterKillingEverything) {
  LoadBoth();
  ExpectSameAnswers();
  ASSERT_OK(cluster_->KillAll());
  ASSERT_OK(cluster_->Up());
  ExpectSameAnswers();
}

TEST_F(ChinookTest, TwoStorageNodesDieDuringTheLoad) {
  std::thread saboteur([this] {
    EXPECT_OK(cluster_->KillNode("az1-a"));
    EXPECT_OK(cluster_->KillNode("az3-b"));
  });
  LoadBoth();
  saboteur.join();
  ExpectSameAnswers();
  ASSERT_OK(cluster_->KillAll());
  ASSERT_OK(cluster_->Up());
  ExpectSameAnswers();
}

}  // namespace
}  // namespace sextant::testing
