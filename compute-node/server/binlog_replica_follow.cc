// BinlogReplicaRole's thread: finding the source, following it, rewinding and seeding.
#include <fcntl.h>
#include <grpcpp/grpcpp.h>
#include <spdlog/spdlog.h>

#include <filesystem>
#include <utility>

#include "common/base/status.h"
#include "common/base/text.h"
#include "common/rpc/clock.h"
#include "common/rpc/logging.h"
#include "common/rpc/status.h"
#include "compute-node/binlog/files/file_io.h"
#include "compute-node/binlog/replication/failover.h"
#include "compute-node/server/binlog_replica_role.h"

namespace sextant::server {
namespace {

using binlog::GtidSet;
using binlog::TxnSeq;

constexpr absl::Duration kRetry = absl::Milliseconds(200);
constexpr absl::Duration kWatchInterval = absl::Milliseconds(500);
// A new copy that lacks more than so many transactions is seeded, not replayed from the first one.
constexpr uint64_t kReplayAtMost = 1000;

}  // namespace

bool BinlogReplicaRole::PauseFor(absl::Duration how_long) {
  std::unique_lock lock(mutex_);
  stopping_.wait_for(lock, absl::ToChronoMilliseconds(how_long), [this] { return is_stopping_; });
  return !is_stopping_;
}

void BinlogReplicaRole::RunFollow() {
  std::string last_words;
  while (PauseFor(absl::ZeroDuration())) {
    const std::shared_ptr<Copy> now = copy();
    const binlog::NodeState state = now == nullptr ? binlog::NodeState() : now->data->state();
    const std::vector<BinlogPeer> others = peers_.Ask();
    if (const absl::Status released = Release(state.pledges, others); !released.ok()) {
      context_.host.Fail(released);
    }
    const BinlogPeer* source = BinlogPeers::FindSource(others, state.tenure);
    absl::Status why = absl::UnavailableError("no source answers");
    if (now == nullptr && source != nullptr) {
      why = Seed(*source);  // an earlier attempt failed half-way
    } else if (source != nullptr) {
      why = Follow(*source);
      now->engine->Disconnected();  // if it was not replaced meanwhile
    }
    if (why.ToString() != last_words) {
      last_words = why.ToString();
      spdlog::warn("not following a source{}", rpc::Fields("why", why));
    }
    if (!PauseFor(kRetry)) return;
  }
}

void BinlogReplicaRole::Watch() {
  while (PauseFor(kWatchInterval)) {
    const std::vector<BinlogPeer> others = peers_.Ask();
    std::lock_guard lock(mutex_);
    if (call_ == nullptr || followed_tenure_ == 0) continue;
    if (BinlogPeers::FindSource(others, followed_tenure_ + 1) != nullptr) call_->TryCancel();
  }
}

BinlogReplicaRole::Plan BinlogReplicaRole::Judge(const v1::BinlogWelcome& welcome) const {
  const std::shared_ptr<Copy> now = copy();
  const uint64_t tenure = now->data->state().tenure;
  const GtidSet mine = now->engine->received();
  Plan plan;
  absl::StatusOr<GtidSet> history = GtidSet::Parse(welcome.history());
  plan.status = history.status();
  if (!plan.status.ok()) return plan;
  plan.source = *std::move(history);
  plan.must_seed = mine.is_empty() && plan.source.last().value() > kReplayAtMost;
  plan.must_rewind = binlog::PlanRewind(mine, plan.source).is_needed();
  if (welcome.tenure() < tenure) {
    plan.status = absl::FailedPreconditionError(Text(welcome.node(), " is a source of tenure ",
                                                     welcome.tenure(), ", and there is ", tenure));
  } else if (const absl::Status pledged = CheckMayFollow(*now, welcome); !pledged.ok()) {
    plan.status = pledged;
  } else if (welcome.tenure() == tenure && plan.must_rewind) {
    // Nobody was promoted between: it is no new source that lacks something, but one that has lost
    // it. This copy may be the only one left.
    plan.status = absl::FailedPreconditionError(
        Text("the source ", welcome.node(), " has lost transactions that this node holds (",
             mine.Minus(plan.source).ToString(), "): nothing is rewound; promote this node"));
  }
  return plan;
}

absl::Status BinlogReplicaRole::Follow(const BinlogPeer& source) {
  grpc::ClientContext context;
  v1::BinlogFollowRequest hello;
  {
    const std::shared_ptr<Copy> now = copy();
    hello.mutable_hello()->set_node(context_.flags.node);
    hello.mutable_hello()->set_replica(now->data->state().id.value());
    hello.mutable_hello()->set_received(now->engine->received().ToString());
    hello.mutable_hello()->set_tenure(now->data->state().tenure);
    std::lock_guard lock(mutex_);
    if (is_stopping_) return absl::CancelledError("stopping");
    call_ = &context;
  }
  const std::unique_ptr<Stream> stream = source.stub->Follow(&context);
  v1::BinlogFollowResponse first;
  Plan plan;
  if (stream->Write(hello) && stream->Read(&first)) {
    plan = Judge(first.welcome());
    if (plan.is_to_follow()) {
      std::lock_guard lock(mutex_);
      source_ = source.address;
      followed_tenure_ = first.welcome().tenure();
    }
    if (plan.is_to_follow()) plan.status = Receive(stream.get(), first.welcome(), plan.source);
    // Otherwise the source has ended it, and says why.
    if (!plan.is_to_follow()) context.TryCancel();
  }
  v1::BinlogFollowResponse rest;
  while (stream->Read(&rest)) {
  }
  const absl::Status ended = rpc::FromGrpc(stream->Finish(), Text("source ", source.address.node));
  {
    std::lock_guard lock(mutex_);
    call_ = nullptr;
    source_.reset();
    followed_tenure_ = 0;
  }
  RETURN_IF_ERROR(plan.status);
  if (plan.must_rewind) {
    absl::Status status = Rewind(plan.source);
    const bool is_impossible = absl::IsFailedPrecondition(status) || absl::IsOutOfRange(status);
    if (!is_impossible) return status;
    spdlog::warn("what this copy has too much of cannot be undone: it is seeded{}",
                 rpc::Fields("why", status));
  }
  if (plan.must_seed || plan.must_rewind || absl::IsOutOfRange(ended)) return Seed(source);
  return ended;
}

absl::Status BinlogReplicaRole::CheckMayFollow(const Copy& copy, const v1::BinlogWelcome& welcome) {
  const binlog::Pledges pledges = copy.data->state().pledges;
  if (binlog::MayFollow(pledges, welcome.tenure(), welcome.node())) return absl::OkStatus();
  return absl::FailedPreconditionError(
      Text("this node takes part in the promotion of ", pledges.binding.rbegin()->second,
           " to tenure ", pledges.binding.rbegin()->first, ", and ", welcome.node(),
           " is the source of tenure ", welcome.tenure()));
}

// Before anything is acknowledged: what a tenure begins with counts once it is held. Whoever holds
// all that was synced when it joined holds what an earlier copy of this node acknowledged.
absl::Status BinlogReplicaRole::SaveFollowed(const Copy& copy, const v1::BinlogWelcome& welcome,
                                             const GtidSet& source, TxnSeq holds) {
  const binlog::NodeState old = copy.data->state();
  const bool holds_beginning = holds.value() >= welcome.begun();
  const bool holds_all = holds >= source.last();
  const bool is_known = old.tenure == welcome.tenure() && old.source == binlog::SourceId(0) &&
                        (old.held == welcome.tenure() || !holds_beginning) &&
                        (old.is_whole || !holds_all);
  if (is_known) return absl::OkStatus();
  RETURN_IF_ERROR(copy.data->UpdateState([&](binlog::NodeState* state) {
    state->tenure = welcome.tenure();
    state->source = binlog::SourceId(0);  // whatever it was, it follows now
    if (holds_beginning) state->held = welcome.tenure();
    if (holds_all) state->is_whole = true;
    binlog::Followed(welcome.tenure(), &state->pledges);
  }));
  if (holds_all) context_.host.SetReady(true);
  return absl::OkStatus();
}

absl::Status BinlogReplicaRole::Receive(Stream* stream, const v1::BinlogWelcome& welcome,
                                        const GtidSet& source) {
  const std::shared_ptr<Copy> now = copy();
  {
    std::lock_guard lock(mutex_);  // Pledge() comes before all of this, or after it
    RETURN_IF_ERROR(CheckMayFollow(*now, welcome));
    RETURN_IF_ERROR(SaveFollowed(*now, welcome, source, now->engine->received().last()));
    now->engine->Connected();
  }
  spdlog::info("following the source{}", rpc::Fields("tenure", welcome.tenure(), "from",
                                                     now->engine->received().last().value()));
  const auto acknowledge = [stream](TxnSeq through) {
    v1::BinlogFollowRequest ack;
    ack.set_acked_through(through.value());
    return stream->Write(ack);
  };
  if (const auto held = now->engine->TakeAck()) acknowledge(*held);
  v1::BinlogFollowResponse response;
  std::string bytes;
  while (stream->Read(&response)) {
    now->engine->SourceAt(TxnSeq(response.head()));
    bytes += response.transactions();
    if (response.is_more()) continue;
    const absl::StatusOr<std::optional<TxnSeq>> received = now->engine->Receive(bytes);
    // The relay log cannot be written: it must be opened anew, by another process.
    if (absl::IsUnavailable(received.status())) context_.host.Fail(received.status());
    RETURN_IF_ERROR(received.status());
    bytes.clear();
    if (!received->has_value()) continue;
    RETURN_IF_ERROR(SaveFollowed(*now, welcome, source, **received));
    if (!acknowledge(**received)) break;
  }
  return absl::OkStatus();
}

absl::Status BinlogReplicaRole::Rewind(const GtidSet& source) {
  const GtidSet mine = copy()->engine->received();
  const binlog::RewindPlan plan = binlog::PlanRewind(mine, source);
  spdlog::warn("rewinding transactions that the source does not have{}",
               rpc::Fields("keep", plan.keep_through.value(), "undo_through",
                           plan.undo_through.value(), "gtids", mine.Minus(source).ToString()));
  RETURN_IF_ERROR(
      CloseCopy(absl::UnavailableError("this copy is being rewound: ask another node")));
  absl::Status status;
  {
    const auto data = binlog::LocalData::Open(context_.flags.binlog.data_dir, binlog::ReplicaId(),
                                              {.max_file_bytes = context_.flags.binlog.file_bytes});
    status = data.ok() ? (*data)->Rewind(plan.keep_through) : data.status();
  }
  // Whether or not it could be rewound: what cannot follow is at least there to be read.
  RETURN_IF_ERROR(OpenCopy());
  return status.ok() ? absl::UnavailableError("rewound: connecting again") : status;
}

absl::Status BinlogReplicaRole::Seed(const BinlogPeer& source) {
  const std::string& folder = context_.flags.binlog.data_dir;
  const std::string path = folder + "/seed.part";
  v1::SnapshotChunk first;
  RETURN_IF_ERROR(Download(source, path, &first));
  ASSIGN_OR_RETURN(const GtidSet history, GtidSet::Parse(first.history()));
  // Another id than before: what the old copy acknowledged is no word of this one, which holds
  // nothing until it is there, and says what when it follows.
  const binlog::NodeState state{.id = binlog::ReplicaId(DrawId()), .tenure = first.tenure()};
  RETURN_IF_ERROR(CloseCopy(absl::UnavailableError("this copy is being seeded: ask another node")));
  context_.host.SetReady(state.is_whole);
  RETURN_IF_ERROR(binlog::LocalData::Seed(folder, path, history, state));
  RETURN_IF_ERROR(OpenCopy());
  spdlog::info("seeded{}",
               rpc::Fields("bytes", first.total_bytes(), "through", history.last().value()));
  return absl::UnavailableError("seeded: connecting again");
}

absl::Status BinlogReplicaRole::Download(const BinlogPeer& source, const std::string& path,
                                         v1::SnapshotChunk* first) {
  ASSIGN_OR_RETURN(const std::shared_ptr<int> fd,
                   binlog::OpenFile(path, O_RDWR | O_CREAT | O_TRUNC));
  grpc::ClientContext context;
  {
    std::lock_guard lock(mutex_);
    if (is_stopping_) return absl::CancelledError("stopping");
    call_ = &context;
  }
  absl::Status status;
  uint64_t done = 0;
  {
    const auto stream = source.stub->Snapshot(&context, v1::SnapshotRequest());
    v1::SnapshotChunk chunk;
    while (status.ok() && stream->Read(&chunk)) {
      if (done == 0) {
        *first = chunk;
        first->clear_data();
      }
      status = binlog::WriteAll(*fd, chunk.data(), path);
      done += chunk.data().size();
      std::lock_guard lock(mutex_);
      seeding_ = Text(done >> 20, " of ", first->total_bytes() >> 20, " MiB");
    }
    if (status.ok()) status = binlog::SyncFile(*fd, path);
    if (!status.ok()) context.TryCancel();
    const absl::Status ended = rpc::FromGrpc(stream->Finish(), source.address.node);
    if (status.ok()) status = ended;
  }
  std::lock_guard lock(mutex_);
  call_ = nullptr;
  seeding_.clear();
  if (status.ok() && done != first->total_bytes()) {
    status = absl::UnavailableError("the snapshot came cut short");
  }
  return status;
}

}  // namespace sextant::server
