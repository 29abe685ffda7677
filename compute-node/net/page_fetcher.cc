// See page_fetcher.h.
#include "compute-node/net/page_fetcher.h"

#include <algorithm>
#include <utility>

#include "common/base/text.h"
#include "common/rpc/clock.h"

namespace sextant::compute {
namespace {

absl::Status CheckReply(const PageFetch& fetch, const protocol::ReadPagesReply& reply,
                        const std::string& node) {
  if (reply.pages.size() != fetch.request.pages.size()) {
    return absl::DataLossError(Text("storage node ", node, " answered ", reply.pages.size(),
                                    " pages for ", fetch.request.pages.size()));
  }
  for (const page::PageImage& image : reply.pages) {
    if (image.bytes.size() != fetch.page_bytes || image.lsn > fetch.request.read_point) {
      return absl::DataLossError(Text("storage node ", node, " answered a page of ",
                                      image.bytes.size(), " bytes at lsn ", image.lsn,
                                      " for read point ", fetch.request.read_point));
    }
  }
  return absl::OkStatus();
}

}  // namespace

// Kept alive by its requests and timers; `mutex_` is held over neither.
class PageFetcher::Run : public std::enable_shared_from_this<Run> {
 public:
  Run(PageFetcher* owner, PageFetch fetch, Done<protocol::ReadPagesReply> done)
      : owner_(*owner),
        fetch_(std::move(fetch)),
        done_(std::move(done)),
        deadline_(rpc::SteadyNow() + owner->options_.deadline) {}

  void StartRound() {
    auto members = owner_.Rank(fetch_.complete());
    {
      std::lock_guard lock(mutex_);
      members_ = std::move(members);
      next_ = 0;
      answers_ = {};
    }
    if (!AskNext(/*is_hedge=*/false)) EndRound();
  }

 private:
  // What the members of this round said.
  struct Answers {
    int damaged = 0;
    int out_of_range = 0;
    int other = 0;
    absl::Status last;
  };

  // False when nobody is left to ask in this round.
  bool AskNext(bool is_hedge) {
    NodeIndex node;
    {
      std::lock_guard lock(mutex_);
      if (is_done_ || next_ >= members_.size()) return is_done_;
      node = members_[next_++];
      ++in_flight_;
    }
    owner_.requests_.fetch_add(1, std::memory_order_relaxed);
    if (is_hedge) owner_.hedges_.fetch_add(1, std::memory_order_relaxed);
    const Instant sent = rpc::SteadyNow();
    ArmHedge(node, sent);
    owner_.peers_[node.value()]->ReadPages(
        fetch_.request, std::min(owner_.options_.attempt_timeout, deadline_ - sent),
        [self = shared_from_this(), node, sent,
         is_hedge](absl::StatusOr<protocol::ReadPagesReply> reply) {
          self->Answered(node, sent, is_hedge, std::move(reply));
        });
    return true;
  }

  void ArmHedge(NodeIndex node, Instant sent) {
    const auto timer =
        owner_.timers_->After(owner_.HedgeDelay(node), [weak = weak_from_this(), node, sent] {
          const auto self = weak.lock();
          if (!self || !self->IsUnderWay()) return;
          {
            std::lock_guard lock(self->owner_.mutex_);
            self->owner_.choice_.Late(node, rpc::SteadyNow() - sent);
          }
          self->AskNext(/*is_hedge=*/true);
        });
    TimerQueue::Id old = 0;
    {
      std::lock_guard lock(mutex_);
      old = std::exchange(hedge_timer_, timer);
    }
    if (old != 0) owner_.timers_->Cancel(old);
  }

  bool IsUnderWay() {
    std::lock_guard lock(mutex_);
    return !is_done_;
  }

  void Answered(NodeIndex node, Instant sent, bool is_hedge,
                absl::StatusOr<protocol::ReadPagesReply> reply) {
    const Instant now = rpc::SteadyNow();
    if (reply.ok()) {
      absl::Status checked = CheckReply(fetch_, *reply, owner_.peers_[node.value()]->node());
      if (!checked.ok()) reply = std::move(checked);
    }
    {
      std::lock_guard lock(owner_.mutex_);
      if (reply.ok()) {
        owner_.choice_.Answered(node, now - sent);
      } else {
        owner_.choice_.Failed(node, now);
      }
    }
    const bool is_final =
        reply.ok() || reply.status().code() == absl::StatusCode::kFailedPrecondition;
    bool is_round_over = false;
    {
      std::lock_guard lock(mutex_);
      --in_flight_;
      if (is_done_) return;
      if (!is_final) Note(reply.status());
      is_round_over = in_flight_ == 0 && next_ >= members_.size();
    }
    if (is_final) {
      if (is_hedge && reply.ok()) owner_.hedge_wins_.fetch_add(1, std::memory_order_relaxed);
      return Finish(std::move(reply));
    }
    owner_.retries_.fetch_add(1, std::memory_order_relaxed);
    if (!AskNext(/*is_hedge=*/false) && is_round_over) EndRound();
  }

  void Note(const absl::Status& error) {
    answers_.last = error;
    switch (error.code()) {
      case absl::StatusCode::kDataLoss:
        ++answers_.damaged;
        break;
      case absl::StatusCode::kOutOfRange:
        ++answers_.out_of_range;
        break;
      default:
        ++answers_.other;
    }
  }

  // Everybody was asked in vain: once more after a pause, or give up.
  void EndRound() {
    Answers answers;
    {
      std::lock_guard lock(mutex_);
      answers = answers_;
    }
    const bool is_hopeless = answers.damaged > 0 && answers.out_of_range + answers.other == 0;
    if (is_hopeless) return Finish(answers.last);
    if (rpc::SteadyNow() + owner_.options_.round_pause >= deadline_) {
      if (answers.out_of_range > 0 && answers.damaged + answers.other == 0) {
        return Finish(answers.last);
      }
      return Finish(absl::UnavailableError(
          Text("no complete segment of pg ", fetch_.request.segment.pg,
               " answered a page read at lsn ", fetch_.request.read_point, " in time: ",
               answers.last.ok() ? "none is known to be complete and reachable"
                                 : View(answers.last.message()))));
    }
    owner_.timers_->After(owner_.options_.round_pause,
                          [self = shared_from_this()] { self->StartRound(); });
  }

  void Finish(absl::StatusOr<protocol::ReadPagesReply> reply) {
    TimerQueue::Id timer = 0;
    {
      std::lock_guard lock(mutex_);
      if (std::exchange(is_done_, true)) return;
      timer = std::exchange(hedge_timer_, 0);
    }
    if (timer != 0) owner_.timers_->Cancel(timer);
    done_(std::move(reply));
    done_ = nullptr;
  }

  PageFetcher& owner_;
  const PageFetch fetch_;
  Done<protocol::ReadPagesReply> done_;
  const Instant deadline_;
  std::mutex mutex_;  // of what follows
  std::vector<NodeIndex> members_;
  size_t next_ = 0;
  int in_flight_ = 0;
  bool is_done_ = false;
  Answers answers_;
  TimerQueue::Id hedge_timer_ = 0;
};

PageFetcher::PageFetcher(std::vector<StoragePeer*> peers, TimerQueue* timers, Options options,
                         uint64_t seed)
    : peers_(std::move(peers)),
      timers_(timers),
      options_(options),
      choice_(peers_.size(), options.choice),
      prng_(seed) {}

void PageFetcher::Fetch(PageFetch fetch, Done<protocol::ReadPagesReply> done) {
  fetches_.fetch_add(1, std::memory_order_relaxed);
  std::make_shared<Run>(this, std::move(fetch), std::move(done))->StartRound();
}

std::vector<NodeIndex> PageFetcher::Rank(std::vector<NodeIndex> complete) {
  std::lock_guard lock(mutex_);
  return choice_.Rank(std::move(complete), rpc::SteadyNow(), &prng_);
}

absl::Duration PageFetcher::HedgeDelay(NodeIndex node) const {
  std::lock_guard lock(mutex_);
  return choice_.HedgeDelay(node);
}

PageFetcherCounters PageFetcher::counters() const {
  return {fetches_, requests_, hedges_, hedge_wins_, retries_};
}

absl::Duration PageFetcher::MeanLatency(NodeIndex node) const {
  std::lock_guard lock(mutex_);
  return choice_.MeanLatency(node);
}

}  // namespace sextant::compute
