// RocksDbStore: page versions. See rocksdb_store_impl.h.
#include <array>
#include <utility>

#include "common/base/status.h"
#include "common/base/text.h"
#include "storage-node/store/rocksdb_store_impl.h"
#include "storage-node/store/store_codec.h"

namespace sextant::storage {
namespace {

constexpr Lsn kMaxLsn{UINT64_MAX};
constexpr PageNo kMaxPage{UINT64_MAX};

}  // namespace

absl::StatusOr<std::optional<page::PageImage>> RocksDbStore::ReadPage(SegmentId segment,
                                                                      PageNo page,
                                                                      Lsn at_or_below) {
  rocksdb::ReadOptions read;
  read.prefix_same_as_start = true;
  const std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(read, family(kPages)));
  it->Seek(PageKey(segment, page, at_or_below));
  Lsn lsn;
  if (!it->Valid()) {
    RETURN_IF_ERROR(Read(it->status(), Text("read page ", page)));
    return std::optional<page::PageImage>();
  }
  if (!ParsePageKey(AsView(it->key()), segment, page, &lsn))
    return std::optional<page::PageImage>();
  ASSIGN_OR_RETURN(page::PageImage image, DecodePage(segment, page, lsn, AsView(it->value())));
  return std::optional<page::PageImage>(std::move(image));
}

absl::Status RocksDbStore::WritePage(SegmentId segment, PageNo page, const page::PageImage& image) {
  RETURN_IF_ERROR(first_error_->Get());
  dropper_->AwaitSegment(segment);
  const std::string key = PageKey(segment, page, image.lsn);
  const std::string crc = EncodePageCrc(segment, page, image);
  const rocksdb::Slice key_part(key);
  const std::array<rocksdb::Slice, 2> value_parts = {AsSlice(crc), AsSlice(image.bytes)};
  rocksdb::WriteBatch batch;
  batch.Put(family(kPages), rocksdb::SliceParts(&key_part, 1),
            rocksdb::SliceParts(value_parts.data(), static_cast<int>(value_parts.size())));
  return Written(db_->Write(no_wal_, &batch), "store page version");
}

absl::Status RocksDbStore::FlushPages() {
  RETURN_IF_ERROR(first_error_->Get());
  return Written(db_->Flush({}, family(kPages)), "flush page versions");
}

absl::StatusOr<std::optional<page::PageImage>> RocksDbStore::ReadFlushedPage(SegmentId segment,
                                                                             PageNo page, Lsn lsn) {
  rocksdb::ReadOptions read;
  read.read_tier = rocksdb::kPersistedTier;  // not the memtables, where no WAL has what they hold
  rocksdb::PinnableSlice value;
  const rocksdb::Status status =
      db_->Get(read, family(kPages), PageKey(segment, page, lsn), &value);
  if (status.IsNotFound()) return std::optional<page::PageImage>();
  RETURN_IF_ERROR(Read(status, Text("read flushed page ", page)));
  ASSIGN_OR_RETURN(page::PageImage image, DecodePage(segment, page, lsn, AsView(value)));
  return std::optional<page::PageImage>(std::move(image));
}

PageNo LastPageOf(const SegmentState& state) {
  const uint64_t groups = uint64_t{state.segment.pg.value()} + 1;
  return PageNo(groups * state.descriptor.geometry.pages_per_pg - 1);
}

// Where a walk through damage ends at the latest.
PageNo RocksDbStore::LastPage(SegmentId segment) const {
  const std::optional<SegmentState> state = witness_->State(segment);
  return state ? LastPageOf(*state) : kMaxPage;
}

absl::StatusOr<std::vector<PageNo>> RocksDbStore::ListPages(SegmentId segment, PageNo from,
                                                            size_t limit) {
  const std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(walk_, family(kPages)));
  std::vector<PageNo> pages;
  for (PageNo next = from; pages.size() < limit; next = pages.back().Next()) {
    it->Seek(PageKey(segment, next, kMaxLsn));
    PageNo page;
    Lsn lsn;
    if (it->Valid()) {
      if (!ParsePageKey(AsView(it->key()), segment, &page, &lsn)) break;
      pages.push_back(page);
    } else if (IsDamage(it->status()) && next <= LastPage(segment)) {
      pages.push_back(next);  // a damaged block: it may hold this page
    } else {
      RETURN_IF_ERROR(FromRocks(it->status(), "list pages"));
      break;
    }
  }
  return pages;
}

absl::StatusOr<std::optional<PageNo>> ScanPageFamily(
    rocksdb::DB* db, rocksdb::ColumnFamilyHandle* family, SegmentId segment, PageNo from,
    PageNo last, size_t limit,
    const std::function<void(PageNo, Lsn, const absl::StatusOr<page::PageImage>&)>& visit) {
  rocksdb::ReadOptions walk;
  walk.total_order_seek = true;
  walk.fill_cache = false;
  const std::unique_ptr<rocksdb::Iterator> it(db->NewIterator(walk, family));
  PageNo page = from;
  std::optional<PageNo> visited;  // the last one, to count pages and not versions
  size_t pages = 0;
  it->Seek(PageKey(segment, page, kMaxLsn));
  while (true) {
    Lsn lsn;
    absl::StatusOr<page::PageImage> image;
    const bool is_found = it->Valid();
    if (is_found) {
      if (!ParsePageKey(AsView(it->key()), segment, &page, &lsn)) return std::nullopt;
      image = DecodePage(segment, page, lsn, AsView(it->value()));
    } else if (IsDamage(it->status()) && page <= last) {
      image = FromRocks(it->status(), Text("scan page ", page));
    } else {
      RETURN_IF_ERROR(FromRocks(it->status(), "scan pages"));
      return std::nullopt;
    }
    if (visited != page && pages++ == limit) return page;
    visited = page;
    visit(page, lsn, image);
    if (is_found) {
      it->Next();
    } else {  // on to the first page behind the damaged block, number by number
      page = page.Next();
      it->Seek(PageKey(segment, page, kMaxLsn));
    }
  }
}

absl::StatusOr<std::optional<PageNo>> RocksDbStore::ScanPages(
    SegmentId segment, PageNo from, size_t limit,
    const std::function<void(PageNo, Lsn, const absl::StatusOr<page::PageImage>&)>& visit) {
  return ScanPageFamily(db_, family(kPages), segment, from, LastPage(segment), limit,
                        [&](PageNo page, Lsn lsn, const absl::StatusOr<page::PageImage>& image) {
                          if (lsn == Lsn() && absl::IsDataLoss(image.status()))
                            repair_mark_->SetVerify();
                          visit(page, lsn, image);
                        });
}

absl::Status RocksDbStore::DropPageVersion(SegmentId segment, PageNo page, Lsn lsn) {
  RETURN_IF_ERROR(first_error_->Get());
  return Written(db_->Delete(no_wal_, family(kPages), PageKey(segment, page, lsn)),
                 "drop a page version");
}

absl::Status RocksDbStore::DropPageVersions(SegmentId segment, PageNo page, Lsn below) {
  RETURN_IF_ERROR(first_error_->Get());
  if (below == Lsn()) return absl::OkStatus();
  const std::string begin = PageKey(segment, page, Lsn(below.value() - 1));
  rocksdb::WriteBatch batch;
  const std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(walk_, family(kPages)));
  Lsn lsn;
  for (it->Seek(begin); it->Valid() && ParsePageKey(AsView(it->key()), segment, page, &lsn);
       it->Next()) {
    // One by one: a range tombstone per page would make every later read slower.
    batch.Delete(family(kPages), it->key());
  }
  if (IsDamage(it->status())) {
    batch.DeleteRange(family(kPages), begin, PageKey(segment, page.Next(), kMaxLsn));
  } else {
    RETURN_IF_ERROR(FromRocks(it->status(), Text("drop versions of page ", page)));
  }
  if (batch.Count() == 0) return absl::OkStatus();
  return Written(db_->Write(no_wal_, &batch), "drop page versions");
}

}  // namespace sextant::storage
