// MariaDB by its C connector, with a prepared statement a connection.
#include <mariadb/mysql.h>

#include <cstring>
#include <sstream>

#include "bench/load/target.h"
#include "common/base/status.h"
#include "common/base/text.h"

namespace sextant::bench {
namespace {

class MariadbConnection final : public Connection {
 public:
  static absl::StatusOr<std::unique_ptr<MariadbConnection>> Open(const std::string& at,
                                                                 const char* database) {
    std::istringstream words(at);
    std::string host;
    unsigned port = 0;
    if (!(words >> host >> port)) return absl::InvalidArgumentError("mariadb: say HOST PORT");
    auto opened = std::make_unique<MariadbConnection>();
    if (mysql_real_connect(opened->mysql_, host.c_str(), "root", "", database, port, nullptr, 0) ==
        nullptr) {
      return absl::UnavailableError(Text("mariadb: ", mysql_error(opened->mysql_)));
    }
    return opened;
  }
  MariadbConnection() : mysql_(mysql_init(nullptr)) {}
  ~MariadbConnection() override {
    if (upsert_ != nullptr) mysql_stmt_close(upsert_);
    mysql_close(mysql_);
  }

  absl::Status Run(const char* sql) {
    return mysql_query(mysql_, sql) == 0
               ? absl::OkStatus()
               : absl::UnknownError(Text("mariadb: ", mysql_error(mysql_)));
  }
  absl::Status Prepare() {
    static constexpr char kSql[] =
        "insert into sextant_bench values (?, ?) on duplicate key update value = values(value)";
    upsert_ = mysql_stmt_init(mysql_);
    return Check(mysql_stmt_prepare(upsert_, kSql, std::strlen(kSql)));
  }
  absl::Status Upsert(uint64_t row, const std::string& value) override {
    unsigned long length = value.size();  // NOLINT(google-runtime-int): the connector's type
    MYSQL_BIND bind[2] = {};
    bind[0].buffer_type = MYSQL_TYPE_LONGLONG;
    bind[0].buffer = &row;
    bind[1].buffer_type = MYSQL_TYPE_STRING;
    bind[1].buffer = const_cast<char*>(value.data());
    bind[1].buffer_length = length;
    bind[1].length = &length;
    RETURN_IF_ERROR(Check(mysql_stmt_bind_param(upsert_, bind)));
    return Check(mysql_stmt_execute(upsert_));
  }

 private:
  absl::Status Check(int failed) {
    return failed == 0 ? absl::OkStatus()
                       : absl::UnknownError(Text("mariadb: ", mysql_stmt_error(upsert_)));
  }

  MYSQL* const mysql_;
  MYSQL_STMT* upsert_ = nullptr;
};

class MariadbTarget final : public Target {
 public:
  explicit MariadbTarget(std::string at) : at_(std::move(at)) {}
  absl::Status Prepare() override {
    ASSIGN_OR_RETURN(const auto connection, MariadbConnection::Open(at_, nullptr));
    RETURN_IF_ERROR(connection->Run("create database if not exists sextant"));
    RETURN_IF_ERROR(connection->Run("drop table if exists sextant.sextant_bench"));
    return connection->Run(
        "create table sextant.sextant_bench (id bigint primary key, value text) engine=innodb");
  }
  absl::StatusOr<std::unique_ptr<Connection>> Connect() override {
    ASSIGN_OR_RETURN(auto connection, MariadbConnection::Open(at_, "sextant"));
    RETURN_IF_ERROR(connection->Prepare());
    return std::unique_ptr<Connection>(std::move(connection));
  }

 private:
  const std::string at_;
};

}  // namespace

std::unique_ptr<Target> MakeMariadbTarget(const std::string& at) {
  return std::make_unique<MariadbTarget>(at);
}

}  // namespace sextant::bench
