// `bench sql`: single-row upserts, or reads, by primary key.
#include <grpcpp/channel.h>

#include "cli/bench/measure.h"
#include "client/session.h"
#include "common/base/prng.h"
#include "common/base/status.h"
#include "common/base/text.h"
#include "common/rpc/channel.h"
#include "sextant/v1/sql.grpc.pb.h"

namespace sextant::cli {
namespace {

using Generator = LoadGenerator<v1::SqlRequest, v1::SqlResponse>;

constexpr char kUpsert[] =
    "INSERT INTO sextant_bench(id, value) VALUES(?1, ?2) "
    "ON CONFLICT(id) DO UPDATE SET value = excluded.value";
constexpr char kSelect[] = "SELECT value FROM sextant_bench WHERE id = ?1";

std::string ErrorOf(const v1::SqlResponse& response) {
  return response.has_error() ? response.error().message() : std::string();
}

// Runs statements on a session of its own, one after the other.
absl::Status Execute(const BenchOptions& options, const std::vector<std::string>& statements) {
  const auto session = client::Client({options.endpoint}).NewSession();
  client::Request request{.timeout = absl::Minutes(1)};
  for (const std::string& sql : statements) request.statements.push_back({sql});
  return session->Execute(std::move(request)).status();
}

std::vector<std::string> SetUp(const BenchOptions& options) {
  return {"DROP TABLE IF EXISTS sextant_bench",
          "CREATE TABLE sextant_bench(id INTEGER PRIMARY KEY, value BLOB)",
          Text("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ",
               options.rows, ") INSERT INTO sextant_bench SELECT i, randomblob(",
               options.value_bytes, ") FROM n")};
}

// One statement over a random row; the request is the last one, used again.
void FillRequest(const BenchOptions& options, Prng* prng, std::string* value,
                 v1::SqlRequest* request) {
  if (request->statements_size() == 0) {
    v1::SqlStatement* statement = request->add_statements();
    statement->set_sql(options.is_read ? kSelect : kUpsert);
    statement->add_parameters();
    if (!options.is_read) statement->add_parameters();
  }
  v1::SqlStatement* statement = request->mutable_statements(0);
  statement->mutable_parameters(0)->set_integer(
      static_cast<int64_t>(1 + prng->Below(options.rows)));
  request->set_timeout_ms(options.timeout_ms);
  if (options.is_read) return;
  for (char& c : *value) c = static_cast<char>(prng->Next());
  statement->mutable_parameters(1)->set_blob(*value);
}

}  // namespace

absl::StatusOr<BenchReport> RunSqlBench(const BenchOptions& options,
                                        const BenchProgress& progress) {
  BenchReport report;
  report.name = "sql";
  if (options.is_read) report.unit = "reads";
  report.options = options;
  report.options.streams = options.clients;
  progress(Text("making sextant_bench with ", options.rows, " rows"));
  RETURN_IF_ERROR(Execute(options, SetUp(options)));
  v1::SqlService::Stub stub(rpc::MakeChannel(options.endpoint));
  Prng prng(options.seed);
  std::string value(options.value_bytes, '\0');
  Generator::Hooks hooks;
  hooks.prepare = [&stub](grpc::ClientContext* context, grpc::CompletionQueue* queue) {
    return stub.PrepareAsyncSession(context, queue);
  };
  hooks.fill = [&](v1::SqlRequest* request) { FillRequest(options, &prng, &value, request); };
  hooks.is_complete = [](const v1::SqlResponse& response) { return response.is_last(); };
  hooks.error_of = ErrorOf;
  absl::Status status;
  {
    Generator generator(std::move(hooks), options.clients, options.clients);
    status = Measure(&generator, progress, &report);
  }
  const absl::Status dropped = Execute(options, {"DROP TABLE IF EXISTS sextant_bench"});
  RETURN_IF_ERROR(status);
  RETURN_IF_ERROR(dropped);
  return report;
}

}  // namespace sextant::cli
