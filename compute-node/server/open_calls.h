// OpenCalls: the streams that work on something that is about to go, so that they can be ended.
//
// Thread-safe. A stream adds itself when it starts and removes itself when gRPC is done with it.
#pragma once

#include <mutex>
#include <set>

#include "absl/status/status.h"

namespace sextant::server {

class OpenCall {
 public:
  virtual ~OpenCall() = default;
  // Takes nothing more, and ends with `why` once what it took is answered. May come more than once.
  virtual void End(const absl::Status& why) = 0;
  // Gives up on answers too.
  virtual void Cancel() = 0;
};

class OpenCalls {
 public:
  void Add(OpenCall* call) {
    std::lock_guard lock(mutex_);
    calls_.insert(call);
    if (!why_.ok()) call->End(why_);
  }
  void Remove(OpenCall* call) {
    std::lock_guard lock(mutex_);
    calls_.erase(call);
  }
  // Ends those that there are and those that are added until Reset. The lock is held throughout: a
  // call that ends meanwhile waits in Remove, so that it is there to be ended.
  void EndAll(const absl::Status& why) {
    std::lock_guard lock(mutex_);
    why_ = why;
    for (OpenCall* call : calls_) call->End(why);
  }
  void CancelAll() {
    std::lock_guard lock(mutex_);
    for (OpenCall* call : calls_) call->Cancel();
  }
  // Lets calls be added again.
  void Reset() {
    std::lock_guard lock(mutex_);
    why_ = absl::OkStatus();
  }

 private:
  std::mutex mutex_;
  std::set<OpenCall*> calls_;
  absl::Status why_;  // not OK: all end
};

}  // namespace sextant::server
