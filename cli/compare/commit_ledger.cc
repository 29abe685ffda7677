// See commit_ledger.h.
#include "cli/compare/commit_ledger.h"

#include <utility>
#include <variant>

#include "absl/time/clock.h"
#include "client/session.h"
#include "common/base/status.h"

namespace sextant::cli {
namespace {

constexpr char kInsert[] = "INSERT INTO sextant_ledger(n) VALUES(?1)";
// Short, so that a client whose answer never comes asks again soon.
constexpr absl::Duration kCommitTimeout = absl::Seconds(2);

}  // namespace

absl::Status CommitLedger::Prepare(const std::vector<std::string>& endpoints) {
  const auto session = client::Client(endpoints).NewSession();
  client::Request request{.timeout = absl::Seconds(30)};
  request.statements.push_back({"DROP TABLE IF EXISTS sextant_ledger"});
  request.statements.push_back({"CREATE TABLE sextant_ledger(n INTEGER PRIMARY KEY)"});
  return session->Execute(std::move(request)).status();
}

absl::StatusOr<uint64_t> CommitLedger::CountLost(const std::vector<std::string>& endpoints,
                                                 const std::set<int64_t>& answered) {
  const auto session = client::Client(endpoints).NewSession();
  ASSIGN_OR_RETURN(const client::Reply reply, session->Execute("SELECT n FROM sextant_ledger"));
  std::set<int64_t> held;
  for (const client::Row& row : reply.rows()) {
    if (const auto* n = std::get_if<int64_t>(&row[0])) held.insert(*n);
  }
  uint64_t lost = 0;
  for (const int64_t n : answered) lost += held.contains(n) ? 0 : 1;
  return lost;
}

CommitLedger::CommitLedger(std::vector<std::string> endpoints, int clients, int64_t first)
    : next_(first) {
  for (int i = 0; i < clients; ++i) {
    threads_.emplace_back([this, endpoints] { Run(endpoints); });
  }
}

void CommitLedger::Run(const std::vector<std::string>& endpoints) {
  client::Client cluster(endpoints);
  auto session = cluster.NewSession();
  while (!is_over_) {
    const int64_t n = next_++;
    client::Request request{.timeout = kCommitTimeout};
    request.statements.push_back({.sql = kInsert, .parameters = {n}});
    const absl::Time asked = absl::Now();
    if (!session->Execute(std::move(request)).ok()) {
      session = cluster.NewSession();  // the old one would wait for what an async failover has lost
      continue;
    }
    std::lock_guard lock(mutex_);
    answered_.insert(n);
    answers_.push_back({asked, absl::Now()});
    ++answered_count_;
  }
}

std::optional<absl::Time> CommitLedger::FirstAnswered(absl::Time since) const {
  std::lock_guard lock(mutex_);
  std::optional<absl::Time> first;
  for (const Answer& answer : answers_) {
    if (answer.asked < since) continue;
    if (!first.has_value() || answer.answered < *first) first = answer.answered;
  }
  return first;
}

const std::set<int64_t>& CommitLedger::Stop() {
  is_over_ = true;
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  return answered_;
}

}  // namespace sextant::cli
