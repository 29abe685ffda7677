// See scenario.h.
#include "fault/scenario/scenario.h"

#include <algorithm>

namespace sextant::fault {

std::string_view NameOf(Fault fault) {
  switch (fault) {
    case Fault::kKill:
      return "kill";
    case Fault::kRestart:
      return "restart";
    case Fault::kPause:
      return "pause";
    case Fault::kTakeOver:
      return "take over";
    case Fault::kPromote:
      return "kill";
    case Fault::kPartition:
      return "partition";
    case Fault::kPartitionOneWay:
      return "partition one way";
    case Fault::kCutLinks:
      return "reset links";
    case Fault::kSlowLinks:
      return "slow links";
    case Fault::kFillDisk:
      return "fill disk";
    case Fault::kDiskDies:
      return "disk dies";
    case Fault::kPowerLoss:
      return "power loss";
    case Fault::kSlowDisk:
      return "slow disk";
    case Fault::kFlipBits:
      return "flip bits";
    case Fault::kFailpoint:
      return "failpoint";
  }
  return "?";
}

std::vector<std::string> Topology::StorageNodes() const {
  std::vector<std::string> nodes;
  for (const Zone& zone : zones) nodes.insert(nodes.end(), zone.nodes.begin(), zone.nodes.end());
  return nodes;
}

std::vector<std::string> Topology::AllBut(const std::vector<std::string>& nodes) const {
  std::vector<std::string> all = StorageNodes();
  all.push_back(writer);
  all.insert(all.end(), readers.begin(), readers.end());
  std::erase_if(all, [&](const std::string& node) {
    return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
  });
  return all;
}

const Scenario* FindScenario(std::string_view name) {
  for (const Scenario& scenario : Scenarios()) {
    if (scenario.name == name) return &scenario;
  }
  return nullptr;
}

std::vector<Moment> MomentsOf(const Plan& plan) {
  std::vector<Moment> moments;
  for (size_t i = 0; i < plan.size(); ++i) {
    moments.push_back({plan[i].at, i, false});
    moments.push_back({plan[i].at + plan[i].lasting, i, true});
  }
  std::stable_sort(moments.begin(), moments.end(),
                   [](const Moment& a, const Moment& b) { return a.at < b.at; });
  return moments;
}

}  // namespace sextant::fault
