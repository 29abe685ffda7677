// Unit tests of Shipper: order, resending, windows, and what is kept for whom.
#include "compute-node/volume/shipper.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sextant::compute {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr PgId kPg{0};

MemberAddress At(int slot) { return {kPg, static_cast<quorum::Slot>(slot)}; }

// A group of `members`; batches are of one record each, LSN 11, 12, ...
class Rig {
 public:
  explicit Rig(size_t members, Shipper::Options options = {}) : shipper(options) {
    shipper.AddGroup(Lsn(10));
    for (size_t slot = 0; slot < members; ++slot) shipper.Join(At(static_cast<int>(slot)));
  }

  uint64_t Push() {
    log::BatchBuilder builder(VolumeId(7), kPg);
    builder.Add({.lsn = Lsn(next_), .prev_pg_lsn = Lsn(next_ - 1)}, std::string(100, 'x'));
    shipper.Push(kPg, builder.Seal({}));
    return next_++;
  }
  // LSNs sent to the member since the last call; others' are kept for theirs.
  std::vector<uint64_t> Sent(int slot) {
    for (const BatchSend& send : shipper.TakeSends()) sent_.push_back(send);
    std::vector<uint64_t> lsns;
    std::erase_if(sent_, [&](const BatchSend& send) {
      if (send.member != At(slot)) return false;
      lsns.push_back(send.batch.last_lsn.value());
      return true;
    });
    return lsns;
  }

  Shipper shipper;

 private:
  uint64_t next_ = 11;
  std::vector<BatchSend> sent_;
};

TEST(Shipper, EveryMemberGetsEveryBatchInOrder) {
  Rig rig(2);
  rig.shipper.Start(At(0), Lsn(10));
  rig.Push();
  rig.shipper.Start(At(1), Lsn(10));
  rig.Push();
  EXPECT_THAT(rig.Sent(0), ElementsAre(11, 12));
  EXPECT_THAT(rig.Sent(1), ElementsAre(11, 12));
}

TEST(Shipper, AMemberThatReturnsIsSentWhatItLacks) {
  Rig rig(2);
  rig.shipper.Start(At(0), Lsn(10));
  for (int i = 0; i < 4; ++i) rig.Push();
  rig.Sent(0);
  rig.shipper.Stop(At(0));
  rig.Push();
  EXPECT_THAT(rig.Sent(0), IsEmpty());
  rig.shipper.Start(At(0), Lsn(12));
  EXPECT_THAT(rig.Sent(0), ElementsAre(13, 14, 15));
  EXPECT_FALSE(rig.shipper.IsBehind(At(0)));
}

TEST(Shipper, ResendingStartsWithOneBatchAndNeverReorders) {
  Rig rig(1);
  rig.shipper.Start(At(0), Lsn(10));
  for (int i = 0; i < 3; ++i) rig.Push();
  rig.shipper.Acked(At(0), Lsn(11));
  rig.Sent(0);
  rig.shipper.Stop(At(0));
  rig.shipper.Resend(At(0));
  rig.Push();
  EXPECT_THAT(rig.Sent(0), ElementsAre(12));
  rig.shipper.Acked(At(0), Lsn(12));
  EXPECT_THAT(rig.Sent(0), ElementsAre(13, 14));
}

TEST(Shipper, DropsWhatEveryMemberHoldsOnceItIsDurable) {
  Rig rig(2);
  rig.shipper.Start(At(0), Lsn(10));
  rig.shipper.Start(At(1), Lsn(10));
  rig.Push();
  const uint64_t one = rig.shipper.retained_bytes();
  rig.Push();
  rig.shipper.Acked(At(0), Lsn(12));
  rig.shipper.Acked(At(1), Lsn(11));
  EXPECT_EQ(rig.shipper.retained_bytes(), 2 * one);
  rig.shipper.PgclRose(kPg, Lsn(12));
  EXPECT_EQ(rig.shipper.retained_bytes(), one);
  rig.shipper.Abandon(At(1));
  EXPECT_EQ(rig.shipper.retained_bytes(), 0u);
}

TEST(Shipper, AMemberAwayTooLongIsBehindAndIsSentWhatFollows) {
  Rig rig(2, {.max_retained_bytes = 500});
  rig.shipper.Start(At(0), Lsn(10));
  for (int i = 0; i < 10; ++i) {
    const Lsn lsn(rig.Push());
    rig.shipper.Acked(At(0), lsn);
    rig.shipper.PgclRose(kPg, lsn);
  }
  EXPECT_LE(rig.shipper.retained_bytes(), 500u);
  EXPECT_TRUE(rig.shipper.IsBehind(At(1)));
  rig.shipper.Start(At(1), Lsn(10));
  EXPECT_TRUE(rig.shipper.IsBehind(At(1)));
  rig.Sent(1);
  rig.Push();
  rig.Push();
  EXPECT_THAT(rig.Sent(1), ElementsAre(21, 22)) << "its acknowledgements do not rise; no window";
  rig.shipper.Acked(At(1), Lsn(22));  // its peers brought the rest
  EXPECT_FALSE(rig.shipper.IsBehind(At(1)));
}

TEST(Shipper, NothingThatIsNotDurableIsDropped) {
  Rig rig(1, {.max_retained_bytes = 1});
  for (int i = 0; i < 5; ++i) rig.Push();
  rig.shipper.Start(At(0), Lsn(10));
  EXPECT_THAT(rig.Sent(0), ElementsAre(11, 12, 13, 14, 15));
}

TEST(Shipper, OneThatIsSlowIsNotBehindUntilItMustBeSentAgain) {
  Rig rig(2, {.max_retained_bytes = 1});
  rig.shipper.Start(At(0), Lsn(10));
  rig.shipper.Start(At(1), Lsn(10));
  rig.Push();
  rig.shipper.Acked(At(0), Lsn(11));
  rig.shipper.PgclRose(kPg, Lsn(11));
  EXPECT_FALSE(rig.shipper.IsBehind(At(1))) << "it was sent";
  rig.shipper.Resend(At(1));
  EXPECT_TRUE(rig.shipper.IsBehind(At(1)));
}

TEST(Shipper, ASlowMembersBatchesWaitHere) {
  Rig rig(1, {.max_member_unacked_bytes = 300});
  rig.shipper.Start(At(0), Lsn(10));
  for (int i = 0; i < 10; ++i) rig.Push();
  const std::vector<uint64_t> sent = rig.Sent(0);
  EXPECT_LT(sent.size(), 5u);
  EXPECT_GE(sent.size(), 2u);
  rig.shipper.Acked(At(0), Lsn(11));
  EXPECT_THAT(rig.Sent(0), ElementsAre(sent.back() + 1));
}

TEST(Shipper, AHeartbeatNeverOvertakes) {
  Rig rig(2, {.max_member_unacked_bytes = 1});
  rig.shipper.Start(At(0), Lsn(10));
  const log::EncodedBatch beat = log::BatchBuilder(VolumeId(7), kPg).Seal({});
  EXPECT_TRUE(rig.shipper.Heartbeat(kPg, beat));
  EXPECT_THAT(rig.Sent(0), ElementsAre(0));
  EXPECT_THAT(rig.Sent(1), IsEmpty());
  rig.Push();
  rig.Push();
  EXPECT_FALSE(rig.shipper.Heartbeat(kPg, beat)) << "the second batch is still to come";
  EXPECT_THAT(rig.Sent(0), ElementsAre(11));
}

TEST(Shipper, BatchesAreKeptForAMemberThatJoins) {
  Rig rig(1);
  rig.shipper.Start(At(0), Lsn(10));
  rig.shipper.Join(At(6));
  rig.Push();
  rig.shipper.PgclRose(kPg, Lsn(11));
  rig.shipper.Acked(At(0), Lsn(11));
  EXPECT_GT(rig.shipper.retained_bytes(), 0u);
  rig.shipper.Start(At(6), Lsn());
  EXPECT_THAT(rig.Sent(6), ElementsAre(11));
  EXPECT_TRUE(rig.shipper.IsBehind(At(6))) << "the log before is its peers' to give";
  rig.shipper.Abandon(At(6));
  EXPECT_EQ(rig.shipper.retained_bytes(), 0u);
}

}  // namespace
}  // namespace sextant::compute
