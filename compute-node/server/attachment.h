// Attachment: what a service works on, which comes and goes while the service stays registered.
//
// A node changes its role without giving up its port: its gRPC services live as long as the
// process, the volume or executor behind them as long as the role. Whoever uses the target holds a
// Use; the role lets go of the target only once Detach and AwaitUnused have returned.
//
// Thread-safety: all methods from any thread.
#pragma once

#include <condition_variable>
#include <mutex>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace sextant::server {

template <typename T>
class Attachment {
 public:
  // The right to use the target, until destroyed. Movable.
  class Use {
   public:
    Use(Use&& other) noexcept : owner_(std::exchange(other.owner_, nullptr)) {
      target_ = other.target_;
    }
    Use& operator=(Use&& other) = delete;
    ~Use() {
      if (owner_ != nullptr) owner_->Release();
    }
    T& operator*() const { return *target_; }
    T* operator->() const { return target_; }

   private:
    friend class Attachment;
    Use(Attachment* owner, T* target) : owner_(owner), target_(target) {}
    Attachment* owner_;
    T* target_ = nullptr;
  };

  // `why_not`: what users are told until something is attached.
  explicit Attachment(absl::Status why_not) : why_not_(std::move(why_not)) {}

  void Attach(T* target) {
    std::lock_guard lock(mutex_);
    target_ = target;
  }
  // No new uses: those who ask get `why_not`. Uses that there are go on.
  void Detach(absl::Status why_not) {
    std::lock_guard lock(mutex_);
    target_ = nullptr;
    why_not_ = std::move(why_not);
  }
  // Waits until nobody uses a target any more. False: not within `timeout`.
  bool AwaitUnused(absl::Duration timeout = absl::InfiniteDuration()) {
    std::unique_lock lock(mutex_);
    const auto is_unused = [this] { return uses_ == 0; };
    if (timeout != absl::InfiniteDuration()) {
      return unused_.wait_for(lock, absl::ToChronoMilliseconds(timeout), is_unused);
    }
    unused_.wait(lock, is_unused);
    return true;
  }
  // The target, or the reason that was given for there being none.
  absl::StatusOr<Use> Take() {
    std::lock_guard lock(mutex_);
    if (target_ == nullptr) return why_not_;
    ++uses_;
    return Use(this, target_);
  }

 private:
  void Release() {
    // Notified under the lock: the waiter may destroy this object as soon as it sees zero.
    std::lock_guard lock(mutex_);
    if (--uses_ == 0) unused_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable unused_;
  T* target_ = nullptr;
  int uses_ = 0;
  absl::Status why_not_;
};

}  // namespace sextant::server
