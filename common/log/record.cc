// See record.h. Layout: crc32c u32 | flags u8 | varints: lsn, three link distances, page, epoch,
// payload size | payload. Link distance = lsn - link, so that near links take one byte.
#include "common/log/record.h"

#include "common/base/check.h"
#include "common/base/coding.h"
#include "common/base/crc32c.h"
#include "common/base/text.h"

namespace sextant::log {
namespace {

constexpr unsigned char kFlagCpl = 1;
constexpr unsigned char kFlagFullImage = 2;
constexpr unsigned char kKnownFlags = kFlagCpl | kFlagFullImage;

// The part of the identity that is not in the bytes: the CRC starts from it.
uint32_t IdentityCrc(VolumeId volume, PgId pg) {
  std::string identity;
  PutFixed64(&identity, volume.value());
  PutFixed32(&identity, pg.value());
  return Crc32c(identity);
}

absl::Status Malformed(std::string_view what) {
  return absl::DataLossError(Text("redo record: ", what));
}

}  // namespace

void EncodeRecord(VolumeId volume, PgId pg, const RecordHeader& h, std::string_view payload,
                  std::string* out) {
  SEXTANT_CHECK(payload.size() <= kMaxPayloadBytes) << payload.size();
  SEXTANT_CHECK(h.prev_volume_lsn < h.lsn && h.prev_pg_lsn < h.lsn && h.prev_page_lsn < h.lsn)
      << "links of lsn " << h.lsn << " must point backwards";
  const size_t start = out->size();
  PutFixed32(out, 0);
  out->push_back(
      static_cast<char>((h.is_cpl ? kFlagCpl : 0) | (h.is_full_image ? kFlagFullImage : 0)));
  PutVarint(out, h.lsn.value());
  PutVarint(out, h.lsn - h.prev_volume_lsn);
  PutVarint(out, h.lsn - h.prev_pg_lsn);
  PutVarint(out, h.lsn - h.prev_page_lsn);
  PutVarint(out, h.page.value());
  PutVarint(out, h.epoch.value());
  PutVarint(out, payload.size());
  out->append(payload);
  const std::string_view covered = std::string_view(*out).substr(start + 4);
  const uint32_t crc = Crc32c(covered, IdentityCrc(volume, pg));
  std::memcpy(out->data() + start, &crc, sizeof crc);
}

absl::StatusOr<RecordView> DecodeRecord(VolumeId volume, PgId pg, std::string_view* in) {
  uint32_t crc = 0;
  if (!GetFixed32(in, &crc)) return Malformed("cut short in the checksum");
  const char* covered = in->data();
  std::string_view flags;
  uint64_t lsn, to_volume, to_pg, to_page, page, epoch, size;
  RecordView record;
  if (!GetBytes(in, 1, &flags) || !GetVarint(in, &lsn) || !GetVarint(in, &to_volume) ||
      !GetVarint(in, &to_pg) || !GetVarint(in, &to_page) || !GetVarint(in, &page) ||
      !GetVarint(in, &epoch) || !GetVarint(in, &size)) {
    return Malformed("cut short in the header");
  }
  if (size > kMaxPayloadBytes || !GetBytes(in, size, &record.payload)) {
    return Malformed(Text("payload of ", size, " bytes does not fit"));
  }
  if (Crc32c({covered, static_cast<size_t>(in->data() - covered)}, IdentityCrc(volume, pg)) !=
      crc) {
    return Malformed(Text("checksum mismatch at lsn ", lsn,
                          " (damaged, or of another volume or protection group)"));
  }
  const auto flag_bits = static_cast<unsigned char>(flags[0]);
  auto bad_link = [lsn](uint64_t distance) { return distance == 0 || distance > lsn; };
  if (lsn == 0 || bad_link(to_volume) || bad_link(to_pg) || bad_link(to_page) ||
      (flag_bits & ~kKnownFlags) != 0) {
    return Malformed(Text("impossible header at lsn ", lsn));
  }
  record.header = {.lsn = Lsn(lsn),
                   .prev_volume_lsn = Lsn(lsn - to_volume),
                   .prev_pg_lsn = Lsn(lsn - to_pg),
                   .prev_page_lsn = Lsn(lsn - to_page),
                   .page = PageNo(page),
                   .epoch = VolumeEpoch(epoch),
                   .is_cpl = (flag_bits & kFlagCpl) != 0,
                   .is_full_image = (flag_bits & kFlagFullImage) != 0};
  return record;
}

}  // namespace sextant::log
