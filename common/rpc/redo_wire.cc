// See redo_wire.h.
#include "common/rpc/redo_wire.h"

#include <utility>

#include "common/base/status.h"
#include "common/rpc/storage_wire.h"

namespace sextant::rpc {

using protocol::DurableStep;
using protocol::FollowDurable;
using protocol::FollowHello;
using protocol::FollowMessage;
using protocol::FollowProgress;
using protocol::FollowStart;
using protocol::VolumeShape;

namespace {

void ToProto(const DurableStep& step, v1::DurableStep* out) {
  out->set_vdl(step.vdl.value());
  out->set_time_us(step.time_us);
}
DurableStep FromProto(const v1::DurableStep& in) { return {Lsn(in.vdl()), in.time_us()}; }

}  // namespace

void ToProto(const FollowHello& hello, v1::FollowHello* out) {
  out->set_node(hello.node);
  out->set_volume(hello.volume.value());
  out->set_epoch(hello.epoch.value());
  out->set_after(hello.after.value());
  out->set_lowest_read_point(hello.lowest_read_point.value());
}

absl::StatusOr<FollowHello> FromProto(const v1::FollowHello& in) {
  if (in.node().empty()) return absl::InvalidArgumentError("a reader must say its name");
  return FollowHello{.node = in.node(),
                     .volume = VolumeId(in.volume()),
                     .epoch = VolumeEpoch(in.epoch()),
                     .after = Lsn(in.after()),
                     .lowest_read_point = Lsn(in.lowest_read_point())};
}

void ToProto(const FollowProgress& progress, v1::FollowProgress* out) {
  out->set_lowest_read_point(progress.lowest_read_point.value());
  out->set_published(progress.published.value());
}

FollowProgress FromProto(const v1::FollowProgress& in) {
  return {.lowest_read_point = Lsn(in.lowest_read_point()), .published = Lsn(in.published())};
}

void ToProto(FollowMessage message, v1::FollowResponse* out) {
  if (message.start) {
    v1::FollowStart* start = out->mutable_start();
    start->set_epoch(message.start->epoch.value());
    start->set_is_jump(message.start->is_jump);
    start->set_after(message.start->after.value());
    for (const Lsn tail : message.start->tails) start->add_tails(tail.value());
    for (const DurableStep& step : message.start->history) ToProto(step, start->add_history());
  }
  if (message.shape) {
    ToProto(message.shape->descriptor, out->mutable_shape()->mutable_descriptor_());
    for (const volume::Membership& membership : message.shape->memberships) {
      ToProto(membership, out->mutable_shape()->add_memberships());
    }
  }
  out->set_mtrs(std::move(message.mtrs));
  if (message.durable) {
    v1::FollowDurable* durable = out->mutable_durable();
    durable->set_vdl(message.durable->vdl.value());
    durable->set_floor(message.durable->floor.value());
    for (const DurableStep& step : message.durable->steps) ToProto(step, durable->add_steps());
  }
}

absl::StatusOr<FollowMessage> FromProto(v1::FollowResponse in) {
  FollowMessage message;
  if (in.has_start()) {
    message.start = FollowStart{.epoch = VolumeEpoch(in.start().epoch()),
                                .is_jump = in.start().is_jump(),
                                .after = Lsn(in.start().after())};
    for (const uint64_t tail : in.start().tails()) message.start->tails.push_back(Lsn(tail));
    for (const v1::DurableStep& step : in.start().history()) {
      message.start->history.push_back(FromProto(step));
    }
  }
  if (in.has_shape()) {
    VolumeShape& shape = message.shape.emplace();
    ASSIGN_OR_RETURN(shape.descriptor, FromProto(in.shape().descriptor_()));
    for (const v1::Membership& membership : in.shape().memberships()) {
      ASSIGN_OR_RETURN(volume::Membership members, FromProto(membership));
      shape.memberships.push_back(std::move(members));
    }
  }
  message.mtrs = std::move(*in.mutable_mtrs());
  if (in.has_durable()) {
    FollowDurable& durable = message.durable.emplace();
    durable.vdl = Lsn(in.durable().vdl());
    durable.floor = Lsn(in.durable().floor());
    for (const v1::DurableStep& step : in.durable().steps()) {
      durable.steps.push_back(FromProto(step));
    }
  }
  return message;
}

}  // namespace sextant::rpc
