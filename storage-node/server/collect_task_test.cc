// A storage node that collects its log in the background: what it may let go, and what it never
// loses.
#include <atomic>
#include <thread>

#include "common/base/prng.h"
#include "common/testing/await.h"
#include "common/testing/record_chain.h"
#include "common/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage-node/segment/read_back.h"
#include "storage-node/server/node_testing.h"
#include "storage-node/server/storage_node.h"
#include "storage-node/store/memory_store.h"

namespace sextant::storage {
namespace {

using namespace sextant::storage::testing;  // NOLINT: test tools
using sextant::testing::Await;
using sextant::testing::RecordChain;

constexpr VolumeId kVolume{7};
constexpr volume::Geometry kGeometry{.page_bytes = 512, .pages_per_pg = 16, .pg_count = 1};
constexpr PgId kPg{0};
constexpr SegmentId kSegment{kVolume, kPg};

class CollectTaskTest : public ::testing::Test {
 protected:
  CollectTaskTest() {
    options_.node = "az1-a";
    options_.zone = "az1";
    options_.upkeep.interval = absl::Milliseconds(2);
    options_.upkeep.collect.min_bytes = 1;
  }
  ~CollectTaskTest() override { Stop(); }

  void Start() {
    auto node = StorageNode::Open(options_, std::make_unique<MemoryStore>(disk_),
                                  [](const absl::Status&) {});
    ASSERT_OK(node);
    node_ = *std::move(node);
    stream_ = node_->OpenStream(acks_.Sink());
  }
  void Stop() {
    stream_.reset();
    node_.reset();
  }
  void StartWithSegment() {
    Start();
    ASSERT_OK(node_->CreateSegment(CreateRequest(kVolume, kGeometry, kPg)));
    ASSERT_OK(Raise(node_.get(), kSegment, 1));
  }
  // Some mini-transactions, made durable.
  void Write(int mtrs) {
    for (int i = 0; i < mtrs; ++i) chain_.RandomMtr(&prng_);
    stream_->Append(chain_.Batch(kPg, sent_).bytes);
    sent_ = chain_.last_lsn();
    ASSERT_TRUE(acks_.AwaitScl(kPg, chain_.last_lsn()));
  }
  // Everything so far is durable for the volume, and nobody needs what lies below `needed`.
  void Tell(Lsn needed) {
    log::BatchBuilder builder(kVolume, kPg);
    stream_->Append(builder
                        .Seal({.epoch = VolumeEpoch(1),
                               .membership = MembershipEpoch(1),
                               .vdl = chain_.last_lsn(),
                               .pg_lsn_at_vdl = chain_.last_lsn(),
                               .pgmrpl = needed,
                               .held_by_all = needed})
                        .bytes);
  }
  protocol::SegmentStatus Status() { return node_->Status().segments.at(0); }
  bool AwaitLogStart(Lsn lsn) {
    return Await([&] { return Status().log_start == lsn; });
  }
  absl::StatusOr<protocol::ReadPagesReply> Read(PageNo page, Lsn read_point) {
    return node_->ReadPages({.segment = kSegment,
                             .epoch = VolumeEpoch(1),
                             .read_point = read_point,
                             .pg_lsn = read_point,
                             .pages = {page}});
  }
  void ExpectAllPages(Lsn read_point) {
    for (uint64_t page = 0; page < kGeometry.pages_per_pg; ++page) {
      const auto reply = Read(PageNo(page), read_point);
      ASSERT_OK(reply);
      EXPECT_EQ(reply->pages[0].bytes, chain_.PageAt(PageNo(page), read_point)) << "page " << page;
    }
  }

  StorageNodeOptions options_;
  std::shared_ptr<MemoryDisk> disk_ = std::make_shared<MemoryDisk>();
  Prng prng_{11};
  RecordChain chain_{kVolume, kGeometry};
  Lsn sent_;
  Acks acks_;
  std::unique_ptr<StorageNode> node_;
  std::unique_ptr<StorageNode::AppendStream> stream_;
};

TEST_F(CollectTaskTest, CollectsInTheBackgroundAndServesTheSameBytes) {
  StartWithSegment();
  Write(50);
  const Lsn needed = chain_.last_lsn();
  Write(10);
  const uint64_t bytes = Status().log_bytes;
  Tell(needed);
  ASSERT_TRUE(AwaitLogStart(needed));
  EXPECT_LT(Status().log_bytes, bytes / 2);
  for (const bool is_restarted : {false, true}) {
    if (is_restarted) {
      Stop();
      disk_->Crash();
      Start();
    }
    ExpectAllPages(needed);
    ExpectAllPages(chain_.last_lsn());
    EXPECT_EQ(Status().log_start, needed);
    EXPECT_EQ(Status().scl, chain_.last_lsn());
    EXPECT_EQ(Read(PageNo(0), Lsn(needed - Lsn(1))).status().code(), absl::StatusCode::kOutOfRange);
    const auto log = node_->ReadLog(
        {.segment = kSegment, .epoch = VolumeEpoch(1), .after = Lsn(needed - Lsn(1))});
    EXPECT_EQ(log.status().code(), absl::StatusCode::kOutOfRange);
  }
}

TEST_F(CollectTaskTest, LogAndVersionsLevelOff) {
  StartWithSegment();
  size_t most_versions = 0;
  for (int round = 0; round < 10; ++round) {
    Write(200);
    Tell(chain_.last_lsn());
    ASSERT_TRUE(AwaitLogStart(chain_.last_lsn()));
    EXPECT_EQ(Status().log_bytes, 0u);
  }
  Stop();
  MemoryStore store(disk_);
  ASSERT_OK(store.ScanPages(kSegment, PageNo(0), 100,
                            [&](PageNo, Lsn, const auto&) { ++most_versions; }));
  EXPECT_LE(most_versions, 2 * kGeometry.pages_per_pg) << "2,000 mini-transactions were made";
}

TEST_F(CollectTaskTest, AMisdirectedVersionIsFoundWhileTheLogCanStillReplaceIt) {
  StartWithSegment();
  Write(50);
  disk_->MisdirectNextPage(PageNo(3));
  Tell(chain_.last_lsn());
  ASSERT_TRUE(Await([&] { return node_->counters().collect_failures > 0; }));
  EXPECT_EQ(Status().log_start, Lsn());
  ExpectAllPages(chain_.last_lsn());
}

// Simulator, seed 1009261 of f53c584: a read stored the version anew between the flush that lost it
// and the read-back, and the log went though nothing durable held it.
TEST_F(CollectTaskTest, AVersionStoredSinceTheFlushDoesNotStandInForTheOneThatWasLost) {
  MemoryStore store(disk_);
  const PageNo page(3);
  const page::PageImage image{Lsn(5), "page"};
  const auto read_back = [&] {
    return ReadBackPage(&store, kSegment, {page, image.lsn}, Lsn(9)).code();
  };
  ASSERT_OK(store.WritePage(kSegment, page, image));
  EXPECT_EQ(read_back(), absl::StatusCode::kDataLoss);
  ASSERT_OK(store.FlushPages());
  EXPECT_EQ(read_back(), absl::StatusCode::kOk);
  ASSERT_TRUE(disk_->LosePage(kSegment, page, image.lsn));
  ASSERT_OK(store.WritePage(kSegment, page, image));
  EXPECT_EQ(read_back(), absl::StatusCode::kDataLoss);
  ASSERT_OK(store.FlushPages());
  EXPECT_EQ(read_back(), absl::StatusCode::kOk);
  ASSERT_OK(store.WritePage(kSegment, page, {Lsn(9), "what should not be there"}));
  EXPECT_EQ(read_back(), absl::StatusCode::kDataLoss);
}

TEST_F(CollectTaskTest, ADamagedVersionWithoutItsLogIsALossNeverOtherBytes) {
  StartWithSegment();
  chain_.WriteImage(PageNo(3), std::string(512, 'x'));
  Write(20);
  Tell(chain_.last_lsn());
  ASSERT_TRUE(AwaitLogStart(chain_.last_lsn()));
  const Lsn version = chain_.PageLsnAt(PageNo(3), chain_.last_lsn());
  ASSERT_TRUE(disk_->DamagePage(kSegment, PageNo(3), version, 5));
  EXPECT_EQ(Read(PageNo(3), chain_.last_lsn()).status().code(), absl::StatusCode::kDataLoss);
  chain_.Write(PageNo(3), 0, "more");  // made on the version that is damaged
  Write(1);
  EXPECT_EQ(Read(PageNo(3), chain_.last_lsn()).status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(CollectTaskTest, ALostVersionIsNotTakenForAPageNeverWritten) {
  StartWithSegment();
  chain_.Write(PageNo(3), 0, "first");
  Write(20);
  Tell(chain_.last_lsn());
  ASSERT_TRUE(AwaitLogStart(chain_.last_lsn()));
  ASSERT_TRUE(disk_->LosePage(kSegment, PageNo(3), chain_.PageLsnAt(PageNo(3), chain_.last_lsn())));
  chain_.Write(PageNo(3), 0, "more");
  Write(1);
  EXPECT_EQ(Read(PageNo(3), chain_.last_lsn()).status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(CollectTaskTest, AFullDiskRefusesBatchesAndNotCollection) {
  StartWithSegment();
  Write(50);
  const Lsn held = chain_.last_lsn();
  disk_->SetFull(true);
  Tell(held);
  ASSERT_TRUE(AwaitLogStart(held));
  disk_->SetFull(false);
  Write(5);
  ExpectAllPages(chain_.last_lsn());
}

TEST_F(CollectTaskTest, ReadersAtOpenReadPointsNeverSeeARoundPass) {
  StartWithSegment();
  Write(20);
  std::atomic<uint64_t> oldest{chain_.last_lsn().value()};  // of the open read points
  std::map<uint64_t, std::vector<std::string>> expected;
  const auto remember = [&] {
    std::vector<std::string>& pages = expected[chain_.last_lsn().value()];
    for (uint64_t page = 0; page < kGeometry.pages_per_pg; ++page) {
      pages.push_back(chain_.PageAt(PageNo(page), chain_.last_lsn()));
    }
  };
  for (int round = 0; round < 30; ++round) {
    remember();
    const Lsn read_point = chain_.last_lsn();
    Tell(Lsn(oldest));
    std::atomic<bool> has_passed{false};
    std::thread reader([&] {
      for (uint64_t i = 0; i < kGeometry.pages_per_pg || !has_passed; ++i) {
        const uint64_t page = i % kGeometry.pages_per_pg;
        const auto reply = Read(PageNo(page), read_point);
        ASSERT_OK(reply);
        EXPECT_EQ(reply->pages[0].bytes, expected[read_point.value()][page]);
      }
    });
    Write(5);
    Tell(read_point);  // a round passes below the reader
    EXPECT_TRUE(AwaitLogStart(read_point));
    has_passed = true;
    reader.join();
    oldest = read_point.value();
  }
}

}  // namespace
}  // namespace sextant::storage
