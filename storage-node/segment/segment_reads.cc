// See segment.h. The queries: what lies where, and whether it may be asked for.
#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/base/status.h"
#include "common/base/text.h"
#include "storage-node/segment/segment.h"

namespace sextant::storage {

absl::Status Segment::CheckReadEpoch(VolumeEpoch epoch) const {
  if (epoch < fence_.epoch()) {
    return absl::FailedPreconditionError(Text(Name(), ": fenced, the read's volume epoch ", epoch,
                                              " was succeeded by ", fence_.epoch()));
  }
  // A promise that is not durable yet could be forgotten in a crash: it answers for nothing.
  if (epoch > state_.epoch) {
    return absl::UnavailableError(Text(Name(), ": behind, at volume epoch ", state_.epoch,
                                       ", the read's is ", epoch, ": read elsewhere"));
  }
  return absl::OkStatus();
}

// The protection group's last LSN at or below the read point, if this segment is complete through
// it. Nothing above it belongs to the read, even if something lies here (a fenced writer's
// leftover).
absl::StatusOr<Lsn> Segment::LastRecordToRead(const protocol::ReadPagesRequest& request) const {
  const Lsn scl = log_.scl();
  if (request.pg_lsn.has_value()) {
    if (*request.pg_lsn > request.read_point) {
      return absl::InvalidArgumentError(Text(Name(), ": lsn ", *request.pg_lsn,
                                             " is not at or below the read point ",
                                             request.read_point));
    }
    if (scl >= *request.pg_lsn) return *request.pg_lsn;
  } else {
    if (request.read_point <= scl) return request.read_point;
    if (request.read_point <= told_.vdl && scl >= told_.pg_lsn_at_vdl) {
      return std::min(request.read_point, told_.pg_lsn_at_vdl);
    }
  }
  if (scl < log_.end()) {
    return absl::DataLossError(Text(Name(), ": a part of the log above lsn ", scl,
                                    " is damaged and not fetched anew yet: read elsewhere"));
  }
  return absl::OutOfRangeError(Text(Name(), ": not complete through read point ",
                                    request.read_point, ", scl is ", scl, ": read elsewhere"));
}

absl::StatusOr<std::vector<PageReadPlan>> Segment::PlanPageRead(
    const protocol::ReadPagesRequest& request, std::span<const Lsn> base_lsns) const {
  RETURN_IF_ERROR(CheckReadEpoch(request.epoch));
  if (!base_lsns.empty() && base_lsns.size() != request.pages.size()) {
    return absl::InvalidArgumentError(Text(Name(), ": ", base_lsns.size(), " base versions for ",
                                           request.pages.size(), " pages"));
  }
  if (request.read_point < read_floor()) {
    return absl::OutOfRangeError(Text(Name(), ": read point ", request.read_point,
                                      " is too old, versions are kept from ", read_floor(), " on"));
  }
  ASSIGN_OR_RETURN(const Lsn last, LastRecordToRead(request));
  const volume::Geometry& geometry = state_.descriptor.geometry;
  const bool may_store = request.read_point <= told_.vdl && log_.scl() >= told_.pg_lsn_at_vdl;
  std::vector<PageReadPlan> plans;
  plans.reserve(request.pages.size());
  for (size_t i = 0; i < request.pages.size(); ++i) {
    const PageNo page = request.pages[i];
    if (geometry.PgOf(page) != state_.segment.pg) {
      return absl::InvalidArgumentError(
          Text(Name(), ": page ", page, " belongs to protection group ", geometry.PgOf(page)));
    }
    PageReadPlan plan{.page = page,
                      .read_point = request.read_point,
                      .log_start = log_.start(),
                      .may_store = may_store};
    plan.records = Locate(pages_.Plan(page, base_lsns.empty() ? Lsn() : base_lsns[i], last));
    plans.push_back(std::move(plan));
  }
  return plans;
}

PageReadPlan Segment::PlanVersion(PageNo page, Lsn through, Lsn base) const {
  return {.page = page,
          .read_point = through,
          .log_start = log_.start(),
          .records = Locate(pages_.Plan(page, base, through)),
          .may_store = through <= told_.pg_lsn_at_vdl && through <= log_.scl()};
}

std::vector<RecordLocation> Segment::Locate(const std::vector<Lsn>& lsns) const {
  std::vector<RecordLocation> locations;
  locations.reserve(lsns.size());
  for (Lsn lsn : lsns) {
    const std::optional<RecordLocation> at = log_.Find(lsn);
    SEXTANT_CHECK(at.has_value()) << Name() << ": lsn " << lsn << " is indexed and not held";
    locations.push_back(*at);
  }
  return locations;
}

absl::StatusOr<LogReadPlan> Segment::PlanLogRead(const protocol::ReadLogRequest& request) const {
  RETURN_IF_ERROR(CheckReadEpoch(request.epoch));
  if (request.after < log_.start()) {
    return absl::OutOfRangeError(Text(Name(), ": the log above lsn ", request.after,
                                      " is not kept any more, it starts at ", log_.start()));
  }
  LogReadPlan plan{.scl = log_.scl()};
  plan.records = log_.Range(request.after, request.through, request.max_bytes, &plan.is_last);
  // What is damaged must not look like the end of the log.
  if (plan.is_last && plan.scl < log_.end() && plan.scl < request.through) {
    if (plan.records.empty()) {
      return absl::DataLossError(Text(Name(), ": the log above lsn ", plan.scl,
                                      " is damaged and not fetched anew yet: read elsewhere"));
    }
    plan.is_last = false;
  }
  return plan;
}

absl::StatusOr<PageCopyPlan> Segment::PlanPageCopy(const protocol::CopyPagesRequest& request,
                                                   size_t limit) const {
  RETURN_IF_ERROR(CheckReadEpoch(request.epoch));
  if (log_.scl() < told_.pg_lsn_at_vdl || told_.vdl < read_floor()) {
    return absl::UnavailableError(Text(Name(), ": not complete through VDL ", told_.vdl,
                                       ", scl is ", log_.scl(), ": copy from another member"));
  }
  PageCopyPlan plan{.read_point = told_.vdl, .pg_lsn = told_.pg_lsn_at_vdl};
  plan.pages = pages_.PagesFrom(request.from, request.changed_after, plan.pg_lsn, limit);
  plan.is_last = plan.pages.size() < limit;
  plan.has_stored = request.changed_after < state_.log_start;
  return plan;
}

protocol::EpochAnswer Segment::Answer(const protocol::EpochProbe& probe) const {
  return {.segment = state_.segment,
          .incarnation = state_.incarnation,
          .round = probe.round,
          .epoch = promised_epoch()};
}

absl::Status Segment::CheckCreate(const protocol::CreateSegmentRequest& request) const {
  // Asked again: it may have learnt of later members and groups since.
  const volume::Descriptor& known = state_.descriptor;
  const bool is_known =
      request.descriptor == known || request.descriptor.geometry.epoch < known.geometry.epoch;
  const bool is_member =
      request.membership == state_.membership || request.membership.epoch < state_.membership.epoch;
  if (is_known && is_member && request.slot == state_.slot) return absl::OkStatus();
  const bool never_held_any =
      !is_log_damaged_ && log_.scl() == Lsn() && highest_stored_ == Lsn() && !HasGap();
  if (!never_held_any || request.slot != state_.slot) {
    return absl::AbortedError(Text(Name(), " exists, of another geometry or membership, in slot ",
                                   int{state_.slot}, " and with its last record at lsn ",
                                   log_.scl()));
  }
  const absl::Status fits = view_.Check(request.descriptor, request.membership);
  if (fits.ok()) return fits;
  return absl::AbortedError(Text(Name(), " exists and does not fit: ", View(fits.message())));
}

protocol::SegmentStatus Segment::Status() const {
  return {.segment = state_.segment,
          .incarnation = state_.incarnation,
          .descriptor = state_.descriptor,
          .membership = state_.membership,
          .slot = state_.slot,
          .epoch = state_.epoch,
          .writer = state_.writer,
          .truncations = state_.truncations,
          .scl = log_.scl(),
          .known_vdl = told_.vdl,
          .pg_lsn_at_vdl = told_.pg_lsn_at_vdl,
          .pgmrpl = told_.pgmrpl,
          .log_start = log_.start(),
          .read_floor = state_.read_floor,
          .log_bytes = extent_.bytes(),
          .records_ahead = log_.records_ahead(),
          .is_damaged = MayLackWhatItHeld()};
}

}  // namespace sextant::storage
