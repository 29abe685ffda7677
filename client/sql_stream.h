// SqlStream: one stream of SqlService to one node. Blocking; no retries, no choice of node.
//
// Not thread-safe, but for Cancel(), which any thread may call while another waits. Internal to
// client/.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "sextant/v1/sql.pb.h"

namespace sextant::client {

class SqlStream {
 public:
  // UNAVAILABLE, or why the node refused: nothing was executed.
  static absl::StatusOr<std::unique_ptr<SqlStream>> Open(const std::string& address,
                                                         absl::Time deadline);
  ~SqlStream();  // ends the session, which rolls back an open transaction

  const std::string& address() const { return address_; }
  // False: the stream is broken, and the request was not sent.
  bool Send(const v1::SqlRequest& request);
  // False: the stream is broken.
  bool Receive(v1::SqlResponse* response);
  // Of a broken stream: why, and whether the node said that what it did not answer was not begun.
  const absl::Status& end();
  bool is_unanswered_unbegun();
  void Cancel();

 private:
  struct Call;
  SqlStream(std::string address, std::unique_ptr<Call> call);

  const std::string address_;
  const std::unique_ptr<Call> call_;
};

}  // namespace sextant::client
