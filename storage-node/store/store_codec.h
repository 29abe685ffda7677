// Keys and values of a storage node's directory, as bytes. Core: no RocksDB in it.
//
// Keys are big-endian, so that byte order is number order. Every value that the store itself must
// trust carries a CRC32C over its key and its bytes, so that right bytes at the wrong place fail
// the check. Batches carry their own CRCs (log/batch.h). docs/FORMATS.md, "Storage node directory".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/base/ids.h"
#include "common/log/lsn.h"
#include "common/page/delta.h"
#include "storage-node/store/segment_store.h"

namespace sextant::storage {

// Of the whole directory: in its marker file and in every segment state. A binary opens its own
// only.
inline constexpr uint32_t kDirectoryFormat = 4;

inline constexpr size_t kSegmentKeyBytes = 12;  // volume, pg
inline constexpr size_t kHighWaterBytes = 20;   // of a value: crc, position, LSN
inline constexpr size_t kPagePrefixBytes = 20;  // volume, pg, page

std::string SegmentKey(SegmentId segment);
// `key` has kSegmentKeyBytes.
SegmentId ParseSegmentKey(std::string_view key);
std::string LogKey(SegmentId segment, LogPosition position);
// Above every key of the segment, below every key of the next one.
std::string SegmentEndKey(SegmentId segment);
// Versions of one page lie newest first: the key ends in the complement of the LSN.
std::string PageKey(SegmentId segment, PageNo page, Lsn lsn);

// The position of a log key of `segment`; false if the key is not one.
bool ParseLogKey(std::string_view key, SegmentId segment, LogPosition* position);
// Page and LSN of a version's key; false if the key is not one of `segment`.
bool ParsePageKey(std::string_view key, SegmentId segment, PageNo* page, Lsn* lsn);
// The LSN of a version of that page; false if the key is not one.
bool ParsePageKey(std::string_view key, SegmentId segment, PageNo page, Lsn* lsn);

std::string EncodeState(const SegmentState& state);
// DATA_LOSS: damaged. FAILED_PRECONDITION: of another format.
absl::StatusOr<SegmentState> DecodeState(std::string_view key, std::string_view value);

std::string EncodeHighWater(const LogHighWater& mark);
absl::StatusOr<LogHighWater> DecodeHighWater(SegmentId segment, std::string_view value);

// CRC over identity and bytes of a page version.
uint32_t PageCrc(SegmentId segment, PageNo page, Lsn lsn, std::string_view bytes);
// The 4 bytes that precede the page's bytes in a stored version.
std::string EncodePageCrc(SegmentId segment, PageNo page, const page::PageImage& image);
// The page's bytes if `crc` is theirs. DATA_LOSS: damaged, or of another page or LSN.
absl::StatusOr<page::PageImage> CheckPage(SegmentId segment, PageNo page, Lsn lsn, uint32_t crc,
                                          std::string_view bytes);
// The same of a stored value: CRC, bytes.
absl::StatusOr<page::PageImage> DecodePage(SegmentId segment, PageNo page, Lsn lsn,
                                           std::string_view value);

// `size` bytes at `offset` of a stored batch. DATA_LOSS: the batch is shorter than that.
absl::StatusOr<std::string> CutRecord(std::string_view batch, uint32_t offset, uint32_t size);

}  // namespace sextant::storage
