// A volume that grows through more than twenty protection groups under load, while nodes and the
// writer are killed: everything acknowledged is there afterwards.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <map>
#include <mutex>
#include <thread>

#include "common/base/text.h"
#include "compute-node/writer/mtr_appender.h"
#include "embedded/embedded_cluster.h"

namespace sextant::embedded {
namespace {

constexpr absl::Duration kLong = absl::Seconds(60);
constexpr uint64_t kPagesPerGroup = 16;
constexpr int kClients = 4;

class GrowthTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto cluster = EmbeddedCluster::Create(
        {.geometry = {.page_bytes = 4096, .pages_per_pg = kPagesPerGroup, .pg_count = 1},
         .adjust_writer = [](compute::WriterVolumeOptions* options) {
           options->writer.growth.max_volume_bytes = 4096 * kPagesPerGroup * 64;
           options->writer.growth.retry_interval = absl::Milliseconds(50);
         }});
    ASSERT_TRUE(cluster.ok()) << cluster.status();
    cluster_ = *std::move(cluster);
    ASSERT_EQ(cluster_->StartNodes(), absl::OkStatus());
    ASSERT_EQ(cluster_->StartWriter(kLong), absl::OkStatus());
  }
  compute::WriterVolume& volume() { return cluster_->writer(); }

  // Appends `text` to the start of the page and waits until it is durable.
  absl::Status Commit(PageNo page, const std::string& text) {
    compute::MtrAppender appender(&volume(), &cluster_->tickets());
    auto done = std::make_shared<std::promise<absl::Status>>();
    auto future = done->get_future();
    compute::PageEdit edit{.page = page, .ranges = {{.offset = 0, .bytes = text}}};
    appender.Append({edit}, kLong, [this, done](absl::StatusOr<Lsn> lsn) {
      if (!lsn.ok()) return done->set_value(lsn.status());
      volume().WhenDurable(*lsn, kLong, [done](absl::Status status) { done->set_value(status); });
    });
    return future.get();
  }
  // Clients write pages `first` to `end`, each page once, and note what was acknowledged.
  void Load(uint64_t first, uint64_t end) {
    std::atomic<uint64_t> next{first};
    std::vector<std::thread> clients;
    for (int i = 0; i < kClients; ++i) {
      clients.emplace_back([this, &next, end] {
        for (uint64_t page = next++; page < end; page = next++) {
          const std::string text = Text("page ", page);
          const absl::Status status = Commit(PageNo(page), text);
          ASSERT_EQ(status, absl::OkStatus()) << "page " << page;
          std::lock_guard lock(mutex_);
          acknowledged_[page] = text;
        }
      });
    }
    for (std::thread& client : clients) client.join();
  }
  void CheckAll() {
    for (const auto& [page, text] : acknowledged_) {
      auto view = volume().OpenView(volume().head());
      ASSERT_TRUE(view.ok()) << view.status();
      auto read = volume().ReadPage(**view, PageNo(page));
      ASSERT_TRUE(read.ok()) << "page " << page << ": " << read.status();
      EXPECT_EQ((*read)->bytes.substr(0, text.size()), text);
    }
  }

  std::unique_ptr<EmbeddedCluster> cluster_;
  std::mutex mutex_;
  std::map<uint64_t, std::string> acknowledged_;  // by page
};

TEST_F(GrowthTest, ThroughTwentyGroupsUnderLoadWhileNodesAndTheWriterDie) {
  Load(0, 8 * kPagesPerGroup);
  EXPECT_GE(volume().geometry().pg_count, 8u);
  cluster_->KillNode("az3-b");
  Load(8 * kPagesPerGroup, 14 * kPagesPerGroup);
  cluster_->KillWriter();
  ASSERT_EQ(cluster_->StartWriter(kLong), absl::OkStatus());
  CheckAll();
  ASSERT_EQ(cluster_->StartNode("az3-b"), absl::OkStatus());
  Load(14 * kPagesPerGroup, 22 * kPagesPerGroup);
  EXPECT_GE(volume().geometry().pg_count, 22u);
  cluster_->KillWriter();
  cluster_->KillNodes();
  ASSERT_EQ(cluster_->StartNodes(), absl::OkStatus());
  ASSERT_EQ(cluster_->StartWriter(kLong), absl::OkStatus());
  EXPECT_GE(volume().geometry().pg_count, 22u);
  EXPECT_EQ(acknowledged_.size(), 22 * kPagesPerGroup);
  CheckAll();
}

TEST_F(GrowthTest, APageThatWasNeverWrittenIsZerosAndBeyondTheEndIsRefused) {
  ASSERT_EQ(Commit(PageNo(5 * kPagesPerGroup), "far"), absl::OkStatus());
  auto view = volume().OpenView(volume().head());
  ASSERT_TRUE(view.ok());
  auto zeros = volume().ReadPage(**view, PageNo(4 * kPagesPerGroup));
  ASSERT_TRUE(zeros.ok()) << zeros.status();
  EXPECT_EQ((*zeros)->bytes, std::string(4096, '\0'));
  const PageNo beyond(volume().geometry().PageCount());
  EXPECT_EQ(volume().ReadPage(**view, beyond).status().code(), absl::StatusCode::kOutOfRange);
}

TEST_F(GrowthTest, TheLimitIsSaid) {
  const absl::Status status = Commit(PageNo(64 * kPagesPerGroup), "too far");
  EXPECT_EQ(status.code(), absl::StatusCode::kOutOfRange);
  EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr("--max-volume-bytes"));
}

}  // namespace
}  // namespace sextant::embedded
