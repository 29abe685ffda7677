// CLI11 with YAML files and the environment above them. See flags.h.
#include "common/rpc/flags.h"

#include <yaml-cpp/yaml.h>

#include <cstdlib>
#include <iostream>
#include <memory>
#include <vector>

#include "common/base/byte_size.h"
#include "common/base/text.h"
#include "common/failpoint/failpoint.h"

namespace sextant::rpc {
namespace {

// "--metrics-listen" is SEXTANT_METRICS_LISTEN.
std::string EnvironmentName(const std::string& long_name) {
  std::string name = "SEXTANT_";
  for (char c : long_name) {
    name.push_back(c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c))));
  }
  return name;
}

bool IsSetInEnvironment(const CLI::Option& option) {
  const char* value = std::getenv(option.get_envname().c_str());
  return value != nullptr && *value != '\0';
}

// YAML for CLI11. CLI11 asks the file before the environment and keeps what it finds first, so keys
// that the environment sets are left out here: that is what puts the environment above the file.
class YamlConfig : public CLI::Config {
 public:
  explicit YamlConfig(const CLI::App* app) : app_(app) {}

  std::vector<CLI::ConfigItem> from_config(std::istream& in) const override {
    std::vector<CLI::ConfigItem> items;
    try {
      const YAML::Node root = YAML::Load(in);
      if (root.IsNull()) return items;
      if (!root.IsMap()) throw CLI::ConfigError("config file: expected \"flag-name: value\" lines");
      Flatten(root, "", &items);
    } catch (const YAML::Exception& e) {
      throw CLI::ConfigError(Text("config file is not valid YAML: ", e.what()));
    }
    return items;
  }

  std::string to_config(const CLI::App*, bool, bool, std::string) const override { return ""; }

 private:
  void Flatten(const YAML::Node& map, const std::string& prefix,
               std::vector<CLI::ConfigItem>* items) const {
    for (const auto& entry : map) {
      const std::string key = prefix + entry.first.as<std::string>();
      const YAML::Node& value = entry.second;
      if (value.IsMap()) {
        Flatten(value, key + "-", items);
        continue;
      }
      const CLI::Option* option = app_->get_option_no_throw("--" + key);
      if (option == nullptr || !option->get_configurable()) {
        throw CLI::ConfigError(Text("config file: unknown key \"", key, "\" (line ",
                                    entry.first.Mark().line + 1, "); ", app_->get_name(),
                                    " --help lists the flags, which are the keys"));
      }
      if (!IsSetInEnvironment(*option)) AddItem(key, value, items);
    }
  }

  static void AddItem(const std::string& key, const YAML::Node& value,
                      std::vector<CLI::ConfigItem>* items) {
    CLI::ConfigItem item;
    item.name = key;
    if (value.IsSequence()) {
      for (const auto& element : value) item.inputs.push_back(element.as<std::string>());
    } else if (value.IsScalar()) {
      item.inputs.push_back(value.as<std::string>());
    }
    if (!item.inputs.empty()) items->push_back(std::move(item));
  }

  const CLI::App* app_;
};

}  // namespace

void AddCommonFlags(CLI::App* app, CommonFlags* flags) {
  app->add_option("--listen", flags->server.listen,
                  "Serves gRPC at HOST:PORT; port 0 picks a free one.")
      ->capture_default_str();
  app->add_option("--metrics-listen", flags->server.metrics_listen,
                  "Serves Prometheus metrics at http://HOST:PORT/metrics; empty serves none.")
      ->capture_default_str();
  app->add_option("--ready-file", flags->server.ready_file,
                  "Writes the bound addresses and the process id as JSON to this file.");
  app->add_option_function<std::vector<std::string>>(
      "--failpoint",
      [](const std::vector<std::string>& specs) {
        for (const std::string& spec : specs) {
          const absl::Status armed = ArmFailpoint(spec);
          if (!armed.ok())
            throw CLI::ValidationError("--failpoint", std::string(View(armed.message())));
        }
      },
      "Plants a fault, for tests: NAME=error|crash|delay:MS|on, with @N from the N-th time on.");
  app->add_option("--log-level", flags->log.level, "Logs from this level on.")
      ->check(CLI::IsMember({"trace", "debug", "info", "warn", "error", "off"}))
      ->capture_default_str();
  app->add_option("--log-format", flags->log.format, "Writes log lines in this form.")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
}

CLI::Option* AddByteSize(CLI::App* app, const std::string& name, uint64_t* bytes,
                         const std::string& description) {
  auto parse = [bytes, name](const std::string& text) {
    const absl::StatusOr<uint64_t> parsed = ParseByteSize(text);
    if (!parsed.ok())
      throw CLI::ValidationError(name, std::string(View(parsed.status().message())));
    *bytes = *parsed;
  };
  return app->add_option_function<std::string>(name, parse, description)
      ->type_name("SIZE")
      ->default_str(FormatByteSize(*bytes));
}

std::optional<int> ParseFlags(CLI::App* app, int argc, const char* const* argv) {
  app->set_version_flag("--version", VersionLine(app->get_name()))->configurable(false);
  app->set_config("--config", "", "Reads flags from a YAML file (keys are flag names).")
      ->configurable(false);
  app->config_formatter(std::make_shared<YamlConfig>(app));
  app->allow_config_extras(CLI::config_extras_mode::error);
  for (CLI::Option* option : app->get_options()) {
    if (option->get_lnames().empty() || !option->get_configurable()) continue;
    option->envname(EnvironmentName(option->get_lnames().front()));
  }
  try {
    app->parse(argc, argv);
  } catch (const CLI::Success& e) {  // --help, --version
    return app->exit(e, std::cout, std::cerr);
  } catch (const CLI::ParseError& e) {
    std::cerr << app->get_name() << ": " << e.what() << "\n";
    return kExitUsage;
  }
  return std::nullopt;
}

std::string VersionLine(const std::string& program) { return Text(program, " ", SEXTANT_VERSION); }

}  // namespace sextant::rpc
