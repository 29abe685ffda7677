// `sextant segment ...`: replaces a member of a protection group, undoes that, shows who they are.
#include <iostream>
#include <nlohmann/json.hpp>

#include "absl/time/clock.h"
#include "cli/client/compute_client.h"
#include "cli/command/cluster_status.h"
#include "cli/command/compute_nodes.h"
#include "cli/command/context.h"
#include "cli/status/picture.h"
#include "common/base/status.h"
#include "common/base/text.h"

namespace sextant::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr absl::Duration kCallTimeout = absl::Seconds(10);
constexpr absl::Duration kPollInterval = absl::Milliseconds(100);
constexpr absl::Duration kShowInterval = absl::Seconds(1);

struct SegmentFlags {
  SegmentReplacement replacement;
  bool wait = false;
  int timeout_ms = 600'000;
};

absl::StatusOr<v1::ComputeStatus> AskWriterStatus(const GlobalOptions& options) {
  ASSIGN_OR_RETURN(WriterAnswer writer, AskWriter(options));
  return std::move(writer.status);
}

Json PgJson(const v1::PgProgress& pg) {
  Json json = {{"pg", pg.pg()},
               {"membership", pg.membership()},
               {"in_effect", pg.is_in_effect()},
               {"members", Json::array()},
               {"changes", Json::array()}};
  for (const v1::MemberProgress& member : pg.members()) {
    json["members"].push_back(
        {{"node", member.node()}, {"state", member.state()}, {"scl", member.scl()}});
  }
  for (const v1::ChangeProgress& change : pg.changes()) {
    json["changes"].push_back({{"from", change.from()},
                               {"to", change.to()},
                               {"scl", change.scl()},
                               {"target", change.target()},
                               {"held", change.is_held()}});
  }
  return json;
}

int ShowStatus(const GlobalOptions& options) {
  const absl::StatusOr<v1::ComputeStatus> status = AskWriterStatus(options);
  if (!status.ok()) return Fail(status.status());
  if (options.json()) {
    Json json = Json::array();
    for (const v1::PgProgress& pg : status->pgs()) json.push_back(PgJson(pg));
    std::cout << Json({{"pgs", json}}).dump(2) << "\n";
    return kExitOk;
  }
  const absl::StatusOr<ClusterPicture> picture = GatherPicture(options);
  for (const v1::PgProgress& pg : status->pgs()) {
    std::cout << "pg " << pg.pg() << "  membership " << pg.membership()
              << (pg.is_in_effect() ? "" : " (not in effect yet)") << " ";
    for (const v1::MemberProgress& member : pg.members()) std::cout << " " << member.node();
    std::cout << "\n";
    if (!picture.ok()) continue;
    for (const ChangePicture& change : picture->changes) {
      if (change.pg == pg.pg()) std::cout << "      " << DescribeChange(change) << "\n";
    }
  }
  return kExitOk;
}

// What is new of a change, to standard error, at most once a second.
class ProgressPrinter {
 public:
  void Show(const GlobalOptions& options, const SegmentReplacement& wish) {
    const absl::Time now = absl::Now();
    if (now < next_at_) return;
    next_at_ = now + kShowInterval;
    const absl::StatusOr<ClusterPicture> picture = GatherPicture(options);
    if (!picture.ok()) return;
    for (const ChangePicture& change : picture->changes) {
      if (change.pg == wish.pg && change.from == wish.from) Print(change, now);
    }
  }

 private:
  void Print(const ChangePicture& change, absl::Time now) {
    std::string text = DescribeChange(change);
    if (text == shown_) return;
    shown_ = text;
    if (change.copied_bytes > copied_bytes_ && copied_bytes_ > 0) {
      const double seconds = absl::ToDoubleSeconds(now - copied_at_);
      const double bytes = static_cast<double>(change.copied_bytes - copied_bytes_);
      text += Text(", ", static_cast<int64_t>(bytes / seconds / (1 << 10)), " KiB/s");
    }
    copied_bytes_ = change.copied_bytes;
    copied_at_ = now;
    std::cerr << text << std::endl;
  }

  absl::Time next_at_ = absl::InfinitePast();
  std::string shown_;
  uint64_t copied_bytes_ = 0;
  absl::Time copied_at_;
};

// Until the group has no change of `from` and its membership is in effect.
absl::Status WaitUntilOver(const GlobalOptions& options, const SegmentFlags& flags,
                           absl::Time deadline) {
  ProgressPrinter printer;
  while (absl::Now() < deadline) {
    const absl::StatusOr<v1::ComputeStatus> status = AskWriterStatus(options);
    if (status.ok() && flags.replacement.pg < static_cast<uint32_t>(status->pgs_size())) {
      const v1::PgProgress& pg = status->pgs(static_cast<int>(flags.replacement.pg));
      bool is_over = pg.is_in_effect();
      for (const v1::ChangeProgress& change : pg.changes()) {
        is_over = is_over && change.from() != flags.replacement.from;
      }
      if (is_over) return absl::OkStatus();
      printer.Show(options, flags.replacement);
    }
    absl::SleepFor(kPollInterval);
  }
  return absl::UnavailableError("the change is not over yet; it goes on: see `segment status`");
}

// UNAVAILABLE means to ask again: an earlier step, or a segment that is being dropped.
template <typename Call>
absl::Status Insist(bool wait, absl::Time deadline, Call call) {
  while (true) {
    absl::Status status = call();
    if (!wait || !absl::IsUnavailable(status) || absl::Now() >= deadline) return status;
    absl::SleepFor(kPollInterval);
  }
}

int RunChange(const GlobalOptions& options, const SegmentFlags& flags, bool is_undo) {
  const SegmentReplacement& wish = flags.replacement;
  const absl::Time begin = absl::Now();
  const absl::Time deadline = begin + absl::Milliseconds(flags.timeout_ms);
  absl::Status status = Insist(flags.wait, deadline, [&]() -> absl::Status {
    ASSIGN_OR_RETURN(const WriterAnswer writer, AskWriter(options));
    return is_undo ? UndoReplace({writer.address}, wish.pg, wish.from, kCallTimeout)
                   : ReplaceSegment({writer.address}, wish, kCallTimeout);
  });
  if (status.ok() && flags.wait) status = WaitUntilOver(options, flags, deadline);
  if (!status.ok()) return Fail(status);
  const double seconds = absl::ToDoubleSeconds(absl::Now() - begin);
  if (options.json()) {
    std::cout
        << Json({{"pg", wish.pg}, {"from", wish.from}, {"over", flags.wait}, {"seconds", seconds}})
               .dump(2)
        << "\n";
  } else if (flags.wait) {
    std::cout << "pg " << wish.pg << ": " << wish.from
              << (is_undo ? " stays" : Text(" is replaced by ", wish.to)) << "\n";
  } else {
    std::cout << "pg " << wish.pg << ": " << wish.from
              << (is_undo ? " will stay" : Text(" is being replaced by ", wish.to))
              << "; see `sextant segment status`\n";
  }
  return kExitOk;
}

void AddChangeOptions(CLI::App* verb, Cli* cli, SegmentFlags* flags) {
  AddGlobalOptions(verb, &cli->options, Reach::kAnyCluster);
  verb->add_option("--pg", flags->replacement.pg, "The protection group.")->required();
  verb->add_option("--from", flags->replacement.from, "The storage node that is replaced.")
      ->required();
  verb->add_flag("--wait", flags->wait, "Waits until the change is over.");
  verb->add_option("--timeout-ms", flags->timeout_ms, "Waits at most this long.")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
}

}  // namespace

void AddSegmentCommands(CLI::App* app, Cli* cli) {
  CLI::App* noun =
      app->add_subcommand("segment", "Replaces members of protection groups while all goes on.");
  noun->require_subcommand(1);
  auto flags = std::make_shared<SegmentFlags>();

  CLI::App* replace = noun->add_subcommand(
      "replace",
      "Replaces the segment on one storage node by one on another of its zone, or by a "
      "new one on the same node if that lost it.");
  AddChangeOptions(replace, cli, flags.get());
  replace->add_option("--to", flags->replacement.to, "The storage node that takes its place.")
      ->required();
  replace->add_flag("--hold", flags->replacement.hold,
                    "Does not finish the change until it is asked for again without this.");
  replace->callback([cli, flags] {
    cli->run = [cli, flags] { return RunChange(cli->options, *flags, /*is_undo=*/false); };
  });

  CLI::App* undo = noun->add_subcommand("undo", "Takes a replacement back that is not finished.");
  AddChangeOptions(undo, cli, flags.get());
  undo->callback([cli, flags] {
    cli->run = [cli, flags] { return RunChange(cli->options, *flags, /*is_undo=*/true); };
  });

  CLI::App* status =
      noun->add_subcommand("status", "Shows each group's members and the changes under way.");
  AddGlobalOptions(status, &cli->options, Reach::kAnyCluster);
  status->callback([cli] { cli->run = [cli] { return ShowStatus(cli->options); }; });
}

}  // namespace sextant::cli
