// See witness_files.h.
#include "storage-node/store/witness_files.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "common/base/status.h"
#include "common/base/text.h"
#include "common/failpoint/failpoint.h"
#include "rocksdb/env.h"
#include "storage-node/store/rocksdb_errors.h"

namespace sextant::storage {
namespace {

using Lock = std::lock_guard<std::mutex>;

constexpr std::chrono::milliseconds kPause(100);

Failpoint forget_marks("forget-marks");  // a planted bug: a node that lost its end does not notice

}  // namespace

WitnessFiles::WitnessFiles(rocksdb::Env* env, std::string directory,
                           std::function<void(absl::Status)> on_error)
    : env_(env), directory_(std::move(directory)), on_error_(std::move(on_error)) {}

WitnessFiles::~WitnessFiles() {
  {
    Lock lock(mutex_);
    is_stopping_ = true;
  }
  changed_.notify_one();
  if (writer_.joinable()) writer_.join();
}

std::string WitnessFiles::Path(size_t copy) const { return Text(directory_, "/witness.", copy); }

absl::StatusOr<Witness> WitnessFiles::Read() const {
  absl::StatusOr<Witness> newest = absl::NotFoundError("there are no witness files");
  for (size_t copy = 0; copy < kCopies; ++copy) {
    std::string bytes;
    const rocksdb::Status read = rocksdb::ReadFileToString(env_, Path(copy), &bytes);
    absl::StatusOr<Witness> found = absl::NotFoundError("");
    if (read.ok()) {
      found = DecodeWitness(bytes);
    } else if (!read.IsNotFound() && !read.IsPathNotFound()) {
      found = absl::DataLossError(Text("cannot read ", Path(copy), ": ", read.ToString()));
    }
    if (found.status().code() == absl::StatusCode::kFailedPrecondition) return found;
    if (found.ok() && newest.ok() && found->sequence < newest->sequence) continue;
    if (found.ok() || absl::IsNotFound(newest.status())) newest = std::move(found);
  }
  if (absl::IsNotFound(newest.status())) return absl::NotFoundError("there are no witness files");
  return newest;
}

absl::Status WitnessFiles::Start(Witness contents) {
  RETURN_IF_ERROR(Save(std::move(contents)));
  writer_ = std::thread([this] { Run(); });
  return absl::OkStatus();
}

absl::Status WitnessFiles::Save(Witness contents) {
  {
    Lock lock(mutex_);
    contents_ = std::move(contents);
  }
  for (size_t copy = 0; copy < kCopies; ++copy) {
    if (env_->FileExists(Path(copy)).IsNotFound()) {
      RETURN_IF_ERROR(FromRocks(
          rocksdb::WriteStringToFile(env_, "", Path(copy), /*should_sync=*/true), Path(copy)));
      std::unique_ptr<rocksdb::Directory> directory;
      RETURN_IF_ERROR(FromRocks(env_->NewDirectory(directory_, &directory), directory_));
      RETURN_IF_ERROR(FromRocks(directory->Fsync(), directory_));
    }
    RETURN_IF_ERROR(WriteCopy(copy));
  }
  return absl::OkStatus();
}

absl::Status WitnessFiles::Commit(const StoreWrite& write) {
  if (write.high_water.empty() && !ChangesStates(write)) return absl::OkStatus();
  const bool forgets = !ChangesStates(write) && forget_marks.IsOn();
  bool was_idle;
  {
    Lock lock(mutex_);
    was_idle = *std::min_element(written_.begin(), written_.end()) == news_;
    if (!forgets) contents_.Apply(write);
    ++news_;
  }
  if (ChangesStates(write)) {
    for (size_t copy = 0; copy < kCopies; ++copy) RETURN_IF_ERROR(WriteCopy(copy));
  } else if (was_idle) {
    changed_.notify_one();
  }
  return absl::OkStatus();
}

absl::Status WitnessFiles::WriteCopy(size_t copy) {
  Lock files_lock(files_mutex_);
  std::string bytes;
  uint64_t news;
  {
    Lock lock(mutex_);
    ++contents_.sequence;
    bytes = EncodeWitness(contents_);
    news = news_;
  }
  RETURN_IF_ERROR(WriteFile(Path(copy), bytes));
  Lock lock(mutex_);
  written_[copy] = news;
  return absl::OkStatus();
}

// In place: the file keeps its size, so that the sync needs no journal of the file system.
absl::Status WitnessFiles::WriteFile(const std::string& path, const std::string& bytes) {
  std::unique_ptr<rocksdb::RandomRWFile> file;
  rocksdb::Status status = env_->NewRandomRWFile(path, &file, rocksdb::EnvOptions());
  if (status.ok()) status = file->Write(0, bytes);
  if (status.ok()) status = file->Sync();
  if (status.ok()) status = file->Close();
  return FromRocks(status, Text("write ", path));
}

void WitnessFiles::Run() {
  std::unique_lock<std::mutex> lock(mutex_);
  while (true) {
    const size_t oldest = std::min_element(written_.begin(), written_.end()) - written_.begin();
    if (written_[oldest] == news_) {
      if (is_stopping_) return;
      changed_.wait(lock);
      continue;
    }
    changed_.wait_for(lock, kPause, [&] { return is_stopping_; });
    lock.unlock();
    const absl::Status status = WriteCopy(oldest);
    if (!status.ok()) {
      on_error_(status);
      return;
    }
    lock.lock();
  }
}

uint64_t WitnessFiles::version() const {
  Lock lock(mutex_);
  return contents_.version;
}

std::vector<SegmentState> WitnessFiles::States() const {
  Lock lock(mutex_);
  std::vector<SegmentState> states;
  for (const auto& [segment, state] : contents_.states) states.push_back(state);
  return states;
}

std::optional<SegmentState> WitnessFiles::State(SegmentId segment) const {
  Lock lock(mutex_);
  const auto state = contents_.states.find(segment);
  if (state == contents_.states.end()) return std::nullopt;
  return state->second;
}

std::optional<LogHighWater> WitnessFiles::Mark(SegmentId segment) const {
  Lock lock(mutex_);
  const auto mark = contents_.marks.find(segment);
  if (mark == contents_.marks.end()) return std::nullopt;
  return mark->second;
}

}  // namespace sextant::storage
