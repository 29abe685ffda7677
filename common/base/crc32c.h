// CRC32C (Castagnoli), the checksum of everything Sextant sends or stores. Core.
//
// Uses the SSE4.2 or ARMv8 instruction where the target has it, a table elsewhere; same values.
#pragma once

#include <cstdint>
#include <string_view>

namespace sextant {

// Continues `crc` (0 to start) over `bytes`: Crc32c(b, Crc32c(a)) == Crc32c(a + b).
uint32_t Crc32c(std::string_view bytes, uint32_t crc = 0);

// The table fallback, always compiled so that tests can hold the two against each other.
uint32_t Crc32cPortable(std::string_view bytes, uint32_t crc = 0);

}  // namespace sextant
