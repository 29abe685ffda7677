// See volume_reads.h.
#include "compute-node/net/volume_reads.h"

#include <future>
#include <utility>

#include "common/rpc/clock.h"

namespace sextant::compute {
namespace {

// Of one prefetch request: about 256 KiB of the usual pages.
constexpr size_t kPrefetchPages = 64;

absl::Status ShutDownError() { return absl::UnavailableError("this node is shutting down"); }

}  // namespace

struct VolumeReads::Fetch {
  PgId pg;
  std::vector<PageNo> pages;
  ReadGrant grant;
  Instant since;
};

VolumeReads::VolumeReads(PageCache* cache, PageFetcher* fetcher, ReadSource* source)
    : cache_(*cache), fetcher_(*fetcher), source_(*source) {}

void VolumeReads::Read(PgId pg, PageNo page, Lsn at, Done done) {
  if (PageRef hit = cache_.Get(page, at)) return done(std::move(hit));
  {
    std::unique_lock lock(mutex_);
    if (is_shut_down_) {
      lock.unlock();
      return done(ShutDownError());
    }
    auto& waiters = flights_[page];
    const bool is_first = waiters.empty();
    waiters.push_back({at, is_first, std::move(done)});
    if (!is_first) return;
  }
  StartFetch(pg, {page}, at);
}

absl::StatusOr<PageRef> VolumeReads::ReadBlocking(PgId pg, PageNo page, Lsn at) {
  if (PageRef hit = cache_.Get(page, at)) return hit;
  auto promise = std::make_shared<std::promise<absl::StatusOr<PageRef>>>();
  auto future = promise->get_future();
  Read(pg, page, at,
       [promise](absl::StatusOr<PageRef> result) { promise->set_value(std::move(result)); });
  return future.get();
}

void VolumeReads::Prefetch(PgId pg, const std::vector<PageNo>& pages, Lsn at) {
  std::vector<PageNo> missing;
  const auto fetch = [&] {
    if (!missing.empty()) StartFetch(pg, std::exchange(missing, {}), at);
  };
  for (PageNo page : pages) {
    if (cache_.Get(page, at)) continue;
    {
      std::lock_guard lock(mutex_);
      if (is_shut_down_) return;
      auto& waiters = flights_[page];
      if (!waiters.empty()) continue;
      waiters.push_back({at, /*is_first=*/true, nullptr});
    }
    missing.push_back(page);
    if (missing.size() == kPrefetchPages) fetch();
  }
  fetch();
}

void VolumeReads::StartFetch(PgId pg, std::vector<PageNo> pages, Lsn at) {
  auto fetch = std::make_shared<Fetch>();
  fetch->pg = pg;
  fetch->pages = std::move(pages);
  fetch->since = rpc::SteadyNow();
  absl::StatusOr<ReadGrant> grant = source_.BeginRead(pg, at);
  if (!grant.ok()) {
    for (PageNo page : fetch->pages) PageDone(*fetch, page, grant.status());
    return;
  }
  fetch->grant = *grant;
  PageFetch request;
  request.request = {.segment = grant->segment,
                     .epoch = grant->epoch,
                     .read_point = grant->read_point,
                     .pg_lsn = grant->pg_lsn,
                     .pages = fetch->pages};
  request.page_bytes = grant->page_bytes;
  request.complete = [this, grant = *grant] { return source_.CompleteNodes(grant); };
  fetcher_.Fetch(std::move(request), [this, fetch](absl::StatusOr<protocol::ReadPagesReply> reply) {
    FetchDone(*fetch, std::move(reply));
  });
}

void VolumeReads::FetchDone(const Fetch& fetch, absl::StatusOr<protocol::ReadPagesReply> reply) {
  source_.EndRead(fetch.grant);
  source_.Fetched(rpc::SteadyNow() - fetch.since);
  if (absl::IsFailedPrecondition(reply.status())) source_.Fenced();
  for (size_t i = 0; i < fetch.pages.size(); ++i) {
    if (!reply.ok()) {
      PageDone(fetch, fetch.pages[i], reply.status());
      continue;
    }
    auto image = std::make_shared<const page::PageImage>(std::move(reply->pages[i]));
    PageDone(fetch, fetch.pages[i],
             cache_.InsertRead(fetch.pages[i], std::move(image), fetch.grant.read_point));
  }
}

void VolumeReads::PageDone(const Fetch& fetch, PageNo page, const absl::StatusOr<PageRef>& result) {
  std::vector<Waiter> waiters;
  {
    std::lock_guard lock(mutex_);
    const auto flight = flights_.find(page);
    if (flight == flights_.end()) return;  // shut down
    waiters = std::move(flight->second);
    flights_.erase(flight);
  }
  for (Waiter& waiter : waiters) {
    if (!waiter.done) continue;
    if (waiter.is_first || !result.ok()) {
      waiter.done(result);
    } else {
      // Another read point than the fetch's: usually cached now, else a fetch of its own.
      Read(fetch.pg, page, waiter.at, std::move(waiter.done));
    }
  }
}

void VolumeReads::Shutdown() {
  std::map<PageNo, std::vector<Waiter>> flights;
  {
    std::lock_guard lock(mutex_);
    is_shut_down_ = true;
    flights.swap(flights_);
  }
  for (auto& [page, waiters] : flights) {
    for (Waiter& waiter : waiters) {
      if (waiter.done) waiter.done(ShutDownError());
    }
  }
}

}  // namespace sextant::compute
