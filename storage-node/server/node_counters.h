// NodeCounters: StorageNodeCounters as they are counted. Internal to server/.
#pragma once

#include <atomic>
#include <cstdint>

#include "storage-node/server/storage_node.h"

namespace sextant::storage {

class Counter {
 public:
  void Add(uint64_t n = 1) { value_.fetch_add(n, std::memory_order_relaxed); }
  uint64_t Get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

struct NodeCounters {
  Counter batches, records, batch_bytes, commits;
  Counter page_reads, page_read_errors, records_applied, pages_stored, damaged_pages;
  Counter collect_rounds, collect_failures;
  Counter pages_copied, damaged_batches, scrub_passes, scrub_bytes;
  Counter refused_fenced, refused_damaged, refused_no_space, refused_backlog;

  StorageNodeCounters Read() const {
    return {.batches = batches.Get(),
            .records = records.Get(),
            .batch_bytes = batch_bytes.Get(),
            .commits = commits.Get(),
            .page_reads = page_reads.Get(),
            .page_read_errors = page_read_errors.Get(),
            .records_applied = records_applied.Get(),
            .pages_stored = pages_stored.Get(),
            .pages_copied = pages_copied.Get(),
            .refused_fenced = refused_fenced.Get(),
            .refused_damaged = refused_damaged.Get(),
            .refused_no_space = refused_no_space.Get(),
            .refused_backlog = refused_backlog.Get(),
            .collect_rounds = collect_rounds.Get(),
            .collect_failures = collect_failures.Get(),
            .damaged_pages = damaged_pages.Get(),
            .damaged_batches = damaged_batches.Get(),
            .scrub_passes = scrub_passes.Get(),
            .scrub_bytes = scrub_bytes.Get()};
  }
};

}  // namespace sextant::storage
