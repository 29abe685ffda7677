// See volume_service.h. The streams are in append_mtr_stream.cc and tail_stream.cc.
#include "compute-node/server/volume_service.h"

#include <utility>

#include "common/rpc/status.h"
#include "compute-node/server/tail_stream.h"
#include "compute-node/server/volume_wire.h"

namespace sextant::server {
namespace {

grpc::ServerUnaryReactor* FinishNow(grpc::CallbackServerContext* context,
                                    const absl::Status& status) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(rpc::ToGrpc(status));
  return reactor;
}

}  // namespace

VolumeService::VolumeService(compute::WriterVolume* volume, compute::WriteTicketQueue* tickets,
                             VolumeServiceOptions options)
    : volume_(*volume), appender_(volume, tickets), options_(options) {}

VolumeService::~VolumeService() = default;

grpc::ServerUnaryReactor* VolumeService::GetVolume(grpc::CallbackServerContext* context,
                                                   const v1::GetVolumeRequest*,
                                                   v1::GetVolumeResponse* response) {
  if (const absl::Status open = volume_.CheckOpen(); !open.ok()) return FinishNow(context, open);
  const volume::Geometry geometry = volume_.geometry();
  response->set_volume(volume_.volume().value());
  response->set_page_bytes(geometry.page_bytes);
  response->set_page_count(geometry.PageCount());
  response->set_epoch(volume_.epoch().value());
  response->set_vdl(volume_.vdl().value());
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  FinishWhenCurrent(reactor);
  return reactor;
}

grpc::ServerUnaryReactor* VolumeService::Append(grpc::CallbackServerContext* context,
                                                const v1::AppendMtrRequest* request,
                                                v1::AppendMtrResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const absl::Duration timeout = TimeoutOf(*request, options_.commit_timeout);
  response->set_id(request->id());
  // `request` and `response` live until the reactor has finished.
  appender_.Append(EditsOf(*request), timeout,
                   [this, reactor, response, timeout](absl::StatusOr<Lsn> lsn) {
                     if (!lsn.ok()) return reactor->Finish(rpc::ToGrpc(lsn.status()));
                     response->set_commit_lsn(lsn->value());
                     volume_.WhenDurable(*lsn, timeout, [reactor](const absl::Status& durable) {
                       reactor->Finish(rpc::ToGrpc(durable));
                     });
                   });
  return reactor;
}

grpc::ServerBidiReactor<v1::AppendMtrRequest, v1::AppendMtrResponse>* VolumeService::AppendStream(
    grpc::CallbackServerContext*) {
  return AppendMtrStream::Start(&volume_, &appender_, &streams_,
                                {options_.commit_timeout, options_.max_appends_per_stream});
}

void VolumeService::FinishWhenCurrent(grpc::ServerUnaryReactor* reactor) {
  volume_.WhenCurrent(options_.commit_timeout, [reactor](const absl::Status& current) {
    reactor->Finish(rpc::ToGrpc(current));
  });
}

grpc::ServerUnaryReactor* VolumeService::ReadPage(grpc::CallbackServerContext* context,
                                                  const v1::ReadPageRequest* request,
                                                  v1::ReadPageResponse* response) {
  const bool is_latest = !request->has_read_point();
  absl::StatusOr<std::unique_ptr<compute::ReadView>> opened =
      volume_.OpenView(is_latest ? volume_.vdl() : Lsn(request->read_point()));
  if (!opened.ok()) return FinishNow(context, opened.status());
  // What is not durable is shown to nobody outside this process.
  if ((*opened)->read_point() > volume_.vdl()) {
    return FinishNow(context, absl::OutOfRangeError("the read point is not durable yet"));
  }
  const std::shared_ptr<compute::ReadView> view = *std::move(opened);
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  volume_.ReadPageAsync(
      *view, PageNo(request->page()),
      [this, reactor, response, view, is_latest](absl::StatusOr<compute::PageRef> page) {
        if (!page.ok()) return reactor->Finish(rpc::ToGrpc(page.status()));
        response->set_image((*page)->bytes);
        response->set_page_lsn((*page)->lsn.value());
        response->set_read_point(view->read_point().value());
        // A page as of an LSN never changes; which one is the latest may.
        if (is_latest) return FinishWhenCurrent(reactor);
        reactor->Finish(grpc::Status::OK);
      });
  return reactor;
}

grpc::ServerWriteReactor<v1::TailResponse>* VolumeService::Tail(grpc::CallbackServerContext*,
                                                                const v1::TailRequest* request) {
  return TailStream::Start(&volume_, Lsn(request->after_lsn()), &is_stopping_, &tails_,
                           options_.max_tails);
}

}  // namespace sextant::server
