// See config_file.h.
#include "cli/command/config_file.h"

#include <yaml-cpp/yaml.h>

#include <cstdlib>
#include <set>
#include <string>
#include <string_view>

#include "common/base/text.h"

namespace sextant::cli {
namespace {

const std::set<std::string> kKeys = {"dir", "endpoints", "output", "mode", "timeout-ms"};

std::string ConfigPath(int argc, const char* const* argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument(argv[i]);
    if (argument == "--config" && i + 1 < argc) return argv[i + 1];
    if (argument.substr(0, 9) == "--config=") return std::string(argument.substr(9));
  }
  const char* path = std::getenv("SEXTANT_CONFIG");
  return path == nullptr ? "" : path;
}

std::string EnvironmentName(const std::string& key) {
  std::string name = "SEXTANT_";
  for (char c : key) {
    name += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return name;
}

std::string Joined(const YAML::Node& value) {
  if (!value.IsSequence()) return value.as<std::string>();
  std::string text;
  for (const YAML::Node& part : value) text += (text.empty() ? "" : ",") + part.as<std::string>();
  return text;
}

}  // namespace

absl::Status LoadConfigIntoEnvironment(int argc, const char* const* argv) {
  const std::string path = ConfigPath(argc, argv);
  if (path.empty()) return absl::OkStatus();
  try {
    const YAML::Node root = YAML::LoadFile(path);
    if (root.IsNull()) return absl::OkStatus();
    if (!root.IsMap())
      return absl::InvalidArgumentError(Text(path, ": expected \"key: value\" lines"));
    for (const auto& entry : root) {
      const std::string key = entry.first.as<std::string>();
      if (kKeys.count(key) == 0) {
        return absl::InvalidArgumentError(Text(
            path, ": unknown key '", key, "'; there are dir, endpoints, output, mode, timeout-ms"));
      }
      setenv(EnvironmentName(key).c_str(), Joined(entry.second).c_str(), /*overwrite=*/0);
    }
  } catch (const YAML::Exception& error) {
    return absl::InvalidArgumentError(
        Text("cannot read the config file ", path, ": ", error.what()));
  }
  return absl::OkStatus();
}

}  // namespace sextant::cli
