// Whether gRPC's inside is known: of this version. See tuned_grpc.h.
#pragma once

#include <grpcpp/version_info.h>

#define SEXTANT_TUNES_GRPC (GRPC_CPP_VERSION_MAJOR == 1 && GRPC_CPP_VERSION_MINOR == 51)
