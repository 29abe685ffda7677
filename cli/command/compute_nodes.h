// Which compute node a command talks to: the writer, wherever it is by now, or one by its name.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/command/context.h"
#include "cli/status/picture.h"

namespace sextant::cli {

// Every compute node that `options` leads to, with what it says: the endpoints that were given, or
// the folder's, and with `learns` also those that they name.
absl::StatusOr<std::vector<ComputeNodeAnswer>> AskAllComputeNodes(const GlobalOptions& options,
                                                                  bool learns = false);

// The writer, by what nodes say; where none says so, the first that answers. UNAVAILABLE: none
// does.
struct WriterAnswer {
  std::string address;
  v1::ComputeStatus status;
};
absl::StatusOr<WriterAnswer> AskWriter(const GlobalOptions& options);

// Where the compute node of this name answers. INVALID_ARGUMENT: there is none of that name.
absl::StatusOr<std::string> AddressOfNode(const GlobalOptions& options, const std::string& name);

}  // namespace sextant::cli
