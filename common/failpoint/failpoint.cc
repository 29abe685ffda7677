// See failpoint.h.
#include "common/failpoint/failpoint.h"

#include <signal.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <map>
#include <optional>
#include <string_view>
#include <thread>

#include "absl/strings/str_join.h"
#include "common/base/check.h"
#include "common/base/text.h"

namespace sextant {
namespace {

// Made by whichever file's failpoint is the first one; never destroyed.
std::map<std::string, Failpoint*>& Registry() {
  static auto* const registry = new std::map<std::string, Failpoint*>;
  return *registry;
}

std::optional<uint64_t> NumberIn(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

}  // namespace

Failpoint::Failpoint(const char* name) : name_(name) {
  SEXTANT_CHECK(Registry().emplace(name, this).second) << "two failpoints named " << name;
}

absl::Status Failpoint::Act() {
  if (!IsTurn()) return absl::OkStatus();
  switch (action_) {
    case Action::kError:
      return absl::UnavailableError(Text("failpoint ", name_, ": an error that was asked for"));
    case Action::kCrash:
      spdlog::warn("failpoint {}: the process ends here, as it was asked to", name_);
      spdlog::default_logger()->flush();
      kill(getpid(), SIGKILL);
      pause();  // the signal is on its way
      return absl::OkStatus();
    case Action::kDelay:
      std::this_thread::sleep_for(std::chrono::milliseconds(delay_ms_));
      return absl::OkStatus();
    case Action::kOn:
      return absl::OkStatus();
  }
  return absl::OkStatus();
}

absl::Status ArmFailpoint(const std::string& spec) {
  const auto wrong = [&](const std::string& why) {
    return absl::InvalidArgumentError(
        Text("failpoint \"", spec, "\": ", why,
             "; NAME=error, NAME=crash, NAME=delay:MS or NAME=on, with @N from the N-th time on"));
  };
  const size_t equals = spec.find('=');
  if (equals == std::string::npos) return wrong("there is no '='");
  const auto place = Registry().find(spec.substr(0, equals));
  if (place == Registry().end()) {
    return wrong(Text("this binary has ", std::string(absl::StrJoin(FailpointNames(), ", "))));
  }
  std::string_view action = std::string_view(spec).substr(equals + 1);
  uint64_t from = 1;
  if (const size_t at = action.find('@'); at != std::string_view::npos) {
    const std::optional<uint64_t> number = NumberIn(action.substr(at + 1));
    if (!number || *number == 0) return wrong("what follows '@' is no number from 1 on");
    from = *number;
    action = action.substr(0, at);
  }
  Failpoint& failpoint = *place->second;
  if (action == "error") {
    failpoint.action_ = Failpoint::Action::kError;
  } else if (action == "crash") {
    failpoint.action_ = Failpoint::Action::kCrash;
  } else if (action == "on") {
    failpoint.action_ = Failpoint::Action::kOn;
  } else if (action.starts_with("delay:")) {
    const std::optional<uint64_t> delay = NumberIn(action.substr(6));
    if (!delay || *delay > 60'000) return wrong("the delay is no number of milliseconds");
    failpoint.action_ = Failpoint::Action::kDelay;
    failpoint.delay_ms_ = static_cast<int>(*delay);
  } else {
    return wrong("no such action");
  }
  failpoint.from_ = from;
  failpoint.is_armed_.store(true);
  return absl::OkStatus();
}

std::vector<std::string> FailpointNames() {
  std::vector<std::string> names;
  for (const auto& [name, failpoint] : Registry()) names.push_back(name);
  return names;
}

}  // namespace sextant
