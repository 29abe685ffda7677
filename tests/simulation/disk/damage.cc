// Damage at rest: what happens to a disk's bytes behind the node's back. See sim_disk.h.
#include <algorithm>
#include <set>

#include "storage-node/store/store_codec.h"
#include "tests/simulation/disk/sim_disk.h"

namespace sextant::simulation {

using storage::LogPosition;

std::optional<LogPosition> SimDisk::DrawPosition(SegmentId segment) {
  const auto& log = image_[segment].log;
  if (log.empty()) return std::nullopt;
  // Recent batches matter most: half of the draws are among the last eight.
  const size_t back =
      sim_.rng.Below(sim_.rng.OneIn(2) ? log.size() : std::min<size_t>(8, log.size()));
  return std::prev(log.end(), static_cast<ptrdiff_t>(back) + 1)->first;
}

void SimDisk::Injure(SegmentId segment, LogPosition position) {
  sim_.observer->LogInjured(node_, segment, position);
}

bool SimDisk::FlipBit(SegmentId segment) {
  const auto position = DrawPosition(segment);
  if (!position.has_value()) return false;
  auto& batch = image_[segment].log[*position];
  std::string bytes = *batch;  // others share the original
  const size_t bit = sim_.rng.Below(bytes.size() * 8);
  bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
  batch = std::make_shared<const std::string>(std::move(bytes));
  sim_.Count(Fault::kBitFlipped);
  sim_.Tell("node ", node_, " pg ", segment.pg, ": a bit flipped at position ", *position);
  Injure(segment, *position);
  return true;
}

bool SimDisk::LoseSuffix(SegmentId segment) {
  const auto position = DrawPosition(segment);
  if (position.has_value()) LoseFrom(segment, *position);
  return position.has_value();
}

bool SimDisk::LoseEnd(SegmentId segment, size_t batches) {
  const auto& log = image_[segment].log;
  if (log.empty() || batches == 0) return false;
  const auto back = static_cast<ptrdiff_t>(std::min(batches, log.size()));
  LoseFrom(segment, std::prev(log.end(), back)->first);
  return true;
}

void SimDisk::LoseFrom(SegmentId segment, LogPosition position) {
  auto& log = image_[segment].log;
  sim_.Count(Fault::kLogSuffixLost);
  sim_.Tell("node ", node_, " pg ", segment.pg, ": log lost from position ", position, " on");
  for (auto it = log.find(position); it != log.end();) {
    const LogPosition lost = it->first;
    it = log.erase(it);
    Injure(segment, lost);
  }
}

bool SimDisk::LoseMiddle(SegmentId segment) {
  const auto position = DrawPosition(segment);
  if (!position.has_value()) return false;
  sim_.Count(Fault::kLogMiddleLost);
  sim_.Tell("node ", node_, " pg ", segment.pg, ": log lost at position ", *position);
  image_[segment].log.erase(*position);
  Injure(segment, *position);
  return true;
}

// The bytes meant for one position are found at another, whose own are gone; their own place is as
// it was before they were written: empty.
bool SimDisk::Misdirect(SegmentId segment) {
  const auto from = DrawPosition(segment);
  if (!from.has_value()) return false;
  SegmentId victim = segment;
  if (sim_.rng.OneIn(2)) {  // perhaps in another segment
    auto it = image_.begin();
    std::advance(it, static_cast<ptrdiff_t>(sim_.rng.Below(image_.size())));
    victim = it->first;
  }
  const auto to = DrawPosition(victim);
  if (!to.has_value() || (victim == segment && *to == *from)) return false;
  image_[victim].log[*to] = image_[segment].log[*from];
  image_[segment].log.erase(*from);
  sim_.Count(Fault::kWriteMisdirected);
  sim_.Tell("node ", node_, ": batch ", *from, " of pg ", segment.pg, " went to ", *to, " of pg ",
            victim.pg);
  Injure(segment, *from);
  Injure(victim, *to);
  // Where it counts it may be by chance: one that had gone astray before may have come home.
  sim_.observer->LogAppeared(node_, {victim, *to, image_[victim].log[*to]});
  return true;
}

bool SimDisk::DamagePage(SegmentId segment) {
  auto& pages = image_[segment].pages;
  if (pages.empty()) return false;
  auto it = pages.begin();
  std::advance(it, static_cast<ptrdiff_t>(sim_.rng.Below(pages.size())));
  if (sim_.rng.OneIn(2)) {
    std::string& bytes = it->second.bytes;
    bytes[sim_.rng.Below(bytes.size())] ^= 1;
  } else {  // another page's version lies here
    auto other = pages.begin();
    std::advance(other, static_cast<ptrdiff_t>(sim_.rng.Below(pages.size())));
    if (other == it) return false;
    it->second = other->second;
  }
  sim_.Count(Fault::kPageDamaged);
  sim_.Tell("node ", node_, " pg ", segment.pg, ": stored version of page ", it->first.first,
            " at lsn ", it->first.second, " damaged");
  return true;
}

void SimDisk::LosePageWrites() {
  std::set<std::pair<SegmentId, PageKey>> seen;
  for (PageUndo& undo : unflushed_) {
    auto& pages = image_[undo.segment].pages;
    // The first undo of a version says what lies on the platter.
    const bool is_first = seen.insert({undo.segment, undo.key}).second;
    if (!is_first || !pages.contains(undo.key) || !sim_.Happens(plan.lose_page_write_one_in)) {
      continue;
    }
    sim_.Count(Fault::kPageWriteLost);
    sim_.Tell("node ", node_, " pg ", undo.segment.pg, ": version of page ", undo.key.first,
              " at lsn ", undo.key.second, " never written");
    if (undo.before.has_value()) {
      pages[undo.key] = *std::move(undo.before);
    } else {
      pages.erase(undo.key);
    }
  }
}

bool SimDisk::HasFlushedVersion(SegmentId segment, PageNo page, Lsn from, Lsn through) const {
  std::set<PageKey> kept, lost;  // of those touched since the flush, by what a crash makes of them
  for (const PageUndo& undo : unflushed_) {
    if (undo.segment != segment || kept.contains(undo.key) || lost.contains(undo.key)) continue;
    (undo.before.has_value() ? kept : lost).insert(undo.key);
  }
  if (const auto files = image_.find(segment); files != image_.end()) {
    for (const auto& [key, stored] : files->second.pages) {
      if (!lost.contains(key)) kept.insert(key);
    }
  }
  const auto version = kept.lower_bound({page, from});
  return version != kept.end() && *version <= PageKey(page, through);
}

bool SimDisk::HasDamagedPage(SegmentId segment) const {
  const auto files = image_.find(segment);
  if (files == image_.end()) return false;
  return std::ranges::any_of(files->second.pages, [&](const auto& entry) {
    const auto& [key, stored] = entry;
    return !storage::CheckPage(segment, key.first, key.second, stored.crc, stored.bytes).ok();
  });
}

void SimDisk::LoseAll() {
  sim_.Count(Fault::kDiskLost);
  sim_.Tell("node ", node_, ": disk lost");
  image_.clear();
  remains_.clear();
  directory_ = directory_.Next();
  unflushed_.clear();
  unsynced_.reset();
  sim_.observer->DiskLost(node_);
}

}  // namespace sextant::simulation
