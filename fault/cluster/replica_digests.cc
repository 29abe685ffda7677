// See replica_digests.h.
#include "fault/cluster/replica_digests.h"

#include <algorithm>
#include <memory>

#include "client/session.h"
#include "common/base/crc32c.h"
#include "common/base/status.h"
#include "common/base/text.h"

namespace sextant::fault {
namespace {

// The rows in an order of their own: a query without one promises none.
absl::StatusOr<std::string> RowsOf(client::Session* session, const std::string& sql) {
  ASSIGN_OR_RETURN(const client::Reply reply, session->Execute(sql));
  std::vector<std::string> lines;
  for (const client::Row& row : reply.rows()) {
    std::string& line = lines.emplace_back();
    for (const client::Value& value : row) line += client::ToText(value) + "|";
  }
  std::sort(lines.begin(), lines.end());
  std::string text = Text("-- ", sql, "\n");
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

absl::StatusOr<uint32_t> DigestOf(const std::string& endpoint) {
  const auto session =
      client::Client({endpoint}).NewSession({.preference = client::Preference::kOnly});
  ASSIGN_OR_RETURN(std::string all,
                   RowsOf(session.get(), "SELECT type, name, sql FROM sqlite_schema"));
  ASSIGN_OR_RETURN(
      const client::Reply tables,
      session->Execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name"));
  for (const client::Row& row : tables.rows()) {
    ASSIGN_OR_RETURN(const std::string rows,
                     RowsOf(session.get(), Text("SELECT * FROM \"", client::ToText(row[0]), "\"")));
    all += rows;
  }
  ASSIGN_OR_RETURN(const std::string check, RowsOf(session.get(), "PRAGMA integrity_check"));
  return Crc32c(all + check);
}

}  // namespace

absl::StatusOr<std::vector<std::string>> CompareReplicas(const FaultCluster& cluster) {
  std::vector<std::string> differences;
  const std::vector<cli::NodeState>& nodes = cluster.state().nodes;
  uint32_t first_digest = 0;
  for (const cli::NodeState& node : nodes) {
    ASSIGN_OR_RETURN(const uint32_t digest, DigestOf(node.listen));
    if (&node == &nodes.front()) {
      first_digest = digest;
    } else if (digest != first_digest) {
      differences.push_back(
          Text("the database of ", node.name, " differs from that of ", nodes.front().name));
    }
  }
  return differences;
}

}  // namespace sextant::fault
