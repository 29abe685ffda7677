// Which node a client asks, by what nodes say of themselves.
#include "client/node_book.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sextant::client {
namespace {

using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

NodeReport Writer(const std::string& address, uint64_t epoch, const std::string& phase = "open") {
  return {.address = address, .answers = true, .node = "n-" + address, .role = "writer",
          .phase = phase, .epoch = epoch};
}
NodeReport Reader(const std::string& address) {
  return {.address = address, .answers = true, .node = "n-" + address, .role = "reader",
          .phase = "following", .epoch = 3};
}

TEST(NodeBook, TakesTheOpenWriterOfTheHighestEpoch) {
  NodeBook book({"a", "b", "c"});
  EXPECT_EQ(book.Writer(), std::nullopt);
  book.Heard(Writer("a", 3));
  EXPECT_EQ(book.Writer(), "a");
  book.Heard(Writer("b", 4, "recovering"));
  EXPECT_EQ(book.Writer(), "a") << "one that still recovers serves nobody";
  book.Heard(Writer("b", 4));
  EXPECT_EQ(book.Writer(), "b");
  book.Heard(Writer("a", 3));
  EXPECT_EQ(book.Writer(), "b") << "an old writer that has not noticed yet";
}

TEST(NodeBook, ASuspectIsTakenAgainOnceItAnswers) {
  NodeBook book({"a"});
  book.Heard(Writer("a", 3));
  book.Suspect("a");
  EXPECT_EQ(book.Writer(), std::nullopt);
  book.Heard({.address = "a", .answers = false});
  EXPECT_EQ(book.Writer(), std::nullopt);
  book.Heard(Writer("a", 3));
  EXPECT_EQ(book.Writer(), "a");
}

TEST(NodeBook, ReadsGoWhereTheyAreWanted) {
  NodeBook book({"a", "b", "c"});
  book.Heard(Writer("a", 3));
  EXPECT_THAT(book.Choices(Preference::kReader), ElementsAre("a")) << "there is no other";
  book.Heard(Reader("b"));
  book.Heard(Reader("c"));
  EXPECT_THAT(book.Choices(Preference::kWriter), ElementsAre("a"));
  EXPECT_THAT(book.Choices(Preference::kReader), UnorderedElementsAre("b", "c"));
  EXPECT_THAT(book.Choices(Preference::kAny), UnorderedElementsAre("a", "b", "c"));
  book.Suspect("b");
  EXPECT_THAT(book.Choices(Preference::kReader), ElementsAre("c"));
}

TEST(NodeBook, LearnsNodesButNotASecondAddressOfOneThatAnswers) {
  NodeBook book({"forwarded:1"});
  NodeReport report = Writer("forwarded:1", 3);
  report.node = "writer";
  report.compute_nodes = {{"writer", "inside:7010"}, {"reader-1", "inside:7011"}, {"", ""}};
  book.Heard(report);
  EXPECT_THAT(book.addresses(), ElementsAre("forwarded:1", "inside:7011"));
  book.Hint("writer", "inside:7010");
  EXPECT_THAT(book.addresses(), ElementsAre("forwarded:1", "inside:7011"));
  book.Heard({.address = "forwarded:1", .answers = false});
  book.Hint("writer", "inside:7010");
  EXPECT_THAT(book.addresses(), ElementsAre("forwarded:1", "inside:7011", "inside:7010"));
}

}  // namespace
}  // namespace sextant::client
