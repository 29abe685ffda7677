// See ledger.h.
#include "tests/integration/ledger.h"

#include <chrono>
#include <map>

#include "common/base/status.h"
#include "common/base/text.h"
#include "tests/integration/sql_client.h"

namespace sextant::testing {
namespace {

// Long enough that pages fill and split, and different for each pair.
std::string Padding(int thread, int64_t n, std::string_view side) {
  std::string padding;
  while (padding.size() < 120) padding += Text(thread, ".", n, ".", side, ";");
  return padding;
}

}  // namespace

absl::Status Ledger::Create(const std::string& endpoint) {
  SqlClient client(endpoint);
  return client
      .Execute(
          "CREATE TABLE ledger(thread INT, n INT, side TEXT, padding TEXT, "
          "PRIMARY KEY(thread, n, side))")
      .status();
}

Ledger::Ledger(std::vector<std::string> endpoints, int threads) : endpoints_(std::move(endpoints)) {
  for (int thread = 0; thread < threads; ++thread) {
    threads_.emplace_back([this, thread] { Run(thread); });
  }
}

void Ledger::Stop() {
  stop_ = true;
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void Ledger::Run(int thread) {
  // Follows the writer, but not for long: a test may stop the load while there is none.
  const auto session =
      client::Client(endpoints_)
          .NewSession({.connect_patience = absl::Seconds(1), .patience = absl::Seconds(1)});
  for (int64_t n = 0; !stop_; ++n) {
    const std::string sql = Text("INSERT INTO ledger VALUES(", thread, ",", n, ",'left','",
                                 Padding(thread, n, "left"), "');INSERT INTO ledger VALUES(",
                                 thread, ",", n, ",'right','", Padding(thread, n, "right"), "');");
    if (RunScript(*session, sql, /*atomic=*/true, absl::Seconds(5)).ok()) {
      std::lock_guard lock(mutex_);
      acknowledged_.emplace(thread, n);
      ++acknowledged_count_;
    } else {
      // Not a synchronisation: only keeps a refused client from spinning while the writer is down.
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }
}

absl::Status Ledger::WaitForProgress(int64_t more) const {
  const int64_t goal = acknowledged() + more;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (acknowledged() < goal) {
    if (std::chrono::steady_clock::now() > deadline) {
      return absl::DeadlineExceededError(Text("no progress: ", acknowledged(), " of ", goal));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return absl::OkStatus();
}

absl::Status Ledger::Verify(const std::string& endpoint) const {
  SqlClient client(endpoint);
  ASSIGN_OR_RETURN(SqlReply reply, client.Execute("SELECT thread, n, side, padding FROM ledger"));
  std::map<std::pair<int, int64_t>, int> sides;
  for (const TextRow& row : reply.rows) {
    const int thread = std::stoi(row[0]);
    const int64_t n = std::stoll(row[1]);
    if (row[3] != Padding(thread, n, row[2])) {
      return absl::DataLossError(Text("pair ", thread, "/", n, " ", row[2], " has other bytes"));
    }
    ++sides[{thread, n}];
  }
  for (const auto& [pair, count] : sides) {
    if (count != 2) {
      return absl::InternalError(Text("pair ", pair.first, "/", pair.second, " is torn"));
    }
  }
  std::lock_guard lock(mutex_);
  for (const auto& [thread, n] : acknowledged_) {
    if (!sides.contains({thread, n})) {
      return absl::DataLossError(Text("acknowledged pair ", thread, "/", n, " is gone; ",
                                      acknowledged_.size(), " were acknowledged, ", sides.size(),
                                      " are there"));
    }
  }
  ASSIGN_OR_RETURN(std::string check, client.QueryOne("PRAGMA integrity_check"));
  if (check != "ok") return absl::DataLossError(Text("integrity check: ", check));
  return absl::OkStatus();
}

}  // namespace sextant::testing
