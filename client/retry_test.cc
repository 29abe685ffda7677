// The rules of retrying, case by case: what may be repeated, and what never.
#include "client/retry.h"

#include <gtest/gtest.h>

namespace sextant::client {
namespace {

using Kind = Setback::Kind;

TEST(Judge, WhatWasNotBegunGoesElsewhere) {
  EXPECT_EQ(Judge({.kind = Kind::kNotSent}), Verdict::kRetryElsewhere);
  EXPECT_EQ(Judge({.kind = Kind::kNotSent, .was_in_transaction = true}),
            Verdict::kReportLostTransaction);
}

TEST(Judge, ALostWriteIsUnknownAndALostReadIsRepeated) {
  EXPECT_EQ(Judge({.kind = Kind::kLost, .may_change = true}), Verdict::kReportUnknown);
  EXPECT_EQ(Judge({.kind = Kind::kLost, .may_change = false}), Verdict::kRetryElsewhere);
  // The caller has seen rows already; they would come twice.
  EXPECT_EQ(Judge({.kind = Kind::kLost, .was_shown = true, .may_change = false}), Verdict::kReport);
}

TEST(Judge, ATransactionDiesWithItsSessionUnlessItsEndWasUnderWay) {
  Setback setback{.kind = Kind::kLost, .was_in_transaction = true, .may_change = true};
  setback.may_commit = false;
  EXPECT_EQ(Judge(setback), Verdict::kReportLostTransaction);
  setback.may_commit = true;
  EXPECT_EQ(Judge(setback), Verdict::kReportUnknown);
}

Setback Answered(absl::StatusCode code, bool is_retriable = true) {
  return {.kind = Kind::kAnswered,
          .code = code,
          .is_retriable = is_retriable,
          .is_nothing_done = true};
}

TEST(Judge, AnswersThatMayBeRepeated) {
  EXPECT_EQ(Judge(Answered(absl::StatusCode::kAborted)), Verdict::kRetry);
  EXPECT_EQ(Judge(Answered(absl::StatusCode::kResourceExhausted)), Verdict::kRetry);
  EXPECT_EQ(Judge(Answered(absl::StatusCode::kUnavailable)), Verdict::kRetryElsewhere);
  EXPECT_EQ(Judge(Answered(absl::StatusCode::kFailedPrecondition, false)),
            Verdict::kRetryElsewhere);
}

TEST(Judge, AnswersThatMayNot) {
  EXPECT_EQ(Judge(Answered(absl::StatusCode::kAlreadyExists, false)), Verdict::kReport);
  EXPECT_EQ(Judge(Answered(absl::StatusCode::kDeadlineExceeded)), Verdict::kReport);
  Setback unknown = Answered(absl::StatusCode::kDeadlineExceeded);
  unknown.is_unknown = true;
  EXPECT_EQ(Judge(unknown), Verdict::kReportUnknown);
  // Statements before the one that failed have committed.
  for (const auto code : {absl::StatusCode::kUnavailable, absl::StatusCode::kFailedPrecondition}) {
    Setback partly = Answered(code);
    partly.is_nothing_done = false;
    EXPECT_EQ(Judge(partly), Verdict::kReport);
    Setback inside = Answered(code);
    inside.was_in_transaction = true;
    EXPECT_EQ(Judge(inside), Verdict::kReport);
  }
}

TEST(Backoff, GrowsWithinItsBounds) {
  Backoff backoff(1);
  EXPECT_EQ(backoff.Next(), absl::ZeroDuration());
  absl::Duration bound = absl::Milliseconds(10);
  for (int i = 0; i < 20; ++i) {
    const absl::Duration pause = backoff.Next();
    EXPECT_GE(pause, bound / 2);
    EXPECT_LE(pause, bound);
    bound = std::min(2 * bound, absl::Milliseconds(500));
  }
  backoff.Reset();
  EXPECT_EQ(backoff.Next(), absl::ZeroDuration());
}

}  // namespace
}  // namespace sextant::client
