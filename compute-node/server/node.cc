// See node.h.
#include "compute-node/server/node.h"

#include <prometheus/collectable.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <utility>

#include "client/session.h"
#include "common/base/status.h"
#include "common/base/text.h"
#include "common/rpc/logging.h"

namespace sextant::server {
namespace {

absl::Status BetweenRoles() {
  return absl::UnavailableError("this node is changing its role: ask again");
}

}  // namespace

class Node::Metrics : public prometheus::Collectable {
 public:
  explicit Metrics(const Node* node) : node_(*node) {}
  std::vector<prometheus::MetricFamily> Collect() const override {
    std::shared_lock lock(node_.role_mutex_);
    if (node_.role_ == nullptr) return {};
    return node_.role_->Metrics();
  }

 private:
  const Node& node_;
};

Node::Node(ComputeFlags flags)
    : flags_(std::move(flags)),
      registry_(std::make_shared<prometheus::Registry>()),
      latencies_(registry_.get()),
      compute_service_(this),
      context_{flags_,        *this,           sql_service_, volume_service_,
               redo_service_, binlog_service_, latencies_,   handover_},
      kind_(RoleNamed(flags_.role).value_or(RoleKind::kWriter)) {}

Node::~Node() { Stop().IgnoreError(); }

absl::Status Node::Start() {
  ASSIGN_OR_RETURN(server_, rpc::Server::Start(flags_.common.server,
                                               {&compute_service_, &volume_service_, &sql_service_,
                                                &redo_service_, &binlog_service_},
                                               registry_, {std::make_shared<Metrics>(this)}));
  spdlog::info("compute node listens{}",
               rpc::Fields("listen", server_->address(), "metrics", server_->metrics_address()));
  self_ = {flags_.node, server_->address()};
  for (const ComputeNodeAddress& node : flags_.compute_nodes) {
    if (node.node == flags_.node) self_ = node;
  }
  if (kind_ == RoleKind::kWriter && !flags_.takes_over && HasWriterElsewhere()) {
    kind_ = RoleKind::kReader;
  }
  RETURN_IF_ERROR(StartRole(kind_));
  thread_ = std::thread([this] { RunChanges(); });
  return absl::OkStatus();
}

// A node that comes back after another was promoted must not take the volume away from it. Only a
// courtesy: two writers at once are what epochs are for.
bool Node::HasWriterElsewhere() const {
  std::vector<std::string> others;
  for (const ComputeNodeAddress& node : flags_.compute_nodes) {
    if (node.node != flags_.node) others.push_back(node.address);
  }
  if (others.empty()) return false;
  const absl::StatusOr<std::string> writer =
      client::Client(std::move(others)).FindWriter(absl::ZeroDuration());
  // Nodes tell of each other: the one that is found may be an old address of this very node.
  if (!writer.ok() || *writer == self_.address) return false;
  spdlog::info("another node is the writer: this one reads{}", rpc::Fields("writer", *writer));
  return true;
}

absl::Status Node::Stop() {
  {
    std::lock_guard lock(mutex_);
    is_stopping_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
  if (server_ != nullptr) {
    StopRole(absl::UnavailableError("this node is shutting down: connect to another one"));
    server_->Stop();
    server_ = nullptr;
  }
  std::lock_guard lock(mutex_);
  return error_;
}

absl::Status Node::StartRole(RoleKind kind) {
  ASSIGN_OR_RETURN(std::unique_ptr<Role> role, MakeRole(kind, context_));
  spdlog::info("role begins{}", rpc::Fields("role", RoleName(kind)));
  RETURN_IF_ERROR(role->Start());
  std::unique_lock lock(role_mutex_);
  role_ = std::move(role);
  return absl::OkStatus();
}

void Node::StopRole(const absl::Status& why) {
  SetReady(false);
  // It can be asked for its status until it has stopped; the lock is for the pointer alone, which
  // only this thread changes.
  if (role_ == nullptr) return;
  role_->Stop(why);
  std::unique_ptr<Role> old;
  {
    std::unique_lock lock(role_mutex_);
    old = std::move(role_);
  }
}

void Node::RunChanges() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return is_stopping_ || change_.has_value(); });
    if (is_stopping_) return;
    const Change change = *std::exchange(change_, std::nullopt);
    lock.unlock();
    StopRole(change.why);
    const absl::Status started = StartRole(change.next);
    if (!started.ok()) Fail(started);
    lock.lock();
  }
}

void Node::SetReady(bool is_ready) { server_->SetReady(is_ready); }

void Node::ChangeRole(RoleKind next, const absl::Status& why) {
  std::lock_guard lock(mutex_);
  if (kind_ == next || is_stopping_) return;
  spdlog::info("role changes{}", rpc::Fields("from", RoleName(kind_), "to", RoleName(next), "why",
                                             std::string(why.message())));
  kind_ = next;
  change_ = Change{next, why};
  changed_.notify_all();
}

void Node::Fail(const absl::Status& error) {
  {
    std::lock_guard lock(mutex_);
    if (error_.ok()) error_ = error;
  }
  // As if somebody had asked it to stop: the main thread waits for that.
  ::kill(::getpid(), SIGTERM);
}

template <typename Result>
Result Node::WithRole(const std::function<Result(Role&)>& use, Result otherwise) const {
  std::shared_lock lock(role_mutex_);
  return role_ != nullptr ? use(*role_) : otherwise;
}

void Node::FillStatus(v1::ComputeStatus* status) const {
  status->set_node(flags_.node);
  {
    std::lock_guard lock(mutex_);
    status->set_role(RoleName(kind_));
  }
  for (const ComputeNodeAddress& node : flags_.compute_nodes) {
    v1::ComputeNodeAddress* named = status->add_compute_nodes();
    named->set_node(node.node);
    named->set_address(node.address);
  }
  std::shared_lock lock(role_mutex_);
  if (role_ == nullptr) {
    status->set_phase("changing-role");
    return;
  }
  status->set_role(RoleName(role_->kind()));
  if (const std::optional<ComputeNodeAddress> writer = role_->Writer()) {
    status->mutable_writer()->set_node(writer->node);
    status->mutable_writer()->set_address(writer->address);
  }
  role_->FillStatus(status);
}

void Node::ReplaceSegment(const v1::ReplaceSegmentRequest& request,
                          std::function<void(absl::Status)> done) {
  std::shared_lock lock(role_mutex_);
  if (role_ == nullptr) return done(BetweenRoles());
  role_->ReplaceSegment(request, std::move(done));
}

absl::Status Node::UndoReplace(const v1::UndoReplaceRequest& request) {
  return WithRole<absl::Status>([&](Role& role) { return role.UndoReplace(request); },
                                BetweenRoles());
}

absl::Status Node::Promote(const v1::PromoteRequest& request, v1::PromoteResponse* response) {
  absl::StatusOr<PromotionAnswer> answer = BetweenRoles();
  {
    std::lock_guard lock(mutex_);
    // About to lead: asked again, most likely.
    if (kind_ == RoleKind::kWriter || kind_ == RoleKind::kBinlogSource) {
      answer = PromotionAnswer{kind_};
    }
  }
  answer = WithRole<absl::StatusOr<PromotionAnswer>>(
      [&request](Role& role) { return role.Promotion(request.force()); }, answer);
  RETURN_IF_ERROR(answer.status());
  response->set_role(RoleName(answer->next));
  response->set_warning(answer->warning);
  ChangeRole(answer->next,
             absl::UnavailableError(Text("this node was promoted: it opens the volume as its ",
                                         RoleName(answer->next), ", connect again")));
  return absl::OkStatus();
}

}  // namespace sextant::server
