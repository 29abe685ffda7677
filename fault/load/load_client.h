// LoadClient: one client of a Load. Internal to load/.
#pragma once

#include <atomic>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "fault/load/load.h"
#include "fault/load/sql_caller.h"

namespace sextant::fault {

// Keys of a window are in use until so many operations were done on them.
inline constexpr int kKeysPerWindow = 4;
inline constexpr int64_t kAppendsPerWindow = 200;
inline constexpr int64_t kRegisterOpsPerWindow = 160;

class LoadClient {
 public:
  enum class Duty { kAll, kReadsOnly, kReadsReplicas };

  LoadClient(Load* load, Duty duty, uint64_t seed);
  void Start();
  // True once the thread has ended.
  bool has_ended() const { return has_ended_.load(); }
  void Interrupt() {
    caller_.Interrupt();
    if (aside_.has_value()) aside_->Interrupt();
  }
  void Join() { thread_.join(); }

  LoadRecord& record() { return record_; }

 private:
  void Run();
  void RunOne();
  void RunLists(bool may_write);
  void RunRegister(bool may_write);
  void RunTransfer();
  void ReadTotal();
  // Now and then a reader, for what does not write.
  SqlCaller& Choose(bool writes);
  // Whether `caller` answers as the writer: what was completed before is seen without a token.
  bool IsStrict(const SqlCaller& caller) const;
  // A whole transaction, by one request or by several.
  SqlAnswer Transact(SqlCaller* caller, const std::vector<v1::SqlStatement>& statements,
                     bool writes);
  SqlAnswer Interactive(SqlCaller* caller, const std::vector<v1::SqlStatement>& statements,
                        bool writes);
  void Note(const SqlAnswer& answer, Nanos invoked, bool is_commit);
  void BackOff();

  Load* const load_;
  const Duty duty_;
  Prng prng_;
  SqlCaller caller_;
  std::optional<SqlCaller> aside_;  // of a client that writes, to the readers
  int session_;
  uint64_t seen_lsn_ = 0;
  LoadRecord record_;
  std::atomic<bool> has_ended_ = false;
  std::thread thread_;
};

// "3,1,2," as in the table.
std::vector<int64_t> ParseList(const std::string& text);

}  // namespace sextant::fault
