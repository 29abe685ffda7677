// The RocksDB store in a folder of its own, for tests that do bad things to its files.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "common/base/prng.h"
#include "common/base/text.h"
#include "common/testing/temporary_folder.h"
#include "storage-node/store/fault_injection_env.h"
#include "storage-node/store/rocksdb_store.h"

namespace sextant::storage {

namespace fs = std::filesystem;

class RocksDbStoreTest : public ::testing::Test {
 protected:
  sextant::testing::TemporaryFolder folder_;
  const std::string parent_ = folder_.path();

  RocksDbStoreTest() {
    options_.directory = parent_ + "/node";
    options_.node = "az1-a";
    options_.zone = "az1";
  }
  ~RocksDbStoreTest() override { store_.reset(); }

  absl::Status Open() {
    store_.reset();
    auto store = OpenRocksDbStore(options_);
    if (store.ok()) store_ = *std::move(store);
    return store.status();
  }
  void UseFaults() {
    faults_ = std::make_shared<FaultInjectionFileSystem>();
    env_ = NewFaultInjectionEnv(faults_);
    options_.env = env_.get();
  }
  absl::Status Append(uint64_t position, std::string bytes) {
    StoreWrite write;
    write.log.push_back(
        {segment_, LogPosition(position), std::make_shared<const std::string>(std::move(bytes))});
    write.high_water.push_back({segment_, LogPosition(position), Lsn(position)});
    return store_->Commit(write);
  }
  std::map<uint64_t, std::string> Scan(LogPosition from = LogPosition(1)) {
    std::map<uint64_t, std::string> found;
    const absl::Status status = store_->ScanLog(
        segment_, from,
        [&](LogPosition position, auto bytes) { found[position.value()] = *bytes; });
    EXPECT_TRUE(status.ok()) << status;
    return found;
  }
  uint64_t HighWater() {
    const auto mark = store_->LoadHighWater(segment_);
    EXPECT_TRUE(mark.ok()) << mark.status();
    return mark.ok() && mark->has_value() ? (*mark)->last_position.value() : 0;
  }
  absl::Status Promise(uint64_t epoch, const std::string& node = "node", Lsn log_start = {}) {
    SegmentState state{.segment = segment_, .incarnation = IncarnationId(1)};
    state.log_start = log_start;
    state.descriptor = {segment_.volume, {8192, 100, 4, GeometryEpoch(1)}};
    state.membership.members = {{node, "az1"}};
    state.epoch = VolumeEpoch(epoch);
    return store_->Commit({.states = {state}});
  }
  // The epoch that the segment's state holds; 0 without a state.
  uint64_t Epoch() {
    const auto states = store_->LoadStates();
    EXPECT_TRUE(states.ok()) << states.status();
    return states.ok() && !states->empty() ? states->front().epoch.value() : 0;
  }
  // The files of the store with that suffix.
  std::vector<fs::path> Files(const std::string& suffix) {
    std::vector<fs::path> found;
    for (const auto& entry : fs::directory_iterator(options_.directory + "/rocksdb")) {
      if (entry.path().extension() == suffix) found.push_back(entry.path());
    }
    return found;
  }
  // Flips a bit of the first place where `needle` stands in one of the files; false if nowhere.
  static bool Damage(const std::vector<fs::path>& files, const std::string& needle) {
    for (const fs::path& path : files) {
      std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
      std::ostringstream all;
      all << file.rdbuf();
      const size_t at = all.str().find(needle);
      if (at == std::string::npos) continue;
      file.clear();
      file.seekp(static_cast<std::streamoff>(at));
      file.put(static_cast<char>(needle[0] ^ 0x20));
      return true;
    }
    return false;
  }

  const SegmentId segment_{VolumeId(0xabcdef), PgId(3)};
  RocksDbStoreOptions options_;
  std::shared_ptr<FaultInjectionFileSystem> faults_;
  std::unique_ptr<rocksdb::Env> env_;
  std::unique_ptr<SegmentStore> store_;
};

// Random bytes do not compress, so a needle can be found in a table file.
inline std::string Noise(Prng* prng, size_t size) {
  std::string bytes(size, '\0');
  for (char& c : bytes) c = static_cast<char>(prng->Next());
  return bytes;
}

}  // namespace sextant::storage
