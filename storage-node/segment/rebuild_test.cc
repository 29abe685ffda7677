// Rebuild: a segment far behind or empty is made whole from the pages of peers whose log is gone.
#include "storage-node/segment/rebuild.h"

#include <algorithm>
#include <set>

#include "common/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage-node/segment/gossip.h"
#include "storage-node/segment/segment_testing.h"

namespace sextant::storage {
namespace {

using namespace sextant::storage::testing;  // NOLINT: test tools
using ::sextant::testing::StatusIs;

const std::vector<quorum::Slot> kPeers = {1, 2};

// A writer that gives every page of the group a version now and then, a member that collects its
// log, and one that is rebuilt from it.
class RebuildTest : public ::testing::Test {
 protected:
  // Appends `count` records to the history, round the pages.
  void Write(int count) {
    for (int i = 0; i < count; ++i) {
      const uint64_t lsn = ++last_;
      const PageNo page(kPage.value() + lsn % 7);
      history_.push_back(Redo(lsn, lsn - 1, {.page = page, .prev_page = page_last_[page]}));
      page_last_[page] = lsn;
    }
  }
  // The records above `after` and, at the end, that all of them are durable.
  void Send(Rig* to, uint64_t after) {
    const std::vector<log::RedoRecord> records(history_.begin() + after, history_.end());
    if (!records.empty()) to->Send(Batch(records, {.vdl = after, .pg_lsn_at_vdl = after}));
    to->Settle();
    TellVdl(to);
  }
  void TellVdl(Rig* to, uint64_t pgmrpl = 0) {
    to->Send(
        Batch({}, {.vdl = last_, .pg_lsn_at_vdl = last_, .pgmrpl = pgmrpl, .held_by_all = pgmrpl}));
    to->Settle();
  }
  void Collect(Rig* rig, uint64_t through) {
    TellVdl(rig, through);
    ASSERT_TRUE(rig->Collect());
    ASSERT_EQ(rig->segment().log_start(), Lsn(through));
  }

  // What the node's shell does, on the rig's disk (server/page_copier.h).
  absl::StatusOr<protocol::CopyPagesReply> Copy(Rig& peer,
                                                const protocol::CopyPagesRequest& request,
                                                size_t max_pages) {
    const auto plan = peer.segment().PlanPageCopy(request, 1000);
    if (!plan.ok()) return plan.status();
    std::set<PageNo> pages(plan->pages.begin(), plan->pages.end());
    for (const auto& [page, versions] : peer.disk.pages) {
      if (plan->has_stored && page >= request.from) pages.insert(page);
    }
    protocol::CopyPagesReply reply{.read_point = plan->read_point, .pg_lsn = plan->pg_lsn};
    for (const PageNo page : pages) {
      if (reply.pages.size() == max_pages) {
        reply.next = page;
        reply.is_last = false;
        return reply;
      }
      const auto image = PageAt(peer, page, plan->read_point.value());
      if (!image.ok()) return image.status();
      if (image->lsn > request.changed_after) reply.pages.push_back({page, *image});
    }
    return reply;
  }
  static absl::StatusOr<page::PageImage> PageAt(Rig& rig, PageNo page, uint64_t read_point) {
    auto base = rig.disk.Page(page, Lsn(read_point));
    protocol::ReadPagesRequest request = rig.ReadRequest(read_point);
    request.pages = {page};
    const std::vector<Lsn> base_lsn = {base ? base->lsn : Lsn()};
    const auto plans = rig.segment().PlanPageRead(request, base_lsn);
    if (!plans.ok()) return plans.status();
    return rig.Fold(plans->front(), std::move(base));
  }

  Rebuild::Duty Next(const std::vector<quorum::Slot>& peers = kPeers) {
    return rebuild_.Next(patient_.segment().Status(), peers, now_);
  }
  // One step; false when there is nothing to do any more. `peer` answers for every slot.
  bool Step(Rig& peer, size_t max_pages = 2) {
    const Rebuild::Duty duty = Next();
    if (const auto* ask = std::get_if<Rebuild::Ask>(&duty)) {
      const auto reply = Copy(peer, ask->request, max_pages);
      if (!rebuild_.Copied(reply, now_).ok()) return true;
      for (const auto& page : reply->pages)
        patient_.disk.pages[page.page][page.image.lsn] = page.image;
      return true;
    }
    if (const auto* what = std::get_if<Rebuild::ReadBack>(&duty)) {
      absl::Status status;
      for (const PageVersion& version : what->pages) {
        status.Update(CheckReadBack(version, patient_.disk.Page(version.page, version.lsn)));
      }
      rebuild_.WasReadBack(status, now_);
      return true;
    }
    if (const auto* finish = std::get_if<Rebuild::Finish>(&duty)) {
      patient_.log_start_replies.clear();
      patient_.segment().MoveLogStart({finish->log_start, finish->read_floor}, ReplyToken(8));
      patient_.Settle();
      EXPECT_EQ(patient_.log_start_replies.size(), 1u);
      rebuild_.Finished(patient_.log_start_replies.back(), now_);
      return true;
    }
    return false;
  }
  void Run(Rig& peer, size_t max_pages = 2) {
    rebuild_.Start(patient_.segment().Status(), now_);
    for (int i = 0; i < 1000 && Step(peer, max_pages); ++i) {
    }
    EXPECT_FALSE(rebuild_.is_running());
  }
  // Log gossip, until nothing more comes.
  absl::Status Gossip(Rig& peer) {
    const protocol::SegmentStatus status = patient_.segment().Status();
    const protocol::ReadLogRequest request{.segment = kSegment,
                                           .epoch = status.epoch,
                                           .after = status.scl,
                                           .through = status.pg_lsn_at_vdl};
    const auto plan = peer.segment().PlanLogRead(request);
    if (!plan.ok()) return plan.status();
    protocol::ReadLogReply reply{.scl = plan->scl};
    for (const RecordLocation& at : plan->records) reply.records.push_back(peer.ReadRecord(at));
    const auto batches = GossipBatches(status, request, reply);
    if (!batches.ok()) return batches.status();
    for (const log::EncodedBatch& batch : *batches) patient_.Send(batch, 7);
    patient_.Settle();
    return absl::OkStatus();
  }
  void ExpectSamePages(Rig& peer, uint64_t read_point) {
    for (uint64_t page = 10; page < 20; ++page) {
      const auto theirs = PageAt(peer, PageNo(page), read_point);
      const auto ours = PageAt(patient_, PageNo(page), read_point);
      ASSERT_OK(theirs);
      ASSERT_OK(ours);
      EXPECT_EQ(ours->lsn, theirs->lsn) << page;
      EXPECT_EQ(ours->bytes, theirs->bytes) << page;
    }
  }

  uint64_t last_ = 0;
  std::map<PageNo, uint64_t> page_last_;
  std::vector<log::RedoRecord> history_;
  Rig peer_, patient_;
  Rebuild rebuild_{{}, Prng(1)};
  Instant now_ = Instant::FromNanos(1'000'000'000);
};

TEST_F(RebuildTest, AnEmptySegmentIsMadeWholeFromPagesAndLog) {
  Write(30);
  Send(&peer_, 0);
  Collect(&peer_, 20);
  TellVdl(&patient_);
  EXPECT_THAT(Gossip(peer_), StatusIs(absl::StatusCode::kOutOfRange));
  Run(peer_);
  const protocol::SegmentStatus status = patient_.segment().Status();
  EXPECT_EQ(status.log_start, Lsn(30));
  EXPECT_EQ(status.scl, Lsn(30));
  EXPECT_EQ(status.read_floor, Lsn(30));
  EXPECT_EQ(rebuild_.progress().pages_copied, 7u);
  ExpectSamePages(peer_, 30);
  EXPECT_THAT(PageAt(patient_, kPage, 29), StatusIs(absl::StatusCode::kOutOfRange));
  patient_.Crash();
  EXPECT_EQ(patient_.scl(), Lsn(30)) << "what was copied was durable before the log began there";
  ExpectSamePages(peer_, 30);
}

TEST_F(RebuildTest, ASegmentMadeAnewInTheMiddleStartsAtTheFirstPage) {
  Write(30);
  Send(&peer_, 0);
  Collect(&peer_, 20);
  TellVdl(&patient_);
  rebuild_.Start(patient_.segment().Status(), now_);
  ASSERT_TRUE(Step(peer_));
  ASSERT_EQ(rebuild_.progress().pages_copied, 2u);
  protocol::SegmentStatus anew = patient_.segment().Status();
  anew.incarnation = IncarnationId(43);
  EXPECT_TRUE(std::holds_alternative<std::monostate>(rebuild_.Next(anew, kPeers, now_)));
  EXPECT_FALSE(rebuild_.is_running());
  rebuild_.Start(anew, now_);
  const Rebuild::Duty duty = rebuild_.Next(anew, kPeers, now_);
  ASSERT_TRUE(std::holds_alternative<Rebuild::Ask>(duty));
  EXPECT_EQ(std::get<Rebuild::Ask>(duty).request.from,
            PageNo(anew.segment.pg.value() * anew.descriptor.geometry.pages_per_pg));
  EXPECT_EQ(rebuild_.progress().pages_copied, 0u);
}

TEST_F(RebuildTest, AFinishedCopyIsNotTheBeginningOfASegmentMadeAnew) {
  Write(30);
  Send(&peer_, 0);
  Collect(&peer_, 20);
  TellVdl(&patient_);
  rebuild_.Start(patient_.segment().Status(), now_);
  ASSERT_TRUE(Step(peer_, 100));
  protocol::SegmentStatus anew = patient_.segment().Status();
  anew.incarnation = IncarnationId(43);
  EXPECT_TRUE(std::holds_alternative<std::monostate>(rebuild_.Next(anew, kPeers, now_)));
  EXPECT_FALSE(rebuild_.is_running());
}

TEST_F(RebuildTest, APageThatTheDiskLostIsCopiedAnewBeforeTheLogBegins) {
  Write(30);
  Send(&peer_, 0);
  Collect(&peer_, 20);
  TellVdl(&patient_);
  rebuild_.Start(patient_.segment().Status(), now_);
  ASSERT_TRUE(Step(peer_, 100));
  patient_.disk.pages[kPage.Next()].clear();
  ASSERT_TRUE(Step(peer_, 100)) << "read back";
  EXPECT_FALSE(Step(peer_, 100)) << "copies again after a while";
  EXPECT_EQ(patient_.segment().log_start(), Lsn());
  now_ = now_ + absl::Seconds(10);
  while (Step(peer_, 100)) {
  }
  EXPECT_FALSE(rebuild_.is_running());
  EXPECT_EQ(patient_.segment().log_start(), Lsn(30));
  ExpectSamePages(peer_, 30);
}

TEST_F(RebuildTest, PagesAreReadBackInPortionsAfterOneFlush) {
  rebuild_ = Rebuild({.pages_read_back_at_once = 3}, Prng(1));
  Write(30);
  Send(&peer_, 0);
  Collect(&peer_, 30);
  TellVdl(&patient_);
  rebuild_.Start(patient_.segment().Status(), now_);
  ASSERT_TRUE(Step(peer_, 100));
  std::vector<size_t> portions;
  Rebuild::Duty duty = Next();
  for (; std::holds_alternative<Rebuild::ReadBack>(duty); duty = Next()) {
    const auto& what = std::get<Rebuild::ReadBack>(duty);
    EXPECT_EQ(what.is_first, portions.empty());
    portions.push_back(what.pages.size());
    EXPECT_TRUE(std::holds_alternative<std::monostate>(Next())) << "one at a time";
    rebuild_.WasReadBack(absl::OkStatus(), now_);
  }
  EXPECT_EQ(portions, (std::vector<size_t>{3, 3, 1}));
  EXPECT_TRUE(std::holds_alternative<Rebuild::Finish>(duty));
}

TEST_F(RebuildTest, WhatIsWrittenMeanwhileComesAsLog) {
  Write(30);
  Send(&peer_, 0);
  Collect(&peer_, 30);
  TellVdl(&patient_);
  rebuild_.Start(patient_.segment().Status(), now_);
  while (rebuild_.is_running()) {
    const uint64_t before = last_;
    Write(3);
    Send(&peer_, before);
    TellVdl(&patient_);
    ASSERT_TRUE(Step(peer_));
  }
  const protocol::SegmentStatus status = patient_.segment().Status();
  EXPECT_EQ(status.log_start, Lsn(33)) << "the group's last at the lowest read point";
  EXPECT_GT(status.read_floor, status.log_start);
  EXPECT_LT(status.scl, status.pg_lsn_at_vdl);
  ASSERT_OK(Gossip(peer_));
  EXPECT_EQ(patient_.scl(), Lsn(last_));
  ExpectSamePages(peer_, last_);
  ExpectSamePages(peer_, status.read_floor.value());
}

TEST_F(RebuildTest, AnotherPassCopiesOnlyWhatChanged) {
  Write(30);
  Send(&peer_, 0);
  Collect(&peer_, 30);
  TellVdl(&patient_);
  Run(peer_);
  Write(2);  // two of the seven pages
  Send(&peer_, 30);
  Collect(&peer_, 32);
  TellVdl(&patient_);
  EXPECT_THAT(Gossip(peer_), StatusIs(absl::StatusCode::kOutOfRange));
  Run(peer_);
  EXPECT_EQ(rebuild_.progress().pages_copied, 2u);
  EXPECT_EQ(patient_.scl(), Lsn(32));
  ExpectSamePages(peer_, 32);
}

TEST_F(RebuildTest, OneThatFellBehindKeepsWhatItHeldUntilTheEnd) {
  Write(10);
  Send(&patient_, 0);
  Send(&peer_, 0);
  Write(20);
  Send(&peer_, 10);
  Collect(&peer_, 30);
  TellVdl(&patient_);
  rebuild_.Start(patient_.segment().Status(), now_);
  ASSERT_TRUE(Step(peer_));
  ASSERT_TRUE(Step(peer_));
  EXPECT_EQ(patient_.scl(), Lsn(10));
  const auto page = PageAt(patient_, PageNo(kPage.value() + 3), 10);  // as of lsn 10
  ASSERT_OK(page);
  EXPECT_EQ(page->lsn, Lsn(10));
  while (Step(peer_)) {
  }
  EXPECT_EQ(patient_.scl(), Lsn(30));
  ExpectSamePages(peer_, 30);
}

TEST_F(RebuildTest, PeersMayChangeInMidPass) {
  Write(30);
  Send(&peer_, 0);
  Rig other = peer_.Clone();
  TellVdl(&other);
  Write(5);
  Send(&peer_, 30);
  Collect(&peer_, 20);
  TellVdl(&patient_);
  rebuild_.Start(patient_.segment().Status(), now_);
  ASSERT_TRUE(Step(peer_, 3));
  ASSERT_TRUE(Step(other, 3));  // has not been told of 35 yet
  while (Step(peer_, 3)) {
  }
  const protocol::SegmentStatus status = patient_.segment().Status();
  EXPECT_EQ(status.log_start, Lsn(30)) << "the lowest of all";
  EXPECT_EQ(status.read_floor, Lsn(35)) << "the highest of all";
  ASSERT_OK(Gossip(peer_));
  ExpectSamePages(peer_, 35);
}

TEST_F(RebuildTest, PersistentDamageIsHealedByIt) {
  Write(10);
  Send(&patient_, 0);
  Send(&peer_, 0);
  patient_.disk.log.clear();
  patient_.Crash();
  EXPECT_TRUE(patient_.segment().Status().is_damaged);
  Collect(&peer_, 10);
  TellVdl(&patient_);
  Run(peer_);
  EXPECT_FALSE(patient_.segment().Status().is_damaged);
  ExpectSamePages(peer_, 10);
}

TEST_F(RebuildTest, ItEndsWhenTheGapIsClosedOtherwise) {
  Write(30);
  Send(&peer_, 0);
  Collect(&peer_, 20);
  TellVdl(&patient_);
  rebuild_.Start(patient_.segment().Status(), now_);
  ASSERT_TRUE(Step(peer_));
  Send(&patient_, 0);  // the writer had it still
  EXPECT_FALSE(Step(peer_));
  EXPECT_FALSE(rebuild_.is_running());
  EXPECT_EQ(patient_.segment().log_start(), Lsn(0));
}

TEST_F(RebuildTest, PeersThatCannotAnswerAreAskedInTurnThenLeftAlone) {
  Write(5);
  TellVdl(&patient_);
  rebuild_.Start(patient_.segment().Status(), now_);
  for (int round = 0; round < 3; ++round) {
    std::set<quorum::Slot> asked;
    for (size_t i = 0; i < kPeers.size(); ++i) {
      const Rebuild::Duty duty = Next();
      ASSERT_TRUE(std::holds_alternative<Rebuild::Ask>(duty));
      EXPECT_TRUE(std::holds_alternative<std::monostate>(Next())) << "one at a time";
      asked.insert(std::get<Rebuild::Ask>(duty).peer);
      EXPECT_FALSE(rebuild_.Copied(absl::UnavailableError("behind"), now_).ok());
    }
    EXPECT_EQ(asked.size(), 2u);
    EXPECT_TRUE(std::holds_alternative<std::monostate>(Next()));
    now_ = now_ + absl::Seconds(10);
  }
}

TEST_F(RebuildTest, WhatNoHonestPeerSaysIsRefused) {
  Write(30);
  TellVdl(&patient_);
  rebuild_.Start(patient_.segment().Status(), now_);
  const std::string page(kPageBytes, 'x');
  const auto reply = [&](PageNo number, uint64_t lsn, std::string bytes) {
    return protocol::CopyPagesReply{.pages = {{number, {Lsn(lsn), std::move(bytes)}}},
                                    .read_point = Lsn(30),
                                    .pg_lsn = Lsn(30)};
  };
  std::vector<protocol::CopyPagesReply> bad = {
      reply(PageNo(9), 5, page),         // of another group
      reply(PageNo(20), 5, page),        // of another group
      reply(PageNo(11), 31, page),       // newer than the reply says
      reply(PageNo(11), 0, page),        // never written
      reply(PageNo(11), 5, page + "x"),  // of another size
  };
  bad.push_back(reply(PageNo(12), 5, page));
  bad.back().pages.push_back(bad.back().pages[0]);  // twice
  bad.push_back({.read_point = Lsn(20), .pg_lsn = Lsn(30)});
  bad.push_back({.read_point = Lsn(30), .pg_lsn = Lsn(30), .next = PageNo(10), .is_last = false});
  bad.push_back({.read_point = Lsn(30), .pg_lsn = Lsn(0)});  // knows less than we hold
  for (size_t i = 0; i < bad.size(); ++i) {
    ASSERT_TRUE(std::holds_alternative<Rebuild::Ask>(Next())) << i;
    EXPECT_FALSE(rebuild_.Copied(bad[i], now_).ok()) << i;
    now_ = now_ + absl::Seconds(10);
  }
}

}  // namespace
}  // namespace sextant::storage
