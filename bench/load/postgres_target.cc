// PostgreSQL by libpq, with a prepared statement a connection.
#include <postgresql/libpq-fe.h>

#include "bench/load/target.h"
#include "common/base/status.h"
#include "common/base/text.h"

namespace sextant::bench {
namespace {

class PostgresConnection final : public Connection {
 public:
  static absl::StatusOr<std::unique_ptr<PostgresConnection>> Open(const std::string& at) {
    auto opened = std::make_unique<PostgresConnection>(PQconnectdb(at.c_str()));
    if (PQstatus(opened->connection_) != CONNECTION_OK) {
      return absl::UnavailableError(Text("postgres: ", PQerrorMessage(opened->connection_)));
    }
    return opened;
  }
  explicit PostgresConnection(PGconn* connection) : connection_(connection) {}
  ~PostgresConnection() override { PQfinish(connection_); }

  absl::Status Run(const char* sql) { return Check(PQexec(connection_, sql)); }
  absl::Status Prepare() {
    return Check(PQprepare(connection_, "upsert",
                           "insert into sextant_bench values ($1::bigint, $2) "
                           "on conflict (id) do update set value = excluded.value",
                           2, nullptr));
  }
  absl::Status Upsert(uint64_t row, const std::string& value) override {
    const std::string id = std::to_string(row);
    const char* const values[] = {id.c_str(), value.c_str()};
    return Check(PQexecPrepared(connection_, "upsert", 2, values, nullptr, nullptr, 0));
  }

 private:
  absl::Status Check(PGresult* result) {
    const ExecStatusType status = PQresultStatus(result);
    PQclear(result);
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) return absl::OkStatus();
    return absl::UnknownError(Text("postgres: ", PQerrorMessage(connection_)));
  }

  PGconn* const connection_;
};

class PostgresTarget final : public Target {
 public:
  explicit PostgresTarget(std::string at) : at_(std::move(at)) {}
  absl::Status Prepare() override {
    ASSIGN_OR_RETURN(const auto connection, PostgresConnection::Open(at_));
    RETURN_IF_ERROR(connection->Run("set client_min_messages = warning"));
    RETURN_IF_ERROR(connection->Run("drop table if exists sextant_bench"));
    return connection->Run("create table sextant_bench (id bigint primary key, value text)");
  }
  absl::StatusOr<std::unique_ptr<Connection>> Connect() override {
    ASSIGN_OR_RETURN(auto connection, PostgresConnection::Open(at_));
    RETURN_IF_ERROR(connection->Prepare());
    return std::unique_ptr<Connection>(std::move(connection));
  }

 private:
  const std::string at_;
};

}  // namespace

std::unique_ptr<Target> MakePostgresTarget(const std::string& at) {
  return std::make_unique<PostgresTarget>(at);
}

}  // namespace sextant::bench
