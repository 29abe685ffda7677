"""Programs that a run starts: each with a time limit, each ended by its process id, whatever happens."""

import json
import os
import pathlib
import signal
import subprocess
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
GRACE_SECONDS = 20


class Failed(Exception):
    """A program failed or took too long; the message says which and how."""


def end(child):
    """SIGTERM, then SIGKILL to its whole session."""
    if child.poll() is None:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            pass
    try:
        os.killpg(child.pid, signal.SIGKILL)  # it leads a session of its own: start_new_session
    except ProcessLookupError:
        pass
    child.wait()


def end_all_on_signals():
    """SIGINT, SIGTERM and SIGHUP raise KeyboardInterrupt, once: every `finally` on the way out ends what it started."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def interrupt(*_):
        for number in numbers:
            signal.signal(number, lambda *_: None)  # not SIG_IGN, which children would inherit
        raise KeyboardInterrupt

    for number in numbers:
        signal.signal(number, interrupt)


def run(command, timeout, env=None):
    """Its standard output. Failed: it returned something else than 0, or took longer than `timeout` seconds."""
    command = [str(word) for word in command]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                             stdin=subprocess.DEVNULL, start_new_session=True, env={**os.environ, **(env or {})})
    try:
        out, err = child.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        raise Failed(f"{' '.join(command[:2])}: not done after {timeout:.0f} s") from None
    finally:
        end(child)
    if child.returncode != 0:
        last = (err.strip() or out.strip() or "no message").splitlines()[-1]
        raise Failed(f"{os.path.basename(command[0])}: status {child.returncode}: {last}")
    return out


class Tools:
    """The binaries of one build, and a folder on the disk that is measured."""

    def __init__(self, build, work):
        self.build = pathlib.Path(build).resolve()
        self.work = pathlib.Path(work).resolve()

    def binary(self, name):
        for folder in ("bin", "bench-bin"):
            path = self.build / folder / name
            if path.exists():
                return path
        raise Failed(f"there is no {name} in {self.build.name}: build it")

    def build_type(self):
        cache = (self.build / "CMakeCache.txt").read_text()
        return dict(line.split(":STRING=", 1) for line in cache.splitlines() if ":STRING=" in line)["CMAKE_BUILD_TYPE"]

    def benchmark(self, name, options, timeout):
        """The JSON of a Google Benchmark program."""
        out = self.work / f"{name}.json"
        out.unlink(missing_ok=True)
        run([self.binary(name), f"--benchmark_out={out}", "--benchmark_out_format=json", *options], timeout)
        try:
            return json.loads(out.read_text())
        except (OSError, ValueError) as error:
            raise Failed(f"{name} wrote no figures: {error}") from None

    def cluster_up(self, folder, *options):
        """Starts a cluster; the address of its writer."""
        run([self.binary("sextant"), "cluster", "up", "--dir", folder, "--segment-size", "1GiB", *options], 120)
        return self.nodes(folder)["writer"]["listen"]

    def nodes(self, folder):
        state = json.loads((pathlib.Path(folder) / "cluster.json").read_text())
        return {node["name"]: node for node in state["nodes"]}

    def cluster_gone(self, folder):
        """Ends what runs there and removes it; nothing happens where there is none."""
        if (pathlib.Path(folder) / "cluster.json").exists():
            run([self.binary("sextant"), "cluster", "down", "--grace-ms", "2000", "--dir", folder], 60)
        run(["rm", "-rf", "--", folder], 120)

    def peer(self, name):
        return Peer(self, name)


class Peer:
    """One of bench/peers, for a `with`: started, and ended whatever happens."""

    BASE_PORTS = {"postgres": 21000, "mariadb": 21100, "etcd": 21200}

    def __init__(self, tools, name):
        self.script = ROOT / "bench" / "peers" / f"{name}.sh"
        self.folder = tools.work / name
        self.port = self.BASE_PORTS[name]

    def __enter__(self):
        self.stop()
        try:
            return run([self.script, "start", self.folder, self.port], 300).strip().splitlines()[-1]
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        if (self.folder / "pids").exists():
            run([self.script, "stop", self.folder], 120)
        run(["rm", "-rf", "--", self.folder], 120)


def wait_until(condition, timeout, interval=0.1):
    """True once it holds; False when it has not after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(interval)
    return True
