// SqlSession: one session of SqlService, over a stream that lives as long as it does. Blocking
// calls.
//
// Not thread-safe, but for Cancel(), which any thread may call while another waits in Receive().
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "sextant/v1/sql.pb.h"

namespace sextant::cli {

class SqlSession {
 public:
  // Connects to the first of `endpoints` that opens a session. UNAVAILABLE when none answers in
  // `timeout`, or the error of the last one that refused; nothing was executed then.
  static absl::StatusOr<std::unique_ptr<SqlSession>> Connect(
      const std::vector<std::string>& endpoints, absl::Duration timeout);
  ~SqlSession();  // ends the session, which rolls back an open transaction

  const std::string& address() const { return address_; }

  // Sends a request; its id is filled in. UNAVAILABLE: the stream is broken, and the session lost.
  absl::Status Send(v1::SqlRequest* request);
  // The next response, in the order of the requests. UNAVAILABLE: as above. What was sent and not
  // answered then has an unknown outcome.
  absl::Status Receive(v1::SqlResponse* response);
  void Cancel();

 private:
  struct Stream;
  SqlSession(std::string address, std::unique_ptr<Stream> stream);
  absl::Status Broken();

  std::string address_;
  std::unique_ptr<Stream> stream_;
  uint64_t next_id_ = 1;
};

}  // namespace sextant::cli
