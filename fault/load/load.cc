// See load.h.
#include "fault/load/load.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <map>

#include "absl/time/clock.h"
#include "common/base/crc32c.h"
#include "common/base/status.h"
#include "common/base/text.h"
#include "fault/load/clock.h"
#include "fault/load/load_client.h"

namespace sextant::fault {
namespace {

// Far above every timeout of server and connection: who waits longer will wait for ever.
constexpr absl::Duration kPatience = absl::Seconds(120);

// Tries again until it is answered.
absl::StatusOr<SqlAnswer> Insist(const std::vector<std::string>& endpoints,
                                 const std::vector<v1::SqlStatement>& statements,
                                 absl::Duration timeout, bool must_write = false) {
  const absl::Time deadline = absl::Now() + timeout;
  SqlCaller caller(endpoints, std::min(timeout, absl::Seconds(10)), must_write);
  std::string error = "no session";
  for (size_t i = 0;; ++i) {
    if (caller.Connect(i)) {
      SqlAnswer answer = caller.Execute(statements, true);
      if (answer.ok()) return answer;
      error = answer.error;
    }
    if (absl::Now() >= deadline) return absl::DeadlineExceededError(error);
    absl::SleepFor(absl::Milliseconds(20));
  }
}

std::vector<v1::SqlStatement> StatementsOfAll(int64_t first, int64_t end) {
  return {
      SqlCaller::Statement("SELECT k, v FROM lists WHERE k >= ?1 AND k < ?2 ORDER BY k",
                           {first, end}),
      SqlCaller::Statement("SELECT k, v FROM registers WHERE k >= ?1 AND k < ?2 ORDER BY k",
                           {first, end}),
      SqlCaller::Statement("SELECT sum(balance) FROM bank"),
  };
}

// Of lists and registers; the bank goes on.
uint32_t ChecksumOf(const SqlAnswer& answer) {
  std::string all;
  for (size_t statement = 0; statement < 2; ++statement) {
    for (const SqlAnswer::Row& row : answer.results.at(statement)) {
      all += Text(row.at(0), "=", row.at(1), ";");
    }
    all += "|";
  }
  return Crc32c(all);
}

int64_t ToNumber(const std::string& text) {
  int64_t value = -1;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

template <typename T>
void Append(std::vector<T>* to, const std::vector<T>& from) {
  to->insert(to->end(), from.begin(), from.end());
}

}  // namespace

absl::Status Load::Prepare(const std::vector<std::string>& endpoints, absl::Duration timeout) {
  std::vector<v1::SqlStatement> statements;
  for (const char* sql : {"CREATE TABLE IF NOT EXISTS lists(k INTEGER PRIMARY KEY, v TEXT)",
                          "CREATE TABLE IF NOT EXISTS registers(k INTEGER PRIMARY KEY, v INTEGER)",
                          "CREATE TABLE IF NOT EXISTS bank(id INTEGER PRIMARY KEY, "
                          "balance INTEGER)"}) {
    statements.push_back(SqlCaller::Statement(sql));
  }
  for (int64_t account = 0; account < kAccounts; ++account) {
    statements.push_back(SqlCaller::Statement("INSERT OR IGNORE INTO bank VALUES(?1, ?2)",
                                              {account, kBankTotal / kAccounts}));
  }
  return Insist(endpoints, statements, timeout).status();
}

Load::Load(LoadOptions options)
    : options_(std::move(options)),
      next_value_(options_.first_value),
      next_session_(options_.first_session) {
  Prng prng(options_.seed);
  const auto add = [&](LoadClient::Duty duty) {
    clients_.push_back(std::make_unique<LoadClient>(this, duty, prng.Next()));
  };
  for (int i = 0; i < options_.clients; ++i) add(LoadClient::Duty::kAll);
  add(LoadClient::Duty::kReadsOnly);
  for (size_t i = 0; i < options_.readers.size(); ++i) add(LoadClient::Duty::kReadsReplicas);
}

Load::~Load() = default;

void Load::Start() {
  for (const auto& client : clients_) client->Start();
}

void Load::Stop() {
  stop_.store(true);
  const absl::Time deadline = absl::Now() + kPatience;
  for (size_t i = 0; i < clients_.size(); ++i) {
    while (!clients_[i]->has_ended() && absl::Now() < deadline) {
      absl::SleepFor(absl::Milliseconds(2));
    }
    if (!clients_[i]->has_ended()) {
      record_.stuck.push_back(Text("client ", i, " waits for an answer and gets none"));
      clients_[i]->Interrupt();
    }
    clients_[i]->Join();
    const LoadRecord& theirs = clients_[i]->record();
    Append(&record_.lists, theirs.lists);
    Append(&record_.registers, theirs.registers);
    Append(&record_.totals, theirs.totals);
  }
  record_.samples = SamplesFrom(0);
}

void Load::Add(const Sample& sample) {
  {
    std::lock_guard<std::mutex> lock(samples_mutex_);
    samples_.push_back(sample);
  }
  if (sample.outcome == Outcome::kCommitted) (sample.is_commit ? commits_ : reads_)++;
}

std::vector<Sample> Load::SamplesFrom(size_t from) const {
  std::lock_guard<std::mutex> lock(samples_mutex_);
  return {samples_.begin() + static_cast<long>(std::min(from, samples_.size())), samples_.end()};
}

int64_t Load::next_key() const {
  const int64_t windows =
      std::max(appends_.load() / kAppendsPerWindow, register_ops_.load() / kRegisterOpsPerWindow);
  return options_.first_key + (windows + 1) * kKeysPerWindow;
}

absl::StatusOr<uint32_t> Load::ReadAll(absl::Duration timeout) {
  const int64_t end = next_key();
  const Nanos invoked = MonotonicNow();
  ASSIGN_OR_RETURN(const SqlAnswer answer,
                   Insist(options_.writers, StatementsOfAll(options_.first_key, end), timeout,
                          options_.writers_move));
  const Nanos completed = MonotonicNow();
  std::map<int64_t, std::string> lists, registers;
  for (int64_t key = options_.first_key; key < end; ++key) lists[key] = registers[key] = "";
  for (const SqlAnswer::Row& row : answer.results.at(0)) lists[ToNumber(row.at(0))] = row.at(1);
  for (const SqlAnswer::Row& row : answer.results.at(1)) registers[ToNumber(row.at(0))] = row.at(1);
  ListTransaction all;
  all.session = next_session_++;
  all.node = answer.node;
  all.invoked = invoked;
  all.completed = completed;
  all.outcome = Outcome::kCommitted;
  all.lsn = Lsn(answer.lsn);
  all.is_lsn_exact = options_.has_exact_lsns;
  for (const auto& [key, text] : lists) all.ops.push_back(ListOp::Read(key, ParseList(text)));
  record_.lists.push_back(std::move(all));
  for (const auto& [key, text] : registers) {
    record_.registers.push_back(
        {key, false, text.empty() ? kUnwritten : ToNumber(text), invoked, completed});
  }
  record_.totals.push_back(
      {invoked, completed, answer.node, ToNumber(answer.results.at(2).at(0).at(0))});
  return ChecksumOf(answer);
}

absl::StatusOr<uint32_t> Load::Checksum(const std::vector<std::string>& endpoints, int64_t first,
                                        int64_t end, absl::Duration timeout) {
  ASSIGN_OR_RETURN(const SqlAnswer answer, Insist(endpoints, StatementsOfAll(first, end), timeout));
  return ChecksumOf(answer);
}

}  // namespace sextant::fault
