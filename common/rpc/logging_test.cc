// Log lines: fields appear as key=value in text and as members in JSON.
#include "common/rpc/logging.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include <nlohmann/json.hpp>

#include "common/log/lsn.h"
#include "common/testing/status_matchers.h"

namespace sextant::rpc {
namespace {

using ::testing::HasSubstr;
using testing::StatusIs;

template <typename Log>
std::string Captured(Log log) {
  ::testing::internal::CaptureStderr();
  log();
  spdlog::default_logger()->flush();
  return ::testing::internal::GetCapturedStderr();
}

TEST(Logging, TextShowsFieldsAfterTheMessage) {
  ASSERT_OK(SetUpLogging({.process = "storage-node", .node = "az1-a"}));
  const std::string line = Captured([] {
    spdlog::warn("segment is fenced{}",
                 Fields("lsn", Lsn(12), "node", "az1 b", "error", absl::AbortedError("a \"b\"")));
  });
  EXPECT_THAT(line, HasSubstr("Z warning storage-node az1-a: segment is fenced lsn=12 "
                              "node=\"az1 b\" error=\"ABORTED: a \\\"b\\\"\"\n"));
}

TEST(Logging, JsonMakesMembersOfFields) {
  ASSERT_OK(SetUpLogging({.process = "storage-node", .node = "az1-a", .format = "json"}));
  const std::string line = Captured([] {
    spdlog::info("started{}", Fields("listen", "127.0.0.1:1", "text", "two\nlines \"quoted\""));
  });
  const auto json = nlohmann::json::parse(line);
  EXPECT_EQ(json["process"], "storage-node");
  EXPECT_EQ(json["node"], "az1-a");
  EXPECT_EQ(json["level"], "info");
  EXPECT_EQ(json["message"], "started");
  EXPECT_EQ(json["listen"], "127.0.0.1:1");
  EXPECT_EQ(json["text"], "two\nlines \"quoted\"");
  EXPECT_THAT(json["time"].get<std::string>(), ::testing::EndsWith("Z"));
}

TEST(Logging, BytesThatAreNotUtf8DoNotBreakTheLine) {
  ASSERT_OK(SetUpLogging({.process = "p", .format = "json"}));
  const std::string line = Captured([] { spdlog::info("bad \xff byte"); });
  EXPECT_TRUE(nlohmann::json::accept(line)) << line;
}

TEST(Logging, LevelsBelowTheChosenOneAreSilent) {
  ASSERT_OK(SetUpLogging({.process = "p", .level = "warn"}));
  EXPECT_EQ(Captured([] { spdlog::info("quiet"); }), "");
  ASSERT_OK(SetUpLogging({.process = "p", .level = "off"}));
  EXPECT_EQ(Captured([] { spdlog::error("quiet"); }), "");
}

TEST(Logging, UnknownLevelAndFormatAreRefused) {
  EXPECT_THAT(SetUpLogging({.process = "p", .level = "loud"}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("loud")));
  EXPECT_THAT(SetUpLogging({.process = "p", .format = "xml"}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("xml")));
}

}  // namespace
}  // namespace sextant::rpc
