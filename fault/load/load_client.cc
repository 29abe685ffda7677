// See load_client.h.
#include "fault/load/load_client.h"

#include <charconv>
#include <chrono>

#include "common/base/text.h"
#include "fault/load/clock.h"

namespace sextant::fault {
namespace {

constexpr char kAppend[] =
    "INSERT INTO lists VALUES(?1, ?2 || ',') ON CONFLICT(k) DO UPDATE SET v = v || excluded.v";
constexpr char kReadList[] = "SELECT v FROM lists WHERE k = ?1";
constexpr char kWrite[] =
    "INSERT INTO registers VALUES(?1, ?2) ON CONFLICT(k) DO UPDATE SET v = excluded.v";
constexpr char kReadRegister[] = "SELECT v FROM registers WHERE k = ?1";
constexpr char kMove[] = "UPDATE bank SET balance = balance + ?2 WHERE id = ?1";
constexpr char kTotal[] = "SELECT sum(balance) FROM bank";

int64_t NumberIn(const std::string& text, int64_t otherwise) {
  int64_t value = otherwise;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// The one value of a statement that yields at most one row.
std::string OnlyValue(const SqlAnswer& answer, size_t statement) {
  if (statement >= answer.results.size() || answer.results[statement].empty()) return "";
  return answer.results[statement][0].at(0);
}

}  // namespace

std::vector<int64_t> ParseList(const std::string& text) {
  std::vector<int64_t> list;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at < end) {
    int64_t value = 0;
    const auto [next, error] = std::from_chars(at, end, value);
    if (error != std::errc() || next == end || *next != ',') {
      list.push_back(-1);  // no client appended that: the judge will say so
      return list;
    }
    list.push_back(value);
    at = next + 1;
  }
  return list;
}

LoadClient::LoadClient(Load* load, Duty duty, uint64_t seed)
    : load_(load),
      duty_(duty),
      prng_(seed),
      caller_(duty == Duty::kReadsReplicas ? load->options_.readers : load->options_.writers,
              load->options_.timeout, duty != Duty::kReadsReplicas && load->options_.writers_move),
      session_(load->next_session_++) {
  if (duty == Duty::kAll && !load->options_.readers.empty()) {
    aside_.emplace(load->options_.readers, load->options_.timeout);
  }
}

void LoadClient::Start() {
  thread_ = std::thread([this] { Run(); });
}

void LoadClient::Run() {
  while (!load_->stop_.load()) {
    if (caller_.Connect(prng_.Below(16))) {
      RunOne();
    } else {
      BackOff();
    }
  }
  caller_.Disconnect();
  if (aside_.has_value()) aside_->Disconnect();
  has_ended_.store(true);
}

void LoadClient::RunOne() {
  const bool may_write = duty_ == Duty::kAll;
  switch (prng_.Below(10)) {
    case 0:
    case 1:
      // A reader may be behind: its registers are not linearizable, and nobody says they are.
      if (duty_ == Duty::kReadsReplicas) return ReadTotal();
      return RunRegister(may_write);
    case 2:
      return ReadTotal();
    case 3:
      if (may_write) return RunTransfer();
      [[fallthrough]];
    default:
      return RunLists(may_write);
  }
}

void LoadClient::BackOff() {
  std::this_thread::sleep_for(std::chrono::milliseconds(prng_.Between(2, 20)));
}

void LoadClient::Note(const SqlAnswer& answer, Nanos invoked, bool is_commit) {
  const Nanos now = MonotonicNow();
  load_->Add({now, now - invoked, is_commit, answer.outcome});
  if (answer.ok()) {
    seen_lsn_ = std::max(seen_lsn_, answer.lsn);
    return;
  }
  // Whose outcome is unknown may still take effect, so it is no part of what follows in a session.
  if (answer.outcome == Outcome::kUnknown) session_ = load_->next_session_++;
  BackOff();
}

SqlCaller& LoadClient::Choose(bool writes) {
  if (writes || !aside_.has_value() || !prng_.OneIn(2)) return caller_;
  return aside_->Connect(prng_.Below(16)) ? *aside_ : caller_;
}

bool LoadClient::IsStrict(const SqlCaller& caller) const {
  return duty_ != Duty::kReadsReplicas && &caller == &caller_;
}

SqlAnswer LoadClient::Interactive(SqlCaller* caller,
                                  const std::vector<v1::SqlStatement>& statements, bool writes) {
  // Whatever fails before COMMIT is sent has had no effect: the session that is lost rolls back.
  const auto aborted = [](SqlAnswer answer) {
    answer.outcome = Outcome::kAborted;
    return answer;
  };
  SqlAnswer begun =
      caller->Execute({SqlCaller::Statement(writes ? "BEGIN IMMEDIATE" : "BEGIN READ ONLY")}, false,
                      IsStrict(*caller) ? 0 : seen_lsn_);
  if (!begun.ok()) return aborted(std::move(begun));
  SqlAnswer whole;
  for (const v1::SqlStatement& statement : statements) {
    SqlAnswer answer = caller->Execute({statement}, false);
    if (!answer.ok()) return aborted(std::move(answer));
    whole.results.push_back(answer.results.empty() ? std::vector<SqlAnswer::Row>()
                                                   : std::move(answer.results[0]));
  }
  SqlAnswer committed = caller->Execute({SqlCaller::Statement("COMMIT")}, false);
  committed.results = std::move(whole.results);
  return committed;
}

SqlAnswer LoadClient::Transact(SqlCaller* caller, const std::vector<v1::SqlStatement>& statements,
                               bool writes) {
  if (prng_.OneIn(3)) return Interactive(caller, statements, writes);
  return caller->Execute(statements, true, IsStrict(*caller) ? 0 : seen_lsn_);
}

void LoadClient::RunLists(bool may_write) {
  ListTransaction transaction;
  transaction.session = session_;
  const int64_t window = load_->appends_.load() / kAppendsPerWindow;
  std::vector<v1::SqlStatement> statements;
  bool writes = false;
  for (uint64_t left = prng_.Between(1, 4); left > 0; --left) {
    const auto key = static_cast<int64_t>(prng_.Below(kKeysPerWindow)) + load_->options_.first_key +
                     window * kKeysPerWindow;
    if (may_write && prng_.OneIn(2)) {
      const int64_t value = load_->next_value_++;
      transaction.ops.push_back(ListOp::Append(key, value));
      statements.push_back(SqlCaller::Statement(kAppend, {key, value}));
      load_->appends_++;
      writes = true;
    } else {
      transaction.ops.push_back(ListOp::Read(key, {}));
      statements.push_back(SqlCaller::Statement(kReadList, {key}));
    }
  }
  SqlCaller& caller = Choose(writes);
  transaction.is_strict = IsStrict(caller);
  transaction.is_lsn_exact = load_->options_.has_exact_lsns;
  transaction.invoked = MonotonicNow();
  const SqlAnswer answer = Transact(&caller, statements, writes);
  transaction.outcome = answer.outcome;
  transaction.node = answer.node;
  if (answer.ok()) {
    transaction.completed = MonotonicNow();
    transaction.lsn = Lsn(answer.lsn);
    for (size_t i = 0; i < transaction.ops.size(); ++i) {
      ListOp& op = transaction.ops[i];
      if (!op.appended) op.list = ParseList(OnlyValue(answer, i));
    }
  }
  Note(answer, transaction.invoked, writes);
  // What only read and was not answered tells nothing.
  if (answer.ok() || writes) record_.lists.push_back(std::move(transaction));
}

void LoadClient::RunRegister(bool may_write) {
  RegisterOp op;
  const int64_t window = load_->register_ops_++ / kRegisterOpsPerWindow;
  op.key = static_cast<int64_t>(prng_.Below(kKeysPerWindow)) + load_->options_.first_key +
           window * kKeysPerWindow;
  op.is_write = may_write && prng_.OneIn(2);
  if (op.is_write) op.value = load_->next_value_++;
  op.invoked = MonotonicNow();
  const SqlAnswer answer =
      caller_.Execute({op.is_write ? SqlCaller::Statement(kWrite, {op.key, op.value})
                                   : SqlCaller::Statement(kReadRegister, {op.key})},
                      false);
  if (answer.ok()) {
    op.completed = MonotonicNow();
    if (!op.is_write) op.value = NumberIn(OnlyValue(answer, 0), kUnwritten);
  }
  Note(answer, op.invoked, op.is_write);
  const bool may_have_written = op.is_write && answer.outcome == Outcome::kUnknown;
  if (answer.ok() || may_have_written) record_.registers.push_back(op);
}

void LoadClient::RunTransfer() {
  const auto from = static_cast<int64_t>(prng_.Below(kAccounts));
  const auto to = static_cast<int64_t>(prng_.Below(kAccounts));
  const auto amount = static_cast<int64_t>(prng_.Between(1, 5));
  const Nanos invoked = MonotonicNow();
  const SqlAnswer answer = Transact(
      &caller_,
      {SqlCaller::Statement(kMove, {from, -amount}), SqlCaller::Statement(kMove, {to, amount})},
      true);
  Note(answer, invoked, true);
}

void LoadClient::ReadTotal() {
  BankTotal seen;
  seen.invoked = MonotonicNow();
  const SqlAnswer answer = Transact(&Choose(false), {SqlCaller::Statement(kTotal)}, false);
  Note(answer, seen.invoked, false);
  if (!answer.ok()) return;
  seen.completed = MonotonicNow();
  seen.node = answer.node;
  seen.total = NumberIn(OnlyValue(answer, 0), -1);
  record_.totals.push_back(std::move(seen));
}

}  // namespace sextant::fault
