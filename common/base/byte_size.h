// Sizes as people write them: "4096", "64KiB", "10GiB". Core.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace sextant {

// Digits with an optional unit: B, KiB, MiB, GiB, TiB (case does not matter; "64K" is "64KiB").
// INVALID_ARGUMENT for anything else, decimal units (KB, MB) included: they are too easily
// mistaken.
absl::StatusOr<uint64_t> ParseByteSize(std::string_view text);

// The shortest exact form: 65536 is "64KiB", 65537 is "65537".
std::string FormatByteSize(uint64_t bytes);

}  // namespace sextant
