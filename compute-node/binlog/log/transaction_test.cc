// Events and transactions: there and back, the bytes of docs/FORMATS.md, and every kind of damage.
#include "compute-node/binlog/log/transaction.h"

#include <gtest/gtest.h>

#include <limits>

#include "common/testing/status_matchers.h"
#include "compute-node/binlog/log/describe.h"

namespace sextant::binlog {
namespace {

using ::sextant::testing::StatusIs;

constexpr SourceId kSource{0x0123456789abcdef};

std::string Hex(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const unsigned char byte : bytes) {
    if (!text.empty()) text.push_back(' ');
    text.push_back(kDigits[byte >> 4]);
    text.push_back(kDigits[byte & 15]);
  }
  return text;
}

const Image kEveryKind = {NullValue{},
                          std::numeric_limits<int64_t>::min(),
                          std::numeric_limits<int64_t>::max(),
                          -0.0,
                          std::numeric_limits<double>::infinity(),
                          TextValue{std::string_view("a\0\xff", 3)},
                          TextValue{""},
                          BlobValue{std::string_view("\0", 1)},
                          BlobValue{""}};

std::vector<Event> EveryEvent() {
  GtidSet before;
  before.Add(kSource, {TxnSeq(1), TxnSeq(9)});
  before.Add(SourceId(7), {TxnSeq(10), TxnSeq(11)});
  before.Add(SourceId(7), {TxnSeq(20), TxnSeq(20)});
  return {
      FormatEvent{.file_number = 3, .created_micros = 1'700'000'000'000'000, .before = before},
      GtidEvent{.gtid = {kSource, TxnSeq(12)}, .commit_micros = 5, .body_bytes = 77},
      TableEvent{.index = 0, .has_rowid = true, .columns = 9, .name = "t"},
      RowEvent{.op = RowOp::kInsert, .rowid_after = -1, .after = kEveryKind},
      RowEvent{.op = RowOp::kUpdate, .has_rowid = false, .before = kEveryKind, .after = kEveryKind},
      RowEvent{.table = 300, .op = RowOp::kDelete, .rowid_before = INT64_MIN, .before = {}},
      StatementEvent{"CREATE TABLE t(a)"},
      SequenceEvent{.table = "t", .before = Value(int64_t{7}), .after = Value(int64_t{100})},
      SequenceEvent{.table = "t", .before = Value(TextValue{"odd"}), .after = {}},
      SequenceEvent{.table = "t", .before = {}, .after = Value(NullValue{})},
      CommitEvent{.events = 5},
      RotateEvent{.next_file_number = 4}};
}

TEST(Event, ThereAndBack) {
  for (const Event& event : EveryEvent()) {
    std::string bytes;
    EncodeEvent(event, &bytes);
    std::string_view in = bytes;
    const auto back = DecodeEvent(&in);
    ASSERT_OK(back.status());
    EXPECT_EQ(*back, event) << event.index();
    EXPECT_TRUE(in.empty());
  }
}

TEST(Event, CutShortIsToldFromDamaged) {
  for (const Event& event : EveryEvent()) {
    std::string bytes;
    EncodeEvent(event, &bytes);
    for (size_t size = 0; size < bytes.size(); ++size) {
      std::string_view in = std::string_view(bytes).substr(0, size);
      EXPECT_THAT(DecodeEvent(&in), StatusIs(absl::StatusCode::kOutOfRange));
      EXPECT_EQ(in.size(), size);  // untouched
    }
    for (size_t at = 0; at < bytes.size(); ++at) {
      std::string damaged = bytes;
      damaged[at] = static_cast<char>(damaged[at] ^ 0x20);
      std::string_view in = damaged;
      EXPECT_FALSE(DecodeEvent(&in).ok()) << event.index() << " at " << at;
    }
  }
}

TEST(Event, AnotherVersionIsNotDamage) {
  std::string bytes;
  FrameEvent(EventType::kFormat, std::string_view("SXBINLOG\2", 9), &bytes);
  std::string_view in = bytes;
  EXPECT_THAT(DecodeEvent(&in), StatusIs(absl::StatusCode::kUnimplemented));
  bytes.clear();
  FrameEvent(static_cast<EventType>(99), "", &bytes);
  in = bytes;
  EXPECT_THAT(DecodeEvent(&in), StatusIs(absl::StatusCode::kUnimplemented));
}

TEST(Transaction, ExampleOfTheDocument) {
  TransactionBuilder builder;
  const uint64_t table = builder.TableIndex("t", true, 2);
  builder.AddRow({.table = table, .rowid_after = 1, .after = {int64_t{1}, TextValue{"hi"}}});
  const std::string bytes = builder.Seal({kSource, TxnSeq(5)}, 1000);
  EXPECT_EQ(Hex(bytes),
            "a5 ef 80 2b 02 0c ef cd ab 89 67 45 23 01 05 e8 07 22 "
            "8b e0 74 69 03 05 00 01 02 01 74 "
            "3a a8 1d cf 04 0a 00 81 02 02 01 02 03 02 68 69 "
            "93 2f 0d e6 07 01 02");
  std::string_view in = bytes;
  const auto view = DecodeTransaction(&in);
  ASSERT_OK(view.status());
  EXPECT_EQ(view->header.gtid, (Gtid{kSource, TxnSeq(5)}));
  EXPECT_EQ(view->bytes, bytes);
  EXPECT_EQ(view->events.size(), 2u);
}

TEST(Transaction, AsTextForPeople) {
  TransactionBuilder builder;
  builder.AddStatement("CREATE TABLE t(a, b)");
  const uint64_t t = builder.TableIndex("t", true, 2);
  builder.AddRow({.table = t, .rowid_after = 1, .after = {int64_t{1}, TextValue{"it's"}}});
  builder.AddRow({.table = t,
                  .op = RowOp::kUpdate,
                  .rowid_before = 1,
                  .rowid_after = 2,
                  .before = {NullValue{}, 1.5},
                  .after = {BlobValue{"\x01\xff"}, TextValue{"\n"}}});
  builder.AddSequence({.table = "t", .after = Value(int64_t{2})});
  const std::string bytes = builder.Seal({kSource, TxnSeq(5)}, 1'700'000'000'000'001);
  std::string_view in = bytes;
  EXPECT_EQ(Describe(*DecodeTransaction(&in)),
            "0123456789abcdef:5  2023-11-14T22:13:20.000001Z  " + std::to_string(bytes.size()) +
                " bytes\n"
                "  CREATE TABLE t(a, b)\n"
                "  insert t rowid 1: 1, 'it''s'\n"
                "  update t rowid 1: NULL, 1.5 -> rowid 2: x'01ff', CAST(x'0a' AS TEXT)\n"
                "  sequence t: none -> 2\n");
}

TEST(Transaction, MarksForgetWhatCameAfter) {
  TransactionBuilder builder;
  builder.AddRow({.table = builder.TableIndex("t", true, 1), .after = {int64_t{1}}});
  const auto mark = builder.mark();
  builder.AddRow({.table = builder.TableIndex("u", true, 1), .after = {int64_t{2}}});
  builder.TruncateTo(mark);
  EXPECT_EQ(builder.TableIndex("u", true, 1), 1u);  // told anew
  builder.AddRow({.table = 1, .after = {int64_t{3}}});
  const std::string bytes = builder.Seal({kSource, TxnSeq(1)}, 0);
  EXPECT_TRUE(builder.is_empty());
  std::string_view in = bytes;
  const auto view = DecodeTransaction(&in);
  ASSERT_OK(view.status());
  ASSERT_EQ(view->events.size(), 4u);
  EXPECT_EQ(std::get<RowEvent>(view->events[3]).after, (Image{int64_t{3}}));
}

TEST(Transaction, ATableThatChangedItsShapeIsToldAgain) {
  TransactionBuilder builder;
  EXPECT_EQ(builder.TableIndex("t", true, 1), 0u);
  builder.AddStatement("ALTER TABLE t ADD COLUMN b");
  EXPECT_EQ(builder.TableIndex("t", true, 2), 1u);
  EXPECT_EQ(builder.TableIndex("t", true, 2), 1u);
}

TEST(Transaction, NonsenseIsRefused) {
  const auto decode = [](const std::vector<Event>& events) {
    std::string body;
    for (const Event& event : events) EncodeEvent(event, &body);
    std::string bytes;
    EncodeEvent(GtidEvent{.gtid = {kSource, TxnSeq(1)}, .body_bytes = body.size()}, &bytes);
    bytes += body;
    std::string_view in = bytes;
    return DecodeTransaction(&in).status();
  };
  const TableEvent table{.columns = 1, .name = "t"};
  const RowEvent row{.after = {NullValue{}}};
  EXPECT_OK(decode({table, row, CommitEvent{2}}));
  EXPECT_OK(decode({CommitEvent{0}}));
  const auto kDataLoss = absl::StatusCode::kDataLoss;
  EXPECT_THAT(decode({row, CommitEvent{1}}), StatusIs(kDataLoss));
  EXPECT_THAT(decode({table, row, CommitEvent{1}}), StatusIs(kDataLoss));
  EXPECT_THAT(decode({table, row}), StatusIs(kDataLoss));
  EXPECT_THAT(decode({table, table, CommitEvent{2}}), StatusIs(kDataLoss));
  EXPECT_THAT(decode({table, RowEvent{.after = {}}, CommitEvent{2}}), StatusIs(kDataLoss));
  EXPECT_THAT(decode({CommitEvent{0}, CommitEvent{0}}), StatusIs(kDataLoss));
  EXPECT_THAT(decode({RotateEvent{}, CommitEvent{1}}), StatusIs(kDataLoss));
}

}  // namespace
}  // namespace sextant::binlog
