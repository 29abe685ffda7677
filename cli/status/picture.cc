// Merging what the writer says of every member with what the storage nodes say of themselves.
#include "cli/status/picture.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <tuple>

#include "common/base/ids.h"
#include "common/base/text.h"

namespace sextant::cli {
namespace {

std::string ShortError(const absl::Status& status) {
  const std::string message(View(status.message()));
  if (!absl::IsUnavailable(status)) return message;
  // "127.0.0.1:4711: does not answer" (client/status_client.h); the rest is about the connection.
  return message.find("does not answer") != std::string::npos ? "does not answer" : "unreachable";
}

NodePicture* FindOrAddNode(ClusterPicture* picture, const std::string& name,
                           const std::string& zone) {
  for (NodePicture& node : picture->nodes) {
    if (node.name == name) return &node;
  }
  NodePicture node;
  node.name = name;
  node.zone = zone;
  picture->nodes.push_back(std::move(node));
  return &picture->nodes.back();
}

SegmentPicture* FindOrAddSegment(NodePicture* node, uint32_t pg) {
  for (SegmentPicture& segment : node->segments) {
    if (segment.pg == pg) return &segment;
  }
  node->segments.push_back(SegmentPicture{.pg = pg});
  return &node->segments.back();
}

void AddProcesses(const ClusterState& state, ClusterPicture* picture) {
  for (const NodeState& node : state.nodes) {
    const std::string process(ToString(StateOf(node.process)));
    const pid_t pid = process == "stopped" ? 0 : node.process.pid;
    if (node.is_compute()) continue;  // AddComputeNodes
    NodePicture* shown = FindOrAddNode(picture, node.name, node.zone);
    shown->process = process;
    shown->pid = pid;
    shown->address = node.listen;
  }
}

void AddStorageAnswer(const v1::NodeStatus& answer, NodePicture* node, ClusterPicture* picture) {
  for (const v1::SegmentStatus& status : answer.segments()) {
    SegmentPicture* segment = FindOrAddSegment(node, status.segment().pg());
    segment->state = status.is_damaged() ? "damaged" : "idle";
    segment->scl = status.scl();
    segment->epoch = status.epoch();
    segment->log_bytes = status.log_bytes();
    segment->log_start = status.log_start();
    segment->is_damaged = status.is_damaged();
    if (status.has_rebuild()) {
      const uint64_t per_pg = status.descriptor_().geometry().pages_per_pg();
      const uint64_t done = status.rebuild().next() % std::max<uint64_t>(per_pg, 1);
      segment->rebuilt_percent = static_cast<int>(100 * done / std::max<uint64_t>(per_pg, 1));
      segment->copied_bytes = status.rebuild().bytes_copied();
      segment->state = "rebuilding";
    }
    if (!picture->volume) picture->volume.emplace();
    VolumePicture& volume = *picture->volume;
    const v1::Geometry& geometry = status.descriptor_().geometry();
    volume.id = status.segment().volume();
    volume.epoch = std::max(volume.epoch, status.epoch());
    volume.vdl = std::max(volume.vdl, status.known_vdl());
    volume.page_bytes = geometry.page_bytes();
    volume.segment_bytes = geometry.pages_per_pg() * geometry.page_bytes();
    volume.protection_groups = std::max(volume.protection_groups, geometry.pg_count());
  }
}

// Without a writer, the longest segment of a protection group is the measure of the others.
void FillLagsAmongSegments(ClusterPicture* picture) {
  std::map<uint32_t, uint64_t> longest;
  for (const NodePicture& node : picture->nodes) {
    for (const SegmentPicture& segment : node.segments) {
      longest[segment.pg] = std::max(longest[segment.pg], segment.scl.value_or(0));
    }
  }
  for (NodePicture& node : picture->nodes) {
    for (SegmentPicture& segment : node.segments) {
      if (segment.scl) segment.lag = longest[segment.pg] - *segment.scl;
    }
  }
}

void AddMember(const v1::PgProgress& pg, const v1::MemberProgress& member,
               ClusterPicture* picture) {
  NodePicture* node = FindOrAddNode(picture, member.node(), member.zone());
  SegmentPicture* segment = FindOrAddSegment(node, pg.pg());
  segment->state = segment->is_damaged ? "damaged" : member.state();
  if (segment->rebuilt_percent) segment->state = "rebuilding";
  // The segment itself may know of more than it has acknowledged, and the writer of more than the
  // node that no longer answers.
  segment->scl = std::max(segment->scl.value_or(0), member.scl());
  segment->lag = *segment->scl >= pg.last_lsn() ? 0 : member.lag_records();
}

void AddChange(const v1::PgProgress& pg, const v1::ChangeProgress& change,
               ClusterPicture* picture) {
  ChangePicture shown{pg.pg(),         change.from(),    change.to(), change.scl(),
                      change.target(), change.is_held(), {},          0};
  for (const NodePicture& node : picture->nodes) {
    if (node.name != change.to()) continue;
    for (const SegmentPicture& segment : node.segments) {
      if (segment.pg != pg.pg()) continue;
      shown.rebuilt_percent = segment.rebuilt_percent;
      shown.copied_bytes = segment.copied_bytes;
    }
  }
  picture->changes.push_back(std::move(shown));
}

bool IsOfBinlog(const v1::ComputeStatus& status) { return status.role().rfind("binlog-", 0) == 0; }

void AddWriter(const v1::ComputeStatus& status, ClusterPicture* picture) {
  WriterPicture& writer = picture->writer;
  writer.commits = status.commits();
  writer.waits = status.waits();
  writer.unacked_bytes = status.unacked_bytes();
  writer.recovery_seconds = status.recovery_seconds();
  if (IsOfBinlog(status)) {
    picture->binlog = BinlogPicture{status.epoch(), status.head(), status.vcl(), status.vdl()};
    return;
  }
  if (status.phase() != "open" && status.pgs().empty()) return;  // it does not know the volume yet
  if (!picture->volume) picture->volume.emplace();
  VolumePicture& volume = *picture->volume;
  volume = {status.volume(),
            status.epoch(),
            status.vcl(),
            status.head(),
            status.pgmrpl(),
            status.vdl(),
            status.page_bytes(),
            status.segment_bytes(),
            static_cast<uint32_t>(status.pgs_size()),
            true};
  picture->streaming_members = 6;
  for (const v1::PgProgress& pg : status.pgs()) {
    int streaming = 0;
    for (const v1::MemberProgress& member : pg.members()) {
      AddMember(pg, member, picture);
      streaming += member.state() == "streaming";
    }
    picture->streaming_members = std::min(picture->streaming_members, streaming);
    for (const v1::ChangeProgress& change : pg.changes()) AddChange(pg, change, picture);
  }
}

bool IsReader(const v1::ComputeStatus& status) {
  return status.role() == "reader" || status.role() == "binlog-replica";
}

ReaderPicture MakeReader(const ComputeNodeAnswer& answer) {
  ReaderPicture reader;
  if (!answer.status.ok()) return reader;
  const v1::ComputeStatus& status = *answer.status;
  reader.epoch = status.epoch();
  reader.is_connected = status.reader().is_connected();
  reader.published = status.reader().published();
  reader.jumps = status.reader().jumps();
  if (status.reader().has_lag_ms()) reader.lag_ms = status.reader().lag_ms();
  if (status.reader().has_lag_p50_ms()) reader.lag_p50_ms = status.reader().lag_p50_ms();
  if (status.reader().has_lag_p99_ms()) reader.lag_p99_ms = status.reader().lag_p99_ms();
  if (status.reader().has_lag_max_ms()) reader.lag_max_ms = status.reader().lag_max_ms();
  return reader;
}

// The process behind an address; null: not one of ours.
const NodeState* ProcessAt(const std::optional<ClusterState>& state, const std::string& address) {
  if (!state) return nullptr;
  for (const NodeState& node : state->nodes) {
    if (node.listen == address) return &node;
  }
  return nullptr;
}

// `process`: null where it is not one of ours.
void AddComputeNode(const NodeState* process, const ComputeNodeAnswer& answer,
                    ComputePicture* picture) {
  picture->address = answer.address;
  picture->answers = answer.status.ok();
  if (picture->answers) {
    picture->name = answer.status->node();
    picture->role = answer.status->role();
    picture->phase = answer.status->phase();
    picture->detail = answer.status->detail();
  } else {
    picture->error = ShortError(answer.status.status());
  }
  if (process == nullptr) return;
  picture->process = std::string(ToString(StateOf(process->process)));
  picture->pid = picture->process == "stopped" ? 0 : process->process.pid;
  if (picture->name.empty()) picture->name = process->name;
}

// Where all that answer are readers, one that is silent must have been the writer; nullopt: there
// is none.
std::optional<size_t> WriterToShow(const std::vector<ComputeNodeAnswer>& compute) {
  const size_t likely = IndexOfWriter(compute);
  if (!compute[likely].status.ok() || !IsReader(*compute[likely].status)) return likely;
  for (size_t i = 0; i < compute.size(); ++i) {
    if (!compute[i].status.ok()) return i;
  }
  return std::nullopt;
}

void AddComputeNodes(const std::optional<ClusterState>& state,
                     const std::vector<ComputeNodeAnswer>& compute, ClusterPicture* picture) {
  const std::optional<size_t> writer = WriterToShow(compute);
  picture->is_binlog = (state && state->settings.is_binlog()) ||
                       std::any_of(compute.begin(), compute.end(), [](const auto& answer) {
                         return answer.status.ok() && IsOfBinlog(*answer.status);
                       });
  for (size_t i = 0; i < compute.size(); ++i) {
    const NodeState* const process = ProcessAt(state, compute[i].address);
    if (i == writer) {
      AddComputeNode(process, compute[i], &picture->writer);
      if (compute[i].status.ok()) AddWriter(*compute[i].status, picture);
      continue;
    }
    picture->readers.push_back(MakeReader(compute[i]));
    AddComputeNode(process, compute[i], &picture->readers.back());
  }
}

using Json = nlohmann::ordered_json;

Json ComputeJson(const ComputePicture& node) {
  return {{"name", node.name},       {"process", node.process}, {"pid", node.pid},
          {"address", node.address}, {"answers", node.answers}, {"error", node.error},
          {"role", node.role},       {"phase", node.phase},     {"detail", node.detail}};
}

Json ReaderJson(const ReaderPicture& reader) {
  const auto known = [](const std::optional<double>& lag) { return lag ? Json(*lag) : Json(); };
  Json json = ComputeJson(reader);
  json.update({{"epoch", reader.epoch},
               {"connected", reader.is_connected},
               {"published", reader.published},
               {"lag_ms", known(reader.lag_ms)},
               {"lag_p50_ms", known(reader.lag_p50_ms)},
               {"lag_p99_ms", known(reader.lag_p99_ms)},
               {"lag_max_ms", known(reader.lag_max_ms)},
               {"jumps", reader.jumps}});
  return json;
}

Json SegmentJson(const SegmentPicture& segment) {
  Json json = {{"pg", segment.pg}, {"state", segment.state}};
  json["scl"] = segment.scl ? Json(*segment.scl) : Json(nullptr);
  json["lag"] = segment.lag ? Json(*segment.lag) : Json(nullptr);
  json["epoch"] = segment.epoch;
  json["log_bytes"] = segment.log_bytes;
  json["log_start"] = segment.log_start;
  json["damaged"] = segment.is_damaged;
  if (segment.rebuilt_percent) json["rebuilt_percent"] = *segment.rebuilt_percent;
  return json;
}

Json NodeJson(const NodePicture& node) {
  Json json = {{"name", node.name},  {"zone", node.zone},       {"process", node.process},
               {"pid", node.pid},    {"address", node.address}, {"answers", node.answers},
               {"error", node.error}};
  json["segments"] = Json::array();
  for (const SegmentPicture& segment : node.segments)
    json["segments"].push_back(SegmentJson(segment));
  return json;
}

Json ChangeJson(const ChangePicture& change) {
  Json json = {{"pg", change.pg},   {"from", change.from},     {"to", change.to},
               {"scl", change.scl}, {"target", change.target}, {"held", change.is_held}};
  if (change.rebuilt_percent) {
    json["rebuilt_percent"] = *change.rebuilt_percent;
    json["copied_bytes"] = change.copied_bytes;
  }
  return json;
}

Json VolumeJson(const VolumePicture& volume) {
  return {{"id", FormatVolumeId(VolumeId(volume.id))},
          {"epoch", volume.epoch},
          {"vdl", volume.vdl},
          {"vcl", volume.vcl},
          {"head", volume.head},
          {"pgmrpl", volume.pgmrpl},
          {"page_bytes", volume.page_bytes},
          {"segment_bytes", volume.segment_bytes},
          {"protection_groups", volume.protection_groups},
          {"from_writer", volume.is_from_writer}};
}

Json WriterJson(const WriterPicture& writer) {
  Json json = ComputeJson(writer);
  json.update({{"commits", writer.commits},
               {"waits", writer.waits},
               {"unacked_bytes", writer.unacked_bytes},
               {"recovery_seconds", writer.recovery_seconds}});
  return json;
}

}  // namespace

std::string DescribeChange(const ChangePicture& change) {
  std::string text =
      Text(change.from, " -> ", change.to, ": SCL ", change.scl, " of ", change.target);
  if (change.rebuilt_percent) {
    text += Text(", pages copied ", *change.rebuilt_percent, " % (", change.copied_bytes >> 20,
                 " MiB)");
  }
  if (change.is_held) text += ", held";
  return text;
}

size_t IndexOfWriter(const std::vector<ComputeNodeAnswer>& answers) {
  // Every reason outweighs those after it.
  const auto rank = [](const ComputeNodeAnswer& answer) {
    if (!answer.status.ok()) return std::tuple(false, false, uint64_t{0}, false);
    const bool is_writer = !IsReader(*answer.status);
    const bool is_open = is_writer && answer.status->phase() == "open";
    return std::tuple(is_open, is_writer && answer.status->phase() != "fenced",
                      is_writer ? uint64_t{answer.status->epoch()} : 0, true);
  };
  size_t best = 0;
  for (size_t i = 1; i < answers.size(); ++i) {
    if (rank(answers[i]) > rank(answers[best])) best = i;
  }
  return best;
}

ClusterPicture MakePicture(const std::optional<ClusterState>& state,
                           const std::vector<StorageAnswer>& storage,
                           const std::vector<ComputeNodeAnswer>& compute) {
  ClusterPicture picture;
  if (state) AddProcesses(*state, &picture);
  for (size_t i = 0; i < storage.size() && i < picture.nodes.size(); ++i) {
    NodePicture& node = picture.nodes[i];
    node.answers = storage[i].ok();
    if (storage[i].ok()) {
      AddStorageAnswer(*storage[i], &node, &picture);
    } else {
      node.error = ShortError(storage[i].status());
    }
  }
  FillLagsAmongSegments(&picture);
  AddComputeNodes(state, compute, &picture);
  const auto by_zone_and_name = [](const NodePicture& a, const NodePicture& b) {
    return std::tie(a.zone, a.name) < std::tie(b.zone, b.name);
  };
  std::sort(picture.nodes.begin(), picture.nodes.end(), by_zone_and_name);
  return picture;
}

std::string PictureToJson(const ClusterPicture& picture, bool indent) {
  Json json;
  json["volume"] = picture.volume ? VolumeJson(*picture.volume) : Json(nullptr);
  if (picture.binlog) {
    json["binlog"] = {{"tenure", picture.binlog->tenure},
                      {"head", picture.binlog->head},
                      {"synced", picture.binlog->synced},
                      {"answered", picture.binlog->answered}};
  }
  json["writer"] = WriterJson(picture.writer);
  json["streaming_members"] =
      picture.streaming_members < 0 ? Json(nullptr) : Json(picture.streaming_members);
  json["readers"] = Json::array();
  for (const ReaderPicture& reader : picture.readers) json["readers"].push_back(ReaderJson(reader));
  json["nodes"] = Json::array();
  for (const NodePicture& node : picture.nodes) json["nodes"].push_back(NodeJson(node));
  json["changes"] = Json::array();
  for (const ChangePicture& change : picture.changes) json["changes"].push_back(ChangeJson(change));
  return json.dump(indent ? 2 : -1);
}

}  // namespace sextant::cli
