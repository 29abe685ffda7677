// SqlClient: a session as a test uses it, blocking or not; and what may be asked of its answers.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/base/check.h"
#include "common/base/text.h"
#include "compute-node/sql/executor.h"
#include "compute-node/sql/session.h"

namespace sextant::sql {

// Waits for `condition` on another thread's work; false after a generous while.
inline bool Eventually(const std::function<bool()>& condition) {
  for (int i = 0; i < 30000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}

inline std::string ToText(const Value& value) {
  if (const auto* i = std::get_if<int64_t>(&value)) return Text(*i);
  if (const auto* d = std::get_if<double>(&value)) return Text(*d);
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  if (const auto* blob = std::get_if<Blob>(&value)) return "x:" + blob->bytes;
  return "NULL";
}

// All responses of one request, joined.
struct Answer {
  std::vector<StatementResult> results;
  std::optional<Error> error;
  Lsn position;
  bool in_transaction = false;
  size_t responses = 0;

  bool ok() const { return !error.has_value(); }
  std::string message() const { return ok() ? "" : error->message; }
  // Rows of all statements: "1|a;2|b;".
  std::string rows() const {
    std::string text;
    for (const StatementResult& result : results) {
      for (const Row& row : result.rows) {
        for (size_t i = 0; i < row.size(); ++i) text += (i > 0 ? "|" : "") + ToText(row[i]);
        text += ";";
      }
    }
    return text;
  }
};

class CollectingSink : public ResponseSink {
 public:
  void Send(Response response, std::function<void(bool)> sent) override {
    const bool is_last = response.is_last;
    for (StatementResult& result : response.results) answer_.results.push_back(std::move(result));
    answer_.error = std::move(response.error);
    answer_.position = response.position;
    answer_.in_transaction = response.in_transaction;
    ++answer_.responses;
    sent(true);
    if (is_last) done_.set_value(std::move(answer_));
  }
  bool is_one_shot() const override { return false; }
  void Abort() override {}
  std::future<Answer> future() { return done_.get_future(); }

 private:
  Answer answer_;
  std::promise<Answer> done_;
};

inline Request MakeRequest(std::vector<std::string> sqls, bool is_script = false) {
  Request request;
  for (std::string& sql : sqls)
    request.statements.push_back({.sql = std::move(sql), .is_script = is_script});
  return request;
}

class SqlClient {
 public:
  explicit SqlClient(SqlExecutor& executor) {
    auto session = executor.OpenSession();
    SEXTANT_CHECK(session.ok()) << session.status().ToString();
    session_ = *session;
  }
  ~SqlClient() {
    Wait();
    session_->Close();
  }
  SqlClient(const SqlClient&) = delete;

  std::future<Answer> Start(Request request) {
    Wait();
    auto sink = std::make_shared<CollectingSink>();
    auto future = sink->future();
    finished_ = std::promise<void>();
    is_busy_ = true;
    session_->Execute(std::move(request), sink, [this] { finished_.set_value(); });
    return future;
  }
  std::future<Answer> Start(const std::string& sql) { return Start(MakeRequest({sql})); }
  Answer Run(Request request) {
    auto future = Start(std::move(request));
    Answer answer = future.get();
    Wait();
    return answer;
  }
  Answer Run(const std::string& sql) { return Run(MakeRequest({sql})); }
  Answer Script(const std::string& sql) { return Run(MakeRequest({sql}, /*is_script=*/true)); }
  Session& session() { return *session_; }

 private:
  void Wait() {
    if (std::exchange(is_busy_, false)) finished_.get_future().wait();
  }
  std::shared_ptr<Session> session_;
  std::promise<void> finished_;
  bool is_busy_ = false;
};

}  // namespace sextant::sql
