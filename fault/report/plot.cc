// plot.svg by gnuplot: throughput and latency over time, with the faults shaded.
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <fstream>

#include "absl/strings/str_format.h"
#include "common/base/text.h"
#include "fault/report/files.h"

extern char** environ;

namespace sextant::fault {
namespace {

double At(Nanos at, const Round& round) { return static_cast<double>(at - round.began) * 1e-9; }

// Every fault from where it was inflicted to where it was mended, or to the end.
std::string Shades(const Round& round) {
  std::string text;
  int number = 0;
  for (size_t i = 0; i < round.journal.size(); ++i) {
    const JournalEntry& entry = round.journal[i];
    if (entry.is_mend) continue;
    Nanos end = round.healed;
    for (size_t j = i + 1; j < round.journal.size(); ++j) {
      if (round.journal[j].is_mend && round.journal[j].what == entry.what) {
        end = round.journal[j].began;
        break;
      }
    }
    text += absl::StrFormat(
        "set object %d rectangle from %.3f, graph 0 to %.3f, graph 1 fillcolor rgb '#d62728' "
        "fillstyle transparent solid 0.15 noborder behind\n",
        ++number, At(entry.began, round), At(std::max(end, entry.ended), round));
  }
  return text;
}

std::string Script(const std::string& scenario, const Round& round) {
  return Text(
      "set terminal svg size 1000,600 font 'sans,12' background rgb 'white'\n"
      "set output 'plot.svg'\n"
      "set datafile separator ','\n"
      "set multiplot layout 2,1 title '",
      scenario, ", seed ", round.seed,
      "'\n"
      "set grid\nset key top right\nset xrange [0:*]\nset yrange [0:*]\n",
      Shades(round),
      "set ylabel 'per second'\n"
      "plot 'timeline.csv' skip 1 using 1:($2*10) with lines lw 2 lc rgb '#1f77b4' title "
      "'commits', '' skip 1 using 1:($5*10) with lines lc rgb '#2ca02c' title 'reads', "
      "'' skip 1 using 1:($7*10) with impulses lc rgb '#d62728' title 'unknown outcome'\n"
      "set ylabel 'commit latency, ms'\nset xlabel 'seconds'\nset logscale y\nset yrange [*:*]\n"
      "plot 'timeline.csv' skip 1 using 1:($2 > 0 ? $3 : NaN) with lines lc rgb '#1f77b4' title "
      "'p50', '' skip 1 using 1:($2 > 0 ? $4 : NaN) with lines lc rgb '#ff7f0e' title 'p99'\n"
      "unset multiplot\n");
}

}  // namespace

absl::Status DrawPlot(const std::string& folder, const std::string& scenario, const Round& round) {
  std::ofstream script(folder + "/plot.gnuplot", std::ios::trunc);
  script << Script(scenario, round);
  script.close();
  if (!script) return absl::UnavailableError(Text("cannot write ", folder, "/plot.gnuplot"));
  // gnuplot reads and writes beside its script.
  std::string shell = "sh", flag = "-c",
              command = Text("cd '", folder, "' && gnuplot plot.gnuplot 2> plot.log");
  char* const arguments[] = {shell.data(), flag.data(), command.data(), nullptr};
  pid_t pid = 0;
  if (posix_spawnp(&pid, "sh", nullptr, nullptr, arguments, environ) != 0) {
    return absl::UnavailableError("cannot start a shell");
  }
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return absl::OkStatus();
  if (WIFEXITED(status) && WEXITSTATUS(status) == 127) {
    return absl::NotFoundError("no plot: there is no gnuplot here (Debian: gnuplot-nox)");
  }
  return absl::UnavailableError(Text("gnuplot failed; see ", folder, "/plot.log"));
}

}  // namespace sextant::fault
