#!/usr/bin/env bash
# Plays the scenarios that docs/TESTING.md gives figures of, hundreds of times, and prints a table
# of what they came to. Takes hours on two cores; needs root for the disks.
#
#   tests/fault/long_run.sh [DIR]                 everything
#   SCALE=10 tests/fault/long_run.sh [DIR]        a tenth of the rounds
#
# SEXTANT: the binary (build/bin/sextant). SEED: the first seed (1). Files of each run are in DIR/SCENARIO.
set -euo pipefail
cd "$(dirname "$0")/../.."
sextant="${SEXTANT:-build/bin/sextant}" scale="${SCALE:-1}" seed="${SEED:-1}" dir="${1:-sextant-fault/long}"

failed=0
play() { # scenario, rounds, seconds of a round
  local rounds=$((($2 + scale - 1) / scale)) code=0
  mkdir -p "$dir"
  "$sextant" fault run "$1" --rounds "$rounds" --duration "$3" --seed "$seed" --dir "$dir/$1" \
    >"$dir/$1.log" 2>&1 || code=$?
  ((code == 0 || code == 3)) || failed=1
  echo "$1: exit $code, $(tail -n 1 "$dir/$1.log")"
}

play az-outage 200 2
play az-plus-one 100 2
play kill-random 110 4 # nine to ten processes a round
play zombie-writer 200 2
play power-loss 100 2.5
play writer-kill 100 2
play all-six 50 2
play storm 100 4
for scenario in pause-random partition-node partition-pair partition-one-way partition-az slow-node \
  connection-resets disk-error slow-disk disk-dead disk-full bit-flips crash-points; do
  play "$scenario" 30 3
done
play rolling-restart 10 4
# The traditional path, and what it is compared with.
play promotion 100 2
play binlog-source-kill 100 2
play binlog-source-return 100 2
play binlog-power-loss 50 2.5
for scenario in binlog-replica-kill binlog-replicas-gone binlog-pause; do
  play "$scenario" 30 3
done
tests/fault/summary.py "$dir" || failed=1
exit "$failed"
