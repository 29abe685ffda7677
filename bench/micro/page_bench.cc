// What it costs to find the difference of two 4 KiB pages and to apply it. Bytes are page bytes.
#include <benchmark/benchmark.h>

#include <string>

#include "common/base/check.h"
#include "common/base/prng.h"
#include "common/page/delta.h"

namespace sextant::page {
namespace {

// A page and the same with `edits` places of `bytes` changed bytes each.
struct Pages {
  Pages(int64_t edits, int64_t bytes) {
    Prng prng(1);
    for (uint32_t i = 0; i < kDefaultPageBytes; ++i) {
      before.push_back(static_cast<char>(prng.Next()));
    }
    after = before;
    const auto size = static_cast<size_t>(bytes);
    for (; edits > 0; --edits) {
      const size_t offset = prng.Below(after.size() - size + 1);
      for (size_t i = 0; i < size; ++i) after[offset + i] = static_cast<char>(~before[offset + i]);
    }
  }
  std::string before, after;
};

void BM_DiffPages(benchmark::State& state) {
  const Pages pages(state.range(0), state.range(1));
  for (auto _ : state) {
    Diff diff = DiffPages(pages.before, pages.after);
    benchmark::DoNotOptimize(diff.payload.data());
  }
  state.counters["payload"] =
      static_cast<double>(DiffPages(pages.before, pages.after).payload.size());
  state.SetBytesProcessed(state.iterations() * kDefaultPageBytes);
}
// Equal; one row updated; a row inserted into a b-tree page; many scattered bytes; all of it.
BENCHMARK(BM_DiffPages)
    ->Name("page/diff")
    ->Args({0, 0})
    ->Args({1, 120})
    ->Args({4, 100})
    ->Args({100, 4})
    ->Args({1, 4096});

void BM_ApplyPayload(benchmark::State& state) {
  const Pages pages(state.range(0), state.range(1));
  const Diff diff = DiffPages(pages.before, pages.after);
  std::string page = pages.before;
  for (auto _ : state) {
    SEXTANT_CHECK(ApplyPayload(diff.payload, diff.is_full_image, &page).ok());
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * kDefaultPageBytes);
}
BENCHMARK(BM_ApplyPayload)
    ->Name("page/apply")
    ->Args({1, 120})
    ->Args({4, 100})
    ->Args({100, 4})
    ->Args({1, 4096});

}  // namespace
}  // namespace sextant::page
