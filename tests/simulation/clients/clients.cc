// See clients.h.
#include "tests/simulation/clients/clients.h"

#include <algorithm>
#include <set>
#include <utility>

namespace sextant::simulation {

struct Clients::View {
  int client;
  uint64_t turn;
  ComputeHost* host;
  uint32_t life;  // of the host's process: a view dies with it
  Lsn point;
  Instant until;
};

Clients::Clients(Sim* sim, const ClientPlan& plan, const volume::Geometry& geometry,
                 const History* history, std::vector<ComputeHost*> computes)
    : sim_(*sim),
      plan_(plan),
      geometry_(geometry),
      history_(*history),
      computes_(std::move(computes)),
      turns_(plan.clients) {}

void Clients::Start() {
  for (int client = 0; client < plan_.clients; ++client) Think(client);
}

void Clients::Think(int client) {
  const uint64_t turn = ++turns_[client];
  sim_.loop.After(sim_.Between(absl::ZeroDuration(), plan_.think_high), kWorld,
                  [this, client, turn] {
                    if (turns_[client] == turn) Next(client);
                  });
}

ComputeHost* Clients::DrawWriter() {
  std::vector<ComputeHost*> open;
  for (ComputeHost* host : computes_) {
    if (host->is_open() && !sim_.loop.IsPaused(host->process())) open.push_back(host);
  }
  return open.empty() ? nullptr : open[sim_.rng.Below(open.size())];
}

void Clients::Next(int client) {
  const bool is_read = is_reading_ && (sim_.rng.OneIn(plan_.read_one_in) || !is_writing_);
  if (is_read && sim_.Happens(plan_.newest_one_in)) return ReadNewest(client);
  ComputeHost* host = DrawWriter();
  if (host == nullptr) return Think(client);
  if (is_read) return OpenView(client, host);
  if (is_writing_) return Commit(client, host);
  Think(client);
}

PageNo Clients::DrawPage(uint64_t pages) {
  const uint64_t bound = sim_.rng.OneIn(2) ? std::min(plan_.hot_pages, pages) : pages;
  // Hot pages are spread over the protection groups.
  return PageNo(sim_.rng.Below(bound) * (pages / bound));
}

std::string Clients::Change(const std::string& before) {
  std::string after = before;
  const bool is_full = sim_.Happens(plan_.full_image_one_in);
  const size_t size = is_full ? after.size() : 1 + sim_.rng.Below(24);
  const size_t offset = is_full ? 0 : sim_.rng.Below(after.size() - size);
  for (size_t i = 0; i < size; i += 8) {
    const uint64_t word = sim_.rng.Next();
    for (size_t k = i; k < std::min(size, i + 8); ++k) {
      after[offset + k] = static_cast<char>(word >> 8 * (k - i));
    }
  }
  return after;
}

void Clients::Commit(int client, ComputeHost* host) {
  compute::Writer& writer = *host->writer();
  std::set<PageNo> pages;
  const bool is_beyond = plan_.more_groups > 0 && sim_.rng.OneIn(plan_.beyond_one_in);
  const uint64_t room = is_beyond
                            ? geometry_.Grown(geometry_.pg_count + plan_.more_groups).PageCount()
                            : writer.geometry().PageCount();
  for (uint64_t n = sim_.rng.Between(1, plan_.max_pages_per_mtr); n > 0; --n) {
    pages.insert(DrawPage(room));
  }
  std::vector<page::PageChange> changes;
  std::vector<std::string> images;
  std::vector<PageNo> changed;
  uint64_t bytes = 0;
  for (const PageNo page : pages) {
    const History::Version base = history_.PageAt(page, host->epoch(), writer.head());
    const std::string before =
        base.image != nullptr ? *base.image : std::string(geometry_.page_bytes, '\0');
    std::string after = Change(before);
    page::Diff diff = page::DiffPages(before, after);
    if (diff.payload.empty()) continue;
    bytes += diff.payload.size() + 48;
    changed.push_back(page);
    changes.push_back({page, base.lsn, diff.is_full_image, std::move(diff.payload)});
    images.push_back(std::move(after));
  }
  if (changes.empty()) return Think(client);
  const absl::Status may = writer.CheckAppend(bytes, changed);
  if (!may.ok()) {
    if (absl::IsOutOfRange(may)) sim_.Count(Rare::kVolumeFull);
    if (changed.back() >= PageNo(writer.geometry().PageCount())) sim_.Count(Rare::kWaitedForGrowth);
    return Think(client);
  }
  const Lsn commit = host->Append(changes, images).commit_lsn;
  const absl::Duration timeout = sim_.Between(absl::Milliseconds(1), plan_.timeout_high);
  const uint64_t turn = turns_[client];
  // The client hears of the outcome, or loses patience with a host that died.
  sim_.loop.After(timeout * 2, kWorld, [this, client, turn] {
    if (turns_[client] == turn) Think(client);
  });
  host->WhenDurable(commit, timeout, [this, client, turn](const absl::Status& status) {
    acked_ += status.ok();
    if (turns_[client] == turn) Think(client);
  });
}

// Of whomever it takes for the writer: one that is paused hears of it when it goes on.
void Clients::ReadNewest(int client) {
  std::vector<ComputeHost*> writers;
  for (ComputeHost* host : computes_) {
    if (host->is_open()) writers.push_back(host);
  }
  if (writers.empty()) return Think(client);
  ComputeHost* host = writers[sim_.rng.Below(writers.size())];
  const PageNo page = DrawPage(host->writer()->geometry().PageCount());
  const absl::Duration timeout = sim_.Between(absl::Milliseconds(1), plan_.timeout_high);
  const uint64_t turn = turns_[client];
  sim_.loop.After(timeout * 2, kWorld, [this, client, turn] {
    if (turns_[client] == turn) Think(client);
  });
  sim_.loop.After(absl::ZeroDuration(), host->process(), [this, host, page, timeout, client, turn] {
    if (!host->is_open()) return;
    if (history_.openings().rbegin()->first > host->epoch()) {
      sim_.Count(Rare::kSucceededWriterAsked);
    }
    host->ReadNewest(page, timeout, [this, client, turn](const absl::Status& status) {
      shown_ += status.ok();
      if (turns_[client] == turn) Think(client);
    });
  });
}

void Clients::OpenView(int client, ComputeHost* host) {
  // Sometimes of the past, as far as it is kept.
  const Lsn vdl = host->writer()->vdl(), oldest = std::min(host->writer()->pgmrpl(), vdl);
  const Lsn point = sim_.rng.OneIn(4) ? oldest + sim_.rng.Between(0, vdl - oldest) : vdl;
  auto view = std::make_shared<View>(
      View{client, turns_[client], host, sim_.loop.life(host->process()), point,
           sim_.loop.now() + sim_.Between(absl::ZeroDuration(), plan_.view_high)});
  host->OpenPoint(view->point);
  ReadNext(view);
}

void Clients::ReadNext(const std::shared_ptr<View>& view) {
  // A host that died took its views with it, and answers nothing any more.
  sim_.loop.After(absl::Seconds(3), kWorld, [this, client = view->client, turn = view->turn] {
    if (turns_[client] == turn) Think(client);
  });
  const PageNo page = DrawPage(view->host->writer()->geometry().PageCount());
  view->host->Read(page, view->point, [this, view](const auto& image) {
    read_ += image.ok();
    if (image.ok() && view->point < view->host->writer()->vdl()) {
      sim_.Count(Rare::kOldReadPointServed);
    }
    const absl::Duration pause = sim_.Between(absl::ZeroDuration(), plan_.view_high / 4);
    sim_.loop.After(pause, view->host->process(), [this, view] {
      const bool is_over = sim_.loop.now() >= view->until || !view->host->is_open();
      if (turns_[view->client] != view->turn) {  // lost patience meanwhile
        view->host->ClosePoint(view->point);
      } else if (is_over) {
        view->host->ClosePoint(view->point);
        Think(view->client);
      } else {
        ReadNext(view);
      }
    });
  });
}

}  // namespace sextant::simulation
