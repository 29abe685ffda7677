// See append_stream.h.
#include "compute-node/net/append_stream.h"

#include <grpcpp/channel.h>
#include <grpcpp/support/proto_buffer_reader.h>

#include <utility>

#include "common/base/coding.h"
#include "common/base/text.h"
#include "common/rpc/status.h"
#include "common/rpc/storage_wire.h"
#include "common/rpc/tuned_grpc.h"
#include "sextant/v1/storage.pb.h"

namespace sextant::compute {
namespace {

constexpr char kAppendMethod[] = "/sextant.v1.StorageService/Append";

// AppendRequest{bytes batch = 1}, spelt out: the field's tag, its length, and the shared bytes.
grpc::ByteBuffer FrameBatch(const std::shared_ptr<const std::string>& batch) {
  static_assert(v1::AppendRequest::kBatchFieldNumber == 1);
  constexpr char kLengthDelimited = 2;
  std::string prefix(
      1, static_cast<char>(v1::AppendRequest::kBatchFieldNumber << 3 | kLengthDelimited));
  PutVarint(&prefix, batch->size());
  auto* const holder = new std::shared_ptr<const std::string>(batch);
  const grpc::Slice slices[] = {
      grpc::Slice(prefix),
      grpc::Slice(
          const_cast<char*>(batch->data()), batch->size(),
          [](void* held) { delete static_cast<std::shared_ptr<const std::string>*>(held); },
          holder)};
  return grpc::ByteBuffer(slices, 2);
}

grpc::ByteBuffer FrameProbe(const protocol::EpochProbe& probe) {
  v1::AppendRequest request;
  rpc::ToProto(probe, request.add_probes());
  const grpc::Slice slice(request.SerializeAsString());
  return grpc::ByteBuffer(&slice, 1);
}

bool ParseResponse(grpc::ByteBuffer* bytes, v1::AppendResponse* response) {
  grpc::ProtoBufferReader reader(bytes);
  return reader.status().ok() && response->ParseFromZeroCopyStream(&reader);
}

}  // namespace

AppendStream::AppendStream(Options options, Events events)
    : options_(std::move(options)), events_(std::move(events)) {}

std::shared_ptr<AppendStream> AppendStream::Start(const std::shared_ptr<grpc::Channel>& channel,
                                                  Options options, Events events) {
  std::shared_ptr<AppendStream> stream(new AppendStream(std::move(options), std::move(events)));
  stream->self_ = stream;
  grpc::GenericStub stub(channel);
  stub.PrepareBidiStreamingCall(&stream->context_, kAppendMethod, {}, stream.get());
  // Writes start outside gRPC's callbacks: the hold keeps the call from being done before End().
  stream->AddHold();
  stream->StartRead(&stream->incoming_);
  stream->StartCall();
  return stream;
}

void AppendStream::Send(const log::EncodedBatch& batch) {
  bool is_behind = false, begins = false;
  {
    std::lock_guard lock(mutex_);
    if (is_ending_) return;
    queue_.push_back(batch.bytes);
    queued_bytes_ += batch.bytes->size();
    is_behind = queued_bytes_ > options_.max_queued_bytes;
    begins = BeginWritingLocked();
  }
  if (begins) rpc::AtPoller([this] { WriteNext(); });
  if (is_behind) {
    End(absl::ResourceExhaustedError(
        Text(options_.peer, " does not take redo as fast as it is made: dropped its stream with ",
             options_.max_queued_bytes >> 20, " MiB waiting")));
  }
}

void AppendStream::Send(const protocol::EpochProbe& probe) {
  bool begins = false;
  {
    std::lock_guard lock(mutex_);
    if (is_ending_) return;
    probe_ = probe;
    begins = BeginWritingLocked();
  }
  if (begins) rpc::AtPoller([this] { WriteNext(); });
}

void AppendStream::Cancel() { End(absl::CancelledError("stream closed by this side")); }

// The first write of several begins on gRPC's thread, where it ends too: a commit's batches go to
// six nodes, and the thread is woken for them once.
bool AppendStream::BeginWritingLocked() {
  if (std::exchange(is_writing_, true)) return false;
  AddHold();  // the call is not done before WriteNext()
  return true;
}

void AppendStream::WriteNext() {
  {
    std::lock_guard lock(mutex_);
    if (!is_ending_) WriteNextLocked();
  }
  RemoveHold();
}

// One write may be under way; gRPC gathers those that a hint says are not the last for now.
void AppendStream::WriteNextLocked() {
  if (probe_) {
    outgoing_ = FrameProbe(*std::exchange(probe_, std::nullopt));
  } else {
    const auto batch = std::move(queue_.front());
    queue_.pop_front();
    queued_bytes_ -= batch->size();
    outgoing_ = FrameBatch(batch);
  }
  grpc::WriteOptions options;
  if (!queue_.empty()) options.set_buffer_hint();
  StartWrite(&outgoing_, options);
}

void AppendStream::OnWriteDone(bool ok) {
  std::lock_guard lock(mutex_);
  is_writing_ = ok && !is_ending_ && (probe_ || !queue_.empty());
  if (is_writing_) WriteNextLocked();
  // A failed write is followed by a failed read, which ends the stream.
}

void AppendStream::OnReadDone(bool ok) {
  if (!ok) return End(absl::OkStatus());
  v1::AppendResponse response;
  if (!ParseResponse(&incoming_, &response)) {
    return End(
        absl::DataLossError(Text(options_.peer, " sent an acknowledgement that is malformed")));
  }
  for (const v1::EpochAnswer& answer : response.answers()) {
    events_.on_answer(rpc::FromProto(answer));
  }
  for (const v1::AppendAck& ack : response.acks()) events_.on_ack(rpc::FromProto(ack));
  incoming_.Clear();
  StartRead(&incoming_);
}

void AppendStream::End(absl::Status why) {
  bool is_own = false;
  {
    std::lock_guard lock(mutex_);
    if (std::exchange(is_ending_, true)) return;
    is_own = !why.ok();
    why_ = std::move(why);
    queue_.clear();
    queued_bytes_ = 0;
    probe_ = std::nullopt;
  }
  // An end that came from the other side brings its own status: cancelling would hide it.
  if (is_own) context_.TryCancel();
  RemoveHold();
}

void AppendStream::OnDone(const grpc::Status& status) {
  absl::Status why;
  {
    std::lock_guard lock(mutex_);
    why = why_;
  }
  if (why.ok()) why = rpc::FromGrpc(status, options_.peer);
  if (why.ok()) why = absl::UnavailableError(Text(options_.peer, " ended the append stream"));
  const auto on_end = std::move(events_.on_end);
  // This object, or gRPC's half of it, refers to the channel. It lets go first: whoever hears of
  // the end may destroy the channel, and gRPC must not lose its last reference on one of its own
  // threads.
  self_ = nullptr;
  on_end(why);
}

}  // namespace sextant::compute
