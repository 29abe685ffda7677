#!/usr/bin/env bash
# Brings deploy/docker-compose.yml up as a project of its own, uses it, stops a zone, cuts another off, promotes
# a reader, and takes everything down again. Needs the image sextant:local (make image). Non-zero on any surprise.
set -euo pipefail
cd "$(dirname "$0")"

export COMPOSE_PROJECT_NAME="sextanttest$$" SEXTANT_PORT=0 SEXTANT_METRICS_PORT=0 \
  SEXTANT_READER_1_PORT=0 SEXTANT_READER_2_PORT=0 SEXTANT_SOURCE_PORT=0
if docker compose version >/dev/null 2>&1; then compose=(docker compose); else compose=(docker-compose); fi
compose() { "${compose[@]}" -f docker-compose.yml "$@"; }

load_log=$(mktemp)
clean_up() {
  local code=$?
  trap - EXIT
  if ((code != 0)); then
    compose ps || true
    compose logs --tail 20 || true
  fi
  compose --profile binlog down -v --timeout 5 >/dev/null 2>&1 || true
  rm -f "$load_log"
  ((code == 0)) && echo "compose-test: passed" || echo "compose-test: FAILED" >&2
  exit "$code"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

say() { echo "--- $*"; }
sql() { compose exec -T writer sextant sql --endpoints writer:7200 --mode csv "${@:2}" -e "$1"; }
expect() { # what, wanted, got
  [[ "$2" == "$3" ]] || { echo "compose-test: $1: wanted '$2', got '$3'" >&2; exit 1; }
  echo "$1: $3"
}
count_healthy() {
  compose ps -q | xargs -r docker inspect -f '{{.State.Health.Status}}' | grep -cx healthy || true
}
wait_healthy() { # how many
  local deadline=$((SECONDS + 180))
  until (($(count_healthy) == $1)); do
    ((SECONDS < deadline)) || { echo "compose-test: not $1 healthy containers after 180 s" >&2; exit 1; }
    sleep 1
  done
}
await_six() { # segments that take redo
  local deadline=$((SECONDS + 60))
  until compose exec -T writer sextant cluster status --endpoints writer:7200 2>/dev/null | grep -q "6 of 6 segments"; do
    ((SECONDS < deadline)) || { echo "compose-test: not all six segments stream after 60 s" >&2; exit 1; }
    sleep 0.5
  done
}
# Clients work on the cluster while a zone is taken away and given back; what they were told is judged.
under_load() { # verb that takes, AZ, verb that gives back, row that is written meanwhile
  compose exec -T writer sextant fault load --endpoints writer:7200 --duration 30 >"$load_log" 2>&1 &
  local load=$!
  until grep -q 'commits/s' "$load_log"; do
    kill -0 "$load" 2>/dev/null || { cat "$load_log"; exit 1; }
    sleep 0.2
  done
  ./az.sh "$1" "$2"
  sql "INSERT INTO t VALUES ($4, 'without $2')"
  kill -0 "$load" 2>/dev/null || { cat "$load_log"; echo "compose-test: the load ended before $2 was away" >&2; exit 1; }
  ./az.sh "$3" "$2"
  wait "$load" || { cat "$load_log"; exit 1; }
  tail -n 3 "$load_log"
  await_six
}
last() { tail -n 1 | tr -d '\r'; }

say "up (${compose[*]})"
compose up -d --no-build 2>&1 | tail -n 1
wait_healthy 9

say "SQL with six of six"
sql "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'six')"
expect "rows" 1 "$(sql 'SELECT count(*) FROM t' | last)"

say "zone az1 stops under load, and comes back"
under_load stop az1 start 2
expect "rows" 2 "$(sql 'SELECT count(*) FROM t' | last)"

say "zone az2 is cut off from the region under load, and comes back"
under_load cut az2 heal 3
expect "rows" 3 "$(sql 'SELECT count(*) FROM t' | last)"

say "zone az3 is killed, after the first two came back"
./az.sh kill az3
sql "INSERT INTO t VALUES (4, 'az1 and az2 hold it')"
./az.sh start az3

say "the writer is killed, a reader promoted, and the writer comes back to read"
compose kill writer >/dev/null 2>&1
compose exec -T reader-2 sextant promote reader-1 --endpoints reader-2:7200
compose start writer >/dev/null 2>&1
wait_healthy 9
lsn=$(sql "INSERT INTO t VALUES (5, 'by reader-1')" --show-lsn 2>&1 | sed -n 's/^-- lsn \([0-9]*\).*/\1/p')
expect "who writes" 1 "$(compose exec -T writer sextant cluster status --endpoints writer:7200 | grep -c '^reader-1 open')"
expect "rows on what was the writer" 5 "$(sql 'SELECT count(*) FROM t' --node writer --min-lsn "$lsn" | last)"

say "everything stops and starts: volumes keep it"
compose stop --timeout 15 >/dev/null 2>&1
compose start >/dev/null 2>&1
wait_healthy 9
expect "rows" "1,2,3,4,5" "$(sql 'SELECT group_concat(id) FROM (SELECT id FROM t ORDER BY id)' | last | tr -d '"')"

say "the traditional path: a source is killed, a replica takes over, the source returns as a replica"
compose down -v --timeout 5 >/dev/null 2>&1
binlog() { compose --profile binlog "$@"; }
on() { binlog exec -T "$1" sextant sql --endpoints "$1:7200" --node "$1" --mode csv -e "$2"; }
binlog up -d --no-build source replica-1 replica-2 2>&1 | tail -n 1
wait_healthy 3
on source "CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)"
binlog kill source >/dev/null 2>&1
# The one that holds less refuses.
new=replica-1
binlog exec -T replica-1 sextant promote replica-1 --endpoints replica-1:7200 || {
  new=replica-2
  binlog exec -T replica-2 sextant promote replica-2 --endpoints replica-2:7200
}
on "$new" "INSERT INTO t VALUES (2)"
binlog start source >/dev/null 2>&1
wait_healthy 3
deadline=$((SECONDS + 60))
until [[ "$(on source 'SELECT group_concat(id) FROM t' 2>/dev/null | last | tr -d '"')" == "1,2" ]]; do
  ((SECONDS < deadline)) || { echo "compose-test: the old source does not follow" >&2; exit 1; }
  sleep 0.5
done
echo "the old source follows $new"
