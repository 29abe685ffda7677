// See binlog_store.h.
#include "compute-node/binlog/files/binlog_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <optional>
#include <utility>

#include "common/base/check.h"
#include "common/base/status.h"
#include "common/base/text.h"
#include "compute-node/binlog/files/file_io.h"

namespace sextant::binlog {
namespace {

constexpr std::string_view kPrefix = "binlog.";

std::string PathOf(const std::string& folder, uint64_t number) {
  std::string digits = std::to_string(number);
  if (digits.size() < 6) digits.insert(0, 6 - digits.size(), '0');
  return Text(folder, "/", kPrefix, digits);
}

uint64_t NowMicros() {
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(
                                   std::chrono::system_clock::now().time_since_epoch())
                                   .count());
}

// Numbers of the files there, ascending.
absl::StatusOr<std::vector<uint64_t>> ListFiles(const std::string& folder) {
  std::vector<uint64_t> numbers;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (name.rfind(kPrefix, 0) != 0) continue;
    numbers.push_back(std::strtoull(name.c_str() + kPrefix.size(), nullptr, 10));
  }
  if (error) return absl::UnavailableError(Text("listing ", folder, ": ", error.message()));
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

// The Format event at the front of a file; `*bytes` goes behind it.
absl::StatusOr<FormatEvent> TakeFormat(const std::string& path, std::string_view* bytes) {
  absl::StatusOr<Event> event = DecodeEvent(bytes);
  if (!event.ok()) {
    return absl::Status(event.status().code(), Text(path, ": ", event.status().message()));
  }
  if (auto* format = std::get_if<FormatEvent>(&*event)) return std::move(*format);
  return absl::DataLossError(Text(path, ": does not begin as a binlog does"));
}

// Where, in what cannot be read on from its first byte, something whole stands all the same;
// nullopt: nowhere, so it is what a crash left half written. Looks for the events of bounded size
// that every transaction begins and ends with. The checksum makes a chance hit one in 2^32.
std::optional<size_t> FindWholeEvent(std::string_view rest) {
  constexpr size_t kLargestBody = 64;  // of Gtid, Commit and Rotate: varints
  for (size_t at = 1; at < rest.size(); ++at) {
    std::string_view here = rest.substr(at, kLargestBody);
    const absl::StatusOr<Event> event = DecodeEvent(&here);
    if (!event.ok()) continue;
    if (std::holds_alternative<GtidEvent>(*event) || std::holds_alternative<CommitEvent>(*event) ||
        std::holds_alternative<RotateEvent>(*event)) {
      return at;
    }
  }
  return std::nullopt;
}

// `rest`, the end of a file of `bytes`, does not begin with a whole transaction.
absl::Status CheckIsTornEnd(const std::string& path, size_t bytes, std::string_view rest) {
  // Up to the first bad event all may be well, unless the transaction has come to its end.
  std::string_view bad = rest;
  std::optional<size_t> whole;
  for (auto event = DecodeEvent(&bad); event.ok() && !whole.has_value();) {
    if (std::holds_alternative<CommitEvent>(*event)) whole = 0;
    event = DecodeEvent(&bad);
  }
  if (!whole.has_value()) whole = FindWholeEvent(bad);
  if (!whole.has_value()) return absl::OkStatus();
  return absl::DataLossError(Text(
      path, ": damaged at byte ", bytes - bad.size(), ", for what stands at byte ",
      bytes - bad.size() + *whole,
      " is whole, so this is no torn end: nothing was cut off; let another node lead, empty this "
      "node's folder and start it, and it is seeded"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<BinlogStore>> BinlogStore::Open(const std::string& folder,
                                                               const GtidSet& history,
                                                               BinlogStoreOptions options) {
  std::unique_ptr<BinlogStore> store(new BinlogStore(folder, options));
  RETURN_IF_ERROR(store->Load(history));
  return store;
}

BinlogStore::~BinlogStore() = default;

absl::Status BinlogStore::Load(const GtidSet& history) {
  std::error_code error;
  std::filesystem::create_directories(folder_, error);
  if (error) return absl::UnavailableError(Text("making ", folder_, ": ", error.message()));
  ASSIGN_OR_RETURN(const std::vector<uint64_t> numbers, ListFiles(folder_));
  for (const uint64_t number : numbers) {
    BinlogFile file{.number = number, .path = PathOf(folder_, number)};
    ASSIGN_OR_RETURN(const std::string head, ReadFile(file.path, 0, 1 << 20));
    std::string_view rest = head;
    absl::StatusOr<FormatEvent> format = TakeFormat(file.path, &rest);
    const bool is_last = number == numbers.back();
    // Begun, and never used: made again.
    if (is_last && !files_.empty() && absl::IsOutOfRange(format.status())) {
      std::filesystem::remove(file.path, error);
      break;
    }
    if (absl::IsOutOfRange(format.status())) {
      return absl::DataLossError(Text(file.path, ": its first event is cut short"));
    }
    RETURN_IF_ERROR(format.status());
    file.before = std::move(format->before);
    ASSIGN_OR_RETURN(file.bytes, FileSize(file.path));
    file.is_closed = !is_last;
    files_.push_back(std::move(file));
  }
  if (files_.empty()) {
    history_ = history;
    return Create(1);
  }
  return LoadLast(&files_.back());
}

// Follows the last file to its end, and cuts off what a crash left half written.
absl::Status BinlogStore::LoadLast(BinlogFile* file) {
  ASSIGN_OR_RETURN(const std::string bytes, ReadFile(file->path, 0, SIZE_MAX));
  std::string_view rest = bytes;
  RETURN_IF_ERROR(TakeFormat(file->path, &rest).status());
  history_ = file->before;
  bool is_rotated = false;
  while (!rest.empty() && !is_rotated) {
    std::string_view probe = rest;
    const absl::StatusOr<TransactionView> transaction = DecodeTransaction(&probe);
    if (!transaction.ok()) {
      std::string_view end = rest;
      const auto event = DecodeEvent(&end);
      is_rotated = event.ok() && std::holds_alternative<RotateEvent>(*event);
      if (is_rotated) rest = end;
      break;
    }
    if (transaction->header.gtid.seq != history_.last().Next()) {
      return absl::DataLossError(Text(file->path, ": ", FormatGtid(transaction->header.gtid),
                                      " follows ", history_.last()));
    }
    history_.Add(transaction->header.gtid);
    rest = probe;
  }
  if (!is_rotated) RETURN_IF_ERROR(CheckIsTornEnd(file->path, bytes.size(), rest));
  torn_bytes_ = rest.size();
  file->bytes = bytes.size() - rest.size();
  ASSIGN_OR_RETURN(fd_, OpenFile(file->path, O_RDWR));
  if (torn_bytes_ > 0 && ::ftruncate(*fd_, static_cast<off_t>(file->bytes)) != 0) {
    return IoError("cutting", file->path);
  }
  // What was written may not have been synced before the crash.
  RETURN_IF_ERROR(SyncFile(*fd_, file->path));
  if (::lseek(*fd_, 0, SEEK_END) < 0) return IoError("seeking in", file->path);
  if (!is_rotated) return absl::OkStatus();
  file->is_closed = true;
  return Create(file->number + 1);
}

absl::Status BinlogStore::Create(uint64_t number) {
  BinlogFile file{.number = number, .path = PathOf(folder_, number), .before = history_};
  ASSIGN_OR_RETURN(fd_, OpenFile(file.path, O_RDWR | O_CREAT | O_TRUNC));
  files_.push_back(file);
  std::string bytes;
  EncodeEvent(FormatEvent{.file_number = number, .created_micros = NowMicros(), .before = history_},
              &bytes);
  RETURN_IF_ERROR(Write(bytes));
  RETURN_IF_ERROR(SyncFile(*fd_, file.path));
  return SyncFolder(folder_);
}

absl::Status BinlogStore::Write(std::string_view bytes) {
  absl::Status status = WriteAll(*fd_, bytes, files_.back().path);
  if (!status.ok()) {
    broken_ = status;
    return status;
  }
  files_.back().bytes += bytes.size();
  bytes_written_ += bytes.size();
  return absl::OkStatus();
}

absl::Status BinlogStore::Append(Gtid gtid, std::string_view bytes) {
  std::lock_guard lock(mutex_);
  RETURN_IF_ERROR(broken_);
  SEXTANT_CHECK(gtid.seq == history_.last().Next())
      << FormatGtid(gtid) << " after " << history_.last();
  RETURN_IF_ERROR(Write(bytes));
  history_.Add(gtid);
  return files_.back().bytes >= options_.max_file_bytes ? RotateLocked() : absl::OkStatus();
}

absl::Status BinlogStore::Sync() {
  std::shared_ptr<int> fd;
  std::string path;
  {
    std::lock_guard lock(mutex_);
    RETURN_IF_ERROR(broken_);
    fd = fd_;
    path = files_.back().path;
  }
  absl::Status status = SyncFile(*fd, path);
  if (status.ok()) return status;
  // What of it is on disk nobody can know, now or after another try.
  std::lock_guard lock(mutex_);
  if (broken_.ok()) broken_ = status;
  return status;
}

absl::Status BinlogStore::Rotate() {
  std::lock_guard lock(mutex_);
  RETURN_IF_ERROR(broken_);
  return RotateLocked();
}

absl::Status BinlogStore::RotateLocked() {
  std::string bytes;
  EncodeEvent(RotateEvent{.next_file_number = files_.back().number + 1}, &bytes);
  RETURN_IF_ERROR(Write(bytes));
  absl::Status status = SyncFile(*fd_, files_.back().path);
  if (status.ok()) {
    files_.back().is_closed = true;
    status = Create(files_.back().number + 1);
  }
  if (!status.ok()) broken_ = status;
  return status;
}

absl::Status BinlogStore::TruncateAfter(TxnSeq seq) {
  std::lock_guard lock(mutex_);
  if (seq >= history_.last()) return absl::OkStatus();
  SEXTANT_CHECK(seq >= files_.front().before.last()) << seq << " was purged";
  while (files_.back().before.last() > seq) {
    std::error_code error;
    std::filesystem::remove(files_.back().path, error);
    if (error) return absl::UnavailableError(Text("removing ", files_.back().path));
    files_.pop_back();
  }
  BinlogFile& file = files_.back();
  ASSIGN_OR_RETURN(const std::string bytes, ReadFile(file.path, 0, SIZE_MAX));
  std::string_view rest = bytes;
  RETURN_IF_ERROR(TakeFormat(file.path, &rest).status());
  for (TxnSeq at = file.before.last(); at < seq; at = at.Next()) {
    RETURN_IF_ERROR(DecodeTransaction(&rest).status());
  }
  ASSIGN_OR_RETURN(fd_, OpenFile(file.path, O_RDWR));
  file.bytes = bytes.size() - rest.size();
  file.is_closed = false;
  if (::ftruncate(*fd_, static_cast<off_t>(file.bytes)) != 0) return IoError("cutting", file.path);
  if (::lseek(*fd_, 0, SEEK_END) < 0) return IoError("seeking in", file.path);
  history_ = history_.Through(seq);
  RETURN_IF_ERROR(SyncFile(*fd_, file.path));
  return SyncFolder(folder_);
}

absl::StatusOr<size_t> BinlogStore::Purge(TxnSeq through) {
  std::lock_guard lock(mutex_);
  size_t count = 0;
  // A file ends where the next one begins; the last one stays.
  while (files_.size() > 1 && files_[1].before.last() <= through) {
    std::error_code error;
    std::filesystem::remove(files_.front().path, error);
    if (error) return absl::UnavailableError(Text("removing ", files_.front().path));
    files_.erase(files_.begin());
    ++count;
  }
  RETURN_IF_ERROR(SyncFolder(folder_));
  return count;
}

GtidSet BinlogStore::history() const {
  std::lock_guard lock(mutex_);
  return history_;
}

std::vector<BinlogFile> BinlogStore::files() const {
  std::lock_guard lock(mutex_);
  return files_;
}

uint64_t BinlogStore::bytes_written() const {
  std::lock_guard lock(mutex_);
  return bytes_written_;
}

}  // namespace sextant::binlog
