"""The goals that Sextant's speed is held against, and what a run says of each. No I/O.

A goal compares with a floor or a peer of the same round wherever it can: see Figures.ratio.
"""

from collections import namedtuple

# `measured`: figures -> value or None. `limit` None: shown, not judged. `at_most`: else at least.
Goal = namedtuple("Goal", "number text unit limit at_most measured")
Verdict = namedtuple("Verdict", "goal value is_met by")

SLOW_LOADS = [(load, clients) for load in ("append", "upsert") for clients in (1, 64)]


def worst_of_members(condition, counter):
    """The largest of the loads' ratios to the whole cluster."""
    def measured(figures):
        ratios = [figures.ratio(f"members/{condition}/{load}/clients:{clients}", counter,
                                f"members/whole/{load}/clients:{clients}") for load, clients in SLOW_LOADS]
        ratios = [r for r in ratios if r is not None]
        return max(ratios) if ratios else None
    return measured


def ratio(name, counter, to_name, to_counter=None):
    return lambda figures: figures.ratio(name, counter, to_name, to_counter)


def median(name, counter, scale=1):
    def measured(figures):
        value = figures.median(name, counter)
        return None if value is None else value * scale
    return measured


GOALS = [
    Goal("1", "append p50, 1 in flight, to the gRPC floor's", "x", 1.25, True,
         ratio("append/clients:1", "p50_us", "floor/grpc/depth:1")),
    Goal("1", "appends/s, 256 in flight, to the gRPC floor's", "x", 0.7, False,
         ratio("append/clients:256", "per_second", "floor/grpc/depth:256")),
    Goal("1", "append p50, 1 in flight, to raw TCP's", "x", None, True,
         ratio("append/clients:1", "p50_us", "floor/tcp/depth:1")),
    Goal("1", "appends/s, 256 in flight, to raw TCP's", "x", None, False,
         ratio("append/clients:256", "per_second", "floor/tcp/depth:256")),
    Goal("2", "upsert p50, 1 client, to PostgreSQL's (`ANY 3`)", "x", 1.0, True,
         ratio("load/sextant/clients:1", "p50_us", "load/postgres/clients:1")),
    Goal("2", "upserts/s, 64 clients, to PostgreSQL's", "x", 2.0, False,
         ratio("load/sextant/clients:64", "per_second", "load/postgres/clients:64")),
    Goal("2", "upserts/s, 64 clients, to MariaDB's (semi-sync)", "x", 5.0, False,
         ratio("load/sextant/clients:64", "per_second", "load/mariadb/clients:64")),
    Goal("3", "reader's lag p99 at 1,000 writes/s", "ms", 10, True, median("lag/rate:1000", "lag_p99_ms")),
    Goal("3", "reader's lag p99 at full load", "ms", 50, True, median("lag/rate:0", "lag_p99_ms")),
    Goal("3", "MariaDB's replicas behind after its full load", "ms", None, True,
         median("load/mariadb/clients:64", "behind_ms")),
    Goal("4", "redo a single-row upsert and copy", "B", 200, True, median("sql/upsert/clients:1", "redo_B")),
    Goal("4", "network writes a commit and copy, 1 client", "", 1.0, True,
         median("sql/upsert/clients:1", "sends_per_copy")),
    Goal("4", "network writes a commit and copy, 64 clients", "", 0.1, True,
         median("sql/upsert/clients:64", "sends_per_copy")),
    Goal("5", "recovery after 1 GiB of redo", "ms", 1000, True, median("recovery/MiB:1024", "recovery_ms")),
    Goal("5", "recovery after 1 GiB, to that after 16 MiB", "x", None, True,
         ratio("recovery/MiB:1024", "recovery_ms", "recovery/MiB:16")),
    Goal("6", "CPU of a cached point select through the VFS", "µs", 3, True,
         median("BM_PointSelect", "cpu_time", 1e-3)),
    Goal("6", "round trips a page miss", "", 1.0, True, median("read/row/missing/clients:1", "round_trips")),
    Goal("6", "time a page of a scan, to a page read alone", "x", None, True,
         ratio("read/scan/clients:1", "us_per_page", "read/page/missing/clients:1", "p50_us")),
    Goal("7", "p50 with a zone dead, to the whole cluster's (worst load)", "x", 1.2, True,
         worst_of_members("zone-dead", "p50_us")),
    Goal("7", "p99 with a zone dead (worst load)", "x", 2.0, True, worst_of_members("zone-dead", "p99_us")),
    Goal("7", "p50 with one member slow (worst load)", "x", 1.2, True, worst_of_members("one-slow", "p50_us")),
    Goal("7", "p99 with one member slow (worst load)", "x", 2.0, True, worst_of_members("one-slow", "p99_us")),
]


def judge(figures, goals=None):
    """What is judged is what is shown, three digits: counters are read a moment apart, and one commit more or less is no
    verdict."""
    verdicts = []
    for goal in GOALS if goals is None else goals:
        value = goal.measured(figures)
        if value is None or goal.limit is None:
            verdicts.append(Verdict(goal, value, None, None))
            continue
        value = float(f"{value:.3g}")
        is_met = value <= goal.limit if goal.at_most else value >= goal.limit
        verdicts.append(Verdict(goal, value, is_met, value / goal.limit))
    return verdicts


def number(value):
    """Three digits that count, thousands apart."""
    if value is None:
        return "-"
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def outcome(verdict):
    goal = verdict.goal
    if verdict.value is None:
        return "not measured"
    if goal.limit is None:
        return ""
    if verdict.by in (0, 1):
        return "met"
    # How many times better or worse than the limit, always as a number above one.
    times = verdict.by if verdict.by >= 1 else 1 / verdict.by
    return f"{'met' if verdict.is_met else '**missed**'}, {number(times)}x {'better' if verdict.is_met else 'worse'}"


def table(verdicts):
    lines = ["| | goal | wanted | measured | |", "|---|---|---|---|---|"]
    for verdict in verdicts:
        goal = verdict.goal
        unit = goal.unit if goal.unit == "x" else f" {goal.unit}" if goal.unit else ""
        wanted = "" if goal.limit is None else f"{'≤' if goal.at_most else '≥'} {number(goal.limit)}{unit}"
        measured = "-" if verdict.value is None else f"{number(verdict.value)}{unit}"
        lines.append(f"| {goal.number} | {goal.text} | {wanted} | {measured} | {outcome(verdict)} |")
    return "\n".join(lines)
