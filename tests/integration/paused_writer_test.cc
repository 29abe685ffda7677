// A writer that was paused while another one took over: it wakes up and must not answer as if
// nothing had happened. Real processes, SIGSTOP, the same storage nodes.
//
// Every round pauses the writer, starts a successor and changes a value through it, wakes the old
// one, and lets its clients go on: those whose requests had queued up, those inside transactions,
// and new ones; SQL and VolumeService. No acknowledgement, no stale read, and errors that say why.
// SEXTANT_ROUNDS=n plays more rounds.
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <cstdlib>
#include <fstream>
#include <functional>
#include <future>
#include <nlohmann/json.hpp>
#include <set>

#include "cli/cluster/cluster_state.h"
#include "cli/cluster/launch_command.h"
#include "cli/cluster/process.h"
#include "common/base/text.h"
#include "common/rpc/channel.h"
#include "common/rpc/status.h"
#include "common/testing/await.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temporary_folder.h"
#include "sextant/v1/volume.grpc.pb.h"
#include "tests/integration/cluster.h"
#include "tests/integration/command.h"
#include "tests/integration/sql_client.h"

namespace sextant::testing {
namespace {

using Outcome = absl::StatusOr<std::string>;

struct WriterProcess {
  cli::ProcessId process;
  std::string endpoint;
};

// Commits rows through one writer until that refuses; knows which ones it said were committed.
class Load {
 public:
  Load(std::string endpoint, int64_t first) : endpoint_(std::move(endpoint)), next_(first) {
    thread_ = std::thread([this] {
      SqlClient client(endpoint_);
      while (client.Execute(Text("INSERT INTO log VALUES(", next_, ")")).ok()) {
        acknowledged_.insert(next_++);
        ++count_;
      }
    });
  }
  ~Load() { thread_.join(); }
  int count() const { return count_; }
  // Waits for its end.
  std::set<int64_t> Acknowledged() {
    if (thread_.joinable()) thread_.join();
    thread_ = std::thread([] {});
    return acknowledged_;
  }

 private:
  const std::string endpoint_;
  int64_t next_;
  std::set<int64_t> acknowledged_;  // of the thread until it ends
  std::atomic<int> count_ = 0;
  std::thread thread_;
};

class PausedWriterTest : public ::testing::Test {
 protected:
  void SetUp() override {
    cluster_ = MakeProcessCluster({.directory = directory_});
    ASSERT_OK(cluster_->Up());
    auto state = cli::LoadState(directory_);
    ASSERT_OK(state);
    state_ = *std::move(state);
    writer_ = {state_.writer().process, state_.writer().listen};
    SqlClient client(writer_.endpoint);
    ASSERT_OK(client.Execute("CREATE TABLE t(v); INSERT INTO t VALUES(0)").status());
    ASSERT_OK(client.Execute("CREATE TABLE log(id INTEGER PRIMARY KEY)").status());
  }

  void TearDown() override {
    Kill(writer_);
    cluster_.reset();
    if (HasFailure()) folder_.Keep();
  }

  static void Kill(const WriterProcess& writer) {
    cli::Signal(writer.process, SIGKILL).IgnoreError();
    cli::WaitForExit(writer.process, absl::Seconds(60));
  }

  // Another writer on the same storage nodes, open.
  void StartSuccessor(WriterProcess* successor) {
    cli::NodeState node = state_.writer();
    node.name = Text("writer-", ++started_);
    node.listen = node.metrics = "127.0.0.1:0";
    auto process =
        cli::Launch({.command = cli::NodeCommand(
                         {BinaryPath("sextant-storage-node"), BinaryPath("sextant-compute-node")},
                         directory_, state_, node, /*log_level=*/""),
                     .log_file = cli::LogPath(directory_, node.name),
                     .drop_environment = {}});
    ASSERT_OK(process);
    successor->process = *process;
    ASSERT_TRUE(Await([&] {
      std::ifstream file(cli::ReadyPath(directory_, node.name));
      const auto ready = nlohmann::json::parse(file, nullptr, /*allow_exceptions=*/false);
      if (!ready.is_object()) return false;
      successor->endpoint = ready.at("listen").get<std::string>();
      return true;
    }));
    ASSERT_TRUE(Await([&] { return SqlClient(successor->endpoint).QueryOne("SELECT 1").ok(); }));
  }

  // --- what clients ask of a writer

  static Outcome Ask(SqlClient* client, const std::string& sql) {
    const auto reply = client->Execute(sql);
    if (!reply.ok()) return reply.status();
    return reply->rows.empty() ? "acknowledged" : reply->rows[0][0];
  }
  static Outcome ReadLatestPage(const std::string& endpoint) {
    const auto stub = v1::VolumeService::NewStub(rpc::MakeChannel(endpoint));
    grpc::ClientContext context;
    v1::ReadPageRequest request;
    v1::ReadPageResponse response;
    const absl::Status status =
        rpc::FromGrpc(stub->ReadPage(&context, request, &response), endpoint);
    if (!status.ok()) return status;
    return Text("page at lsn ", response.page_lsn());
  }
  // An append of what the page holds already: there is nothing to append, if that is still so.
  static Outcome AppendNothing(const std::string& endpoint, const std::string& page) {
    const auto stub = v1::VolumeService::NewStub(rpc::MakeChannel(endpoint));
    grpc::ClientContext context;
    v1::AppendMtrRequest request;
    v1::PageEdit* edit = request.add_edits();
    edit->set_page(kUnused);
    edit->set_image(page);
    v1::AppendMtrResponse response;
    const absl::Status status = rpc::FromGrpc(stub->Append(&context, request, &response), endpoint);
    if (!status.ok()) return status;
    return Text("acknowledged at lsn ", response.commit_lsn());
  }

  // A refusal that says why. A connection may have been given up while the process slept: then the
  // question is asked again.
  static void ExpectRefused(const std::string& what, const std::function<Outcome()>& ask) {
    Outcome outcome = ask();
    Await([&] {
      if (!absl::IsUnavailable(outcome.status())) return true;
      outcome = ask();
      return false;
    });
    EXPECT_EQ(outcome.status().code(), absl::StatusCode::kFailedPrecondition)
        << what << ": " << (outcome.ok() ? *outcome : outcome.status().ToString());
  }

  void PlayRound(int round);

  static constexpr uint64_t kUnused = 4000;  // a page that SQLite does not reach

  TemporaryFolder folder_;
  const std::string directory_ = folder_.path() + "/cluster";
  std::unique_ptr<Cluster> cluster_;
  cli::ClusterState state_;
  WriterProcess writer_;
  int started_ = 1;
};

void PausedWriterTest::PlayRound(int round) {
  const WriterProcess old = writer_;
  const std::string select = "SELECT v FROM t";
  SqlClient reader(old.endpoint), writer(old.endpoint), transaction(old.endpoint);
  const std::string zeros(state_.settings.page_bytes, '\0');
  ASSERT_EQ(Ask(&reader, select).value_or("?"), Text(round));
  ASSERT_OK(Ask(&writer, "SELECT count(*) FROM log").status());
  ASSERT_EQ(Ask(&transaction, "BEGIN READ ONLY; SELECT v FROM t").value_or("?"), Text(round));
  ASSERT_OK(ReadLatestPage(old.endpoint).status());
  ASSERT_OK(AppendNothing(old.endpoint, zeros).status());
  Load load(old.endpoint, round * 1'000'000);
  ASSERT_TRUE(Await([&] { return load.count() > 5; }));

  ASSERT_OK(cli::Signal(old.process, SIGSTOP));
  ASSERT_TRUE(Await([&] { return cli::StateOf(old.process) == cli::ProcessState::kPaused; }));
  std::vector<std::pair<std::string, std::future<Outcome>>> queued;
  const auto queue = [&](const std::string& what, std::function<Outcome()> ask) {
    queued.emplace_back(what, std::async(std::launch::async, std::move(ask)));
  };
  queue("queued read", [&] { return Ask(&reader, select); });
  queue("queued write", [&] { return Ask(&writer, "UPDATE t SET v = 'stale'"); });
  queue("queued read in a transaction", [&] { return Ask(&transaction, select); });
  queue("queued page read", [&] { return ReadLatestPage(old.endpoint); });

  WriterProcess& successor = writer_;  // from here on TearDown ends this one
  StartSuccessor(&successor);
  SqlClient client(successor.endpoint);
  if (!HasFatalFailure()) {
    EXPECT_EQ(Ask(&client, Text("UPDATE t SET v = ", round + 1)).value_or("?"), "acknowledged");
  }
  EXPECT_OK(cli::Signal(old.process, SIGCONT));

  for (auto& [what, future] : queued) {
    const Outcome outcome = future.get();
    EXPECT_TRUE(absl::IsFailedPrecondition(outcome.status()) ||
                absl::IsUnavailable(outcome.status()))
        << what << ": " << (outcome.ok() ? *outcome : outcome.status().ToString());
  }
  const auto expect_refused = [&](const std::string& what, const std::string& sql) {
    ExpectRefused(what, [&] {
      SqlClient one(old.endpoint);
      return Ask(&one, sql);
    });
  };
  ExpectRefused("read", [&] { return Ask(&reader, select); });
  ExpectRefused("read after the transaction", [&] { return Ask(&transaction, select); });
  expect_refused("read in a new session", select);
  expect_refused("write", "INSERT INTO t VALUES('stale')");
  expect_refused("write that changes nothing", Text("UPDATE t SET v = ", round));
  expect_refused("transaction", "BEGIN; UPDATE t SET v = 'stale'; COMMIT");
  ExpectRefused("page read", [&] { return ReadLatestPage(old.endpoint); });
  ExpectRefused("append of nothing", [&] { return AppendNothing(old.endpoint, zeros); });

  const std::set<int64_t> acknowledged = load.Acknowledged();
  EXPECT_EQ(Ask(&client, select).value_or("?"), Text(round + 1));
  EXPECT_EQ(Ask(&client, Text("SELECT count(*) FROM log WHERE id BETWEEN ", *acknowledged.begin(),
                              " AND ", *acknowledged.rbegin()))
                .value_or("?"),
            Text(acknowledged.size()))
      << "an acknowledged row is missing";
  Kill(old);
}

TEST_F(PausedWriterTest, AnswersNobodyAfterItWasSucceeded) {
  const char* rounds = std::getenv("SEXTANT_ROUNDS");
  const int count = rounds != nullptr ? std::atoi(rounds) : 10;
  for (int round = 0; round < count && !HasFailure(); ++round) {
    SCOPED_TRACE(Text("round ", round));
    PlayRound(round);
  }
}

}  // namespace
}  // namespace sextant::testing
