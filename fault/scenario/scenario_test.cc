// Plans: equal seeds give equal plans, and every plan keeps within what its scenario says.
#include "fault/scenario/scenario.h"

#include <gtest/gtest.h>

#include <set>

namespace sextant::fault {
namespace {

Topology Six() {
  return {{{"az1", {"az1-a", "az1-b"}}, {"az2", {"az2-a", "az2-b"}}, {"az3", {"az3-a", "az3-b"}}},
          "writer",
          {"reader-1", "reader-2"}};
}

Topology SourceAndTwo() { return {{}, "source", {"replica-1", "replica-2"}}; }
Topology TopologyOf(const Scenario& scenario) {
  return scenario.needs.is_binlog() ? SourceAndTwo() : Six();
}

constexpr absl::Duration kSpan = absl::Seconds(4);

TEST(ScenarioTest, NamesAreUniqueAndFound) {
  std::set<std::string> names;
  for (const Scenario& scenario : Scenarios()) {
    EXPECT_TRUE(names.insert(scenario.name).second) << scenario.name;
    EXPECT_EQ(FindScenario(scenario.name), &scenario);
    EXPECT_FALSE(scenario.shows.empty());
  }
  EXPECT_EQ(FindScenario("no-such-day"), nullptr);
}

TEST(ScenarioTest, EqualSeedsGiveEqualPlansWithinTheSpan) {
  for (const Scenario& scenario : Scenarios()) {
    SCOPED_TRACE(scenario.name);
    for (uint64_t seed = 1; seed <= 50; ++seed) {
      Prng first(seed), second(seed);
      const Plan plan = scenario.plan(TopologyOf(scenario), kSpan, &first);
      const Plan again = scenario.plan(TopologyOf(scenario), kSpan, &second);
      ASSERT_FALSE(plan.empty());
      ASSERT_EQ(plan.size(), again.size());
      for (size_t i = 0; i < plan.size(); ++i) {
        EXPECT_EQ(plan[i].at, again[i].at);
        EXPECT_EQ(plan[i].targets, again[i].targets);
        EXPECT_EQ(plan[i].lasting, again[i].lasting);
        EXPECT_FALSE(plan[i].targets.empty());
        EXPECT_GE(plan[i].at, absl::ZeroDuration());
        EXPECT_LE(plan[i].at, kSpan);
      }
    }
  }
}

// Where commits are to go on, at most two storage nodes and no writer suffer at a time; in binlog
// mode no source, and no more replicas than commits can do without.
TEST(ScenarioTest, PromisesAreKeepable) {
  for (const Scenario& scenario : Scenarios()) {
    if (!scenario.promises.commits_go_on || scenario.needs.links) continue;
    SCOPED_TRACE(scenario.name);
    for (uint64_t seed = 1; seed <= 200; ++seed) {
      Prng prng(seed);
      std::multiset<std::string> down;
      const Topology topology = TopologyOf(scenario);
      const auto spare =
          scenario.needs.is_binlog()
              ? static_cast<size_t>(scenario.needs.replicas - scenario.needs.semi_sync_acks)
              : 2u;
      const Plan plan = scenario.plan(topology, kSpan, &prng);
      for (const Moment& moment : MomentsOf(plan)) {
        for (const std::string& node : plan[moment.step].targets) {
          EXPECT_NE(node, topology.writer);
          moment.is_mend ? (void)down.extract(node) : (void)down.insert(node);
        }
        EXPECT_LE(down.size(), spare);
      }
    }
  }
}

TEST(ScenarioTest, NoNodeIsKilledWhileItIsDead) {
  for (const char* name : {"kill-random", "pause-random", "storm"}) {
    for (uint64_t seed = 1; seed <= 200; ++seed) {
      Prng prng(seed);
      std::set<std::string> down;
      const Plan plan = FindScenario(name)->plan(Six(), kSpan, &prng);
      for (const Moment& moment : MomentsOf(plan)) {
        const std::string& node = plan[moment.step].targets[0];
        if (moment.is_mend) {
          EXPECT_EQ(down.erase(node), 1u);
        } else {
          EXPECT_TRUE(down.insert(node).second) << node;
        }
      }
    }
  }
}

// Where commits are to wait, every replica is away between a fault and its mending, and nothing
// else happens meanwhile.
TEST(ScenarioTest, CommitsWaitWhereNoReplicaIsLeft) {
  for (const Scenario& scenario : Scenarios()) {
    if (!scenario.promises.commits_wait) continue;
    ASSERT_TRUE(scenario.needs.is_binlog()) << scenario.name;
    for (uint64_t seed = 1; seed <= 200; ++seed) {
      Prng prng(seed);
      const Plan plan = scenario.plan(SourceAndTwo(), kSpan, &prng);
      bool is_away = false;
      for (const Moment& moment : MomentsOf(plan)) {
        EXPECT_EQ(plan[moment.step].targets, SourceAndTwo().readers);
        EXPECT_EQ(moment.is_mend, is_away);
        is_away = !moment.is_mend;
      }
    }
  }
}

TEST(ScenarioTest, ABinlogSourceIsReplacedByTheBestOfItsReplicas) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    Prng prng(seed);
    const Plan plan = FindScenario("binlog-source-kill")->plan(SourceAndTwo(), kSpan, &prng);
    ASSERT_EQ(plan.size(), 1u);
    EXPECT_EQ(plan[0].fault, Fault::kPromote);
    EXPECT_EQ(plan[0].targets, std::vector<std::string>{"source"});
    EXPECT_EQ(plan[0].others, SourceAndTwo().readers);
    EXPECT_GT(plan[0].lasting, absl::ZeroDuration());
  }
}

TEST(ScenarioTest, MomentsAreInOrderAndMendComesLast) {
  const Plan plan = {{.at = absl::Seconds(2), .targets = {"a"}, .lasting = absl::Seconds(1)},
                     {.at = absl::Seconds(1), .targets = {"b"}, .lasting = absl::Seconds(5)}};
  std::vector<std::pair<size_t, bool>> order;
  for (const Moment& moment : MomentsOf(plan)) order.emplace_back(moment.step, moment.is_mend);
  EXPECT_EQ(order,
            (std::vector<std::pair<size_t, bool>>{{1, false}, {0, false}, {0, true}, {1, true}}));
}

}  // namespace
}  // namespace sextant::fault
