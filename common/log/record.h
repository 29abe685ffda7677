// The redo record: every change that one mini-transaction makes to one page. Core.
//
// Records are engine-agnostic: a storage node applies bytes and knows nothing else (page/delta.h
// says what the payload means). Three back links let a hole be found without a list of what should
// exist: by volume (recovery computes VCL), by protection group (a segment computes its SCL) and by
// page (a page is materialised along it). SIGMOD'17 section 4.1, SIGMOD'18 section 2.3. The byte
// layout is in docs/FORMATS.md, "Redo record".
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/ids.h"
#include "common/log/lsn.h"

namespace sextant::log {

// Identity, links and flags. A link is Lsn{0} where there is no earlier record.
struct RecordHeader {
  Lsn lsn;
  Lsn prev_volume_lsn;  // the previous record of the volume
  Lsn prev_pg_lsn;      // the previous record of the same protection group
  Lsn prev_page_lsn;    // the previous record of the same page
  PageNo page;
  VolumeEpoch epoch;           // of the writer that allocated the LSN
  bool is_cpl = false;         // last record of its mini-transaction: a consistency point
  bool is_full_image = false;  // the payload is the whole page; no base is needed

  bool operator==(const RecordHeader&) const = default;
};

struct RedoRecord {
  RecordHeader header;
  std::string payload;

  bool operator==(const RedoRecord&) const = default;
};

// A record inside somebody else's bytes.
struct RecordView {
  RecordHeader header;
  std::string_view payload;
};

// Largest payload of one record: a whole page of the largest size, with room for range headers.
inline constexpr size_t kMaxPayloadBytes = 128 * 1024;
// Most bytes that a record's encoding adds to its payload: checksum, flags, seven varints.
inline constexpr size_t kMaxRecordOverheadBytes = 4 + 1 + 7 * 10;
// Fewest bytes of an encoded record: the same with varints of one byte.
inline constexpr size_t kMinRecordBytes = 4 + 1 + 7;

// Appends the encoding of a record of (volume, pg) to *out. The CRC covers the payload and the
// whole identity, volume and pg included, so right bytes at the wrong place fail the check.
void EncodeRecord(VolumeId volume, PgId pg, const RecordHeader& header, std::string_view payload,
                  std::string* out);

// Takes one record from the front of *in. `pg` and `volume` are what the reader expects.
// DATA_LOSS: truncated, malformed, or the CRC does not match (damaged, or of another place). *in is
// then unspecified.
absl::StatusOr<RecordView> DecodeRecord(VolumeId volume, PgId pg, std::string_view* in);

}  // namespace sextant::log
