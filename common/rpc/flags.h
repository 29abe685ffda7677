// Command line of every Sextant server: the flags they share, and one rule of where a value comes
// from.
//
//   flag  >  environment  >  config file  >  default
//
// `--metrics-listen` is SEXTANT_METRICS_LISTEN in the environment and `metrics-listen:` in the YAML
// file that --config names. In YAML a map nests: `metrics: {listen: ...}` is the same key; a list
// gives a repeated flag its values. An unknown key, like an unknown flag, is a usage error.
// Durations are integers with the unit in the flag's name (--commit-timeout-ms); sizes take "64KiB"
// (AddByteSize).
//
//   CLI::App app("Hosts segments of Sextant volumes.", "sextant-storage-node");
//   rpc::CommonFlags common;
//   rpc::AddCommonFlags(&app, &common);
//   app.add_option("--node", node, "Names this node.")->required();
//   if (auto exit_code = rpc::ParseFlags(&app, argc, argv)) return *exit_code;
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>

#include "common/rpc/logging.h"
#include "common/rpc/server.h"

namespace sextant::rpc {

inline constexpr int kExitFailure = 1;  // it was asked properly and failed
inline constexpr int kExitUsage = 2;    // wrong flag, value, environment variable or config file

struct CommonFlags {
  ServerOptions server;  // --listen, --metrics-listen, --ready-file
  LogOptions log;        // --log-level, --log-format; `process` and `node` are the caller's to fill
};

// Adds --listen, --metrics-listen, --ready-file, --failpoint, --log-level, --log-format; their
// defaults are what `flags` holds now.
void AddCommonFlags(CLI::App* app, CommonFlags* flags);

// An option whose value is a byte size; the default is what *bytes holds now.
CLI::Option* AddByteSize(CLI::App* app, const std::string& name, uint64_t* bytes,
                         const std::string& description);

// Adds --version and --config, then parses. A value: exit with it now (help and version print to
// stdout and give 0, a usage error prints to stderr and gives kExitUsage). Call after all options
// were added.
std::optional<int> ParseFlags(CLI::App* app, int argc, const char* const* argv);

// "sextant-storage-node 0.1.0"
std::string VersionLine(const std::string& program);

}  // namespace sextant::rpc
