// Target: a system under test, as the closed loop sees it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace sextant::bench {

// One client. Used by one thread.
class Connection {
 public:
  virtual ~Connection() = default;
  // Sets the row's value, in a commit of its own; OK once it is as durable as the system makes it.
  virtual absl::Status Upsert(uint64_t row, const std::string& value) = 0;
};

class Target {
 public:
  virtual ~Target() = default;
  // Makes the table anew, empty.
  virtual absl::Status Prepare() = 0;
  virtual absl::StatusOr<std::unique_ptr<Connection>> Connect() = 0;
};

// `at`: "HOST:PORT" of a compute node.
std::unique_ptr<Target> MakeSextantTarget(const std::string& at);
// `at`: a libpq connection string.
std::unique_ptr<Target> MakePostgresTarget(const std::string& at);
// `at`: "HOST PORT"; as root, without a password.
std::unique_ptr<Target> MakeMariadbTarget(const std::string& at);
// `at`: "HOST:PORT".
std::unique_ptr<Target> MakeEtcdTarget(const std::string& at);

}  // namespace sextant::bench
