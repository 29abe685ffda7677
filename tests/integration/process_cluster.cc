// The cluster of real binaries, driven as a user drives it: by the `sextant` command.
#include <utility>

#include "cli/cluster/cluster_state.h"
#include "common/base/status.h"
#include "common/base/text.h"
#include "tests/integration/cluster.h"
#include "tests/integration/command.h"

namespace sextant::testing {
namespace {

class ProcessCluster final : public Cluster {
 public:
  explicit ProcessCluster(ClusterOptions options) : options_(std::move(options)) {}
  ~ProcessCluster() override {
    if (is_created_) (void)Sextant("down");
  }

  absl::Status Up() override {
    RETURN_IF_ERROR(Sextant(is_created_ ? "up"
                                        : Text("up --segment-size ", options_.segment_bytes,
                                               " --protection-groups ", options_.protection_groups,
                                               " --spares ", options_.spares, " --readers ",
                                               options_.readers)));
    is_created_ = true;
    ASSIGN_OR_RETURN(cli::ClusterState state, cli::LoadState(options_.directory));
    sql_endpoint_ = state.writer().listen;
    return absl::OkStatus();
  }

  absl::Status KillNode(const std::string& node) override { return Sextant(Text("kill ", node)); }
  absl::Status StartNode(const std::string& node) override { return Sextant(Text("start ", node)); }
  absl::Status KillWriter() override { return Sextant("kill writer"); }
  absl::Status StartWriter() override { return Sextant("start writer"); }
  std::string sql_endpoint() const override { return sql_endpoint_; }

 private:
  // Runs `sextant cluster VERB...` on this cluster's folder.
  absl::Status Sextant(const std::string& verb) {
    const CommandResult result =
        RunCommand(Text(BinaryPath("sextant"), " cluster ", verb, " --dir ", options_.directory));
    if (result.exit_code == 0) return absl::OkStatus();
    return absl::InternalError(Text("sextant cluster ", verb, ": exit code ", result.exit_code,
                                    "\n", result.output, result.errors));
  }

  ClusterOptions options_;
  bool is_created_ = false;
  std::string sql_endpoint_;
};

}  // namespace

std::unique_ptr<Cluster> MakeProcessCluster(ClusterOptions options) {
  return std::make_unique<ProcessCluster>(std::move(options));
}

absl::Status Cluster::KillAll() {
  RETURN_IF_ERROR(KillWriter());
  for (const std::string& node : NodeNames()) RETURN_IF_ERROR(KillNode(node));
  return absl::OkStatus();
}

}  // namespace sextant::testing
