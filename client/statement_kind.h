// What a statement may do, told from its first words. Careful where it is not sure: an answer "may"
// costs a retry or a hop, a wrong "may not" would repeat a write.
#pragma once

#include <string_view>

namespace sextant::client {

struct StatementKind {
  bool may_change = true;           // data, if only with the commit that it is
  bool may_commit = true;  // an open transaction: COMMIT and the like
  // Only the writer can run it: it changes data, or begins a transaction that may.
  bool needs_writer = true;
};

StatementKind KindOf(std::string_view sql, bool is_script);

}  // namespace sextant::client
