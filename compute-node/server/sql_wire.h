// sql/types.h <-> sextant.v1 SqlService messages, at the service's edge.
#pragma once

#include "compute-node/sql/types.h"
#include "sextant/v1/sql.pb.h"

namespace sextant::server {

// Moves texts and blobs out of the message.
sql::Request FromProto(v1::SqlRequest* in);
// Text that is not valid UTF-8 (SQLite stores any bytes) goes as a blob, for protobuf allows no
// other.
void ToProto(sql::Response response, v1::SqlResponse* out);

}  // namespace sextant::server
