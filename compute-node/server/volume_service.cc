// See volume_service.h. The streams are in append_mtr_stream.cc and tail_stream.cc.
#include "compute-node/server/volume_service.h"

#include <memory>
#include <utility>

#include "common/rpc/status.h"
#include "compute-node/server/append_mtr_stream.h"
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

using SharedUse = std::shared_ptr<VolumeUse>;

// Lets go of the backend before the call ends, for whoever ends it may wait for that.
void Finish(grpc::ServerUnaryReactor* reactor, SharedUse* use, const absl::Status& status) {
  use->reset();
  reactor->Finish(rpc::ToGrpc(status));
}

// Finishes the call, whose response is filled, once this node is proven to be the writer; on a
// reader, at once.
void FinishWhenCurrent(grpc::ServerUnaryReactor* reactor, SharedUse use) {
  VolumeBackend& backend = **use;
  backend.volume.WhenCurrent(backend.options.commit_timeout,
                             [reactor, use = std::move(use)](const absl::Status& current) mutable {
                               Finish(reactor, &use, current);
                             });
}

template <typename Reactor>
class Refused final : public Reactor {
 public:
  explicit Refused(const absl::Status& why) { this->Finish(rpc::ToGrpc(why)); }
  void OnDone() override { delete this; }
};

}  // namespace

VolumeService::VolumeService()
    : backend_(absl::UnavailableError("this node has not opened the volume yet: retry")) {}

void VolumeService::Detach(VolumeBackend* backend, const absl::Status& why) {
  backend_.Detach(why);
  backend->calls.EndAll(why);
}

absl::StatusOr<VolumeUse> VolumeService::TakeOfWriter() {
  absl::StatusOr<VolumeUse> use = backend_.Take();
  if (use.ok() && (*use)->writer == nullptr) return (*use)->volume.CheckAppend(0, {});
  return use;
}

void VolumeService::AwaitUnused(VolumeBackend* backend, absl::Duration patience) {
  if (backend_.AwaitUnused(patience)) return;
  backend->calls.CancelAll();
  backend_.AwaitUnused();
}

grpc::ServerUnaryReactor* VolumeService::GetVolume(grpc::CallbackServerContext* context,
                                                   const v1::GetVolumeRequest*,
                                                   v1::GetVolumeResponse* response) {
  absl::StatusOr<VolumeUse> use = backend_.Take();
  if (!use.ok()) return FinishNow(context, use.status());
  compute::ServedVolume& volume = (*use)->volume;
  if (const absl::Status open = volume.CheckOpen(); !open.ok()) return FinishNow(context, open);
  const volume::Geometry geometry = volume.geometry();
  response->set_volume(volume.volume().value());
  response->set_page_bytes(geometry.page_bytes);
  response->set_page_count(geometry.PageCount());
  response->set_epoch(volume.epoch().value());
  response->set_vdl(volume.vdl().value());
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  FinishWhenCurrent(reactor, std::make_shared<VolumeUse>(*std::move(use)));
  return reactor;
}

grpc::ServerUnaryReactor* VolumeService::Append(grpc::CallbackServerContext* context,
                                                const v1::AppendMtrRequest* request,
                                                v1::AppendMtrResponse* response) {
  absl::StatusOr<VolumeUse> taken = TakeOfWriter();
  if (!taken.ok()) return FinishNow(context, taken.status());
  auto use = std::make_shared<VolumeUse>(*std::move(taken));
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const absl::Duration timeout = TimeoutOf(*request, (*use)->options.commit_timeout);
  response->set_id(request->id());
  VolumeBackend& backend = **use;
  // `request` and `response` live until the reactor has finished.
  backend.appender->Append(
      EditsOf(*request), timeout,
      [use = std::move(use), reactor, response, timeout](absl::StatusOr<Lsn> lsn) mutable {
        if (!lsn.ok()) return Finish(reactor, &use, lsn.status());
        response->set_commit_lsn(lsn->value());
        compute::ServedVolume& volume = (*use)->volume;
        volume.WhenDurable(*lsn, timeout,
                           [use = std::move(use), reactor](const absl::Status& durable) mutable {
                             Finish(reactor, &use, durable);
                           });
      });
  return reactor;
}

grpc::ServerBidiReactor<v1::AppendMtrBatch, v1::AppendMtrAnswers>* VolumeService::AppendStream(
    grpc::CallbackServerContext* context) {
  absl::StatusOr<VolumeUse> use = TakeOfWriter();
  if (use.ok()) return AppendMtrStream::Start(context, *std::move(use));
  return new Refused<grpc::ServerBidiReactor<v1::AppendMtrBatch, v1::AppendMtrAnswers>>(
      use.status());
}

grpc::ServerUnaryReactor* VolumeService::ReadPage(grpc::CallbackServerContext* context,
                                                  const v1::ReadPageRequest* request,
                                                  v1::ReadPageResponse* response) {
  absl::StatusOr<VolumeUse> taken = backend_.Take();
  if (!taken.ok()) return FinishNow(context, taken.status());
  auto use = std::make_shared<VolumeUse>(*std::move(taken));
  compute::ServedVolume& volume = (*use)->volume;
  const bool is_latest = !request->has_read_point();
  absl::StatusOr<std::unique_ptr<compute::ReadView>> opened =
      volume.OpenView(is_latest ? volume.vdl() : Lsn(request->read_point()));
  if (!opened.ok()) return FinishNow(context, opened.status());
  // What is not durable is shown to nobody outside this process.
  if ((*opened)->read_point() > volume.vdl()) {
    return FinishNow(context, absl::OutOfRangeError("the read point is not durable yet"));
  }
  std::shared_ptr<compute::ReadView> view = *std::move(opened);
  compute::ReadView& at = *view;
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  volume.ReadPageAsync(at, PageNo(request->page()),
                       [use = std::move(use), view = std::move(view), reactor, response,
                        is_latest](absl::StatusOr<compute::PageRef> page) mutable {
                         const Lsn read_point = view->read_point();
                         view.reset();  // a view goes before its volume may
                         if (!page.ok()) return Finish(reactor, &use, page.status());
                         response->set_image((*page)->bytes);
                         response->set_page_lsn((*page)->lsn.value());
                         response->set_read_point(read_point.value());
                         // A page as of an LSN never changes; which one is the latest may.
                         if (is_latest) return FinishWhenCurrent(reactor, std::move(use));
                         Finish(reactor, &use, absl::OkStatus());
                       });
  return reactor;
}

grpc::ServerWriteReactor<v1::TailResponse>* VolumeService::Tail(
    grpc::CallbackServerContext* context, const v1::TailRequest* request) {
  absl::StatusOr<VolumeUse> use = TakeOfWriter();
  if (use.ok()) return TailStream::Start(context, *std::move(use), Lsn(request->after_lsn()));
  return new Refused<grpc::ServerWriteReactor<v1::TailResponse>>(use.status());
}

}  // namespace sextant::server
