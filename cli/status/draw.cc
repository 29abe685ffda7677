// Drawing: lines of text with a colour each, framed per zone, zones joined side by side.
#include "cli/status/draw.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <map>

#include "absl/strings/str_format.h"
#include "common/base/byte_size.h"
#include "common/base/ids.h"
#include "common/base/text.h"
#include "common/quorum/quorum.h"

namespace sextant::cli {
namespace {

enum class Tone { kPlain, kGood, kWarning, kBad, kFaint, kBold };

// A line of ASCII text; one tone for all of it keeps its width equal to its length.
struct Line {
  std::string text;
  Tone tone = Tone::kPlain;
};

std::string Painted(const std::string& text, Tone tone, bool color) {
  if (!color || tone == Tone::kPlain) return text;
  const char* code = tone == Tone::kGood      ? "32"
                     : tone == Tone::kWarning ? "33"
                     : tone == Tone::kBad     ? "31"
                     : tone == Tone::kFaint   ? "2"
                                              : "1";
  return Text("\x1b[", code, "m", text, "\x1b[0m");
}

Tone ToneOfState(const std::string& state) {
  if (state == "streaming" || state == "running" || state == "open" || state == "following")
    return Tone::kGood;
  if (state == "down" || state == "damaged" || state == "stopped" || state == "failed" ||
      state == "fenced" || state == "no-space") {
    return Tone::kBad;
  }
  return Tone::kWarning;
}

std::string Count(uint64_t n, const char* one, const char* many) {
  return Text(n, " ", n == 1 ? one : many);
}

// The one segment of a node.
std::vector<Line> SegmentLines(const SegmentPicture& segment) {
  std::string numbers = segment.scl ? Text("  SCL ", *segment.scl) : "  SCL ?";
  if (segment.lag) numbers += Text("  lag ", *segment.lag);
  return {{"  " + segment.state, ToneOfState(segment.state)}, {numbers}};
}

// Many segments of a node: how many in which state, the shortest and the one most behind.
std::vector<Line> SummaryLines(const std::vector<SegmentPicture>& segments) {
  std::map<std::string, int> by_state;
  const SegmentPicture* lowest = nullptr;
  const SegmentPicture* worst = nullptr;
  for (const SegmentPicture& segment : segments) {
    ++by_state[segment.state];
    if (segment.scl && (lowest == nullptr || *segment.scl < *lowest->scl)) lowest = &segment;
    if (segment.lag && (worst == nullptr || *segment.lag > *worst->lag)) worst = &segment;
  }
  std::vector<Line> lines;
  for (const auto& [state, count] : by_state) {
    lines.push_back({Text("  ", count, "/", segments.size(), " PGs ", state), ToneOfState(state)});
  }
  lines.push_back({lowest == nullptr ? "  SCL ?" : Text("  SCL min ", *lowest->scl)});
  if (worst != nullptr) {
    std::string lag = Text("  lag max ", *worst->lag);
    if (*worst->lag > 0) lag += Text(" (pg ", worst->pg, ")");
    lines.push_back({lag});
  }
  return lines;
}

std::vector<Line> NodeLines(const NodePicture& node) {
  std::vector<Line> lines;
  const std::string process = node.process.empty() ? "" : Text("  ", node.process);
  const Tone tone = node.process.empty() ? Tone::kBold : ToneOfState(node.process);
  lines.push_back({node.name + process, tone});
  if (!node.answers && node.process == "running")
    lines.push_back({"  " + node.error, Tone::kWarning});
  if (!node.answers && node.process == "paused")
    lines.push_back({"  does not answer", Tone::kWarning});
  const std::vector<Line> segments = node.segments.empty()
                                         ? std::vector<Line>{{"  no segment", Tone::kFaint}}
                                     : node.segments.size() == 1 ? SegmentLines(node.segments[0])
                                                                 : SummaryLines(node.segments);
  lines.insert(lines.end(), segments.begin(), segments.end());
  return lines;
}

struct Zone {
  std::string name;
  std::vector<Line> lines;
};

std::vector<Zone> Zones(const ClusterPicture& picture) {
  std::vector<Zone> zones;
  for (const NodePicture& node : picture.nodes) {
    if (zones.empty() || zones.back().name != node.zone) zones.push_back({node.zone, {}});
    const std::vector<Line> lines = NodeLines(node);
    zones.back().lines.insert(zones.back().lines.end(), lines.begin(), lines.end());
  }
  return zones;
}

std::string Repeat(const std::string& piece, size_t count) {
  std::string text;
  for (size_t i = 0; i < count; ++i) text += piece;
  return text;
}

// Rows of one zone's box, all of the same width on screen: `inner` columns and the frame.
std::vector<std::string> Box(const Zone& zone, size_t inner, size_t height,
                             const DrawStyle& style) {
  const std::string bar = style.utf8 ? "─" : "-";
  const std::string side = style.utf8 ? "│" : "|";
  std::vector<std::string> rows;
  rows.push_back((style.utf8 ? "┌ " : "+ ") + Painted(zone.name, Tone::kBold, style.color) + " " +
                 Repeat(bar, inner - zone.name.size()) + (style.utf8 ? "┐" : "+"));
  for (size_t i = 0; i < height; ++i) {
    const Line line = i < zone.lines.size() ? zone.lines[i] : Line{};
    rows.push_back(side + " " + Painted(line.text, line.tone, style.color) +
                   std::string(inner - line.text.size(), ' ') + " " + side);
  }
  rows.push_back((style.utf8 ? "└" : "+") + Repeat(bar, inner + 2) + (style.utf8 ? "┘" : "+"));
  return rows;
}

std::string DrawZones(const ClusterPicture& picture, const DrawStyle& style) {
  const std::vector<Zone> zones = Zones(picture);
  size_t inner = 22, height = 0;
  for (const Zone& zone : zones) {
    height = std::max(height, zone.lines.size());
    for (const Line& line : zone.lines) inner = std::max(inner, line.text.size());
  }
  const bool fits =
      (inner + 4) * zones.size() + zones.size() - 1 <= static_cast<size_t>(style.width);
  std::vector<std::string> rows;
  for (const Zone& zone : zones) {
    const std::vector<std::string> box = Box(zone, inner, fits ? height : zone.lines.size(), style);
    if (!fits || rows.empty()) {
      rows.insert(rows.end(), box.begin(), box.end());
      continue;
    }
    for (size_t i = 0; i < box.size(); ++i) rows[i] += " " + box[i];
  }
  std::string text;
  for (const std::string& row : rows) text += row + "\n";
  return text;
}

std::string DrawVolume(const ClusterPicture& picture, const DrawStyle& style) {
  if (picture.binlog) {
    const BinlogPicture& binlog = *picture.binlog;
    return Text("binlog   tenure ", binlog.tenure, "  transactions ", binlog.head, "  synced ",
                binlog.synced, "  answered ", binlog.answered, "\n");
  }
  if (picture.is_binlog) return "binlog   no source answers\n";
  if (!picture.volume) return "volume   none that a node who answers knows of\n";
  const VolumePicture& volume = *picture.volume;
  std::string text =
      Painted(Text("volume   ", FormatVolumeId(VolumeId(volume.id))), Tone::kBold, style.color);
  text += Text("  epoch ", volume.epoch);
  if (volume.is_from_writer) {
    text += Text("  VDL ", volume.vdl, "  VCL ", volume.vcl, "  head ", volume.head, "\n");
  } else {
    text += Text("  VDL ", volume.vdl, " or above (no writer answers)\n");
  }
  text += Text(
      "         ", Count(volume.protection_groups, "protection group", "protection groups"), " of ",
      FormatByteSize(volume.segment_bytes), ", pages of ", FormatByteSize(volume.page_bytes), "\n");
  return text;
}

std::string DrawWriter(const ClusterPicture& picture, const DrawStyle& style) {
  const WriterPicture& writer = picture.writer;
  if (writer.address.empty() && picture.is_binlog) {
    return "source   " + Painted("none", Tone::kBad, style.color) +
           ": `sextant promote` makes the replica that holds most the source\n";
  }
  if (writer.address.empty()) {
    return "writer   " + Painted("none", Tone::kBad, style.color) +
           ": `sextant promote NODE` makes one of these the writer\n";
  }
  const std::string state = !writer.phase.empty()         ? writer.phase
                            : writer.process.empty()      ? writer.error
                            : writer.process == "running" ? Text("running, ", writer.error)
                                                          : writer.process;
  const std::string name = !writer.name.empty() ? writer.name
                           : picture.is_binlog  ? "source"
                                                : "writer";
  std::string text =
      absl::StrFormat("%-8s ", name.c_str()) + Painted(state, ToneOfState(state), style.color);
  if (!writer.address.empty()) text += Text("  ", writer.address);
  if (writer.pid != 0) text += Text("  pid ", writer.pid);
  if (!writer.role.empty() && writer.role != name) text += "  " + writer.role;
  if (writer.answers) text += Text("  commits ", writer.commits, "  waiting ", writer.waits);
  if (!writer.detail.empty() && writer.detail != writer.phase)
    text += Text("\n         ", writer.detail);
  text += "\n";
  if (picture.streaming_members < 0) return text;
  const int members = picture.streaming_members;
  const Tone tone = members >= 5                      ? Tone::kGood
                    : members >= quorum::kWriteQuorum ? Tone::kWarning
                                                      : Tone::kBad;
  text +=
      "quorum   " +
      Painted(Text(members, " of ", quorum::kMembers, " segments streaming"), tone, style.color) +
      Text(" (a commit needs ", quorum::kWriteQuorum, ")\n");
  for (const ChangePicture& change : picture.changes) {
    text += Text("change   pg ", change.pg, "  ", DescribeChange(change), "\n");
  }
  return text;
}

std::string DrawReaders(const ClusterPicture& picture, const DrawStyle& style) {
  std::string text;
  for (const ReaderPicture& reader : picture.readers) {
    const std::string state = !reader.phase.empty()         ? reader.phase
                              : reader.process.empty()      ? reader.error
                              : reader.process == "running" ? Text("running, ", reader.error)
                                                            : reader.process;
    text += absl::StrFormat("%-8s ", !reader.name.empty() ? reader.name.c_str()
                                     : picture.is_binlog  ? "replica"
                                                          : "reader");
    text += Painted(state, ToneOfState(state), style.color) + "  " + reader.address;
    if (reader.pid != 0) text += Text("  pid ", reader.pid);
    if (reader.published != 0) {
      text += Text(picture.is_binlog ? "  applied " : "  VDL ", reader.published);
    }
    if (reader.answers && reader.role == "writer") {
      text += Text("  writer of epoch ", reader.epoch);  // and does not know yet that it is over
    } else if (reader.answers && reader.role == "binlog-source") {
      text += Text("  source of tenure ", reader.epoch);  // likewise
    } else if (reader.lag_p50_ms && reader.lag_p99_ms) {
      text += absl::StrFormat("  lag %.1f ms, p99 %.1f ms", *reader.lag_p50_ms, *reader.lag_p99_ms);
    } else if (reader.lag_ms) {
      text += absl::StrFormat("  lag %.1f ms", *reader.lag_ms);
    } else if (reader.answers) {
      text += reader.is_connected ? "  no commits lately" : "  lag unknown";
    }
    text += "\n";
    if (!reader.detail.empty() && reader.detail != reader.phase) {
      text += Text("         ", reader.detail, "\n");
    }
  }
  return text;
}

bool IsSet(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0';
}

bool IsUtf8Locale() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    if (!IsSet(name)) continue;
    std::string value = std::getenv(name);
    for (char& c : value) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return value.find("utf-8") != std::string::npos || value.find("utf8") != std::string::npos;
  }
  return false;
}

}  // namespace

DrawStyle StyleOfStdout() {
  DrawStyle style;
  style.utf8 = IsUtf8Locale();
  winsize size{};
  const bool is_terminal = isatty(STDOUT_FILENO) == 1;
  if (is_terminal && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    style.width = size.ws_col;
  } else {
    style.width = 160;  // a file or a pipe has no edge
  }
  style.color = is_terminal && !IsSet("NO_COLOR");
  return style;
}

std::string DrawCluster(const ClusterPicture& picture, const DrawStyle& style) {
  return DrawVolume(picture, style) + DrawZones(picture, style) + DrawWriter(picture, style) +
         DrawReaders(picture, style);
}

}  // namespace sextant::cli
