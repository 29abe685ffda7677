// The cluster of one process: EmbeddedCluster on RocksDB folders, with the SQL service in front of
// it.
#include <utility>

#include "common/base/status.h"
#include "common/rpc/server.h"
#include "compute-node/server/sql_service.h"
#include "compute-node/sql/executor.h"
#include "embedded/embedded_cluster.h"
#include "tests/integration/cluster.h"

namespace sextant::testing {
namespace {

constexpr absl::Duration kOpenTimeout = absl::Seconds(60);

class EmbeddedSqlCluster final : public Cluster {
 public:
  explicit EmbeddedSqlCluster(std::unique_ptr<embedded::EmbeddedCluster> cluster)
      : cluster_(std::move(cluster)) {}
  ~EmbeddedSqlCluster() override { StopSql(); }

  absl::Status Up() override {
    RETURN_IF_ERROR(cluster_->StartNodes());
    return executor_ == nullptr ? StartWriter() : cluster_->writer().WaitUntilOpen(kOpenTimeout);
  }

  absl::Status KillNode(const std::string& node) override {
    cluster_->KillNode(node);
    return absl::OkStatus();
  }

  absl::Status StartNode(const std::string& node) override { return cluster_->StartNode(node); }

  absl::Status KillWriter() override {
    StopSql();
    return absl::OkStatus();
  }

  absl::Status StartWriter() override {
    RETURN_IF_ERROR(cluster_->StartWriter(kOpenTimeout));
    executor_ = std::make_unique<sql::SqlExecutor>(&cluster_->writer(), &cluster_->tickets(),
                                                   sql::SqlOptions());
    service_.Attach(executor_.get());
    // The same port each time, as a process that restarts has.
    ASSIGN_OR_RETURN(server_, rpc::Server::Start({.listen = endpoint_, .metrics_listen = ""},
                                                 {&service_}, nullptr));
    endpoint_ = server_->address();
    return absl::OkStatus();
  }

  std::string sql_endpoint() const override { return endpoint_; }

 private:
  void StopSql() {
    if (executor_ == nullptr) return;
    service_.Detach(absl::UnavailableError("this node is shutting down"));
    server_->Stop(/*grace_ms=*/0);  // connections break, as when a process is killed
    server_.reset();
    cluster_->writer().Shutdown();  // what waits for its quorum is answered at once: unavailable
    executor_->Stop();
    executor_.reset();
    cluster_->KillWriter();
  }

  std::unique_ptr<embedded::EmbeddedCluster> cluster_;
  server::SqlService service_;
  std::unique_ptr<sql::SqlExecutor> executor_;
  std::unique_ptr<rpc::Server> server_;
  std::string endpoint_ = "127.0.0.1:0";
};

}  // namespace

std::unique_ptr<Cluster> MakeEmbeddedCluster(ClusterOptions options) {
  embedded::EmbeddedOptions embedded{.directory = options.directory};
  embedded.geometry.pages_per_pg = options.segment_bytes / embedded.geometry.page_bytes;
  embedded.geometry.pg_count = options.protection_groups;
  auto cluster = embedded::EmbeddedCluster::Create(embedded);
  SEXTANT_CHECK(cluster.ok()) << cluster.status();
  return std::make_unique<EmbeddedSqlCluster>(*std::move(cluster));
}

}  // namespace sextant::testing
