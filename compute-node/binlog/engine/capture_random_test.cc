// Random SQL, captured and replayed: after every transaction both databases are equal; and undone
// again, the copy is what it was.
#include <gtest/gtest.h>

#include "common/testing/status_matchers.h"
#include "compute-node/binlog/engine/testing/captured_database.h"
#include "compute-node/binlog/engine/testing/random_statements.h"

namespace sextant::binlog {
namespace {

constexpr int kSeeds = 150;
constexpr int kSteps = 80;

class CaptureRandom : public ::testing::TestWithParam<int> {};

TEST_P(CaptureRandom, CopiesAreEqual) {
  CapturedDatabase source;
  ReplayedDatabase copy;
  RandomStatements random(static_cast<uint64_t>(GetParam()));
  ASSERT_EQ(source.Run(RandomStatements::Schema()), "");
  size_t transactions = 0;
  for (int step = 0; step < kSteps; ++step) {
    const std::string sql = random.Next();
    source.Run(sql);
    for (const std::string& bytes : source.TakeTransactions()) {
      const std::string before = DatabaseDigest(copy.db());
      ASSERT_OK(copy.Apply(bytes)) << "step " << step << ": " << sql;
      ++transactions;
      // There, back, and there again.
      const absl::Status undone = copy.Undo(bytes);
      if (absl::IsFailedPrecondition(undone)) continue;  // a change of the schema
      ASSERT_OK(undone) << sql;
      ASSERT_EQ(DatabaseDigest(copy.db()), before) << "step " << step << ": " << sql;
      ASSERT_OK(copy.Apply(bytes)) << sql;
    }
    if (sqlite3_get_autocommit(source.db()) != 0) {
      ASSERT_EQ(DatabaseDigest(source.db()), DatabaseDigest(copy.db()))
          << "step " << step << ": " << sql;
    }
  }
  EXPECT_GT(transactions, 5u);
}

INSTANTIATE_TEST_SUITE_P(Seeds, CaptureRandom, ::testing::Range(1, kSeeds + 1));

}  // namespace
}  // namespace sextant::binlog
