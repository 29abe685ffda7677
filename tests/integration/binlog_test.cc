// The traditional path with real processes: a source and two replicas, killed at random points;
// digests equal at the end, semi-sync answers kept through a failover, the old source rewound.
//
// SEXTANT_ROUNDS=n plays more rounds.
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sqlite3.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <thread>

#include "cli/cluster/ports.h"
#include "cli/cluster/process.h"
#include "common/base/prng.h"
#include "common/base/text.h"
#include "common/rpc/channel.h"
#include "common/testing/await.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temporary_folder.h"
#include "compute-node/binlog/engine/testing/database_digest.h"
#include "compute-node/binlog/engine/testing/random_statements.h"
#include "sextant/v1/binlog.grpc.pb.h"
#include "sextant/v1/compute.grpc.pb.h"
#include "tests/integration/command.h"
#include "tests/integration/sql_client.h"

namespace sextant::testing {
namespace {

int Rounds(int otherwise) {
  const char* text = std::getenv("SEXTANT_ROUNDS");
  return text == nullptr ? otherwise : std::atoi(text);
}

class BinlogNodeProcess {
 public:
  std::string name, role, address, folder;
  std::vector<std::string> flags;
  cli::ProcessId process;

  void Start() {
    std::vector<std::string> command = {BinaryPath("sextant-compute-node"),
                                        "--role=" + role,
                                        "--node-name=" + name,
                                        "--listen=" + address,
                                        "--metrics-listen=127.0.0.1:0",
                                        "--data-dir=" + folder};
    command.insert(command.end(), flags.begin(), flags.end());
    auto launched = cli::Launch({.command = command, .log_file = folder + ".log"});
    ASSERT_OK(launched.status());
    process = *launched;
  }
  void Kill() {
    if (process.pid == 0) return;
    cli::Signal(process, SIGKILL).IgnoreError();
    EXPECT_TRUE(cli::WaitForExit(process, absl::Seconds(60)));
    process = {};
  }
  void StopNicely() {
    if (process.pid == 0) return;
    cli::Signal(process, SIGTERM).IgnoreError();
    EXPECT_TRUE(cli::WaitForExit(process, absl::Seconds(60)));
    process = {};
  }
  v1::BinlogStatus Status() const {
    auto stub = v1::BinlogService::NewStub(rpc::MakeChannel(address));
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(2));
    v1::BinlogStatus status;
    if (!stub->GetStatus(&context, {}, &status).ok()) status.Clear();
    return status;
  }
  grpc::Status Promote() const {
    auto stub = v1::ComputeService::NewStub(rpc::MakeChannel(address));
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
    v1::PromoteResponse response;
    return stub->Promote(&context, {}, &response);
  }
  std::string Digest() const {
    sqlite3* db = nullptr;
    sqlite3_open((folder + "/data.sqlite").c_str(), &db);
    std::string digest = binlog::DatabaseDigest(db);
    sqlite3_close(db);
    return digest;
  }
};

class BinlogTest : public ::testing::Test {
 protected:
  void Up(size_t replicas, int acks) {
    auto ports = cli::PickFreePorts(static_cast<int>(replicas) + 1);
    ASSERT_OK(ports.status());
    std::vector<std::string> flags = {Text("--semi-sync-acks=", acks), "--binlog-file-size=65536"};
    for (size_t i = 0; i <= replicas; ++i) {
      BinlogNodeProcess node;
      node.name = Text("node-", i);
      node.role = i == 0 ? "binlog-source" : "binlog-replica";
      node.address = Text("127.0.0.1:", (*ports)[i]);
      node.folder = Text(folder_.path(), "/", node.name);
      flags.push_back(Text("--compute-node=", node.name, "=", node.address));
      nodes_.push_back(std::move(node));
    }
    for (BinlogNodeProcess& node : nodes_) {
      node.flags = flags;
      node.Start();
    }
  }
  ~BinlogTest() override {
    for (BinlogNodeProcess& node : nodes_) node.Kill();
    if (HasFailure()) folder_.Keep();
  }
  // Retries until the node takes it.
  void Do(const BinlogNodeProcess& node, const std::string& sql) {
    EXPECT_TRUE(Await([&] {
      SqlClient client(node.address);
      return client.Execute(sql).ok();
    })) << sql;
  }
  BinlogNodeProcess* Source() {
    for (BinlogNodeProcess& node : nodes_) {
      if (node.process.pid != 0 && node.Status().role() == "binlog-source") return &node;
    }
    return nullptr;
  }
  // All nodes hold and show what the source has.
  void AwaitEqual() {
    ASSERT_TRUE(Await([&] {
      BinlogNodeProcess* source = Source();
      if (source == nullptr) return false;
      const v1::BinlogStatus all = source->Status();
      for (const BinlogNodeProcess& node : nodes_) {
        const v1::BinlogStatus status = node.Status();
        if (status.history() != all.history() || status.applied() != all.applied()) return false;
      }
      return !all.history().empty();
    }));
    for (BinlogNodeProcess& node : nodes_) node.StopNicely();
    const std::string expected = nodes_[0].Digest();
    for (const BinlogNodeProcess& node : nodes_) EXPECT_EQ(node.Digest(), expected) << node.name;
  }

  TemporaryFolder folder_;
  std::vector<BinlogNodeProcess> nodes_;
};

// Writes numbers through whoever is the source; knows which ones were answered.
class Writer {
 public:
  explicit Writer(std::vector<std::string> addresses) : addresses_(std::move(addresses)) {
    thread_ = std::thread([this] {
      size_t at = 0;
      while (!is_over_) {
        SqlClient client(addresses_[at++ % addresses_.size()]);
        while (!is_over_) {
          const int64_t next = next_++;
          const auto reply = client.Execute(Text("INSERT INTO log(n, text) VALUES(", next,
                                                 ", hex(randomblob(20)));"
                                                 "UPDATE counter SET n = n + 1"),
                                            /*atomic=*/true, absl::Seconds(5));
          if (!reply.ok()) break;
          answered_.insert(next);
          ++count_;
        }
      }
    });
  }
  ~Writer() { Answered(); }
  int count() const { return count_; }
  std::set<int64_t> Answered() {
    is_over_ = true;
    if (thread_.joinable()) thread_.join();
    return answered_;
  }

 private:
  const std::vector<std::string> addresses_;
  int64_t next_ = 1;
  std::set<int64_t> answered_;
  std::atomic<int> count_ = 0;
  std::atomic<bool> is_over_ = false;
  std::thread thread_;
};

constexpr const char* kSchema =
    "CREATE TABLE log(n UNIQUE, text); CREATE TABLE counter(n); INSERT INTO counter VALUES(0)";

TEST_F(BinlogTest, EqualAfterKillsOfEither) {
  Up(/*replicas=*/1, /*acks=*/0);
  Do(nodes_[0], kSchema);
  Prng prng(7);
  Writer writer({nodes_[0].address});
  for (int round = 0; round < Rounds(4); ++round) {
    const int target = writer.count() + static_cast<int>(prng.Between(5, 60));
    ASSERT_TRUE(Await([&] { return writer.count() >= target; }));
    BinlogNodeProcess& victim = nodes_[prng.Below(2)];
    victim.Kill();
    victim.Start();
  }
  const std::set<int64_t> answered = writer.Answered();
  SqlClient client(nodes_[0].address);
  const auto count = client.QueryOne("SELECT count(*) FROM log");
  ASSERT_OK(count.status());
  EXPECT_GE(std::stoll(*count), static_cast<int64_t>(answered.size()));
  AwaitEqual();
}

// Two sessions with one node that run random statements, most of which fail.
class RandomSql {
 public:
  explicit RandomSql(const std::string& address, uint64_t seed) {
    for (uint64_t i = 0; i < 2; ++i) {
      threads_.emplace_back([this, address, seed, i] { Run(address, seed * 2 + i); });
    }
  }
  ~RandomSql() { Stop(); }
  void Stop() {
    is_over_ = true;
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }
  int count() const { return count_; }

 private:
  void Run(const std::string& address, uint64_t seed) {
    binlog::RandomStatements random(seed);
    while (!is_over_) {
      SqlClient client(address);
      for (;;) {
        const absl::Status status =
            client.Execute(random.Next(), /*atomic=*/false, absl::Seconds(5)).status();
        if (is_over_ || absl::IsUnavailable(status)) break;
        ++count_;
      }
    }
  }

  std::atomic<int> count_ = 0;
  std::atomic<bool> is_over_ = false;
  std::vector<std::thread> threads_;
};

TEST_F(BinlogTest, RandomSqlIsEqualAfterKillsOfEither) {
  Up(/*replicas=*/2, /*acks=*/1);
  Do(nodes_[0], binlog::RandomStatements::Schema());
  Prng prng(11);
  RandomSql sql(nodes_[0].address, /*seed=*/3);
  for (int round = 0; round < Rounds(5); ++round) {
    const int target = sql.count() + static_cast<int>(prng.Between(20, 300));
    ASSERT_TRUE(Await([&] { return sql.count() >= target; }));
    BinlogNodeProcess& victim = nodes_[prng.OneIn(2) ? 0 : prng.Between(1, 2)];
    victim.Kill();
    victim.Start();
  }
  sql.Stop();
  AwaitEqual();
}

TEST_F(BinlogTest, SemiSyncAnswersSurviveTheSource) {
  Up(/*replicas=*/2, /*acks=*/1);
  Do(nodes_[0], kSchema);
  Writer writer({nodes_[0].address, nodes_[1].address, nodes_[2].address});
  for (int round = 0; round < Rounds(2); ++round) {
    const int target = writer.count() + 30;
    ASSERT_TRUE(Await([&] { return writer.count() >= target; }));
    BinlogNodeProcess* old = Source();
    ASSERT_NE(old, nullptr);
    old->Kill();
    // One of them holds all that was answered, and the other one is refused if it does not.
    BinlogNodeProcess* promoted = nullptr;
    ASSERT_TRUE(Await([&] {
      for (BinlogNodeProcess& node : nodes_) {
        if (&node == old || !node.Promote().ok()) continue;
        promoted = &node;
        return true;
      }
      return false;
    }));
    ASSERT_TRUE(Await([&] { return promoted->Status().role() == "binlog-source"; }));
    old->Start();  // finds that it was replaced, rewinds and follows
    ASSERT_TRUE(Await([&] {
      const v1::BinlogStatus status = old->Status();
      return status.role() == "binlog-replica" && status.is_connected();
    }));
  }
  const std::set<int64_t> answered = writer.Answered();
  BinlogNodeProcess* source = Source();
  ASSERT_NE(source, nullptr);
  SqlClient client(source->address);
  const auto rows = client.Execute("SELECT n FROM log");
  ASSERT_OK(rows.status());
  std::set<int64_t> held;
  for (const TextRow& row : rows->rows) held.insert(std::stoll(row[0]));
  for (const int64_t n : answered) EXPECT_TRUE(held.contains(n)) << n << " was lost";
  AwaitEqual();
}

TEST_F(BinlogTest, AReplicaMayNotBePromotedWhereAnswersCouldBeLost) {
  Up(/*replicas=*/2, /*acks=*/1);
  Do(nodes_[0], kSchema);
  nodes_[0].Kill();
  nodes_[1].Kill();
  // Node 1 may hold what node 2 does not: nobody can tell.
  const grpc::Status refused = nodes_[2].Promote();
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::FAILED_PRECONDITION) << refused.error_message();
  nodes_[1].Start();
  ASSERT_TRUE(Await([&] { return nodes_[1].Status().role() == "binlog-replica"; }));
  EXPECT_TRUE(Await([&] { return nodes_[1].Promote().ok() || nodes_[2].Promote().ok(); }));
}

}  // namespace
}  // namespace sextant::testing
