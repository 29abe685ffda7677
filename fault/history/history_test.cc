// The judges against histories known to be good and known to be bad.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

#include "fault/history/list_append.h"
#include "fault/history/registers.h"

namespace sextant::fault {
namespace {

using ::testing::Contains;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

std::vector<std::string> Kinds(const std::vector<Anomaly>& anomalies) {
  std::vector<std::string> kinds;
  for (const Anomaly& anomaly : anomalies) {
    EXPECT_FALSE(anomaly.detail.empty());
    kinds.push_back(anomaly.kind);
  }
  return kinds;
}

ListOp A(int64_t key, int64_t value) { return ListOp::Append(key, value); }
ListOp R(int64_t key, std::vector<int64_t> list) { return ListOp::Read(key, std::move(list)); }

// A committed transaction that overlaps all others unless its times are set.
ListTransaction T(int session, std::vector<ListOp> ops) {
  return {.session = session,
          .node = "writer",
          .invoked = 0,
          .completed = 1000,
          .outcome = Outcome::kCommitted,
          .ops = std::move(ops)};
}
ListTransaction During(Nanos invoked, Nanos completed, ListTransaction transaction) {
  transaction.invoked = invoked;
  transaction.completed = completed;
  return transaction;
}
ListTransaction At(uint64_t lsn, ListTransaction transaction) {
  transaction.lsn = Lsn(lsn);
  return transaction;
}
ListTransaction OnReader(ListTransaction transaction) {
  transaction.node = "reader-1";
  transaction.is_strict = false;
  return transaction;
}
ListTransaction Ended(Outcome outcome, ListTransaction transaction) {
  transaction.outcome = outcome;
  if (outcome == Outcome::kUnknown) transaction.completed = kNever;
  return transaction;
}

TEST(ListAppendTest, ExplainsWhatHasAnOrder) {
  EXPECT_THAT(Kinds(CheckListAppend({})), IsEmpty());
  EXPECT_THAT(Kinds(CheckListAppend({T(1, {A(1, 1), R(2, {})}), T(2, {A(2, 1), R(1, {1})}),
                                     T(3, {R(1, {1}), R(2, {1})}), T(3, {R(1, {1, 2}), A(1, 3)}),
                                     T(4, {A(1, 2)}), T(5, {R(1, {1, 2, 3})})})),
              IsEmpty());
}

TEST(ListAppendTest, AnUnknownOutcomeMayBeEither) {
  const auto unknown = Ended(Outcome::kUnknown, T(1, {A(1, 1)}));
  EXPECT_THAT(Kinds(CheckListAppend({unknown, T(2, {R(1, {1})})})), IsEmpty());
  EXPECT_THAT(Kinds(CheckListAppend({unknown, T(2, {R(1, {})})})), IsEmpty());
  // But not both in turn.
  EXPECT_THAT(Kinds(CheckListAppend(
                  {unknown, During(1, 2, T(2, {R(1, {1})})), During(3, 4, T(3, {R(1, {})}))})),
              UnorderedElementsAre("G-single-realtime"));
}

TEST(ListAppendTest, SeesListsThatNoOrderCouldMake) {
  EXPECT_THAT(Kinds(CheckListAppend({T(1, {A(1, 1)}), T(2, {A(1, 1)})})), Contains("malformed"));
  EXPECT_THAT(Kinds(CheckListAppend({T(1, {A(1, 1)}), T(2, {R(1, {1, 1})})})),
              Contains("duplicate-elements"));
  EXPECT_THAT(Kinds(CheckListAppend({T(2, {R(1, {7})})})), UnorderedElementsAre("phantom"));
  EXPECT_THAT(
      Kinds(CheckListAppend({Ended(Outcome::kAborted, T(1, {A(1, 1)})), T(2, {R(1, {1})})})),
      UnorderedElementsAre("G1a"));
  EXPECT_THAT(
      Kinds(CheckListAppend({T(1, {A(1, 1), A(1, 2)}), T(2, {R(1, {1})}), T(3, {R(1, {1, 2})})})),
      UnorderedElementsAre("G1b"));
  EXPECT_THAT(Kinds(CheckListAppend(
                  {T(1, {A(1, 1)}), T(2, {A(1, 2)}), T(3, {R(1, {1, 2})}), T(4, {R(1, {2})})})),
              UnorderedElementsAre("incompatible-order"));
}

TEST(ListAppendTest, SeesTransactionsThatContradictThemselves) {
  EXPECT_THAT(Kinds(CheckListAppend({T(1, {A(1, 1), R(1, {})})})), Contains("internal"));
  EXPECT_THAT(Kinds(CheckListAppend({T(1, {R(1, {}), R(1, {2})}), T(2, {A(1, 2)})})),
              Contains("internal"));
  EXPECT_THAT(Kinds(CheckListAppend({T(1, {R(1, {}), A(1, 1), R(1, {1})})})), IsEmpty());
}

TEST(ListAppendTest, SeesCycles) {
  // Each overwrote the other.
  EXPECT_THAT(Kinds(CheckListAppend({T(1, {A(1, 1), A(2, 1)}), T(2, {A(1, 2), A(2, 2)}),
                                     T(3, {R(1, {1, 2}), R(2, {2, 1})})})),
              Contains("G0"));
  // Each read the other.
  EXPECT_THAT(Kinds(CheckListAppend({T(1, {A(1, 1), R(2, {1})}), T(2, {A(2, 1), R(1, {1})})})),
              UnorderedElementsAre("G1c"));
  // A read of half of a transaction.
  EXPECT_THAT(Kinds(CheckListAppend(
                  {T(1, {A(1, 1), A(2, 1)}), T(2, {R(1, {1}), R(2, {})}), T(3, {R(2, {1})})})),
              UnorderedElementsAre("G-single"));
  // Write skew.
  EXPECT_THAT(Kinds(CheckListAppend({T(1, {R(1, {}), A(2, 1)}), T(2, {R(2, {}), A(1, 1)}),
                                     T(3, {R(1, {1}), R(2, {1})})})),
              UnorderedElementsAre("G2"));
}

TEST(ListAppendTest, SeesALostAppend) {
  const auto append = During(1, 2, T(1, {A(1, 1)}));
  const auto later = During(3, 4, T(2, {R(1, {})}));
  EXPECT_THAT(Kinds(CheckListAppend({append, later})), UnorderedElementsAre("G-single-realtime"));
  // Overlapping it may be missed, and on a reader it may be missed for a while ...
  EXPECT_THAT(Kinds(CheckListAppend({append, During(1, 4, T(2, {R(1, {})}))})), IsEmpty());
  EXPECT_THAT(Kinds(CheckListAppend({append, OnReader(later)})), IsEmpty());
  // ... but not by the session that made it.
  EXPECT_THAT(Kinds(CheckListAppend({append, OnReader(During(3, 4, T(1, {R(1, {})})))})),
              UnorderedElementsAre("G-single-session"));
}

TEST(ListAppendTest, SeesASessionThatGoesBack) {
  EXPECT_THAT(Kinds(CheckListAppend(
                  {T(1, {A(1, 1)}), OnReader(T(2, {R(1, {1})})), OnReader(T(2, {R(1, {})}))})),
              UnorderedElementsAre("G-single-session"));
  EXPECT_THAT(Kinds(CheckListAppend(
                  {At(9, OnReader(T(2, {R(1, {})}))), At(8, OnReader(T(2, {R(1, {})})))})),
              UnorderedElementsAre("session-lsn"));
}

TEST(ListAppendTest, HoldsReadsAgainstTheirLsn) {
  const auto first = At(10, T(1, {A(1, 1)})), second = At(20, T(2, {A(1, 2)}));
  EXPECT_THAT(Kinds(CheckListAppend({first, second, At(15, OnReader(T(3, {R(1, {1})}))),
                                     At(20, OnReader(T(4, {R(1, {1, 2})})))})),
              IsEmpty());
  EXPECT_THAT(Kinds(CheckListAppend({first, second, At(25, OnReader(T(3, {R(1, {1})})))})),
              UnorderedElementsAre("lsn-order"));
  EXPECT_THAT(Kinds(CheckListAppend({first, second, At(19, OnReader(T(3, {R(1, {1, 2})})))})),
              UnorderedElementsAre("lsn-order"));
  // One that is an upper bound allows less to be seen, and no more.
  const auto within = [](uint64_t lsn, ListTransaction transaction) {
    transaction.is_lsn_exact = false;
    return At(lsn, OnReader(std::move(transaction)));
  };
  EXPECT_THAT(Kinds(CheckListAppend({first, second, within(25, T(3, {R(1, {1})}))})), IsEmpty());
  EXPECT_THAT(Kinds(CheckListAppend({first, second, within(19, T(3, {R(1, {1, 2})}))})),
              UnorderedElementsAre("lsn-order"));
  // A transaction that reads and appends has the LSN of its commit.
  EXPECT_THAT(Kinds(CheckListAppend({first, At(20, T(2, {R(1, {1}), A(1, 2), R(1, {1, 2})})),
                                     At(30, T(3, {R(1, {1, 2}), A(1, 3)}))})),
              IsEmpty());
}

// A store that runs transactions one by one, hence right; optionally reads come from its past.
std::vector<ListTransaction> RunSerially(uint32_t seed, bool stale_reads) {
  std::mt19937 random(seed);
  std::map<int64_t, std::vector<int64_t>> store, past;
  std::vector<ListTransaction> history;
  int64_t next_value = 1;
  for (int i = 0; i < 2000; ++i) {
    ListTransaction transaction;
    transaction.session = static_cast<int>(random() % 8);
    transaction.invoked = 10 * i - static_cast<int>(random() % 50);
    transaction.completed = 10 * i + 1 + static_cast<int>(random() % 50);
    transaction.outcome = Outcome::kCommitted;
    transaction.lsn = Lsn(static_cast<uint64_t>(i) + 1);
    const bool is_stale = stale_reads && i > 1000 && random() % 50 == 0;
    for (int op = 0; op < 3; ++op) {
      const int64_t key = random() % 5;
      if (random() % 2 == 0) {
        transaction.ops.push_back(R(key, (is_stale ? past : store)[key]));
      } else if (!is_stale) {
        transaction.ops.push_back(A(key, next_value));
        store[key].push_back(next_value++);
      }
    }
    if (i == 500) past = store;
    history.push_back(std::move(transaction));
  }
  return history;
}

TEST(ListAppendTest, ExplainsLongSerialRunsAndSeesStaleReadsInThem) {
  for (uint32_t seed = 1; seed <= 5; ++seed) {
    EXPECT_THAT(Kinds(CheckListAppend(RunSerially(seed, false))), IsEmpty()) << seed;
    std::vector<ListTransaction> stale = RunSerially(seed, true);
    EXPECT_THAT(Kinds(CheckListAppend(stale)), Contains("lsn-order")) << seed;
    for (ListTransaction& transaction : stale) transaction.lsn = Lsn();
    EXPECT_THAT(Kinds(CheckListAppend(stale)), Not(IsEmpty())) << seed;  // a knot of some kind
  }
}

RegisterOp Write(int64_t value, Nanos invoked, Nanos completed) {
  return {.key = 1, .is_write = true, .value = value, .invoked = invoked, .completed = completed};
}
RegisterOp Read(int64_t value, Nanos invoked, Nanos completed) {
  return {.key = 1, .is_write = false, .value = value, .invoked = invoked, .completed = completed};
}

TEST(RegistersTest, FindsAnOrder) {
  EXPECT_THAT(CheckRegisters({}), IsEmpty());
  EXPECT_THAT(CheckRegisters({Read(kUnwritten, 1, 2), Write(5, 3, 9), Read(5, 4, 5), Write(6, 4, 8),
                              Read(5, 6, 7), Read(6, 10, 11)}),
              IsEmpty());
  // Of unknown outcome: never, or much later.
  EXPECT_THAT(CheckRegisters({Write(5, 1, kNever), Read(kUnwritten, 2, 3)}), IsEmpty());
  EXPECT_THAT(CheckRegisters({Write(5, 1, kNever), Read(kUnwritten, 2, 3), Read(5, 4, 5)}),
              IsEmpty());
}

TEST(RegistersTest, SeesWhatHasNone) {
  EXPECT_THAT(Kinds(CheckRegisters({Write(5, 1, 2), Read(kUnwritten, 3, 4)})),
              UnorderedElementsAre("not-linearizable"));
  EXPECT_THAT(Kinds(CheckRegisters({Read(7, 3, 4)})), UnorderedElementsAre("not-linearizable"));
  // New, then old again.
  EXPECT_THAT(
      Kinds(CheckRegisters({Write(5, 1, 2), Write(6, 3, 10), Read(6, 4, 5), Read(5, 6, 7)})),
      UnorderedElementsAre("not-linearizable"));
  EXPECT_THAT(Kinds(CheckRegisters({Write(5, 1, kNever), Read(5, 2, 3), Read(kUnwritten, 4, 5)})),
              UnorderedElementsAre("not-linearizable"));
}

// Operations take effect at a random moment between their times, on a store that is right; one read
// is then changed to what was overwritten before it began.
TEST(RegistersTest, AgreesWithHowHistoriesWereMade) {
  for (uint32_t seed = 1; seed <= 50; ++seed) {
    std::mt19937 random(seed);
    struct Made {
      Nanos effect;
      RegisterOp op;
    };
    std::vector<Made> made;
    for (int client = 0; client < 5; ++client) {
      Nanos now = random() % 20;
      for (int i = 0; i < 60; ++i) {
        const Nanos length = 2 + random() % 40, effect = now + 1 + random() % (length - 1);
        made.push_back({effect,
                        {.key = static_cast<int64_t>(random() % 2),
                         .is_write = random() % 2 == 0,
                         .value = client * 1000 + i + 1,
                         .invoked = now,
                         .completed = now + length}});
        now += length + 1 + random() % 10;
      }
    }
    std::stable_sort(made.begin(), made.end(),
                     [](const Made& a, const Made& b) { return a.effect < b.effect; });
    std::map<int64_t, int64_t> store;
    std::vector<RegisterOp> history;
    for (const Made& each : made) {
      RegisterOp op = each.op;
      if (op.is_write) {
        store[op.key] = op.value;
      } else {
        op.value = store[op.key];
      }
      history.push_back(op);
    }
    EXPECT_THAT(CheckRegisters(history), IsEmpty()) << seed;
    const auto read = std::find_if(history.rbegin(), history.rend(), [](const RegisterOp& op) {
      return !op.is_write && op.value != kUnwritten;
    });
    read->value = kUnwritten;
    EXPECT_THAT(Kinds(CheckRegisters(history)), UnorderedElementsAre("not-linearizable")) << seed;
  }
}

}  // namespace
}  // namespace sextant::fault
