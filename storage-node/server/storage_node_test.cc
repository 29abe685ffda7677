// StorageNode over a memory store: appending, group commit, refusals, restarts, failures.
#include "storage-node/server/storage_node.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "common/testing/record_chain.h"
#include "common/testing/status_matchers.h"
#include "storage-node/server/node_testing.h"
#include "storage-node/store/memory_store.h"

namespace sextant::storage {
namespace {

using ::sextant::testing::RecordChain;
using ::sextant::testing::StatusIs;
using ::testing::Field;
using ::testing::SizeIs;
using namespace sextant::storage::testing;

constexpr VolumeId kVolume{7};
constexpr volume::Geometry kGeometry{.page_bytes = 512, .pages_per_pg = 16, .pg_count = 2};
constexpr PgId kPg{0};
constexpr SegmentId kSegment{kVolume, kPg};

class StorageNodeTest : public ::testing::Test {
 protected:
  ~StorageNodeTest() override {
    stream_.reset();
    node_.reset();
  }

  void Start() {
    options_.node = "az1-a";
    options_.zone = "az1";
    auto node = StorageNode::Open(options_, std::make_unique<MemoryStore>(disk_),
                                  [this](const absl::Status& error) { fatal_.set_value(error); });
    ASSERT_OK(node);
    node_ = *std::move(node);
    stream_ = node_->OpenStream(acks_.Sink());
  }
  void StartWithSegments() {
    Start();
    for (uint32_t pg = 0; pg < kGeometry.pg_count; ++pg) {
      ASSERT_OK(node_->CreateSegment(CreateRequest(kVolume, kGeometry, PgId(pg))));
      ASSERT_OK(Raise(node_.get(), {kVolume, PgId(pg)}, 1));
    }
  }
  void Restart() {
    stream_.reset();
    node_.reset();
    Start();
  }
  // Everything since `after`, and waits until it is durable.
  void AppendAndAwait(Lsn after = Lsn(0), Lsn vdl = Lsn(0)) {
    stream_->Append(chain_.Batch(kPg, after, Lsn(UINT64_MAX), vdl).bytes);
    ASSERT_TRUE(acks_.AwaitScl(kPg, chain_.PgLsnAt(kPg, chain_.last_lsn())));
  }
  protocol::ReadPagesRequest PageRequest(PageNo page, Lsn read_point) {
    return {.segment = kSegment,
            .epoch = VolumeEpoch(1),
            .read_point = read_point,
            .pg_lsn = chain_.PgLsnAt(kPg, read_point),
            .pages = {page}};
  }
  void ExpectPage(PageNo page, Lsn read_point) {
    const auto reply = node_->ReadPages(PageRequest(page, read_point));
    ASSERT_OK(reply);
    ASSERT_THAT(reply->pages, SizeIs(1));
    EXPECT_EQ(reply->pages[0].lsn, chain_.PageLsnAt(page, read_point));
    EXPECT_EQ(reply->pages[0].bytes, chain_.PageAt(page, read_point));
  }

  StorageNodeOptions options_;
  std::shared_ptr<MemoryDisk> disk_ = std::make_shared<MemoryDisk>();
  std::promise<absl::Status> fatal_;
  RecordChain chain_{kVolume, kGeometry};
  Acks acks_;
  std::unique_ptr<StorageNode> node_;
  std::unique_ptr<StorageNode::AppendStream> stream_;
};

// Holds the committer inside Commit until it is let go.
class Gate {
 public:
  explicit Gate(MemoryDisk* disk) : disk_(disk) {
    disk_->SetCommitHook([this](const StoreWrite&) {
      std::unique_lock<std::mutex> lock(mutex_);
      is_entered_ = true;
      changed_.notify_all();
      changed_.wait(lock, [this] { return is_open_; });
    });
  }
  ~Gate() { Open(); }
  void AwaitEntered() {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return is_entered_; });
  }
  void Open() {
    disk_->SetCommitHook(nullptr);
    std::lock_guard<std::mutex> lock(mutex_);
    is_open_ = true;
    changed_.notify_all();
  }

 private:
  MemoryDisk* const disk_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_entered_ = false;
  bool is_open_ = false;
};

TEST_F(StorageNodeTest, AppendsAcknowledgesAndReads) {
  StartWithSegments();
  Prng prng(1);
  for (int i = 0; i < 50; ++i) chain_.RandomMtr(&prng);
  AppendAndAwait();
  for (uint64_t page = 0; page < kGeometry.pages_per_pg; ++page) {
    ExpectPage(PageNo(page), chain_.last_lsn());
    ExpectPage(PageNo(page), Lsn(chain_.last_lsn().value() / 2));
  }
  const auto log = node_->ReadLog({.segment = kSegment, .epoch = VolumeEpoch(1), .after = Lsn(3)});
  ASSERT_OK(log);
  EXPECT_EQ(log->records, chain_.RecordsOf(kPg, Lsn(3)));
  EXPECT_TRUE(log->is_last);
  EXPECT_EQ(node_->counters().batches, 1u);
}

TEST_F(StorageNodeTest, ManyBatchesShareASync) {
  StartWithSegments();
  const uint64_t commits_before = node_->counters().commits;
  Gate gate(disk_.get());
  chain_.Write(PageNo(0), 0, "first");
  stream_->Append(chain_.Batch(kPg, Lsn(0)).bytes);
  gate.AwaitEntered();
  std::vector<std::unique_ptr<Acks>> acks;
  std::vector<std::unique_ptr<StorageNode::AppendStream>> streams;
  for (uint64_t i = 0; i < 40; ++i) {  // two protection groups, a stream for each batch
    const PgId pg(i % 2);
    const Lsn before = chain_.last_lsn();
    chain_.Write(PageNo(pg.value() * kGeometry.pages_per_pg + i / 2 % 16), 9, Text("text", i));
    acks.push_back(std::make_unique<Acks>());
    streams.push_back(node_->OpenStream(acks.back()->Sink()));
    streams.back()->Append(chain_.Batch(pg, before).bytes);
  }
  EXPECT_EQ(acks_.size(), 0u);
  gate.Open();
  for (uint64_t i = 0; i < 40; ++i) {
    EXPECT_TRUE(acks[i]->AwaitScl(PgId(i % 2), chain_.PgLsnAt(PgId(i % 2), chain_.last_lsn())));
  }
  EXPECT_EQ(node_->counters().commits - commits_before, 2u);
  EXPECT_EQ(node_->counters().batches, 41u);
  streams.clear();
}

TEST_F(StorageNodeTest, AcksOfARoundComeInOneCall) {
  StartWithSegments();
  Gate gate(disk_.get());
  chain_.Write(PageNo(0), 0, "first");
  stream_->Append(chain_.Batch(kPg, Lsn(0)).bytes);
  gate.AwaitEntered();
  for (const uint64_t page : {1, 17, 2, 18}) {
    const Lsn before = chain_.last_lsn();
    chain_.Write(PageNo(page), 0, "more");
    stream_->Append(chain_.Batch(kGeometry.PgOf(PageNo(page)), before).bytes);
  }
  gate.Open();
  EXPECT_TRUE(acks_.AwaitScl(PgId(0), chain_.PgLsnAt(PgId(0), chain_.last_lsn())));
  EXPECT_TRUE(acks_.AwaitScl(PgId(1), chain_.PgLsnAt(PgId(1), chain_.last_lsn())));
  EXPECT_EQ(acks_.calls(), 2);
}

TEST_F(StorageNodeTest, RefusesWhatItCannotTake) {
  StartWithSegments();
  chain_.Write(PageNo(0), 0, "text");
  std::string damaged = *chain_.Batch(kPg, Lsn(0)).bytes;
  damaged.back() = static_cast<char>(damaged.back() ^ 1);
  stream_->Append(std::make_shared<const std::string>(damaged));
  EXPECT_TRUE(acks_.AwaitCode(absl::StatusCode::kDataLoss));
  stream_->Append(std::make_shared<const std::string>("noise"));  // nobody to answer for
  RecordChain other(VolumeId(8), kGeometry);
  other.Write(PageNo(0), 0, "text");
  stream_->Append(other.Batch(kPg, Lsn(0)).bytes);
  EXPECT_TRUE(acks_.AwaitCode(absl::StatusCode::kNotFound));
  EXPECT_EQ(node_->counters().refused_damaged, 2u);
  ASSERT_OK(Raise(node_.get(), kSegment, 2, 2));
  stream_->Append(chain_.Batch(kPg, Lsn(0)).bytes);
  EXPECT_TRUE(acks_.AwaitCode(absl::StatusCode::kFailedPrecondition));
  EXPECT_EQ(node_->counters().refused_fenced, 1u);
  EXPECT_EQ(node_->Status().segments[0].scl, Lsn(0));
}

TEST_F(StorageNodeTest, NothingIsAcknowledgedAfterAFailedSync) {
  StartWithSegments();
  disk_->FailNextSync(absl::UnavailableError("EIO"));
  chain_.Write(PageNo(0), 0, "text");
  stream_->Append(chain_.Batch(kPg, Lsn(0)).bytes);
  EXPECT_EQ(fatal_.get_future().get(), absl::UnavailableError("EIO"));
  stream_->Append(chain_.Batch(kPg, Lsn(0)).bytes);
  EXPECT_THAT(Raise(node_.get(), kSegment, 2), StatusIs(absl::StatusCode::kUnavailable));
  stream_.reset();
  node_.reset();
  EXPECT_EQ(acks_.size(), 0u);
}

TEST_F(StorageNodeTest, AFullDiskRefusesAndRecovers) {
  StartWithSegments();
  chain_.Write(PageNo(0), 0, "first");
  AppendAndAwait();
  disk_->SetFull(true);
  const Lsn before = chain_.last_lsn();
  chain_.Write(PageNo(1), 0, "second");
  stream_->Append(chain_.Batch(kPg, before).bytes);
  EXPECT_TRUE(acks_.AwaitCode(absl::StatusCode::kResourceExhausted));
  ExpectPage(PageNo(0), before);
  disk_->SetFull(false);
  AppendAndAwait(before);
  EXPECT_EQ(node_->counters().refused_no_space, 1u);
  Restart();
  ExpectPage(PageNo(1), chain_.last_lsn());
}

TEST_F(StorageNodeTest, TooMuchWaitingIsRefusedAtOnce) {
  options_.max_pending_bytes = 2000;
  StartWithSegments();
  Gate gate(disk_.get());
  std::vector<Lsn> starts;
  for (int i = 0; i < 4; ++i) {
    starts.push_back(chain_.last_lsn());
    chain_.WriteImage(PageNo(i), std::string(512, static_cast<char>('a' + i)));
  }
  for (int i = 0; i < 4; ++i) {
    const Lsn through = i < 3 ? starts[i + 1] : chain_.last_lsn();
    stream_->Append(chain_.Batch(kPg, starts[i], through).bytes);
  }
  EXPECT_TRUE(acks_.AwaitCode(absl::StatusCode::kResourceExhausted));
  EXPECT_EQ(node_->counters().refused_backlog, 1u);
  gate.Open();
  EXPECT_TRUE(acks_.AwaitScl(kPg, starts[3]));
  AppendAndAwait(starts[3]);  // the room was given back
}

TEST_F(StorageNodeTest, ARestartKeepsEverythingDurable) {
  StartWithSegments();
  Prng prng(3);
  for (int i = 0; i < 30; ++i) chain_.RandomMtr(&prng);
  AppendAndAwait();
  const protocol::NodeStatus before = node_->Status();
  for (const bool is_crash : {false, true}) {
    if (is_crash) disk_->Crash();
    Restart();
    const protocol::NodeStatus after = node_->Status();
    ASSERT_THAT(after.segments, SizeIs(2));
    EXPECT_EQ(after.segments[0].scl, before.segments[0].scl);
    EXPECT_EQ(after.segments[0].incarnation, before.segments[0].incarnation);
    EXPECT_EQ(after.segments[0].epoch, VolumeEpoch(1));
    EXPECT_FALSE(after.segments[0].is_damaged);
    ExpectPage(PageNo(5), chain_.last_lsn());
  }
}

TEST_F(StorageNodeTest, ALostBatchIsSeenAtTheRestart) {
  StartWithSegments();
  chain_.Write(PageNo(0), 0, "first");
  AppendAndAwait();
  chain_.Write(PageNo(0), 0, "second");
  AppendAndAwait(Lsn(1));
  ASSERT_TRUE(disk_->LoseBatch(kSegment, LogPosition(2)));
  Restart();
  EXPECT_TRUE(node_->Status().segments[0].is_damaged);
  EXPECT_EQ(node_->Status().segments[0].scl, Lsn(1));
}

TEST_F(StorageNodeTest, PageVersionsAreKeptAndDamagedOnesReplaced) {
  options_.store_page_after_records = 4;
  StartWithSegments();
  for (int i = 0; i < 6; ++i) chain_.Write(PageNo(2), 8 * i, Text("edit", i));
  AppendAndAwait();
  stream_->Append(chain_.Batch(kPg, chain_.last_lsn(), Lsn(UINT64_MAX), Lsn(6)).bytes);
  ASSERT_TRUE(
      acks_.Await([this](const auto&) { return node_->Status().segments[0].known_vdl == Lsn(6); }));
  ExpectPage(PageNo(2), Lsn(6));
  EXPECT_EQ(node_->counters().pages_stored, 1u);
  ExpectPage(PageNo(2), Lsn(6));
  EXPECT_EQ(node_->counters().records_applied, 6u);  // the second read applied none
  ASSERT_TRUE(disk_->DamagePage(kSegment, PageNo(2), Lsn(6), 100));
  ExpectPage(PageNo(2), Lsn(6));
  EXPECT_EQ(node_->counters().damaged_pages, 1u);
  ExpectPage(PageNo(2), Lsn(6));
  EXPECT_EQ(node_->counters().damaged_pages, 1u);  // it was replaced
}

TEST_F(StorageNodeTest, ADamagedRecordIsNeverServed) {
  StartWithSegments();
  chain_.Write(PageNo(2), 0, "some text");
  AppendAndAwait();
  ASSERT_TRUE(
      disk_->DamageBatch(kSegment, LogPosition(1), chain_.Batch(kPg, Lsn(0)).bytes->size() - 1));
  EXPECT_THAT(node_->ReadPages(PageRequest(PageNo(2), Lsn(1))),
              StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(node_->ReadLog({.segment = kSegment, .epoch = VolumeEpoch(1)}),
              StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_EQ(node_->counters().page_read_errors, 1u);
}

TEST_F(StorageNodeTest, CreatingIsIdempotentAndExact) {
  StartWithSegments();
  auto request = CreateRequest(kVolume, kGeometry, kPg);
  const auto again = node_->CreateSegment(request);
  ASSERT_OK(again);
  EXPECT_EQ(again->epoch, VolumeEpoch(1));
  request.descriptor.geometry.pages_per_pg = 17;
  EXPECT_THAT(node_->CreateSegment(request), StatusIs(absl::StatusCode::kAborted));
  request = CreateRequest(kVolume, kGeometry, PgId(2));
  EXPECT_THAT(node_->CreateSegment(request), StatusIs(absl::StatusCode::kInvalidArgument));
  request = CreateRequest(VolumeId(8), kGeometry, kPg);
  request.slot = 3;
  EXPECT_THAT(node_->CreateSegment(request),
              StatusIs(absl::StatusCode::kInvalidArgument, ::testing::HasSubstr("az2-b")));
  request.slot = 0;
  request.directory = DirectoryId(4711);
  EXPECT_THAT(node_->CreateSegment(request),
              StatusIs(absl::StatusCode::kFailedPrecondition, ::testing::HasSubstr("is lost")));
  request.directory = node_->Status().directory;
  EXPECT_OK(node_->CreateSegment(request));  // another volume on the same node
  EXPECT_THAT(node_->Status().segments, SizeIs(3));
}

TEST_F(StorageNodeTest, ALateRequestMakesNothingInThePlaceOfADroppedSegment) {
  StartWithSegments();
  const auto made_by_the_first = CreateRequest(kVolume, kGeometry, kPg);
  ASSERT_OK(Raise(node_.get(), kSegment, 2));
  volume::Membership without = made_by_the_first.membership;
  without.members[0].node = "successor";
  without.epoch = volume::TakenOver(without, VolumeEpoch(2)).epoch;
  ASSERT_OK(node_->DropSegment({kSegment, VolumeEpoch(2), WriterId(1), without}));
  for (int round = 0; round < 2; ++round) {
    EXPECT_THAT(node_->Status().segments, SizeIs(1));
    EXPECT_THAT(
        node_->CreateSegment(made_by_the_first),
        StatusIs(absl::StatusCode::kFailedPrecondition, ::testing::HasSubstr("was replaced")));
    Restart();
  }
  auto comes_back = made_by_the_first;
  comes_back.membership.epoch = without.epoch.Next();
  const auto anew = node_->CreateSegment(comes_back);
  ASSERT_OK(anew);
  EXPECT_EQ(anew->epoch, VolumeEpoch(2)) << "what was promised is kept";
  Restart();
  EXPECT_THAT(node_->Status().segments, SizeIs(2));
}

TEST_F(StorageNodeTest, AStreamThatEndedHearsNothing) {
  StartWithSegments();
  Gate gate(disk_.get());
  chain_.Write(PageNo(0), 0, "text");
  stream_->Append(chain_.Batch(kPg, Lsn(0)).bytes);
  gate.AwaitEntered();
  stream_.reset();
  gate.Open();
  stream_ = node_->OpenStream(acks_.Sink());
  const size_t acks_of_the_first = acks_.size();
  EXPECT_EQ(acks_of_the_first, 0u);
  AppendAndAwait();  // the batch was stored all the same
}

TEST_F(StorageNodeTest, ManyThreadsAtOnce) {
  options_.store_page_after_records = 2;
  StartWithSegments();
  Prng prng(9);
  std::vector<log::EncodedBatch> batches[2];
  for (int i = 0; i < 150; ++i) {
    const Lsn before = chain_.last_lsn();
    chain_.RandomMtr(&prng);
    for (uint32_t pg = 0; pg < 2; ++pg) {
      if (chain_.RecordsOf(PgId(pg), before).empty()) continue;
      batches[pg].push_back(chain_.Batch(PgId(pg), before));
    }
  }
  std::atomic<bool> is_done{false};
  std::thread reader([&] {
    while (!is_done) {
      const protocol::NodeStatus status = node_->Status();
      const Lsn scl = status.segments[0].scl;
      ExpectPage(PageNo(scl.value() % 16), scl);
      (void)node_->ReadLog({.segment = kSegment, .epoch = VolumeEpoch(1), .max_bytes = 1000});
    }
  });
  std::vector<std::thread> writers;
  for (uint32_t pg = 0; pg < 2; ++pg) {
    for (int copy = 0; copy < 2; ++copy) {  // everything twice, as after a reconnect
      writers.emplace_back([&, pg] {
        Acks acks;
        const auto stream = node_->OpenStream(acks.Sink());
        for (const log::EncodedBatch& batch : batches[pg]) stream->Append(batch.bytes);
        EXPECT_TRUE(acks.AwaitScl(PgId(pg), chain_.PgLsnAt(PgId(pg), chain_.last_lsn())));
      });
    }
  }
  for (std::thread& writer : writers) writer.join();
  is_done = true;
  reader.join();
  for (uint64_t page = 0; page < 16; ++page) ExpectPage(PageNo(page), chain_.last_lsn());
  EXPECT_LT(node_->counters().commits, node_->counters().batches);
}

}  // namespace
}  // namespace sextant::storage
