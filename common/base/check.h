// SEXTANT_CHECK: a broken invariant stops the process, in release builds too. Core.
//
// For conditions that only a bug in Sextant can break. Bad input from a peer, a client or a disk is
// never a check: it gets an absl::Status.
#pragma once

#include <sstream>
#include <string_view>

namespace sextant::internal {

// Collects the message and, when destroyed, prints it with its place to stderr and aborts.
class CheckFailure {
 public:
  CheckFailure(const char* file, int line, std::string_view condition);
  [[noreturn]] ~CheckFailure();
  std::ostream& stream() { return message_; }

 private:
  std::ostringstream message_;
};

}  // namespace sextant::internal

#define SEXTANT_CHECK(condition) \
  while (!(condition)) ::sextant::internal::CheckFailure(__FILE__, __LINE__, #condition).stream()
