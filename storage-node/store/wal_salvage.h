// What is intact in a damaged write-ahead log file of RocksDB. Core: no RocksDB in it.
//
// RocksDB can skip damage itself, but where a record lies across it, it may find "Write batch
// content corrupted" and refuse. So the file is written anew with its whole records only. The
// format is LevelDB's (doc/log_format.md there): blocks of 32 KiB; fragments of a masked CRC32C
// over type and payload, the payload's length, its type; no fragment lies across two blocks.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace sextant::storage {

struct SalvagedWal {
  std::string bytes;   // a file of the same format with the whole records, in order
  size_t records = 0;  // in it
  size_t damages = 0;  // places that could not be read; a torn end is one too
};

// After damage it goes on with the next block: a length that may be wrong must not lead into a
// payload, which could look like a record.
SalvagedWal SalvageWal(std::string_view file);

}  // namespace sextant::storage
