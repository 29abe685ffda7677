// ChangeIndex, LagWindow, ChooseWriter.
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "compute-node/replica/change_index.h"
#include "compute-node/replica/lag_window.h"
#include "compute-node/replica/writer_choice.h"

namespace sextant::compute {
namespace {

TEST(ChangeIndex, NeverCallsAChangedPageUnchanged) {
  std::mt19937_64 random(3);
  ChangeIndex index(50);
  std::map<PageNo, Lsn> truth;
  Lsn lsn;
  int unchanged = 0;
  for (int round = 0; round < 20000; ++round) {
    lsn = lsn + (1 + random() % 3);
    const PageNo page(random() % 40);
    index.Note(page, lsn);
    truth[page] = lsn;
    const PageNo asked(random() % 40);
    const Lsn since(lsn.value() - std::min(lsn.value(), random() % 150));
    if (!index.IsUnchangedSince(asked, since)) continue;
    ++unchanged;
    EXPECT_LE(truth[asked], since);
  }
  EXPECT_GT(unchanged, 1000);
}

TEST(ChangeIndex, KnowsNothingOfWhatWasJumpedOver) {
  ChangeIndex index(50);
  index.Note(PageNo(1), Lsn(5));
  EXPECT_TRUE(index.IsUnchangedSince(PageNo(2), Lsn(0)));
  index.Reset(Lsn(100));
  EXPECT_FALSE(index.IsUnchangedSince(PageNo(2), Lsn(99)));
  EXPECT_TRUE(index.IsUnchangedSince(PageNo(2), Lsn(100)));
}

TEST(LagWindow, ForgetsWhatIsOlderThanTheWindow) {
  LagWindow window;
  const Instant start = Instant() + absl::Seconds(100);
  window.Add(absl::Seconds(5), 10, start);
  window.Add(absl::Milliseconds(-3), 1, start + absl::Seconds(9));
  EXPECT_EQ(window.Sum(start).count(), 10u);
  EXPECT_EQ(window.Sum(start + absl::Seconds(9)).count(), 11u);
  const Histogram later = window.Sum(start + absl::Seconds(LagWindow::kSeconds));
  EXPECT_EQ(later.count(), 1u);
  EXPECT_EQ(later.max(), 0u);
  EXPECT_EQ(window.Sum(start + absl::Hours(1)).count(), 0u);
  window.Add(absl::Milliseconds(2), 1, start + absl::Hours(1));
  EXPECT_EQ(window.Sum(start + absl::Hours(1)).Percentile(1), 2000u);
}

TEST(ChooseWriter, TakesTheOpenWriterOfTheHighestEpoch) {
  const VolumeId volume(9);
  const std::vector<ComputeNodeAnswer> answers = {
      {"a", true, volume, VolumeEpoch(3)},
      {"b", false, volume, VolumeEpoch(9)},
      {"c", true, volume, VolumeEpoch(5)},
      {"d", true, VolumeId(1), VolumeEpoch(7)},
  };
  EXPECT_EQ(ChooseWriter(answers, volume, VolumeEpoch(0)), 2u);
  EXPECT_EQ(ChooseWriter(answers, VolumeId(), VolumeEpoch(0)), 3u);
  EXPECT_EQ(ChooseWriter(answers, volume, VolumeEpoch(6)), std::nullopt);
  EXPECT_EQ(ChooseWriter({}, volume, VolumeEpoch(0)), std::nullopt);
}

}  // namespace
}  // namespace sextant::compute
