// See pragma_policy.h.
#include "compute-node/sql/pragma_policy.h"

#include <algorithm>
#include <cctype>
#include <optional>

#include "common/base/text.h"

namespace sextant::sql {
namespace {

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

// A setting that is fixed, and why. Setting it to `fixed_value` is no error.
struct FixedSetting {
  std::string_view name;
  std::string_view fixed_value;
  std::string_view why;
};

constexpr FixedSetting kFixedSettings[] = {
    {"journal_mode", "memory", "commits go to the volume's replicated log, which is the journal"},
    {"locking_mode", "normal", "readers and the writer share the volume by snapshots"},
    {"page_size", "", "the page size is the volume's, chosen when it was created"},
    {"mmap_size", "", "pages come from the node's shared page cache"},
    {"cache_spill", "off", "a transaction reaches the log as a whole, at COMMIT"},
    {"synchronous", "off", "a commit is durable on 4 of 6 segments before it is acknowledged"},
    {"temp_store", "memory", "temporary tables live in memory"},
    {"temp_store_directory", "", "temporary tables live in memory"},
    {"data_store_directory", "", "the data lives in the volume"},
    {"soft_heap_limit", "", "memory limits belong to the node's operator"},
    {"hard_heap_limit", "", "memory limits belong to the node's operator"},
    {"threads", "0", "the node's worker threads are shared by all sessions"},
    {"writable_schema", "off", "the schema is changed by DDL statements only"},
};

// SQLite takes numbers and words for some of these.
bool MeansSame(std::string_view given, const FixedSetting& setting) {
  if (given == setting.fixed_value) return true;
  const bool is_off = setting.fixed_value == "off" || setting.fixed_value == "0";
  if (is_off) return given == "0" || given == "off" || given == "false" || given == "no";
  return setting.name == "temp_store" && given == "2";
}

}  // namespace

PragmaVerdict JudgePragma(std::string_view name, const char* value) {
  if (value == nullptr) return {};
  const std::string lower_name = Lower(name);
  const std::string lower_value = Lower(value);
  // Waiting for the write ticket has the request's deadline; a busy handler would block a worker.
  if (lower_name == "busy_timeout") return {PragmaVerdict::kAnswer, lower_value};
  for (const FixedSetting& setting : kFixedSettings) {
    if (lower_name != setting.name) continue;
    if (!setting.fixed_value.empty() && MeansSame(lower_value, setting)) {
      return {PragmaVerdict::kAnswer, std::string(setting.fixed_value)};
    }
    return {PragmaVerdict::kRefuse,
            Text("PRAGMA ", lower_name, " is fixed on a volume: ", setting.why, "; remove it")};
  }
  return {};
}

}  // namespace sextant::sql
