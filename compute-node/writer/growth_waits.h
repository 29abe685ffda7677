// GrowthWaits: who waits for the volume to hold a page. Not thread-safe.
#pragma once

#include <utility>
#include <vector>

#include "common/base/ids.h"
#include "common/base/instant.h"
#include "compute-node/volume/page_volume.h"

namespace sextant::compute {

class GrowthWaits {
 public:
  struct Wait {
    PageNo page;
    Instant deadline;
    PageVolume::DurableCallback done;
  };

  void Park(Wait wait) { waits_.push_back(std::move(wait)); }
  bool empty() const { return waits_.empty(); }

  // Those for which `is_over` holds, in the order in which they came.
  template <typename IsOver>
  std::vector<Wait> Take(IsOver is_over) {
    std::vector<Wait> over, left;
    for (Wait& wait : waits_) (is_over(wait) ? over : left).push_back(std::move(wait));
    waits_ = std::move(left);
    return over;
  }

 private:
  std::vector<Wait> waits_;
};

}  // namespace sextant::compute
