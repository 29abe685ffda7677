// Node: the process of a compute node. It has a role at a time (role.h), and changes it on demand
// without giving up its ports.
//
// Roles are made, started and stopped on one thread, one after the other. Whoever asks for a change
// is answered when it is under way. Thread-safety: all public methods from any thread.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <thread>

#include "common/rpc/server.h"
#include "compute-node/server/compute_service.h"
#include "compute-node/server/role.h"

namespace sextant::server {

class Node final : public NodeControl, private RoleHost {
 public:
  explicit Node(ComputeFlags flags);
  ~Node() override;

  // Listens and starts the first role. An error: it cannot.
  absl::Status Start();
  // Ends the role and the server. Returns what the role failed with, if it did.
  absl::Status Stop();

  // --- NodeControl
  void FillStatus(v1::ComputeStatus* status) const override;
  void ReplaceSegment(const v1::ReplaceSegmentRequest& request,
                      std::function<void(absl::Status)> done) override;
  absl::Status UndoReplace(const v1::UndoReplaceRequest& request) override;
  absl::Status Promote(const v1::PromoteRequest& request, v1::PromoteResponse* response) override;

 private:
  class Metrics;
  struct Change {
    RoleKind next;
    absl::Status why;
  };

  // --- RoleHost
  void SetReady(bool is_ready) override;
  const ComputeNodeAddress& self() const override { return self_; }
  void ChangeRole(RoleKind next, const absl::Status& why) override;
  void Fail(const absl::Status& error) override;

  bool HasWriterElsewhere() const;
  absl::Status StartRole(RoleKind kind);
  void StopRole(const absl::Status& why);
  void RunChanges();  // the thread of roles
  // `otherwise` while the node is between two roles.
  template <typename Result>
  Result WithRole(const std::function<Result(Role&)>& use, Result otherwise) const;

  const ComputeFlags flags_;
  const std::shared_ptr<prometheus::Registry> registry_;
  ComputeLatencies latencies_;
  ComputeService compute_service_;
  VolumeService volume_service_;
  SqlService sql_service_;
  RedoService redo_service_;
  BinlogService binlog_service_;
  RoleHandover handover_;
  const RoleContext context_;
  std::unique_ptr<rpc::Server> server_;
  ComputeNodeAddress self_;  // constant once the server listens

  mutable std::shared_mutex role_mutex_;  // shared: the role stays while it is used
  std::unique_ptr<Role> role_;            // changed by the thread of roles; null between two

  mutable std::mutex mutex_;  // of what follows
  std::condition_variable changed_;
  RoleKind kind_;  // what the node is, or is about to be
  std::optional<Change> change_;
  bool is_stopping_ = false;
  absl::Status error_;
  std::thread thread_;
};

}  // namespace sextant::server
