// AnswerRouter: which stream or request a ReplyToken stands for, and how answers get there.
//
// Acks of one round are handed to each stream in one call. Thread-safety: all methods from any
// thread. Internal to server/.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "absl/status/status.h"
#include "storage-node/segment/segment.h"
#include "storage-node/server/storage_node.h"

namespace sextant::storage {

class AnswerRouter {
 public:
  using RaiseDone = std::function<void(absl::StatusOr<protocol::SegmentStatus>)>;

  ReplyToken AddStream(StorageNode::AckSink sink);
  // Returns once no call of the sink is under way; there is none afterwards.
  void RemoveStream(ReplyToken token);
  ReplyToken AddRaise(RaiseDone done);
  using LogStartDone = std::function<void(absl::Status)>;
  ReplyToken AddLogStart(LogStartDone done);

  // Answers to streams that are gone are dropped.
  void DeliverAcks(std::vector<SegmentOutput::Ack> acks);
  void DeliverRaise(SegmentOutput::EpochReply reply);
  void DeliverLogStart(SegmentOutput::LogStartReply reply);
  // Answers everything that still waits, streams apart.
  void AbandonAll(const absl::Status& why);

 private:
  struct Stream {
    std::mutex mutex;  // held while the sink runs
    StorageNode::AckSink sink;
    bool is_closed = false;
  };
  std::shared_ptr<Stream> FindStream(ReplyToken token);

  std::mutex mutex_;
  ReplyToken last_token_;
  std::map<ReplyToken, std::shared_ptr<Stream>> streams_;
  std::map<ReplyToken, RaiseDone> raises_;
  std::map<ReplyToken, LogStartDone> log_starts_;
};

}  // namespace sextant::storage
