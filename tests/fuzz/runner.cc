// Runs one target without libFuzzer: over its corpus, and over deterministic mutations of it.
//
//   fuzz_record [--mutations N] [--seed S] CORPUS_FOLDER_OR_FILE...
//
// Files that end in .hex are text (tests/fuzz/README.md), others are the input itself, as libFuzzer
// leaves them. An input that ends the process is printed as hex, to be kept in the corpus.
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include "common/base/prng.h"
#include "tests/fuzz/fuzz_target.h"

// Targets that need no preparation do not define it.
extern "C" __attribute__((weak)) int LLVMFuzzerInitialize(int* argc, char*** argv);

namespace sextant::fuzz {
namespace {

constexpr size_t kMaxInputBytes = 4096;

std::string running;  // the input that the target has now: what a crash prints

void PrintInputAndDie(int signal) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text = "input that did it, as a .hex file:\n";
  for (const char c : running) {
    text += {kDigits[static_cast<unsigned char>(c) >> 4], kDigits[c & 15], ' '};
  }
  text += '\n';
  if (write(STDERR_FILENO, text.data(), text.size()) < 0) _exit(1);
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

void Run(std::string input) {
  running = std::move(input);
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(running.data()), running.size());
}

// Bytes of a .hex file: pairs of digits; '#' starts a comment.
std::string FromHexText(std::istream& in, const std::string& name) {
  std::string bytes, line, digits;
  while (std::getline(in, line)) {
    for (const char c : line.substr(0, line.find('#'))) {
      if (std::isspace(static_cast<unsigned char>(c))) continue;
      if (!std::isxdigit(static_cast<unsigned char>(c))) {
        std::cerr << name << ": not hex: " << line << "\n";
        std::exit(2);
      }
      digits.push_back(c);
    }
  }
  for (size_t i = 0; i + 1 < digits.size(); i += 2) {
    bytes.push_back(static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

std::string ReadInput(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (path.extension() == ".hex") return FromHexText(in, path.string());
  return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<std::string> ReadCorpus(const std::vector<std::string>& paths) {
  std::vector<std::filesystem::path> files;
  for (const std::string& path : paths) {
    if (!std::filesystem::is_directory(path)) {
      files.emplace_back(path);
      continue;
    }
    for (const auto& entry : std::filesystem::directory_iterator(path)) {
      files.push_back(entry.path());
    }
  }
  std::sort(files.begin(), files.end());  // the order of a folder is nobody's promise
  std::vector<std::string> corpus;
  for (const auto& file : files) corpus.push_back(ReadInput(file));
  return corpus;
}

// One small change, of the kinds that find bugs in parsers.
void MutateOnce(Prng* prng, const std::vector<std::string>& corpus, std::string* input) {
  static constexpr unsigned char kBytes[] = {0, 1, 0x7f, 0x80, 0xf0, 0xf2, 0xff};
  if (input->empty()) input->push_back('\0');
  const size_t at = prng->Below(input->size());
  switch (prng->Below(7)) {
    case 0:
      (*input)[at] = static_cast<char>((*input)[at] ^ (1 << prng->Below(8)));
      return;
    case 1:
      (*input)[at] = static_cast<char>(kBytes[prng->Below(std::size(kBytes))]);
      return;
    case 2:
      (*input)[at] = static_cast<char>((*input)[at] + (prng->OneIn(2) ? 1 : -1));
      return;
    case 3:
      input->insert(at, 1, static_cast<char>(prng->Next()));
      return;
    case 4:
      input->erase(at, prng->Between(1, 8));
      return;
    case 5: {  // a piece of its own, again
      const std::string piece = input->substr(at, prng->Between(1, 32));
      input->insert(prng->Below(input->size()), piece);
      return;
    }
    default: {  // a piece of another input
      const std::string& other = corpus[prng->Below(corpus.size())];
      if (other.empty()) return;
      input->insert(at, other.substr(prng->Below(other.size()), prng->Between(1, 64)));
    }
  }
}

int Main(int argc, char** argv) {
  uint64_t mutations = 0, seed = 1;
  std::vector<std::string> paths;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if ((argument == "--mutations" || argument == "--seed") && i + 1 < argc) {
      (argument == "--seed" ? seed : mutations) = std::stoull(argv[++i]);
    } else {
      paths.push_back(argument);
    }
  }
  const std::vector<std::string> corpus = ReadCorpus(paths);
  if (corpus.empty()) {
    std::cerr << "usage: " << argv[0] << " [--mutations N] [--seed S] CORPUS_FOLDER_OR_FILE...\n";
    return 2;
  }
  if (LLVMFuzzerInitialize != nullptr) LLVMFuzzerInitialize(&argc, &argv);
  std::signal(SIGABRT, PrintInputAndDie);
  std::signal(SIGSEGV, PrintInputAndDie);
  for (const std::string& input : corpus) Run(input);
  Prng prng(seed);
  for (uint64_t n = 0; n < mutations; ++n) {
    std::string input = corpus[prng.Below(corpus.size())];
    // Mostly near a known input; now and then a long one, pieced together from many.
    for (uint64_t changes = prng.Between(1, prng.OneIn(4) ? 60 : 6); changes > 0; --changes) {
      MutateOnce(&prng, corpus, &input);
    }
    if (input.size() > kMaxInputBytes) input.resize(kMaxInputBytes);
    Run(std::move(input));
  }
  std::cout << corpus.size() << " corpus inputs and " << mutations << " mutations of them, seed "
            << seed << "\n";
  return 0;
}

}  // namespace
}  // namespace sextant::fuzz

int main(int argc, char** argv) { return sextant::fuzz::Main(argc, argv); }
