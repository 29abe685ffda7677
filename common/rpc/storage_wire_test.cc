// Structs survive the wire; what no honest peer sends is refused, what was damaged is DATA_LOSS.
#include "common/rpc/storage_wire.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/prng.h"
#include "common/testing/record_chain.h"
#include "common/testing/status_matchers.h"

namespace sextant::rpc {
namespace {

using ::testing::HasSubstr;
using testing::IsOk;
using testing::StatusIs;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr auto kDataLoss = absl::StatusCode::kDataLoss;
const SegmentId kSegment = {VolumeId(0x1234567890abcdef), PgId(2)};

volume::Descriptor SomeDescriptor() {
  return {.volume = kSegment.volume,
          .geometry = {
              .page_bytes = 8192, .pages_per_pg = 100, .pg_count = 3, .epoch = GeometryEpoch(5)}};
}

volume::Membership SomeMembership() {
  volume::Membership membership{.epoch = MembershipEpoch(9), .members = {}};
  for (const char* node : {"az1-a", "az1-b", "az2-a", "az2-b", "az3-a", "az3-b"}) {
    membership.members.push_back({node, std::string(node).substr(0, 3)});
  }
  return membership;
}

protocol::SegmentStatus SomeStatus() {
  return {.segment = kSegment,
          .incarnation = IncarnationId(77),
          .descriptor = SomeDescriptor(),
          .membership = SomeMembership(),
          .slot = 4,
          .epoch = VolumeEpoch(3),
          .writer = WriterId(UINT64_MAX),
          .truncations = {{VolumeEpoch(2), Lsn(10), Lsn(20)}, {VolumeEpoch(3), Lsn(30), Lsn(40)}},
          .scl = Lsn(50),
          .known_vdl = Lsn(49),
          .pg_lsn_at_vdl = Lsn(48),
          .pgmrpl = Lsn(47),
          .log_bytes = 46,
          .records_ahead = 45,
          .is_damaged = true};
}

// Serialised and parsed again, as the network does.
template <typename Proto>
Proto OverTheWire(const Proto& message) {
  Proto parsed;
  EXPECT_TRUE(parsed.ParseFromString(message.SerializeAsString()));
  return parsed;
}

template <typename Proto, typename Struct>
Proto Sent(const Struct& value) {
  Proto message;
  ToProto(value, &message);
  return OverTheWire(message);
}

void ExpectSame(const protocol::SegmentStatus& a, const protocol::SegmentStatus& b) {
  EXPECT_EQ(a.segment, b.segment);
  EXPECT_EQ(a.incarnation, b.incarnation);
  EXPECT_EQ(a.descriptor, b.descriptor);
  EXPECT_EQ(a.membership, b.membership);
  EXPECT_EQ(a.slot, b.slot);
  EXPECT_EQ(a.epoch, b.epoch);
  EXPECT_EQ(a.writer, b.writer);
  EXPECT_EQ(a.truncations, b.truncations);
  EXPECT_EQ(a.scl, b.scl);
  EXPECT_EQ(a.known_vdl, b.known_vdl);
  EXPECT_EQ(a.pg_lsn_at_vdl, b.pg_lsn_at_vdl);
  EXPECT_EQ(a.pgmrpl, b.pgmrpl);
  EXPECT_EQ(a.log_bytes, b.log_bytes);
  EXPECT_EQ(a.records_ahead, b.records_ahead);
  EXPECT_EQ(a.is_damaged, b.is_damaged);
}

TEST(StorageWire, AppendAck) {
  for (const absl::Status& status :
       {absl::OkStatus(), absl::FailedPreconditionError("fenced by epoch 7")}) {
    const protocol::AppendAck ack{kSegment, IncarnationId(~uint64_t{3}), VolumeEpoch(7), Lsn(99),
                                  status};
    const protocol::AppendAck back = FromProto(Sent<v1::AppendAck>(ack));
    EXPECT_EQ(back.segment, ack.segment);
    EXPECT_EQ(back.incarnation, ack.incarnation);
    EXPECT_EQ(back.epoch, ack.epoch);
    EXPECT_EQ(back.scl, ack.scl);
    EXPECT_EQ(back.status, ack.status);
  }
  v1::AppendAck odd;
  odd.set_code(4000);
  EXPECT_EQ(FromProto(odd).status.code(), absl::StatusCode::kUnknown);
}

TEST(StorageWire, SegmentAndNodeStatus) {
  const auto segment = FromProto(Sent<v1::SegmentStatus>(SomeStatus()));
  ASSERT_OK(segment);
  ExpectSame(*segment, SomeStatus());

  const protocol::NodeStatus node{.node = "az1-a",
                                  .zone = "az1",
                                  .segments = {SomeStatus()},
                                  .directory = DirectoryId(~uint64_t{8})};
  const auto back = FromProto(Sent<v1::NodeStatus>(node));
  ASSERT_OK(back);
  EXPECT_EQ(back->node, "az1-a");
  EXPECT_EQ(back->zone, "az1");
  EXPECT_EQ(back->directory, node.directory);
  ASSERT_EQ(back->segments.size(), 1u);
  ExpectSame(back->segments[0], SomeStatus());

  EXPECT_THAT(FromProto(Sent<v1::NodeStatus>(protocol::NodeStatus{})), IsOk());
}

TEST(StorageWire, MalformedStatusIsRefused) {
  EXPECT_THAT(FromProto(v1::SegmentStatus()), StatusIs(kInvalid));

  auto message = Sent<v1::SegmentStatus>(SomeStatus());
  message.set_slot(8);
  EXPECT_THAT(FromProto(message), StatusIs(kInvalid, HasSubstr("slot")));

  message = Sent<v1::SegmentStatus>(SomeStatus());
  message.mutable_membership()->mutable_members()->RemoveLast();
  EXPECT_THAT(FromProto(message), StatusIs(kInvalid, HasSubstr("not 5")));
  for (int i = 0; i < 4; ++i) message.mutable_membership()->add_members();
  EXPECT_THAT(FromProto(message), StatusIs(kInvalid, HasSubstr("not 9")));

  message = Sent<v1::SegmentStatus>(SomeStatus());
  message.mutable_truncations(0)->set_upper(9);
  EXPECT_THAT(FromProto(message), StatusIs(kInvalid, HasSubstr("truncation")));
  message = Sent<v1::SegmentStatus>(SomeStatus());
  message.mutable_truncations(1)->set_epoch(2);
  EXPECT_THAT(FromProto(message), StatusIs(kInvalid, HasSubstr("ascend")));
}

TEST(StorageWire, MalformedGeometryIsRefused) {
  auto refused = [](uint32_t page_bytes, uint64_t pages, uint32_t pgs) {
    volume::Descriptor descriptor = SomeDescriptor();
    descriptor.geometry.page_bytes = page_bytes;
    descriptor.geometry.pages_per_pg = pages;
    descriptor.geometry.pg_count = pgs;
    return FromProto(Sent<v1::Descriptor>(descriptor)).status();
  };
  EXPECT_THAT(refused(4096, 1, 1), IsOk());
  EXPECT_THAT(refused(65536, (10ull << 30) / 65536, 12800), IsOk());
  EXPECT_THAT(refused(1000, 1, 1), StatusIs(kInvalid));
  EXPECT_THAT(refused(0, 1, 1), StatusIs(kInvalid));
  EXPECT_THAT(refused(4096, 0, 1), StatusIs(kInvalid));
  EXPECT_THAT(refused(4096, 1, 0), StatusIs(kInvalid));
  EXPECT_THAT(refused(4096, UINT64_MAX, 1), StatusIs(kInvalid));
  EXPECT_THAT(refused(4096, 1ull << 40, UINT32_MAX), StatusIs(kInvalid));
}

TEST(StorageWire, CreateSegmentRequest) {
  const protocol::CreateSegmentRequest request{.descriptor = SomeDescriptor(),
                                               .pg = PgId(2),
                                               .membership = SomeMembership(),
                                               .slot = 5,
                                               .directory = DirectoryId(8)};
  const auto back = FromProto(Sent<v1::CreateSegmentRequest>(request));
  ASSERT_OK(back);
  EXPECT_EQ(back->descriptor, request.descriptor);
  EXPECT_EQ(back->pg, request.pg);
  EXPECT_EQ(back->membership, request.membership);
  EXPECT_EQ(back->slot, request.slot);
  EXPECT_EQ(back->directory, request.directory);

  auto message = Sent<v1::CreateSegmentRequest>(request);
  message.set_pg(3);
  EXPECT_THAT(FromProto(message), StatusIs(kInvalid, HasSubstr("beyond the volume")));
  message = Sent<v1::CreateSegmentRequest>(request);
  message.set_slot(256);  // would be 0 as a Slot
  EXPECT_THAT(FromProto(message), StatusIs(kInvalid, HasSubstr("slot")));
}

TEST(StorageWire, RaiseEpochRequest) {
  const protocol::RaiseEpochRequest request{kSegment, VolumeEpoch(8), WriterId(5),
                                            SomeStatus().truncations};
  const auto back = FromProto(Sent<v1::RaiseEpochRequest>(request));
  ASSERT_OK(back);
  EXPECT_EQ(back->segment, request.segment);
  EXPECT_EQ(back->epoch, request.epoch);
  EXPECT_EQ(back->writer, request.writer);
  EXPECT_EQ(back->truncations, request.truncations);
}

TEST(StorageWire, ReadLogRequest) {
  const protocol::ReadLogRequest request{kSegment, VolumeEpoch(8), Lsn(5), Lsn(UINT64_MAX), 1000};
  const auto back = FromProto(Sent<v1::ReadLogRequest>(request));
  ASSERT_OK(back);
  EXPECT_EQ(back->segment, request.segment);
  EXPECT_EQ(back->epoch, request.epoch);
  EXPECT_EQ(back->after, request.after);
  EXPECT_EQ(back->through, request.through);
  EXPECT_EQ(back->max_bytes, 1000u);

  auto message = Sent<v1::ReadLogRequest>(request);
  message.set_max_bytes(UINT64_MAX);
  EXPECT_EQ(FromProto(message)->max_bytes, log::kMaxBatchBytes / 2);
}

protocol::ReadLogReply SomeLog() {
  Prng prng(3);
  testing::RecordChain chain(kSegment.volume,
                             {.page_bytes = 512, .pages_per_pg = 4, .pg_count = 3});
  for (int i = 0; i < 100; ++i) chain.RandomMtr(&prng);
  return {.records = chain.RecordsOf(kSegment.pg), .scl = chain.last_lsn(), .is_last = true};
}

TEST(StorageWire, ReadLogReply) {
  for (const protocol::ReadLogReply& reply :
       {SomeLog(), protocol::ReadLogReply{.records = {}, .scl = Lsn(3), .is_last = false}}) {
    v1::ReadLogResponse message;
    ToProto(reply, kSegment, &message);
    const auto back = FromProto(OverTheWire(message), kSegment);
    ASSERT_OK(back);
    EXPECT_EQ(back->records, reply.records);
    EXPECT_EQ(back->scl, reply.scl);
    EXPECT_EQ(back->is_last, reply.is_last);
  }
}

TEST(StorageWire, ADamagedOrMisplacedLogIsDataLoss) {
  v1::ReadLogResponse message;
  ToProto(SomeLog(), kSegment, &message);
  EXPECT_THAT(FromProto(message, {kSegment.volume, PgId(1)}), StatusIs(kDataLoss));
  EXPECT_THAT(FromProto(message, {VolumeId(1), kSegment.pg}), StatusIs(kDataLoss));
  (*message.mutable_batch())[message.batch().size() / 2] ^= 1;
  EXPECT_THAT(FromProto(message, kSegment), StatusIs(kDataLoss));
  EXPECT_THAT(FromProto(v1::ReadLogResponse(), kSegment), StatusIs(kDataLoss));
}

TEST(StorageWire, ALogBeyondOneBatchIsCutAndSaysSo) {
  protocol::ReadLogReply reply{.records = {}, .scl = Lsn(100), .is_last = true};
  for (uint64_t lsn = 1; lsn <= 100; ++lsn) {
    log::RedoRecord record;
    record.header.lsn = Lsn(lsn);
    record.payload.assign(log::kMaxPayloadBytes, 'x');
    reply.records.push_back(record);
  }
  v1::ReadLogResponse message;
  ToProto(reply, kSegment, &message);
  EXPECT_LE(message.batch().size(), log::kMaxBatchBytes);
  const auto back = FromProto(message, kSegment);
  ASSERT_OK(back);
  EXPECT_FALSE(back->is_last);
  EXPECT_GT(back->records.size(), 20u);
  EXPECT_LT(back->records.size(), 100u);
}

TEST(StorageWire, ReadPagesRequest) {
  protocol::ReadPagesRequest request{
      kSegment, VolumeEpoch(8), Lsn(5), Lsn(4), {PageNo(1), PageNo(UINT64_MAX)}};
  for (const auto& pg_lsn : {std::optional<Lsn>(Lsn(0)), std::optional<Lsn>()}) {
    request.pg_lsn = pg_lsn;
    const auto back = FromProto(Sent<v1::ReadPagesRequest>(request));
    ASSERT_OK(back);
    EXPECT_EQ(back->segment, request.segment);
    EXPECT_EQ(back->epoch, request.epoch);
    EXPECT_EQ(back->read_point, request.read_point);
    EXPECT_EQ(back->pg_lsn, request.pg_lsn);
    EXPECT_EQ(back->pages, request.pages);
  }
  request.pages.resize(kMaxPagesPerRead + 1);
  EXPECT_THAT(FromProto(Sent<v1::ReadPagesRequest>(request)), StatusIs(kInvalid));
}

class PagesOnTheWire : public ::testing::Test {
 protected:
  void SetUp() override { ToProto(reply_, request_, &message_); }

  protocol::ReadPagesRequest request_{
      kSegment, VolumeEpoch(1), Lsn(9), std::nullopt, {PageNo(3), PageNo(4)}};
  protocol::ReadPagesReply reply_{
      {{Lsn(8), std::string(512, 'a')}, {Lsn(0), std::string(512, '\0')}}};
  v1::ReadPagesResponse message_;
};

TEST_F(PagesOnTheWire, ComeBackAsSent) {
  const auto back = FromProto(OverTheWire(message_), request_);
  ASSERT_OK(back);
  ASSERT_EQ(back->pages.size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(back->pages[i].lsn, reply_.pages[i].lsn);
    EXPECT_EQ(back->pages[i].bytes, reply_.pages[i].bytes);
  }
}

TEST_F(PagesOnTheWire, AChangedByteIsDataLoss) {
  (*message_.mutable_pages(1)->mutable_image())[100] ^= 0x10;
  EXPECT_THAT(FromProto(message_, request_), StatusIs(kDataLoss, HasSubstr("page 4")));
}

TEST_F(PagesOnTheWire, AnotherLsnIsDataLoss) {
  message_.mutable_pages(0)->set_lsn(7);
  EXPECT_THAT(FromProto(message_, request_), StatusIs(kDataLoss));
}

TEST_F(PagesOnTheWire, AnotherPageIsDataLoss) {
  message_.mutable_pages()->SwapElements(0, 1);
  EXPECT_THAT(FromProto(message_, request_), StatusIs(kDataLoss));
}

TEST_F(PagesOnTheWire, MissingAndExtraPagesAreDataLoss) {
  message_.mutable_pages()->RemoveLast();
  EXPECT_THAT(FromProto(message_, request_), StatusIs(kDataLoss));
  message_.add_pages();
  message_.add_pages();
  EXPECT_THAT(FromProto(message_, request_), StatusIs(kDataLoss));
}

TEST(StorageWire, AMembershipUnderChange) {
  const volume::Membership change =
      *volume::BeginChange(SomeMembership(), 5, {"az3-c", SomeMembership().members[5].zone});
  const auto back = FromProto(Sent<v1::Membership>(change));
  ASSERT_THAT(back, IsOk());
  EXPECT_EQ(*back, change);

  auto message = Sent<v1::Membership>(change);
  message.mutable_changes(0)->set_to(8);
  EXPECT_THAT(FromProto(message), StatusIs(kInvalid, HasSubstr("last")));
  message.mutable_changes(0)->set_to(4);
  EXPECT_THAT(FromProto(message), StatusIs(kInvalid, HasSubstr("cannot replace")));
}

TEST(StorageWire, ClaimCarriesGeometryAndMembership) {
  protocol::RaiseEpochRequest claim{.segment = kSegment, .epoch = VolumeEpoch(3)};
  claim.descriptor = SomeDescriptor();
  claim.membership = SomeMembership();
  const auto back = FromProto(Sent<v1::RaiseEpochRequest>(claim));
  ASSERT_THAT(back, IsOk());
  EXPECT_EQ(back->descriptor, claim.descriptor);
  EXPECT_EQ(back->membership, claim.membership);
}

TEST(StorageWire, CopiedPages) {
  const protocol::CopyPagesReply reply{
      .pages = {{PageNo(3), {Lsn(7), "three"}}, {PageNo(9), {Lsn(8), "nine"}}},
      .read_point = Lsn(9),
      .pg_lsn = Lsn(8),
      .next = PageNo(10),
      .is_last = false};
  auto message = Sent<v1::CopyPagesResponse>(reply);
  const auto back = FromProto(message);
  ASSERT_THAT(back, IsOk());
  ASSERT_EQ(back->pages.size(), 2u);
  EXPECT_EQ(back->pages[1].page, PageNo(9));
  EXPECT_EQ(back->pages[1].image.bytes, "nine");
  EXPECT_EQ(back->next, PageNo(10));
  EXPECT_FALSE(back->is_last);

  message.mutable_pages(0)->set_page(4);
  EXPECT_THAT(FromProto(message), StatusIs(absl::StatusCode::kDataLoss));
  message = Sent<v1::CopyPagesResponse>(reply);
  message.set_read_point(7);
  EXPECT_THAT(FromProto(message), StatusIs(kInvalid));
}

}  // namespace
}  // namespace sextant::rpc
