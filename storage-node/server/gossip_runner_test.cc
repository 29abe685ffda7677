// Storage nodes over memory stores that fetch from each other what they missed.
#include "storage-node/server/gossip_runner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>

#include "common/testing/await.h"
#include "common/testing/record_chain.h"
#include "common/testing/status_matchers.h"
#include "storage-node/server/node_testing.h"
#include "storage-node/store/memory_store.h"

namespace sextant::storage {
namespace {

using ::sextant::testing::Await;
using ::sextant::testing::RecordChain;
using namespace sextant::storage::testing;

constexpr VolumeId kVolume{7};
constexpr volume::Geometry kGeometry{.page_bytes = 512, .pages_per_pg = 16, .pg_count = 1};
constexpr PgId kPg{0};
constexpr SegmentId kSegment{kVolume, kPg};

// Three of the six members run; peers are direct calls that a test can count and fail.
class GossipRunnerTest : public ::testing::Test {
 protected:
  struct Node {
    std::shared_ptr<MemoryDisk> disk;
    std::unique_ptr<StorageNode> node;
    Acks acks;
    std::unique_ptr<StorageNode::AppendStream> stream;
    std::atomic<bool> is_cut_off{false};
    std::unique_ptr<GossipRunner> gossip;
  };

  GossipRunnerTest() {
    for (size_t i = 0; i < nodes_.size(); ++i) {
      StorageNodeOptions options;
      options.node = Members().members[i].node;
      options.zone = Members().members[i].zone;
      options.upkeep.interval = absl::Milliseconds(1);
      options.upkeep.collect.min_bytes = 1;
      options.upkeep.scrub.interval = absl::Milliseconds(1);
      auto store = std::make_unique<MemoryStore>();
      nodes_[i].disk = store->disk();
      auto node = StorageNode::Open(options, std::move(store),
                                    [](const absl::Status& error) { FAIL() << error; });
      SEXTANT_CHECK(node.ok());
      nodes_[i].node = *std::move(node);
      protocol::CreateSegmentRequest request = CreateRequest(kVolume, kGeometry, kPg);
      request.slot = static_cast<quorum::Slot>(i);
      EXPECT_OK(nodes_[i].node->CreateSegment(request));
      EXPECT_OK(Raise(nodes_[i].node.get(), kSegment, 1));
      nodes_[i].stream = nodes_[i].node->OpenStream(nodes_[i].acks.Sink());
    }
    for (Node& node : nodes_) {
      node.gossip = std::make_unique<GossipRunner>(node.node.get(), Peers(), Options());
    }
  }
  ~GossipRunnerTest() override {
    for (Node& node : nodes_) node.gossip.reset();
    for (Node& node : nodes_) node.stream.reset();
  }

  static GossipRunnerOptions Options() {
    GossipRunnerOptions options;
    options.gossip.grace = absl::Milliseconds(1);
    options.gossip.first_backoff = absl::Milliseconds(1);
    options.gossip.max_backoff = absl::Milliseconds(20);
    options.rebuild = {absl::Milliseconds(1), absl::Milliseconds(20)};
    options.page_repair = {absl::Milliseconds(1), absl::Milliseconds(20)};
    options.interval = absl::Milliseconds(1);
    options.peer_rest = absl::Milliseconds(5);
    return options;
  }
  // Another node as a peer sees it.
  class Link : public PeerNode {
   public:
    Link(Node* peer, std::atomic<int>* calls) : peer_(peer), calls_(calls) {}
    absl::StatusOr<protocol::ReadLogReply> ReadLog(const protocol::ReadLogRequest& r) override {
      return Ask<protocol::ReadLogReply>([&] { return peer_->node->ReadLog(r); });
    }
    absl::StatusOr<protocol::CopyPagesReply> CopyPages(
        const protocol::CopyPagesRequest& r) override {
      protocol::CopyPagesRequest small = r;
      small.max_bytes = 2 * kGeometry.page_bytes;
      return Ask<protocol::CopyPagesReply>([&] { return peer_->node->CopyPages(small); });
    }
    absl::StatusOr<protocol::ReadPagesReply> ReadPages(
        const protocol::ReadPagesRequest& r) override {
      return Ask<protocol::ReadPagesReply>([&] { return peer_->node->ReadPages(r); });
    }

   private:
    template <typename Reply, typename Call>
    absl::StatusOr<Reply> Ask(Call call) {
      ++*calls_;
      if (peer_->is_cut_off) return absl::UnavailableError("cut off");
      return call();
    }
    Node* const peer_;
    std::atomic<int>* const calls_;
  };
  PeerNodes Peers() {
    PeerNodes peers;
    for (size_t i = 0; i < nodes_.size(); ++i) {
      peers[Members().members[i].node] = std::make_shared<Link>(&nodes_[i], &calls_);
    }
    return peers;
  }
  void Send(size_t i, Lsn after, Lsn through, Lsn vdl = Lsn(0)) {
    nodes_[i].stream->Append(chain_.Batch(kPg, after, through, vdl).bytes);
  }
  void Heartbeat(size_t i, Lsn vdl) { Send(i, chain_.last_lsn(), chain_.last_lsn(), vdl); }
  protocol::SegmentStatus Status(size_t i) { return nodes_[i].node->Status().segments.at(0); }
  // As a writer does, by the acknowledgements.
  bool AwaitScl(size_t i, Lsn scl) {
    return nodes_[i].acks.AwaitScl(kPg, scl) && Status(i).scl == scl;
  }
  void WriteSome(int count) {
    for (int i = 0; i < count; ++i) chain_.Write(PageNo(i % 16), 0, "x");
  }

  RecordChain chain_{kVolume, kGeometry};
  std::atomic<int> calls_{0};
  std::array<Node, 3> nodes_;
};

TEST_F(GossipRunnerTest, AMemberThatWasAwayFetchesWhatItMissed) {
  WriteSome(50);
  for (size_t i : {0, 1}) Send(i, Lsn(0), Lsn(50));
  Send(2, Lsn(0), Lsn(10));
  for (size_t i : {0, 1}) ASSERT_TRUE(nodes_[i].acks.AwaitScl(kPg, Lsn(50)));
  ASSERT_TRUE(nodes_[2].acks.AwaitScl(kPg, Lsn(10)));
  EXPECT_EQ(calls_, 0);
  Heartbeat(2, Lsn(40));
  ASSERT_TRUE(AwaitScl(2, Lsn(40))) << "no more than what is durable";
  // The writer's next batch, above a gap still, is answered for once that is filled too.
  WriteSome(1);
  Send(2, Lsn(50), Lsn(51), Lsn(50));
  ASSERT_TRUE(AwaitScl(2, Lsn(51)));
  // Counted after it is stored, so a moment after SCL says so.
  EXPECT_TRUE(Await([&] { return nodes_[2].gossip->counters().records >= 40; }));
  EXPECT_EQ(nodes_[2].gossip->counters().records, 40u);
  protocol::ReadPagesRequest read{
      .segment = kSegment, .epoch = VolumeEpoch(1), .read_point = Lsn(50), .pages = {PageNo(3)}};
  const auto pages = nodes_[2].node->ReadPages(read);
  ASSERT_OK(pages);
  EXPECT_EQ(pages->pages[0].bytes, chain_.PageAt(PageNo(3), Lsn(50)));
}

TEST_F(GossipRunnerTest, NobodyIsAskedWhileAllIsHeld) {
  for (int i = 0; i < 20; ++i) {
    const Lsn before = chain_.last_lsn();
    WriteSome(3);
    for (size_t node = 0; node < 3; ++node) Send(node, before, chain_.last_lsn(), before);
    for (size_t node = 0; node < 3; ++node) {
      ASSERT_TRUE(nodes_[node].acks.AwaitScl(kPg, chain_.last_lsn()));
      Heartbeat(node, chain_.last_lsn());
    }
  }
  EXPECT_EQ(calls_, 0);
}

TEST_F(GossipRunnerTest, AnUnreachablePeerIsPassedOverAndARecoveredOneIsFound) {
  WriteSome(5);
  Send(1, Lsn(0), Lsn(5));
  ASSERT_TRUE(nodes_[1].acks.AwaitScl(kPg, Lsn(5)));
  nodes_[0].is_cut_off = nodes_[1].is_cut_off = true;
  Heartbeat(2, Lsn(5));
  ASSERT_TRUE(Await([&] { return nodes_[2].gossip->counters().failures >= 6; }));
  EXPECT_EQ(Status(2).scl, Lsn(0));
  nodes_[1].is_cut_off = false;
  ASSERT_TRUE(AwaitScl(2, Lsn(5)));
}

TEST_F(GossipRunnerTest, AForkThatWasTruncatedDoesNotSpread) {
  // Node 0 alone holds 6 to 9 when epoch 2 cuts at 5; it is fenced and misses the truncation.
  WriteSome(9);
  Send(0, Lsn(0), Lsn(9));
  for (size_t i : {1, 2}) Send(i, Lsn(0), Lsn(5));
  ASSERT_TRUE(nodes_[0].acks.AwaitScl(kPg, Lsn(9)));
  for (size_t i : {1, 2}) ASSERT_TRUE(nodes_[i].acks.AwaitScl(kPg, Lsn(5)));
  const std::vector<volume::Truncation> cut = {
      {.epoch = VolumeEpoch(2), .vdl = Lsn(5), .upper = Lsn(100)}};
  ASSERT_OK(Raise(nodes_[0].node.get(), kSegment, 2, 2));
  for (size_t i : {1, 2}) ASSERT_OK(Raise(nodes_[i].node.get(), kSegment, 2, 2, cut));
  chain_.Truncate(Lsn(5), Lsn(100), VolumeEpoch(2));
  WriteSome(4);
  // Node 2 misses the new records; only the forked peer can be asked.
  nodes_[1].is_cut_off = true;
  Send(1, Lsn(5), chain_.last_lsn());
  ASSERT_TRUE(nodes_[1].acks.AwaitScl(kPg, chain_.last_lsn()));
  Heartbeat(2, chain_.last_lsn());
  ASSERT_TRUE(Await([&] { return nodes_[2].gossip->counters().requests >= 10; }));
  EXPECT_EQ(Status(2).scl, Lsn(5));
  EXPECT_EQ(Status(2).records_ahead, 0u);
  nodes_[1].is_cut_off = false;
  ASSERT_TRUE(AwaitScl(2, chain_.last_lsn()));
  // And the forked one, once it knows the truncation, is made whole in turn.
  ASSERT_OK(Raise(nodes_[0].node.get(), kSegment, 2, 2, cut));
  Heartbeat(0, chain_.last_lsn());
  ASSERT_TRUE(AwaitScl(0, chain_.last_lsn()));
  EXPECT_THAT(nodes_[0].node->ReadLog({.segment = kSegment, .epoch = VolumeEpoch(2)})->records,
              ::testing::SizeIs(9));
}

// --- damage and rebuilding

class RepairTest : public GossipRunnerTest {
 protected:
  // Everybody is told that all is durable and that all hold it: the log may be collected.
  void Release(size_t i) {
    log::BatchBuilder builder(kVolume, kPg);
    nodes_[i].stream->Append(builder
                                 .Seal({.epoch = VolumeEpoch(1),
                                        .membership = MembershipEpoch(1),
                                        .vdl = chain_.last_lsn(),
                                        .pg_lsn_at_vdl = chain_.last_lsn(),
                                        .pgmrpl = chain_.last_lsn(),
                                        .held_by_all = chain_.last_lsn()})
                                 .bytes);
  }
  void WriteTo(size_t i, Lsn after) {
    Send(i, after, chain_.last_lsn());
    ASSERT_TRUE(nodes_[i].acks.AwaitScl(kPg, chain_.last_lsn()));
  }
  void ExpectPages(size_t i) {
    for (uint64_t page = 0; page < 16; ++page) {
      const auto read = nodes_[i].node->ReadPages({.segment = kSegment,
                                                   .epoch = VolumeEpoch(1),
                                                   .read_point = chain_.last_lsn(),
                                                   .pages = {PageNo(page)}});
      ASSERT_OK(read);
      EXPECT_EQ(read->pages[0].bytes, chain_.PageAt(PageNo(page), chain_.last_lsn()));
    }
  }
  bool AwaitCollected(size_t i) {
    return Await([&] { return Status(i).log_start == chain_.last_lsn(); });
  }
};

TEST_F(RepairTest, AMemberThatWasAwayForTooLongIsRebuilt) {
  WriteSome(10);
  for (size_t i : {0, 1, 2}) WriteTo(i, Lsn(0));
  WriteSome(60);
  for (size_t i : {0, 1}) {
    WriteTo(i, Lsn(10));
    Release(i);
    ASSERT_TRUE(AwaitCollected(i));
  }
  EXPECT_EQ(nodes_[0].node->ReadLog({.segment = kSegment, .epoch = VolumeEpoch(1)}).status().code(),
            absl::StatusCode::kOutOfRange);
  Heartbeat(2, chain_.last_lsn());
  ASSERT_TRUE(Await([&] { return Status(2).scl == chain_.last_lsn(); }));
  EXPECT_GE(nodes_[2].gossip->counters().pages, 16u);
  EXPECT_TRUE(Await([&] { return !Status(2).rebuild.has_value(); }));
  ExpectPages(2);
  EXPECT_EQ(Status(2).read_floor, Lsn(70));
  // And goes on as log.
  WriteSome(5);
  WriteTo(2, Lsn(70));
  ExpectPages(2);
}

TEST_F(RepairTest, ARebuildReliesOnNoPageThatTheDiskLost) {
  WriteSome(10);
  for (size_t i : {0, 1, 2}) WriteTo(i, Lsn(0));
  WriteSome(60);
  for (size_t i : {0, 1}) {
    WriteTo(i, Lsn(10));
    Release(i);
    ASSERT_TRUE(AwaitCollected(i));
  }
  nodes_[2].disk->MisdirectNextPage(PageNo(3));  // of page 0, below what page 3 is now
  Heartbeat(2, chain_.last_lsn());
  ASSERT_TRUE(Await([&] { return Status(2).scl == chain_.last_lsn(); }));
  EXPECT_GE(nodes_[2].gossip->counters().pages, 32u) << "copied twice";
  ExpectPages(2);
}

TEST_F(RepairTest, ADamagedVersionStaysWhileItsReplacementIsNotThere) {
  WriteSome(40);
  WriteTo(0, Lsn(0));
  Heartbeat(0, chain_.last_lsn());
  StorageNode& node = *nodes_[0].node;
  const auto stored = [&](Lsn lsn) {
    return protocol::CopyPagesReply::Page{PageNo(3), {lsn, chain_.PageAt(PageNo(3), lsn)}};
  };
  const Lsn old_lsn(20), new_lsn(36);
  ASSERT_OK(node.StorePages(kSegment, {stored(old_lsn)}));
  PageRepair::Replace replace{.page = PageNo(3), .image = stored(new_lsn).image, .drop = old_lsn};
  nodes_[0].disk->MisdirectNextPage(PageNo(5));
  EXPECT_EQ(node.ReplacePage(kSegment, replace).code(), absl::StatusCode::kDataLoss);
  const auto is_there = [&](Lsn lsn) {
    return node.ReadBack(kSegment, {.pages = {{PageNo(3), lsn}}}).ok();
  };
  EXPECT_TRUE(is_there(old_lsn));
  EXPECT_FALSE(is_there(new_lsn));
  ASSERT_OK(node.ReplacePage(kSegment, replace));
  EXPECT_FALSE(is_there(old_lsn));
  EXPECT_TRUE(is_there(new_lsn));
}

// A round of collection or a read may store the same version while what peers gave is read back.
TEST_F(RepairTest, APageStoredSinceTheFlushDoesNotStandInForTheOneThatWasLost) {
  StorageNode& node = *nodes_[0].node;
  const protocol::CopyPagesReply::Page copied{PageNo(3), {Lsn(20), "page"}};
  const auto read_back = [&](bool is_first) {
    return node.ReadBack(kSegment, {.is_first = is_first, .pages = {{PageNo(3), Lsn(20)}}}).code();
  };
  ASSERT_OK(node.StorePages(kSegment, {copied}));
  EXPECT_EQ(read_back(true), absl::StatusCode::kOk);
  ASSERT_TRUE(nodes_[0].disk->LosePage(kSegment, PageNo(3), Lsn(20)));
  ASSERT_OK(node.StorePages(kSegment, {copied}));
  EXPECT_EQ(read_back(false), absl::StatusCode::kDataLoss);
}

TEST_F(RepairTest, ADamagedBatchIsFoundByScrubbingAndFetchedAnew) {
  for (int i = 0; i < 5; ++i) {
    const Lsn before = chain_.last_lsn();
    WriteSome(10);
    for (size_t node : {0, 1}) WriteTo(node, before);
  }
  Heartbeat(0, chain_.last_lsn());
  ASSERT_TRUE(nodes_[0].disk->DamageBatch(kSegment, LogPosition(3), 100));
  ASSERT_TRUE(Await([&] { return nodes_[0].node->counters().damaged_batches == 1; }));
  ASSERT_TRUE(Await([&] {
    const auto status = Status(0);
    return status.scl == chain_.last_lsn() && !status.is_damaged;
  }));
  ExpectPages(0);
}

TEST_F(RepairTest, ADamagedPageIsMadeAnewByAPeerWhereTheLogIsGone) {
  WriteSome(40);
  for (size_t i : {0, 1, 2}) {
    WriteTo(i, Lsn(0));
    Release(i);
    ASSERT_TRUE(AwaitCollected(i));
  }
  Lsn lsn = Lsn(32 + 4);  // of page 3
  ASSERT_TRUE(nodes_[0].disk->DamagePage(kSegment, PageNo(3), lsn, 7));
  ASSERT_TRUE(nodes_[1].disk->DamagePage(kSegment, PageNo(3), lsn, 70));
  ASSERT_TRUE(Await([&] {
    return nodes_[0].gossip->counters().repaired_pages > 0 &&
           nodes_[1].gossip->counters().repaired_pages > 0;
  }));
  for (size_t i : {0, 1, 2}) ExpectPages(i);
}

}  // namespace
}  // namespace sextant::storage
