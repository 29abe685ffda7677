// The drawing, held against whole pictures.
#include "cli/status/draw.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace sextant::cli {
namespace {

v1::ComputeStatus OpenWriter(int pgs, int streaming) {
  v1::ComputeStatus status;
  status.set_node("writer");
  status.set_phase("open");
  status.set_volume(0xab);
  status.set_epoch(2);
  status.set_vdl(120);
  status.set_vcl(121);
  status.set_head(123);
  status.set_page_bytes(4096);
  status.set_segment_bytes(64 << 20);
  status.set_commits(40);
  for (int pg = 0; pg < pgs; ++pg) {
    v1::PgProgress* progress = status.add_pgs();
    progress->set_pg(pg);
    progress->set_last_lsn(123);
    for (int slot = 0; slot < 6; ++slot) {
      v1::MemberProgress* member = progress->add_members();
      const std::string zone = "az" + std::to_string(slot / 2 + 1);
      member->set_zone(zone);
      member->set_node(zone + (slot % 2 == 0 ? "-a" : "-b"));
      member->set_state(slot < streaming ? "streaming" : "down");
      member->set_scl(slot < streaming ? 123 : 100 + pg);
      member->set_lag_records(123 - member->scl());
    }
  }
  return status;
}

TEST(DrawTest, AChangeUnderWay) {
  v1::ComputeStatus status = OpenWriter(1, 6);
  v1::ChangeProgress* change = status.mutable_pgs(0)->add_changes();
  change->set_from("az3-b");
  change->set_to("az3-a");
  change->set_scl(100);
  change->set_target(123);
  ClusterPicture picture = MakePicture(std::nullopt, {}, "127.0.0.1:9", status);
  ASSERT_EQ(picture.changes.size(), 1u);
  picture.changes[0].rebuilt_percent = 41;
  picture.changes[0].copied_bytes = 12 << 20;
  EXPECT_NE(
      DrawCluster(picture, {})
          .find("change   pg 0  az3-b -> az3-a: SCL 100 of 123, pages copied 41 % (12 MiB)\n"),
      std::string::npos);
  const auto json = nlohmann::json::parse(PictureToJson(picture, false));
  EXPECT_EQ(json["changes"][0]["rebuilt_percent"], 41);
}

TEST(DrawTest, ThreeZonesSideBySide) {
  const ClusterPicture picture = MakePicture(std::nullopt, {}, "127.0.0.1:9", OpenWriter(1, 5));
  EXPECT_EQ(DrawCluster(picture, {}),
            "volume   00000000000000ab  epoch 2  VDL 120  VCL 121  head 123\n"
            "         1 protection group of 64MiB, pages of 4KiB\n"
            "+ az1 -------------------+ + az2 -------------------+ + az3 -------------------+\n"
            "| az1-a                  | | az2-a                  | | az3-a                  |\n"
            "|   streaming            | |   streaming            | |   streaming            |\n"
            "|   SCL 123  lag 0       | |   SCL 123  lag 0       | |   SCL 123  lag 0       |\n"
            "| az1-b                  | | az2-b                  | | az3-b                  |\n"
            "|   streaming            | |   streaming            | |   down                 |\n"
            "|   SCL 123  lag 0       | |   SCL 123  lag 0       | |   SCL 100  lag 23      |\n"
            "+------------------------+ +------------------------+ +------------------------+\n"
            "writer   open  127.0.0.1:9  commits 40  waiting 0\n"
            "quorum   5 of 6 segments streaming (a commit needs 4)\n");
}

TEST(DrawTest, ManyProtectionGroupsAreSummed) {
  const ClusterPicture picture = MakePicture(std::nullopt, {}, "127.0.0.1:9", OpenWriter(3, 4));
  const std::string text = DrawCluster(picture, {.color = false, .utf8 = false, .width = 40});
  EXPECT_NE(text.find("+ az3 -------------------+\n"
                      "| az3-a                  |\n"
                      "|   3/3 PGs down         |\n"
                      "|   SCL min 100          |\n"
                      "|   lag max 23 (pg 0)    |\n"
                      "| az3-b                  |\n"),
            std::string::npos)
      << text;
}

TEST(DrawTest, ColoursOnlyWhenAsked) {
  const ClusterPicture picture = MakePicture(std::nullopt, {}, "127.0.0.1:9", OpenWriter(1, 6));
  EXPECT_EQ(DrawCluster(picture, {}).find('\x1b'), std::string::npos);
  EXPECT_NE(DrawCluster(picture, {.color = true}).find("\x1b[32m  streaming\x1b[0m"),
            std::string::npos);
}

TEST(PictureTest, WithoutAWriterTheSegmentsSpeakForThemselves) {
  const ClusterState state = NewClusterState({}, std::vector<uint16_t>(kPortsPerCluster, 1));
  std::vector<StorageAnswer> answers;
  for (int i = 0; i < 6; ++i) {
    if (i == 5) {
      answers.push_back(absl::UnavailableError("127.0.0.1:1: does not answer"));
      continue;
    }
    v1::NodeStatus node;
    v1::SegmentStatus* segment = node.add_segments();
    segment->mutable_segment()->set_volume(7);
    segment->mutable_descriptor_()->mutable_geometry()->set_page_bytes(4096);
    segment->mutable_descriptor_()->mutable_geometry()->set_pages_per_pg(16);
    segment->set_scl(i == 0 ? 90 : 100);
    segment->set_known_vdl(95);
    segment->set_epoch(3);
    answers.push_back(node);
  }
  const ClusterPicture picture =
      MakePicture(state, answers, "127.0.0.1:1", absl::UnavailableError("refused"));
  ASSERT_TRUE(picture.volume.has_value());
  EXPECT_EQ(picture.volume->vdl, 95u);
  EXPECT_EQ(picture.volume->segment_bytes, 65536u);
  EXPECT_FALSE(picture.volume->is_from_writer);
  EXPECT_EQ(picture.nodes[0].segments[0].lag, 10u);
  EXPECT_EQ(picture.nodes[0].segments[0].state, "idle");
  EXPECT_FALSE(picture.nodes[5].answers);
  EXPECT_EQ(picture.nodes[5].error, "does not answer");
  EXPECT_EQ(picture.writer.error, "unreachable");
  EXPECT_EQ(picture.streaming_members, -1);
}

TEST(PictureTest, JsonHoldsEverySegment) {
  const ClusterPicture picture = MakePicture(std::nullopt, {}, "127.0.0.1:9", OpenWriter(2, 6));
  const nlohmann::json json = nlohmann::json::parse(PictureToJson(picture, false));
  EXPECT_EQ(json["volume"]["vdl"], 120);
  EXPECT_EQ(json["nodes"].size(), 6u);
  EXPECT_EQ(json["nodes"][3]["segments"].size(), 2u);
  EXPECT_EQ(json["nodes"][3]["segments"][1]["scl"], 123);
  EXPECT_EQ(json["streaming_members"], 6);
}

}  // namespace
}  // namespace sextant::cli
