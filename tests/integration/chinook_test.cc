// Chinook on real binaries: the sample database loads through `sextant sql` and twenty queries
// answer, byte for byte, as the sqlite3 shell does on the same file; also after every process was
// killed and restarted, when two storage nodes die during the load, and on a reader while the
// writer rewrites the tables.
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "client/session.h"
#include "common/base/text.h"
#include "common/testing/await.h"
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
    cluster_ = MakeProcessCluster({.directory = directory_,
                                   .segment_bytes = 256 << 10,
                                   .protection_groups = 16,
                                   .readers = readers_});
    ASSERT_OK(cluster_->Up());
  }

  void TearDown() override {
    if (HasFailure()) folder_.Keep();
  }

  CommandResult Sql(const std::string& file, const std::string& flags = "") {
    return RunCommand(
        Text(BinaryPath("sextant"), " sql --dir ", directory_, " --mode list ", flags, " ", file));
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

  void ExpectSameAnswers(const std::string& flags = "") {
    const CommandResult expected = RunCommand(Text("sqlite3 ", reference(), " < ", kQueries));
    ASSERT_EQ(expected.exit_code, 0) << expected.errors;
    ASSERT_GT(expected.output.size(), 10000u);
    const CommandResult actual = Sql(kQueries, flags);
    EXPECT_EQ(actual.exit_code, 0) << actual.errors;
    EXPECT_EQ(actual.output, expected.output);
  }

  std::string reference() const { return folder_.path() + "/reference.db"; }

  const std::string kSetup = SEXTANT_SOURCE_DIR "/tests/integration/chinook/setup.sql";
  const std::string kQueries = SEXTANT_SOURCE_DIR "/tests/integration/chinook/queries.sql";
  TemporaryFolder folder_;
  std::string directory_;
  uint32_t readers_ = 0;
  std::unique_ptr<Cluster> cluster_;
};

TEST_F(ChinookTest, AnswersAsTheSqliteShellDoesAlsoAfterKillingEverything) {
  LoadBoth();
  ExpectSameAnswers();
  ASSERT_OK(cluster_->KillAll());
  ASSERT_OK(cluster_->Up());
  ExpectSameAnswers();
}

class ChinookReaderTest : public ChinookTest {
 protected:
  ChinookReaderTest() { readers_ = 1; }

  // Takes some rows out and puts the same ones back, in one transaction: whoever sees the pages of
  // half of it answers differently, or finds a damaged tree.
  static absl::Status Rewrite(client::Session* session, const std::string& table, int part) {
    const std::string id = table + "Id";
    const std::string chosen = Text(" FROM ", table, " WHERE ", id, " % 16 = ", part);
    std::vector<client::Statement> statements;
    statements.push_back({Text("CREATE TABLE moved AS SELECT *", chosen)});
    statements.push_back({Text("DELETE", chosen)});
    statements.push_back({Text("INSERT INTO ", table, " SELECT * FROM moved")});
    statements.push_back({"DROP TABLE moved"});
    return session->Batch(std::move(statements)).status();
  }
};

TEST_F(ChinookReaderTest, AReaderAnswersWhileTheWriterRewritesTheTables) {
  LoadBoth();
  std::atomic<bool> stop = false;
  std::atomic<int> rewritten = 0;
  std::thread updater([&] {
    const auto session = client::Client({cluster_->sql_endpoint()}).NewSession();
    for (int i = 0; !stop; ++i) {
      EXPECT_OK(Rewrite(session.get(), i % 2 == 0 ? "Track" : "InvoiceLine", i / 2 % 16));
      ++rewritten;
    }
  });
  for (int round = 0; round < 3; ++round) {
    const int before = rewritten;
    EXPECT_TRUE(Await([&] { return rewritten > before + 4; }));
    ExpectSameAnswers("--node reader-1");
  }
  stop = true;
  updater.join();
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
