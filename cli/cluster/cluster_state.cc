// cluster.json: encoding, files, and the names that commands may use for nodes.
#include "cli/cluster/cluster_state.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>

#include "common/base/check.h"
#include "common/base/text.h"

namespace sextant::cli {
namespace {

constexpr int kFormat = 1;
using Json = nlohmann::ordered_json;

Json NodeToJson(const NodeState& node) {
  return {{"name", node.name},
          {"role", node.is_writer() ? "writer"
                   : node.is_reader ? "reader"
                   : node.is_spare  ? "spare"
                                    : "storage"},
          {"zone", node.zone},
          {"listen", node.listen},
          {"metrics", node.metrics},
          {"pid", node.process.pid},
          {"start_time", node.process.start_time}};
}

NodeState NodeFromJson(const Json& json) {
  NodeState node;
  node.name = json.at("name").get<std::string>();
  node.zone = json.at("zone").get<std::string>();
  node.is_spare = json.at("role").get<std::string>() == "spare";
  node.is_reader = json.at("role").get<std::string>() == "reader";
  node.listen = json.at("listen").get<std::string>();
  node.metrics = json.at("metrics").get<std::string>();
  node.process.pid = json.at("pid").get<pid_t>();
  node.process.start_time = json.at("start_time").get<uint64_t>();
  return node;
}

absl::Status WriteAll(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(fd, text.data(), text.size());
    if (written < 0) return absl::UnavailableError(std::strerror(errno));
    text.remove_prefix(static_cast<size_t>(written));
  }
  if (fsync(fd) != 0) return absl::UnavailableError(std::strerror(errno));
  return absl::OkStatus();
}

}  // namespace

const NodeState& ClusterState::writer() const {
  for (const NodeState& node : nodes) {
    if (node.is_writer()) return node;
  }
  SEXTANT_CHECK(false) << "a cluster state without a writer";
  return nodes.front();
}

std::vector<std::string> ClusterState::StorageAddresses() const {
  std::vector<std::string> addresses;
  for (const NodeState& node : nodes) {
    if (!node.is_compute()) addresses.push_back(node.listen);
  }
  return addresses;
}

std::vector<std::string> ClusterState::ComputeAddresses() const {
  std::vector<std::string> addresses;
  for (const NodeState& node : nodes) {
    if (node.is_compute()) addresses.push_back(node.listen);
  }
  return addresses;
}

ClusterState NewClusterState(const ClusterSettings& settings, const std::vector<uint16_t>& ports) {
  SEXTANT_CHECK(ports.size() == static_cast<size_t>(PortsFor(settings)));
  ClusterState state;
  state.settings = settings;
  size_t next_port = 0;
  const auto add = [&](std::string name, std::string zone) {
    NodeState node;
    node.name = std::move(name);
    node.zone = std::move(zone);
    node.listen = Text("127.0.0.1:", ports[next_port++]);
    node.metrics = Text("127.0.0.1:", ports[next_port++]);
    state.nodes.push_back(std::move(node));
  };
  const auto add_readers = [&](const char* prefix, uint32_t count) {
    for (uint32_t i = 1; i <= count; ++i) {
      add(Text(prefix, i), "");
      state.nodes.back().is_reader = true;
    }
  };
  if (settings.is_binlog()) {
    add(kSourceName, "");
    add_readers("replica-", settings.replicas);
    return state;
  }
  for (const char* zone : {"az1", "az2", "az3"}) {
    for (const char* suffix : {"-a", "-b"}) add(Text(zone, suffix), zone);
  }
  for (uint32_t i = 1; i <= settings.spares; ++i) {
    add(Text("az", i, "-c"), Text("az", i));
    state.nodes.back().is_spare = true;
  }
  add(kWriterName, "");
  add_readers("reader-", settings.readers);
  return state;
}

std::string StateToJson(const ClusterState& state) {
  Json nodes = Json::array();
  for (const NodeState& node : state.nodes) nodes.push_back(NodeToJson(node));
  const Json json = {{"sextant_cluster", kFormat},
                     {"segment_bytes", state.settings.segment_bytes},
                     {"page_bytes", state.settings.page_bytes},
                     {"protection_groups", state.settings.protection_groups},
                     {"spares", state.settings.spares},
                     {"readers", state.settings.readers},
                     {"mode", state.settings.mode},
                     {"replicas", state.settings.replicas},
                     {"semi_sync_acks", state.settings.semi_sync_acks},
                     {"is_volume_created", state.is_volume_created},
                     {"nodes", std::move(nodes)}};
  return json.dump(2) + "\n";
}

absl::StatusOr<ClusterState> StateFromJson(const std::string& text) {
  try {
    const Json json = Json::parse(text);
    if (const int format = json.at("sextant_cluster").get<int>(); format != kFormat) {
      return absl::InvalidArgumentError(Text("format ", format, ", while this sextant knows ",
                                             kFormat, ": use the newer sextant"));
    }
    ClusterState state;
    state.settings.segment_bytes = json.at("segment_bytes").get<uint64_t>();
    state.settings.page_bytes = json.at("page_bytes").get<uint32_t>();
    state.settings.protection_groups = json.at("protection_groups").get<uint32_t>();
    state.settings.spares = json.value("spares", 0u);
    state.settings.readers = json.value("readers", 0u);
    state.settings.mode = json.value("mode", state.settings.mode);
    state.settings.replicas = json.value("replicas", state.settings.replicas);
    state.settings.semi_sync_acks = json.value("semi_sync_acks", 0u);
    state.is_volume_created = json.at("is_volume_created").get<bool>();
    for (const Json& node : json.at("nodes")) state.nodes.push_back(NodeFromJson(node));
    const auto is_writer = [](const NodeState& node) { return node.is_writer(); };
    if (std::count_if(state.nodes.begin(), state.nodes.end(), is_writer) != 1) {
      return absl::InvalidArgumentError("it does not name exactly one writer");
    }
    return state;
  } catch (const nlohmann::json::exception& error) {
    return absl::InvalidArgumentError(error.what());
  }
}

std::string StatePath(const std::string& dir) { return dir + "/cluster.json"; }
std::string LogPath(const std::string& dir, const std::string& node) {
  return Text(dir, "/logs/", node, ".log");
}
std::string DataPath(const std::string& dir, const std::string& node) {
  return Text(dir, "/", node);
}
std::string ReadyPath(const std::string& dir, const std::string& node) {
  return Text(dir, "/run/", node, ".json");
}

absl::StatusOr<ClusterState> LoadState(const std::string& dir) {
  std::ifstream file(StatePath(dir));
  if (!file) {
    return absl::NotFoundError(Text("no cluster in ", dir,
                                    ": start one with `sextant cluster up --dir ", dir,
                                    "`, or name another folder with --dir"));
  }
  absl::StatusOr<ClusterState> state =
      StateFromJson(std::string(std::istreambuf_iterator<char>(file), {}));
  if (!state.ok()) {
    return absl::InvalidArgumentError(
        Text("cannot read ", StatePath(dir), ": ", View(state.status().message())));
  }
  return state;
}

absl::Status SaveState(const std::string& dir, const ClusterState& state) {
  const std::string path = StatePath(dir);
  const std::string temporary = path + ".new";
  const int fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) {
    return absl::UnavailableError(Text("cannot write ", temporary, ": ", std::strerror(errno)));
  }
  absl::Status status = WriteAll(fd, StateToJson(state));
  close(fd);
  if (status.ok() && rename(temporary.c_str(), path.c_str()) != 0) {
    status = absl::UnavailableError(std::strerror(errno));
  }
  if (!status.ok()) {
    return absl::UnavailableError(Text("cannot write ", path, ": ", View(status.message())));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> ResolveTargets(const ClusterState& state,
                                                        const std::vector<std::string>& targets) {
  std::set<std::string> wanted;
  for (const std::string& target : targets) {
    bool is_known = false;
    for (const NodeState& node : state.nodes) {
      if (target == "all" || target == node.name || (!node.is_compute() && target == node.zone)) {
        wanted.insert(node.name);
        is_known = true;
      }
    }
    if (is_known) continue;
    std::string known;
    for (const NodeState& node : state.nodes) known += node.name + " ";
    return absl::InvalidArgumentError(Text("no node or zone called '", target, "': there are ",
                                           known, "and the zones az1 az2 az3, and all"));
  }
  std::vector<std::string> names;
  for (const NodeState& node : state.nodes) {
    if (wanted.count(node.name) > 0) names.push_back(node.name);
  }
  return names;
}

}  // namespace sextant::cli
