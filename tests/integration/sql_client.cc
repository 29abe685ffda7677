// See sql_client.h.
#include "tests/integration/sql_client.h"

#include <grpcpp/grpcpp.h>

#include <charconv>
#include <utility>

#include "common/base/status.h"
#include "common/base/text.h"
#include "common/rpc/channel.h"
#include "common/rpc/status.h"
#include "sextant/v1/sql.grpc.pb.h"

namespace sextant::testing {
namespace {

std::string ValueText(const v1::SqlValue& value) {
  switch (value.kind_case()) {
    case v1::SqlValue::kInteger:
      return std::to_string(value.integer());
    case v1::SqlValue::kReal:
      return Text(value.real());
    case v1::SqlValue::kText:
      return value.text();
    case v1::SqlValue::kBlob:
      return value.blob();
    default:
      return "NULL";
  }
}

absl::Status ErrorOf(const v1::SqlError& error) {
  const bool is_unknown = error.outcome() == v1::SqlError::UNKNOWN;
  return absl::Status(static_cast<absl::StatusCode>(error.code()),
                      Text(is_unknown ? "outcome unknown: " : "", error.message()));
}

}  // namespace

struct SqlClient::Stream {
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<v1::SqlService::Stub> stub;
  grpc::ClientContext context;
  std::unique_ptr<grpc::ClientReaderWriter<v1::SqlRequest, v1::SqlResponse>> rpc;

  ~Stream() {
    context.TryCancel();
    if (rpc != nullptr) rpc->Finish();
  }
};

SqlClient::SqlClient(const std::string& endpoint) : endpoint_(endpoint) {}
SqlClient::~SqlClient() = default;

absl::Status SqlClient::EnsureStream() {
  if (stream_ != nullptr) return absl::OkStatus();
  auto stream = std::make_unique<Stream>();
  stream->channel = rpc::MakeChannel(endpoint_);
  stream->stub = v1::SqlService::NewStub(stream->channel);
  if (!stream->channel->WaitForConnected(std::chrono::system_clock::now() +
                                         std::chrono::seconds(10))) {
    return absl::UnavailableError(Text("no answer from ", endpoint_));
  }
  stream->rpc = stream->stub->Session(&stream->context);
  stream_ = std::move(stream);
  return absl::OkStatus();
}

absl::StatusOr<SqlReply> SqlClient::Execute(const std::string& sql, bool atomic,
                                            absl::Duration timeout) {
  RETURN_IF_ERROR(EnsureStream());
  v1::SqlRequest request;
  request.set_id(next_id_++);
  request.set_atomic(atomic);
  request.set_timeout_ms(static_cast<uint32_t>(absl::ToInt64Milliseconds(timeout)));
  v1::SqlStatement* statement = request.add_statements();
  statement->set_sql(sql);
  statement->set_script(true);
  SqlReply reply;
  bool sent = stream_->rpc->Write(request);
  while (sent) {
    v1::SqlResponse response;
    if (!stream_->rpc->Read(&response)) break;
    for (const v1::StatementResult& result : response.results()) {
      if (result.columns_size() > 0 && !result.is_continuation()) reply.rows.clear();
      reply.changes = result.changes();
      for (const v1::Row& row : result.rows()) {
        TextRow& text = reply.rows.emplace_back();
        for (const v1::SqlValue& value : row.values()) text.push_back(ValueText(value));
      }
    }
    if (response.has_error()) return ErrorOf(response.error());
    if (response.is_last()) {
      reply.commit_lsn = response.commit_lsn();
      return reply;
    }
  }
  const absl::Status end = rpc::FromGrpc(std::exchange(stream_->rpc, nullptr)->Finish(), endpoint_);
  stream_.reset();
  if (absl::IsFailedPrecondition(end)) return end;
  return absl::UnavailableError(Text("the session with ", endpoint_, " was lost"));
}

absl::StatusOr<std::string> SqlClient::QueryOne(const std::string& sql) {
  ASSIGN_OR_RETURN(SqlReply reply, Execute(sql));
  if (reply.rows.empty() || reply.rows[0].empty()) return absl::InternalError("no row");
  return reply.rows[0][0];
}

}  // namespace sextant::testing
