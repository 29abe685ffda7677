// PageVolume: a volume as an engine sees it, pages at read points and atomic appends. Core header.
//
// What the SQLite VFS and VolumeService are written against. The writer implements it over six
// segments (writer/writer_volume.h), tests over memory. A reader will implement the read half.
//
// Thread-safety: all methods may be called from any thread. Appends are serialised by the caller
// (one writer at a time: the SQL front's write ticket); a second appender gets ABORTED if pages
// moved.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/ids.h"
#include "common/log/lsn.h"
#include "common/page/delta.h"
#include "common/volume/geometry.h"

namespace sextant::compute {

// A page version that stays valid while held, whatever the cache does.
using PageRef = std::shared_ptr<const page::PageImage>;

// An open read point: holds PGMRPL at or below it until destroyed.
class ReadView {
 public:
  virtual ~ReadView() = default;
  virtual Lsn read_point() const = 0;
};

// One page of a mini-transaction: what it was and what it becomes.
struct PageWrite {
  PageNo page;
  PageRef base;       // the head version that the change was made on
  std::string after;  // whole page
};

class PageVolume {
 public:
  virtual ~PageVolume() = default;

  // The number of groups may grow at any time; everything else is fixed.
  virtual volume::Geometry geometry() const = 0;
  // Highest LSN appended by this writer, durable or not; on a reader, the published VDL.
  virtual Lsn head() const = 0;
  virtual Lsn vdl() const = 0;

  // Opens a view at `read_point`, an LSN that head() or vdl() returned and that is not below every
  // other open view by more than GC allows. OUT_OF_RANGE: snapshot too old, or above head().
  virtual absl::StatusOr<std::unique_ptr<ReadView>> OpenView(Lsn read_point) = 0;

  // Time travel: the read point of the newest commit at or below `lsn`, or of the newest that was
  // durable at `time` by the writer's clock; OpenView takes it from there. OUT_OF_RANGE: snapshot
  // too old, and what the oldest is; or above what can be read here.
  virtual absl::StatusOr<Lsn> AsOfLsn(Lsn lsn) const = 0;
  virtual absl::StatusOr<Lsn> AsOfTime(absl::Time time) const = 0;

  // The page as of the view. Blocks on a miss: one round trip to one segment. A page never written
  // is zeros at Lsn{0}. OUT_OF_RANGE: beyond the volume's end. UNAVAILABLE: no complete segment
  // answers. DATA_LOSS: damaged everywhere it was looked for.
  virtual absl::StatusOr<PageRef> ReadPage(const ReadView& view, PageNo page) = 0;
  // Starts fetching pages that will be wanted soon; never blocks, may do nothing.
  virtual void Prefetch(const ReadView& view, const std::vector<PageNo>& pages) = 0;

  // Whether an append of about `bytes` of redo over `pages` would be taken now. RESOURCE_EXHAUSTED:
  // back-pressure (LAL, the unacknowledged-redo limit, or a volume that is growing to hold the
  // pages, which asking sets going), retry soon. FAILED_PRECONDITION: fenced, this node is no
  // longer the writer. INVALID_ARGUMENT: larger than a mini-transaction may be. OUT_OF_RANGE: a
  // page that the volume may not grow to hold.
  virtual absl::Status CheckAppend(uint64_t bytes, const std::vector<PageNo>& pages) const = 0;

  // Appends one mini-transaction and returns its commit LSN (its CPL) at once: durable only when
  // vdl() passes it. New versions are visible to views at or above that LSN. Equal pages are
  // dropped; if nothing is left the result is head() and nothing is appended.
  virtual absl::StatusOr<Lsn> Append(std::vector<PageWrite> writes) = 0;

  // Calls `done` once: OK when vdl() >= lsn (at once if it already is); DEADLINE_EXCEEDED when
  // `timeout` passes first (the outcome is unknown, the append may yet become durable);
  // FAILED_PRECONDITION when fenced meanwhile (unknown as well). May be called on any thread; must
  // not block.
  using DurableCallback = std::function<void(absl::Status)>;
  virtual void WhenDurable(Lsn lsn, absl::Duration timeout, DurableCallback done) = 0;

  // Calls `done` once, in the same way: OK when it is proven that at some moment after this call
  // this node was still the one writer, so that what was read here before is the newest there was;
  // FAILED_PRECONDITION: another one has taken over; DEADLINE_EXCEEDED, UNAVAILABLE: not proven.
  // Whoever waits for an LSN appended after the question came in has that proof already: its
  // acknowledgements are it.
  virtual void WhenCurrent(absl::Duration timeout, DurableCallback done) = 0;
};

}  // namespace sextant::compute
