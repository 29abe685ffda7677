// What every target of tests/fuzz defines, and who calls it: libFuzzer in the preset `fuzz`,
// runner.cc everywhere else.
//
// A target runs one input and returns; what must hold is a SEXTANT_CHECK, whose abort is the
// finding. Nothing may be carried over from one input to the next.
#pragma once

#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
