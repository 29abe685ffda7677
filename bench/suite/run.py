#!/usr/bin/env python3
"""Measures Sextant beside the floors of this machine and its peers, and says which goals are met.

    make bench         one short round, without peers: the table on the terminal, figures in build/bench-out
    make bench-full    rounds of everything, by turns; writes bench/results

Every step has a time limit; what was started is ended by its process id, also on SIGINT and SIGTERM. When the
minutes are over, what is left is left out, and the result says so. docs: bench/README.md.
"""

import argparse
import json
import pathlib
import shutil
import sys
import tempfile
import time

import children
import goals
import machine
import plots
import report
import steps
from figures import Figures

FULL_ROUNDS = 3
FULL_MINUTES = 38
SHORT_MINUTES = 4


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="the round of `make bench`")
    parser.add_argument("--rounds", type=int, help=f"rounds (1 with --short, else {FULL_ROUNDS})")
    parser.add_argument("--only", help="these steps alone, comma-separated: floor, append, sql, ...")
    parser.add_argument("--minutes", type=float, help=f"leaves out what would last longer ({FULL_MINUTES})")
    parser.add_argument("--seconds", type=float, help="of each measurement, for trying things out")
    parser.add_argument("--build", default="build", help="the build that is measured")
    parser.add_argument("--work", help="a folder on the disk that is measured (one in the build's)")
    parser.add_argument("--results", help="writes here (bench/results; with --short BUILD/bench-out)")
    options = parser.parse_args(arguments)
    build = pathlib.Path(options.build)
    options.rounds = options.rounds or (1 if options.short else FULL_ROUNDS)
    options.minutes = options.minutes or (SHORT_MINUTES if options.short else FULL_MINUTES)
    options.results = pathlib.Path(options.results or (build / "bench-out" if options.short else "bench/results"))
    options.times = steps.SHORT if options.short else steps.FULL
    if options.seconds:
        options.times = options.times._replace(seconds=options.seconds, warmup=min(options.seconds, 1),
                                               lag=min(options.seconds, options.times.lag))
    return options


class Suite:
    """One run: its figures, and what is to be said of it."""

    def __init__(self, options, tools):
        self.options, self.tools = options, tools
        self.figures = Figures(options.rounds)
        self.notes = []
        self.began = time.monotonic()
        self.round_number = 0

    def minutes(self):
        return (time.monotonic() - self.began) / 60

    def say(self, text):
        print(f"{int(self.minutes()):3d}:{int(self.minutes() * 60) % 60:02d}  {text}", file=sys.stderr, flush=True)

    def note(self, text):
        self.say(text)
        self.notes.append(f"round {self.round_number + 1}: {text}")

    def take(self, name, counters):
        self.figures.add(self.round_number, name, counters)
        shown = [f"{counter} {goals.number(counters[counter])}" for counter in
                 ("p50_us", "p99_us", "per_second", "lag_p99_ms", "recovery_ms", "us_per_page") if counter in counters]
        self.say(f"        {name}: {', '.join(shown)}")

    def wanted(self):
        round_ = steps.Round(self.tools, self.options.times, self.take, self.note)
        all_steps = steps.steps_of(round_, self.options.short)
        if not self.options.only:
            return all_steps
        names = self.options.only.split(",")
        unknown = set(names) - {step.name for step in all_steps}
        if unknown:
            sys.exit(f"--only {','.join(sorted(unknown))}: there are {', '.join(s.name for s in all_steps)}")
        return [step for step in all_steps if step.name in names]

    def run(self):
        wanted = self.wanted()
        for self.round_number in range(self.options.rounds):
            for step in wanted:
                if step.only_first and self.round_number > 0:
                    continue
                if self.minutes() + step.seconds / 60 > self.options.minutes:
                    self.note(f"{step.name}: left out, {self.options.minutes:.0f} minutes are over")
                    continue
                self.say(f"round {self.round_number + 1} of {self.options.rounds}: {step.name}")
                left = 60 * (self.options.minutes - self.minutes()) + 60
                try:
                    step.run(min(steps.limit(step), left))
                except children.Failed as failure:
                    self.note(f"{step.name}: {failure}")

    def result(self):
        times = self.options.times
        return {
            "commit": machine.commit(),
            "when": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
            "command": "make bench" if self.options.short else "make bench-full",
            "rounds": self.options.rounds,
            "minutes": round(self.minutes(), 1),
            "machine": machine.machine(self.tools.work),
            "versions": machine.versions(),
            "settings": {"seconds": times.seconds, "warmup_seconds": times.warmup, "lag_seconds": times.lag,
                         "rows": 10000, "value_bytes": 100, "record_bytes": 256,
                         "build": self.tools.build_type(), "load_average_before": self.load_before},
            "notes": self.notes,
            "figures": self.figures.values,
        }


def write(result, options):
    options.results.mkdir(parents=True, exist_ok=True)
    figures = Figures(options.rounds, result["figures"])
    name = "short.json" if options.short else "full.json"
    (options.results / name).write_text(json.dumps(result, indent=1, sort_keys=True) + "\n")
    drawn = [] if options.short else plots.draw(figures, options.results)
    if not options.short:
        report.write(options.results, drawn)
    print(goals.table(goals.judge(figures)))
    for note in result["notes"]:
        print(f"- {note}")
    print(f"\nfigures: {options.results / name}", file=sys.stderr)


def main(arguments):
    options = parse(arguments)
    children.end_all_on_signals()
    parent = pathlib.Path(options.work) if options.work else pathlib.Path(options.build) / "bench-out"
    parent.mkdir(parents=True, exist_ok=True)
    work = pathlib.Path(tempfile.mkdtemp(prefix="run-", dir=parent))
    work.chmod(0o755)  # the peers' servers are another user where this one is root
    suite = Suite(options, children.Tools(options.build, work))
    suite.load_before = round(machine.load_average(), 1)
    if suite.load_before > 1:
        suite.note(f"the machine was busy before: load average {suite.load_before}")
    try:
        suite.run()
        result = suite.result()
    except KeyboardInterrupt:
        print("interrupted: nothing is written", file=sys.stderr)
        return 130
    finally:
        shutil.rmtree(work, ignore_errors=True)
    write(result, options)
    return 0 if suite.figures.values else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
