// See rocksdb_errors.h.
#include "storage-node/store/rocksdb_errors.h"

#include <string>
#include <utility>

#include "common/base/text.h"

namespace sextant::storage {

absl::Status FromRocks(const rocksdb::Status& status, std::string_view doing) {
  if (status.ok()) return absl::OkStatus();
  const std::string message = Text("store: ", doing, ": ", status.ToString());
  if (IsDamage(status)) return absl::DataLossError(message);
  if (status.IsNotFound()) return absl::NotFoundError(message);
  return absl::UnavailableError(message);
}

absl::Status FirstError::Set(absl::Status error) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (error_.ok()) error_ = std::move(error);
  is_set_.store(true, std::memory_order_release);
  return error_;
}

void FirstError::OnBackgroundError(rocksdb::BackgroundErrorReason, rocksdb::Status* error) {
  absl::Status first = FromRocks(*error, "background write");
  if (absl::IsDataLoss(first)) {
    on_damage_();
    first = absl::DataLossError(Text(first.message(), "; the next start rewrites the table"));
  }
  (void)Set(std::move(first));
}

}  // namespace sextant::storage
