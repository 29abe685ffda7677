// What one acknowledgement costs in quorum arithmetic: PGCL from the members' SCLs.
#include <benchmark/benchmark.h>

#include <array>
#include <vector>

#include "common/base/prng.h"
#include "common/quorum/quorum.h"

namespace sextant::quorum {
namespace {

// Argument: 1 member set at rest, 2 during a membership change.
QuorumSets SetsFor(int64_t sets) {
  std::vector<SlotSet> slot_sets = {SlotSet{0, 1, 2, 3, 4, 5}};
  if (sets == 2) slot_sets.push_back(SlotSet{0, 1, 2, 3, 4, 6});
  return QuorumSets(slot_sets);
}

void BM_DurableLsn(benchmark::State& state) {
  const QuorumSets quorum = SetsFor(state.range(0));
  Prng prng(1);
  std::array<Lsn, kMaxSlots> scls;
  for (Lsn& scl : scls) scl = Lsn(prng.Below(1'000'000));
  size_t slot = 0;
  for (auto _ : state) {
    scls[slot] = scls[slot] + 3;  // an ack moves one member on
    slot = (slot + 1) % kMembers;
    benchmark::DoNotOptimize(quorum.DurableLsn(scls));
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_DurableLsn)->Name("quorum/durable_lsn")->Arg(1)->Arg(2);

void BM_IsWriteQuorum(benchmark::State& state) {
  const QuorumSets quorum = SetsFor(state.range(0));
  SlotSet answered;
  Slot slot = 0;
  for (auto _ : state) {
    answered.Contains(slot) ? answered.Erase(slot) : answered.Insert(slot);
    slot = static_cast<Slot>((slot + 1) % kMembers);
    benchmark::DoNotOptimize(quorum.IsWriteQuorum(answered));
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_IsWriteQuorum)->Name("quorum/is_write_quorum")->Arg(1)->Arg(2);

}  // namespace
}  // namespace sextant::quorum
