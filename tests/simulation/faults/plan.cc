// See plan.h.
#include "tests/simulation/faults/plan.h"

#include <algorithm>

namespace sextant::simulation {
namespace {

// Between `low` and `low` doubled `doublings` times; each doubling is as likely as any other.
uint64_t Spread(Prng* rng, uint64_t low, int doublings) {
  const uint64_t base = low << rng->Below(static_cast<uint64_t>(doublings));
  return rng->Between(base, 2 * base);
}

absl::Duration SpreadMs(Prng* rng, uint64_t low_ms, int doublings) {
  return absl::Microseconds(static_cast<int64_t>(Spread(rng, low_ms * 1000, doublings)));
}

// A chance of one in so many; 0 half of the time.
uint64_t Chance(Prng* rng, uint64_t low, int doublings) {
  return rng->OneIn(2) ? 0 : Spread(rng, low, doublings);
}

// A mean time between strikes; zero in one of `off_one_in`.
absl::Duration Mean(Prng* rng, uint64_t off_one_in, uint64_t low_ms, int doublings) {
  const absl::Duration mean = SpreadMs(rng, low_ms, doublings);
  return rng->OneIn(off_one_in) ? absl::ZeroDuration() : mean;
}

compute::WriterOptions DrawWriter(Prng* rng) {
  compute::WriterOptions options{.max_unacked_bytes = 1ull << rng->Between(11, 20),
                                 .max_retained_bytes = 1ull << rng->Between(11, 20),
                                 .max_member_unacked_bytes = 1ull << rng->Between(8, 18),
                                 .max_batches_in_flight = static_cast<int>(rng->Between(1, 3)),
                                 .max_batch_bytes = rng->Between(1, 2000),
                                 .heartbeat_interval = SpreadMs(rng, 5, 4),
                                 .retry_interval = SpreadMs(rng, 10, 4)};
  // No draw of its own: older seeds keep their meaning.
  options.min_overlap_bytes = options.max_batch_bytes / 4;
  return options;
}

void DrawNetwork(Prng* rng, Plan* plan) {
  plan->link.delay_high = absl::Microseconds(static_cast<int64_t>(Spread(rng, 60, 6)));
  plan->link.slow_one_in = Chance(rng, 8, 6);
  plan->link.lose_one_in = Chance(rng, 8, 6);
  plan->link.duplicate_one_in = Chance(rng, 8, 6);
  plan->stream.reset_one_in = Chance(rng, 50, 5);
  plan->stream.damage_one_in = Chance(rng, 50, 5);
  plan->stream.keepalive = SpreadMs(rng, 20, 4);
}

void DrawDisk(Prng* rng, Plan* plan) {
  plan->disk.sync_high = absl::Microseconds(static_cast<int64_t>(Spread(rng, 60, 6)));
  plan->disk.fail_write_one_in = Chance(rng, 500, 4);
  plan->disk.fail_sync_one_in = Chance(rng, 200, 5);
  plan->disk.fill_one_in = Chance(rng, 200, 5);
  if (rng->OneIn(3)) plan->limping_node = static_cast<int>(rng->Below(quorum::kMembers));
}

void DrawUpkeep(Prng* rng, Plan* plan) {
  plan->upkeep = {.collect = {.min_bytes = Spread(rng, 200, 7), .max_records = Spread(rng, 4, 7)},
                  .scrub = {.interval = SpreadMs(rng, 100, 5),
                            .log_bytes_per_step = Spread(rng, 100, 6),
                            .pages_per_step = rng->Between(1, 6)},
                  .interval = SpreadMs(rng, 5, 5),
                  .pause = absl::Microseconds(static_cast<int64_t>(Spread(rng, 100, 4))),
                  .rest_after_failure = SpreadMs(rng, 50, 3)};
  plan->gossip.rebuild = {.first_backoff = SpreadMs(rng, 10, 4),
                          .max_backoff = absl::Milliseconds(500)};
  plan->gossip.page_repair = {.first_backoff = SpreadMs(rng, 10, 4),
                              .max_backoff = absl::Milliseconds(500),
                              .rest = SpreadMs(rng, 50, 4)};
  plan->gossip.max_copy_bytes = Spread(rng, 512, 4);
  // Whom nobody waits for is rebuilt when it returns.
  if (!rng->OneIn(3)) plan->compute.writer.max_member_absence = SpreadMs(rng, 20, 6);
}

void DrawFaults(Prng* rng, Plan* plan) {
  FaultRates& faults = plan->faults;
  faults.node_kill = Mean(rng, 4, 30, 5);
  faults.node_pause = Mean(rng, 2, 50, 4);
  faults.writer_kill = Mean(rng, 4, 60, 4);
  faults.writer_pause = Mean(rng, 2, 60, 4);
  faults.rival = Mean(rng, 2, 60, 4);
  faults.partition = Mean(rng, 3, 40, 5);
  faults.reset = Mean(rng, 3, 20, 5);
  faults.injury = Mean(rng, 2, 60, 4);
  faults.disk_loss = Mean(rng, 4, 300, 3);
  faults.change = Mean(rng, 3, 30, 5);
  faults.power_one_in = rng->Between(1, 4);
  faults.all_nodes_one_in = Chance(rng, 3, 4);
  faults.kill_in_recovery_one_in = Chance(rng, 1, 3);
}

void DrawReaders(Prng* rng, Plan* plan) {
  ComputePlan& compute = plan->compute;
  compute.followers = {.hold = SpreadMs(rng, 200, 3), .heartbeat = SpreadMs(rng, 5, 4)};
  compute.redo_ring_bytes = Spread(rng, 300, 6);
  compute.redo_message_bytes = Spread(rng, 64, 6);
  compute.notice_changes = rng->Between(3, 8);
  compute.too_large_changes = compute.notice_changes + rng->Between(0, 2);
  compute.reader_pending_bytes = Spread(rng, 2000, 8);
  compute.cache_bytes = Spread(rng, 1000, 5);
  compute.remembered_changes = Spread(rng, 1, 8);
  plan->faults.reader_kill = Mean(rng, 2, 100, 3);
  plan->faults.reader_pause = Mean(rng, 2, 60, 4);
}

void DrawGrowth(Prng* rng, Plan* plan) {
  compute::GrowthOptions& growth = plan->compute.writer.growth;
  growth.ahead_divisor = rng->Between(1, 8);
  growth.max_groups_per_step = static_cast<uint32_t>(rng->Between(1, 3));
  growth.retry_interval = SpreadMs(rng, 10, 4);
  // Room for all that is wanted, for a group less, or for all the same.
  const uint64_t most = plan->geometry.pg_count + plan->clients.more_groups;
  const uint64_t groups = rng->OneIn(4) ? most - 1 : rng->OneIn(2) ? most : most + 5;
  growth.max_volume_bytes = groups * plan->geometry.pages_per_pg * plan->geometry.page_bytes;
}

// Of a stream of its own: days without it are as they were before there was any.
void DrawEnds(Prng rng, FaultRates* faults) {
  Prng own(rng.Next());
  if (own.OneIn(4)) faults->ends = SpreadMs(&own, 60, 4);
}

// Likewise: claimants die one after the other while they truncate, so that what some members were
// told of differs from what the next recovery finds.
void DrawRecoveries(Prng rng, FaultRates* faults) {
  for (int i = 0; i < 2; ++i) rng.Next();
  Prng own(rng.Next());
  if (!own.OneIn(8)) return;
  faults->kills_while_truncating = true;
  faults->kill_in_recovery_one_in = own.Between(1, 2);
  faults->writer_kill = SpreadMs(&own, 30, 3);
  faults->rival = SpreadMs(&own, 10, 3);
  faults->partition = SpreadMs(&own, 10, 3);
  faults->partition_high = SpreadMs(&own, 20, 3);
}

// Likewise.
void DrawLostPageWrites(Prng rng, DiskPlan* disk) {
  rng.Next();
  Prng own(rng.Next());
  if (own.OneIn(4)) disk->lose_page_write_one_in = Spread(&own, 2, 4);
}

// Likewise.
void DrawPromotions(Prng rng, FaultRates* faults) {
  for (int i = 0; i < 3; ++i) rng.Next();
  Prng own(rng.Next());
  if (own.OneIn(4)) faults->promotion = SpreadMs(&own, 60, 4);
}

// Time-outs that no answer could meet would make every day the same.
void FitTimeouts(Plan* plan) {
  const absl::Duration round = 4 * plan->link.delay_high + 2 * plan->disk.sync_high;
  for (absl::Duration* timeout : {&plan->compute.call_timeout, &plan->stream.keepalive,
                                  &plan->gossip.patience, &plan->compute.recovery.retry_interval}) {
    *timeout = std::max(*timeout, 2 * round);
  }
  plan->clients.timeout_high = std::max(plan->clients.timeout_high, 10 * round);
}

}  // namespace

Plan DrawPlan(Prng* rng) {
  Plan plan;
  plan.geometry = {.page_bytes = 512,
                   .pages_per_pg = rng->Between(2, 12),
                   .pg_count = static_cast<uint32_t>(rng->Between(1, 3))};
  plan.is_beyond_budget = rng->OneIn(20);
  plan.is_founding_faulty = rng->OneIn(4);
  // Three damaged members are what must be survived; then none of them may be lost altogether, or
  // no write quorum would be left to go on with.
  plan.max_lost = static_cast<int>(rng->Below(3));
  plan.max_injured = plan.max_lost > 0 ? 2 : 3;
  if (plan.is_beyond_budget) {
    // One disk stays: six empty ones are what a volume is founded on (seed 1522273).
    plan.max_injured = quorum::kMembers;
    plan.max_lost = quorum::kMembers - 1;
  }
  plan.day = SpreadMs(rng, 500, 2);
  DrawNetwork(rng, &plan);
  DrawDisk(rng, &plan);
  DrawFaults(rng, &plan);
  plan.gossip = {.machine = {.grace = SpreadMs(rng, 5, 5),
                             .first_backoff = SpreadMs(rng, 10, 4),
                             .max_backoff = absl::Milliseconds(500)},
                 .interval = SpreadMs(rng, 10, 3),
                 .peer_rest = SpreadMs(rng, 20, 4),
                 .patience = SpreadMs(rng, 20, 4)};
  plan.compute.writer = DrawWriter(rng);
  plan.compute.recovery = {.lal = rng->OneIn(2) ? rng->Between(8, 60) : 10'000,
                           .retry_interval = SpreadMs(rng, 10, 4)};
  plan.compute.opening_retry = SpreadMs(rng, 10, 3);
  plan.compute.call_timeout = SpreadMs(rng, 10, 4);
  plan.compute.reconnect_high = SpreadMs(rng, 5, 4);
  plan.clients = {.clients = static_cast<int>(rng->Between(1, 5)),
                  .think_high = absl::Microseconds(static_cast<int64_t>(Spread(rng, 1000, 5))),
                  .read_one_in = rng->Between(2, 8),
                  .newest_one_in = rng->Between(2, 4),
                  .max_pages_per_mtr = rng->Between(1, 6),
                  .hot_pages = rng->Between(1, 6),
                  .more_groups = static_cast<uint32_t>(rng->OneIn(2) ? 0 : rng->Between(1, 3)),
                  .beyond_one_in = Spread(rng, 4, 4),
                  .full_image_one_in = Chance(rng, 2, 5),
                  .timeout_high = SpreadMs(rng, 20, 5),
                  .view_high = SpreadMs(rng, 10, 5)};
  DrawUpkeep(rng, &plan);
  DrawReaders(rng, &plan);
  DrawGrowth(rng, &plan);
  FitTimeouts(&plan);
  DrawEnds(*rng, &plan.faults);
  DrawLostPageWrites(*rng, &plan.disk);
  DrawPromotions(*rng, &plan.faults);
  DrawRecoveries(*rng, &plan.faults);
  return plan;
}

}  // namespace sextant::simulation
