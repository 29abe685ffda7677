// Sextant by its own client library, with a session a client.
#include "bench/load/target.h"
#include "client/session.h"
#include "common/base/status.h"

namespace sextant::bench {
namespace {

class SextantConnection final : public Connection {
 public:
  explicit SextantConnection(std::unique_ptr<client::Session> session)
      : session_(std::move(session)) {}

  absl::Status Upsert(uint64_t row, const std::string& value) override {
    return session_
        ->Execute(
            "INSERT INTO sextant_bench(id, value) VALUES(?1, ?2) "
            "ON CONFLICT(id) DO UPDATE SET value = excluded.value",
            {static_cast<int64_t>(row), value})
        .status();
  }

 private:
  const std::unique_ptr<client::Session> session_;
};

class SextantTarget final : public Target {
 public:
  explicit SextantTarget(const std::string& at) : client_({at}) {}

  absl::Status Prepare() override {
    const auto session = client_.NewSession();
    RETURN_IF_ERROR(session->Execute("DROP TABLE IF EXISTS sextant_bench").status());
    return session->Execute("CREATE TABLE sextant_bench(id INTEGER PRIMARY KEY, value TEXT)")
        .status();
  }
  absl::StatusOr<std::unique_ptr<Connection>> Connect() override {
    return std::unique_ptr<Connection>(std::make_unique<SextantConnection>(client_.NewSession()));
  }

 private:
  client::Client client_;
};

}  // namespace

std::unique_ptr<Target> MakeSextantTarget(const std::string& at) {
  return std::make_unique<SextantTarget>(at);
}

}  // namespace sextant::bench
