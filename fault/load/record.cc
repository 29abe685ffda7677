// See record.h.
#include "fault/load/record.h"

#include "common/base/text.h"
#include "fault/history/list_append.h"
#include "fault/history/registers.h"

namespace sextant::fault {

std::vector<Anomaly> Judge(const LoadRecord& record, int64_t bank_total) {
  std::vector<Anomaly> anomalies = CheckListAppend(record.lists);
  for (Anomaly& anomaly : CheckRegisters(record.registers)) {
    anomalies.push_back(std::move(anomaly));
  }
  constexpr int kShown = 5;
  int wrong = 0;
  for (const BankTotal& seen : record.totals) {
    if (seen.total == bank_total || ++wrong > kShown) continue;
    anomalies.push_back({"bank-total", Text(seen.node, " showed a total of ", seen.total,
                                            " instead of ", bank_total)});
  }
  for (const std::string& client : record.stuck) anomalies.push_back({"no-answer", client});
  return anomalies;
}

}  // namespace sextant::fault
