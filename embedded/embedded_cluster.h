// EmbeddedCluster: six storage nodes, a writer and readers in one process, as a library and for
// tests.
//
// The same machines, stores and shells as the real processes, with function calls in place of gRPC:
//
//   auto cluster = EmbeddedCluster::Create({.directory = "/var/lib/app"});  // RocksDB; empty:
//   memory
//   (*cluster)->StartNodes(); (*cluster)->StartWriter(absl::Seconds(30));
//   compute::WriterVolume& volume = (*cluster)->writer();      // or a SqlService over it
//
// One process has one point of failure: it is for development, tests and single-machine use, where
// the six copies guard against damaged data, not against the loss of the machine.
//
// Nodes are az1-a, az1-b, az2-a, az2-b, az3-a, az3-b, and spares az1-c and so on if asked for. A
// killed node keeps what it had synced; memory nodes lose the rest, as in a power cut.
// Thread-safety: life-cycle calls from one thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/volume/geometry.h"
#include "compute-node/reader/reader_volume.h"
#include "compute-node/writer/write_ticket.h"
#include "compute-node/writer/writer_volume.h"
#include "embedded/local_node.h"
#include "embedded/local_redo_source.h"

namespace sextant::embedded {

struct EmbeddedOptions {
  std::string directory;      // one folder per node is made in it; empty: memory
  volume::Geometry geometry;  // of the volume that is made if there is none
  bool create_volume = true;
  int spares = 0;  // az1-c, az2-c, az3-c: so many of them
  // Last word on the writer's options; may be empty.
  std::function<void(compute::WriterVolumeOptions*)> adjust_writer;
  std::function<void(compute::ReaderVolumeOptions*)> adjust_reader;  // likewise
  std::function<void(storage::StorageNodeOptions*)> adjust_storage;  // likewise
};

class EmbeddedCluster {
 public:
  // Nothing runs yet.
  static absl::StatusOr<std::unique_ptr<EmbeddedCluster>> Create(EmbeddedOptions options);
  ~EmbeddedCluster();

  // All that do not run.
  absl::Status StartNodes();
  absl::Status StartNode(const std::string& node);
  void KillNode(const std::string& node);
  void KillNodes();
  // The node runs on, but no compute node reaches it.
  void SetConnected(const std::string& node, bool is_connected);
  LocalNode& node(const std::string& name);
  static std::vector<volume::Member> Members();  // the six

  // Starts a writer in place of the one there is, and waits until the volume is open.
  absl::Status StartWriter(absl::Duration timeout);
  // The same without waiting.
  absl::Status LaunchWriter();
  // Ends it as a killed process would: nothing is drained.
  void KillWriter();
  bool has_writer() const { return writer_ != nullptr; }
  compute::WriterVolume& writer();
  compute::WriteTicketQueue& tickets();

  // Starts a reader of that name, which follows whatever writer there is, and waits until it has
  // reached one.
  absl::Status StartReader(const std::string& name, absl::Duration timeout);
  // Ends it as a killed process would.
  void KillReader(const std::string& name);
  compute::ReaderVolume& reader(const std::string& name);
  ReaderFaults& reader_faults(const std::string& name);

 private:
  struct Reader {
    std::shared_ptr<ReaderFaults> faults;
    std::unique_ptr<compute::ReaderVolume> volume;
  };

  explicit EmbeddedCluster(EmbeddedOptions options);
  std::vector<volume::Member> MembersAndSpares() const;

  const EmbeddedOptions options_;
  std::vector<std::unique_ptr<LocalNode>> nodes_;
  std::unique_ptr<compute::WriteTicketQueue> tickets_;
  std::unique_ptr<compute::WriterVolume> writer_;
  const std::shared_ptr<WriterLink> writer_link_ = std::make_shared<WriterLink>();
  std::map<std::string, Reader> readers_;
};

}  // namespace sextant::embedded
