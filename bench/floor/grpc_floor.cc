// The gRPC floor: one bidirectional stream of plain bytes a replica, callback API, no protobuf.
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <condition_variable>
#include <memory>
#include <mutex>

#include "bench/floor/floor.h"
#include "bench/floor/synced_file.h"
#include "common/base/check.h"

namespace sextant::bench {
namespace {

constexpr size_t kFileBytes = 64 << 20;
constexpr char kMethod[] = "/sextant.bench.Floor/Append";

grpc::ByteBuffer BufferOf(const void* data, size_t bytes) {
  const grpc::Slice slice(data, bytes);
  return grpc::ByteBuffer(&slice, 1);
}

std::string BytesOf(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  SEXTANT_CHECK(buffer.Dump(&slices).ok());
  std::string bytes;
  for (const grpc::Slice& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return bytes;
}

// Whoever brings bytes while nobody syncs does it, on the spot; what arrives meanwhile shares the
// next sync. So a lone record costs no thread hand-off.
class ReplicaStream final : public grpc::ServerGenericBidiReactor {
 public:
  explicit ReplicaStream(SyncedFile* file) : file_(*file) { StartRead(&incoming_); }

  void OnReadDone(bool ok) override {
    if (!ok) {
      Finish(grpc::Status::OK);
      return;
    }
    std::string bytes = BytesOf(incoming_);
    StartRead(&incoming_);
    std::unique_lock lock(mutex_);
    pending_ += bytes;
    if (is_syncing_) return;
    is_syncing_ = true;
    while (!pending_.empty()) {
      std::string batch = std::exchange(pending_, {});
      lock.unlock();
      file_.Append(batch.data(), batch.size());
      lock.lock();
      durable_bytes_ += batch.size();
      if (!is_writing_) WriteAck();
    }
    is_syncing_ = false;
  }

  void OnWriteDone(bool ok) override {
    std::lock_guard lock(mutex_);
    is_writing_ = false;
    if (ok && acknowledged_ < durable_bytes_ / kRecordBytes) WriteAck();
  }
  void OnDone() override { delete this; }

 private:
  void WriteAck() {
    is_writing_ = true;
    acknowledged_ = durable_bytes_ / kRecordBytes;
    outgoing_ = BufferOf(&acknowledged_, sizeof acknowledged_);
    StartWrite(&outgoing_);
  }

  SyncedFile& file_;
  grpc::ByteBuffer incoming_, outgoing_;
  std::mutex mutex_;
  std::string pending_;
  bool is_syncing_ = false;
  bool is_writing_ = false;
  uint64_t durable_bytes_ = 0;
  uint64_t acknowledged_ = 0;
};

class ReplicaService final : public grpc::CallbackGenericService {
 public:
  explicit ReplicaService(SyncedFile* file) : file_(file) {}
  grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext*) override {
    return new ReplicaStream(file_);
  }

 private:
  SyncedFile* const file_;
};

class GrpcDriver {
 public:
  explicit GrpcDriver(const std::vector<int>& ports) {
    for (size_t i = 0; i < ports.size(); ++i) {
      links_.push_back(std::make_unique<Link>(this, static_cast<int>(i), ports[i]));
    }
  }

  FloorResult Run(const FloorLoad& load) {
    for (const auto& link : links_) link->Start();
    {
      std::lock_guard lock(mutex_);
      Send(load.depth);
    }
    Sleep(load.warm_up);
    const auto begin = QuorumWindow::Clock::now();
    const uint64_t before = Restart();
    Sleep(load.measured);
    std::unique_lock lock(mutex_);
    const FloorResult result = {
        window_.completed() - before,
        std::chrono::duration<double>(QuorumWindow::Clock::now() - begin).count(),
        window_.latency_ns()};
    is_stopping_ = true;
    lock.unlock();
    for (const auto& link : links_) link->Stop();
    return result;
  }

 private:
  class Link final : public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
   public:
    Link(GrpcDriver* driver, int replica, int port)
        : driver_(*driver),
          replica_(replica),
          stub_(grpc::CreateChannel("127.0.0.1:" + std::to_string(port),
                                    grpc::InsecureChannelCredentials())) {}

    void Start() {
      context_.set_wait_for_ready(true);
      stub_.PrepareBidiStreamingCall(&context_, kMethod, grpc::StubOptions(), this);
      AddHold();
      StartRead(&incoming_);
      StartCall();
    }
    void Stop() {
      context_.TryCancel();
      RemoveHold();
      std::unique_lock lock(done_mutex_);
      done_.wait(lock, [this] { return is_done_; });
    }

    // Under the driver's mutex.
    void Send(uint64_t records) {
      unsent_ += records;
      if (is_writing_) return;
      is_writing_ = true;
      const std::string bytes(unsent_ * kRecordBytes, 'x');
      unsent_ = 0;
      outgoing_ = BufferOf(bytes.data(), bytes.size());
      StartWrite(&outgoing_);
    }

    void OnWriteDone(bool ok) override {
      std::lock_guard lock(driver_.mutex_);
      is_writing_ = false;
      if (ok && unsent_ > 0) Send(0);
    }
    void OnReadDone(bool ok) override {
      if (!ok) return;
      uint64_t durable = 0;
      const std::string bytes = BytesOf(incoming_);
      SEXTANT_CHECK(bytes.size() == sizeof durable);
      std::memcpy(&durable, bytes.data(), sizeof durable);
      StartRead(&incoming_);
      driver_.Acknowledged(replica_, durable);
    }
    void OnDone(const grpc::Status& status) override {
      std::lock_guard lock(done_mutex_);
      is_done_ = true;
      done_.notify_all();
    }

   private:
    GrpcDriver& driver_;
    const int replica_;
    grpc::GenericStub stub_;
    grpc::ClientContext context_;
    grpc::ByteBuffer incoming_, outgoing_;
    bool is_writing_ = false;  // under the driver's mutex, as unsent_
    uint64_t unsent_ = 0;      // records
    std::mutex done_mutex_;
    std::condition_variable done_;
    bool is_done_ = false;
  };

  static void Sleep(std::chrono::duration<double> time) {
    ::usleep(static_cast<useconds_t>(time.count() * 1e6));
  }
  void Send(uint64_t records) {
    window_.Sent(records);
    for (const auto& link : links_) link->Send(records);
  }
  void Acknowledged(int replica, uint64_t durable) {
    std::lock_guard lock(mutex_);
    const uint64_t completed = window_.Acknowledged(replica, durable);
    if (completed > 0 && !is_stopping_) Send(completed);
  }
  uint64_t Restart() {
    std::lock_guard lock(mutex_);
    window_.Restart();
    return window_.completed();
  }

  std::mutex mutex_;
  QuorumWindow window_;
  bool is_stopping_ = false;
  std::vector<std::unique_ptr<Link>> links_;
};

}  // namespace

void ServeGrpcReplica(const std::string& path, int ready_fd) {
  SyncedFile file(path, kFileBytes);
  ReplicaService service(&file);
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterCallbackGenericService(&service);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  SEXTANT_CHECK(server != nullptr) << "the gRPC server does not start";
  ::dprintf(ready_fd, "%d\n", port);
  server->Wait();
  std::abort();  // nobody shuts it down: it ends with its parent
}

FloorResult LoadGrpc(const std::vector<int>& ports, const FloorLoad& load) {
  return GrpcDriver(ports).Run(load);
}

}  // namespace sextant::bench
