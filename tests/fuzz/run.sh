#!/usr/bin/env bash
# Runs one target under libFuzzer for a bounded time: tests/fuzz/run.sh TARGET SECONDS
#
# Builds the preset `fuzz` (clang-14 and libclang-rt-14-dev), starts from the corpus and from what
# earlier runs found, and leaves both new inputs and the input of a crash in build/fuzz/found/TARGET.
set -euo pipefail
cd "$(dirname "$0")/../.."

targets=$(cd tests/fuzz/corpus && echo *)
target="${1:-}" seconds="${2:-60}"
[[ -n "$target" && -d "tests/fuzz/corpus/$target" && "$seconds" =~ ^[0-9]+$ ]] ||
  { echo "usage: make fuzz TARGET=... SECONDS=...; targets: $targets" >&2; exit 2; }
command -v clang++-14 >/dev/null ||
  { echo "fuzz: needs clang: deploy/install-deps.sh --fuzz installs it" >&2; exit 1; }

[[ -f build/fuzz/build.ninja ]] || cmake --preset fuzz >/dev/null
ninja -C build/fuzz "fuzz_$target"
found="build/fuzz/found/$target"
mkdir -p "$found"
python3 tests/fuzz/corpus.py unpack "tests/fuzz/corpus/$target" "build/fuzz/corpus/$target"
# Debian's protobuf and Abseil are not instrumented (docs/TESTING.md, "Sanitizers").
export ASAN_OPTIONS=detect_container_overflow=0
exec "build/fuzz/test-bin/fuzz_$target" -max_total_time="$seconds" -max_len=2048 -len_control=20 -timeout=10 -rss_limit_mb=1024 \
  -print_final_stats=1 -artifact_prefix="$found/" "$found" "build/fuzz/corpus/$target"
