// Readers over six storage nodes in one process: read points that hold, holds that expire, jumps,
// a new writer under a reader, time travel, tokens.
#include <future>
#include <map>

#include "common/base/text.h"
#include "common/testing/await.h"
#include "embedded/embedded_cluster.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sextant::embedded {
namespace {

using compute::PageRef;
using testing::Await;
using ::testing::HasSubstr;

constexpr absl::Duration kLong = absl::Seconds(60);
constexpr uint64_t kPages = 128;

class ReaderTest : public ::testing::Test {
 protected:
  void Start(absl::Duration retain = absl::ZeroDuration(),
             absl::Duration hold = absl::Seconds(30)) {
    EmbeddedOptions options;
    options.geometry = {.page_bytes = 4096, .pages_per_pg = 256, .pg_count = 2};
    options.adjust_writer = [=, this](compute::WriterVolumeOptions* o) {
      o->history = history_;
      o->redo_ring_bytes = 200'000;
      o->retain = retain;
      o->followers.hold = hold;
    };
    options.adjust_reader = [](compute::ReaderVolumeOptions* o) {
      o->page_cache_bytes = 16 * 5000;
      o->fetch.deadline = absl::Seconds(20);
    };
    auto cluster = EmbeddedCluster::Create(std::move(options));
    ASSERT_TRUE(cluster.ok()) << cluster.status();
    cluster_ = *std::move(cluster);
    ASSERT_EQ(cluster_->StartNodes(), absl::OkStatus());
    ASSERT_EQ(cluster_->StartWriter(kLong), absl::OkStatus());
    Write(0);
    ASSERT_EQ(cluster_->StartReader("reader-1", kLong), absl::OkStatus());
  }

  compute::WriterVolume& writer() { return cluster_->writer(); }
  compute::ReaderVolume& reader() { return cluster_->reader("reader-1"); }

  // Every page says `round`, and a page of its own noise; durable.
  Lsn Write(int round) {
    Lsn last;
    for (uint64_t page = 0; page < kPages; ++page) last = WriteOne(PageNo(page), round);
    EXPECT_EQ(writer().Drain(kLong), absl::OkStatus());
    return last;
  }
  Lsn WriteOne(PageNo page, int round) {
    auto view = writer().OpenView(writer().head());
    EXPECT_TRUE(view.ok());
    auto base = writer().ReadPage(**view, page);
    EXPECT_TRUE(base.ok()) << base.status();
    std::string after(4096, static_cast<char>('a' + round % 26));
    const std::string text = Text(round, ".");
    after.replace(0, text.size(), text);
    auto lsn = writer().Append({{page, *base, std::move(after)}});
    EXPECT_TRUE(lsn.ok()) << lsn.status();
    return lsn.value_or(Lsn());
  }
  static int RoundOf(const PageRef& page) { return std::atoi(page->bytes.c_str()); }

  absl::Status Shows(Lsn lsn, absl::Duration timeout = kLong) {
    auto reached = std::make_shared<std::promise<absl::Status>>();
    auto future = reached->get_future();
    reader().WhenDurable(lsn, timeout, [reached](absl::Status s) { reached->set_value(s); });
    return future.get();
  }
  // All pages of the view are of one round: that one.
  void ExpectAll(const compute::ReadView& view, int round) {
    for (uint64_t page = 0; page < kPages; ++page) {
      const auto read = reader().ReadPage(view, PageNo(page));
      ASSERT_TRUE(read.ok()) << read.status();
      ASSERT_EQ(RoundOf(*read), round) << "page " << page;
    }
  }
  std::unique_ptr<compute::ReadView> ViewAt(Lsn lsn) {
    auto view = reader().OpenView(lsn);
    EXPECT_TRUE(view.ok()) << view.status();
    return view.ok() ? *std::move(view) : nullptr;
  }

  std::vector<protocol::DurableStep> history_;  // that the next writer is given
  std::unique_ptr<EmbeddedCluster> cluster_;
};

TEST_F(ReaderTest, ATokenIsWaitedForAndThenShown) {
  Start();
  const Lsn token = Write(1);
  ASSERT_EQ(Shows(token), absl::OkStatus());
  ExpectAll(*ViewAt(reader().vdl()), 1);
  const absl::Status late = Shows(token + 1'000'000, absl::Milliseconds(50));
  EXPECT_EQ(late.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(late.message()), HasSubstr("this reader does not show"));
}

TEST_F(ReaderTest, AppendsAreRefused) {
  Start();
  const absl::Status refused = reader().CheckAppend(0, {});
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("writer"));
}

TEST_F(ReaderTest, ALongReadHoldsWhatItReadsUnderWrites) {
  Start();
  const Lsn token = Write(1);
  ASSERT_EQ(Shows(token), absl::OkStatus());
  const auto view = ViewAt(token);
  for (int round = 2; round < 12; ++round) Write(round);
  ASSERT_TRUE(Await([&] { return reader().vdl() == writer().vdl(); }));
  ExpectAll(*view, 1);
  EXPECT_LE(writer().status().progress.pgmrpl, token);
}

TEST_F(ReaderTest, ASilentReadersHoldExpiresAndItsReadsSaySo) {
  Start(absl::ZeroDuration(), /*hold=*/absl::Milliseconds(300));
  const Lsn token = Write(1);
  ASSERT_EQ(Shows(token), absl::OkStatus());
  const auto view = ViewAt(token);
  ASSERT_TRUE(Await([&] { return writer().status().readers.at(0).published >= token; }));
  cluster_->reader_faults("reader-1").SetPaused(true);
  for (int round = 2; round < 5; ++round) Write(round);
  ASSERT_TRUE(Await([&] { return writer().status().progress.pgmrpl > token; }));
  cluster_->reader_faults("reader-1").SetPaused(false);
  ASSERT_TRUE(Await([&] { return reader().status().floor > token; }));
  absl::Status status;
  for (uint64_t page = 0; page < kPages && status.ok(); ++page) {
    const auto read = reader().ReadPage(*view, PageNo(page));
    status = read.status();
    if (read.ok()) {
      EXPECT_EQ(RoundOf(*read), 1);  // cached: never other bytes
    }
  }
  EXPECT_EQ(status.code(), absl::StatusCode::kOutOfRange);
  EXPECT_THAT(std::string(status.message()), HasSubstr("snapshot too old"));
  EXPECT_EQ(reader().OpenView(token).status().code(), absl::StatusCode::kOutOfRange);
  ExpectAll(*ViewAt(reader().vdl()), 4);
}

TEST_F(ReaderTest, OneThatFellBehindJumpsAndHoldsNothingUp) {
  Start();
  cluster_->reader_faults("reader-1").SetPaused(true);
  Lsn last;
  for (int round = 1; round < 6; ++round) last = Write(round);  // far more than the ring holds
  EXPECT_LT(reader().vdl(), last);
  cluster_->reader_faults("reader-1").SetPaused(false);
  ASSERT_EQ(Shows(last), absl::OkStatus());
  ExpectAll(*ViewAt(reader().vdl()), 5);
  EXPECT_GE(reader().status().counters.jumps, 1u);
  EXPECT_EQ(reader().status().counters.streams, 1u);  // the same stream
  EXPECT_EQ(reader().status().pending_bytes, 0u);
  ASSERT_TRUE(reader().status().lag_us.has_value());
  EXPECT_GT(reader().status().lag_us->count(), 0u);
}

TEST_F(ReaderTest, CutOffItServesItsLastVdlAndItsLagIsUnknown) {
  Start();
  const Lsn token = Write(1);
  ASSERT_EQ(Shows(token), absl::OkStatus());
  cluster_->reader_faults("reader-1").SetConnected(false);
  ASSERT_TRUE(Await([&] { return !reader().status().is_following; }));
  Write(2);
  EXPECT_FALSE(reader().status().lag_us.has_value());
  ExpectAll(*ViewAt(reader().vdl()), 1);
  cluster_->reader_faults("reader-1").SetConnected(true);
  ASSERT_EQ(Shows(writer().vdl()), absl::OkStatus());
  ExpectAll(*ViewAt(reader().vdl()), 2);
  EXPECT_TRUE(reader().status().lag_us.has_value());
}

TEST_F(ReaderTest, ANewWriterIsFollowedAndALongReadOutlivesTheChange) {
  Start();
  const Lsn token = Write(1);
  ASSERT_EQ(Shows(token), absl::OkStatus());
  const auto view = ViewAt(token);
  Write(2);
  const VolumeEpoch old_epoch = reader().status().epoch;
  cluster_->KillWriter();
  ASSERT_TRUE(Await([&] { return !reader().status().is_following; }));
  ExpectAll(*view, 1);
  ASSERT_EQ(cluster_->StartWriter(kLong), absl::OkStatus());
  ASSERT_EQ(Shows(Write(3)), absl::OkStatus());
  EXPECT_GT(reader().status().epoch, old_epoch);
  ExpectAll(*ViewAt(reader().vdl()), 3);
  ExpectAll(*view, 1);
}

TEST_F(ReaderTest, TimeTravelGoesToCommitsOnWriterAndReaders) {
  Start(/*retain=*/absl::Minutes(10));
  std::map<int, Lsn> commits;
  for (int round = 1; round < 6; ++round) commits[round] = Write(round);
  ASSERT_EQ(Shows(commits[5]), absl::OkStatus());
  for (const auto& [round, lsn] : commits) {
    const auto at = reader().AsOfLsn(lsn);
    ASSERT_TRUE(at.ok()) << at.status();
    EXPECT_EQ(*at, lsn);
    ExpectAll(*ViewAt(*at), round);
    EXPECT_EQ(*writer().AsOfLsn(lsn), lsn);
  }
  EXPECT_EQ(*reader().AsOfTime(absl::InfiniteFuture()), reader().vdl());
  EXPECT_EQ(reader().AsOfTime(absl::UnixEpoch()).status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(writer().AsOfTime(absl::UnixEpoch()).status().code(), absl::StatusCode::kOutOfRange);
}

TEST_F(ReaderTest, TimeTravelGoesOnWhenTheReaderBecomesTheWriter) {
  Start(absl::Hours(1));
  std::map<int, Lsn> commits;
  for (int round = 1; round < 6; ++round) commits[round] = Write(round);
  ASSERT_EQ(Shows(commits[5]), absl::OkStatus());
  const absl::Time before = absl::Now();
  // As a node does that is promoted: the reader is shut down, and a writer opened in its place.
  cluster_->KillWriter();
  reader().Shutdown();
  history_ = reader().History();
  cluster_->KillReader("reader-1");
  ASSERT_EQ(cluster_->StartWriter(kLong), absl::OkStatus());
  for (const auto& [round, lsn] : commits) {
    const auto at = writer().AsOfLsn(lsn);
    ASSERT_TRUE(at.ok()) << at.status();
    EXPECT_EQ(*at, lsn);
    const auto view = writer().OpenView(*at);
    ASSERT_TRUE(view.ok()) << view.status();
    const auto page = writer().ReadPage(**view, PageNo(7));
    ASSERT_TRUE(page.ok()) << page.status();
    EXPECT_EQ(RoundOf(*page), round);
  }
  EXPECT_EQ(*writer().AsOfTime(before), commits[5]);
  // A reader that comes is told.
  ASSERT_EQ(cluster_->StartReader("reader-1", kLong), absl::OkStatus());
  EXPECT_EQ(*reader().AsOfLsn(commits[2]), commits[2]);
  ExpectAll(*ViewAt(commits[2]), 2);
}

TEST_F(ReaderTest, ATransactionTooLargeToSendIsToldWithoutItsBytes) {
  Start();
  ASSERT_EQ(Shows(Write(1)), absl::OkStatus());
  ExpectAll(*ViewAt(reader().vdl()), 1);
  const uint64_t jumps = reader().status().counters.jumps;  // the ring is small
  // More in one mini-transaction than is sent with payloads.
  constexpr uint64_t kMany = 400;
  std::vector<compute::PageWrite> writes;
  auto view = writer().OpenView(writer().head());
  ASSERT_TRUE(view.ok());
  for (uint64_t page = 0; page < kMany; ++page) {
    auto base = writer().ReadPage(**view, PageNo(page));
    ASSERT_TRUE(base.ok());
    std::string after(4096, 'z');
    after.replace(0, 2, "7.");
    writes.push_back({PageNo(page), *base, std::move(after)});
  }
  const auto lsn = writer().Append(std::move(writes));
  ASSERT_TRUE(lsn.ok()) << lsn.status();
  ASSERT_EQ(Shows(*lsn), absl::OkStatus());
  ExpectAll(*ViewAt(reader().vdl()), 7);
  EXPECT_EQ(reader().status().counters.jumps, jumps);
}

}  // namespace
}  // namespace sextant::embedded
