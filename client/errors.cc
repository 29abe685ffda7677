// See errors.h. The information travels as a payload of the status.
#include "client/errors.h"

#include <cstdlib>
#include <optional>
#include <string>

#include "absl/strings/cord.h"
#include "common/base/text.h"

namespace sextant::client {
namespace {

constexpr char kPayload[] = "sextant.dev/sql-error";  // "U R INDEX": unknown, retriable as 0 or 1

}  // namespace

ErrorInfo InfoOf(const absl::Status& error) {
  const auto payload = error.GetPayload(kPayload);
  if (!payload.has_value()) return {};
  const std::string text(*payload);
  return {.outcome = text[0] == '1' ? Outcome::kUnknown : Outcome::kNotCommitted,
          .is_retriable = text[2] == '1',
          .statement_index = std::strtoul(text.c_str() + 4, nullptr, 10)};
}

absl::Status WithInfo(absl::Status error, const ErrorInfo& info) {
  if (error.ok()) return error;
  error.SetPayload(kPayload, absl::Cord(Text(info.outcome == Outcome::kUnknown ? "1 " : "0 ",
                                             info.is_retriable ? "1 " : "0 ",
                                             info.statement_index)));
  return error;
}

}  // namespace sextant::client
