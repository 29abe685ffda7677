// LiveLine: a line every second while a run lasts: commits per second, percentiles, the zones.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "fault/load/load.h"

namespace sextant::fault {

class LiveLine {
 public:
  using Say = std::function<void(const std::string&)>;
  // `zones` draws the cluster in a few words; it may take a moment. Both run on its own thread.
  LiveLine(const Load* load, std::function<std::string()> zones, Say say);
  ~LiveLine();  // says nothing any more

  // What the round is at, for the next lines: "before", "kill az1-a az1-b".
  void SetDoing(const std::string& doing);

 private:
  void Run();

  const Load* const load_;
  const std::function<std::string()> zones_;
  const Say say_;
  std::mutex mutex_;
  std::string doing_ = "before";
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

}  // namespace sextant::fault
