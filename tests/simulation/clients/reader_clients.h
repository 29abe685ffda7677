// ReaderClients: what an application does on readers. Views at what a reader shows, held for a
// while, pages read at them; some again and again, so that the cache answers. They judge nothing.
#pragma once

#include <memory>
#include <vector>

#include "tests/simulation/clients/clients.h"
#include "tests/simulation/compute/reader_host.h"

namespace sextant::simulation {

class ReaderClients {
 public:
  ReaderClients(Sim* sim, const ClientPlan& plan, const volume::Geometry& geometry,
                std::vector<ReaderHost*> readers);

  void Start();
  // No new views.
  void Stop() { is_reading_ = false; }
  uint64_t read() const { return read_; }

 private:
  struct View;
  void Think(int client);
  void Next(int client);
  void ReadNext(const std::shared_ptr<View>& view);

  Sim& sim_;
  const ClientPlan plan_;
  const volume::Geometry geometry_;
  const std::vector<ReaderHost*> readers_;
  bool is_reading_ = true;
  std::vector<uint64_t> turns_;  // by client
  uint64_t read_ = 0;
};

}  // namespace sextant::simulation
