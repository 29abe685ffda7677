// `bench log`: the log service without SQL.
#include <grpcpp/channel.h>

#include <algorithm>

#include "absl/time/clock.h"
#include "cli/bench/measure.h"
#include "common/base/prng.h"
#include "common/base/status.h"
#include "common/base/text.h"
#include "common/rpc/channel.h"
#include "sextant/v1/volume.grpc.pb.h"

namespace sextant::cli {
namespace {

using Generator = LoadGenerator<v1::AppendMtrBatch, v1::AppendMtrAnswers>;
using Stub = v1::VolumeService::Stub;

// Of edits in one message, about.
constexpr size_t kMessageBytes = 256 << 10;

void SetDeadline(grpc::ClientContext* context) {
  context->set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(10)));
}

// Pages of the SQLite database in the volume, by its header; 0 where there is none.
absl::StatusOr<uint64_t> DatabasePages(Stub* stub, const std::string& endpoint) {
  grpc::ClientContext context;
  SetDeadline(&context);
  v1::ReadPageRequest request;
  request.set_page(0);
  v1::ReadPageResponse response;
  RETURN_IF_ERROR(rpc::FromGrpc(stub->ReadPage(&context, request, &response), endpoint));
  const std::string& page = response.image();
  if (page.size() < 32 || page.compare(0, 15, "SQLite format 3") != 0) return 0;
  uint64_t pages = 0;
  for (size_t i = 28; i < 32; ++i) pages = pages << 8 | static_cast<unsigned char>(page[i]);
  return pages;
}

struct PageSpan {
  uint64_t first = 0;
  uint64_t count = 0;
  uint32_t page_bytes = 0;
};

// Pages where no database is, far from its beginning. Not in the last quarter: writing there would
// make the volume grow by a group with every run.
absl::StatusOr<PageSpan> ChoosePages(Stub* stub, const BenchOptions& options) {
  grpc::ClientContext context;
  SetDeadline(&context);
  v1::GetVolumeResponse volume;
  RETURN_IF_ERROR(rpc::FromGrpc(stub->GetVolume(&context, {}, &volume), options.endpoint));
  ASSIGN_OR_RETURN(const uint64_t database, DatabasePages(stub, options.endpoint));
  const uint64_t count = std::min(options.pages, volume.page_count() / 2);
  const uint64_t first = volume.page_count() - volume.page_count() / 4 - count;
  if (count == 0 || database > first) {
    return absl::FailedPreconditionError(
        Text("the volume has ", volume.page_count(), " pages and its database ", database,
             ": no room for ", options.pages,
             " pages of the benchmark; use an empty volume or fewer --pages"));
  }
  if (options.value_bytes > volume.page_bytes()) {
    return absl::InvalidArgumentError(Text("--value-bytes ", options.value_bytes,
                                           " is more than a page of ", volume.page_bytes()));
  }
  return PageSpan{first, count, volume.page_bytes()};
}

}  // namespace

absl::StatusOr<BenchReport> RunLogBench(const BenchOptions& options,
                                        const BenchProgress& progress) {
  BenchReport report;
  report.name = "log";
  report.options = options;
  const int streams = options.streams > 0 ? options.streams : 1;
  report.options.streams = std::min(streams, options.clients);
  Stub stub(rpc::MakeChannel(options.endpoint));
  ASSIGN_OR_RETURN(const PageSpan span, ChoosePages(&stub, options));
  Prng prng(options.seed);
  std::string value(options.value_bytes, '\0');
  Generator::Hooks hooks;
  hooks.prepare = [&stub](grpc::ClientContext* context, grpc::CompletionQueue* queue) {
    return stub.PrepareAsyncAppendStream(context, queue);
  };
  hooks.max_requests = 1 + kMessageBytes / (options.value_bytes + 1);
  hooks.add = [&](uint64_t id, v1::AppendMtrBatch* batch) {
    for (size_t i = 0; i + 8 <= value.size(); i += 8) {
      const uint64_t random = prng.Next();
      std::copy_n(reinterpret_cast<const char*>(&random), 8, value.begin() + static_cast<long>(i));
    }
    v1::AppendMtrRequest* request = batch->add_mtrs();
    request->set_id(id);
    request->set_timeout_ms(options.timeout_ms);
    v1::PageEdit* edit = request->add_edits();
    edit->set_page(span.first + prng.Below(span.count));
    v1::PageRange* range = edit->mutable_ranges()->add_ranges();
    range->set_offset(static_cast<uint32_t>(prng.Below(span.page_bytes - options.value_bytes + 1)));
    range->set_bytes(value);
  };
  hooks.read = [](const v1::AppendMtrAnswers& message, const Generator::Hooks::Answered& answered) {
    for (const v1::AppendMtrResponse& response : message.answers()) {
      answered(response.id(), response.code() == 0
                                  ? std::string()
                                  : Text(response.message(), " (code ", response.code(), ")"));
    }
  };
  Generator generator(std::move(hooks), options.clients, report.options.streams, options.rate);
  RETURN_IF_ERROR(Measure(&generator, progress, &report));
  return report;
}

}  // namespace sextant::cli
