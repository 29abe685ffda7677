// Members replaced while commits go on: by a spare, with nodes and writers dying in the middle,
// undone, and a wiped node by itself.
#include <algorithm>
#include <atomic>
#include <filesystem>
#include <future>
#include <thread>

#include "common/base/text.h"
#include "common/testing/await.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temporary_folder.h"
#include "embedded/embedded_cluster.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sextant::embedded {
namespace {

using compute::PageRef;
using compute::PgProgress;
using sextant::testing::Await;
using sextant::testing::StatusIs;
using ::testing::HasSubstr;

constexpr absl::Duration kLong = absl::Seconds(60);
constexpr PgId kPg{0};

class ReplaceSegmentTest : public ::testing::Test {
 protected:
  void Start(const std::string& directory = "") {
    EmbeddedOptions options{.directory = directory,
                            .geometry = {.page_bytes = 4096, .pages_per_pg = 256, .pg_count = 1},
                            .spares = 3};
    options.adjust_writer = [](compute::WriterVolumeOptions* writer) {
      writer->writer.retry_interval = absl::Milliseconds(100);
      // Little is resent: the candidate gets the most from its peers.
      writer->writer.max_retained_bytes = 64 << 10;
    };
    auto cluster = EmbeddedCluster::Create(std::move(options));
    ASSERT_OK(cluster.status());
    cluster_ = *std::move(cluster);
    ASSERT_OK(cluster_->StartNodes());
    ASSERT_OK(cluster_->StartWriter(kLong));
  }

  compute::WriterVolume& volume() { return cluster_->writer(); }
  PgProgress Group() { return volume().status().progress.pgs[0]; }
  bool IsMember(const std::string& node) { return Group().membership.SlotOf(node).has_value(); }

  absl::Status Commit(uint64_t page, const std::string& text) {
    auto view = volume().OpenView(volume().head());
    if (!view.ok()) return view.status();
    auto base = volume().ReadPage(**view, PageNo(page));
    if (!base.ok()) return base.status();
    std::string after = (*base)->bytes;
    after.replace(0, text.size() + 1, text.c_str(), text.size() + 1);
    std::vector<compute::PageWrite> writes;
    writes.push_back({PageNo(page), *base, std::move(after)});
    const auto lsn = volume().Append(std::move(writes));
    if (!lsn.ok()) return lsn.status();
    std::promise<absl::Status> durable;
    volume().WhenDurable(*lsn, kLong, [&](absl::Status s) { durable.set_value(std::move(s)); });
    return durable.get_future().get();
  }
  std::string TextOf(uint64_t page) {
    auto view = volume().OpenView(volume().head());
    auto read = volume().ReadPage(**view, PageNo(page));
    return read.ok() ? (*read)->bytes.c_str() : Text("error: ", read.status().ToString());
  }

  // Asks until it is not told to ask again.
  absl::Status Replace(const std::string& from, const std::string& to, bool hold = false) {
    absl::Status status;
    for (const absl::Time end = absl::Now() + kLong; absl::Now() < end;) {
      std::promise<absl::Status> done;
      volume().ReplaceSegment(kPg, from, to, hold,
                              [&](absl::Status s) { done.set_value(std::move(s)); });
      status = done.get_future().get();
      if (!absl::IsUnavailable(status)) return status;
      std::this_thread::yield();  // each asking waits for an answer
    }
    return status;
  }
  bool AwaitRest() {
    return Await([this] { return Group().is_in_effect && Group().changes.empty(); });
  }
  // Of the group whose members are replaced.
  bool HoldsSegment(const std::string& node) {
    std::promise<bool> holds;
    const auto peer = cluster_->node(node).MakePeer();
    peer->GetStatus(kLong, [&](const absl::StatusOr<protocol::NodeStatus>& status) {
      holds.set_value(status.ok() && std::ranges::any_of(status->segments, [](const auto& held) {
                        return held.segment.pg == kPg;
                      }));
    });
    const bool result = holds.get_future().get();
    peer->Shutdown();
    return result;
  }

  std::unique_ptr<EmbeddedCluster> cluster_;
};

// Commits all the time; every one must succeed.
class Load {
 public:
  explicit Load(std::function<absl::Status(uint64_t)> commit)
      : thread_([this, commit = std::move(commit)] {
          for (uint64_t i = 0; !is_over_; ++i) {
            if (absl::Status status = commit(i); !status.ok()) {
              ADD_FAILURE() << "commit " << i << ": " << status;
              return;
            }
            ++commits_;
          }
        }) {}
  ~Load() { Stop(); }
  uint64_t Stop() {
    is_over_ = true;
    if (thread_.joinable()) thread_.join();
    return commits_;
  }
  uint64_t commits() const { return commits_; }

 private:
  std::atomic<bool> is_over_{false};
  std::atomic<uint64_t> commits_{0};
  std::thread thread_;
};

TEST_F(ReplaceSegmentTest, UnderLoadNoCommitIsRefused) {
  Start();
  Load load([this](uint64_t i) { return Commit(i % 200, Text("v", i)); });
  ASSERT_TRUE(Await([&] { return load.commits() >= 300; }));
  cluster_->KillNode("az3-b");
  ASSERT_OK(Replace("az3-b", "az3-c"));
  ASSERT_TRUE(AwaitRest());
  EXPECT_TRUE(IsMember("az3-c"));
  EXPECT_FALSE(IsMember("az3-b"));
  const uint64_t then = load.commits();
  ASSERT_TRUE(Await([&] { return load.commits() >= then + 100; }));
  load.Stop();

  // What was replaced is dropped when it comes back, and may take somebody else's place.
  EXPECT_TRUE(HoldsSegment("az3-c"));
  ASSERT_OK(cluster_->StartNode("az3-b"));
  ASSERT_TRUE(Await([&] { return !HoldsSegment("az3-b"); }));
  ASSERT_OK(Replace("az3-a", "az3-b"));
  ASSERT_TRUE(AwaitRest());
  ASSERT_TRUE(Await([&] { return !HoldsSegment("az3-a"); }));

  // The newcomers carry it alone with two others.
  cluster_->KillNode("az1-a");
  cluster_->KillNode("az2-a");
  ASSERT_OK(Commit(7, "four of them"));
  ASSERT_OK(cluster_->StartWriter(kLong));
  EXPECT_EQ(TextOf(7), "four of them");
}

TEST_F(ReplaceSegmentTest, UndoneAndTheOldOneServesOn) {
  Start();
  ASSERT_OK(Commit(1, "before"));
  ASSERT_OK(Replace("az1-a", "az1-c", /*hold=*/true));
  ASSERT_TRUE(Await([this] { return Group().is_in_effect && HoldsSegment("az1-c"); }));
  ASSERT_OK(Commit(1, "during"));
  ASSERT_OK(volume().UndoReplacement(kPg, "az1-a"));
  ASSERT_TRUE(AwaitRest());
  EXPECT_TRUE(IsMember("az1-a"));
  EXPECT_FALSE(IsMember("az1-c"));
  ASSERT_TRUE(Await([this] { return !HoldsSegment("az1-c"); }));
  EXPECT_THAT(volume().UndoReplacement(kPg, "az1-a"), StatusIs(absl::StatusCode::kNotFound));
  ASSERT_OK(Commit(1, "after"));
  EXPECT_EQ(TextOf(1), "after");
}

TEST_F(ReplaceSegmentTest, AWipedNodeComesBackByReplacingItself) {
  const sextant::testing::TemporaryFolder folder;
  Start(folder.path());
  ASSERT_OK(Commit(1, "kept"));
  EXPECT_THAT(Replace("az2-b", "az2-b"),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("still holds")));
  cluster_->KillNode("az2-b");
  std::filesystem::remove_all(std::filesystem::path(folder.path()) / "az2-b");
  ASSERT_OK(cluster_->StartNode("az2-b"));
  ASSERT_OK(Commit(1, "kept on"));
  ASSERT_OK(Replace("az2-b", "az2-b"));
  ASSERT_TRUE(AwaitRest());
  EXPECT_EQ(Group().membership.SlotOf("az2-b"), 6);
  cluster_->KillNode("az1-a");
  cluster_->KillNode("az3-a");
  ASSERT_OK(Commit(1, "with it"));
  ASSERT_OK(cluster_->StartWriter(kLong));
  EXPECT_EQ(TextOf(1), "with it");
  cluster_.reset();  // before its folder
}

TEST_F(ReplaceSegmentTest, AWriterThatDiesInTheMiddleIsContinued) {
  Start();
  for (int i = 0; i < 50; ++i) ASSERT_OK(Commit(i, Text("v", i)));
  // Not in effect yet, in effect and held, about to finish: wherever the kill finds it.
  for (int round = 0; round < 6; ++round) {
    const bool there = IsMember("az3-c");
    const std::string from = there ? "az3-c" : "az3-b";
    const std::string to = there ? "az3-b" : "az3-c";
    ASSERT_OK(Replace(from, to, /*hold=*/round % 2 == 0));
    if (round % 3 != 0) {
      ASSERT_TRUE(Await([this] { return Group().is_in_effect; }));
    }
    ASSERT_OK(Commit(round, Text("round ", round)));
    ASSERT_OK(cluster_->StartWriter(kLong));
    // Either nobody had heard of it, or it goes on to its end.
    ASSERT_TRUE(AwaitRest());
    EXPECT_EQ(TextOf(round), Text("round ", round));
    EXPECT_EQ(TextOf(40), "v40");
    if (!IsMember(to)) {
      ASSERT_OK(Replace(from, to));
      ASSERT_TRUE(AwaitRest());
    }
    EXPECT_FALSE(IsMember(from));
  }
}

TEST_F(ReplaceSegmentTest, NodesThatDieDuringItDoNotBlockCommits) {
  Start();
  Load load([this](uint64_t i) { return Commit(i % 200, Text("v", i)); });
  ASSERT_OK(Replace("az1-b", "az1-c", /*hold=*/true));
  cluster_->KillNode("az1-c");  // the newcomer itself
  cluster_->KillNode("az1-b");  // and the one it replaces
  const uint64_t then = load.commits();
  ASSERT_TRUE(Await([&] { return load.commits() >= then + 100; }));
  ASSERT_OK(cluster_->StartNode("az1-c"));
  ASSERT_OK(Replace("az1-b", "az1-c"));
  ASSERT_TRUE(AwaitRest());
  EXPECT_TRUE(IsMember("az1-c"));
}

}  // namespace
}  // namespace sextant::embedded
