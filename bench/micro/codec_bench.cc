// What redo costs to encode, verify and decode: checksum, record, batch. Bytes are encoded bytes,
// items are records.
#include <benchmark/benchmark.h>

#include <string>

#include "common/base/check.h"
#include "common/base/crc32c.h"
#include "common/base/prng.h"
#include "common/log/batch.h"

namespace sextant::log {
namespace {

const VolumeId kVolume(7);
const PgId kPg(0);

std::string RandomBytes(size_t size) {
  Prng prng(size);
  std::string bytes;
  for (size_t i = 0; i < size; ++i) bytes.push_back(static_cast<char>(prng.Next()));
  return bytes;
}

// The header of a record as a busy writer makes it: near links, a page far away.
RecordHeader HeaderAt(uint64_t lsn) {
  return {.lsn = Lsn(lsn),
          .prev_volume_lsn = Lsn(lsn - 1),
          .prev_pg_lsn = Lsn(lsn - 3),
          .prev_page_lsn = Lsn(lsn - 900),
          .page = PageNo(1'234'567 + lsn % 1000),
          .epoch = VolumeEpoch(12),
          .is_cpl = lsn % 4 == 0};
}

constexpr uint64_t kFirstLsn = 10'000'000'000;

void AddRecords(int64_t count, std::string_view payload, BatchBuilder* builder) {
  for (int64_t i = 0; i < count; ++i) {
    builder->Add(HeaderAt(kFirstLsn + static_cast<uint64_t>(i)), payload);
  }
}

template <uint32_t (*crc)(std::string_view, uint32_t)>
void BM_Crc32c(benchmark::State& state) {
  const std::string bytes = RandomBytes(static_cast<size_t>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(crc(bytes, 0));
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_Crc32c<Crc32c>)->Name("crc32c/hardware")->Arg(128)->Arg(4096)->Arg(1 << 20);
BENCHMARK(BM_Crc32c<Crc32cPortable>)->Name("crc32c/portable")->Arg(4096);

void BM_EncodeRecord(benchmark::State& state) {
  const std::string payload = RandomBytes(static_cast<size_t>(state.range(0)));
  std::string out;
  int64_t bytes = 0;
  for (auto _ : state) {
    out.clear();
    EncodeRecord(kVolume, kPg, HeaderAt(kFirstLsn), payload, &out);
    benchmark::DoNotOptimize(out.data());
    bytes += static_cast<int64_t>(out.size());
  }
  state.SetItemsProcessed(state.iterations());
  state.SetBytesProcessed(bytes);
}
BENCHMARK(BM_EncodeRecord)->Name("record/encode")->Arg(16)->Arg(128)->Arg(4096);

void BM_DecodeRecord(benchmark::State& state) {
  std::string encoded;
  EncodeRecord(kVolume, kPg, HeaderAt(kFirstLsn), RandomBytes(static_cast<size_t>(state.range(0))),
               &encoded);
  for (auto _ : state) {
    std::string_view in = encoded;
    auto record = DecodeRecord(kVolume, kPg, &in);
    SEXTANT_CHECK(record.ok());
    benchmark::DoNotOptimize(record->payload.data());
  }
  state.SetItemsProcessed(state.iterations());
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(encoded.size()));
}
BENCHMARK(BM_DecodeRecord)->Name("record/decode")->Arg(16)->Arg(128)->Arg(4096);

// Arguments: records in the batch, payload bytes of each.
void BM_BuildBatch(benchmark::State& state) {
  const std::string payload = RandomBytes(static_cast<size_t>(state.range(1)));
  BatchBuilder builder(kVolume, kPg);
  int64_t bytes = 0;
  for (auto _ : state) {
    AddRecords(state.range(0), payload, &builder);
    const EncodedBatch batch = builder.Seal({.epoch = VolumeEpoch(12)});
    benchmark::DoNotOptimize(batch.bytes->data());
    bytes += static_cast<int64_t>(batch.bytes->size());
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
  state.SetBytesProcessed(bytes);
}
BENCHMARK(BM_BuildBatch)->Name("batch/build")->Args({1, 128})->Args({64, 128})->Args({64, 4096});

void BM_DecodeBatch(benchmark::State& state) {
  BatchBuilder builder(kVolume, kPg);
  AddRecords(state.range(0), RandomBytes(static_cast<size_t>(state.range(1))), &builder);
  const EncodedBatch batch = builder.Seal({.epoch = VolumeEpoch(12)});
  for (auto _ : state) {
    auto view = DecodeBatch(*batch.bytes);
    SEXTANT_CHECK(view.ok());
    benchmark::DoNotOptimize(view->entries.data());
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(batch.bytes->size()));
}
BENCHMARK(BM_DecodeBatch)->Name("batch/decode")->Args({1, 128})->Args({64, 128})->Args({64, 4096});

}  // namespace
}  // namespace sextant::log
