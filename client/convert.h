// types.h <-> sextant.v1 SqlService messages. Internal to client/.
#pragma once

#include "absl/status/status.h"
#include "client/types.h"
#include "sextant/v1/sql.pb.h"

namespace sextant::client {

v1::SqlRequest ToProto(Request request);
// Adds a response's results and position; moves texts and blobs out of it.
void AddTo(Reply* reply, v1::SqlResponse* response);
absl::Status StatusOf(const v1::SqlError& error);

}  // namespace sextant::client
