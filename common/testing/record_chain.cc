// See record_chain.h. Simplicity over speed: links are found by scanning what was written so far.
#include "common/testing/record_chain.h"

#include <algorithm>

#include "common/base/check.h"
#include "common/page/delta.h"

namespace sextant::testing {

RecordChain::RecordChain(VolumeId volume, volume::Geometry geometry, VolumeEpoch epoch)
    : volume_(volume), geometry_(geometry), epoch_(epoch) {}

void RecordChain::Append(const PageEdit& edit, bool is_cpl) {
  SEXTANT_CHECK(geometry_.Contains(edit.page)) << "page " << edit.page;
  SEXTANT_CHECK(edit.offset + edit.bytes.size() <= geometry_.page_bytes) << edit.offset;
  log::RedoRecord record;
  record.header = {.lsn = last_.Next(),
                   .prev_volume_lsn = prev_volume_,
                   .prev_pg_lsn = PgLsnAt(geometry_.PgOf(edit.page), last_),
                   .prev_page_lsn = PageLsnAt(edit.page, last_),
                   .page = edit.page,
                   .epoch = epoch_,
                   .is_cpl = is_cpl,
                   .is_full_image = edit.is_full_image};
  record.payload =
      edit.is_full_image ? edit.bytes : page::EncodeRanges({{edit.offset, edit.bytes}});
  last_ = prev_volume_ = record.header.lsn;
  edits_.push_back({last_, edit});
  records_.push_back(std::move(record));
}

std::vector<log::RedoRecord> RecordChain::Mtr(const std::vector<PageEdit>& edits) {
  SEXTANT_CHECK(!edits.empty()) << "a mini-transaction has at least one record";
  for (size_t i = 0; i < edits.size(); ++i) Append(edits[i], i + 1 == edits.size());
  return {records_.end() - static_cast<std::ptrdiff_t>(edits.size()), records_.end()};
}

log::RedoRecord RecordChain::Write(PageNo page, uint32_t offset, std::string bytes) {
  return Mtr({{page, offset, std::move(bytes), false}}).front();
}

log::RedoRecord RecordChain::WriteImage(PageNo page, std::string image) {
  SEXTANT_CHECK(image.size() == geometry_.page_bytes) << image.size();
  return Mtr({{page, 0, std::move(image), true}}).front();
}

std::vector<log::RedoRecord> RecordChain::RandomMtr(Prng* prng, int max_records) {
  std::vector<PageEdit> edits(prng->Between(1, static_cast<uint64_t>(max_records)));
  for (PageEdit& edit : edits) {
    edit.page = PageNo(prng->Below(geometry_.PageCount()));
    edit.is_full_image = prng->OneIn(8);
    const uint64_t size = edit.is_full_image
                              ? geometry_.page_bytes
                              : prng->Between(1, std::min<uint64_t>(64, geometry_.page_bytes));
    edit.offset = static_cast<uint32_t>(prng->Below(geometry_.page_bytes - size + 1));
    for (uint64_t i = 0; i < size; ++i) edit.bytes.push_back(static_cast<char>(prng->Next()));
  }
  return Mtr(edits);
}

void RecordChain::Truncate(Lsn vdl, Lsn upper, VolumeEpoch new_epoch) {
  SEXTANT_CHECK(upper >= last_ && new_epoch > epoch_) << "upper " << upper;
  std::erase_if(records_, [vdl](const log::RedoRecord& r) { return r.header.lsn > vdl; });
  std::erase_if(edits_, [vdl](const Entry& e) { return e.lsn > vdl; });
  last_ = upper;
  prev_volume_ = records_.empty() ? Lsn() : records_.back().header.lsn;
  epoch_ = new_epoch;
}

log::EncodedBatch RecordChain::Batch(PgId pg, Lsn after, Lsn through, Lsn vdl, Lsn pgmrpl) const {
  return BatchOf(pg, RecordsOf(pg, after, through), vdl, pgmrpl);
}

log::EncodedBatch RecordChain::BatchOf(PgId pg, const std::vector<log::RedoRecord>& records,
                                       Lsn vdl, Lsn pgmrpl) const {
  log::BatchBuilder builder(volume_, pg);
  for (const log::RedoRecord& record : records) builder.Add(record.header, record.payload);
  return builder.Seal({.epoch = epoch_,
                       .membership = MembershipEpoch(1),
                       .vdl = vdl,
                       .pg_lsn_at_vdl = PgLsnAt(pg, vdl),
                       .pgmrpl = pgmrpl});
}

std::vector<log::RedoRecord> RecordChain::RecordsOf(PgId pg, Lsn after, Lsn through) const {
  std::vector<log::RedoRecord> found;
  for (const log::RedoRecord& record : records_) {
    const Lsn lsn = record.header.lsn;
    if (geometry_.PgOf(record.header.page) == pg && lsn > after && lsn <= through) {
      found.push_back(record);
    }
  }
  return found;
}

Lsn RecordChain::PgLsnAt(PgId pg, Lsn at) const {
  for (auto r = records_.rbegin(); r != records_.rend(); ++r) {
    if (r->header.lsn <= at && geometry_.PgOf(r->header.page) == pg) return r->header.lsn;
  }
  return Lsn();
}

Lsn RecordChain::PageLsnAt(PageNo page, Lsn at) const {
  for (auto r = records_.rbegin(); r != records_.rend(); ++r) {
    if (r->header.lsn <= at && r->header.page == page) return r->header.lsn;
  }
  return Lsn();
}

std::string RecordChain::PageAt(PageNo page, Lsn at) const {
  std::string image(geometry_.page_bytes, '\0');
  for (const Entry& entry : edits_) {
    if (entry.edit.page == page && entry.lsn <= at) {
      image.replace(entry.edit.offset, entry.edit.bytes.size(), entry.edit.bytes);
    }
  }
  return image;
}

}  // namespace sextant::testing
