// See end_on_signal.h.
#include "cli/cluster/end_on_signal.h"

#include <unistd.h>

#include <ctime>
#include <utility>

namespace sextant::cli {
namespace {

constexpr long kLookNanos = 50'000'000;  // whether it is over

}  // namespace

EndOnSignal::EndOnSignal(std::function<void(int signal)> end) : end_(std::move(end)) {
  sigemptyset(&ours_);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&ours_, signal);
  pthread_sigmask(SIG_BLOCK, &ours_, &before_);
  thread_ = std::thread([this] {
    while (!is_over_.load()) {
      const timespec wait{0, kLookNanos};
      const int signal = sigtimedwait(&ours_, nullptr, &wait);
      if (signal <= 0) continue;
      end_(signal);
      ::_exit(128 + signal);  // other threads are in the middle of something that is over now
    }
  });
}

EndOnSignal::~EndOnSignal() {
  is_over_.store(true);
  thread_.join();
  pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

}  // namespace sextant::cli
