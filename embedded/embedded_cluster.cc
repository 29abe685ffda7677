// See embedded_cluster.h.
#include "embedded/embedded_cluster.h"

#include <filesystem>
#include <utility>

#include "common/base/check.h"
#include "common/base/status.h"
#include "common/base/text.h"
#include "common/quorum/quorum.h"
#include "storage-node/store/memory_store.h"
#include "storage-node/store/rocksdb_store.h"

namespace sextant::embedded {
namespace {

// The disk outlives the store that is open on it; opening again is a power cut.
LocalNode::OpenStore MemoryStoreOpener() {
  auto disk = std::make_shared<storage::MemoryDisk>();
  return [disk]() -> absl::StatusOr<std::unique_ptr<storage::SegmentStore>> {
    disk->Crash();
    return std::make_unique<storage::MemoryStore>(disk);
  };
}

LocalNode::OpenStore RocksDbStoreOpener(const std::string& directory, volume::Member member) {
  storage::RocksDbStoreOptions options;
  options.directory = (std::filesystem::path(directory) / member.node).string();
  options.node = std::move(member.node);
  options.zone = std::move(member.zone);
  return [options] { return storage::OpenRocksDbStore(options); };
}

}  // namespace

std::vector<volume::Member> EmbeddedCluster::Members() {
  std::vector<volume::Member> members;
  for (const char* zone : {"az1", "az2", "az3"}) {
    for (const char* name : {"a", "b"}) members.push_back({Text(zone, "-", name), zone});
  }
  return members;
}

std::vector<volume::Member> EmbeddedCluster::MembersAndSpares() const {
  std::vector<volume::Member> members = Members();
  for (int i = 1; i <= options_.spares; ++i) {
    members.push_back({Text("az", i, "-c"), Text("az", i)});
  }
  return members;
}

absl::StatusOr<std::unique_ptr<EmbeddedCluster>> EmbeddedCluster::Create(EmbeddedOptions options) {
  if (options.spares < 0 || options.spares > quorum::kZones) {
    return absl::InvalidArgumentError(Text("0 to ", quorum::kZones, " spares are possible"));
  }
  if (!options.directory.empty()) {
    std::error_code error;
    std::filesystem::create_directories(options.directory, error);
    if (error) {
      return absl::InvalidArgumentError(
          Text("cannot make directory ", options.directory, ": ", error.message()));
    }
  }
  return std::unique_ptr<EmbeddedCluster>(new EmbeddedCluster(std::move(options)));
}

EmbeddedCluster::EmbeddedCluster(EmbeddedOptions options) : options_(std::move(options)) {
  for (const volume::Member& member : MembersAndSpares()) {
    nodes_.push_back(std::make_unique<LocalNode>(
        member, options_.directory.empty() ? MemoryStoreOpener()
                                           : RocksDbStoreOpener(options_.directory, member)));
  }
  for (auto& node : nodes_) {
    node->SetAdjust(options_.adjust_storage);
    std::vector<const LocalNode*> peers;
    for (const auto& peer : nodes_) {
      if (peer != node) peers.push_back(peer.get());
    }
    node->SetPeers(std::move(peers));
  }
}

EmbeddedCluster::~EmbeddedCluster() {
  readers_.clear();
  KillWriter();
  KillNodes();  // all, before any is destroyed: they fetch from each other
}

LocalNode& EmbeddedCluster::node(const std::string& name) {
  for (auto& node : nodes_) {
    if (node->member().node == name) return *node;
  }
  SEXTANT_CHECK(false) << "no storage node " << name;
  return *nodes_[0];
}

absl::Status EmbeddedCluster::StartNodes() {
  for (auto& node : nodes_) {
    if (!node->is_running()) RETURN_IF_ERROR(node->Start());
  }
  return absl::OkStatus();
}

absl::Status EmbeddedCluster::StartNode(const std::string& name) { return node(name).Start(); }
void EmbeddedCluster::KillNode(const std::string& name) { node(name).Stop(); }
void EmbeddedCluster::KillNodes() {
  for (auto& node : nodes_) node->Stop();
}
void EmbeddedCluster::SetConnected(const std::string& name, bool is_connected) {
  node(name).SetConnected(is_connected);
}

absl::Status EmbeddedCluster::LaunchWriter() {
  KillWriter();
  compute::WriterVolumeOptions options;
  options.nodes = MembersAndSpares();
  if (options_.create_volume) options.create = options_.geometry;
  if (options_.adjust_writer) options_.adjust_writer(&options);
  std::vector<std::unique_ptr<compute::StoragePeer>> peers;
  for (auto& node : nodes_) peers.push_back(node->MakePeer());
  ASSIGN_OR_RETURN(writer_, compute::WriterVolume::Make(std::move(options), std::move(peers)));
  tickets_ = std::make_unique<compute::WriteTicketQueue>();
  writer_link_->Set(writer_.get());
  writer_->Start();
  return absl::OkStatus();
}

absl::Status EmbeddedCluster::StartWriter(absl::Duration timeout) {
  RETURN_IF_ERROR(LaunchWriter());
  return writer_->WaitUntilOpen(timeout);
}

void EmbeddedCluster::KillWriter() {
  if (tickets_) tickets_->Shutdown();
  if (writer_) writer_->Shutdown();
  writer_link_->Set(nullptr);
  writer_ = nullptr;
  tickets_ = nullptr;
}

compute::WriterVolume& EmbeddedCluster::writer() {
  SEXTANT_CHECK(writer_ != nullptr);
  return *writer_;
}

compute::WriteTicketQueue& EmbeddedCluster::tickets() {
  SEXTANT_CHECK(tickets_ != nullptr);
  return *tickets_;
}

absl::Status EmbeddedCluster::StartReader(const std::string& name, absl::Duration timeout) {
  KillReader(name);
  compute::ReaderVolumeOptions options;
  options.node = name;
  std::vector<std::unique_ptr<compute::StoragePeer>> peers;
  for (auto& node : nodes_) {
    options.storage_nodes.push_back(node->member().node);
    peers.push_back(node->MakePeer());
  }
  if (options_.adjust_reader) options_.adjust_reader(&options);
  Reader& reader = readers_[name];
  reader.faults = std::make_shared<ReaderFaults>();
  reader.volume = std::make_unique<compute::ReaderVolume>(
      std::move(options), std::move(peers),
      std::make_unique<LocalRedoSource>(writer_link_, reader.faults));
  reader.volume->Start();
  return reader.volume->WaitUntilOpen(timeout);
}

void EmbeddedCluster::KillReader(const std::string& name) { readers_.erase(name); }

compute::ReaderVolume& EmbeddedCluster::reader(const std::string& name) {
  SEXTANT_CHECK(readers_.contains(name)) << "no reader " << name;
  return *readers_[name].volume;
}

ReaderFaults& EmbeddedCluster::reader_faults(const std::string& name) {
  SEXTANT_CHECK(readers_.contains(name)) << "no reader " << name;
  return *readers_[name].faults;
}

}  // namespace sextant::embedded
