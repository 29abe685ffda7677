"""What a result says of where it was taken: machine, versions, commit. Never a host's name or a path of its disk."""

import os
import re
import subprocess

from children import ROOT

PEERS = {
    "PostgreSQL": ["/usr/lib/postgresql/15/bin/postgres", "--version"],
    "MariaDB": ["mariadbd", "--version"],
    "etcd": ["etcd", "--version"],
}
LIBRARIES = ["libgrpc++1.51", "librocksdb7.8", "libsqlite3-0", "libprotobuf32"]


def ask(command):
    """The first line that a program prints; None: it is not here."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, cwd=ROOT, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip().splitlines()[0] if done.returncode == 0 and done.stdout.strip() else None


def field(path, pattern):
    try:
        with open(path, encoding="utf-8") as f:
            found = re.search(pattern, f.read(), re.MULTILINE)
    except OSError:
        return None
    return found[1].strip() if found else None


def machine(folder):
    """`folder`: on the disk that is measured."""
    memory_kib = field("/proc/meminfo", r"^MemTotal:\s+(\d+)")
    return {
        "cpu": field("/proc/cpuinfo", r"^model name\s*:\s*(.+)$"),
        "cores": os.cpu_count(),
        "memory_gib": round(int(memory_kib) / 1048576, 1) if memory_kib else None,
        "kernel": os.uname().release,
        "file_system": ask(["stat", "-f", "-c", "%T", folder]),
        "system": field("/etc/os-release", r'^PRETTY_NAME="(.+)"$'),
    }


def versions():
    found = {name: ask(command) for name, command in PEERS.items()}
    for package in LIBRARIES:
        found[package] = ask(["dpkg-query", "-W", "-f=${Version}", package])
    found["compiler"] = ask(["c++", "--version"])
    return {name: re.sub(r"^\S*/", "", version) for name, version in found.items() if version}


def commit():
    head = ask(["git", "rev-parse", "--short=12", "HEAD"])
    if head is None:
        return "unknown"
    changed = ask(["git", "status", "--porcelain", "--untracked-files=no"])
    return head + (" with uncommitted changes" if changed else "")


def load_average():
    return os.getloadavg()[0]
