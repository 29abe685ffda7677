#!/usr/bin/env python3
"""The memory of a cluster under a steady load: within its budgets, and no growth?

    make bench-memory MINUTES=60      writes bench/results/memory.json and the page there

A writer, a reader and six storage nodes with their default settings; upserts at a given rate on a table of a given
size, so that nothing has a reason to grow for ever. Resident memory of each process is sampled all the time.
"""

import argparse
import json
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import children
import machine
import report

# MiB. Storage node: block cache 64, up to three memtables of redo (32 each) and three of pages (16 each), 128 for queues,
# gRPC and what the allocator keeps. Compute node: page cache 256, redo ring 64, 192 for the rest.
STORAGE_BUDGET_MIB = 336
COMPUTE_BUDGET_MIB = 512
# Caches fill up in the first third. The last third may be larger than the second by this much.
GROWTH_FACTOR, GROWTH_MIB = 1.05, 4
SAMPLE_SECONDS = 2
SLACK_SECONDS = 90


def growth(series):
    """[(seconds, MiB)] -> the medians of the second and the last third of the time, and whether that is growth."""
    end = series[-1][0]
    before = statistics.median(mib for at, mib in series if end / 3 <= at < 2 * end / 3)
    last = statistics.median(mib for at, mib in series if at >= 2 * end / 3)
    return {"before_mib": round(before, 1), "last_mib": round(last, 1),
            "grows": last > before * GROWTH_FACTOR + GROWTH_MIB}


def judge(nodes):
    """{node: series} -> a verdict a node, and whether all is well."""
    verdicts = {}
    for node, series in nodes.items():
        budget = STORAGE_BUDGET_MIB if node.startswith("az") else COMPUTE_BUDGET_MIB
        largest = max(mib for _, mib in series)
        verdicts[node] = {**growth(series), "largest_mib": round(largest, 1), "budget_mib": budget,
                          "within_budget": largest <= budget}
    is_met = all(v["within_budget"] and not v["grows"] for v in verdicts.values())
    return {"nodes": verdicts, "is_met": is_met}


def resident_mib(pid):
    found = machine.field(f"/proc/{pid}/status", r"^VmRSS:\s+(\d+) kB")
    return int(found) / 1024 if found else None


def sample(tools, folder, load, seconds):
    """Until the load ends. Failed: a node is gone, or the load does not end."""
    pids = {name: node["pid"] for name, node in tools.nodes(folder).items()}
    nodes = {name: [] for name in pids}
    began = time.monotonic()
    told = 0
    while load.poll() is None:
        at = time.monotonic() - began
        if at > seconds + SLACK_SECONDS:
            raise children.Failed("the load does not end")
        for name, pid in pids.items():
            mib = resident_mib(pid)
            if mib is None:
                raise children.Failed(f"{name} is gone")
            nodes[name].append((round(at, 1), round(mib, 1)))
        if at - told >= 30:
            told = at
            print(f"{at / 60:5.1f} min: " + ", ".join(f"{n} {s[-1][1]:.0f}" for n, s in nodes.items()), file=sys.stderr,
                  flush=True)
        time.sleep(SAMPLE_SECONDS)
    return nodes


def measure(tools, options):
    folder = tools.work / "memory"
    load = None
    out = tools.work / "load.json"
    try:
        tools.cluster_up(folder, "--readers", "1")
        seconds = options.minutes * 60
        with open(out, "w", encoding="utf-8") as f:
            load = subprocess.Popen(
                [tools.binary("sextant"), "bench", "sql", "--dir", folder, "--output", "json", "--warmup", "0", "--clients",
                 str(options.clients), "--rows", str(options.rows), "--value-bytes", "200", "--rate", str(options.rate),
                 "--seconds", str(seconds)], stdout=f, stderr=subprocess.DEVNULL, start_new_session=True)
        nodes = sample(tools, folder, load, seconds)
        if load.returncode != 0:
            raise children.Failed("the load failed")
        return nodes, json.loads(out.read_text())
    finally:
        if load is not None:
            children.end(load)
        tools.cluster_gone(folder)


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--rate", type=float, default=1000, help="upserts a second")
    parser.add_argument("--rows", type=int, default=100000)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--build", default="build")
    parser.add_argument("--results", default="bench/results")
    options = parser.parse_args(arguments)
    children.end_all_on_signals()
    parent = pathlib.Path(options.build) / "bench-out"
    parent.mkdir(parents=True, exist_ok=True)
    work = pathlib.Path(tempfile.mkdtemp(prefix="memory-", dir=parent))
    tools = children.Tools(options.build, work)
    try:
        nodes, load = measure(tools, options)
    except (children.Failed, KeyboardInterrupt) as failure:
        print(f"bench-memory: {failure or 'interrupted'}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(work, ignore_errors=True)
    result = {**judge(nodes), "commit": machine.commit(), "when": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
              "minutes": options.minutes, "rate": options.rate, "rows": options.rows, "build": tools.build_type(),
              "commits_per_second": load["commits_per_second"], "machine": machine.machine(parent),
              "samples": {name: series[::max(1, len(series) // 120)] for name, series in nodes.items()}}
    results = pathlib.Path(options.results)
    results.mkdir(parents=True, exist_ok=True)
    (results / "memory.json").write_text(json.dumps(result) + "\n")
    report.write(results)
    print(report.memory_table(result))
    return 0 if result["is_met"] else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
