// Promotion on real processes: a writer killed under load and a reader promoted in its place, with
// nothing acknowledged lost and histories that the judges of fault/ can explain; tokens and time
// travel across nodes. Driven by the `sextant` command, as an operator would.
//
// SEXTANT_ROUNDS=n kills and promotes n times.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <nlohmann/json.hpp>

#include "absl/time/clock.h"
#include "cli/cluster/cluster_state.h"
#include "client/session.h"
#include "common/base/text.h"
#include "common/testing/await.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temporary_folder.h"
#include "fault/load/load.h"
#include "tests/integration/cluster.h"
#include "tests/integration/command.h"
#include "tests/integration/ledger.h"
#include "tests/integration/sql_client.h"

namespace sextant::testing {
namespace {

using Clock = std::chrono::steady_clock;

int Rounds() {
  const char* rounds = std::getenv("SEXTANT_ROUNDS");
  return rounds != nullptr ? std::atoi(rounds) : 3;
}

double MsSince(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

class PromotionTest : public ::testing::Test {
 protected:
  void SetUp() override {
    cluster_ = MakeProcessCluster({.directory = directory_, .readers = 2});
    ASSERT_OK(cluster_->Up());
    auto state = cli::LoadState(directory_);
    ASSERT_OK(state);
    endpoints_ = state->ComputeAddresses();
    client_ = std::make_unique<client::Client>(endpoints_);
  }
  void TearDown() override {
    cluster_.reset();
    if (HasFailure()) folder_.Keep();
  }

  CommandResult Sextant(const std::string& command) {
    return RunCommand(Text(BinaryPath("sextant"), " ", command, " --dir ", directory_));
  }
  nlohmann::json Status() {
    return nlohmann::json::parse(Sextant("cluster status --output json").output, nullptr, false);
  }
  std::string WriterName() {
    const nlohmann::json status = Status();
    return status.is_object() ? status["writer"]["name"].get<std::string>() : "";
  }
  // A reader that follows; empty: none.
  std::string FollowingReader() {
    const nlohmann::json status = Status();
    if (!status.is_object()) return "";
    for (const auto& reader : status["readers"]) {
      if (reader["phase"] == "following") return reader["name"].get<std::string>();
    }
    return "";
  }

  // Kills the writer, promotes a reader and starts the old writer again, which then reads. Notes
  // how long nothing was acknowledged.
  void Replace(const std::function<int64_t()>& acknowledged) {
    std::string next;
    ASSERT_TRUE(Await([&] { return !(next = FollowingReader()).empty(); }));
    const std::string old = WriterName();
    const auto killed = Clock::now();
    ASSERT_EQ(Sextant("cluster kill " + old).exit_code, 0);
    const int64_t before = acknowledged();
    const CommandResult promoted = Sextant("promote " + next);
    ASSERT_EQ(promoted.exit_code, 0) << promoted.errors;
    ASSERT_TRUE(Await([&] { return acknowledged() > before; }));
    outages_.push_back(MsSince(killed));
    ASSERT_EQ(Sextant("cluster start " + old).exit_code, 0);
    EXPECT_EQ(WriterName(), next) << "the volume is in good hands, and stays there";
  }
  void ReportOutages() {
    ASSERT_FALSE(outages_.empty());
    std::sort(outages_.begin(), outages_.end());
    std::cout << "kill -9 to the next acknowledged commit, " << outages_.size()
              << " rounds: median " << outages_[outages_.size() / 2] << " ms, max "
              << outages_.back() << " ms\n";
  }

  TemporaryFolder folder_;
  const std::string directory_ = folder_.path() + "/cluster";
  std::unique_ptr<Cluster> cluster_;
  std::vector<std::string> endpoints_;
  std::unique_ptr<client::Client> client_;
  std::vector<double> outages_;  // ms
};

TEST_F(PromotionTest, AKilledWriterIsReplacedAndNothingAcknowledgedIsLost) {
  ASSERT_OK(Ledger::Create(endpoints_[0]));
  Ledger ledger(endpoints_, /*threads=*/4);
  for (int round = 0; round < Rounds() && !HasFailure(); ++round) {
    SCOPED_TRACE(Text("round ", round));
    ASSERT_OK(ledger.WaitForProgress(50));
    Replace([&] { return ledger.acknowledged(); });
  }
  ledger.Stop();
  ReportOutages();
  std::cout << ledger.acknowledged() << " pairs acknowledged\n";
  const auto writer = client_->FindWriter(absl::Seconds(10));
  ASSERT_OK(writer);
  EXPECT_OK(ledger.Verify(*writer));
}

// Half of the clients read wherever they like, by the token of what they have seen.
TEST_F(PromotionTest, HistoriesOfAllNodesAreExplainedAcrossPromotions) {
  ASSERT_OK(fault::Load::Prepare(endpoints_, absl::Seconds(60)));
  fault::LoadOptions options;
  options.writers = options.readers = endpoints_;
  options.writers_move = true;
  fault::Load load(options);
  load.Start();
  for (int round = 0; round < Rounds() && !HasFailure(); ++round) {
    SCOPED_TRACE(Text("round ", round));
    const int64_t before = load.commits();
    EXPECT_TRUE(Await([&] { return load.commits() > before + 100; }));
    Replace([&] { return load.commits(); });
  }
  const int64_t before = load.commits();
  EXPECT_TRUE(Await([&] { return load.commits() > before + 100; }));
  load.Stop();
  ReportOutages();
  ASSERT_OK(load.ReadAll(absl::Seconds(60)));
  int64_t elsewhere = 0;
  for (const fault::ListTransaction& transaction : load.record().lists) {
    elsewhere += transaction.is_strict ? 0 : 1;
  }
  std::cout << load.record().lists.size() << " list transactions, " << elsewhere
            << " of them read by token, " << load.record().registers.size()
            << " register operations\n";
  EXPECT_GT(elsewhere, 0);
  for (const fault::Anomaly& anomaly : fault::Judge(load.record(), fault::kBankTotal)) {
    ADD_FAILURE() << anomaly.kind << ": " << anomaly.detail;
  }
}

TEST_F(PromotionTest, ALivingWriterStepsDownAndReads) {
  const auto session = client_->NewSession();
  ASSERT_OK(session->Execute("CREATE TABLE t(a)").status());
  ASSERT_OK(session->Execute("INSERT INTO t VALUES(1)").status());
  ASSERT_EQ(Sextant("promote reader-1").exit_code, 0);
  ASSERT_EQ(Sextant("promote reader-1").exit_code, 0) << "asking again repeats nothing";
  // The old writer was told by the command, so it does not learn by this commit that it is over.
  // The session follows by itself, and the old writer becomes a reader that names the new one.
  EXPECT_OK(session->Execute("INSERT INTO t VALUES(2)").status());
  EXPECT_EQ(client::ToText(session->QueryOne("SELECT count(*) FROM t").value_or("?")), "2");
  EXPECT_OK(session->Execute("UPDATE t SET a = 0").status());
  EXPECT_EQ(session->moves(), 1u);
  EXPECT_TRUE(Await([&] {
    const nlohmann::json status = Status();
    return status.is_object() && status["writer"]["name"] == "reader-1" &&
           status["readers"][0]["name"] == "writer" && status["readers"][0]["phase"] == "following";
  }));
  SqlClient old(endpoints_[0]);
  const absl::Status refused = old.Execute("INSERT INTO t VALUES(3)").status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition) << refused;
  EXPECT_EQ(old.QueryOne("SELECT count(*) FROM t").value_or("?"), "2");
}

class SmallRingTest : public PromotionTest {
 protected:
  SmallRingTest() { setenv("SEXTANT_REDO_RING", "1MiB", 1); }
  ~SmallRingTest() override { unsetenv("SEXTANT_REDO_RING"); }
};

TEST_F(SmallRingTest, AReaderThatWasPausedComesBackByJumping) {
  const auto writing = client_->NewSession();
  ASSERT_OK(writing->Execute("CREATE TABLE t(a)").status());
  ASSERT_TRUE(Await([&] {
    const nlohmann::json status = Status();
    return status.is_object() && status["readers"][1]["phase"] == "following";
  }));
  const auto pid = Status()["readers"][1]["pid"];
  ASSERT_EQ(Sextant("cluster pause reader-2").exit_code, 0);
  // Far more than the ring and the buffers of a connection hold, and the writer does not wait.
  for (int i = 0; i < 64; ++i) {
    ASSERT_OK(writing->Execute("INSERT INTO t VALUES(randomblob(262144))").status());
  }
  ASSERT_EQ(Sextant("cluster resume reader-2").exit_code, 0);
  const auto reading =
      client::Client({endpoints_[2]})
          .NewSession({.preference = client::Preference::kOnly, .token = writing->token()});
  EXPECT_EQ(client::ToText(reading->QueryOne("SELECT count(*) FROM t").value_or("?")), "64");
  const nlohmann::json reader = Status()["readers"][1];
  EXPECT_GE(reader["jumps"], 1) << reader;
  EXPECT_EQ(reader["pid"], pid) << "nobody restarted it";
}

TEST_F(PromotionTest, TokensReadOnesOwnWritesOnAnyNode) {
  const auto writing = client_->NewSession();
  const auto reading = client_->NewSession({.preference = client::Preference::kReader});
  ASSERT_OK(writing->Execute("CREATE TABLE t(a)").status());
  for (int i = 0; i < 200; ++i) {
    ASSERT_OK(writing->Execute(Text("INSERT INTO t VALUES(", i, ")")).status());
    reading->Observe(writing->token());
    const auto count = reading->QueryOne("SELECT count(*) FROM t");
    ASSERT_OK(count);
    ASSERT_EQ(client::ToText(*count), Text(i + 1));
  }
  EXPECT_NE(reading->address(), writing->address());
}

TEST_F(PromotionTest, ThePastIsReadOnEveryNode) {
  const auto session = client_->NewSession();
  ASSERT_OK(session->Execute("CREATE TABLE t(a)").status());
  std::vector<uint64_t> lsns;
  absl::Time middle;
  for (int i = 1; i <= 20; ++i) {
    const auto reply = session->Execute("INSERT INTO t VALUES(1)");
    ASSERT_OK(reply);
    lsns.push_back(reply->lsn);
    if (i != 10) continue;
    middle = absl::Now();
    // Commits from here on are later by the writer's clock, which is this machine's.
    ASSERT_TRUE(Await([&] { return absl::Now() > middle + absl::Milliseconds(2); }));
  }
  const auto count_as_of = [&](client::Session& at, client::Request request) {
    request.statements.push_back({"SELECT count(*) FROM t"});
    const auto reply = at.Execute(std::move(request));
    return reply.ok() ? client::ToText(reply->rows()[0][0]) : reply.status().ToString();
  };
  for (const std::string& endpoint : endpoints_) {
    SCOPED_TRACE(endpoint);
    const auto at =
        client::Client({endpoint})
            .NewSession({.preference = client::Preference::kOnly, .token = session->token()});
    ASSERT_EQ(client::ToText(at->QueryOne("SELECT count(*) FROM t").value_or("?")), "20");
    for (size_t i = 0; i < lsns.size(); ++i) {
      EXPECT_EQ(count_as_of(*at, {.as_of_lsn = lsns[i]}), Text(i + 1));
    }
    EXPECT_EQ(count_as_of(*at, {.as_of_time = middle}), "10");
    EXPECT_EQ(client::ToText(at->QueryOne("SELECT count(*) FROM t").value_or("?")), "20")
        << "the past ends with its request";
    client::Request write{.as_of_lsn = lsns[0]};
    write.statements.push_back({"INSERT INTO t VALUES(1)"});
    EXPECT_FALSE(at->Execute(std::move(write)).ok());
  }
  const CommandResult shell =
      Sextant(Text("sql --reads-from reader --as-of ", lsns[4], " -e 'SELECT count(*) FROM t'"));
  EXPECT_EQ(shell.output, "5\n") << shell.errors;
  const std::string time = absl::FormatTime(absl::RFC3339_full, middle, absl::UTCTimeZone());
  const CommandResult then =
      Sextant(Text("sql --reads-from reader --as-of ", time, " -e 'SELECT count(*) FROM t'"));
  EXPECT_EQ(then.output, "10\n") << then.errors;
  const CommandResult never =
      Sextant("sql --node reader-1 --min-lsn 9000000000 --timeout-ms 100 -e 'SELECT 1 FROM t'");
  EXPECT_EQ(never.exit_code, 3) << "unavailable, no commit of unknown outcome: " << never.errors;
}

}  // namespace
}  // namespace sextant::testing
