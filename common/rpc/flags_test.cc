// Where a flag's value comes from, and what wrong input says.
#include "common/rpc/flags.h"
#include "common/testing/temporary_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

namespace sextant::rpc {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class FlagsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    AddCommonFlags(&app_, &common_);
    AddByteSize(&app_, "--segment-size", &segment_size_, "Sizes segments.");
    app_.add_option("--peer", peers_, "Names a peer.");
    app_.add_flag("--fast", is_fast_, "Goes fast.");
  }
  void TearDown() override {
    for (const char* name : {"SEXTANT_LISTEN", "SEXTANT_SEGMENT_SIZE"}) unsetenv(name);
  }

  // What ParseFlags returns; stderr and stdout go to out_.
  std::optional<int> Parse(std::vector<const char*> args) {
    args.insert(args.begin(), "sextant-test");
    ::testing::internal::CaptureStderr();
    ::testing::internal::CaptureStdout();
    auto code = ParseFlags(&app_, static_cast<int>(args.size()), args.data());
    out_ = ::testing::internal::GetCapturedStdout() + ::testing::internal::GetCapturedStderr();
    return code;
  }
  std::string Config(const std::string& yaml) {
    const std::filesystem::path path = directory_ / "config.yaml";
    std::ofstream(path) << yaml;
    return "--config=" + path.string();
  }

  sextant::testing::TemporaryFolder folder_;
  const std::filesystem::path directory_ = folder_.path();
  CLI::App app_{"Tests flags.", "sextant-test"};
  CommonFlags common_;
  uint64_t segment_size_ = 10ull << 30;
  std::vector<std::string> peers_;
  bool is_fast_ = false;
  std::string out_;
};

TEST_F(FlagsTest, DefaultsStayWithoutAnyInput) {
  EXPECT_EQ(Parse({}), std::nullopt);
  EXPECT_EQ(common_.server.listen, "127.0.0.1:0");
  EXPECT_EQ(segment_size_, 10ull << 30);
}

TEST_F(FlagsTest, ConfigFileOverridesDefaults) {
  const std::string config = Config(
      "listen: 127.0.0.1:1\n"
      "metrics: {listen: '127.0.0.1:2'}\n"
      "segment-size: 64MiB\n"
      "peer: [a, b]\n"
      "fast: true\n");
  EXPECT_EQ(Parse({config.c_str()}), std::nullopt) << out_;
  EXPECT_EQ(common_.server.listen, "127.0.0.1:1");
  EXPECT_EQ(common_.server.metrics_listen, "127.0.0.1:2");
  EXPECT_EQ(segment_size_, 64u << 20);
  EXPECT_THAT(peers_, ElementsAre("a", "b"));
  EXPECT_TRUE(is_fast_);
}

TEST_F(FlagsTest, EnvironmentOverridesConfigFile) {
  const std::string config = Config("listen: 127.0.0.1:1\nsegment-size: 1MiB\n");
  setenv("SEXTANT_LISTEN", "127.0.0.1:9", 1);
  setenv("SEXTANT_SEGMENT_SIZE", "2MiB", 1);
  EXPECT_EQ(Parse({config.c_str()}), std::nullopt) << out_;
  EXPECT_EQ(common_.server.listen, "127.0.0.1:9");
  EXPECT_EQ(segment_size_, 2u << 20);
}

TEST_F(FlagsTest, FlagOverridesEnvironmentAndConfigFile) {
  const std::string config = Config("listen: 127.0.0.1:1\nsegment-size: 1MiB\npeer: [a, b]\n");
  setenv("SEXTANT_LISTEN", "127.0.0.1:9", 1);
  EXPECT_EQ(Parse({config.c_str(), "--listen", "127.0.0.1:5", "--segment-size=3MiB", "--peer=c"}),
            std::nullopt)
      << out_;
  EXPECT_EQ(common_.server.listen, "127.0.0.1:5");
  EXPECT_EQ(segment_size_, 3u << 20);
  EXPECT_THAT(peers_, ElementsAre("c"));
}

TEST_F(FlagsTest, AnEmptyConfigFileIsFine) {
  const std::string config = Config("# nothing\n");
  EXPECT_EQ(Parse({config.c_str()}), std::nullopt) << out_;
}

TEST_F(FlagsTest, UnknownKeyNamesTheKeyAndItsLine) {
  const std::string config = Config("listen: 127.0.0.1:1\nlisten-adress: 127.0.0.1:1\n");
  EXPECT_EQ(Parse({config.c_str()}), kExitUsage);
  EXPECT_THAT(out_, HasSubstr("unknown key \"listen-adress\" (line 2)"));
}

TEST_F(FlagsTest, KeysThatOnlyMakeSenseAsFlagsAreRefused) {
  for (const char* key : {"config", "help", "version"}) {
    CLI::App app("", "sextant-test");
    const std::string config = Config(std::string(key) + ": x\n");
    const char* args[] = {"sextant-test", config.c_str()};
    ::testing::internal::CaptureStderr();
    EXPECT_EQ(ParseFlags(&app, 2, args), kExitUsage) << key;
    EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr("unknown key"));
  }
}

TEST_F(FlagsTest, BrokenConfigFilesAreUsageErrors) {
  for (const char* yaml : {"listen: [", "- a\n- b\n", "just words", "{a: {b: c}}"}) {
    CLI::App app("", "sextant-test");
    const std::string config = Config(yaml);
    const char* args[] = {"sextant-test", config.c_str()};
    ::testing::internal::CaptureStderr();
    EXPECT_EQ(ParseFlags(&app, 2, args), kExitUsage) << yaml;
    EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr("config file"));
  }
}

TEST_F(FlagsTest, AMissingConfigFileIsAUsageError) {
  EXPECT_EQ(Parse({"--config=/nonexistent/sextant.yaml"}), kExitUsage);
  EXPECT_THAT(out_, HasSubstr("/nonexistent/sextant.yaml"));
}

TEST_F(FlagsTest, UnknownFlagsAndWrongValuesAreUsageErrors) {
  EXPECT_EQ(Parse({"--no-such-flag"}), kExitUsage);
  EXPECT_THAT(out_, HasSubstr("--no-such-flag"));
}

TEST_F(FlagsTest, AWrongSizeSaysWhatIsAllowed) {
  EXPECT_EQ(Parse({"--segment-size=10GB"}), kExitUsage);
  EXPECT_THAT(out_, HasSubstr("10GB"));
  EXPECT_THAT(out_, HasSubstr("64KiB"));
}

TEST_F(FlagsTest, AWrongLevelIsAUsageError) {
  EXPECT_EQ(Parse({"--log-level=loud"}), kExitUsage);
  EXPECT_THAT(out_, HasSubstr("loud"));
}

TEST_F(FlagsTest, AnEmptyMetricsAddressIsAccepted) {
  EXPECT_EQ(Parse({"--metrics-listen", ""}), std::nullopt) << out_;
  EXPECT_EQ(common_.server.metrics_listen, "");
}

TEST_F(FlagsTest, HelpAndVersionExitWithSuccess) {
  EXPECT_EQ(Parse({"--help"}), 0);
  EXPECT_THAT(out_, HasSubstr("--ready-file"));
  EXPECT_THAT(out_, HasSubstr("SEXTANT_LISTEN"));
  EXPECT_THAT(out_, HasSubstr("10GiB"));
}

TEST_F(FlagsTest, VersionNamesTheProgram) {
  EXPECT_EQ(Parse({"--version"}), 0);
  EXPECT_THAT(out_, HasSubstr("sextant-test 0."));
}

}  // namespace
}  // namespace sextant::rpc
