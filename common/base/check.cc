// How a broken invariant ends the process: message to stderr, abort. See check.h.
#include "common/base/check.h"

#include <cstdio>
#include <cstdlib>

namespace sextant::internal {

CheckFailure::CheckFailure(const char* file, int line, std::string_view condition) {
  message_ << "invariant broken at " << file << ":" << line << ": " << condition << " ";
}

CheckFailure::~CheckFailure() {
  std::fprintf(stderr, "%s\n", message_.str().c_str());
  std::fflush(stderr);
  std::abort();
}

}  // namespace sextant::internal
