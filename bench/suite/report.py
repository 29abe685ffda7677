#!/usr/bin/env python3
"""bench/results/README.md from full.json and memory.json: what was reached, goal by goal, and the figures behind it.

    bench/suite/report.py [FOLDER]    writes the page and the plots anew (bench/results)
"""

import json
import pathlib
import sys

import goals
import plots
from figures import Figures
from goals import number


def last_number(name):
    return int(name.rsplit(":", 1)[1])


def rows(figures, prefix, columns, cells=lambda name: [name]):
    """A table: what `cells` makes of the name, then (title, counter) by median."""
    names = sorted(figures.names(prefix), key=lambda n: (n.rsplit("/", 1)[0], last_number(n)))
    lines = []
    for name in names:
        values = [number(figures.median(name, counter)) for _, counter in columns]
        lines.append("| " + " | ".join([*cells(name), *values]) + " |")
    return lines


def table(titles, lines):
    if not lines:
        return "not measured"
    return "\n".join(["| " + " | ".join(titles) + " |", "|" + "---|" * len(titles), *lines])


def section(figures, title, prefixes, columns, first=("", ""), cells=None):
    cells = cells or (lambda name: [name.rsplit("/", 1)[0], str(last_number(name))])
    lines = [line for prefix in prefixes for line in rows(figures, prefix, columns, cells)]
    return f"## {title}\n\n{table([*first, *(t for t, _ in columns)], lines)}\n"


LATENCY = [("p50 µs", "p50_us"), ("p99 µs", "p99_us"), ("per second", "per_second")]
COSTS = [("redo B", "redo_B"), ("sends a copy", "sends_per_copy"), ("TCP segments", "net_writes"), ("disk B", "disk_B"),
         ("CPU µs", "cpu_us"), ("switches", "switches")]


def details(figures):
    return [
        section(figures, "Appends and the floors", ["floor/", "append/"], LATENCY, ("", "in flight")),
        section(figures, "Single-row upserts, one load for all", ["load/"],
                [*LATENCY, ("replicas behind ms", "behind_ms")], ("", "clients")),
        section(figures, "The traditional path: a source, five replicas, three acknowledgements", ["binlog/"],
                [*LATENCY, ("lag p50 ms", "lag_p50_ms"), ("lag p99 ms", "lag_p99_ms")], ("", "clients")),
        section(figures, "What a commit costs: transactions of SQL, and appends", ["append/", "sql/"],
                [*LATENCY, *COSTS], ("", "clients")),
        section(figures, "Members dead or slow", ["members/"], LATENCY, ("", "clients")),
        section(figures, "Reads", ["read/"],
                [*LATENCY, ("CPU µs", "cpu_us"), ("misses", "misses"), ("round trips a miss", "round_trips"),
                 ("µs a page", "us_per_page")], ("", "clients")),
        section(figures, "Readers' lag", ["lag/"],
                [("writes/s", "per_second"), ("lag p50 ms", "lag_p50_ms"), ("p99 ms", "lag_p99_ms"),
                 ("largest ms", "lag_max_ms")], ("", "asked/s")),
        section(figures, "Recovery", ["recovery/"],
                [("redo MiB", "log_MiB"), ("recovery ms", "recovery_ms"), ("slowest of 3 ms", "recovery_max_ms"),
                 ("until it serves ms", "serving_ms")], ("", "MiB")),
    ]


def machine_lines(run):
    machine = run["machine"]
    settings = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in run["settings"].items())
    return [
        f"Commit {run['commit']}, {run['when']}, `{run['command']}`: {run['rounds']} rounds in {run['minutes']} minutes.",
        "", f"- machine: {machine.get('cores')} cores of {machine.get('cpu')}, {machine.get('memory_gib')} GiB, "
        f"kernel {machine.get('kernel')}, {machine.get('system')}, {machine.get('file_system')}",
        f"- settings: {settings}",
        *(f"- {name}: {version}" for name, version in run["versions"].items()),
    ]


def page(run, plots, memory=None):
    figures = Figures(run["rounds"], run["figures"])
    parts = [
        "# Speed, measured", "",
        "Made by `make bench-full`; do not edit. [bench/README.md](../README.md) says what each figure is. Ratios are medians of the",
        "rounds' ratios, each between measurements of the same round; figures are medians of the rounds.", "",
        *machine_lines(run), "", "## Goals", "", goals.table(goals.judge(figures)), "",
        *(f"![{plot.removesuffix('.svg')}]({plot})" for plot in plots), "",
        *([memory_table(memory), ""] if memory else []), *details(figures),
    ]
    if run["notes"]:
        parts += ["## Notes", "", *(f"- {note}" for note in run["notes"]), ""]
    return "\n".join(parts)


def memory_table(memory):
    lines = []
    for node, verdict in memory["nodes"].items():
        said = ["over its budget"] * (not verdict["within_budget"]) + ["grows"] * verdict["grows"]
        lines.append(f"| {node} | {number(verdict['largest_mib'])} | {verdict['budget_mib']} | "
                     f"{number(verdict['before_mib'])} | {number(verdict['last_mib'])} | {', '.join(said) or 'met'} |")
    return "\n".join([
        "## Memory", "",
        f"Commit {memory['commit']}, {memory['when']}: {number(memory['minutes'])} minutes of {number(memory['commits_per_second'])} upserts/s "
        f"on {memory['rows']:,} rows. Resident MiB; the thirds by median, caches fill up in the first.", "",
        table(["node", "largest", "budget", "second third", "last third", ""], lines)])


def load(path):
    return json.loads(path.read_text()) if path.exists() else None


def write(folder, drawn=None):
    """Of what there is in `folder`; nothing without full.json."""
    run = load(folder / "full.json")
    if run is None:
        return
    if drawn is None:
        drawn = plots.draw(Figures(run["rounds"], run["figures"]), folder)
    (folder / "README.md").write_text(page(run, drawn, load(folder / "memory.json")))


if __name__ == "__main__":
    write(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "bench/results"))
