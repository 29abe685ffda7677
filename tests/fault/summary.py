#!/usr/bin/env python3
"""Prints what runs of `sextant fault` came to, a line of a Markdown table for each scenario.

    tests/fault/summary.py DIR...    folders that hold result.json, at any depth

Runs of one scenario are added up: the stall's percentiles are those of all their rounds. The first column of
figures is the number of rounds that were played to their end; nothing is claimed of others.
"""

import json
import pathlib
import sys


def percentile(values, fraction):
    values = sorted(values)
    return values[min(int(fraction * len(values)), len(values) - 1)]


def main(folders):
    rounds = {}
    errors = 0
    for folder in folders:
        for path in sorted(pathlib.Path(folder).rglob("result.json")):
            result = json.loads(path.read_text())
            rounds.setdefault(result["scenario"], []).extend(result["rounds"])
            if result["error"]:
                errors += 1
                print(f"{path}: ended early: {result['error']}", file=sys.stderr)
    print("| scenario | rounds | faults | commits | reads | of unknown outcome | not explained | stall p50 / p99 |")
    print("|---|---|---|---|---|---|---|---|")
    unexplained = 0
    for scenario, played in rounds.items():
        phases = [r[phase] for r in played for phase in ("before", "during", "after")]
        wrong = sum(1 for r in played if r["anomalies"])
        unexplained += wrong
        stalls = [r["stall_ms"] for r in played]
        print(
            f"| {scenario} | {len(played)} | {sum(r['faults'] for r in played):,} "
            f"| {sum(p['commits'] for p in phases):,} | {sum(p['reads'] for p in phases):,} "
            f"| {sum(p['unknown'] for p in phases):,} | {wrong} "
            f"| {percentile(stalls, 0.5):.0f} / {percentile(stalls, 0.99):.0f} ms |"
        )
    return 1 if unexplained or errors else 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1:]))
