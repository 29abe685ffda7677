// Random schedules of membership changes, crashes and take-overs, held against a dumb model: once a
// record was durable, every recovery finds it, whoever it asks and wherever the writer died.
//
// The model knows no machine but MembershipChanger: a node is an epoch, a membership and an SCL; a
// writer counts; a recovery asks nodes in random order until it has its quorums, dying anywhere.
#include <algorithm>
#include <map>
#include <optional>
#include <vector>

#include "common/base/prng.h"
#include "compute-node/volume/membership_changer.h"
#include "gtest/gtest.h"

namespace sextant::compute {
namespace {

using quorum::Slot;
using volume::Membership;

const std::vector<volume::Member> kNodes = {{"az1-a", "az1"}, {"az1-b", "az1"}, {"az2-a", "az2"},
                                            {"az2-b", "az2"}, {"az3-a", "az3"}, {"az3-b", "az3"},
                                            {"az1-c", "az1"}, {"az2-c", "az2"}, {"az3-c", "az3"}};

struct Node {
  bool holds = false;  // a segment
  Slot slot = 0;
  VolumeEpoch epoch;
  Membership membership;
  Lsn scl;
};

struct TestWriter {
  VolumeEpoch epoch;
  MembershipChanger changer;
  std::vector<Lsn> acked = std::vector<Lsn>(quorum::kMaxSlots);
  Lsn head;
  Lsn pgcl;
};

class Model {
 public:
  explicit Model(uint64_t seed) : prng_(seed) {
    Membership founding;
    founding.members.assign(kNodes.begin(), kNodes.begin() + quorum::kMembers);
    for (size_t i = 0; i < kNodes.size(); ++i) {
      nodes_.push_back(
          {.holds = i < quorum::kMembers, .slot = static_cast<Slot>(i), .membership = founding});
    }
  }

  void Step() {
    const uint64_t dice = prng_.Below(100);
    if (!writer_.has_value() || dice < 5) return Recover();
    if (dice < 15) return Wish();
    if (dice < 50) return Tell(Any());
    if (dice < 60) writer_->head = writer_->head.Next();
    Ship(Any());
  }

  uint64_t changes_finished() const { return finished_; }
  uint64_t takeovers() const { return takeovers_; }

 private:
  size_t Any() { return prng_.Below(nodes_.size()); }
  bool Maybe() { return prng_.Below(100) < 85; }  // a message arrives, a process lives on

  std::optional<Slot> SlotOf(size_t node) const {
    const Node& n = nodes_[node];
    if (!n.holds || !writer_->changer.IsMember(kNodes[node].node, n.slot)) return std::nullopt;
    return n.slot;
  }

  void Wish() {
    const Membership& newest = writer_->changer.newest();
    const std::string& from = kNodes[Any()].node;
    if (prng_.Below(3) == 0) {
      (void)writer_->changer.Undo(from);
    } else {
      const size_t to = Any();
      // As Writer does: not while an old segment is there.
      if (nodes_[to].holds) return Drop(to);
      const MembershipEpoch before = newest.epoch;
      (void)writer_->changer.Replace(from, kNodes[to], prng_.Below(4) == 0, writer_->pgcl);
      if (writer_->changer.newest().epoch != before) {
        writer_->acked[*writer_->changer.newest().SlotOf(kNodes[to].node)] = Lsn();
      }
    }
    Count();
  }

  // A segment that counts no more goes.
  void Drop(size_t node) {
    Node& n = nodes_[node];
    if (SlotOf(node).has_value() || n.epoch > writer_->epoch) return;
    const Membership& in_effect = writer_->changer.in_effect();
    if (n.membership.epoch <= in_effect.epoch) n = {};
  }

  void Tell(size_t node) {
    Node& n = nodes_[node];
    const Membership& newest = writer_->changer.newest();
    if (!n.holds) {  // a candidate's segment is made
      for (const Slot slot : writer_->changer.Candidates()) {
        if (newest.members[slot].node != kNodes[node].node) continue;
        n = {.holds = true, .slot = slot, .membership = newest};
      }
    }
    const std::optional<Slot> slot = SlotOf(node);
    if (!slot.has_value() || n.epoch > writer_->epoch) return;
    n.epoch = writer_->epoch;
    const Membership& told = writer_->changer.ToTell(*slot);
    if (told.epoch > n.membership.epoch) n.membership = told;
    if (Maybe()) writer_->changer.Told(*slot, n.membership.epoch);
    Count();
  }

  void Ship(size_t node) {
    Node& n = nodes_[node];
    const std::optional<Slot> slot = SlotOf(node);
    if (!slot.has_value() || n.epoch != writer_->epoch) return;
    if (Maybe()) n.scl = writer_->head;
    if (Maybe()) writer_->acked[*slot] = n.scl;
    Count();
  }

  void Count() {
    const size_t changes = writer_->changer.newest().changes.size();
    bool is_changed = true;
    while (is_changed) {
      const Lsn durable = writer_->changer.CountingSets().DurableLsn(writer_->acked);
      writer_->pgcl = std::max(writer_->pgcl, durable);
      durable_ = std::max(durable_, writer_->pgcl);
      is_changed = writer_->changer.Advance(writer_->acked);
    }
    if (writer_->changer.newest().changes.size() < changes) ++finished_;
  }

  // Nodes in random order, some of them silent.
  std::vector<size_t> Reachable() {
    std::vector<size_t> order;
    const uint64_t silent_percent = prng_.Below(50);
    for (size_t i = 0; i < nodes_.size(); ++i) {
      if (prng_.Below(100) >= silent_percent) order.push_back(i);
    }
    for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[prng_.Below(i)]);
    return order;
  }

  static bool Counts(const Membership& membership, const Node& n, size_t node) {
    return n.holds && membership.IsActive(n.slot) &&
           membership.members[n.slot].node == kNodes[node].node;
  }

  void Recover() {
    writer_.reset();
    std::optional<Membership> newest;
    VolumeEpoch epoch;
    quorum::SlotSet heard;
    for (const size_t i : Reachable()) {
      const Node& n = nodes_[i];
      if (!n.holds) continue;
      epoch = std::max(epoch, n.epoch);
      if (!newest.has_value() || n.membership.epoch > newest->epoch) newest = n.membership;
    }
    if (!newest.has_value()) return;
    epoch = epoch.Next();
    // Fence, again whenever somebody knows of a newer membership.
    Lsn tail;
    for (bool is_done = false; !is_done;) {
      heard = {};
      tail = Lsn();
      is_done = true;
      for (const size_t i : Reachable()) {
        Node& n = nodes_[i];
        if (!Counts(*newest, n, i) || n.epoch > epoch) continue;
        n.epoch = epoch;
        if (newest->epoch > n.membership.epoch) n.membership = *newest;
        if (n.membership.epoch > newest->epoch) {
          newest = n.membership;
          is_done = false;
          break;
        }
        heard.Insert(n.slot);
        tail = std::max(tail, n.scl);
        if (newest->Sets().IsWriteQuorum(heard) && prng_.Below(2) == 0) break;
      }
    }
    if (!newest->Sets().IsWriteQuorum(heard)) return;  // waits; another tries later
    ASSERT_GE(tail, durable_) << "epoch " << epoch << ", membership "
                              << volume::FormatMembershipEpoch(newest->epoch);
    if (!Maybe()) return;
    // Write back and take over, dying anywhere.
    const Membership mine = volume::TakenOver(*newest, epoch);
    quorum::SlotSet done;
    TestWriter writer{
        .epoch = epoch, .changer = MembershipChanger(mine, tail), .head = tail, .pgcl = tail};
    for (const size_t i : Reachable()) {
      Node& n = nodes_[i];
      if (!Counts(mine, n, i) || n.epoch != epoch || !heard.Contains(n.slot)) continue;
      n.scl = std::max(n.scl, tail);
      n.membership = mine;
      done.Insert(n.slot);
      writer.acked[n.slot] = n.scl;
      if (prng_.Below(30) == 0) return;
    }
    if (!mine.Sets().IsWriteQuorum(done)) return;
    ++takeovers_;
    writer_ = std::move(writer);
    durable_ = std::max(durable_, tail);
  }

  Prng prng_;
  std::vector<Node> nodes_;
  std::optional<TestWriter> writer_;
  Lsn durable_;
  uint64_t finished_ = 0;
  uint64_t takeovers_ = 0;
};

TEST(MembershipSchedule, WhatWasDurableIsFoundByEveryRecovery) {
  uint64_t finished = 0;
  uint64_t takeovers = 0;
  for (uint64_t seed = 1; seed <= 400; ++seed) {
    SCOPED_TRACE(seed);
    Model model(seed);
    for (int step = 0; step < 600 && !HasFailure(); ++step) model.Step();
    ASSERT_FALSE(HasFailure());
    finished += model.changes_finished();
    takeovers += model.takeovers();
  }
  // It went somewhere.
  EXPECT_GT(finished, 400u);
  EXPECT_GT(takeovers, 1000u);
}

}  // namespace
}  // namespace sextant::compute
