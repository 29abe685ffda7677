// See sql_wire.h.
#include "compute-node/server/sql_wire.h"

#include <utility>

namespace sextant::server {
namespace {

sql::Value FromProto(v1::SqlValue* in) {
  switch (in->kind_case()) {
    case v1::SqlValue::kInteger:
      return int64_t{in->integer()};
    case v1::SqlValue::kReal:
      return in->real();
    case v1::SqlValue::kText:
      return std::move(*in->mutable_text());
    case v1::SqlValue::kBlob:
      return sql::Blob{std::move(*in->mutable_blob())};
    case v1::SqlValue::kNull:
    case v1::SqlValue::KIND_NOT_SET:
      break;
  }
  return std::monostate{};
}

// Well-formed by RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF.
bool IsUtf8(std::string_view text) {
  size_t i = 0;
  while (i < text.size()) {
    const auto lead = static_cast<unsigned char>(text[i++]);
    if (lead < 0x80) continue;
    if (lead < 0xc2 || lead > 0xf4) return false;
    const int more = lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
    if (text.size() - i < static_cast<size_t>(more)) return false;
    const auto second = static_cast<unsigned char>(text[i]);
    if (lead == 0xe0 && second < 0xa0) return false;
    if (lead == 0xed && second > 0x9f) return false;
    if (lead == 0xf0 && second < 0x90) return false;
    if (lead == 0xf4 && second > 0x8f) return false;
    for (int k = 0; k < more; ++k, ++i) {
      if ((static_cast<unsigned char>(text[i]) & 0xc0) != 0x80) return false;
    }
  }
  return true;
}

void ToProto(sql::Value value, v1::SqlValue* out) {
  if (const auto* i = std::get_if<int64_t>(&value)) {
    out->set_integer(*i);
  } else if (const auto* d = std::get_if<double>(&value)) {
    out->set_real(*d);
  } else if (auto* text = std::get_if<std::string>(&value)) {
    if (IsUtf8(*text)) {
      out->set_text(std::move(*text));
    } else {
      out->set_blob(std::move(*text));
    }
  } else if (auto* blob = std::get_if<sql::Blob>(&value)) {
    out->set_blob(std::move(blob->bytes));
  } else {
    out->set_null(true);
  }
}

void ToProto(sql::StatementResult result, v1::StatementResult* out) {
  for (sql::Column& column : result.columns) {
    v1::ColumnInfo* info = out->add_columns();
    info->set_name(std::move(column.name));
    info->set_declared_type(std::move(column.declared_type));
  }
  out->mutable_rows()->Reserve(static_cast<int>(result.rows.size()));
  for (sql::Row& row : result.rows) {
    v1::Row* out_row = out->add_rows();
    for (sql::Value& value : row) ToProto(std::move(value), out_row->add_values());
  }
  out->set_changes(result.changes);
  out->set_last_insert_rowid(result.last_insert_rowid);
  out->set_is_continuation(result.is_continuation);
}

void ToProto(sql::Error error, v1::SqlError* out) {
  out->set_code(static_cast<uint32_t>(error.code));
  out->set_sqlite_code(error.sqlite_code);
  if (IsUtf8(error.message)) out->set_message(std::move(error.message));
  out->set_outcome(error.outcome == sql::Outcome::kUnknown ? v1::SqlError::UNKNOWN
                                                           : v1::SqlError::NOT_COMMITTED);
  out->set_is_retriable(error.is_retriable);
  out->set_statement_index(static_cast<uint32_t>(error.statement_index));
  out->set_is_nothing_done(error.is_nothing_done);
  if (!error.writer.has_value()) return;
  out->set_writer_node(std::move(error.writer->node));
  out->set_writer_address(std::move(error.writer->address));
}

}  // namespace

sql::Request FromProto(v1::SqlRequest* in) {
  sql::Request request{.id = in->id(),
                       .is_atomic = in->atomic(),
                       .timeout = absl::Milliseconds(in->timeout_ms()),
                       .min_lsn = Lsn(in->min_lsn()),
                       .max_rows_per_response = in->max_rows_per_response()};
  if (in->as_of_lsn() != 0) request.as_of_lsn = Lsn(in->as_of_lsn());
  if (in->as_of_time_us() != 0) request.as_of_time = absl::FromUnixMicros(in->as_of_time_us());
  request.statements.reserve(in->statements_size());
  for (v1::SqlStatement& statement : *in->mutable_statements()) {
    sql::Statement& out = request.statements.emplace_back();
    out.sql = std::move(*statement.mutable_sql());
    out.is_script = statement.script();
    for (v1::SqlValue& value : *statement.mutable_parameters()) {
      out.parameters.push_back(FromProto(&value));
    }
    for (v1::NamedValue& named : *statement.mutable_named_parameters()) {
      out.named_parameters.emplace_back(named.name(), FromProto(named.mutable_value()));
    }
  }
  return request;
}

void ToProto(sql::Response response, v1::SqlResponse* out) {
  out->Clear();
  out->set_id(response.id);
  for (sql::StatementResult& result : response.results) {
    ToProto(std::move(result), out->add_results());
  }
  if (response.error.has_value()) ToProto(*std::move(response.error), out->mutable_error());
  out->set_commit_lsn(response.position.value());
  out->set_in_transaction(response.in_transaction);
  out->set_is_last(response.is_last);
  out->set_snapshot_lsn(response.snapshot.value());
}

}  // namespace sextant::server
