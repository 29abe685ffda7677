// What one segment costs on one core, without a disk: taking in batches, and planning and folding a
// page. Items are records.
#include <benchmark/benchmark.h>

#include <memory>
#include <string>
#include <vector>

#include "common/base/check.h"
#include "common/base/prng.h"
#include "common/log/batch.h"
#include "storage-node/segment/page_fold.h"
#include "storage-node/segment/segment.h"

namespace sextant::storage {
namespace {

constexpr SegmentId kSegment{VolumeId(7), PgId(0)};
constexpr uint64_t kPages = 10'000;
constexpr size_t kPayloadBytes = 120;

SegmentState FreshState() {
  SegmentState state{.segment = kSegment};
  state.descriptor = {.volume = kSegment.volume,
                      .geometry = {.page_bytes = 4096, .pages_per_pg = kPages}};
  state.epoch = VolumeEpoch(1);
  return state;
}

// Redo of one protection group that has the volume to itself.
class Redo {
 public:
  log::EncodedBatch NextBatch(int64_t records, uint64_t pages) {
    log::BatchBuilder builder(kSegment.volume, kSegment.pg);
    for (int64_t i = 0; i < records; ++i) {
      const PageNo page(prng_.Below(pages));
      const Lsn lsn = last_.Next();
      const std::string bytes(kPayloadBytes, static_cast<char>(lsn.value()));
      const auto offset = static_cast<uint32_t>(prng_.Below(4096 - kPayloadBytes));
      builder.Add({.lsn = lsn,
                   .prev_volume_lsn = last_,
                   .prev_pg_lsn = last_,
                   .prev_page_lsn = page_lsns_[page.value()],
                   .page = page,
                   .epoch = VolumeEpoch(1),
                   .is_cpl = true},
                  page::EncodeRanges({{.offset = offset, .bytes = bytes}}));
      last_ = page_lsns_[page.value()] = lsn;
    }
    return builder.Seal({.epoch = VolumeEpoch(1), .membership = MembershipEpoch(1)});
  }
  Lsn last() const { return last_; }

 private:
  Prng prng_{1};
  Lsn last_;
  std::vector<Lsn> page_lsns_ = std::vector<Lsn>(kPages);
};

void AppendAndPersist(Segment& segment, const log::BatchView& view,
                      std::shared_ptr<const std::string> bytes) {
  segment.Append(view, std::move(bytes), ReplyToken(1));
  const SegmentOutput out = segment.TakeOutput();
  segment.Persisted(out.ticket);
  benchmark::DoNotOptimize(segment.TakeOutput());
}

// From bytes that arrived to the ack: CRCs, checks, chain, page index. Argument: records in a
// batch.
void BM_SegmentAppend(benchmark::State& state) {
  constexpr int64_t kRecords = 64 * 1024;
  Redo redo;
  std::vector<log::EncodedBatch> batches;
  for (int64_t n = 0; n < kRecords; n += state.range(0)) {
    batches.push_back(redo.NextBatch(state.range(0), kPages));
  }
  for (auto _ : state) {
    Segment segment(FreshState());
    for (const log::EncodedBatch& batch : batches) {
      AppendAndPersist(segment, *log::DecodeBatch(*batch.bytes), batch.bytes);
    }
    SEXTANT_CHECK(segment.Status().scl == redo.last()) << segment.Status().scl;
  }
  state.SetItemsProcessed(state.iterations() * kRecords);
}
BENCHMARK(BM_SegmentAppend)->Arg(1)->Arg(16)->Arg(256)->Unit(benchmark::kMillisecond);

// Start-up: every stored batch again. Argument: records in a batch.
void BM_SegmentRestore(benchmark::State& state) {
  constexpr int64_t kRecords = 64 * 1024;
  Redo redo;
  std::vector<log::EncodedBatch> batches;
  for (int64_t n = 0; n < kRecords; n += state.range(0)) {
    batches.push_back(redo.NextBatch(state.range(0), kPages));
  }
  for (auto _ : state) {
    Segment segment(FreshState());
    LogPosition position;
    for (const log::EncodedBatch& batch : batches) {
      segment.Restore(position = position.Next(), log::DecodeBatch(*batch.bytes));
    }
    segment.FinishRestore(LogHighWater{kSegment, position, redo.last()});
    SEXTANT_CHECK(!segment.Status().is_damaged);
  }
  state.SetItemsProcessed(state.iterations() * kRecords);
}
BENCHMARK(BM_SegmentRestore)->Arg(16)->Unit(benchmark::kMillisecond);

// One page made from nothing but its records. Argument: how many there are.
void BM_PlanAndFold(benchmark::State& state) {
  Redo redo;
  Segment segment(FreshState());
  const log::EncodedBatch batch = redo.NextBatch(state.range(0), 1);
  const log::BatchView view = *log::DecodeBatch(*batch.bytes);
  AppendAndPersist(segment, view, batch.bytes);
  const protocol::ReadPagesRequest request{.segment = kSegment,
                                           .epoch = VolumeEpoch(1),
                                           .read_point = redo.last(),
                                           .pages = {PageNo(0)}};
  for (auto _ : state) {
    const auto plans = segment.PlanPageRead(request);
    auto fold = PageFold::Start(PageNo(0), 4096, std::nullopt);
    for (const RecordLocation& at : plans->front().records) {
      std::string_view bytes = std::string_view(*batch.bytes).substr(at.offset, at.size);
      const auto record = log::DecodeRecord(kSegment.volume, kSegment.pg, &bytes);
      SEXTANT_CHECK(fold->Apply(*record).ok()) << at.lsn;
    }
    benchmark::DoNotOptimize(std::move(*fold).Take());
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_PlanAndFold)->Arg(1)->Arg(16)->Arg(256)->Arg(4096);

}  // namespace
}  // namespace sextant::storage
