// WriteOverlay: the pages that a connection's write transaction has changed and not yet published.
//
// Private to one connection. SQLite writes whole pages at commit (never before: cache_spill is
// off); they stay here until the commit appends them as one mini-transaction, or the transaction
// ends.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/status/status.h"
#include "common/base/ids.h"
#include "compute-node/volume/page_volume.h"

namespace sextant::sql {

class WriteOverlay {
 public:
  bool is_open() const { return is_open_; }
  // Whether any page was written since Open().
  bool is_empty() const { return pages_.empty(); }
  // Length of the database as this transaction sees it.
  uint64_t size_pages() const { return size_pages_; }

  void Open(uint64_t size_pages);
  void Put(PageNo page, std::string_view bytes);
  // Forgets pages at or beyond `size_pages`.
  void Truncate(uint64_t size_pages);
  void Drop();

  // The whole page as last written, or null.
  const std::string* Find(PageNo page) const;

  // Reads the head versions that the pages were made on; misses are fetched side by side.
  absl::Status ResolveBases(compute::PageVolume& volume, const compute::ReadView& head);

  // What an append would carry, once bases are resolved.
  struct Redo {
    uint64_t bytes = 0;
    std::vector<PageNo> pages;
  };
  Redo Estimate() const;

  // Hands out the changed pages in page order; empty when none differs from its base. Bases must be
  // resolved. The overlay is closed.
  std::vector<compute::PageWrite> Take();

 private:
  struct Entry {
    compute::PageRef base;
    std::string after;
  };
  bool is_open_ = false;
  uint64_t size_pages_ = 0;
  absl::btree_map<PageNo, Entry> pages_;
};

}  // namespace sextant::sql
