// See mtr_appender.h.
#include "compute-node/writer/mtr_appender.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "common/base/status.h"
#include "common/base/text.h"

namespace sextant::compute {
namespace {

absl::Status CheckEdits(const std::vector<PageEdit>& edits, const volume::Geometry& geometry) {
  if (edits.empty()) return absl::InvalidArgumentError("a mini-transaction without edits");
  std::vector<PageNo> pages;
  for (const PageEdit& edit : edits) {
    pages.push_back(edit.page);
    if (edit.is_image && edit.image.size() != geometry.page_bytes) {
      return absl::InvalidArgumentError(
          Text("an image of ", edit.image.size(), " bytes for a page of ", geometry.page_bytes));
    }
    for (const PageEdit::Range& range : edit.ranges) {
      if (range.offset <= geometry.page_bytes &&
          range.bytes.size() <= geometry.page_bytes - range.offset) {
        continue;
      }
      return absl::InvalidArgumentError(Text("a range at ", range.offset, " of ",
                                             range.bytes.size(), " bytes in a page of ",
                                             geometry.page_bytes));
    }
  }
  std::sort(pages.begin(), pages.end());
  if (std::adjacent_find(pages.begin(), pages.end()) != pages.end()) {
    return absl::InvalidArgumentError("a page is edited twice in one mini-transaction");
  }
  return absl::OkStatus();
}

std::string Apply(const PageEdit& edit, const std::string& base) {
  if (edit.is_image) return edit.image;
  std::string after = base;
  for (const PageEdit::Range& range : edit.ranges) {
    after.replace(range.offset, range.bytes.size(), range.bytes);
  }
  return after;
}

// One append under way; kept alive by the callbacks it waits for.
class PendingAppend : public std::enable_shared_from_this<PendingAppend> {
 public:
  PendingAppend(WriterVolume* volume, WriteTicketQueue* tickets, std::vector<PageEdit> edits,
                absl::Duration timeout, MtrAppender::Appended appended)
      : volume_(*volume),
        tickets_(*tickets),
        edits_(std::move(edits)),
        timeout_(timeout),
        appended_(std::move(appended)),
        head_before_(volume->head()),
        bases_(edits_.size()) {}

  // Pages beyond the volume's end make it grow first.
  void Start() {
    const auto pages = Pages();
    volume_.WhenGrown(*std::max_element(pages.begin(), pages.end()), timeout_,
                      [self = shared_from_this()](absl::Status grown) {
                        if (!grown.ok()) return self->Finish(std::move(grown));
                        self->ReadThenAppend();
                      });
  }

 private:
  void ReadThenAppend() {
    if (volume_.HasHeads(Pages())) return AskForTicket();
    ReadBases([self = shared_from_this()] { self->AskForTicket(); });
  }

  std::vector<PageNo> Pages() const {
    std::vector<PageNo> pages;
    for (const PageEdit& edit : edits_) pages.push_back(edit.page);
    return pages;
  }

  void AskForTicket() {
    tickets_.Acquire(timeout_, [self = shared_from_this()](absl::StatusOr<WriteTicket> ticket) {
      if (!ticket.ok()) return self->Finish(ticket.status());
      self->ticket_ = *std::move(ticket);
      self->ReadBases([self] { self->AppendNow(); });
    });
  }

  // Reads every page as of head() and goes on with `next`; or finishes with the first error.
  void ReadBases(std::function<void()> next) {
    auto view = volume_.OpenView(volume_.head());
    if (!view.ok()) return Finish(view.status());
    view_ = *std::move(view);
    left_ = edits_.size();
    for (size_t i = 0; i < edits_.size(); ++i) {
      volume_.ReadPageAsync(*view_, edits_[i].page,
                            [self = shared_from_this(), i, next](absl::StatusOr<PageRef> page) {
                              self->bases_[i] = std::move(page);
                              if (self->left_.fetch_sub(1) == 1) self->BasesRead(next);
                            });
    }
  }

  void BasesRead(const std::function<void()>& next) {
    view_ = nullptr;
    for (const auto& base : bases_) {
      if (!base.ok()) return Finish(base.status());
    }
    next();
  }

  void AppendNow() {
    std::vector<PageWrite> writes;
    writes.reserve(edits_.size());
    for (size_t i = 0; i < edits_.size(); ++i) {
      std::string after = Apply(edits_[i], (*bases_[i])->bytes);
      writes.push_back({edits_[i].page, *std::move(bases_[i]), std::move(after)});
    }
    const absl::StatusOr<Lsn> lsn = volume_.AppendGathered(std::move(writes));
    if (!lsn.ok() || *lsn > head_before_) return Finish(lsn);
    // Nothing was to be changed, as far as the pages here tell: they must be the newest.
    ticket_.Release();
    volume_.WhenCurrent(timeout_, [self = shared_from_this(), lsn](const absl::Status& current) {
      self->Finish(current.ok() ? lsn : current);
    });
  }

  void Finish(absl::StatusOr<Lsn> result) {
    ticket_.Release();
    std::exchange(appended_, nullptr)(std::move(result));
  }

  WriterVolume& volume_;
  WriteTicketQueue& tickets_;
  const std::vector<PageEdit> edits_;
  const absl::Duration timeout_;
  MtrAppender::Appended appended_;
  const Lsn head_before_;
  WriteTicket ticket_;
  std::unique_ptr<ReadView> view_;
  std::vector<absl::StatusOr<PageRef>> bases_;
  std::atomic<size_t> left_{0};
};

}  // namespace

void MtrAppender::Append(std::vector<PageEdit> edits, absl::Duration timeout, Appended appended) {
  absl::Status checked = volume_.CheckOpen();
  if (checked.ok()) checked = CheckEdits(edits, volume_.geometry());
  if (!checked.ok()) return appended(std::move(checked));
  std::make_shared<PendingAppend>(&volume_, &tickets_, std::move(edits), timeout,
                                  std::move(appended))
      ->Start();
}

}  // namespace sextant::compute
