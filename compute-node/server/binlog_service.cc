// See binlog_service.h.
#include "compute-node/server/binlog_service.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <filesystem>
#include <thread>
#include <utility>

#include "absl/time/clock.h"
#include "common/base/status.h"
#include "common/base/text.h"
#include "common/rpc/logging.h"
#include "common/rpc/status.h"
#include "compute-node/binlog/engine/position_table.h"
#include "compute-node/binlog/files/file_io.h"

namespace sextant::server {
namespace {

using binlog::TxnSeq;

constexpr size_t kPieceBytes = 1 << 20;  // well below the largest message
constexpr absl::Duration kHeartbeat = absl::Milliseconds(200);
constexpr absl::Duration kSyncPatience = absl::Seconds(10);

absl::Status NotBinlog() {
  return absl::UnavailableError("this node has no binlog, or is changing its role: ask again");
}

absl::Status ClientGone() { return absl::CancelledError("the other side went away"); }

// One piece in messages of bounded size.
bool Send(grpc::ServerReaderWriter<v1::BinlogFollowResponse, v1::BinlogFollowRequest>* stream,
          const std::string& bytes, TxnSeq head) {
  for (size_t at = 0; at < bytes.size() || at == 0; at += kPieceBytes) {
    v1::BinlogFollowResponse response;
    response.set_transactions(bytes.substr(at, kPieceBytes));
    response.set_is_more(at + kPieceBytes < bytes.size());
    response.set_head(head.value());
    if (!stream->Write(response)) return false;
  }
  return true;
}

}  // namespace

void FillState(const binlog::NodeState& state, v1::BinlogStatus* status) {
  status->set_tenure(state.tenure);
  status->set_held(state.held);
  status->set_pledged(state.pledges.highest);
  status->set_is_whole(state.is_whole);
  if (const std::optional<binlog::Pledge> awaited = binlog::Awaited(state.pledges, state.tenure)) {
    status->mutable_awaited()->set_tenure(awaited->tenure);
    status->mutable_awaited()->set_candidate(awaited->candidate);
  }
}

BinlogService::BinlogService() : node_(NotBinlog()) {}

grpc::Status BinlogService::Follow(grpc::ServerContext* context, FollowStream* stream) {
  absl::StatusOr<Attachment<BinlogNode>::Use> node = node_.Take();
  if (!node.ok()) return rpc::ToGrpc(node.status());
  binlog::SourceEngine* const source = (*node)->source();
  if (source == nullptr) {
    return rpc::ToGrpc(absl::FailedPreconditionError("this node is not the source"));
  }
  v1::BinlogFollowRequest first;
  if (!stream->Read(&first) || !first.has_hello()) return rpc::ToGrpc(ClientGone());
  const absl::StatusOr<binlog::GtidSet> received = binlog::GtidSet::Parse(first.hello().received());
  if (!received.ok()) return rpc::ToGrpc(received.status());
  v1::BinlogStatus self;
  (*node)->FillStatus(&self);
  v1::BinlogFollowResponse welcome;
  welcome.mutable_welcome()->set_node(self.node());
  welcome.mutable_welcome()->set_tenure(self.tenure());
  welcome.mutable_welcome()->set_history(self.history());
  welcome.mutable_welcome()->set_acks(self.acks());
  welcome.mutable_welcome()->set_begun(source->data().state().begun.value());
  if (!stream->Write(welcome)) return rpc::ToGrpc(ClientGone());
  const binlog::ReplicaCopy replica{first.hello().node(),
                                    binlog::ReplicaId(first.hello().replica())};
  const absl::StatusOr<TxnSeq> from = source->Join(replica, *received);
  if (!from.ok()) return rpc::ToGrpc(from.status());
  absl::StatusOr<binlog::BinlogReader> reader =
      binlog::BinlogReader::At(&source->data().store(), *from);
  if (!reader.ok()) {  // purged: said before the stream can only be broken off
    source->Leave(replica);
    return rpc::ToGrpc(reader.status());
  }
  spdlog::info("a replica follows{}",
               rpc::Fields("node", first.hello().node(), "from", from->value()));
  std::thread acks([&] {
    v1::BinlogFollowRequest request;
    while (stream->Read(&request)) {
      const absl::Status acked = source->Acked(replica, TxnSeq(request.acked_through()));
      if (acked.ok()) continue;
      spdlog::warn("a replica acknowledged nonsense{}", rpc::Fields("error", acked));
      break;
    }
    context->TryCancel();  // whoever cannot acknowledge follows no more
  });
  const absl::Status over =
      Serve(*source, stream, *std::move(reader), [context] { return context->IsCancelled(); });
  context->TryCancel();
  acks.join();
  source->Leave(replica);
  spdlog::info("a replica has left{}", rpc::Fields("node", first.hello().node(), "why", over));
  return rpc::ToGrpc(over);
}

absl::Status BinlogService::Serve(binlog::SourceEngine& source, FollowStream* stream,
                                  binlog::BinlogReader reader,
                                  const std::function<bool()>& is_over) {
  while (!is_over()) {
    const TxnSeq synced = source.AwaitSynced(TxnSeq(reader.next().value() - 1), kHeartbeat);
    if (source.is_stopping()) return absl::UnavailableError("this node is no longer the source");
    ASSIGN_OR_RETURN(const binlog::BinlogReader::Piece piece, reader.Next(synced, kPieceBytes));
    if (!Send(stream, piece.bytes, synced)) break;
  }
  return ClientGone();
}

grpc::Status BinlogService::Snapshot(grpc::ServerContext*, const v1::SnapshotRequest*,
                                     grpc::ServerWriter<v1::SnapshotChunk>* stream) {
  absl::StatusOr<Attachment<BinlogNode>::Use> node = node_.Take();
  if (!node.ok()) return rpc::ToGrpc(node.status());
  if ((*node)->source() == nullptr) {
    return rpc::ToGrpc(absl::FailedPreconditionError("this node is not the source"));
  }
  return rpc::ToGrpc(SendSnapshot(**node, stream));
}

absl::Status BinlogService::SendSnapshot(BinlogNode& node,
                                         grpc::ServerWriter<v1::SnapshotChunk>* stream) {
  binlog::SourceEngine& source = *node.source();
  const std::string path =
      Text(source.data().database_path(), ".copy-", absl::ToUnixNanos(absl::Now()));
  struct Remover {
    std::string path;
    ~Remover() {
      std::error_code ignored;
      for (const char* end : {"", "-wal", "-shm"}) std::filesystem::remove(path + end, ignored);
    }
  } remover{path};
  RETURN_IF_ERROR(source.data().CopyTo(path));
  binlog::Gtid at;
  {
    ASSIGN_OR_RETURN(const binlog::DatabasePtr copy, binlog::OpenDatabase(path));
    ASSIGN_OR_RETURN(at, binlog::ReadPosition(copy.get()));
  }
  // What the copy shows must not be lost by the source.
  if (at.seq > TxnSeq(0) &&
      source.AwaitSynced(TxnSeq(at.seq.value() - 1), kSyncPatience) < at.seq) {
    return absl::UnavailableError("the binlog was not synced in time: ask again");
  }
  ASSIGN_OR_RETURN(const uint64_t total, binlog::FileSize(path));
  v1::SnapshotChunk chunk;
  chunk.set_history(source.status().history.Through(at.seq).ToString());
  chunk.set_total_bytes(total);
  chunk.set_tenure(source.status().tenure);
  for (uint64_t offset = 0; offset < total; offset += kPieceBytes) {
    ASSIGN_OR_RETURN(*chunk.mutable_data(), binlog::ReadFile(path, offset, kPieceBytes));
    if (!stream->Write(chunk)) return ClientGone();
    chunk.Clear();
  }
  return absl::OkStatus();
}

grpc::Status BinlogService::GetStatus(grpc::ServerContext*, const v1::BinlogStatusRequest*,
                                      v1::BinlogStatus* response) {
  absl::StatusOr<Attachment<BinlogNode>::Use> node = node_.Take();
  if (!node.ok()) return rpc::ToGrpc(node.status());
  (*node)->FillStatus(response);
  const std::shared_ptr<binlog::LocalData> data = (*node)->data();
  if (data == nullptr) return grpc::Status::OK;
  const std::vector<binlog::BinlogFile> files = data->store().files();
  for (size_t i = 0; i < files.size(); ++i) {
    v1::BinlogFileInfo* info = response->add_files();
    info->set_number(files[i].number);
    info->set_bytes(files[i].bytes);
    info->set_is_closed(files[i].is_closed);
    info->set_first_seq(files[i].before.last().value() + 1);
    info->set_last_seq(i + 1 < files.size() ? files[i + 1].before.last().value()
                                            : data->store().history().last().value());
  }
  return grpc::Status::OK;
}

grpc::Status BinlogService::Pledge(grpc::ServerContext*, const v1::BinlogPledgeRequest* request,
                                   v1::BinlogStatus* response) {
  absl::StatusOr<Attachment<BinlogNode>::Use> node = node_.Take();
  if (!node.ok()) return rpc::ToGrpc(node.status());
  const absl::Status pledged = (*node)->Pledge({request->tenure(), request->candidate()});
  if (!pledged.ok()) return rpc::ToGrpc(pledged);
  (*node)->FillStatus(response);  // not before: what it holds now is all that it acknowledged
  return grpc::Status::OK;
}

grpc::Status BinlogService::Read(grpc::ServerContext*, const v1::ReadBinlogRequest* request,
                                 grpc::ServerWriter<v1::BinlogChunk>* stream) {
  absl::StatusOr<Attachment<BinlogNode>::Use> node = node_.Take();
  if (!node.ok()) return rpc::ToGrpc(node.status());
  const std::shared_ptr<binlog::LocalData> data = (*node)->data();
  if (data == nullptr) return rpc::ToGrpc(NotBinlog());
  const TxnSeq oldest = data->store().files().front().before.last().Next();
  const TxnSeq from = request->from() == 0 ? oldest : TxnSeq(request->from());
  TxnSeq through = (*node)->synced();
  if (request->through() > 0) through = std::min(through, TxnSeq(request->through()));
  if (from > through) return grpc::Status::OK;
  absl::StatusOr<binlog::BinlogReader> reader = binlog::BinlogReader::At(&data->store(), from);
  if (!reader.ok()) return rpc::ToGrpc(reader.status());
  for (;;) {
    const absl::StatusOr<binlog::BinlogReader::Piece> piece = reader->Next(through, kPieceBytes);
    if (!piece.ok()) return rpc::ToGrpc(piece.status());
    if (piece->bytes.empty()) return grpc::Status::OK;
    for (size_t at = 0; at < piece->bytes.size(); at += kPieceBytes) {
      v1::BinlogChunk chunk;
      chunk.set_data(piece->bytes.substr(at, kPieceBytes));
      if (!stream->Write(chunk)) return rpc::ToGrpc(ClientGone());
    }
  }
}

grpc::Status BinlogService::Purge(grpc::ServerContext*, const v1::PurgeBinlogRequest* request,
                                  v1::PurgeBinlogResponse* response) {
  absl::StatusOr<Attachment<BinlogNode>::Use> node = node_.Take();
  if (!node.ok()) return rpc::ToGrpc(node.status());
  const std::shared_ptr<binlog::LocalData> data = (*node)->data();
  if (data == nullptr) return rpc::ToGrpc(NotBinlog());
  // What is not in the synced data yet is still needed after a crash; nor are followers cut off.
  TxnSeq through(request->through());
  if (binlog::SourceEngine* source = (*node)->source(); source != nullptr) {
    if (absl::Status status = source->Checkpoint(); !status.ok()) return rpc::ToGrpc(status);
    through = std::min(through, source->PurgeableThrough());
  } else {
    through = std::min(through, data->checkpointed());
  }
  const absl::StatusOr<size_t> purged = data->store().Purge(through);
  if (!purged.ok()) return rpc::ToGrpc(purged.status());
  response->set_files(static_cast<uint32_t>(*purged));
  return grpc::Status::OK;
}

}  // namespace sextant::server
