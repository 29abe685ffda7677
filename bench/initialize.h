// The part of a command line that is Google Benchmark's, handed on to it.
#pragma once

#include <benchmark/benchmark.h>

#include <string>
#include <vector>

namespace sextant::bench {

// Starts Google Benchmark with the options that CLI11 did not know (CLI::App::remaining). False: it
// does not know one either, and has said so on stderr.
inline bool InitializeBenchmark(char* program, std::vector<std::string> options) {
  std::vector<char*> arguments = {program};
  for (std::string& option : options) arguments.push_back(option.data());
  int count = static_cast<int>(arguments.size());
  arguments.push_back(nullptr);
  benchmark::Initialize(&count, arguments.data());
  return !benchmark::ReportUnrecognizedArguments(count, arguments.data());
}

}  // namespace sextant::bench
