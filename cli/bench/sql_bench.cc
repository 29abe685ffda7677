// `bench sql`: transactions of a workload on a table of their own.
#include <grpcpp/channel.h>

#include "cli/bench/measure.h"
#include "cli/bench/workload.h"
#include "client/session.h"
#include "common/base/status.h"
#include "common/base/text.h"
#include "common/rpc/channel.h"
#include "sextant/v1/sql.grpc.pb.h"

namespace sextant::cli {
namespace {

using Generator = LoadGenerator<v1::SqlRequest, v1::SqlResponse>;

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

}  // namespace

absl::StatusOr<BenchReport> RunSqlBench(const BenchOptions& options,
                                        const BenchProgress& progress) {
  BenchReport report;
  report.name = "sql";
  if (options.workload == Workload::kRead) report.unit = "reads";
  report.options = options;
  report.options.streams = options.clients;
  progress(Text("making sextant_bench with ", options.rows, " rows"));
  RETURN_IF_ERROR(Execute(options, SetUpStatements(options)));
  v1::SqlService::Stub stub(rpc::MakeChannel(options.endpoint));
  WorkloadRequests requests(options);
  Generator::Hooks hooks;
  hooks.prepare = [&stub](grpc::ClientContext* context, grpc::CompletionQueue* queue) {
    return stub.PrepareAsyncSession(context, queue);
  };
  hooks.add = [&requests](uint64_t id, v1::SqlRequest* request) {
    requests.Fill(request);
    request->set_id(id);
  };
  hooks.read = [](const v1::SqlResponse& response, const Generator::Hooks::Answered& answered) {
    if (response.is_last()) answered(response.id(), ErrorOf(response));
  };
  absl::Status status;
  {
    Generator generator(std::move(hooks), options.clients, options.clients, options.rate);
    status = Measure(&generator, progress, &report);
  }
  const absl::Status dropped = Execute(options, {"DROP TABLE IF EXISTS sextant_bench"});
  RETURN_IF_ERROR(status);
  RETURN_IF_ERROR(dropped);
  return report;
}

}  // namespace sextant::cli
