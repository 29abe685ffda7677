// Fuzzes the segment: bytes become a sequence of what peers send, what the shell reports and what
// the disk does, and after each step the segment must agree with a model (segment_model.h). Each
// step is one byte that names it, and its arguments (segment_driver.cc).
#include "tests/fuzz/fuzz_input.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/segment_driver.h"

namespace sextant::fuzz {
namespace {

constexpr int kMaxSteps = 200;

// The numbers are what corpus files are written in: a new step gets a new one.
void Step(uint8_t step, FuzzInput* in, SegmentDriver* driver) {
  switch (step % 16) {
    case 0:
      return driver->Append(in);
    case 1:
      return driver->RaiseEpoch(in);
    case 2:
      return driver->TakeOutput();
    case 3:
      return driver->SyncOldest();
    case 4:
      return driver->SyncAll();
    case 5:
      return driver->Refuse(in);
    case 6:
      return driver->Crash();
    case 7:
      return driver->Damage(in);
    case 8:
      return driver->ReadPages(in);
    case 9:
      return driver->ReadLog(in);
    case 10:
      return driver->GossipReply(in);
    case 11:  // what a shell does most: everything taken in becomes durable and is answered
      driver->TakeOutput();
      driver->SyncAll();
      return driver->TakeOutput();
    default:
      return;  // free for steps to come
  }
}

}  // namespace
}  // namespace sextant::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sextant::fuzz;
  FuzzInput in(data, size);
  SegmentDriver driver;
  for (int step = 0; step < kMaxSteps && !in.AtEnd(); ++step) {
    Step(in.Byte(), &in, &driver);
    driver.Check();
  }
  return 0;
}
