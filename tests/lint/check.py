#!/usr/bin/env python3
"""The repository's rules, checked. Run by `make lint` and as the CTest case "lint".

Each rule is a function over the tree that yields Finding(path, line, message). What a compiler, CMake
or clang-format already checks is not repeated here. `check.py DIR` checks another tree (the self-test
does).
"""

import os
import re
import sys
from collections import namedtuple

Finding = namedtuple("Finding", "path line message")

SKIPPED_FOLDERS = {"build", ".git", ".cache", "sextant-data", "__pycache__"}
SOURCE_ENDINGS = (".h", ".cc", ".proto")
TEXT_ENDINGS = SOURCE_ENDINGS + (".md", ".txt", ".cmake", ".py", ".sh", ".yml", ".yaml", ".sql", ".json")
PLAIN_NAMES = {"Makefile", "Dockerfile", "run"}
THIS_FILE = "tests/lint/check.py"

CORE_FOLDERS = ("common/base/", "common/log/", "common/quorum/", "common/volume/", "common/page/",
                "common/protocol/", "storage-node/segment/", "compute-node/volume/", "fault/history/")
# Headers outside those folders that hold only core types.
CORE_HEADERS = {"storage-node/store/segment_store.h"}
IMPURE = re.compile(
    r"#include\s+[<\"](grpc|rocksdb/|sqlite3|google/protobuf|spdlog/|prometheus/|absl/synchronization|"
    r"(thread|mutex|shared_mutex|condition_variable|atomic|future|chrono|random|filesystem|fstream|"
    r"unistd\.h|time\.h|ctime|unordered_map|unordered_set)>|.*\.pb\.h)"
    r"|absl::Now\(|std::this_thread|\brand\(\)|\bgetenv\(")

FILE_LINES_LISTED, FILE_LINES_MAX = 400, 600
FUNCTION_LINES_LISTED, FUNCTION_LINES_MAX = 70, 120
README_LINES_MAX = 60


class Tree:
    """Every text file below a root: {relative path: lines}."""

    def __init__(self, root):
        self.root = root
        self.files = {}
        for folder, names, files in os.walk(root):
            names[:] = sorted(n for n in names if n not in SKIPPED_FOLDERS)
            for name in sorted(files):
                if name.endswith(TEXT_ENDINGS) or name in PLAIN_NAMES:
                    path = os.path.relpath(os.path.join(folder, name), root)
                    with open(os.path.join(root, path), encoding="utf-8") as f:
                        self.files[path] = f.read().splitlines()

    def sources(self, endings=SOURCE_ENDINGS):
        return ((p, lines) for p, lines in self.files.items() if p.endswith(endings))


def core_is_pure(tree):
    """Core folders hold state machines: nothing that does I/O, waits, or asks the clock or chance."""
    for path, lines in tree.sources((".h", ".cc")):
        if not path.startswith(CORE_FOLDERS) or path.endswith("_test.cc"):
            continue
        for number, line in enumerate(lines, 1):
            if IMPURE.search(line.split("//")[0]):
                yield Finding(path, number, "core code may not use this: " + line.strip())
            ours = re.match(r'#include "((?:common|storage-node|compute-node|embedded|cli|sextant)/.*)"', line)
            if ours and not ours[1].startswith(CORE_FOLDERS) and ours[1] not in CORE_HEADERS:
                yield Finding(path, number, "core code may include core folders only, not " + ours[1])


def files_say_what_they_are_for(tree):
    for path, lines in tree.sources():
        if not lines or not lines[0].startswith("//") or len(lines[0]) < 12:
            yield Finding(path, 1, "open the file with a comment that says what it is for")
        if path.endswith(".h") and "#pragma once" not in lines:
            yield Finding(path, 1, "a header needs #pragma once")


def folders_have_readmes(tree):
    # A protobuf package's folders repeat its name; one page at the top of them is enough.
    folders = sorted({"proto" if path.startswith("proto/") else os.path.dirname(path)
                      for path, _ in tree.sources()})
    for folder in folders:
        readme = os.path.join(folder, "README.md")
        if readme not in tree.files:
            yield Finding(folder, 0, "needs a README.md: its duty, what is in it, who may depend on it")
        elif len(tree.files[readme]) > README_LINES_MAX:
            yield Finding(readme, 0, f"longer than one screen ({README_LINES_MAX} lines)")


def files_are_small(tree):
    for path, lines in tree.sources():
        if len(lines) > FILE_LINES_MAX:
            yield Finding(path, 0, f"{len(lines)} lines; split it before {FILE_LINES_MAX}")


def top_level_blocks(lines):
    """(first line number, length, text of the first line) of each function written at column 0."""
    start = None
    for number, line in enumerate(lines, 1):
        if start is None:
            opens = line.endswith("{") and not line.startswith((" ", "}", "//", "#"))
            if opens and not re.match(r"(inline )?(namespace|class|struct|enum|union|extern|template)\b|constexpr .*=", line):
                start = number
        elif line.startswith("}"):
            yield start, number - start + 1, lines[start - 1]
            start = None


def functions_are_short(tree):
    for path, lines in tree.sources((".cc",)):
        for start, length, text in top_level_blocks(lines):
            if length > FUNCTION_LINES_MAX:
                yield Finding(path, start, f"{length} lines in one function; split it: {text}")


def nothing_is_left_to_do(tree):
    for path, lines in tree.files.items():
        if path == THIS_FILE:
            continue
        for number, line in enumerate(lines, 1):
            if re.search(r"\b(TODO|FIXME|XXX)\b", line) and "no TODO" not in line:
                yield Finding(path, number, "finish it or open an issue: " + line.strip())


def grpc_codes_stay_in_rpc(tree):
    for path, lines in tree.sources((".h", ".cc")):
        if path.startswith("common/rpc/") or path.endswith("_test.cc"):  # a test may look at the wire
            continue
        for number, line in enumerate(lines, 1):
            if re.search(r"grpc::StatusCode|GRPC_STATUS_", line.split("//")[0]):
                yield Finding(path, number, "gRPC codes appear in common/rpc only: use absl::Status")


def tests_do_not_sleep(tree):
    for path, lines in tree.sources(("_test.cc",)):
        for number, line in enumerate(lines, 1):
            if re.search(r"\b(sleep_for|sleep_until|usleep|SleepFor)\b", line.split("//")[0]):
                yield Finding(path, number, "wait on a condition with a generous deadline; a sleep is a guess")


def sources_are_built(tree):
    """A .cc that no CMakeLists.txt names is dead code, a *_test.cc that none names never runs."""
    for path, _ in tree.sources((".cc",)):
        folder, name = os.path.split(path)
        while True:
            cmake = tree.files.get(os.path.join(folder, "CMakeLists.txt"), [])
            if any(name in line for line in cmake):
                break
            if not folder:
                yield Finding(path, 0, "no CMakeLists.txt names it")
                break
            folder, last = os.path.split(folder)
            name = os.path.join(last, name)


def heading_anchor(heading):
    text = re.sub(r"[`*]", "", heading.lstrip("#").strip().lower())
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def markdown_links_resolve(tree):
    for path, lines in tree.files.items():
        if not path.endswith(".md"):
            continue
        fenced = False
        for number, line in enumerate(lines, 1):
            fenced ^= line.lstrip().startswith("```")
            for target in [] if fenced else re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`]*`", "", line)):
                if re.match(r"[a-z]+:", target):
                    continue
                file, _, anchor = target.partition("#")
                there = os.path.normpath(os.path.join(os.path.dirname(path), file)) if file else path
                if not os.path.exists(os.path.join(tree.root, there)):
                    yield Finding(path, number, f"link to {target}: no such file")
                elif anchor and there in tree.files:
                    headings = [heading_anchor(l) for l in tree.files[there] if l.startswith("#")]
                    if anchor not in headings:
                        yield Finding(path, number, f"link to {target}: no such heading")


def no_machine_paths(tree):
    for path, lines in tree.files.items():
        if path == THIS_FILE:
            continue
        for number, line in enumerate(lines, 1):
            if re.search(r"(^|[\s\"'`(=:])/(work|home/\w+|tmp/wt)/", line):
                yield Finding(path, number, "names a path of one machine: " + line.strip())


RULES = [core_is_pure, files_say_what_they_are_for, folders_have_readmes, files_are_small, functions_are_short,
         nothing_is_left_to_do, grpc_codes_stay_in_rpc, sources_are_built,
         tests_do_not_sleep, markdown_links_resolve, no_machine_paths]


def list_what_grows(tree):
    """Not failures: the files and functions that will need splitting next, largest first."""
    long_files = sorted(((len(l), p) for p, l in tree.sources() if len(l) > FILE_LINES_LISTED), reverse=True)
    for count, path in long_files:
        print(f"note: {path}: {count} lines (think at {FILE_LINES_LISTED}, split before {FILE_LINES_MAX})")
    for path, lines in tree.sources((".cc",)):
        for start, length, _ in top_level_blocks(lines):
            if FUNCTION_LINES_LISTED < length <= FUNCTION_LINES_MAX:
                print(f"note: {path}:{start}: a function of {length} lines")


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
    tree = Tree(os.path.abspath(root))
    list_what_grows(tree)
    count = 0
    for rule in RULES:
        for finding in rule(tree):
            print(f"{finding.path}:{finding.line}: {finding.message} [{rule.__name__}]")
            count += 1
    print(f"lint: {len(tree.files)} files, {len(RULES)} rules, {count} findings")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
