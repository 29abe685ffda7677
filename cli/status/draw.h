// Draws a ClusterPicture for people: three zones side by side, the volume, the writer. Pure.
#pragma once

#include <string>

#include "cli/status/picture.h"

namespace sextant::cli {

struct DrawStyle {
  bool color = false;  // ANSI colours
  bool utf8 = false;   // box-drawing characters; otherwise + - |
  int width = 80;      // columns; zones stand under one another where three do not fit
};
// What fits standard output: colours on a terminal without NO_COLOR, UTF-8 by the locale's
// variables.
DrawStyle StyleOfStdout();

std::string DrawCluster(const ClusterPicture& picture, const DrawStyle& style);

}  // namespace sextant::cli
