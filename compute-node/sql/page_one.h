// Page one of a SQLite database: the header fields that the volume file reads, hides or patches.
//
// SQLite bumps a change counter in page one at every commit, so page one would be in every
// mini-transaction. It is zeroed when published, and every connection is shown a counter of its own
// (volume_file.h). Offsets and meanings: https://www.sqlite.org/fileformat2.html, section 1.3.
#pragma once

#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "common/base/ids.h"

namespace sextant::sql {

inline constexpr PageNo kPageOne{0};  // SQLite counts from one, volumes from zero

// Both fields that hold the change counter: itself, and "version valid for".
inline constexpr uint32_t kChangeCounterOffset = 24;
inline constexpr uint32_t kVersionValidForOffset = 92;

uint32_t ReadBigEndian32(const char* from);
void WriteBigEndian32(char* to, uint32_t value);

// Zeroes both counter fields of a whole page one.
void ZeroChangeCounter(char* page_one);

// `to` holds bytes [offset, offset + bytes) of page one: shows `counter` in both fields, as far as
// they lie inside.
void PatchChangeCounter(char* to, uint32_t offset, uint32_t bytes, uint32_t counter);

// Length of the database in pages, from its header; 0 for a page of zeros (no database yet).
uint64_t DatabasePages(std::string_view page_one);

// OK for zeros and for a database that this volume can hold. INVALID_ARGUMENT: not a SQLite
// database, another page size than `page_bytes`, or one in WAL mode.
absl::Status CheckPageOne(std::string_view page_one, uint32_t page_bytes);

}  // namespace sextant::sql
