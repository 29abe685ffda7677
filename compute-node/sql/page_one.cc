// See page_one.h.
#include "compute-node/sql/page_one.h"

#include <cstring>

#include "common/base/text.h"

namespace sextant::sql {
namespace {

constexpr std::string_view kMagic("SQLite format 3\0", 16);
constexpr uint32_t kPageSizeOffset = 16;
constexpr uint32_t kWriteVersionOffset = 18;
constexpr uint32_t kReadVersionOffset = 19;
constexpr uint32_t kDatabasePagesOffset = 28;
constexpr char kRollbackJournal = 1;

bool IsBlank(std::string_view page_one) {
  return page_one.substr(0, 100).find_first_not_of('\0') == std::string_view::npos;
}

uint32_t PageSizeOf(std::string_view page_one) {
  const uint32_t high = static_cast<unsigned char>(page_one[kPageSizeOffset]);
  const uint32_t low = static_cast<unsigned char>(page_one[kPageSizeOffset + 1]);
  const uint32_t size = high << 8 | low;
  return size == 1 ? 65536 : size;
}

}  // namespace

uint32_t ReadBigEndian32(const char* from) {
  uint32_t value;
  std::memcpy(&value, from, sizeof value);
  return __builtin_bswap32(value);
}

void WriteBigEndian32(char* to, uint32_t value) {
  value = __builtin_bswap32(value);
  std::memcpy(to, &value, sizeof value);
}

void ZeroChangeCounter(char* page_one) {
  WriteBigEndian32(page_one + kChangeCounterOffset, 0);
  WriteBigEndian32(page_one + kVersionValidForOffset, 0);
}

void PatchChangeCounter(char* to, uint32_t offset, uint32_t bytes, uint32_t counter) {
  char image[4];
  WriteBigEndian32(image, counter);
  for (const uint32_t field : {kChangeCounterOffset, kVersionValidForOffset}) {
    for (uint32_t i = 0; i < sizeof image; ++i) {
      const uint32_t at = field + i;
      if (at >= offset && at < offset + bytes) to[at - offset] = image[i];
    }
  }
}

uint64_t DatabasePages(std::string_view page_one) {
  return ReadBigEndian32(page_one.data() + kDatabasePagesOffset);
}

absl::Status CheckPageOne(std::string_view page_one, uint32_t page_bytes) {
  if (IsBlank(page_one)) return absl::OkStatus();
  if (page_one.substr(0, kMagic.size()) != kMagic) {
    return absl::InvalidArgumentError(
        "the volume holds something other than a SQLite database: open it with the engine that "
        "wrote it");
  }
  if (PageSizeOf(page_one) != page_bytes) {
    return absl::InvalidArgumentError(Text("the database has pages of ", PageSizeOf(page_one),
                                           " bytes, the volume of ", page_bytes,
                                           ": load it into a volume of its page size"));
  }
  if (page_one[kWriteVersionOffset] != kRollbackJournal ||
      page_one[kReadVersionOffset] != kRollbackJournal) {
    return absl::InvalidArgumentError(
        "the database is in WAL mode: set journal_mode=DELETE before it is copied into a volume");
  }
  return absl::OkStatus();
}

}  // namespace sextant::sql
