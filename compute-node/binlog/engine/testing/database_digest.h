// DatabaseDigest: everything a database holds that a user could see, as text; equal texts are equal
// databases. Row ids included: two copies of one history agree in them too.
#pragma once

#include <sqlite3.h>

#include <string>

namespace sextant::binlog {

// Schema, every row of every table with its types, sequences, versions, and SQLite's own check.
std::string DatabaseDigest(sqlite3* db);

}  // namespace sextant::binlog
