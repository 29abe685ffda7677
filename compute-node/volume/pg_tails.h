// PgTails: each protection group's last LSN, at the head and at VDL, as snapshots to share. Core.
//
// A reader of a page at some read point must know through which LSN the page's group has to be
// complete (ReadPagesRequest::pg_lsn). Snapshots are immutable and shared; the vector is copied
// only when it changes after a snapshot was handed out.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "common/base/check.h"
#include "common/base/ids.h"
#include "common/log/lsn.h"

namespace sextant::compute {

class PgTails {
 public:
  explicit PgTails(std::vector<Lsn> tails)
      : tails_(std::make_shared<std::vector<Lsn>>(std::move(tails))) {}

  // One more protection group, without a record.
  void AddGroup() { Mutable().emplace_back(); }

  void Advance(PgId pg, Lsn last) {
    Lsn& tail = Mutable()[pg.value()];
    SEXTANT_CHECK(last > tail) << "tail of pg " << pg << " from " << tail << " to " << last;
    tail = last;
  }
  Lsn Get(PgId pg) const { return (*tails_)[pg.value()]; }
  // By PG.
  std::shared_ptr<const std::vector<Lsn>> Snapshot() {
    is_shared_ = true;
    return tails_;
  }

 private:
  std::vector<Lsn>& Mutable() {
    // The reference count is not asked: snapshots are dropped on other threads.
    if (is_shared_) tails_ = std::make_shared<std::vector<Lsn>>(*tails_);
    is_shared_ = false;
    return *tails_;
  }

  std::shared_ptr<std::vector<Lsn>> tails_;
  bool is_shared_ = false;
};

}  // namespace sextant::compute
