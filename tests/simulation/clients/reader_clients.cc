// See reader_clients.h.
#include "tests/simulation/clients/reader_clients.h"

#include <utility>

namespace sextant::simulation {

struct ReaderClients::View {
  int client;
  uint64_t turn;
  ReaderHost* host;
  Lsn point;
  Instant until;
};

ReaderClients::ReaderClients(Sim* sim, const ClientPlan& plan, const volume::Geometry& geometry,
                             std::vector<ReaderHost*> readers)
    : sim_(*sim),
      plan_(plan),
      geometry_(geometry),
      readers_(std::move(readers)),
      turns_(static_cast<size_t>(plan.clients)) {}

void ReaderClients::Start() {
  for (int client = 0; client < plan_.clients; ++client) Think(client);
}

void ReaderClients::Think(int client) {
  const uint64_t turn = ++turns_[client];
  sim_.loop.After(sim_.Between(absl::ZeroDuration(), plan_.think_high), kWorld,
                  [this, client, turn] {
                    if (turns_[client] == turn) Next(client);
                  });
}

void ReaderClients::Next(int client) {
  if (!is_reading_) return;
  ReaderHost* host = readers_[sim_.rng.Below(readers_.size())];
  if (!host->is_open() || sim_.loop.IsPaused(host->process())) return Think(client);
  auto view = std::make_shared<View>(
      View{client, turns_[client], host, host->published(),
           sim_.loop.now() + sim_.Between(absl::ZeroDuration(), plan_.view_high)});
  host->OpenPoint(view->point);
  ReadNext(view);
}

void ReaderClients::ReadNext(const std::shared_ptr<View>& view) {
  // A host that died took its views with it, and answers nothing any more.
  sim_.loop.After(absl::Seconds(3), kWorld, [this, client = view->client, turn = view->turn] {
    if (turns_[client] == turn) Think(client);
  });
  const PageNo page(sim_.rng.Below(geometry_.PageCount()));
  view->host->Read(page, view->point, [this, view](const auto& image) {
    read_ += image.ok();
    const absl::Duration pause = sim_.Between(absl::ZeroDuration(), plan_.view_high / 8);
    sim_.loop.After(pause, view->host->process(), [this, view, ok = image.ok()] {
      const bool is_late = turns_[view->client] != view->turn;
      if (!is_late && ok && sim_.loop.now() < view->until) return ReadNext(view);
      view->host->ClosePoint(view->point);
      if (!is_late) Think(view->client);
    });
  });
}

}  // namespace sextant::simulation
