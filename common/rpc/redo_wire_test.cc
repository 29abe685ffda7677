// Messages of the redo stream survive the wire.
#include "common/rpc/redo_wire.h"

#include <gtest/gtest.h>

namespace sextant::rpc {
namespace {

volume::Membership SixMembers() {
  volume::Membership membership;
  for (const char* zone : {"az1", "az2", "az3"}) {
    for (const char* name : {"-a", "-b"}) {
      membership.members.push_back({std::string(zone) + name, zone});
    }
  }
  return membership;
}

TEST(RedoWire, RequestsSurvive) {
  v1::FollowHello wire;
  ToProto(protocol::FollowHello{"reader-1", VolumeId(1), VolumeEpoch(2), Lsn(3), Lsn(4)}, &wire);
  const auto hello = FromProto(wire);
  ASSERT_TRUE(hello.ok());
  EXPECT_EQ(hello->node, "reader-1");
  EXPECT_EQ(hello->volume, VolumeId(1));
  EXPECT_EQ(hello->epoch, VolumeEpoch(2));
  EXPECT_EQ(hello->after, Lsn(3));
  EXPECT_EQ(hello->lowest_read_point, Lsn(4));
  EXPECT_EQ(FromProto(v1::FollowHello()).status().code(), absl::StatusCode::kInvalidArgument);
  v1::FollowProgress progress;
  ToProto(protocol::FollowProgress{Lsn(7), Lsn(8)}, &progress);
  EXPECT_EQ(FromProto(progress).lowest_read_point, Lsn(7));
  EXPECT_EQ(FromProto(progress).published, Lsn(8));
}

TEST(RedoWire, MessagesSurvive) {
  protocol::FollowMessage message;
  message.start = protocol::FollowStart{
      VolumeEpoch(5), true, Lsn(10), {Lsn(9), Lsn(10)}, {{Lsn(8), 60}, {Lsn(10), 77}}};
  message.shape =
      protocol::VolumeShape{{VolumeId(6), {.pg_count = 2}}, {SixMembers(), SixMembers()}};
  message.mtrs = "opaque";
  message.durable = protocol::FollowDurable{Lsn(10), Lsn(8), {{Lsn(9), 70}, {Lsn(10), 77}}};
  v1::FollowResponse wire;
  ToProto(message, &wire);
  const auto back = FromProto(wire);
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->start->epoch, VolumeEpoch(5));
  EXPECT_TRUE(back->start->is_jump);
  EXPECT_EQ(back->start->after, Lsn(10));
  EXPECT_EQ(back->start->history, message.start->history);
  EXPECT_EQ(back->start->tails, message.start->tails);
  EXPECT_EQ(*back->shape, *message.shape);
  EXPECT_EQ(back->mtrs, "opaque");
  EXPECT_EQ(back->durable->vdl, Lsn(10));
  EXPECT_EQ(back->durable->floor, Lsn(8));
  EXPECT_EQ(back->durable->steps, message.durable->steps);
}

TEST(RedoWire, WhatIsNotThereStaysAway) {
  v1::FollowResponse wire;
  ToProto(protocol::FollowMessage{.mtrs = "x"}, &wire);
  const auto back = FromProto(wire);
  ASSERT_TRUE(back.ok());
  EXPECT_FALSE(back->start || back->shape || back->durable);
  wire.mutable_shape()->add_memberships();
  EXPECT_FALSE(FromProto(wire).ok());
}

}  // namespace
}  // namespace sextant::rpc
