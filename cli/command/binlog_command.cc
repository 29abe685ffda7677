// `sextant binlog ...`: the binlog of the traditional path; its nodes, files and transactions.
#include <grpcpp/grpcpp.h>

#include <iostream>

#include "cli/command/context.h"
#include "common/base/status.h"
#include "common/base/text.h"
#include "common/rpc/channel.h"
#include "common/rpc/status.h"
#include "compute-node/binlog/log/describe.h"
#include "sextant/v1/binlog.grpc.pb.h"

namespace sextant::cli {
namespace {

struct BinlogFlags {
  uint64_t from = 0, through = 0;
};

struct Node {
  std::string address;
  std::unique_ptr<v1::BinlogService::Stub> stub;
};

absl::StatusOr<std::vector<Node>> Nodes(const GlobalOptions& options) {
  ASSIGN_OR_RETURN(const std::vector<std::string> endpoints, ComputeEndpoints(options));
  std::vector<Node> nodes;
  for (const std::string& address : endpoints) {
    nodes.push_back({address, v1::BinlogService::NewStub(rpc::MakeChannel(address))});
  }
  return nodes;
}

absl::StatusOr<v1::BinlogStatus> Ask(const Node& node) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(2));
  v1::BinlogStatus status;
  RETURN_IF_ERROR(rpc::FromGrpc(node.stub->GetStatus(&context, {}, &status), node.address));
  return status;
}

int ShowStatus(const GlobalOptions& options) {
  const absl::StatusOr<std::vector<Node>> nodes = Nodes(options);
  if (!nodes.ok()) return Fail(nodes.status());
  for (const Node& node : *nodes) {
    const absl::StatusOr<v1::BinlogStatus> status = Ask(node);
    if (!status.ok()) {
      std::cout << node.address << "  " << status.status().message() << "\n";
      continue;
    }
    std::cout << status->node() << "  " << status->role() << "  tenure " << status->tenure();
    if (status->role() == "binlog-source") {
      std::cout << "  " << status->mode() << "  answered through " << status->durable() << " of "
                << status->head();
    } else {
      std::cout << "  applied through " << status->applied() << "  lag ";
      if (status->has_lag_ms()) {
        std::cout << status->lag_ms() << " ms";
      } else {
        std::cout << "unknown";
      }
      if (!status->is_whole()) std::cout << "  catching up: its folder is new";
      if (status->has_awaited()) {
        std::cout << "  waits for " << status->awaited().candidate() << " to lead as tenure "
                  << status->awaited().tenure() << " (or promote another replica)";
      }
      if (!status->seeding().empty()) std::cout << "  seeding: " << status->seeding();
      if (!status->broken().empty()) std::cout << "  stopped: " << status->broken();
    }
    std::cout << "\n  " << status->history() << "\n";
  }
  return kExitOk;
}

int List(const GlobalOptions& options) {
  const absl::StatusOr<std::vector<Node>> nodes = Nodes(options);
  if (!nodes.ok()) return Fail(nodes.status());
  const absl::StatusOr<v1::BinlogStatus> status = Ask(nodes->front());
  if (!status.ok()) return Fail(status.status());
  for (const v1::BinlogFileInfo& file : status->files()) {
    std::cout << "binlog " << file.number() << "  " << file.bytes() << " bytes  transactions "
              << file.first_seq() << " to " << file.last_seq()
              << (file.is_closed() ? "" : "  (being written)") << "\n";
  }
  return kExitOk;
}

int Dump(const GlobalOptions& options, const BinlogFlags& flags) {
  const absl::StatusOr<std::vector<Node>> nodes = Nodes(options);
  if (!nodes.ok()) return Fail(nodes.status());
  grpc::ClientContext context;
  v1::ReadBinlogRequest request;
  request.set_from(flags.from);
  request.set_through(flags.through);
  const auto stream = nodes->front().stub->Read(&context, request);
  std::string bytes;
  v1::BinlogChunk chunk;
  while (stream->Read(&chunk)) {
    bytes += chunk.data();
    std::string_view rest = bytes;
    for (;;) {
      const absl::StatusOr<binlog::TransactionView> transaction = binlog::DecodeTransaction(&rest);
      if (absl::IsOutOfRange(transaction.status())) break;  // more is coming
      if (!transaction.ok()) return Fail(transaction.status());
      std::cout << binlog::Describe(*transaction);
    }
    bytes.erase(0, bytes.size() - rest.size());
  }
  const absl::Status ended = rpc::FromGrpc(stream->Finish(), nodes->front().address);
  return ended.ok() ? kExitOk : Fail(ended);
}

int Purge(const GlobalOptions& options, const BinlogFlags& flags) {
  const absl::StatusOr<std::vector<Node>> nodes = Nodes(options);
  if (!nodes.ok()) return Fail(nodes.status());
  grpc::ClientContext context;
  v1::PurgeBinlogRequest request;
  request.set_through(flags.through);
  v1::PurgeBinlogResponse response;
  const absl::Status status = rpc::FromGrpc(
      nodes->front().stub->Purge(&context, request, &response), nodes->front().address);
  if (!status.ok()) return Fail(status);
  std::cout << response.files() << " files deleted\n";
  return kExitOk;
}

}  // namespace

void AddBinlogCommands(CLI::App* app, Cli* cli) {
  CLI::App* noun = app->add_subcommand("binlog", "Looks at the binlog of the traditional path.");
  noun->require_subcommand(1);
  const auto flags = std::make_shared<BinlogFlags>();
  const auto add = [&](const char* verb, const char* help, std::function<int()> run) {
    CLI::App* added = noun->add_subcommand(verb, help);
    AddGlobalOptions(added, &cli->options, Reach::kAnyCluster);
    added->callback([cli, run = std::move(run)] { cli->run = run; });
    return added;
  };
  const GlobalOptions& options = cli->options;
  add("status", "Shows each node's role, position and lag.",
      [&options] { return ShowStatus(options); });
  add("list", "Lists the first node's binlog files.", [&options] { return List(options); });
  CLI::App* dump = add("dump", "Prints transactions and their events.",
                       [&options, flags] { return Dump(options, *flags); });
  dump->add_option("--from", flags->from, "Begins at this transaction; 0: the oldest.");
  dump->add_option("--through", flags->through, "Ends with this transaction; 0: the newest.");
  CLI::App* purge = add("purge", "Deletes files that neither a crash nor a follower needs.",
                        [&options, flags] { return Purge(options, *flags); });
  purge
      ->add_option("--through", flags->through,
                   "Deletes files whose every transaction is at or below this one.")
      ->required();
}

}  // namespace sextant::cli
