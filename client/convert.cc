// See convert.h.
#include "client/convert.h"

#include <utility>

#include "client/errors.h"
#include "common/base/text.h"

namespace sextant::client {
namespace {

void ToProto(Value value, v1::SqlValue* out) {
  if (const auto* integer = std::get_if<int64_t>(&value)) {
    out->set_integer(*integer);
  } else if (const auto* real = std::get_if<double>(&value)) {
    out->set_real(*real);
  } else if (auto* text = std::get_if<std::string>(&value)) {
    out->set_text(std::move(*text));
  } else if (auto* blob = std::get_if<Blob>(&value)) {
    out->set_blob(std::move(blob->bytes));
  } else {
    out->set_null(true);
  }
}

Value FromProto(v1::SqlValue* in) {
  switch (in->kind_case()) {
    case v1::SqlValue::kInteger:
      return int64_t{in->integer()};
    case v1::SqlValue::kReal:
      return in->real();
    case v1::SqlValue::kText:
      return std::move(*in->mutable_text());
    case v1::SqlValue::kBlob:
      return Blob{std::move(*in->mutable_blob())};
    default:
      return std::monostate{};
  }
}

}  // namespace

v1::SqlRequest ToProto(Request request) {
  v1::SqlRequest out;
  for (Statement& statement : request.statements) {
    v1::SqlStatement* added = out.add_statements();
    added->set_sql(std::move(statement.sql));
    added->set_script(statement.is_script);
    for (Value& value : statement.parameters) ToProto(std::move(value), added->add_parameters());
  }
  out.set_atomic(request.is_atomic);
  out.set_timeout_ms(static_cast<uint32_t>(absl::ToInt64Milliseconds(request.timeout)));
  if (request.as_of_lsn.has_value()) out.set_as_of_lsn(*request.as_of_lsn);
  if (request.as_of_time.has_value()) {
    out.set_as_of_time_us(absl::ToUnixMicros(*request.as_of_time));
  }
  return out;
}

void AddTo(Reply* reply, v1::SqlResponse* response) {
  for (v1::StatementResult& result : *response->mutable_results()) {
    if (!result.is_continuation() || reply->results.empty()) {
      Result& added = reply->results.emplace_back();
      for (v1::ColumnInfo& column : *result.mutable_columns()) {
        added.columns.push_back(std::move(*column.mutable_name()));
      }
    }
    Result& to = reply->results.back();
    to.changes = result.changes();
    to.last_insert_rowid = result.last_insert_rowid();
    for (v1::Row& row : *result.mutable_rows()) {
      Row& values = to.rows.emplace_back();
      for (v1::SqlValue& value : *row.mutable_values()) values.push_back(FromProto(&value));
    }
  }
  reply->lsn = response->commit_lsn();
  reply->snapshot = response->snapshot_lsn();
  reply->in_transaction = response->in_transaction();
}

absl::Status StatusOf(const v1::SqlError& error) {
  return WithInfo(
      absl::Status(static_cast<absl::StatusCode>(error.code()), error.message()),
      {.outcome = error.outcome() == v1::SqlError::UNKNOWN ? Outcome::kUnknown
                                                           : Outcome::kNotCommitted,
       .is_retriable = error.is_retriable(),
       .statement_index = error.statement_index()});
}

std::string ToText(const Value& value) {
  if (const auto* integer = std::get_if<int64_t>(&value)) return Text(*integer);
  if (const auto* real = std::get_if<double>(&value)) return Text(*real);
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  if (const auto* blob = std::get_if<Blob>(&value)) return blob->bytes;
  return "NULL";
}

const std::vector<Row>& Reply::rows() const {
  static const auto* const kNone = new std::vector<Row>;
  for (auto result = results.rbegin(); result != results.rend(); ++result) {
    if (!result->columns.empty()) return result->rows;
  }
  return *kNone;
}

}  // namespace sextant::client
