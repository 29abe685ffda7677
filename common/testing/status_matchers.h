// gMock matchers for absl::Status and absl::StatusOr: IsOk(), StatusIs(code, message),
// IsOkAndHolds(m).
#pragma once

#include <gmock/gmock.h>

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/text.h"

namespace sextant::testing {

inline const absl::Status& StatusOf(const absl::Status& status) { return status; }
template <typename T>
const absl::Status& StatusOf(const absl::StatusOr<T>& status_or) {
  return status_or.status();
}

MATCHER(IsOk, negation ? "is an error" : "is OK") {
  *result_listener << StatusOf(arg).ToString();
  return StatusOf(arg).ok();
}

MATCHER_P(HasCode, code, "has code " + absl::StatusCodeToString(code)) {
  *result_listener << StatusOf(arg).ToString();
  return StatusOf(arg).code() == code;
}

// An error of this code, whose message matches `message` (a string or a matcher).
MATCHER_P2(StatusIs, code, message, "has code " + absl::StatusCodeToString(code)) {
  *result_listener << StatusOf(arg).ToString();
  return StatusOf(arg).code() == code &&
         ::testing::ExplainMatchResult(::testing::Matcher<std::string>(message),
                                       std::string(View(StatusOf(arg).message())), result_listener);
}
inline auto StatusIs(absl::StatusCode code) { return HasCode(code); }

// A StatusOr that is OK and whose value matches.
MATCHER_P(IsOkAndHolds, matcher, "is OK and holds a value that matches") {
  if (!arg.ok()) {
    *result_listener << arg.status().ToString();
    return false;
  }
  return ::testing::ExplainMatchResult(matcher, *arg, result_listener);
}

}  // namespace sextant::testing

#define ASSERT_OK(expression) ASSERT_THAT(expression, ::sextant::testing::IsOk())
#define EXPECT_OK(expression) EXPECT_THAT(expression, ::sextant::testing::IsOk())
