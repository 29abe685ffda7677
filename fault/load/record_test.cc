// Judge: every part of a record is looked at.
#include "fault/load/record.h"

#include <gtest/gtest.h>

namespace sextant::fault {
namespace {

constexpr int64_t kTotal = 1000;

LoadRecord GoodRecord() {
  LoadRecord record;
  ListTransaction append;
  append.invoked = 1;
  append.completed = 2;
  append.outcome = Outcome::kCommitted;
  append.ops = {{.key = 1, .appended = 7}};
  record.lists = {append};
  record.registers = {{.key = 1, .is_write = true, .value = 5, .invoked = 1, .completed = 2},
                      {.key = 1, .value = 5, .invoked = 3, .completed = 4}};
  record.totals = {{1, 2, "writer", kTotal}};
  return record;
}

std::string OnlyKind(const LoadRecord& record) {
  const std::vector<Anomaly> anomalies = Judge(record, kTotal);
  return anomalies.size() == 1 ? anomalies[0].kind : "";
}

TEST(JudgeTest, ExplainsWhatIsGood) { EXPECT_TRUE(Judge(GoodRecord(), kTotal).empty()); }

TEST(JudgeTest, SeesAListThatNobodyWrote) {
  LoadRecord record = GoodRecord();
  ListTransaction read;
  read.session = 1;
  read.invoked = 3;
  read.completed = 4;
  read.outcome = Outcome::kCommitted;
  read.ops = {{.key = 1, .list = {7, 8}}};
  record.lists.push_back(read);
  EXPECT_EQ(OnlyKind(record), "phantom");
}

TEST(JudgeTest, SeesAnAcknowledgedWriteThatIsGone) {
  LoadRecord record = GoodRecord();
  record.registers[1].value = kUnwritten;
  EXPECT_EQ(OnlyKind(record), "not-linearizable");
}

TEST(JudgeTest, SeesMoneyThatIsGoneAFewTimes) {
  LoadRecord record = GoodRecord();
  record.totals.push_back({3, 4, "writer", kTotal - 1});
  EXPECT_EQ(OnlyKind(record), "bank-total");
  record.totals.resize(100, {3, 4, "writer", kTotal - 1});
  EXPECT_EQ(Judge(record, kTotal).size(), 5u);
}

TEST(JudgeTest, SeesAClientWithoutAnAnswer) {
  LoadRecord record = GoodRecord();
  record.stuck = {"client 3"};
  EXPECT_EQ(OnlyKind(record), "no-answer");
}

}  // namespace
}  // namespace sextant::fault
