// See redo_feed.h.
#include "compute-node/writer/redo_feed.h"

#include <algorithm>
#include <utility>

#include "common/protocol/mtr_codec.h"

namespace sextant::compute {
namespace {

// A larger one is told without its payloads: readers drop those pages.
constexpr uint64_t kMaxPayloadBytes = 1 << 20;
// What fits a message with room to spare (common/rpc/channel.h).
constexpr size_t kMaxMtrBytes = 8 << 20;

uint64_t PayloadBytes(const AppendedMtr& mtr) {
  uint64_t bytes = 0;
  for (const page::PageChange& change : mtr.changes) bytes += change.payload.size();
  return bytes;
}

}  // namespace

const std::string* MtrEncoder::Encode(const AppendedMtr& mtr) {
  const auto found = std::ranges::lower_bound(newest_, mtr.commit_lsn, {}, &Encoded::commit_lsn);
  if (found != newest_.end() && found->commit_lsn == mtr.commit_lsn) {
    return found->bytes.empty() ? nullptr : &found->bytes;
  }
  Encoded encoded{mtr.commit_lsn, {}};
  protocol::EncodeMtr(mtr, PayloadBytes(mtr) > kMaxPayloadBytes, &encoded.bytes);
  if (encoded.bytes.size() > kMaxMtrBytes) encoded.bytes.clear();
  Encoded* kept = &last_;
  if (found == newest_.end()) {
    bytes_ += encoded.bytes.size();
    kept = &newest_.emplace_back();
  }
  *kept = std::move(encoded);
  while (bytes_ > max_bytes_ && newest_.size() > 1) {
    bytes_ -= newest_.front().bytes.size();
    newest_.pop_front();
  }
  return kept->bytes.empty() ? nullptr : &kept->bytes;
}

void RedoFeed::Start(absl::Duration idle, std::function<bool()> feed) {
  thread_ = std::thread([this, idle, feed = std::move(feed)] { Run(idle, feed); });
}

void RedoFeed::Wake() {
  if (is_wanted_.exchange(true, std::memory_order_acq_rel)) return;
  std::lock_guard lock(mutex_);
  wake_.notify_one();
}

void RedoFeed::Stop() {
  {
    std::lock_guard lock(mutex_);
    is_stopping_ = true;
    wake_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

void RedoFeed::Run(absl::Duration idle, const std::function<bool()>& feed) {
  std::unique_lock lock(mutex_);
  while (!is_stopping_) {
    lock.unlock();
    is_wanted_.store(false, std::memory_order_release);
    const bool has_sent = feed();
    lock.lock();
    // Not woken by what comes before the interval is over.
    if (has_sent) {
      wake_.wait_for(lock, absl::ToChronoNanoseconds(interval_), [this] { return is_stopping_; });
    }
    wake_.wait_for(lock, absl::ToChronoNanoseconds(idle),
                   [this] { return is_stopping_ || is_wanted_.load(std::memory_order_acquire); });
  }
}

}  // namespace sextant::compute
