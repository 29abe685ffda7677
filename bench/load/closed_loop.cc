// See closed_loop.h.
#include "bench/load/closed_loop.h"

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "common/base/prng.h"
#include "common/base/status.h"
#include "common/base/text.h"

namespace sextant::bench {
namespace {

using Clock = std::chrono::steady_clock;

enum class Phase { kWarmUp, kMeasure, kStop };

class Client {
 public:
  Client(std::unique_ptr<Connection> connection, const LoopOptions& options, uint64_t seed)
      : connection_(std::move(connection)), options_(options), prng_(seed) {}

  void Run(const std::atomic<Phase>* phase) {
    for (Phase now; (now = *phase) != Phase::kStop;) {
      const std::string value = Value();
      const auto begin = Clock::now();
      const absl::Status status = connection_->Upsert(1 + prng_.Below(options_.rows), value);
      if (now != Phase::kMeasure) continue;
      if (status.ok()) {
        ++result.commits;
        result.latency_ns.Record(static_cast<uint64_t>((Clock::now() - begin).count()));
      } else {
        if (result.errors++ == 0) result.first_error = std::string(View(status.message()));
      }
    }
  }

  LoopResult result;

 private:
  // Letters and digits, so that no system has to escape them, and different ones each time.
  std::string Value() {
    static constexpr char kLetters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    std::string value(options_.value_bytes, ' ');
    for (char& letter : value) letter = kLetters[prng_.Below(sizeof kLetters - 1)];
    return value;
  }

  const std::unique_ptr<Connection> connection_;
  const LoopOptions& options_;
  Prng prng_;
};

absl::Status Fill(Target* target, const LoopOptions& options) {
  // A few at a time: one by one would take longer than the measurement.
  constexpr int kFillers = 32;
  std::atomic<uint64_t> next{1};
  std::vector<absl::Status> results(kFillers);
  std::vector<std::thread> threads;
  for (int i = 0; i < kFillers; ++i) {
    threads.emplace_back([&, i] {
      auto connection = target->Connect();
      results[i] = connection.status();
      const std::string value(options.value_bytes, 'x');
      while (results[i].ok()) {
        const uint64_t row = next++;
        if (row > options.rows) return;
        results[i] = (*connection)->Upsert(row, value);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const absl::Status& result : results) RETURN_IF_ERROR(result);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<LoopResult> RunClosedLoop(Target* target, const LoopOptions& options) {
  RETURN_IF_ERROR(target->Prepare());
  RETURN_IF_ERROR(Fill(target, options));
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < options.clients; ++i) {
    ASSIGN_OR_RETURN(std::unique_ptr<Connection> connection, target->Connect());
    const uint64_t seed = static_cast<uint64_t>(Clock::now().time_since_epoch().count());
    clients.push_back(std::make_unique<Client>(std::move(connection), options, seed + i));
  }
  std::atomic<Phase> phase{Phase::kWarmUp};
  std::vector<std::thread> threads;
  for (const auto& client : clients) threads.emplace_back([&] { client->Run(&phase); });
  std::this_thread::sleep_for(std::chrono::duration<double>(options.warm_up_seconds));
  const auto begin = Clock::now();
  phase = Phase::kMeasure;
  std::this_thread::sleep_for(std::chrono::duration<double>(options.seconds));
  phase = Phase::kStop;
  LoopResult result;
  result.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  for (std::thread& thread : threads) thread.join();
  for (const auto& client : clients) {
    result.commits += client->result.commits;
    result.errors += client->result.errors;
    if (result.first_error.empty()) result.first_error = client->result.first_error;
    result.latency_ns.Add(client->result.latency_ns);
  }
  return result;
}

}  // namespace sextant::bench
