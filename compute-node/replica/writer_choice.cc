// See writer_choice.h.
#include "compute-node/replica/writer_choice.h"

namespace sextant::compute {

std::optional<size_t> ChooseWriter(const std::vector<ComputeNodeAnswer>& answers, VolumeId volume,
                                   VolumeEpoch at_least) {
  std::optional<size_t> best;
  for (size_t i = 0; i < answers.size(); ++i) {
    const ComputeNodeAnswer& answer = answers[i];
    if (!answer.is_open_writer || answer.epoch < at_least) continue;
    if (volume != VolumeId() && answer.volume != volume) continue;
    if (!best || answer.epoch > answers[*best].epoch) best = i;
  }
  return best;
}

}  // namespace sextant::compute
