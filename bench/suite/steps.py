"""The steps of a round: what is started, for how long at most, and the figures that come of it."""

import json
import time
from collections import namedtuple

import children
from figures import failures_of, from_google_benchmark

# `seconds`: what it takes on two quiet cores. It is ended when it takes four times that and a minute. `only_first`: once a run.
Step = namedtuple("Step", "name seconds only_first run")
# What a measurement takes. `short`: the round of `make bench`.
Times = namedtuple("Times", "seconds warmup lag short")
FULL = Times(seconds=3, warmup=1, lag=10, short=False)
SHORT = Times(seconds=1, warmup=0.5, lag=3, short=True)

CLIENTS = (1, 16, 64, 256)
CATCH_UP_SECONDS = 60  # MariaDB's replicas are waited for no longer


def limit(step):
    return 4 * step.seconds + 60


class Round:
    """Runs steps and hands what they measured to `take(name, counters)`."""

    def __init__(self, tools, times, take, note):
        self.tools, self.times, self.take, self.note = tools, times, take, note

    def google(self, binary, options, timeout):
        document = self.tools.benchmark(binary, options, timeout)
        for name, counters in from_google_benchmark(document).items():
            self.take(name, counters)
        for failure in failures_of(document):
            self.note(f"failed: {failure}")

    def floor(self, timeout):
        wanted = "floor/grpc" if self.times.short else "floor/"
        self.google("sextant-bench-floor",
                    ["--dir", self.tools.work, "--seconds", str(self.times.seconds), f"--benchmark_filter={wanted}"],
                    timeout)

    def cluster(self, pattern):
        def run(timeout):
            options = ["--dir", self.tools.work, "--seconds", self.times.seconds, "--warmup", self.times.warmup,
                       "--lag-seconds", self.times.lag, f"--benchmark_filter={pattern}"]
            try:
                self.google("sextant-bench-cluster", options, timeout)
            finally:
                self.tools.cluster_gone(self.tools.work / "cluster")
        return run

    def micro(self, timeout):
        self.google("sextant-bench-sql", ["--benchmark_filter=PointSelect|Update|Insert",
                                          "--benchmark_min_time=0.5"], timeout)

    def load(self, target, at, timeout, after=None):
        """The same closed loop for every system. What fails with so many clients is noted, and the next number tried."""
        deadline = time.monotonic() + timeout
        for clients in CLIENTS:
            try:
                out = children.run([self.tools.binary("sextant-bench-load"), target, at, "--clients", clients,
                                    "--seconds", self.times.seconds, "--warm-up", self.times.warmup],
                                   max(1, deadline - time.monotonic()))
            except children.Failed as failure:
                self.note(f"{target}, {clients} clients: {failure}")
                continue
            counters = json.loads(out)
            if counters["errors"]:
                self.note(f"{target}, {clients} clients: {counters['errors']} errors: {counters['first_error']}")
            counters["per_second"] = counters.pop("commits_per_second")
            if after is not None:
                counters.update(after())
            self.take(f"load/{target}/clients:{clients}", counters)

    def sextant(self, timeout):
        folder = self.tools.work / "load"
        try:
            self.load("sextant", self.tools.cluster_up(folder), timeout)
        finally:
            self.tools.cluster_gone(folder)

    def peer(self, name):
        def run(timeout):
            with self.tools.peer(name) as at:
                behind = (lambda: behind_ms(at)) if name == "mariadb" else None
                self.load(name, at, timeout, behind)
        return run


def mariadb(port, sql):
    return children.run(["mariadb", "--no-defaults", "-h", "127.0.0.1", "-P", port, "-u", "root", "-N", "-e", sql],
                        30).strip()


def behind_ms(at):
    """How long the slowest replica takes to show what the source had committed when its load ended."""
    port = int(at.split()[1])
    written = mariadb(port, "select @@gtid_binlog_pos")
    began = time.monotonic()
    for replica in range(port + 1, port + 6):
        left = began + CATCH_UP_SECONDS - time.monotonic()
        # 0: reached; -1: the time is over.
        if left <= 0 or mariadb(replica, f"select master_gtid_wait('{written}', {min(left, 25):.1f})") != "0":
            return {"behind_ms": CATCH_UP_SECONDS * 1000.0, "behind_at_least": 1}
    return {"behind_ms": (time.monotonic() - began) * 1000}


def steps_of(round_, short):
    """Floors, the system and its peers by turns."""
    if short:
        return [
            Step("floor", 14, False, round_.floor),
            Step("append", 12, False, round_.cluster("^append/")),
            Step("sql", 25, False, round_.cluster("^sql/.*/clients:(1|64)/")),
            Step("members", 30, False, round_.cluster("^members/(whole|zone-dead)/")),
            Step("read", 18, False, round_.cluster("^read/")),
            Step("lag", 18, False, round_.cluster("^lag/")),
            Step("recovery", 8, False, round_.cluster("^recovery/MiB:16/")),
            Step("micro", 8, False, round_.micro),
        ]
    return [
        Step("floor", 35, False, round_.floor),
        Step("append", 22, False, round_.cluster("^append/")),
        Step("sextant", 30, False, round_.sextant),
        Step("postgres", 50, False, round_.peer("postgres")),
        Step("mariadb", 110, False, round_.peer("mariadb")),
        Step("etcd", 30, False, round_.peer("etcd")),
        Step("binlog", 30, False, round_.cluster("^binlog/")),
        Step("sql", 95, False, round_.cluster("^sql/")),
        Step("members", 90, False, round_.cluster("^members/")),
        Step("read", 40, False, round_.cluster("^read/")),
        Step("lag", 42, False, round_.cluster("^lag/")),
        Step("micro", 10, False, round_.micro),
        Step("recovery", 150, True, round_.cluster("^recovery/")),
    ]
