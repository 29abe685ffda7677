// Makes the checksums of damaged bytes right again, so that fuzzing reaches the code behind them.
//
// A CRC stops nearly every mutation at the door. What a peer with a bug or a bad mind sends has
// right checksums over wrong values: each codec target tries its bytes as they are, and resealed.
#pragma once

#include <string>
#include <string_view>

#include "common/base/ids.h"

namespace sextant::fuzz {

// `body` as a whole value under a CRC that starts from `seed_bytes`: 4 bytes of CRC, then the body.
std::string Seal(std::string_view seed_bytes, std::string_view body);

// The first record of `bytes` with the CRC that its other bytes want, as far as its size can be
// told; otherwise all bytes are taken for it.
std::string ResealRecord(VolumeId volume, PgId pg, std::string_view bytes);

// A batch: its header's CRC, and that of every record, in the place that the header names.
std::string ResealBatch(std::string_view bytes);

}  // namespace sextant::fuzz
