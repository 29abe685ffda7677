// The traditional path with real processes: a source and its replicas, in a folder of the test's.
#pragma once

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sqlite3.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "cli/cluster/ports.h"
#include "cli/cluster/process.h"
#include "common/base/text.h"
#include "common/rpc/channel.h"
#include "common/testing/await.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temporary_folder.h"
#include "compute-node/binlog/engine/testing/database_digest.h"
#include "sextant/v1/binlog.grpc.pb.h"
#include "sextant/v1/compute.grpc.pb.h"
#include "tests/integration/command.h"
#include "tests/integration/sql_client.h"

namespace sextant::testing {

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
  void Pause() { ASSERT_OK(cli::Signal(process, SIGSTOP)); }
  void Resume() { ASSERT_OK(cli::Signal(process, SIGCONT)); }
  v1::BinlogStatus Status() const {
    auto stub = v1::BinlogService::NewStub(rpc::MakeChannel(address));
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(2));
    v1::BinlogStatus status;
    if (!stub->GetStatus(&context, {}, &status).ok()) status.Clear();
    return status;
  }
  // `warning`: what may be lost, as the node says where it is forced.
  grpc::Status Promote(bool is_forced = false, std::string* warning = nullptr) const {
    auto stub = v1::ComputeService::NewStub(rpc::MakeChannel(address));
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    v1::PromoteRequest request;
    request.set_force(is_forced);
    v1::PromoteResponse response;
    const grpc::Status status = stub->Promote(&context, request, &response);
    if (warning != nullptr) *warning = response.warning();
    return status;
  }
  // Deletes what may be deleted of the files; how many.
  uint32_t Purge() const {
    auto stub = v1::BinlogService::NewStub(rpc::MakeChannel(address));
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    v1::PurgeBinlogRequest request;
    request.set_through(UINT64_MAX);
    v1::PurgeBinlogResponse response;
    return stub->Purge(&context, request, &response).ok() ? response.files() : 0;
  }
  std::string Log() const {
    std::ostringstream text;
    text << std::ifstream(folder + ".log").rdbuf();
    return text.str();
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
  void Up(size_t replicas, int acks, const std::vector<std::string>& more_flags = {}) {
    Plan(replicas, acks, more_flags);
    StartAll();
  }
  // Who is there and where; nothing runs yet.
  void Plan(size_t replicas, int acks, const std::vector<std::string>& more_flags = {}) {
    auto ports = cli::PickFreePorts(static_cast<int>(replicas) + 1);
    ASSERT_OK(ports.status());
    std::vector<std::string> flags = {Text("--semi-sync-acks=", acks), "--binlog-file-size=65536"};
    flags.insert(flags.end(), more_flags.begin(), more_flags.end());
    for (size_t i = 0; i <= replicas; ++i) {
      BinlogNodeProcess node;
      node.name = Text("node-", i);
      node.role = i == 0 ? "binlog-source" : "binlog-replica";
      node.address = Text("127.0.0.1:", (*ports)[i]);
      node.folder = Text(folder_.path(), "/", node.name);
      flags.push_back(Text("--compute-node=", node.name, "=", node.address));
      nodes_.push_back(std::move(node));
    }
    for (BinlogNodeProcess& node : nodes_) node.flags = flags;
  }
  void StartAll() {
    for (BinlogNodeProcess& node : nodes_) node.Start();
    // A folder that is new counts as one that does not answer until it has followed.
    ASSERT_TRUE(Await([this] {
      return std::all_of(nodes_.begin(), nodes_.end(),
                         [](const BinlogNodeProcess& node) { return node.Status().is_whole(); });
    }));
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
  // Promotes the first that may be, of all but those named: one of them holds all that was
  // answered, and one that does not is refused. Null: none in time.
  BinlogNodeProcess* PromoteAnyBut(const std::vector<const BinlogNodeProcess*>& others) {
    BinlogNodeProcess* promoted = nullptr;
    const bool is_source = Await([&] {
      for (BinlogNodeProcess& node : nodes_) {
        if (promoted != nullptr) break;
        const bool is_other = std::find(others.begin(), others.end(), &node) != others.end();
        if (!is_other && node.Promote().ok()) promoted = &node;
      }
      return promoted != nullptr && promoted->Status().role() == "binlog-source";
    });
    return is_source ? promoted : nullptr;
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

  // What clients were answered is at the source.
  void ExpectHeld(const std::set<int64_t>& answered) {
    BinlogNodeProcess* source = Source();
    ASSERT_NE(source, nullptr);
    SqlClient client(source->address);
    const auto rows = client.Execute("SELECT n FROM log");
    ASSERT_OK(rows.status());
    std::set<int64_t> held;
    for (const TextRow& row : rows->rows) held.insert(std::stoll(row[0]));
    for (const int64_t n : answered) EXPECT_TRUE(held.contains(n)) << n << " was lost";
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
  // Waits until so many more were answered. False: they are not, for long.
  bool GoesOn(int more) const {
    return Await([this, target = count_ + more] { return count_ >= target; });
  }
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

inline constexpr const char* kSchema =
    "CREATE TABLE log(n UNIQUE, text); CREATE TABLE counter(n); INSERT INTO counter VALUES(0)";

}  // namespace sextant::testing
