// Peers as --peer names them, over gRPC.
#include "storage-node/server/gossip_peers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/rpc/server.h"
#include "common/testing/record_chain.h"
#include "common/testing/status_matchers.h"
#include "storage-node/server/node_testing.h"
#include "storage-node/server/storage_service.h"
#include "storage-node/store/memory_store.h"

namespace sextant::storage {
namespace {

using ::sextant::testing::RecordChain;
using ::sextant::testing::StatusIs;
using namespace sextant::storage::testing;

constexpr VolumeId kVolume{7};
constexpr volume::Geometry kGeometry{.page_bytes = 512, .pages_per_pg = 16, .pg_count = 1};
constexpr PgId kPg{0};
constexpr SegmentId kSegment{kVolume, kPg};

TEST(GrpcPeersTest, ReadsThePeersLog) {
  auto node = StorageNode::Open({.node = "az1-a", .zone = "az1"}, std::make_unique<MemoryStore>(),
                                [](const absl::Status& error) { FAIL() << error; });
  ASSERT_OK(node);
  ASSERT_OK((*node)->CreateSegment(CreateRequest(kVolume, kGeometry, kPg)));
  ASSERT_OK(Raise(node->get(), kSegment, 1));
  RecordChain chain(kVolume, kGeometry);
  for (int i = 0; i < 5; ++i) chain.Write(PageNo(i), 0, "x");
  Acks acks;
  auto stream = (*node)->OpenStream(acks.Sink());
  stream->Append(chain.Batch(kPg, Lsn(0)).bytes);
  ASSERT_TRUE(acks.AwaitScl(kPg, Lsn(5)));
  stream.reset();

  const auto service = StorageService::Make(node->get());
  auto server = rpc::Server::Start({}, {service->service()}, nullptr);
  ASSERT_OK(server);
  const auto peers = GrpcPeers({"az1-a=" + (*server)->address()});
  ASSERT_OK(peers);
  protocol::ReadLogRequest request{
      .segment = kSegment, .epoch = VolumeEpoch(1), .after = Lsn(2), .through = Lsn(4)};
  const auto reply = peers->at("az1-a")->ReadLog(request);
  ASSERT_OK(reply);
  EXPECT_EQ(reply->scl, Lsn(5));
  ASSERT_THAT(reply->records, ::testing::SizeIs(2));
  EXPECT_EQ(reply->records[0].header.lsn, Lsn(3));
  request.epoch = VolumeEpoch(2);
  EXPECT_THAT(peers->at("az1-a")->ReadLog(request), StatusIs(absl::StatusCode::kUnavailable));
}

TEST(GrpcPeersTest, RefuseWhatIsNoAddress) {
  EXPECT_OK(GrpcPeers({"a=h:1", "b=[::1]:2"}));
  for (const std::string bad : {"a", "a=", "=h:1", "a=h", "a=:1", "a=h:"}) {
    EXPECT_THAT(GrpcPeers({bad}), StatusIs(absl::StatusCode::kInvalidArgument)) << bad;
  }
  EXPECT_THAT(GrpcPeers({"a=h:1", "a=h:2"}), StatusIs(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace sextant::storage
