// Bytes flipped in the files of two copies of a real cluster: detected, fetched from peers, read
// right; the nodes come back by themselves, also where compaction would have met the damage.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "common/base/prng.h"
#include "common/base/text.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temporary_folder.h"
#include "tests/integration/cluster.h"
#include "tests/integration/command.h"
#include "tests/integration/ledger.h"
#include "tests/integration/sql_client.h"

namespace sextant::testing {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr uint64_t kSeed = 20261122;
constexpr char kDigest[] =
    "SELECT count(*) || ' ' || sum(length(b)) || ' ' || sum(instr(hex(b), 'A') * (a % 97)) FROM "
    "big";

class DamagedFilesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    setenv("SEXTANT_COLLECT_LOG", "256KiB", 1);
    setenv("SEXTANT_SCRUB_INTERVAL_S", "1", 1);
    setenv("SEXTANT_SCRUB_RATE", "256MiB", 1);
    setenv("SEXTANT_LOG_MEMTABLE", "512KiB", 1);
    setenv("SEXTANT_PAGE_MEMTABLE", "512KiB", 1);
    setenv("SEXTANT_RETAIN_S", "0", 1);
    setenv("SEXTANT_READER_HOLD_S", "0", 1);
    cluster_ = MakeProcessCluster(
        {.directory = Directory(), .segment_bytes = 64 << 20, .protection_groups = 1});
    ASSERT_OK(cluster_->Up());
    ASSERT_OK(Ledger::Create(cluster_->sql_endpoint()));
    SqlClient client(cluster_->sql_endpoint());
    ASSERT_OK(client.Execute("CREATE TABLE big(a INTEGER PRIMARY KEY, b BLOB)").status());
    for (int round = 0; round < 2 || !IsCollected(); ++round) {
      ASSERT_LT(round, 100) << "the log is not collected";
      for (int i = 0; i < 20; ++i) {
        ASSERT_OK(
            client
                .Execute("INSERT INTO big(b) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT "
                         "i + 1 FROM n WHERE i < 20) SELECT randomblob(2000) FROM n")
                .status());
      }
    }
    digest_ = client.QueryOne(kDigest).value_or("?");
  }
  void TearDown() override {
    cluster_.reset();
    for (const char* name : {"SEXTANT_COLLECT_LOG", "SEXTANT_SCRUB_INTERVAL_S",
                             "SEXTANT_SCRUB_RATE", "SEXTANT_LOG_MEMTABLE", "SEXTANT_PAGE_MEMTABLE",
                             "SEXTANT_RETAIN_S", "SEXTANT_READER_HOLD_S"}) {
      unsetenv(name);
    }
    if (HasFailure()) folder_.Keep();
  }
  std::string Directory() const { return folder_.path() + "/cluster"; }
  std::vector<fs::path> Files(const std::string& node, const std::string& suffix) {
    std::vector<fs::path> found;
    for (const auto& entry : fs::directory_iterator(Text(Directory(), "/", node, "/rocksdb"))) {
      if (entry.path().filename().string().find(suffix) != std::string::npos)
        found.push_back(entry.path());
    }
    std::ranges::sort(found);
    return found;
  }
  // Flips a byte in the middle half of each of these files: where the data lies.
  size_t FlipIn(const std::vector<fs::path>& files) {
    size_t flipped = 0;
    for (const fs::path& path : files) {
      const uint64_t size = fs::file_size(path);
      if (size < 2000) continue;  // it holds no log and no pages
      std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
      const auto at = static_cast<std::streamoff>(size / 4 + prng_.Below(size / 2));
      file.seekg(at);
      const int byte = file.get();
      file.seekp(at);
      file.put(static_cast<char>(byte ^ 0x10));
      ++flipped;
    }
    return flipped;
  }
  bool HasRewritten(const std::string& node) {
    std::ostringstream log;
    log << std::ifstream(Text(Directory(), "/logs/", node, ".log")).rdbuf();
    return log.str().find("was rewritten") != std::string::npos;
  }
  Json Status() {
    return Json::parse(
        RunCommand(Text(BinaryPath("sextant"), " cluster status --output json --dir ", Directory()))
            .output,
        nullptr, /*allow_exceptions=*/false);
  }

  // Nodes hold what is older than their log as pages only.
  bool IsCollected() {
    const std::string status = Status().dump();
    return status.find("\"log_start\":0") == std::string::npos;
  }
  // What `status` says of each node's only segment.
  bool IsDamaged(const std::string& node) {
    for (const Json& entry : Status().value("nodes", Json::array())) {
      for (const Json& segment : entry.value("segments", Json::array())) {
        if (entry["name"] == node) return segment.value("damaged", false);
      }
    }
    return false;
  }
  bool IsEveryNodeWhole() {
    const Json status = Status();
    size_t whole = 0;
    for (const Json& entry : status.value("nodes", Json::array())) {
      for (const Json& segment : entry.value("segments", Json::array())) {
        whole += !segment.value("damaged", true) && segment.value("state", "") == "streaming" &&
                 segment.value("lag", 1) == 0;
      }
    }
    return whole == NodeNames().size();
  }
  template <typename Condition>
  bool Await(Condition holds) {
    const absl::Time deadline = absl::Now() + absl::Seconds(120);
    while (!holds()) {
      if (absl::Now() > deadline) return false;
      (void)RunCommand(Text(BinaryPath("sextant"), " ping ", cluster_->sql_endpoint()));
    }
    return true;
  }
  void Restart(const std::string& node) {
    ASSERT_OK(cluster_->KillNode(node));
    ASSERT_OK(cluster_->StartNode(node));
  }
  std::string Digest() {
    SqlClient client(cluster_->sql_endpoint());
    EXPECT_EQ(client.QueryOne("PRAGMA integrity_check").value_or("?"), "ok");
    return client.QueryOne(kDigest).value_or("?");
  }

  TemporaryFolder folder_;
  std::unique_ptr<Cluster> cluster_;
  Prng prng_{kSeed};
  std::string digest_;
};

TEST_F(DamagedFilesTest, TwoCopiesAreDetectedRepairedAndReadRight) {
  RecordProperty("seed", Text(kSeed));
  const std::vector<std::string> victims = {"az1-a", "az2-b"};
  ASSERT_OK(cluster_->KillAll());
  for (const std::string& node : victims) {
    EXPECT_GT(FlipIn(Files(node, ".sst")), 1u) << "log and pages of " << node;
    EXPECT_GT(FlipIn(Files(node, ".log")), 0u);
  }
  ASSERT_OK(cluster_->Up());
  Ledger ledger(cluster_->sql_endpoint(), 2);
  ASSERT_OK(ledger.WaitForProgress(30));
  for (const std::string& node : victims) {
    // Scrub meets what the start did not; where compaction met it the node has mended it already.
    EXPECT_TRUE(Await([&] {
      return fs::exists(Text(Directory(), "/", node, "/REPAIR")) || HasRewritten(node);
    })) << node;
  }
  EXPECT_TRUE(Await([&] { return IsEveryNodeWhole(); }));
  EXPECT_EQ(Digest(), digest_);
  for (const std::string& node : victims) {  // and now their files are
    Restart(node);
    EXPECT_TRUE(Await([&] { return HasRewritten(node); })) << node;
    EXPECT_TRUE(Await([&] { return IsEveryNodeWhole(); }));
  }
  ASSERT_OK(ledger.WaitForProgress(30));
  ledger.Stop();
  ASSERT_OK(ledger.Verify(cluster_->sql_endpoint()));
  // These two copies must answer: two of the others are gone and the writer's cache is empty.
  ASSERT_OK(cluster_->KillNode("az3-a"));
  ASSERT_OK(cluster_->KillNode("az3-b"));
  ASSERT_OK(cluster_->KillWriter());
  ASSERT_OK(cluster_->StartWriter());
  EXPECT_EQ(Digest(), digest_);
  ASSERT_OK(ledger.Verify(cluster_->sql_endpoint()));
}

TEST_F(DamagedFilesTest, ANodeWithoutManifestIsRebuiltByItself) {
  ASSERT_OK(cluster_->KillAll());
  ASSERT_EQ(FlipIn(Files("az1-a", "MANIFEST")), 1u);
  ASSERT_OK(cluster_->StartNode("az1-a"));
  EXPECT_TRUE(Await([&] { return IsDamaged("az1-a"); })) << Status().dump(1);
  ASSERT_OK(cluster_->Up());
  EXPECT_TRUE(Await([&] { return IsEveryNodeWhole(); })) << Status().dump(1);
  EXPECT_EQ(Digest(), digest_);
  ASSERT_OK(cluster_->KillNode("az3-a"));
  ASSERT_OK(cluster_->KillNode("az2-b"));
  ASSERT_OK(cluster_->KillWriter());
  ASSERT_OK(cluster_->StartWriter());
  EXPECT_EQ(Digest(), digest_);
}

}  // namespace
}  // namespace sextant::testing
