// SqlEngine: what sessions run on; how far it is, when it is durable. A volume, or a plain file.
//
// The seam under SqlExecutor: sessions, batches and their rules are the same whatever holds the
// data (docs/decisions/2026-11-22-sql-engine.md).
//
// Thread-safety: all methods from any thread.
#pragma once

#include <memory>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "compute-node/sql/connection.h"
#include "compute-node/volume/page_volume.h"

namespace sextant::sql {

class SqlEngine {
 public:
  using DurableCallback = compute::PageVolume::DurableCallback;

  virtual ~SqlEngine() = default;
  virtual absl::StatusOr<std::unique_ptr<Connection>> Open(const ConnectionOptions& options) = 0;
  // The newest commit, durable or not; and how far commits are durable.
  virtual Lsn head() const = 0;
  virtual Lsn vdl() const = 0;
  // Whether a write would be taken now: as PageVolume::CheckAppend.
  virtual absl::Status CheckWrite() const = 0;
  // As PageVolume's.
  virtual void WhenDurable(Lsn lsn, absl::Duration timeout, DurableCallback done) = 0;
  virtual void WhenCurrent(absl::Duration timeout, DurableCallback done) = 0;
  // Where a commit must be to be durable: "on 4 of 6 segments".
  virtual std::string_view durable_where() const = 0;
};

// Over a volume, which outlives it.
class VolumeEngine final : public SqlEngine {
 public:
  explicit VolumeEngine(compute::PageVolume* volume) : volume_(volume), vfs_(volume) {}

  absl::StatusOr<std::unique_ptr<Connection>> Open(const ConnectionOptions& options) override {
    return Connection::Open(vfs_, options);
  }
  Lsn head() const override { return volume_->head(); }
  Lsn vdl() const override { return volume_->vdl(); }
  absl::Status CheckWrite() const override { return volume_->CheckAppend(0, {}); }
  void WhenDurable(Lsn lsn, absl::Duration timeout, DurableCallback done) override {
    volume_->WhenDurable(lsn, timeout, std::move(done));
  }
  void WhenCurrent(absl::Duration timeout, DurableCallback done) override {
    volume_->WhenCurrent(timeout, std::move(done));
  }
  std::string_view durable_where() const override { return "on 4 of 6 segments"; }

 private:
  compute::PageVolume* const volume_;
  VolumeVfs vfs_;
};

}  // namespace sextant::sql
