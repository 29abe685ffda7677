// See reseal.h. Knows the layout of docs/FORMATS.md a second time, on purpose: it must not stop
// where the decoder would.
#include "tests/fuzz/reseal.h"

#include <cstring>

#include "common/base/coding.h"
#include "common/base/crc32c.h"

namespace sextant::fuzz {
namespace {

void PatchCrc(std::string* bytes, size_t at, uint32_t crc) {
  std::memcpy(bytes->data() + at, &crc, sizeof crc);
}

std::string Identity(VolumeId volume, PgId pg) {
  std::string identity;
  PutFixed64(&identity, volume.value());
  PutFixed32(&identity, pg.value());
  return identity;
}

// Bytes of the encoded record at the front of `bytes`; all of them where that cannot be told.
size_t RecordBytes(std::string_view bytes) {
  std::string_view in = bytes;
  if (in.size() < 5) return bytes.size();
  in.remove_prefix(5);  // crc and flags
  uint64_t field = 0;
  for (int i = 0; i < 7; ++i) {
    if (!GetVarint(&in, &field)) return bytes.size();
  }
  if (field > in.size()) return bytes.size();
  return bytes.size() - in.size() + field;
}

}  // namespace

std::string Seal(std::string_view seed_bytes, std::string_view body) {
  std::string sealed;
  PutFixed32(&sealed, Crc32c(body, Crc32c(seed_bytes)));
  sealed.append(body);
  return sealed;
}

std::string ResealRecord(VolumeId volume, PgId pg, std::string_view bytes) {
  if (bytes.size() < 4) return std::string(bytes);
  const size_t size = RecordBytes(bytes);
  std::string sealed = Seal(Identity(volume, pg), bytes.substr(4, size - 4));
  sealed.append(bytes.substr(size));
  return sealed;
}

std::string ResealBatch(std::string_view bytes) {
  std::string sealed(bytes);
  if (sealed.size() < 6) return sealed;
  const size_t header = static_cast<unsigned char>(sealed[4]) |
                        static_cast<size_t>(static_cast<unsigned char>(sealed[5])) << 8;
  std::string_view covered = bytes.substr(6, header);
  PatchCrc(&sealed, 0, Crc32c(covered));
  // The identity that record CRCs start from is the header's own.
  uint64_t volume = 0, pg = 0;
  if (covered.size() != header || covered.empty()) return sealed;
  covered.remove_prefix(1);
  if (!GetFixed64(&covered, &volume) || !GetVarint(&covered, &pg)) return sealed;
  const std::string identity = Identity(VolumeId(volume), PgId(static_cast<uint32_t>(pg)));
  for (size_t at = 6 + header; at + 4 < sealed.size();) {
    const size_t size = RecordBytes(std::string_view(sealed).substr(at));
    PatchCrc(&sealed, at,
             Crc32c(std::string_view(sealed).substr(at + 4, size - 4), Crc32c(identity)));
    at += size;
  }
  return sealed;
}

}  // namespace sextant::fuzz
