// A cluster on disks under a steady update load: its logs level off, and readers see what they saw.
#include <future>
#include <map>

#include "common/base/prng.h"
#include "common/testing/await.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temporary_folder.h"
#include "embedded/embedded_cluster.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sextant::embedded {
namespace {

using compute::PageRef;
using sextant::testing::Await;

constexpr absl::Duration kLong = absl::Seconds(60);
constexpr uint64_t kPages = 24;
constexpr uint64_t kCollectBytes = 64 << 10;

class UpkeepTest : public ::testing::Test {
 protected:
  void Start() {
    EmbeddedOptions options{.directory = folder_.path(),
                            .geometry = {.page_bytes = 4096, .pages_per_pg = 16, .pg_count = 2}};
    options.adjust_storage = [](storage::StorageNodeOptions* storage) {
      storage->upkeep.interval = absl::Milliseconds(5);
      storage->upkeep.collect.min_bytes = kCollectBytes;
    };
    // No reader has anything to come back to.
    options.adjust_writer = [](compute::WriterVolumeOptions* writer) {
      writer->followers.hold = absl::ZeroDuration();
    };
    auto cluster = EmbeddedCluster::Create(std::move(options));
    ASSERT_OK(cluster);
    cluster_ = *std::move(cluster);
    ASSERT_OK(cluster_->StartNodes());
    ASSERT_OK(cluster_->StartWriter(kLong));
  }
  compute::WriterVolume& volume() { return cluster_->writer(); }

  std::string PageAt(const compute::ReadView& view, PageNo page) {
    auto read = volume().ReadPage(view, page);
    EXPECT_OK(read);
    return read.ok() ? (*read)->bytes : "";
  }
  // Some commits of 200 changed bytes in two pages each.
  void Load(int commits) {
    for (int i = 0; i < commits; ++i) {
      auto view = volume().OpenView(volume().head());
      ASSERT_OK(view);
      std::vector<compute::PageWrite> writes;
      const uint64_t first = prng_.Below(kPages);
      for (const uint64_t page : {first, (first + 1 + prng_.Below(kPages - 1)) % kPages}) {
        auto base = volume().ReadPage(**view, PageNo(page));
        ASSERT_OK(base);
        std::string after = (*base)->bytes;
        const size_t at = prng_.Below(3000);
        for (size_t j = 0; j < 200; ++j) after[at + j] = static_cast<char>(prng_.Below(256));
        contents_[page] = after;
        writes.push_back({PageNo(page), *base, std::move(after)});
      }
      auto lsn = volume().Append(std::move(writes));
      ASSERT_OK(lsn);
      std::promise<absl::Status> durable;
      volume().WhenDurable(*lsn, kLong, [&](absl::Status s) { durable.set_value(std::move(s)); });
      ASSERT_OK(durable.get_future().get());
    }
  }
  uint64_t MostLogBytes() {
    uint64_t most = 0;
    for (const volume::Member& member : EmbeddedCluster::Members()) {
      for (const auto& segment : cluster_->node(member.node).Status().segments) {
        most = std::max(most, segment.log_bytes);
      }
    }
    return most;
  }
  bool AwaitCollected() {
    return Await([&] { return MostLogBytes() < 2 * kCollectBytes; });
  }

  sextant::testing::TemporaryFolder folder_;
  std::unique_ptr<EmbeddedCluster> cluster_;
  Prng prng_{5};
  std::map<uint64_t, std::string> contents_;
};

TEST_F(UpkeepTest, LogsLevelOffAndReadersSeeWhatTheySaw) {
  Start();
  Load(400);
  ASSERT_TRUE(AwaitCollected());
  auto old_view = volume().OpenView(volume().vdl());
  ASSERT_OK(old_view);
  const std::map<uint64_t, std::string> old_contents = contents_;
  Load(600);
  EXPECT_GT(MostLogBytes(), 2 * kCollectBytes) << "an open view holds the log back";
  for (const auto& [page, bytes] : old_contents) EXPECT_EQ(PageAt(**old_view, PageNo(page)), bytes);
  old_view->reset();
  ASSERT_TRUE(AwaitCollected());

  cluster_->KillNodes();
  ASSERT_OK(cluster_->StartNodes());
  ASSERT_OK(cluster_->StartWriter(kLong));
  Load(400);
  ASSERT_TRUE(AwaitCollected());
  ASSERT_OK(cluster_->StartWriter(kLong));  // its cache is empty
  auto view = volume().OpenView(volume().vdl());
  ASSERT_OK(view);
  for (const auto& [page, bytes] : contents_) EXPECT_EQ(PageAt(**view, PageNo(page)), bytes);
}

}  // namespace
}  // namespace sextant::embedded
