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
  ClusterPicture picture = MakePicture(std::nullopt, {}, {{"127.0.0.1:9", status}});
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
  const ClusterPicture picture = MakePicture(std::nullopt, {}, {{"127.0.0.1:9", OpenWriter(1, 5)}});
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
  const ClusterPicture picture = MakePicture(std::nullopt, {}, {{"127.0.0.1:9", OpenWriter(3, 4)}});
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
  const ClusterPicture picture = MakePicture(std::nullopt, {}, {{"127.0.0.1:9", OpenWriter(1, 6)}});
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
      MakePicture(state, answers, {{"127.0.0.1:1", absl::UnavailableError("refused")}});
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
  const ClusterPicture picture = MakePicture(std::nullopt, {}, {{"127.0.0.1:9", OpenWriter(2, 6)}});
  const nlohmann::json json = nlohmann::json::parse(PictureToJson(picture, false));
  EXPECT_EQ(json["volume"]["vdl"], 120);
  EXPECT_EQ(json["nodes"].size(), 6u);
  EXPECT_EQ(json["nodes"][3]["segments"].size(), 2u);
  EXPECT_EQ(json["nodes"][3]["segments"][1]["scl"], 123);
  EXPECT_EQ(json["streaming_members"], 6);
}

v1::ComputeStatus Following(const std::string& name) {
  v1::ComputeStatus status;
  status.set_node(name);
  status.set_role("reader");
  status.set_phase("following");
  status.set_epoch(2);
  status.mutable_reader()->set_is_connected(true);
  status.mutable_reader()->set_published(119);
  return status;
}

TEST(DrawTest, TheWriterIsWhoSaysSoAndTheOthersRead) {
  v1::ComputeStatus reader = Following("writer");  // it was, once
  v1::ComputeStatus promoted = OpenWriter(1, 6);
  promoted.set_node("reader-1");
  promoted.set_role("writer");
  v1::ComputeStatus lagging = Following("reader-2");
  lagging.mutable_reader()->set_lag_p50_ms(0.42);
  lagging.mutable_reader()->set_lag_p99_ms(3.1);
  const ClusterPicture picture =
      MakePicture(std::nullopt, {}, {{"a:1", reader}, {"b:1", promoted}, {"c:1", lagging}});
  const std::string text = DrawCluster(picture, {});
  EXPECT_NE(text.find("reader-1 open  b:1  writer  commits 40"), std::string::npos) << text;
  EXPECT_NE(text.find("writer   following  a:1  VDL 119  no commits lately\n"), std::string::npos)
      << text;
  EXPECT_NE(text.find("reader-2 following  c:1  VDL 119  lag 0.4 ms, p99 3.1 ms\n"),
            std::string::npos)
      << text;
  const auto json = nlohmann::json::parse(PictureToJson(picture, false));
  EXPECT_EQ(json["writer"]["name"], "reader-1");
  EXPECT_TRUE(json["readers"][0]["lag_p50_ms"].is_null());
  EXPECT_EQ(json["readers"][1]["lag_p99_ms"], 3.1);
}

TEST(DrawTest, AWriterThatDoesNotKnowYetIsTold) {
  v1::ComputeStatus old = OpenWriter(1, 6);
  old.set_node("writer");
  old.set_role("writer");
  old.set_epoch(2);
  v1::ComputeStatus promoted = old;
  promoted.set_node("reader-1");
  promoted.set_epoch(3);
  const std::string text =
      DrawCluster(MakePicture(std::nullopt, {}, {{"a:1", old}, {"b:1", promoted}}), {});
  EXPECT_NE(text.find("reader-1 open  b:1  writer"), std::string::npos) << text;
  EXPECT_NE(text.find("writer   open  a:1  writer of epoch 2\n"), std::string::npos) << text;
}

TEST(DrawTest, AClusterWithoutAWriter) {
  v1::ComputeStatus alone = Following("reader-1");
  alone.set_phase("cut-off");
  alone.mutable_reader()->set_is_connected(false);
  EXPECT_NE(DrawCluster(MakePicture(std::nullopt, {}, {{"b:1", alone}}), {})
                .find("writer   none: `sextant promote NODE` makes one of these the writer\n"
                      "reader-1 cut-off  b:1  VDL 119  lag unknown\n"),
            std::string::npos);
  // Who does not answer must have been it.
  const ClusterPicture picture = MakePicture(
      std::nullopt, {}, {{"a:1", absl::UnavailableError("a:1: refused")}, {"b:1", alone}});
  EXPECT_EQ(picture.writer.address, "a:1");
  EXPECT_FALSE(picture.writer.answers);
  EXPECT_EQ(picture.readers.size(), 1u);
}

v1::ComputeStatus Source(const std::string& name, uint64_t tenure) {
  v1::ComputeStatus status;
  status.set_node(name);
  status.set_role("binlog-source");
  status.set_phase("open");
  status.set_detail("replication semi-sync, 1 followers");
  status.set_epoch(tenure);
  status.set_head(70);
  status.set_vcl(69);
  status.set_vdl(68);
  status.set_commits(40);
  status.set_waits(2);
  return status;
}
v1::ComputeStatus BinlogReplica(const std::string& name) {
  v1::ComputeStatus status = Following(name);
  status.set_role("binlog-replica");
  status.mutable_reader()->set_published(67);
  return status;
}

TEST(DrawTest, ABinlogClusterSpeaksOfSourceAndReplicas) {
  v1::ComputeStatus lagging = BinlogReplica("replica-1");
  lagging.mutable_reader()->set_lag_ms(3.14);
  v1::ComputeStatus waiting = BinlogReplica("replica-2");
  waiting.set_phase("cut-off");
  waiting.set_detail(
      "waits for replica-1 to lead as tenure 4: bring it back, or promote another replica");
  waiting.mutable_reader()->set_is_connected(false);
  const ClusterPicture picture = MakePicture(
      std::nullopt, {}, {{"a:1", Source("source", 3)}, {"b:1", lagging}, {"c:1", waiting}});
  EXPECT_EQ(DrawCluster(picture, {}),
            "binlog   tenure 3  transactions 70  synced 69  answered 68\n"
            "source   open  a:1  binlog-source  commits 40  waiting 2\n"
            "         replication semi-sync, 1 followers\n"
            "replica-1 following  b:1  applied 67  lag 3.1 ms\n"
            "replica-2 cut-off  c:1  applied 67  lag unknown\n"
            "         waits for replica-1 to lead as tenure 4: bring it back, or promote another "
            "replica\n");
}

TEST(DrawTest, ABinlogClusterWithoutASource) {
  EXPECT_EQ(DrawCluster(MakePicture(std::nullopt, {}, {{"b:1", BinlogReplica("replica-1")}}), {}),
            "binlog   no source answers\n"
            "source   none: `sextant promote` makes the replica that holds most the source\n"
            "replica-1 following  b:1  applied 67  no commits lately\n");
  // Who does not answer must have been it.
  const std::string text = DrawCluster(MakePicture(std::nullopt, {},
                                                   {{"a:1", absl::UnavailableError("a:1: refused")},
                                                    {"b:1", BinlogReplica("replica-1")}}),
                                       {});
  EXPECT_NE(text.find("binlog   no source answers\nsource   "), std::string::npos) << text;
  EXPECT_EQ(text.find("writer"), std::string::npos) << text;
  EXPECT_EQ(text.find("volume"), std::string::npos) << text;
}

TEST(DrawTest, AnOldSourceThatDoesNotKnowYetIsTold) {
  const std::string text =
      DrawCluster(MakePicture(std::nullopt, {},
                              {{"a:1", Source("source", 2)}, {"b:1", Source("replica-1", 3)}}),
                  {});
  EXPECT_NE(text.find("binlog   tenure 3  "), std::string::npos) << text;
  EXPECT_NE(text.find("replica-1 open  b:1  binlog-source"), std::string::npos) << text;
  EXPECT_NE(text.find("source   open  a:1  source of tenure 2\n"), std::string::npos) << text;
}

TEST(DrawTest, AFencedWriterIsNotTheWriterAgain) {
  v1::ComputeStatus fenced = OpenWriter(1, 6);
  fenced.set_role("writer");
  fenced.set_phase("fenced");
  v1::ComputeStatus recovering = OpenWriter(0, 0);
  recovering.set_role("writer");
  recovering.set_phase("recovering");
  recovering.set_epoch(0);
  EXPECT_EQ(IndexOfWriter({{"a:1", fenced}, {"b:1", recovering}}), 1u);
  EXPECT_EQ(IndexOfWriter({{"a:1", absl::UnavailableError("")}, {"b:1", Following("b")}}), 1u);
}

}  // namespace
}  // namespace sextant::cli
