// The traditional path with real processes: copies that are made anew, and semi-sync that falls
// back.
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/integration/binlog_processes.h"

namespace sextant::testing {
namespace {

// Several binlog files: each transaction is a few pages.
constexpr int kTransactions = 60;

class BinlogReseedTest : public BinlogTest {
 protected:
  void WriteFiles() {
    SqlClient client(nodes_[0].address);
    for (int i = 0; i < kTransactions; ++i) {
      ASSERT_OK(client.Execute(Text("INSERT INTO log VALUES(", ++last_, ", hex(randomblob(4000)))"))
                    .status());
    }
  }
  bool WasSeeded(const BinlogNodeProcess& node) {
    return node.Log().find("seeded") != std::string::npos;
  }

  int last_ = 0;
};

// One replica lost its folder, the other one was away; the log that both lack was purged. Both get
// a snapshot, and what was written since.
TEST_F(BinlogReseedTest, WhoLacksWhatWasPurgedIsSeeded) {
  Up(/*replicas=*/2, /*acks=*/0);
  Do(nodes_[0], kSchema);
  ASSERT_TRUE(Await(
      [&] { return nodes_[1].Status().applied() >= 3 && nodes_[2].Status().applied() >= 3; }));
  nodes_[1].Kill();
  nodes_[2].Kill();
  std::filesystem::remove_all(nodes_[2].folder);
  WriteFiles();
  ASSERT_GT(nodes_[0].Purge(), 1u);
  EXPECT_FALSE(WasSeeded(nodes_[1]));
  nodes_[1].Start();
  nodes_[2].Start();
  WriteFiles();
  AwaitEqual();
  EXPECT_TRUE(WasSeeded(nodes_[1]));
  EXPECT_TRUE(WasSeeded(nodes_[2]));
}

// Killed while it is seeded, or just after, again and again: it ends up equal.
TEST_F(BinlogReseedTest, ASeedThatIsKilledBeginsAgain) {
  Up(/*replicas=*/1, /*acks=*/0);
  Do(nodes_[0], kSchema);
  nodes_[1].Kill();
  std::filesystem::remove_all(nodes_[1].folder);
  WriteFiles();
  ASSERT_GT(nodes_[0].Purge(), 1u);
  const std::string part = nodes_[1].folder + "/seed.part";
  for (int round = 0; round < 4; ++round) {
    nodes_[1].Start();
    ASSERT_TRUE(Await([&] { return std::filesystem::exists(part) || WasSeeded(nodes_[1]); }));
    nodes_[1].Kill();
  }
  nodes_[1].Start();
  WriteFiles();
  AwaitEqual();
}

// Two acknowledgements are asked for; one replica is away, the other one has two folders one after
// the other: it is one replica.
TEST_F(BinlogReseedTest, AReplicaWithANewFolderIsNotCountedTwice) {
  Up(/*replicas=*/2, /*acks=*/2);
  Do(nodes_[0], kSchema);
  nodes_[2].Kill();
  {
    SqlClient client(nodes_[0].address);
    const auto reply =
        client.Execute("INSERT INTO log VALUES(1, 'waits')", false, absl::Seconds(1));
    EXPECT_FALSE(reply.ok());
  }
  const v1::BinlogStatus before = nodes_[0].Status();
  ASSERT_TRUE(Await([&] { return nodes_[1].Status().history() == before.history(); }));
  nodes_[1].Kill();
  std::filesystem::remove_all(nodes_[1].folder);
  nodes_[1].Start();
  const auto has_acknowledged = [&](const v1::BinlogStatus& source) {
    for (const v1::FollowerInfo& follower : source.followers()) {
      if (follower.node() == nodes_[1].name) return follower.acked() >= before.head();
    }
    return false;
  };
  ASSERT_TRUE(Await([&] {
    return nodes_[1].Status().applied() >= before.head() && has_acknowledged(nodes_[0].Status());
  }));
  EXPECT_LT(nodes_[0].Status().durable(), before.head());
  nodes_[2].Start();
  Do(nodes_[0], "INSERT INTO log VALUES(2, 'is answered')");
  AwaitEqual();
}

TEST_F(BinlogReseedTest, SemiSyncFallsBackOnlyWhereItMayAndSaysSoFirst) {
  Up(/*replicas=*/1, /*acks=*/1, {"--semi-sync-fall-back-ms=300"});
  Do(nodes_[0], kSchema);
  EXPECT_EQ(nodes_[0].Status().mode(), "semi-sync");
  EXPECT_EQ(nodes_[0].Log().find("fell back"), std::string::npos);
  nodes_[1].Kill();
  Do(nodes_[0], "INSERT INTO log VALUES(1, 'nobody else has it')");
  EXPECT_EQ(nodes_[0].Status().mode(), "degraded");
  EXPECT_NE(nodes_[0].Log().find("fell back"), std::string::npos) << "nobody was told";
  nodes_[1].Start();
  EXPECT_TRUE(Await([&] { return nodes_[0].Status().mode() == "semi-sync"; }));
  AwaitEqual();
}

TEST_F(BinlogReseedTest, WithoutFallBackNothingIsAnsweredWithoutReplicas) {
  Up(/*replicas=*/1, /*acks=*/1);
  Do(nodes_[0], kSchema);
  nodes_[1].Kill();
  {
    SqlClient client(nodes_[0].address);
    const auto reply =
        client.Execute("INSERT INTO log VALUES(1, 'waits')", false, absl::Seconds(1));
    EXPECT_FALSE(reply.ok());
  }
  EXPECT_EQ(nodes_[0].Status().mode(), "semi-sync");
  nodes_[1].Start();
  Do(nodes_[0], "INSERT INTO log VALUES(2, 'is answered')");
  AwaitEqual();
}

}  // namespace
}  // namespace sextant::testing
