// See directory.h.
#include "client/directory.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/completion_queue.h>

#include <chrono>
#include <thread>
#include <utility>

#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "common/base/text.h"
#include "common/rpc/channel.h"
#include "common/rpc/status.h"
#include "sextant/v1/compute.grpc.pb.h"

namespace sextant::client {
namespace {

constexpr absl::Duration kAnswerTimeout = absl::Seconds(1);

// The traditional path's nodes do what a writer and its readers do.
std::string RoleOf(const v1::ComputeStatus& answer) {
  if (answer.role() == "binlog-source") return "writer";
  return answer.role() == "binlog-replica" ? "reader" : answer.role();
}

NodeReport ReportOf(const std::string& address, const absl::Status& status,
                    const v1::ComputeStatus& answer) {
  NodeReport report{.address = address, .answers = status.ok()};
  if (absl::IsUnimplemented(status)) {
    // A server of SqlService alone: it is all there is.
    report.answers = true;
    report.role = "writer";
    report.phase = "open";
  }
  if (!status.ok()) return report;
  report.node = answer.node();
  report.role = RoleOf(answer);
  report.phase = answer.phase();
  report.epoch = answer.epoch();
  for (const v1::ComputeNodeAddress& node : answer.compute_nodes()) {
    report.compute_nodes.push_back({node.node(), node.address()});
  }
  // Whom it follows, where it was told of no others.
  report.compute_nodes.push_back({answer.writer().node(), answer.writer().address()});
  return report;
}

std::string Said(const NodeReport& report, const absl::Status& status) {
  if (report.answers) return Text(report.role, ", ", report.phase);
  return absl::IsDeadlineExceeded(status) ? "does not answer" : "unreachable";
}

}  // namespace

// One question to every node. On a queue of its own, polled by whoever asks: nothing of it is left
// when it is destroyed, on any thread.
class Directory::Round {
 public:
  struct Answer {
    NodeReport report;
    std::string said;
  };

  explicit Round(const std::vector<std::string>& addresses) {
    for (const std::string& address : addresses) {
      Call& call = *calls_.emplace_back(std::make_unique<Call>());
      call.address = address;
      call.context.set_deadline(absl::ToChronoTime(absl::Now() + kAnswerTimeout));
      v1::ComputeService::Stub stub(rpc::MakeChannel(address));
      call.reader = stub.AsyncGetStatus(&call.context, v1::ComputeStatusRequest(), &queue_);
      call.reader->Finish(&call.answer, &call.status, &call);
    }
    open_ = calls_.size();
  }
  ~Round() {
    for (const auto& call : calls_) call->context.TryCancel();
    while (Next().has_value()) {
    }
    queue_.Shutdown();
    void* tag = nullptr;
    bool ok = false;
    while (queue_.Next(&tag, &ok)) {
    }
  }
  // Waits for the next answer; nullopt: all have been taken.
  std::optional<Answer> Next() {
    if (open_ == 0) return std::nullopt;
    void* tag = nullptr;
    bool ok = false;
    if (!queue_.Next(&tag, &ok)) return std::nullopt;
    --open_;
    const Call& call = *static_cast<Call*>(tag);
    const absl::Status status = rpc::FromGrpc(call.status, call.address);
    NodeReport report = ReportOf(call.address, status, call.answer);
    std::string said = Said(report, status);
    return Answer{std::move(report), std::move(said)};
  }

 private:
  struct Call {
    std::string address;
    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientAsyncResponseReader<v1::ComputeStatus>> reader;
    v1::ComputeStatus answer;
    grpc::Status status;
  };

  grpc::CompletionQueue queue_;
  std::vector<std::unique_ptr<Call>> calls_;
  size_t open_ = 0;
};

Directory::Directory(std::vector<std::string> endpoints, uint64_t seed)
    : book_(endpoints), prng_(seed) {}

std::optional<std::string> Directory::Pick(Preference preference) {
  const std::vector<std::string> choices = book_.Choices(preference);
  if (choices.empty()) return std::nullopt;
  return choices[prng_.Below(choices.size())];
}

bool Directory::MustAskFirst(Preference preference) const {
  return (preference == Preference::kAny || preference == Preference::kReader) &&
         book_.has_unasked();
}

void Directory::Ask(Preference preference) {
  std::vector<std::string> addresses;
  {
    std::lock_guard lock(mutex_);
    addresses = book_.addresses();
  }
  Round round(addresses);
  while (const std::optional<Round::Answer> answer = round.Next()) {
    std::lock_guard lock(mutex_);
    book_.Heard(answer->report);
    said_[answer->report.address] = answer->said;
    // Readers may still answer; for the writer alone nothing better can come.
    if (preference == Preference::kWriter && Pick(preference).has_value()) return;
  }
}

absl::StatusOr<std::string> Directory::Find(Preference preference, absl::Time deadline,
                                            const std::function<bool()>& is_cancelled) {
  std::optional<Backoff> backoff;
  for (;;) {
    std::string what;
    {
      std::lock_guard lock(mutex_);
      const auto picked = MustAskFirst(preference) ? std::nullopt : Pick(preference);
      if (picked.has_value()) return *picked;
      if (!backoff.has_value()) backoff.emplace(prng_.Next());
    }
    Ask(preference);
    {
      std::lock_guard lock(mutex_);
      const auto picked = MustAskFirst(preference) ? std::nullopt : Pick(preference);
      if (picked.has_value()) return *picked;
      what = WhatTheySay();
    }
    const absl::Duration pause = backoff->Next();
    if (is_cancelled() || absl::Now() + pause >= deadline) {
      return absl::UnavailableError(Text("no compute node is an open writer: ", what));
    }
    std::this_thread::sleep_for(absl::ToChronoMilliseconds(pause));
  }
}

std::string Directory::WhatTheySay() const {
  std::vector<std::string> parts;
  for (const std::string& address : book_.addresses()) {
    const auto said = said_.find(address);
    parts.push_back(Text(address, " (", said == said_.end() ? "not asked yet" : said->second, ")"));
  }
  return absl::StrJoin(parts, ", ");
}

void Directory::Suspect(const std::string& address) {
  std::lock_guard lock(mutex_);
  book_.Suspect(address);
}

void Directory::Hint(const std::string& node, const std::string& address) {
  std::lock_guard lock(mutex_);
  book_.Hint(node, address);
}

}  // namespace sextant::client
