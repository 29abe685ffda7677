// See append_stream.h.
#include "storage-node/server/append_stream.h"

#include <algorithm>
#include <utility>

#include "common/base/coding.h"
#include "common/base/status.h"
#include "common/rpc/status.h"
#include "common/rpc/storage_wire.h"
#include "sextant/v1/storage.pb.h"

namespace sextant::storage {
namespace {

constexpr char kBatchTag = 0x0a;  // field 1, length-delimited
constexpr size_t kMaxWaitingAcks = 4096;

std::string_view AsView(const grpc::Slice& slice) {
  return {reinterpret_cast<const char*>(slice.begin()), slice.size()};
}

// The first bytes of a message, which may be spread over slices.
std::string Head(const std::vector<grpc::Slice>& slices, size_t size) {
  std::string head;
  for (const grpc::Slice& slice : slices) {
    if (head.size() >= size) break;
    head.append(AsView(slice).substr(0, size - head.size()));
  }
  return head;
}

// All but the first `skip` bytes.
std::string Tail(const std::vector<grpc::Slice>& slices, size_t skip, size_t size) {
  std::string tail;
  tail.reserve(size);
  for (const grpc::Slice& slice : slices) {
    const std::string_view bytes = AsView(slice);
    if (skip < bytes.size()) tail.append(bytes.substr(skip));
    skip -= std::min(skip, bytes.size());
  }
  return tail;
}

grpc::ByteBuffer EncodeResponse(const std::vector<protocol::AppendAck>& acks,
                                const std::vector<protocol::EpochAnswer>& answers) {
  v1::AppendResponse response;
  for (const protocol::AppendAck& ack : acks) rpc::ToProto(ack, response.add_acks());
  for (const protocol::EpochAnswer& answer : answers) {
    rpc::ToProto(answer, response.add_answers());
  }
  const grpc::Slice slice(response.SerializeAsString());
  return grpc::ByteBuffer(&slice, 1);
}

}  // namespace

absl::StatusOr<ParsedAppend> ParseAppendRequest(const grpc::ByteBuffer& request) {
  std::vector<grpc::Slice> slices;
  if (!request.Dump(&slices).ok()) return absl::InvalidArgumentError("unreadable append request");
  // A batch as every sender writes it: the one field and nothing else.
  const std::string head = Head(slices, 1 + 10);
  std::string_view rest = head;
  uint64_t size = 0;
  if (!rest.empty() && rest[0] == kBatchTag) {
    rest.remove_prefix(1);
    if (GetVarint(&rest, &size) && head.size() - rest.size() + size == request.Length()) {
      return ParsedAppend{
          std::make_shared<std::string>(Tail(slices, head.size() - rest.size(), size)), {}};
    }
  }
  // Probes, or legal protobuf all the same: unknown fields, or nothing at all.
  v1::AppendRequest parsed;
  if (!parsed.ParseFromString(Tail(slices, 0, request.Length()))) {
    return absl::InvalidArgumentError("malformed append request");
  }
  ParsedAppend append;
  for (const v1::EpochProbe& probe : parsed.probes()) {
    append.probes.push_back(rpc::FromProto(probe));
  }
  if (append.probes.empty() || !parsed.batch().empty()) {
    append.batch = std::make_shared<std::string>(std::move(*parsed.mutable_batch()));
  }
  return append;
}

// --- the set of open streams

bool AppendStreams::Add(AppendReactor* stream) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (!is_closed_) open_.insert(stream);
  return !is_closed_;
}

void AppendStreams::Remove(AppendReactor* stream) {
  std::lock_guard<std::mutex> lock(mutex_);
  open_.erase(stream);
}

void AppendStreams::EndAll() {
  std::lock_guard<std::mutex> lock(mutex_);  // held: none of them goes away meanwhile
  is_closed_ = true;
  for (AppendReactor* stream : open_) {
    stream->End(rpc::ToGrpc(absl::UnavailableError("the storage node is stopping")));
  }
}

// --- one stream

AppendReactor::AppendReactor(StorageNode* node, AppendStreams* streams)
    : node_(node), streams_(streams) {
  if (!streams_->Add(this)) {
    End(rpc::ToGrpc(absl::UnavailableError("the storage node is stopping")));
    return;
  }
  stream_ =
      node->OpenStream([this](std::vector<protocol::AppendAck> acks) { Send(std::move(acks)); });
  ReadNext();
}

void AppendReactor::End(grpc::Status status) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (is_ended_) return;
  is_ended_ = true;
  end_status_ = std::move(status);
  if (!is_writing_) Finish(end_status_);
}

void AppendReactor::OnReadDone(bool ok) {
  if (!ok) return End(grpc::Status::OK);  // the peer is done, or gone
  auto append = ParseAppendRequest(request_);
  request_.Clear();
  if (!append.ok()) return End(rpc::ToGrpc(append.status()));
  Answer(append->probes);
  if (append->batch != nullptr) stream_->Append(std::move(append->batch));
  ReadNext();
}

void AppendReactor::ReadNext() {
  std::lock_guard<std::mutex> lock(mutex_);
  if (is_ended_) return;
  is_reading_paused_ = waiting_.size() + answers_.size() >= kMaxWaitingAcks;
  if (!is_reading_paused_) StartRead(&request_);
}

void AppendReactor::Send(std::vector<protocol::AppendAck> acks) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (is_ended_) return;
  for (protocol::AppendAck& ack : acks) {
    const auto same = std::find_if(waiting_.begin(), waiting_.end(), [&](const auto& earlier) {
      return earlier.segment == ack.segment && earlier.status.ok() && ack.status.ok();
    });
    if (same == waiting_.end()) {
      waiting_.push_back(std::move(ack));
    } else {
      *same = std::move(ack);
    }
  }
  if (!is_writing_ && !waiting_.empty()) WriteNext();
}

void AppendReactor::Answer(const std::vector<protocol::EpochProbe>& probes) {
  for (const protocol::EpochProbe& probe : probes) {
    const protocol::EpochAnswer answer = node_->AnswerProbe(probe);
    std::lock_guard<std::mutex> lock(mutex_);
    if (is_ended_) return;
    std::erase_if(answers_, [&](const auto& older) { return older.segment == answer.segment; });
    answers_.push_back(answer);
    if (!is_writing_) WriteNext();
  }
}

void AppendReactor::WriteNext() {
  is_writing_ = true;
  response_ = EncodeResponse(waiting_, answers_);
  waiting_.clear();
  answers_.clear();
  StartWrite(&response_);
}

void AppendReactor::OnWriteDone(bool ok) {
  std::lock_guard<std::mutex> lock(mutex_);
  is_writing_ = false;
  if (is_ended_) {
    Finish(end_status_);
    return;
  }
  if (!ok) return;  // the call is over: OnCancel or the read says so
  if (!waiting_.empty() || !answers_.empty()) WriteNext();
  if (std::exchange(is_reading_paused_, false)) StartRead(&request_);
}

void AppendReactor::OnCancel() { End(grpc::Status::CANCELLED); }

void AppendReactor::OnDone() {
  streams_->Remove(this);
  stream_.reset();  // no ack comes in afterwards
  delete this;
}

}  // namespace sextant::storage
