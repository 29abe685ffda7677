// The traditional path on disks that lose power: what was answered is there again, and source and
// replicas agree.
//
// Needs root, as the fault runs' disks do: without it the tests skip, and say so.
#include <gtest/gtest.h>

#include <memory>

#include "common/base/prng.h"
#include "fault/cluster/disks.h"
#include "tests/integration/binlog_processes.h"

namespace sextant::testing {
namespace {

constexpr uint64_t kDiskBytes = uint64_t{64} << 20;
constexpr int kRounds = 4;

// Then none of its threads gets back from the kernel.
bool IsStopped(const BinlogNodeProcess& node) {
  std::ifstream file(Text("/proc/", node.process.pid, "/stat"));
  std::string line;
  std::getline(file, line);
  const size_t name_end = line.rfind(')');
  return name_end != std::string::npos && line.substr(name_end, 4) == ") T ";
}

class BinlogPowerLossTest : public BinlogTest {
 protected:
  void SetUp() override {
    if (const std::string why = fault::Disks::Prepare(); !why.empty()) GTEST_SKIP() << why;
  }
  void TearDown() override {
    for (BinlogNodeProcess& node : nodes_) node.Kill();
  }
  // Each node on a disk of its own.
  void UpOnDisks(size_t replicas, int acks) {
    Plan(replicas, acks);
    for (const BinlogNodeProcess& node : nodes_) {
      ASSERT_OK(disks_.Add(node.name, node.folder, kDiskBytes));
    }
    StartAll();
  }
  // What they have not synced is gone, in data, binlog and state alike.
  void LosePower(const std::vector<BinlogNodeProcess*>& nodes) {
    // Stopped first: a sync that is under way when ext4 shuts down may be told that it succeeded,
    // and a machine without power tells nobody.
    for (BinlogNodeProcess* node : nodes) {
      node->Pause();
      ASSERT_TRUE(Await([&] { return IsStopped(*node); }));
    }
    for (const BinlogNodeProcess* node : nodes) ASSERT_OK(disks_.CutPower(node->name));
    for (BinlogNodeProcess* node : nodes) {
      node->Kill();
      ASSERT_OK(disks_.RestorePower(node->name));
      node->Start();
    }
  }
  // Load, and power cut at random points: of the source, of the replica, of both.
  void RunLoad(uint64_t seed) {
    Do(nodes_[0], kSchema);
    Prng prng(seed);
    Writer writer({nodes_[0].address});
    for (int round = 0; round < kRounds; ++round) {
      ASSERT_TRUE(writer.GoesOn(static_cast<int>(prng.Between(5, 60))));
      std::vector<BinlogNodeProcess*> victims;
      if (round % 3 != 1) victims.push_back(&nodes_[0]);
      if (round % 3 != 0) victims.push_back(&nodes_[1]);
      LosePower(victims);
      // A writer that waits out a dead connection is none of this test's business.
      ASSERT_TRUE(Await([&] { return Source() == nodes_.data(); }));
    }
    const std::set<int64_t> answered = writer.Answered();
    EXPECT_GE(answered.size(), static_cast<size_t>(kRounds) * 5);
    ExpectHeld(answered);
    AwaitEqual();
  }

  fault::Disks disks_{Text(folder_.path(), "/disks")};
};

TEST_F(BinlogPowerLossTest, WhatTheSourceHasSyncedIsThere) {
  UpOnDisks(/*replicas=*/1, /*acks=*/0);
  RunLoad(/*seed=*/5);
}

TEST_F(BinlogPowerLossTest, WhatAReplicaHasAcknowledgedIsThere) {
  UpOnDisks(/*replicas=*/1, /*acks=*/1);
  RunLoad(/*seed=*/6);
}

// The source is gone for good, and its replica had lost power just before: an acknowledgement is of
// what was synced.
TEST_F(BinlogPowerLossTest, AReplicaThatLostPowerHoldsAllThatWasAnswered) {
  UpOnDisks(/*replicas=*/1, /*acks=*/1);
  Do(nodes_[0], kSchema);
  Writer writer({nodes_[0].address});
  ASSERT_TRUE(writer.GoesOn(50));
  LosePower({&nodes_[1]});
  nodes_[0].Kill();
  const std::set<int64_t> answered = writer.Answered();
  ASSERT_NE(PromoteAnyBut({&nodes_[0]}), nullptr);
  nodes_[0].Start();  // the new source answers nobody alone
  ExpectHeld(answered);
  AwaitEqual();
}

}  // namespace
}  // namespace sextant::testing
