// Clients: what an application does to a volume. They judge nothing.
//
// Each client has one thing under way at a time: a commit (some pages changed, then a wait for
// durability with a time-out) or a view (a read point held open for a while, pages read at it). It
// turns to any compute node that says it is the writer, also an old one that does not know better.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/simulation/check/history.h"
#include "tests/simulation/compute/compute_host.h"

namespace sextant::simulation {

struct ClientPlan {
  int clients = 3;
  absl::Duration think_high = absl::Milliseconds(5);
  uint64_t read_one_in = 4;    // of what clients do
  uint64_t newest_one_in = 2;  // of reads: of the newest, at whoever may be the writer
  uint64_t max_pages_per_mtr = 4;
  uint64_t hot_pages = 4;  // half of all changes go to so many pages
  // The volume grows by so many groups, when changes go to pages beyond its end.
  uint32_t more_groups = 0;
  uint64_t beyond_one_in = 8;
  uint64_t full_image_one_in = 8;
  absl::Duration timeout_high = absl::Milliseconds(300);
  absl::Duration view_high = absl::Milliseconds(100);
};

class Clients {
 public:
  Clients(Sim* sim, const ClientPlan& plan, const volume::Geometry& geometry,
          const History* history, std::vector<ComputeHost*> computes);

  void Start();
  // No new commits; reads go on.
  void StopWriting() { is_writing_ = false; }
  void ResumeWriting() { is_writing_ = true; }
  // No new views either.
  void StopReading() { is_reading_ = false; }

  uint64_t acked() const { return acked_; }
  uint64_t read() const { return read_; }
  uint64_t shown() const { return shown_; }

 private:
  struct View;

  void Next(int client);
  void Think(int client);
  ComputeHost* DrawWriter();
  void Commit(int client, ComputeHost* host);
  void OpenView(int client, ComputeHost* host);
  void ReadNewest(int client);
  void ReadNext(const std::shared_ptr<View>& view);
  // The page after a change to it: a few bytes, or all of it.
  std::string Change(const std::string& before);
  PageNo DrawPage(uint64_t pages);

  Sim& sim_;
  const ClientPlan plan_;
  const volume::Geometry geometry_;
  const History& history_;
  const std::vector<ComputeHost*> computes_;
  bool is_writing_ = true;
  bool is_reading_ = true;
  std::vector<uint64_t> turns_;  // by client: which of its operations is under way
  uint64_t acked_ = 0;
  uint64_t read_ = 0;
  uint64_t shown_ = 0;  // of the newest
};

}  // namespace sextant::simulation
