// Logs of every Sextant process: one line per event on stderr, as text or as JSON, by spdlog.
//
// Log once, where an error is handled. ERROR means that a person must look. What identifies the
// event goes into fields, not into the sentence:
//   spdlog::warn("append stream lost, reconnecting{}", rpc::Fields("node", node, "error", status));
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "common/base/text.h"

namespace sextant::rpc {

struct LogOptions {
  std::string process;          // "storage-node"
  std::string node;             // "az1-a"; may be empty
  std::string level = "info";   // trace, debug, info, warn, error, off
  std::string format = "text";  // text, json
};

// Replaces spdlog's default logger. INVALID_ARGUMENT: unknown level or format. Call once, before
// threads.
absl::Status SetUpLogging(const LogOptions& options);

namespace internal {
// Appends one field in a form that the formatter, or a plain logger, can print.
void AppendField(std::string_view key, std::string_view value, std::string* out);

inline void AppendFields(std::string*) {}
template <typename Value, typename... Rest>
void AppendFields(std::string* out, std::string_view key, const Value& value, const Rest&... rest) {
  if constexpr (std::is_same_v<Value, absl::Status>) {
    AppendField(key, value.ToString(), out);
  } else {
    AppendField(key, Text(value), out);
  }
  AppendFields(out, rest...);
}
}  // namespace internal

// Fields of a log line, for the end of the message: Fields("volume", id, "lsn", lsn, ...). Values
// are what Text() takes, or an absl::Status. Text shows " volume=7 lsn=12", JSON shows members of
// the object.
template <typename... KeysAndValues>
std::string Fields(const KeysAndValues&... keys_and_values) {
  static_assert(sizeof...(KeysAndValues) % 2 == 0, "keys and values come in pairs");
  std::string out;
  internal::AppendFields(&out, keys_and_values...);
  return out;
}

}  // namespace sextant::rpc
