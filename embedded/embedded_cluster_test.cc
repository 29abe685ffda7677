// A writer over six storage nodes in one process: commits with 6, 5 and 4 of them, the stall at 3
// and its end, restarts of everything, fencing of an old writer.
#include "embedded/embedded_cluster.h"

#include <unistd.h>
#include <atomic>
#include <filesystem>
#include <future>
#include <map>
#include <thread>

#include "common/base/prng.h"
#include "common/base/text.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sextant::embedded {
namespace {

using compute::PageRef;
using compute::VolumePhase;

constexpr absl::Duration kLong = absl::Seconds(60);

volume::Geometry SmallGeometry() { return {.page_bytes = 4096, .pages_per_pg = 64, .pg_count = 2}; }

class EmbeddedClusterTest : public ::testing::Test {
 protected:
  void SetUp() override { Start({.geometry = SmallGeometry()}); }
  void Start(EmbeddedOptions options) {
    auto cluster = EmbeddedCluster::Create(std::move(options));
    ASSERT_TRUE(cluster.ok()) << cluster.status();
    cluster_ = *std::move(cluster);
    ASSERT_EQ(cluster_->StartNodes(), absl::OkStatus());
    ASSERT_EQ(cluster_->StartWriter(kLong), absl::OkStatus());
  }

  compute::WriterVolume& volume() { return cluster_->writer(); }

  PageRef Read(PageNo page, std::optional<Lsn> at = std::nullopt) {
    auto view = volume().OpenView(at.value_or(volume().head()));
    EXPECT_TRUE(view.ok()) << view.status();
    if (!view.ok()) return nullptr;
    auto read = volume().ReadPage(**view, page);
    EXPECT_TRUE(read.ok()) << read.status();
    return read.ok() ? *read : nullptr;
  }

  // Appends a change of the given pages, each filled with `text`.
  absl::StatusOr<Lsn> Append(const std::vector<PageNo>& pages, const std::string& text) {
    std::vector<compute::PageWrite> writes;
    for (PageNo page : pages) {
      PageRef base = Read(page);
      std::string after = base->bytes;
      after.replace(0, text.size() + 1, text.c_str(), text.size() + 1);
      writes.push_back({page, base, std::move(after)});
    }
    return volume().Append(std::move(writes));
  }

  std::future<absl::Status> Durable(Lsn lsn, absl::Duration timeout = kLong) {
    auto promise = std::make_shared<std::promise<absl::Status>>();
    volume().WhenDurable(lsn, timeout, [promise](absl::Status s) { promise->set_value(s); });
    return promise->get_future();
  }

  absl::Status Commit(const std::vector<PageNo>& pages, const std::string& text) {
    auto lsn = Append(pages, text);
    return lsn.ok() ? Durable(*lsn).get() : lsn.status();
  }

  std::string TextOf(PageNo page) { return Read(page)->bytes.c_str(); }

  std::unique_ptr<EmbeddedCluster> cluster_;
};

TEST_F(EmbeddedClusterTest, CommitsAndReadsBack) {
  ASSERT_EQ(Commit({PageNo(1), PageNo(100)}, "one"), absl::OkStatus());
  EXPECT_EQ(TextOf(PageNo(1)), "one");
  EXPECT_EQ(TextOf(PageNo(100)), "one");
  EXPECT_EQ(TextOf(PageNo(2)), "");
  EXPECT_EQ(volume().vdl(), volume().head());
}

TEST_F(EmbeddedClusterTest, AnAppendOfNothingNewAppendsNothing) {
  ASSERT_EQ(Commit({PageNo(1)}, "same"), absl::OkStatus());
  const Lsn head = volume().head();
  EXPECT_EQ(*Append({PageNo(1)}, "same"), head);
  EXPECT_EQ(volume().head(), head);
}

TEST_F(EmbeddedClusterTest, OldReadPointsSeeOldVersions) {
  ASSERT_EQ(Commit({PageNo(3)}, "old"), absl::OkStatus());
  auto view = volume().OpenView(volume().head());
  ASSERT_TRUE(view.ok());
  ASSERT_EQ(Commit({PageNo(3)}, "new"), absl::OkStatus());
  EXPECT_STREQ((*volume().ReadPage(**view, PageNo(3)))->bytes.c_str(), "old");
  EXPECT_EQ(TextOf(PageNo(3)), "new");
}

TEST_F(EmbeddedClusterTest, RefusesAnAppendOnAVersionThatIsNotTheHead) {
  const PageRef stale = Read(PageNo(5));
  ASSERT_EQ(Commit({PageNo(5)}, "first"), absl::OkStatus());
  std::string after = stale->bytes;
  after[0] = 'x';
  EXPECT_EQ(volume().Append({{PageNo(5), stale, after}}).status().code(),
            absl::StatusCode::kAborted);
}

TEST_F(EmbeddedClusterTest, RefusesPagesBeyondTheEndAndBeyondTheLimit) {
  auto view = volume().OpenView(volume().head());
  EXPECT_EQ(volume().ReadPage(**view, PageNo(128)).status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(volume().CheckAppend(10, {PageNo(1) + (1ull << 40)}).code(),
            absl::StatusCode::kOutOfRange);
}

TEST_F(EmbeddedClusterTest, CommitsWithFiveAndFourNodesAndWithAnAzAway) {
  cluster_->KillNode("az3-b");
  ASSERT_EQ(Commit({PageNo(1)}, "five"), absl::OkStatus());
  cluster_->KillNode("az3-a");
  ASSERT_EQ(Commit({PageNo(1), PageNo(70)}, "four"), absl::OkStatus());
  EXPECT_EQ(TextOf(PageNo(70)), "four");
}

TEST_F(EmbeddedClusterTest, StallsWithThreeNodesAndGoesOnByItself) {
  for (const char* node : {"az1-b", "az2-b", "az3-b"}) cluster_->KillNode(node);
  const auto lsn = Append({PageNo(9)}, "late");
  ASSERT_TRUE(lsn.ok()) << lsn.status();
  EXPECT_EQ(Durable(*lsn, absl::Milliseconds(50)).get().code(),
            absl::StatusCode::kDeadlineExceeded);
  EXPECT_LT(volume().vdl(), *lsn);
  EXPECT_EQ(TextOf(PageNo(9)), "late");  // this writer sees its own commit, durable or not
  auto durable = Durable(*lsn);
  ASSERT_EQ(cluster_->StartNode("az2-b"), absl::OkStatus());
  EXPECT_EQ(durable.get(), absl::OkStatus());
  ASSERT_EQ(Commit({PageNo(9)}, "on"), absl::OkStatus());
}

TEST_F(EmbeddedClusterTest, ANodeThatWasCutOffCatchesUp) {
  cluster_->SetConnected("az1-a", false);
  for (int i = 0; i < 20; ++i) ASSERT_EQ(Commit({PageNo(i)}, Text("v", i)), absl::OkStatus());
  cluster_->SetConnected("az1-a", true);
  // With two others gone, what follows needs az1-a, whole.
  cluster_->KillNode("az2-a");
  cluster_->KillNode("az3-a");
  ASSERT_EQ(Commit({PageNo(50)}, "end"), absl::OkStatus());
}

TEST_F(EmbeddedClusterTest, PeersMakeANodeWholeWhenTheWriterRetainsNothing) {
  cluster_->SetConnected("az1-a", false);
  for (int i = 0; i < 20; ++i) ASSERT_EQ(Commit({PageNo(i)}, Text("v", i)), absl::OkStatus());
  ASSERT_EQ(cluster_->StartWriter(kLong), absl::OkStatus());  // a new writer retains nothing
  cluster_->SetConnected("az1-a", true);
  cluster_->KillNode("az2-a");
  cluster_->KillNode("az3-a");
  ASSERT_EQ(Commit({PageNo(50)}, "end"), absl::OkStatus());
}

TEST_F(EmbeddedClusterTest, AWriterRestartKeepsEveryDurableCommit) {
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 10; ++i) {
      ASSERT_EQ(Commit({PageNo(i), PageNo(64 + i)}, Text("r", round, "-", i)), absl::OkStatus());
    }
    const Lsn vdl = volume().vdl();
    ASSERT_EQ(cluster_->StartWriter(kLong), absl::OkStatus());
    EXPECT_GE(volume().vdl(), vdl);
    for (int i = 0; i < 10; ++i) {
      EXPECT_EQ(TextOf(PageNo(64 + i)), Text("r", round, "-", i));
    }
  }
}

TEST_F(EmbeddedClusterTest, ARestartOfEverythingKeepsEveryDurableCommit) {
  ASSERT_EQ(Commit({PageNo(7)}, "kept"), absl::OkStatus());
  cluster_->KillNode("az2-a");
  ASSERT_EQ(Commit({PageNo(8)}, "kept too"), absl::OkStatus());
  cluster_->KillWriter();
  cluster_->KillNodes();
  ASSERT_EQ(cluster_->StartNodes(), absl::OkStatus());
  ASSERT_EQ(cluster_->StartWriter(kLong), absl::OkStatus());
  EXPECT_EQ(TextOf(PageNo(7)), "kept");
  EXPECT_EQ(TextOf(PageNo(8)), "kept too");
  ASSERT_EQ(Commit({PageNo(7)}, "after"), absl::OkStatus());
}

TEST_F(EmbeddedClusterTest, RecoversWithFourNodesAndReadsWithThemAlone) {
  ASSERT_EQ(Commit({PageNo(7)}, "kept"), absl::OkStatus());
  cluster_->KillWriter();
  cluster_->KillNode("az1-a");
  cluster_->KillNode("az1-b");
  ASSERT_EQ(cluster_->StartWriter(kLong), absl::OkStatus());
  EXPECT_EQ(TextOf(PageNo(7)), "kept");
}

TEST_F(EmbeddedClusterTest, WaitsForNodesAndSaysForWhom) {
  cluster_->KillWriter();
  for (const char* node : {"az1-b", "az2-b", "az3-b"}) cluster_->KillNode(node);
  const absl::Status waiting = cluster_->StartWriter(absl::Milliseconds(300));
  EXPECT_EQ(waiting.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(waiting.message()), ::testing::HasSubstr("az"));
  ASSERT_EQ(cluster_->StartNode("az1-b"), absl::OkStatus());
  EXPECT_EQ(volume().WaitUntilOpen(kLong), absl::OkStatus());
}

TEST_F(EmbeddedClusterTest, ASecondWriterFencesTheFirst) {
  ASSERT_EQ(Commit({PageNo(7)}, "first"), absl::OkStatus());
  const PageRef base = Read(PageNo(7));
  compute::WriterVolumeOptions options;
  options.nodes = EmbeddedCluster::Members();
  std::vector<std::unique_ptr<compute::StoragePeer>> peers;
  for (const auto& member : options.nodes) peers.push_back(cluster_->node(member.node).MakePeer());
  auto second = *compute::WriterVolume::Make(std::move(options), std::move(peers));
  second->Start();
  ASSERT_EQ(second->WaitUntilOpen(kLong), absl::OkStatus());
  // The first finds out by its next commit if not before, and nothing of it becomes durable.
  std::string after = base->bytes;
  after[0] = 'x';
  const auto lsn = volume().Append({{PageNo(7), base, after}});
  EXPECT_EQ((lsn.ok() ? Durable(*lsn).get() : lsn.status()).code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(volume().phase(), VolumePhase::kFenced);
  EXPECT_EQ(volume().OpenView(volume().vdl()).status().code(),
            absl::StatusCode::kFailedPrecondition);
  auto view = *second->OpenView(second->head());
  EXPECT_STREQ((*second->ReadPage(*view, PageNo(7)))->bytes.c_str(), "first");
}

TEST(EmbeddedCluster, RefusesToMakeAVolumeUnasked) {
  auto cluster = EmbeddedCluster::Create({.geometry = SmallGeometry(), .create_volume = false});
  ASSERT_EQ((*cluster)->StartNodes(), absl::OkStatus());
  EXPECT_EQ((*cluster)->StartWriter(kLong).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ((*cluster)->writer().phase(), VolumePhase::kFailed);
}

TEST_F(EmbeddedClusterTest, ASmallCacheReadsEveryPageBackFromSegments) {
  cluster_->KillWriter();
  cluster_ = nullptr;
  Start({.geometry = SmallGeometry(), .adjust_writer = [](compute::WriterVolumeOptions* options) {
           options->page_cache_bytes = 96 << 10;
         }});
  std::map<uint64_t, std::string> model;
  Prng prng(3);
  for (int i = 0; i < 300; ++i) {
    const uint64_t page = prng.Below(128), other = (page + 1 + prng.Below(127)) % 128;
    const std::string text = Text("step ", i);
    ASSERT_EQ(Commit({PageNo(page), PageNo(other)}, text), absl::OkStatus());
    model[page] = model[other] = text;
  }
  for (const auto& [page, text] : model) EXPECT_EQ(TextOf(PageNo(page)), text);
  EXPECT_GT(volume().fetch_counters().fetches, 0u);
}

TEST_F(EmbeddedClusterTest, ManyThreadsAppendUnderTheTicketWhileOthersRead) {
  constexpr int kThreads = 4, kCommits = 50;
  std::atomic<int> durable = 0;
  std::atomic<bool> stop = false;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kCommits; ++i) {
        auto ticket = cluster_->tickets().AcquireBlocking(kLong);
        ASSERT_TRUE(ticket.ok());
        const auto lsn = Append({PageNo(0), PageNo(1 + t)}, Text(t, ":", i));
        ticket->Release();
        ASSERT_TRUE(lsn.ok()) << lsn.status();
        ASSERT_EQ(Durable(*lsn).get(), absl::OkStatus());
        ++durable;
      }
    });
  }
  std::thread reader([&] {
    while (!stop) {
      // Both pages of a commit, or neither: page 0 names the thread and commit that wrote last.
      const Lsn at = volume().vdl();
      const std::string last = Read(PageNo(0), at)->bytes.c_str();
      if (last.empty()) continue;
      EXPECT_EQ(Read(PageNo(1 + last[0] - '0'), at)->bytes.c_str(), last);
    }
  });
  for (auto& thread : threads) thread.join();
  stop = true;
  reader.join();
  EXPECT_EQ(durable, kThreads * kCommits);
}

TEST(EmbeddedClusterOnDisk, KeepsItsVolumeAcrossProcesses) {
  const auto directory =
      std::filesystem::temp_directory_path() /
      Text("sextant-embedded-", ::getpid(), "-", ::testing::UnitTest::GetInstance()->random_seed());
  for (int life = 0; life < 2; ++life) {
    auto cluster =
        EmbeddedCluster::Create({.directory = directory.string(), .geometry = SmallGeometry()});
    ASSERT_TRUE(cluster.ok());
    ASSERT_EQ((*cluster)->StartNodes(), absl::OkStatus());
    ASSERT_EQ((*cluster)->StartWriter(kLong), absl::OkStatus());
    auto& volume = (*cluster)->writer();
    auto view = *volume.OpenView(volume.head());
    const PageRef base = *volume.ReadPage(*view, PageNo(1));
    if (life == 1) {
      EXPECT_EQ(base->bytes[0], 'x');
      continue;
    }
    std::string after = base->bytes;
    after[0] = 'x';
    ASSERT_TRUE(volume.Append({{PageNo(1), base, after}}).ok());
    ASSERT_EQ(volume.Drain(kLong), absl::OkStatus());
    view = nullptr;
  }
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace sextant::embedded
