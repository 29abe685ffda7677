// `sextant volume show|tail`: the volume's descriptor and watermarks, and its redo.
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "absl/strings/str_format.h"
#include "cli/client/volume_client.h"
#include "cli/command/compute_nodes.h"
#include "cli/command/context.h"
#include "common/base/byte_size.h"
#include "common/base/ids.h"
#include "common/base/status.h"
#include "common/base/text.h"

namespace sextant::cli {
namespace {

using Json = nlohmann::ordered_json;

struct TailFlags {
  uint64_t after = 0;
  uint64_t count = UINT64_MAX;
  bool no_follow = false;
};

Json ShowJson(const v1::ComputeStatus& status) {
  Json pgs = Json::array();
  for (const v1::PgProgress& pg : status.pgs()) {
    pgs.push_back({{"pg", pg.pg()}, {"last_lsn", pg.last_lsn()}, {"pgcl", pg.pgcl()}});
  }
  return {{"volume", FormatVolumeId(VolumeId(status.volume()))},
          {"page_bytes", status.page_bytes()},
          {"segment_bytes", status.segment_bytes()},
          {"protection_groups", pgs},
          {"epoch", status.epoch()},
          {"head", status.head()},
          {"vcl", status.vcl()},
          {"vdl", status.vdl()},
          {"pgmrpl", status.pgmrpl()}};
}

int Show(const GlobalOptions& options) {
  const auto answer = AskWriter(options);
  if (!answer.ok()) return Fail(answer.status(), "`sextant cluster status` shows what runs");
  const v1::ComputeStatus& status = answer->status;
  if (status.phase() != "open") {
    return Fail(absl::UnavailableError(
        Text("the volume is not open: ", status.phase(), " ", status.detail())));
  }
  if (options.json()) {
    std::cout << ShowJson(status).dump(2) << "\n";
    return kExitOk;
  }
  std::cout << "volume      " << FormatVolumeId(VolumeId(status.volume())) << "\npages       "
            << FormatByteSize(status.page_bytes()) << " each\nsegments    " << status.pgs_size()
            << " protection group(s) of " << FormatByteSize(status.segment_bytes())
            << "\nepoch       " << status.epoch() << "\nhead        " << status.head()
            << "\nVCL         " << status.vcl() << "\nVDL         " << status.vdl()
            << "\nPGMRPL      " << status.pgmrpl() << "\n";
  for (const v1::PgProgress& pg : status.pgs()) {
    std::cout << absl::StrFormat("pg %-8d last LSN %d, PGCL %d\n", pg.pg(), pg.last_lsn(),
                                 pg.pgcl());
  }
  return kExitOk;
}

void PrintRecord(const GlobalOptions& options, const v1::TailRecord& record) {
  if (options.json()) {
    std::cout << Json({{"lsn", record.lsn()},
                       {"page", record.page()},
                       {"prev_page_lsn", record.prev_page_lsn()},
                       {"epoch", record.epoch()},
                       {"cpl", record.is_cpl()},
                       {"full_image", record.is_full_image()},
                       {"payload_bytes", record.payload().size()}})
                     .dump()
              << "\n";
    return;
  }
  std::cout << absl::StrFormat("lsn %-10d page %-8d after %-10d epoch %d  %5d B %s%s\n",
                               record.lsn(), record.page(), record.prev_page_lsn(), record.epoch(),
                               record.payload().size(), record.is_full_image() ? "image" : "delta",
                               record.is_cpl() ? "  CPL" : "");
}

int Tail(const GlobalOptions& options, const TailFlags& flags) {
  const auto answer = AskWriter(options);
  if (!answer.ok()) return Fail(answer.status(), "`sextant cluster status` shows what runs");
  const uint64_t end = answer->status.vdl();
  if (flags.no_follow && flags.after >= end) return kExitOk;
  uint64_t printed = 0;
  uint64_t seen = 0;
  const absl::Status status =
      TailVolume(answer->address, flags.after, [&](const v1::TailResponse& response) {
        for (const v1::TailRecord& record : response.records()) {
          if (printed == flags.count) return false;
          PrintRecord(options, record);
          ++printed;
          seen = record.lsn();
        }
        std::cout.flush();
        return printed < flags.count && (!flags.no_follow || seen < end) && std::cout.good();
      });
  return status.ok() ? kExitOk : Fail(status);
}

}  // namespace

void AddVolumeCommands(CLI::App* app, Cli* cli) {
  CLI::App* noun = app->add_subcommand("volume", "Looks at the volume and its log.");
  noun->require_subcommand(1);
  CLI::App* show = noun->add_subcommand("show", "Shows geometry, epoch and watermarks.");
  AddGlobalOptions(show, &cli->options, Reach::kAnyCluster);
  show->callback([cli] { cli->run = [cli] { return Show(cli->options); }; });

  CLI::App* tail =
      noun->add_subcommand("tail", "Prints durable redo records, then new ones as they come.");
  AddGlobalOptions(tail, &cli->options, Reach::kAnyCluster);
  auto flags = std::make_shared<TailFlags>();
  tail->add_option("--after", flags->after, "Begins after this LSN.")->capture_default_str();
  tail->add_option("--count", flags->count, "Ends after so many records.")->type_name("N");
  tail->add_flag("--no-follow", flags->no_follow, "Ends at what is durable now.");
  tail->callback([cli, flags] { cli->run = [cli, flags] { return Tail(cli->options, *flags); }; });
}

}  // namespace sextant::cli
