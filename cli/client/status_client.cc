// Status calls, made in parallel over gRPC's callback interface.
#include "cli/client/status_client.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/byte_buffer.h>

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>

#include "absl/time/clock.h"
#include "common/base/text.h"
#include "common/rpc/channel.h"
#include "common/rpc/status.h"
#include "sextant/v1/compute.grpc.pb.h"
#include "sextant/v1/storage.grpc.pb.h"

namespace sextant::cli {
namespace {

// Counts answers that are still to come.
class Countdown {
 public:
  explicit Countdown(size_t count) : count_(count) {}
  void Done() {
    std::lock_guard lock(mutex_);
    if (--count_ == 0) all_done_.notify_all();
  }
  void Wait() {
    std::unique_lock lock(mutex_);
    all_done_.wait(lock, [this] { return count_ == 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable all_done_;
  size_t count_;
};

void SetDeadline(grpc::ClientContext* context, absl::Duration timeout) {
  context->set_deadline(absl::ToChronoTime(absl::Now() + timeout));
}

template <typename Reply>
struct Call {
  std::shared_ptr<grpc::Channel> channel;
  grpc::ClientContext context;
  Reply reply;
  grpc::Status status;
};

// Calls `start(channel, context, reply, on_done)` for every address and waits for all of them.
template <typename Reply, typename Start>
std::vector<absl::StatusOr<Reply>> AskAll(const std::vector<std::string>& addresses,
                                          absl::Duration timeout, Start start) {
  std::vector<std::unique_ptr<Call<Reply>>> calls;
  Countdown countdown(addresses.size());
  for (const std::string& address : addresses) {
    auto call = std::make_unique<Call<Reply>>();
    call->channel = rpc::MakeChannel(address);
    SetDeadline(&call->context, timeout);
    Call<Reply>* raw = call.get();
    start(raw, [raw, &countdown](grpc::Status status) {
      raw->status = std::move(status);
      countdown.Done();
    });
    calls.push_back(std::move(call));
  }
  if (!addresses.empty()) countdown.Wait();
  std::vector<absl::StatusOr<Reply>> answers;
  for (size_t i = 0; i < calls.size(); ++i) {
    if (calls[i]->status.ok()) {
      answers.push_back(std::move(calls[i]->reply));
    } else {
      const absl::Status status = rpc::FromGrpc(calls[i]->status, addresses[i]);
      answers.push_back(absl::IsDeadlineExceeded(status)
                            ? absl::UnavailableError(Text(addresses[i], ": ", kNoAnswer))
                            : status);
    }
  }
  return answers;
}

}  // namespace

std::vector<absl::StatusOr<v1::NodeStatus>> AskStorageNodes(
    const std::vector<std::string>& addresses, absl::Duration timeout) {
  const v1::GetStatusRequest request;
  return AskAll<v1::NodeStatus>(addresses, timeout, [&request](auto* call, auto on_done) {
    v1::StorageService::Stub stub(call->channel);
    stub.async()->GetStatus(&call->context, &request, &call->reply, std::move(on_done));
  });
}

std::vector<absl::StatusOr<v1::ComputeStatus>> AskComputeNodes(
    const std::vector<std::string>& addresses, absl::Duration timeout) {
  const v1::ComputeStatusRequest request;
  return AskAll<v1::ComputeStatus>(addresses, timeout, [&request](auto* call, auto on_done) {
    v1::ComputeService::Stub stub(call->channel);
    stub.async()->GetStatus(&call->context, &request, &call->reply, std::move(on_done));
  });
}

absl::StatusOr<bool> IsServing(const std::string& address, absl::Duration timeout) {
  // Debian packages no generated code for grpc.health.v1. Its request for the whole server is an
  // empty message, its reply one enumeration: field 1, where 1 is SERVING.
  const grpc::Slice empty;  // a buffer without a slice is no message
  grpc::ByteBuffer request(&empty, 1);
  const std::vector<absl::StatusOr<grpc::ByteBuffer>> answers =
      AskAll<grpc::ByteBuffer>({address}, timeout, [&request](auto* call, auto on_done) {
        grpc::GenericStub stub(call->channel);
        stub.UnaryCall(&call->context, "/grpc.health.v1.Health/Check", {}, &request, &call->reply,
                       std::move(on_done));
      });
  if (!answers[0].ok()) return answers[0].status();
  grpc::Slice slice;
  if (!answers[0]->DumpToSingleSlice(&slice).ok()) return false;
  return std::string(reinterpret_cast<const char*>(slice.begin()), slice.size()) ==
         std::string("\x08\x01", 2);
}

}  // namespace sextant::cli
