// spdlog with a JSON formatter and fields. See logging.h.
#include "common/rpc/logging.h"

#include <grpc/support/log.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <memory>
#include <nlohmann/json.hpp>

namespace sextant::rpc {
namespace {

// In JSON mode a field travels inside spdlog's message as \x1e key \x1f value; the formatter takes
// it out.
constexpr char kFieldMark = '\x1e';
constexpr char kValueMark = '\x1f';
std::atomic<bool> g_is_json = false;

bool NeedsQuotes(std::string_view value) {
  if (value.empty()) return true;
  for (char c : value) {
    if (static_cast<unsigned char>(c) <= ' ' || c == '"' || c == '=') return true;
  }
  return false;
}

// {"time": ..., "level": ..., "process": ..., "node": ..., "message": ..., and the fields}
class JsonFormatter : public spdlog::formatter {
 public:
  JsonFormatter(std::string process, std::string node)
      : process_(std::move(process)), node_(std::move(node)) {}

  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& dest) override {
    spdlog::memory_buf_t time;
    time_.format(message, time);
    nlohmann::ordered_json line;
    line["time"] = std::string(time.data(), time.size());
    const auto level = spdlog::level::to_string_view(message.level);
    line["level"] = std::string(level.data(), level.size());
    line["process"] = process_;
    if (!node_.empty()) line["node"] = node_;
    const std::string_view text(message.payload.data(), message.payload.size());
    size_t mark = text.find(kFieldMark);
    line["message"] = std::string(text.substr(0, mark));
    while (mark != std::string_view::npos) {
      const size_t next = text.find(kFieldMark, mark + 1);
      AddField(text.substr(mark + 1, next == std::string_view::npos ? next : next - mark - 1),
               &line);
      mark = next;
    }
    // Bytes that are not UTF-8 are replaced: a log line must never throw.
    const std::string out = line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    dest.append(out.data(), out.data() + out.size());
    dest.push_back('\n');
  }

  std::unique_ptr<spdlog::formatter> clone() const override {
    return std::make_unique<JsonFormatter>(process_, node_);
  }

 private:
  static void AddField(std::string_view field, nlohmann::ordered_json* line) {
    const size_t mark = field.find(kValueMark);
    if (mark == std::string_view::npos) return;
    (*line)[std::string(field.substr(0, mark))] = std::string(field.substr(mark + 1));
  }

  std::string process_;
  std::string node_;
  spdlog::pattern_formatter time_{"%Y-%m-%dT%H:%M:%S.%fZ", spdlog::pattern_time_type::utc, ""};
};

// gRPC's own lines. What it calls an error (a refused connection) is news about a peer, which
// whoever made the call reports with its context; so they are for the curious.
void LogFromGrpc(gpr_log_func_args* args) { spdlog::debug("grpc: {}", args->message); }

}  // namespace

void internal::AppendField(std::string_view key, std::string_view value, std::string* out) {
  if (g_is_json.load(std::memory_order_relaxed)) {
    out->push_back(kFieldMark);
    out->append(key).push_back(kValueMark);
    for (char c : value) out->push_back(c == kFieldMark ? ' ' : c);
    return;
  }
  out->append(" ").append(key).append("=");
  if (!NeedsQuotes(value)) {
    out->append(value);
    return;
  }
  out->push_back('"');
  for (char c : value) {
    if (c == '"' || c == '\\') out->push_back('\\');
    out->push_back(c == '\n' ? ' ' : c);
  }
  out->push_back('"');
}

absl::Status SetUpLogging(const LogOptions& options) {
  const auto level = spdlog::level::from_str(options.level);
  if (level == spdlog::level::off && options.level != "off") {
    return absl::InvalidArgumentError(Text("unknown log level \"", options.level,
                                           "\": one of trace, debug, info, warn, error, off"));
  }
  if (options.format != "text" && options.format != "json") {
    return absl::InvalidArgumentError(
        Text("unknown log format \"", options.format, "\": one of text, json"));
  }
  g_is_json = options.format == "json";
  auto logger = std::make_shared<spdlog::logger>(options.process,
                                                 std::make_shared<spdlog::sinks::stderr_sink_mt>());
  if (g_is_json) {
    logger->set_formatter(std::make_unique<JsonFormatter>(options.process, options.node));
  } else {
    std::string who = options.process;
    if (!options.node.empty()) who += " " + options.node;
    std::string escaped;
    for (char c : who) escaped.append(c == '%' ? 2 : 1, c);
    logger->set_formatter(std::make_unique<spdlog::pattern_formatter>(
        "%Y-%m-%dT%H:%M:%S.%eZ %l " + escaped + ": %v", spdlog::pattern_time_type::utc));
  }
  logger->set_level(level);
  logger->flush_on(spdlog::level::info);
  spdlog::set_default_logger(std::move(logger));
  gpr_set_log_function(&LogFromGrpc);
  return absl::OkStatus();
}

}  // namespace sextant::rpc
