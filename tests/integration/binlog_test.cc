// The traditional path with real processes: a source and two replicas, killed at random points;
// digests equal at the end, semi-sync answers kept through a failover, the old source rewound.
//
// SEXTANT_ROUNDS=n plays more rounds.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "common/base/prng.h"
#include "compute-node/binlog/engine/testing/random_statements.h"
#include "tests/integration/binlog_processes.h"

namespace sextant::testing {
namespace {

int Rounds(int otherwise) {
  const char* text = std::getenv("SEXTANT_ROUNDS");
  return text == nullptr ? otherwise : std::atoi(text);
}

TEST_F(BinlogTest, EqualAfterKillsOfEither) {
  Up(/*replicas=*/1, /*acks=*/0);
  Do(nodes_[0], kSchema);
  Prng prng(7);
  Writer writer({nodes_[0].address});
  for (int round = 0; round < Rounds(4); ++round) {
    ASSERT_TRUE(writer.GoesOn(static_cast<int>(prng.Between(5, 60))));
    BinlogNodeProcess& victim = nodes_[prng.Below(2)];
    victim.Kill();
    victim.Start();
  }
  const std::set<int64_t> answered = writer.Answered();
  SqlClient client(nodes_[0].address);
  const auto count = client.QueryOne("SELECT count(*) FROM log");
  ASSERT_OK(count.status());
  EXPECT_GE(std::stoll(*count), static_cast<int64_t>(answered.size()));
  AwaitEqual();
}

// Two sessions with one node that run random statements, most of which fail.
class RandomSql {
 public:
  explicit RandomSql(const std::string& address, uint64_t seed) {
    for (uint64_t i = 0; i < 2; ++i) {
      threads_.emplace_back([this, address, seed, i] { Run(address, seed * 2 + i); });
    }
  }
  ~RandomSql() { Stop(); }
  void Stop() {
    is_over_ = true;
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }
  int count() const { return count_; }

 private:
  void Run(const std::string& address, uint64_t seed) {
    binlog::RandomStatements random(seed);
    while (!is_over_) {
      SqlClient client(address);
      for (;;) {
        const absl::Status status =
            client.Execute(random.Next(), /*atomic=*/false, absl::Seconds(5)).status();
        if (is_over_ || absl::IsUnavailable(status)) break;
        ++count_;
      }
    }
  }

  std::atomic<int> count_ = 0;
  std::atomic<bool> is_over_ = false;
  std::vector<std::thread> threads_;
};

TEST_F(BinlogTest, RandomSqlIsEqualAfterKillsOfEither) {
  Up(/*replicas=*/2, /*acks=*/1);
  Do(nodes_[0], binlog::RandomStatements::Schema());
  Prng prng(11);
  RandomSql sql(nodes_[0].address, /*seed=*/3);
  for (int round = 0; round < Rounds(5); ++round) {
    const int target = sql.count() + static_cast<int>(prng.Between(20, 300));
    ASSERT_TRUE(Await([&] { return sql.count() >= target; }));
    BinlogNodeProcess& victim = nodes_[prng.OneIn(2) ? 0 : prng.Between(1, 2)];
    victim.Kill();
    victim.Start();
  }
  sql.Stop();
  AwaitEqual();
}

TEST_F(BinlogTest, SemiSyncAnswersSurviveTheSource) {
  Up(/*replicas=*/2, /*acks=*/1);
  Do(nodes_[0], kSchema);
  Writer writer({nodes_[0].address, nodes_[1].address, nodes_[2].address});
  for (int round = 0; round < Rounds(2); ++round) {
    ASSERT_TRUE(writer.GoesOn(30));
    BinlogNodeProcess* old = Source();
    ASSERT_NE(old, nullptr);
    old->Kill();
    ASSERT_NE(PromoteAnyBut({old}), nullptr);
    old->Start();  // finds that it was replaced, rewinds and follows
    ASSERT_TRUE(Await([&] {
      const v1::BinlogStatus status = old->Status();
      return status.role() == "binlog-replica" && status.is_connected();
    }));
  }
  ExpectHeld(writer.Answered());
  AwaitEqual();
}

// A planned promotion: the old source lives, and its replicas acknowledge to it until they pledge.
TEST_F(BinlogTest, PromotionBesideALivingSourceLosesNoAnswer) {
  Up(/*replicas=*/2, /*acks=*/1);
  Do(nodes_[0], kSchema);
  Writer writer({nodes_[0].address, nodes_[1].address, nodes_[2].address});
  for (int round = 0; round < Rounds(3); ++round) {
    ASSERT_TRUE(writer.GoesOn(30));
    const BinlogNodeProcess* const old = Source();
    ASSERT_NE(old, nullptr);
    // The one that lacks something is refused, and those that pledged to it follow as before.
    ASSERT_NE(PromoteAnyBut({old}), nullptr);
    ASSERT_TRUE(Await([&] { return old->Status().role() == "binlog-replica"; }));
  }
  ASSERT_TRUE(writer.GoesOn(10));
  ExpectHeld(writer.Answered());
  AwaitEqual();
}

TEST_F(BinlogTest, ForceAcceptsALossAndSaysSo) {
  Up(/*replicas=*/2, /*acks=*/1);
  Do(nodes_[0], kSchema);
  nodes_[0].Kill();
  nodes_[1].Kill();
  const grpc::Status refused = nodes_[2].Promote();
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::FAILED_PRECONDITION) << refused.error_message();
  EXPECT_NE(refused.error_message().find("--force"), std::string::npos) << refused.error_message();
  std::string warning;
  const grpc::Status forced = nodes_[2].Promote(/*is_forced=*/true, &warning);
  EXPECT_TRUE(forced.ok()) << forced.error_message();
  EXPECT_NE(warning.find("may have been answered to clients"), std::string::npos) << warning;
  nodes_[0].Start();  // what they have too much of is undone
  nodes_[1].Start();
  AwaitEqual();
}

// A refused promotion changes nothing: who pledged follows the old source again.
TEST_F(BinlogTest, ARefusedPromotionIsGivenUp) {
  Up(/*replicas=*/2, /*acks=*/1);
  Do(nodes_[0], kSchema);
  nodes_[1].Kill();
  EXPECT_EQ(nodes_[2].Promote().error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  Do(nodes_[0], "INSERT INTO log VALUES(1, 'after')");  // acknowledged by node 2 alone
  EXPECT_EQ(Source(), &nodes_[0]);
  nodes_[1].Start();
  AwaitEqual();
}

// The candidate dies after others pledged to it, and before any node heard that it leads.
TEST_F(BinlogTest, AnotherPromotionTakesOverWhereACandidateDied) {
  Up(/*replicas=*/3, /*acks=*/2);
  Do(nodes_[0], kSchema);
  std::set<int64_t> answered;
  {
    Writer writer({nodes_[0].address});
    ASSERT_TRUE(writer.GoesOn(20));
    nodes_[0].Kill();
    answered = writer.Answered();
  }
  nodes_[3].Pause();  // the candidate waits for its pledge
  std::thread promotion([this] { nodes_[1].Promote(); });
  EXPECT_TRUE(Await([&] { return nodes_[2].Status().awaited().candidate() == "node-1"; }));
  nodes_[1].Kill();
  promotion.join();
  nodes_[3].Resume();
  EXPECT_EQ(nodes_[2].Status().awaited().candidate(), "node-1") << "it waits, and says so";
  EXPECT_EQ(Source(), nullptr);
  const BinlogNodeProcess* const source = PromoteAnyBut({&nodes_[0], &nodes_[1]});
  ASSERT_NE(source, nullptr);
  EXPECT_GT(source->Status().tenure(), 2u);  // that which the dead candidate asked for
  nodes_[0].Start();
  nodes_[1].Start();  // whatever it had asked for, there is a later tenure
  Do(*source, "INSERT INTO log VALUES(-1, 'goes on')");
  ExpectHeld(answered);
  AwaitEqual();
}

// The candidate dies when it has begun its tenure durably and told nobody; another one is promoted.
// It comes back believing that it is the source.
class LateCandidateTest : public BinlogTest {
 protected:
  // Node 1 is the dead candidate, and the source it was to replace is dead, too.
  void CandidateDies() {
    Up(/*replicas=*/3, /*acks=*/2);
    Do(nodes_[0], kSchema);
    nodes_[1].StopNicely();
    nodes_[1].flags.push_back("--failpoint=binlog-promoted=crash");
    nodes_[1].Start();
    {
      Writer writer({nodes_[0].address});
      ASSERT_TRUE(writer.GoesOn(20));
      answered_ = writer.Answered();
    }
    // Two of three are enough for an answer, and one that lacks something is no candidate.
    ASSERT_TRUE(Await([this] {
      const v1::BinlogStatus source = nodes_[0].Status(), candidate = nodes_[1].Status();
      return source.head() > 0 && candidate.is_whole() && candidate.applied() == source.head();
    }));
    nodes_[0].Kill();
    ASSERT_TRUE(Await([this] {
      nodes_[1].Promote();
      return cli::WaitForExit(nodes_[1].process, absl::ZeroDuration());
    }));
    nodes_[1].flags.pop_back();
  }
  std::set<int64_t> answered_;
};

TEST_F(LateCandidateTest, FindsThatAnotherOneLeadsAndFollowsIt) {
  CandidateDies();
  BinlogNodeProcess* const source = PromoteAnyBut({&nodes_[0], &nodes_[1]});
  ASSERT_NE(source, nullptr);
  EXPECT_GT(source->Status().tenure(), 2u);  // that of the dead candidate
  nodes_[1].Start();
  ASSERT_TRUE(Await([&] {
    const v1::BinlogStatus status = nodes_[1].Status();
    EXPECT_NE(status.role(), "binlog-source") << "a second source";
    return status.is_connected() && status.tenure() == source->Status().tenure();
  }));
  Do(*source, "INSERT INTO log VALUES(-1, 'goes on')");
  nodes_[0].Start();
  ExpectHeld(answered_);
  AwaitEqual();
}

// It hears nobody when it comes back, so it may take itself for the source. Nobody acknowledges
// to it, so it answers no write, and steps down when it hears of the other one.
TEST_F(LateCandidateTest, AnswersNoWriteWhileItHearsNobody) {
  CandidateDies();
  BinlogNodeProcess* const source = PromoteAnyBut({&nodes_[0], &nodes_[1]});
  ASSERT_NE(source, nullptr);
  nodes_[2].Pause();
  nodes_[3].Pause();
  nodes_[1].Start();
  ASSERT_TRUE(Await([this] { return nodes_[1].Status().role() == "binlog-source"; }));
  {
    SqlClient client(nodes_[1].address);
    EXPECT_FALSE(
        client.Execute("INSERT INTO log VALUES(-2, 'in vain')", /*atomic=*/true, absl::Seconds(1))
            .ok());
  }
  nodes_[2].Resume();
  nodes_[3].Resume();
  ASSERT_TRUE(Await([this] {
    const v1::BinlogStatus status = nodes_[1].Status();
    return status.role() == "binlog-replica" && status.is_connected();
  }));
  EXPECT_NE(nodes_[1].Log().find(Text(source->name, " is, of tenure ")), std::string::npos)
      << "it says why it steps down";
  Do(*source, "INSERT INTO log VALUES(-1, 'goes on')");
  nodes_[0].Start();
  ExpectHeld(answered_);
  AwaitEqual();  // and what it wrote in vain is rewound
}

// Nobody knows what the lost folder had acknowledged.
TEST_F(BinlogTest, AReplicaThatLostItsFolderIsNotPromotedBeforeItHasCaughtUp) {
  Up(/*replicas=*/1, /*acks=*/1);
  Do(nodes_[0], kSchema);
  nodes_[1].Kill();
  nodes_[0].Kill();
  std::filesystem::remove_all(nodes_[1].folder);
  nodes_[1].Start();
  ASSERT_TRUE(Await([&] { return nodes_[1].Status().role() == "binlog-replica"; }));
  const grpc::Status refused = nodes_[1].Promote();
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::FAILED_PRECONDITION) << refused.error_message();
  EXPECT_NE(refused.error_message().find("folder is new"), std::string::npos)
      << refused.error_message();
  nodes_[0].Start();
  ASSERT_TRUE(Await([&] { return nodes_[1].Status().is_whole(); }));
  EXPECT_NE(PromoteAnyBut({&nodes_[0]}), nullptr);
  AwaitEqual();
}

TEST_F(BinlogTest, AReplicaMayNotBePromotedWhereAnswersCouldBeLost) {
  Up(/*replicas=*/2, /*acks=*/1);
  Do(nodes_[0], kSchema);
  nodes_[0].Kill();
  nodes_[1].Kill();
  // Node 1 may hold what node 2 does not: nobody can tell.
  const grpc::Status refused = nodes_[2].Promote();
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::FAILED_PRECONDITION) << refused.error_message();
  nodes_[1].Start();
  ASSERT_TRUE(Await([&] { return nodes_[1].Status().role() == "binlog-replica"; }));
  EXPECT_TRUE(Await([&] { return nodes_[1].Promote().ok() || nodes_[2].Promote().ok(); }));
}

}  // namespace
}  // namespace sextant::testing
