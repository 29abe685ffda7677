// See growth.h.
#include "compute-node/volume/growth.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "common/base/check.h"
#include "common/base/text.h"
#include "common/quorum/quorum.h"

namespace sextant::compute {
namespace {

// A member that is away may stay so for hours.
constexpr int kMissingRetryFactor = 5;

bool IsFrom(const protocol::SegmentStatus& status, MemberAddress member, VolumeId volume) {
  return status.segment == SegmentId{volume, member.pg} && status.slot == member.slot;
}

bool IsClaimedBy(const protocol::SegmentStatus& status, const RecoveredVolume& volume) {
  return status.epoch == volume.epoch && status.writer == volume.writer &&
         status.truncations == volume.truncations;
}

}  // namespace

volume::Membership MembershipOfNewGroup(const volume::Membership& last) {
  volume::Membership members = last;
  while (!members.changes.empty()) {
    auto finished = volume::FinishChange(members, members.changes.front().from);
    SEXTANT_CHECK(finished.ok()) << finished.status().message();
    members = *std::move(finished);
  }
  members.epoch = last.epoch;
  return members;
}

Growth::Growth(GrowthOptions options)
    : options_(options),
      book_(options.retry_interval),
      missing_book_(options.retry_interval * kMissingRetryFactor) {
  SEXTANT_CHECK(options.ahead_divisor > 0 && options.max_groups_per_step > 0);
}

// --- what is wanted

uint32_t Growth::MaxGroups(const volume::Geometry& geometry) const {
  const uint64_t group_bytes = geometry.pages_per_pg * geometry.page_bytes;
  const uint64_t fits = std::min<uint64_t>(options_.max_volume_bytes / group_bytes,
                                           std::numeric_limits<uint32_t>::max());
  return std::max(static_cast<uint32_t>(fits), geometry.pg_count);
}

uint32_t Growth::GroupsFor(uint64_t page, const volume::Geometry& geometry) const {
  const uint64_t last = page / geometry.pages_per_pg;
  const uint32_t max = MaxGroups(geometry);
  return last >= max ? max : static_cast<uint32_t>(last) + 1;
}

absl::Status Growth::Check(PageNo page, const volume::Geometry& geometry) const {
  if (geometry.Contains(page)) return absl::OkStatus();
  if (page.value() / geometry.pages_per_pg >= MaxGroups(geometry)) {
    return absl::OutOfRangeError(
        Text("page ", page, " lies beyond the largest size of the volume, ",
             options_.max_volume_bytes, " bytes: the volume is full; raise --max-volume-bytes"));
  }
  if (!impossible_.ok()) return impossible_;
  return absl::ResourceExhaustedError(Text("page ", page, " is beyond the volume's end (",
                                           geometry.PageCount(),
                                           " pages), which is being moved: retry in a moment"));
}

void Growth::Want(PageNo page, const volume::Geometry& geometry) {
  if (geometry.Contains(page)) return;
  wanted_groups_ = std::max(wanted_groups_, GroupsFor(page.value(), geometry));
}

bool Growth::Written(PageNo page, const volume::Geometry& geometry) {
  const uint64_t ahead = geometry.pages_per_pg / options_.ahead_divisor;
  if (page.value() + ahead < geometry.PageCount()) return false;
  wanted_groups_ = std::max(wanted_groups_, GroupsFor(geometry.PageCount(), geometry));
  return wanted_groups_ > geometry.pg_count && phase_ == Phase::kIdle;
}

void Growth::Heard(uint32_t pg_count) { wanted_groups_ = std::max(wanted_groups_, pg_count); }

void Growth::Missing(MemberAddress member) {
  missing_.try_emplace(member, absl::UnavailableError("its segment was never made"));
}

void Growth::Found(MemberAddress member) { missing_.erase(member); }

void Growth::Stop() {
  is_stopped_ = true;
  duties_ = {};
}

// --- a step

bool Growth::IsNew(PgId pg) const {
  return phase_ != Phase::kIdle && pg >= first_new_ &&
         pg.value() - first_new_.value() < memberships_.size();
}

void Growth::BeginStep(const RecoveredVolume& volume) {
  const volume::Geometry& geometry = volume.descriptor.geometry;
  const uint32_t count = std::min(wanted_groups_ - geometry.pg_count, options_.max_groups_per_step);
  SEXTANT_CHECK(volume.memberships.size() == geometry.pg_count);
  phase_ = Phase::kGroups;
  target_ = {volume.descriptor.volume, geometry.Grown(geometry.pg_count + count)};
  first_new_ = PgId(geometry.pg_count);
  memberships_.assign(count, MembershipOfNewGroup(volume.memberships.back()));
  created_.clear();
  claimed_.clear();
  told_.clear();
  refused_.clear();
  book_.Clear();
}

bool Growth::SegmentCreated(MemberAddress member,
                            const absl::StatusOr<protocol::SegmentStatus>& reply,
                            const RecoveredVolume& volume) {
  const bool is_good = reply.ok() && IsFrom(*reply, member, volume.descriptor.volume);
  if (const auto missing = missing_.find(member); missing != missing_.end()) {
    // In another directory it would be an empty one in the place of one that is lost.
    if (is_good || absl::IsFailedPrecondition(reply.status())) {
      missing_.erase(missing);
      return is_good;
    }
    if (!is_good && !reply.ok()) missing->second = reply.status();
    return is_good;
  }
  if (!IsNew(member.pg)) return false;
  if (is_good) {
    created_.insert_or_assign(member, *reply);
    refused_.erase(member);
    book_.Answered({DutyBook::Kind::kCreate, member, {}});
  } else if (!reply.ok()) {
    last_error_ = reply.status();
    if (absl::IsAborted(reply.status()) || absl::IsInvalidArgument(reply.status()) ||
        absl::IsFailedPrecondition(reply.status())) {
      refused_.insert_or_assign(member, reply.status());
    }
  }
  FindImpossible();
  return false;
}

void Growth::EpochRaised(MemberAddress member, const absl::StatusOr<protocol::SegmentStatus>& reply,
                         const RecoveredVolume& volume) {
  const bool is_of_group_0 = phase_ == Phase::kGeometry && member.pg == PgId(0);
  if (!IsNew(member.pg) && !is_of_group_0) return;
  if (!reply.ok()) {
    last_error_ = reply.status();
    // Its directory was lost before it could acknowledge anything.
    if (absl::IsNotFound(reply.status()) && IsNew(member.pg)) created_.erase(member);
    return;
  }
  if (!IsFrom(*reply, member, volume.descriptor.volume) || !IsClaimedBy(*reply, volume)) return;
  if (reply->descriptor.geometry.epoch < target_.geometry.epoch) return;
  (is_of_group_0 ? told_ : claimed_).insert_or_assign(member, *reply);
  Advance(volume);
}

bool Growth::IsQuorum(const std::map<MemberAddress, protocol::SegmentStatus>& members, PgId pg,
                      const volume::Membership& membership) const {
  quorum::SlotSet slots;
  for (const auto& [member, status] : members) {
    if (member.pg == pg) slots.Insert(member.slot);
  }
  return membership.Sets().IsWriteQuorum(slots);
}

void Growth::Advance(const RecoveredVolume& volume) {
  if (phase_ == Phase::kGroups) {
    for (size_t i = 0; i < memberships_.size(); ++i) {
      const PgId pg(first_new_.value() + static_cast<uint32_t>(i));
      if (!IsQuorum(claimed_, pg, memberships_[i])) return;
    }
    phase_ = Phase::kGeometry;
    return;
  }
  if (!IsQuorum(told_, PgId(0), volume.memberships.front())) return;
  Done done{target_, memberships_, std::move(created_)};
  for (auto& [member, status] : claimed_) done.members.insert_or_assign(member, std::move(status));
  for (size_t i = 0; i < memberships_.size(); ++i) {
    const PgId pg(first_new_.value() + static_cast<uint32_t>(i));
    for (quorum::Slot slot : memberships_[i].ActiveSlots()) {
      // Of a node that was not heard yet, nobody knows which directory it had meanwhile.
      const MemberAddress member{pg, slot};
      if (!done.members.contains(member) && pinned_.contains(member)) Missing(member);
    }
  }
  phase_ = Phase::kIdle;
  memberships_.clear();
  last_error_ = absl::OkStatus();
  done_ = std::move(done);
}

// Refusals leave no write quorum of some new group.
void Growth::FindImpossible() {
  impossible_ = absl::OkStatus();
  for (size_t i = 0; i < memberships_.size(); ++i) {
    const PgId pg(first_new_.value() + static_cast<uint32_t>(i));
    quorum::SlotSet willing;
    absl::Status why;
    for (quorum::Slot slot : memberships_[i].ActiveSlots()) {
      const auto refusal = refused_.find({pg, slot});
      if (refusal == refused_.end()) {
        willing.Insert(slot);
      } else {
        why = refusal->second;
      }
    }
    if (memberships_[i].Sets().IsWriteQuorum(willing)) continue;
    impossible_ = absl::OutOfRangeError(
        Text("the volume cannot grow: storage nodes refuse to make segments of pg ", pg, ": ",
             View(why.message())));
  }
}

std::optional<Growth::Done> Growth::TakeDone() { return std::exchange(done_, std::nullopt); }

// --- duties

void Growth::Pin(MemberAddress member, const volume::Membership& membership,
                 const HeardDirectories& directories) {
  const auto known = directories.find(membership.members[member.slot].node);
  if (known != directories.end()) pinned_.try_emplace(member, known->second);
}

void Growth::IssueCreate(MemberAddress member, const volume::Membership& membership,
                         const volume::Descriptor& descriptor, DutyBook* book, Instant now) {
  const auto pin = pinned_.find(member);
  if (pin == pinned_.end()) return;  // its node was not heard yet
  if (pin->second.proof > proven_) return;
  if (!book->Issue({DutyBook::Kind::kCreate, member, {}}, now)) return;
  duties_.creates.push_back({member,
                             membership.members[member.slot].node,
                             {.descriptor = descriptor,
                              .pg = member.pg,
                              .membership = membership,
                              .slot = member.slot,
                              .directory = pin->second.directory}});
}

void Growth::IssueRaise(MemberAddress member, const volume::Membership& membership,
                        const RecoveredVolume& volume, Instant now) {
  if (!book_.Issue({DutyBook::Kind::kRaise, member, {}}, now)) return;
  duties_.raises.push_back({member,
                            membership.members[member.slot].node,
                            {.segment = {volume.descriptor.volume, member.pg},
                             .epoch = volume.epoch,
                             .writer = volume.writer,
                             .truncations = volume.truncations,
                             .descriptor = target_,
                             .membership = membership}});
}

void Growth::PursueGroups(const RecoveredVolume& volume, const HeardDirectories& directories,
                          Instant now) {
  for (size_t i = 0; i < memberships_.size(); ++i) {
    const PgId pg(first_new_.value() + static_cast<uint32_t>(i));
    for (quorum::Slot slot : memberships_[i].ActiveSlots()) {
      const MemberAddress member{pg, slot};
      Pin(member, memberships_[i], directories);
      if (!created_.contains(member)) {
        IssueCreate(member, memberships_[i], target_, &book_, now);
      } else if (!claimed_.contains(member)) {
        IssueRaise(member, memberships_[i], volume, now);
      }
    }
  }
}

void Growth::Pursue(const RecoveredVolume& volume, const HeardDirectories& directories,
                    uint64_t proven, Instant now) {
  if (is_stopped_ || done_.has_value()) return;
  proven_ = proven;
  if (phase_ == Phase::kIdle && wanted_groups_ > volume.descriptor.geometry.pg_count) {
    BeginStep(volume);
  }
  PursueGroups(volume, directories, now);
  if (phase_ == Phase::kGeometry) {
    const volume::Membership& first = volume.memberships.front();
    for (quorum::Slot slot : first.ActiveSlots()) {
      if (!told_.contains({PgId(0), slot})) IssueRaise({PgId(0), slot}, first, volume, now);
    }
  }
  // Whoever was replaced meanwhile is missed no more.
  std::erase_if(missing_, [&](const auto& entry) {
    return !volume.memberships[entry.first.pg.value()].IsActive(entry.first.slot);
  });
  for (const auto& [member, why] : missing_) {
    const volume::Membership& membership = volume.memberships[member.pg.value()];
    Pin(member, membership, directories);
    IssueCreate(member, membership, volume.descriptor, &missing_book_, now);
  }
}

Growth::Duties Growth::TakeDuties() { return std::exchange(duties_, {}); }

std::string Growth::Describe() const {
  std::string text;
  if (phase_ != Phase::kIdle) {
    text = Text("adding pg ", first_new_);
    if (memberships_.size() > 1) {
      text += Text(" to ", first_new_.value() + memberships_.size() - 1);
    }
    text += Text(": ", claimed_.size(), " of ", quorum::kMembers * memberships_.size(),
                 " segments made");
    if (phase_ == Phase::kGeometry) {
      text +=
          Text(", geometry on ", told_.size(), " of ", quorum::kWriteQuorum, " members of pg 0");
    }
    if (!last_error_.ok()) text += Text("; last error: ", View(last_error_.message()));
  }
  if (!missing_.empty()) {
    const auto& [member, why] = *missing_.begin();
    text += Text(text.empty() ? "" : "; ", missing_.size(), " segments are not made yet, first pg ",
                 member.pg, " slot ", int{member.slot}, ": ", View(why.message()));
  }
  return text;
}

}  // namespace sextant::compute
