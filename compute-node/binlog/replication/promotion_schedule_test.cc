// Promotions under random schedules, with the old source alive: pledges that come late, acks that
// are under way, nodes that crash, are seeded or cannot be reached, two candidates at once.
//
// I13 across promotions: what a client was answered in semi-sync mode is held by every source of a
// later tenure, whichever came first.
#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <set>

#include "common/base/prng.h"
#include "common/base/text.h"
#include "compute-node/binlog/replication/failover.h"
#include "compute-node/binlog/replication/pledge.h"
#include "compute-node/binlog/replication/replica_machine.h"
#include "compute-node/binlog/replication/source_machine.h"

namespace sextant::binlog {
namespace {

constexpr int kSeeds = 5000;
constexpr int kSteps = 500;

struct Node {
  std::string name;
  // Durable.
  ReplicaId folder;
  GtidSet log;  // synced
  uint64_t tenure = 0;
  uint64_t held = 0;  // the highest tenure whose beginning is in its log
  SourceId source;    // of its own tenure; 0: it does not lead
  TxnSeq begun;       // where that began
  Pledges pledges;
  // Lost in a crash.
  std::unique_ptr<SourceMachine> leads;
  std::unique_ptr<ReplicaMachine> follows;
  Node* stream = nullptr;        // the source that it follows
  TxnSeq sent;                   // to it, on this stream
  TxnSeq told;                   // as the source, to clients
  std::deque<Gtid> to_replica;   // in flight
  std::deque<TxnSeq> to_source;  // acks in flight
  // Of a promotion under way.
  uint64_t claim = 0;
  std::set<Node*> to_ask;
  std::vector<Candidate> answers;

  ReplicaCopy copy() const { return {name, folder}; }
};

class PromotionSchedule {
 public:
  explicit PromotionSchedule(uint64_t seed) : prng_(seed) {
    nodes_.resize(prng_.Between(2, 4));
    acks_ = prng_.Between(1, nodes_.size() - 1);
    for (size_t i = 0; i < nodes_.size(); ++i) {
      nodes_[i].name = Text("n", i);
      nodes_[i].folder = ReplicaId(++folders_);
      Restart(nodes_[i]);
    }
    nodes_[0].tenure = nodes_[0].held = 1;
    nodes_[0].source = SourceId(next_source_++);
    Restart(nodes_[0]);
  }

  // The first broken rule; empty: none.
  std::string Run() {
    for (int step = 0; step < kSteps && broken_.empty(); ++step) {
      now_ = now_ + absl::Milliseconds(1);
      Step(nodes_[prng_.Below(nodes_.size())]);
      for (Node& node : nodes_) CarryOut(node);
    }
    return broken_;
  }
  int promotions() const { return promotions_; }
  size_t answered() const { return answered_.size(); }

 private:
  void Step(Node& node) {
    switch (prng_.Below(14)) {
      case 0:
      case 1:
        if (node.leads != nullptr) node.leads->Append();
        break;
      case 2:
      case 3:
        if (node.leads == nullptr) break;
        node.leads->Synced(node.leads->appended(), now_);
        node.log = node.leads->history();
        break;
      case 4:
      case 5:
        Follow(node, nodes_[prng_.Below(nodes_.size())]);
        break;
      case 6:
        if (node.stream != nullptr && node.sent < node.stream->leads->synced()) {
          node.sent = node.sent.Next();
          node.to_replica.push_back(
              {*node.stream->leads->history().SourceOf(node.sent), node.sent});
        }
        break;
      case 7:
      case 8:
        Receive(node);
        break;
      case 9:
        if (node.stream != nullptr && !node.to_source.empty()) {
          if (!node.stream->leads->Acked(node.copy(), node.to_source.front(), now_).ok()) {
            broken_ = "a bad ack";
          }
          node.to_source.pop_front();
        }
        break;
      case 10:
        Promote(node);
        break;
      case 11:
        AskOne(node);
        break;
      case 12:
        LookAbout(node, nodes_[prng_.Below(nodes_.size())]);
        break;
      default:
        if (prng_.OneIn(10)) Restart(node);
    }
  }

  // Also what a change of role does: only what is durable is left.
  void Restart(Node& node) {
    for (Node& other : nodes_) {
      if (other.stream == &node) Cut(other);
    }
    Cut(node);
    GiveUp(node);
    node.leads = nullptr;
    node.follows = nullptr;
    node.told = TxnSeq(0);
    if (node.source != SourceId(0)) {
      node.leads =
          std::make_unique<SourceMachine>(SemiSyncOptions{.acks = acks_}, node.log, node.source);
    } else {
      node.follows = std::make_unique<ReplicaMachine>(ReplicaOptions{}, node.log, TxnSeq(0));
    }
  }

  void Cut(Node& node) {
    if (node.stream == nullptr) return;
    node.stream->leads->Leave(node.copy());
    node.follows->Disconnected(now_);
    node.stream = nullptr;
    node.to_replica.clear();
    node.to_source.clear();
  }

  void GiveUp(Node& node) {
    node.claim = 0;
    node.to_ask.clear();
    node.answers.clear();
  }

  void Follow(Node& node, Node& source) {
    if (node.follows == nullptr || node.stream != nullptr || source.leads == nullptr) return;
    if (source.tenure < node.tenure || !MayFollow(node.pledges, source.tenure, source.name)) return;
    const GtidSet history = source.leads->history().Through(source.leads->synced());
    const RewindPlan plan = PlanRewind(node.log, history);
    if (plan.is_needed()) {
      if (source.tenure == node.tenure) return;  // it has lost what this node holds
      node.log = node.log.Through(plan.keep_through);
      node.follows = std::make_unique<ReplicaMachine>(ReplicaOptions{}, node.log, TxnSeq(0));
    }
    if (prng_.OneIn(8)) {  // what it lacks was purged: it is seeded
      node.log = history;
      node.folder = ReplicaId(++folders_);
      node.follows = std::make_unique<ReplicaMachine>(ReplicaOptions{}, node.log, TxnSeq(0));
    }
    node.tenure = source.tenure;
    Followed(node.tenure, &node.pledges);
    if (node.log.last() >= source.begun) node.held = node.tenure;
    if (!source.leads->Join(node.copy(), node.log, now_).ok()) return;
    node.stream = &source;
    node.sent = node.log.last();
    node.follows->Connected();
  }

  // Takes one transaction from the stream, or acknowledges; each is synced at once.
  void Receive(Node& node) {
    if (node.follows == nullptr) return;
    if (!node.to_replica.empty()) {
      const Gtid gtid = node.to_replica.front();
      node.to_replica.pop_front();
      const auto is_new = node.follows->Arrived(gtid, 0);
      if (is_new.ok() && *is_new) {
        node.log.Add(gtid);
        if (gtid.seq >= node.stream->begun) node.held = node.stream->tenure;
        node.follows->RelaySynced(gtid.seq);
      }
    }
    if (prng_.OneIn(2)) return;
    if (const auto ack = node.follows->TakeAck()) {
      if (node.stream != nullptr) node.to_source.push_back(*ack);
    }
  }

  void Promote(Node& node) {
    if (node.follows == nullptr || node.claim != 0 || !prng_.OneIn(4)) return;
    uint64_t highest = 0;
    std::set<Node*> reachable;
    for (Node& other : nodes_) {
      if (&other != &node && prng_.OneIn(4)) continue;
      reachable.insert(&other);
      highest = std::max({highest, other.tenure, other.pledges.highest});
    }
    node.claim = highest + 1;
    node.to_ask = reachable;
  }

  // One of those that the candidate asks answers; the last answer decides.
  void AskOne(Node& node) {
    if (node.claim == 0) return;
    if (!node.to_ask.empty()) {
      const auto at =
          std::next(node.to_ask.begin(), static_cast<long>(prng_.Below(node.to_ask.size())));
      Node& asked = **at;
      node.to_ask.erase(at);
      if (prng_.OneIn(8)) return;  // cannot be reached after all
      const Pledge pledge{node.claim, node.name};
      if (!CheckPledge(asked.pledges, asked.tenure, pledge).ok()) return GiveUp(node);
      Give(pledge, &asked.pledges);
      if (&asked != &node) GiveUp(asked);  // whoever pledges to another claims nothing itself
      if (asked.stream != nullptr) asked.follows->Disconnected(now_);  // its stream ends later
      if (asked.leads != nullptr) return;
      node.answers.push_back({asked.name, asked.log, asked.tenure, asked.held});
      return;
    }
    const uint64_t tenure = node.claim;
    const auto choice = ChooseSource({.reachable = node.answers,
                                      .replicas = nodes_.size() - 1,
                                      .acks = acks_,
                                      .wanted = node.name});
    GiveUp(node);
    if (!choice.ok()) return;
    ++promotions_;
    node.tenure = node.held = tenure;
    node.begun = node.log.last();
    node.source = SourceId(next_source_++);
    Restart(node);
    begun_.emplace_back(tenure, node.log);
    for (const auto& [gtid, of] : answered_) {
      if (of < tenure && !node.log.Contains(gtid)) {
        broken_ =
            Text("answered, and not with the source of tenure ", tenure, ": ", FormatGtid(gtid));
      }
    }
  }

  // What a node learns of another one: a source of a higher tenure, a promotion that was given up.
  void LookAbout(Node& node, Node& other) {
    if (node.leads != nullptr && other.leads != nullptr && other.tenure > node.tenure) {
      node.source = SourceId(0);
      return Restart(node);
    }
    if (node.stream != nullptr &&
        !MayFollow(node.pledges, node.stream->tenure, node.stream->name)) {
      Cut(node);
    }
    if (node.stream != nullptr && other.leads != nullptr && other.tenure > node.tenure) Cut(node);
    std::erase_if(node.pledges.binding, [&other](const auto& pledge) {
      return pledge.second == other.name &&
             IsGivenUp({pledge.first, pledge.second}, {other.claim, other.tenure});
    });
  }

  // Answers clients.
  void CarryOut(Node& node) {
    if (node.leads == nullptr) return;
    const TxnSeq through = node.leads->TakeOutput().release_through;
    for (; node.told < through; node.told = node.told.Next()) {
      const TxnSeq seq = node.told.Next();
      const Gtid gtid{*node.leads->history().SourceOf(seq), seq};
      if (!answered_.emplace(gtid, node.tenure).second) continue;
      for (const auto& [tenure, history] : begun_) {
        if (tenure > node.tenure && !history.Contains(gtid)) {
          broken_ = Text("answered by tenure ", node.tenure, " though ", tenure,
                         " began without it: ", FormatGtid(gtid));
        }
      }
    }
  }

  Prng prng_;
  Instant now_;
  size_t acks_ = 1;
  std::vector<Node> nodes_;
  uint64_t next_source_ = 100;
  uint64_t folders_ = 0;                             // ever made
  std::map<Gtid, uint64_t> answered_;                // and the tenure that first answered it
  std::vector<std::pair<uint64_t, GtidSet>> begun_;  // with what each tenure began
  int promotions_ = 0;
  std::string broken_;
};

TEST(PromotionSchedule, WhatWasAnsweredIsWithEveryLaterSource) {
  int promotions = 0;
  size_t answered = 0;
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    PromotionSchedule schedule(seed);
    const std::string broken = schedule.Run();
    ASSERT_EQ(broken, "") << "seed " << seed;
    promotions += schedule.promotions();
    answered += schedule.answered();
  }
  EXPECT_GT(promotions, kSeeds / 2) << "it has shown little";
  EXPECT_GT(answered, static_cast<size_t>(kSeeds)) << "it has shown little";
}

}  // namespace
}  // namespace sextant::binlog
