// See answer_router.h.
#include "storage-node/server/answer_router.h"

#include <utility>

namespace sextant::storage {

using Lock = std::lock_guard<std::mutex>;

ReplyToken AnswerRouter::AddStream(StorageNode::AckSink sink) {
  auto stream = std::make_shared<Stream>();
  stream->sink = std::move(sink);
  Lock lock(mutex_);
  last_token_ = last_token_.Next();
  streams_.emplace(last_token_, std::move(stream));
  return last_token_;
}

void AnswerRouter::RemoveStream(ReplyToken token) {
  const std::shared_ptr<Stream> stream = FindStream(token);
  if (stream == nullptr) return;
  {
    Lock lock(mutex_);
    streams_.erase(token);
  }
  Lock lock(stream->mutex);
  stream->is_closed = true;
}

ReplyToken AnswerRouter::AddRaise(RaiseDone done) {
  Lock lock(mutex_);
  last_token_ = last_token_.Next();
  raises_.emplace(last_token_, std::move(done));
  return last_token_;
}

ReplyToken AnswerRouter::AddLogStart(LogStartDone done) {
  Lock lock(mutex_);
  last_token_ = last_token_.Next();
  log_starts_.emplace(last_token_, std::move(done));
  return last_token_;
}

std::shared_ptr<AnswerRouter::Stream> AnswerRouter::FindStream(ReplyToken token) {
  Lock lock(mutex_);
  const auto found = streams_.find(token);
  return found == streams_.end() ? nullptr : found->second;
}

void AnswerRouter::DeliverAcks(std::vector<SegmentOutput::Ack> acks) {
  std::map<ReplyToken, std::vector<protocol::AppendAck>> by_stream;
  for (SegmentOutput::Ack& ack : acks) by_stream[ack.to].push_back(std::move(ack.ack));
  for (auto& [token, its_acks] : by_stream) {
    const std::shared_ptr<Stream> stream = FindStream(token);
    if (stream == nullptr) continue;
    Lock lock(stream->mutex);
    if (!stream->is_closed) stream->sink(std::move(its_acks));
  }
}

void AnswerRouter::DeliverRaise(SegmentOutput::EpochReply reply) {
  RaiseDone done;
  {
    Lock lock(mutex_);
    const auto found = raises_.find(reply.to);
    if (found == raises_.end()) return;
    done = std::move(found->second);
    raises_.erase(found);
  }
  done(std::move(reply.reply));
}

void AnswerRouter::DeliverLogStart(SegmentOutput::LogStartReply reply) {
  LogStartDone done;
  {
    Lock lock(mutex_);
    const auto found = log_starts_.find(reply.to);
    if (found == log_starts_.end()) return;
    done = std::move(found->second);
    log_starts_.erase(found);
  }
  done(std::move(reply.status));
}

void AnswerRouter::AbandonAll(const absl::Status& why) {
  std::map<ReplyToken, RaiseDone> raises;
  std::map<ReplyToken, LogStartDone> log_starts;
  {
    Lock lock(mutex_);
    raises.swap(raises_);
    log_starts.swap(log_starts_);
  }
  for (auto& [token, done] : raises) done(why);
  for (auto& [token, done] : log_starts) done(why);
}

}  // namespace sextant::storage
